//! What an index and its source do not agree on.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use crate::engine::{Change, SearchEngine, Stamp, Status};
use crate::{Applied, Error, Result};

/// Where documents come from: a table, say.
///
/// Where it knows when documents were changed, it says so [in the changes](Change::with_at): how far an engine lags is told by that.
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns up to `limit` documents whose ids come after `after`, in the order of their ids' bytes, each with its version.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    async fn documents(&self, after: Option<&str>, limit: usize) -> Result<Vec<Change>>;

    /// Returns those of these documents that are there.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    async fn pick(&self, ids: &[String]) -> Result<Vec<Change>>;

    /// Returns the versions of up to `limit` documents whose ids come after `after`, in order; override it where that costs less
    /// than the documents.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        let documents = self.documents(after, limit).await?;
        Ok(documents.iter().map(|change| Stamp::new(change.id(), change.version())).collect())
    }
}

/// How far an engine was filled or repaired.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Filled {
    /// How many changes were new to it.
    pub applied: u64,
    /// How many it refused: documents that the schema does not allow, or too large for the engine.
    pub refused: u64,
    /// The first of those, up to [`REFUSALS`](Self::REFUSALS): their ids, and why.
    pub refusals: Vec<(String, Error)>,
    /// How many it knew already, in that version or a newer one, or as deleted by one.
    pub known: u64,
    /// Drifted documents that a [`repair`] could not bring in step, as their versions decide otherwise.
    pub stuck: Vec<String>,
    /// The last id that was applied or refused: where to go on.
    pub until: Option<String>,
}

impl Filled {
    /// How many refused documents are named.
    pub const REFUSALS: usize = 100;

    /// Begins behind an id.
    pub fn after(id: impl Into<String>) -> Self {
        Self { until: Some(id.into()), ..Self::default() }
    }

