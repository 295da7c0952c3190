//! What is not as it should be, in plain words.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::resilience::within;
use pumasi_core::time::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

use super::watched::Watched;
use crate::engine::Stamp;
use crate::page::Gap;
use crate::query::{Count, Query};
use crate::schema::Schema;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, but not as well as it should, or not for long.
    Warning,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at: an engine, or everything together.
    pub of: String,
    /// How it is.
    pub health: Health,
    /// What was found, and what to do about it.
    pub text: String,
}

impl Finding {
    /// Makes a finding; for checks of your own.
    pub fn new(of: impl Into<String>, health: Health, text: impl Into<String>) -> Self {
        Self { of: of.into(), health, text: text.into() }
    }
}

/// What a look at every engine has shown. It is displayed as one line a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns the worst of it.
    pub fn health(&self) -> Health {
        self.findings.iter().map(|finding| finding.health).max().unwrap_or(Health::Good)
    }

    fn add(&mut self, of: &str, health: Health, text: impl Into<String>) {
        self.findings.push(Finding::new(of, health, text));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let mark = match finding.health {
                Health::Good => "good   ",
                Health::Warning => "warning",
                Health::Bad => "bad    ",
            };
            writeln!(f, "{mark}  {}: {}", finding.of, finding.text)?;
        }
        Ok(())
    }
}

/// Documents that are compared between engines.
const SAMPLE: usize = 1_000;
/// Lag beyond which answers are old enough for people to notice.
const LAG: Duration = Duration::from_mins(1);
/// Differences of clocks beyond which ages and lags are not to be trusted.
const SKEW: Duration = Duration::from_secs(2);

pub(super) async fn examine(engines: &[Arc<Watched>], schema: &Schema, limit: Duration) -> Report {
    let mut report = Report::default();
    // first all of them, since each is judged by the others
    let looks = engines.iter().map(|watched| async {
        let began = Instant::now();
        (watched.look(limit).await, began.elapsed())
    });
    for (watched, (look, took)) in engines.iter().zip(futures_util::future::join_all(looks).await) {
        let name = watched.name();
        match look.or(watched.look(limit).await) {
            Ok(status) => report.add(
                name,
                Health::Good,
                format!(
                    "{} documents in generation {}, answered in {} ms",
                    status.documents,
                    status.generation,
                    took.as_millis()
                ),
            ),
            Err(error) => {
                report.add(name, Health::Bad, format!("{error}: its questions go to another engine"));
            }
        }
        if let Some(lag) = watched.lag().filter(|lag| *lag > LAG) {
            report.add(
                name,
                Health::Warning,
                format!("it is {} s behind the newest change: is its indexer running?", lag.as_secs()),
            );
        }
        let ahead = watched.applied().map(|applied| applied.saturating_since(SystemClock.now()));
        if let Some(ahead) = ahead.filter(|ahead| *ahead > SKEW) {
            report.add(
                name,
                Health::Warning,
                format!(
                    "it holds a change from {} s in the future: the clock here or at the source is wrong",
                    ahead.as_secs()
                ),
            );
        }
        queries(watched, limit, &mut report).await;
        match within(&SystemClock, limit, watched.engine.examine()).await {
            Some(findings) => report.findings.extend(findings),
            None => report.add(
                name,
                Health::Bad,
                format!("it did not answer questions about itself within {limit:?}"),
            ),
        }
    }
    if let Err(error) = schema.validate() {
        report.add("schema", Health::Bad, error.to_string());
    }
    if engines.len() < 2 {
        report.add("engines", Health::Warning, "there is one engine only: when it is away, nothing answers");
    }
    if let [primary, others @ ..] = engines {
        for other in others {
            drift(primary, other, limit, &mut report).await;
        }
    }
    report
}

/// Whether queries are answered: mappings, tables and analyzers that are missing show here.
async fn queries(watched: &Watched, limit: Duration, report: &mut Report) {
    for (what, query) in [
        ("every document", Query::everything()),
        ("a Korean word", Query::new("러닝")),
        ("an English word", Query::new("running")),
    ] {
        let query = query.with_limit(1).with_count(Count::None);
        let answer = within(&SystemClock, limit, watched.engine.search(&query, limit)).await;
        match answer {
            Some(Ok(page)) => {
                // each engine ranks in its own way
                let gaps = page.gaps.iter().filter(|gap| **gap != Gap::Ranking);
                let gaps: Vec<String> = gaps.map(ToString::to_string).collect();
                if gaps.is_empty() {
                    continue;
                }
                report.add(
                    watched.name(),
                    Health::Warning,
                    format!("a query for {what} has gaps: {}", gaps.join(", ")),
                );
            }
            Some(Err(error)) => {
                report.add(watched.name(), Health::Bad, format!("a query for {what} fails: {error}"));
            }
            None => {
                report.add(
                    watched.name(),
                    Health::Bad,
                    format!("a query for {what} was not answered within {limit:?}"),
                );
            }
        }
    }
}

/// Whether two engines hold the same documents, by the first thousand ids.
async fn drift(primary: &Watched, other: &Watched, limit: Duration, report: &mut Report) {
    let stamps = |watched: &Watched| {
        let engine = Arc::clone(&watched.engine);
        async move { within(&SystemClock, limit, engine.stamps(None, SAMPLE)).await }
    };
    let (Some(Ok(ours)), Some(Ok(theirs))) = (stamps(primary).await, stamps(other).await) else { return };
    // beyond where the shorter list was cut off nothing is known
    let last = |stamps: &[Stamp]| {
        (stamps.len() >= SAMPLE).then(|| stamps.last().map(|stamp| stamp.id.clone())).flatten()
    };
    let end = [last(&ours), last(&theirs)].into_iter().flatten().min();
    let within_both = |stamp: &&Stamp| end.as_ref().is_none_or(|end| stamp.id <= *end);
    let missing =
        ours.iter().filter(within_both).filter(|stamp| theirs.binary_search(stamp).is_err()).count();
    let more = theirs.iter().filter(within_both).filter(|stamp| ours.binary_search(stamp).is_err()).count();
    let compared = ours.iter().filter(within_both).count();
    if missing + more == 0 {
        report.add(
            other.name(),
            Health::Good,
            format!("the same {compared} documents as {}, by a sample", primary.name()),
        );
    } else {
        let text = format!(
            "of {compared} documents of {}, {missing} are missing or of another version, and {more} are there that are not: run the repair",
            primary.name()
        );
        report.add(other.name(), Health::Warning, text);
    }
}
