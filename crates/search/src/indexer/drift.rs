//! What an index and its source do not agree on.

use std::cmp::Ordering;

use async_trait::async_trait;

use crate::engine::{Change, SearchEngine, Stamp, Status};
use crate::{Applied, Result};

/// Where documents come from: a table, say.
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

/// Applies every document of a source to an engine, `batch` at a time; returns how many were new to it.
///
/// Changes may come meanwhile by an [`Indexer`](super::Indexer): their versions decide.
///
/// # Errors
///
/// What the source or the engine says; begin again then, or go on later.
pub async fn fill(source: &dyn Source, engine: &dyn SearchEngine, batch: usize) -> Result<u64> {
    let mut after: Option<String> = None;
    let mut filled = 0;
    loop {
        let documents = source.documents(after.as_deref(), batch.max(1)).await?;
        let Some(last) = documents.last() else { return Ok(filled) };
        after = Some(last.id().to_owned());
        for applied in engine.apply(&documents).await? {
            filled += u64::from(applied? == Applied::Done);
        }
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
    /// How many documents were compared.
    pub compared: u64,
    /// The last id that was compared: where to go on; `None` where the end was reached.
    pub until: Option<String>,
}

impl Drift {
    /// Tells whether the index has what the source has.
    pub const fn is_none(&self) -> bool {
        self.missing.is_empty() && self.outdated.is_empty() && self.surplus.is_empty()
    }
}

/// Compares the versions of a range of ids: up to `limit` of the source's documents behind `after`, and what the index has among
/// them. Check ranges by and by, or one after the other to the end.
///
/// A change that is on its way looks like drift: [`repair`] asks the source again.
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
                if let (Some(wanted), Some(known)) = (wanted.next(), known.next())
                    && wanted.version > known.version
                {
                    drift.outdated.push(wanted.id);
                }
            }
        }
    }
}

/// Brings an index back in step where it drifted; returns how many documents were changed.
///
/// The source is asked again for each document. What it does not have is deleted with the version after the one that the index
/// has: where the source counts versions anew for a document that comes back, let it begin above that.
///
/// # Errors
///
/// What the source or the engine says.
pub async fn repair(source: &dyn Source, engine: &dyn SearchEngine, drift: &Drift) -> Result<u64> {
    let surplus = drift.surplus.iter().map(|stamp| &stamp.id);
    let ids: Vec<String> = drift.missing.iter().chain(&drift.outdated).chain(surplus).cloned().collect();
    let mut changes = source.pick(&ids).await?;
    let there: std::collections::HashSet<String> =
        changes.iter().map(|change| change.id().to_owned()).collect();
    let gone = drift.surplus.iter().filter(|stamp| !there.contains(&stamp.id));
    changes.extend(gone.map(|stamp| Change::delete(stamp.id.as_str(), stamp.version.saturating_add(1))));
    let mut changed = 0;
    for applied in engine.apply(&changes).await? {
        changed += u64::from(applied? == Applied::Done);
    }
    Ok(changed)
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