    /// Counts what became of changes; stops at what may go well later.
    fn count(&mut self, changes: &[Change], results: &[Result<Applied>]) -> Result<()> {
        if let Some(later) =
            results.iter().filter_map(|result| result.as_ref().err()).find(|e| e.retry().is_retryable())
        {
            return Err(later.clone());
        }
        for (change, result) in changes.iter().zip(results) {
            match result {
                Ok(Applied::Done) => self.applied += 1,
                Ok(Applied::Stale) => self.known += 1,
                Err(error) => {
                    self.refused += 1;
                    if self.refusals.len() < Self::REFUSALS {
                        self.refusals.push((change.id().to_owned(), error.clone()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Applies every document of a source behind `filled.until` to an engine, `batch` at a time, and counts there what became of them;
/// those that the engine refuses are left out.
///
/// Changes may come meanwhile by an [`Indexer`](super::Indexer): their versions decide.
///
/// # Errors
///
/// What the source or the engine says; call it again with the same `filled` to go on.
pub async fn fill(
    source: &dyn Source,
    engine: &dyn SearchEngine,
    batch: usize,
    filled: &mut Filled,
) -> Result<()> {
    loop {
        let documents = source.documents(filled.until.as_deref(), batch.max(1)).await?;
        let Some(last) = documents.last() else { return Ok(()) };
        let results = engine.apply(&documents).await?;
        filled.count(&documents, &results)?;
        filled.until = Some(last.id().to_owned());
    }
}

/// What a range of ids is found to lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// Documents that the index does not have.
    pub missing: Vec<String>,
    /// Documents of which it has an older version.
    pub outdated: Vec<String>,
    /// Documents that the source does not have, with the version that the index has.
    pub surplus: Vec<Stamp>,
    /// Documents of which the index has a newer version than the source, with that version.
    pub ahead: Vec<Stamp>,
    /// How many documents were compared.
    pub compared: u64,
    /// The last id that was compared: where to go on; `None` where the end was reached.
    pub until: Option<String>,
}

impl Drift {
    /// Tells whether the index has what the source has.
    pub const fn is_none(&self) -> bool {
        self.missing.is_empty()
            && self.outdated.is_empty()
            && self.surplus.is_empty()
            && self.ahead.is_empty()
    }
}

/// Compares the versions of a range of ids: up to `limit` of the source's documents behind `after`, and what the index has among
/// them. Check ranges by and by, or one after the other to the end.
///
/// A change that is on its way looks like drift, also one that came to the index after the source was asked: [`repair`] asks the source
/// again.
///
/// # Errors
///
/// What the source or the engine says.
pub async fn check(
    source: &dyn Source,
    engine: &dyn SearchEngine,
    after: Option<&str>,
    limit: usize,
) -> Result<Drift> {
    let limit = limit.max(1);
    let wanted = source.stamps(after, limit).await?;
    let until = if wanted.len() < limit { None } else { wanted.last().map(|stamp| stamp.id.clone()) };
    let mut known: Vec<Stamp> = Vec::new();
    let mut from = after.map(str::to_owned);
    loop {
        let next = engine.stamps(from.as_deref(), limit).await?;
        let Some(last) = next.last() else { break };
        from = Some(last.id.clone());
        let beyond =
            |stamp: &Stamp| until.as_ref().is_some_and(|until| stamp.id.as_bytes() > until.as_bytes());
        let ended = next.iter().any(beyond);
        known.extend(next.into_iter().filter(|stamp| !beyond(stamp)));
        if ended {
            break;
        }
    }
    let mut drift = Drift { until, ..Drift::default() };
    let (mut wanted, mut known) = (wanted.into_iter().peekable(), known.into_iter().peekable());
    loop {
        let order = match (wanted.peek(), known.peek()) {
            (Some(wanted), Some(known)) => wanted.id.as_bytes().cmp(known.id.as_bytes()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(drift),
        };
        drift.compared += 1;
        match order {
            Ordering::Less => drift.missing.extend(wanted.next().map(|stamp| stamp.id)),
            Ordering::Greater => drift.surplus.extend(known.next()),
            Ordering::Equal => {
                let (Some(wanted), Some(known)) = (wanted.next(), known.next()) else { continue };
                match wanted.version.cmp(&known.version) {
                    Ordering::Greater => drift.outdated.push(wanted.id),
                    Ordering::Less => drift.ahead.push(known),
                    Ordering::Equal => {}
                }
            }
        }
    }
}

/// Brings an index back in step where it drifted; returns how many documents were changed, which the engine refused, and which could
/// not be brought in step.
///
/// The source is asked again for each document. What it does not have is deleted with the version after the one that the index
/// has: where the source counts versions anew for a document that comes back, let it begin above that.
///
/// Versions decide here too. A document that the source has in an older version than the index, or that the index was told to delete by
/// a version as new, is [`Filled::stuck`] until the source gives it a newer version, or the index is built anew. One that came to the
/// index by another way since the check is counted there as well: the next check tells.
///
/// A delete that was missed came at a moment that nobody knows, and a source may not tell those of its documents: once everything is in
/// step, [`Search::caught_up`](crate::Search::caught_up) says so.
///
/// # Errors
///
/// What the source or the engine says.
pub async fn repair(source: &dyn Source, engine: &dyn SearchEngine, drift: &Drift) -> Result<Filled> {
    let stamped = drift.surplus.iter().chain(&drift.ahead).map(|stamp| &stamp.id);
    let ids: Vec<String> = drift.missing.iter().chain(&drift.outdated).chain(stamped).cloned().collect();
    let mut changes = source.pick(&ids).await?;
    let there: HashSet<String> = changes.iter().map(|change| change.id().to_owned()).collect();
    let gone = drift.surplus.iter().chain(&drift.ahead).filter(|stamp| !there.contains(&stamp.id));
    changes.extend(gone.map(|stamp| Change::delete(stamp.id.as_str(), stamp.version.saturating_add(1))));
    let mut repaired = Filled { until: drift.until.clone(), ..Filled::default() };
    let results = engine.apply(&changes).await?;
    repaired.count(&changes, &results)?;
    let missing: HashSet<&str> = drift.missing.iter().map(String::as_str).collect();
    let ahead: HashMap<&str, u64> =
        drift.ahead.iter().map(|stamp| (stamp.id.as_str(), stamp.version)).collect();
    let is_stuck = |change: &Change| {
        missing.contains(change.id())
            || ahead.get(change.id()).is_some_and(|version| change.version() < *version)
    };
    let stale = changes.iter().zip(&results).filter(|(_, result)| matches!(result, Ok(Applied::Stale)));
    let stuck = stale.filter(|(change, _)| is_stuck(change)).map(|(change, _)| change.id().to_owned());
    repaired.stuck = stuck.collect();
    Ok(repaired)
}

impl Status {
    /// Tells whether the index lost what it had at `before`: it is empty, or the newest change that it knows is an older one.
    ///
    /// An index that was built anew and switched to is another one.
    pub fn is_wiped_since(&self, before: &Self) -> bool {
        self.generation == before.generation
            && (self.applied < before.applied
                || (before.documents > 0 && self.documents == 0 && self.applied.is_none()))
    }
}
