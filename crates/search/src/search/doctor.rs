//! What is not as it should be, in plain words.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, join4};
use pumasi_core::resilience::within;
use pumasi_core::time::SystemClock;
use serde::{Deserialize, Serialize};

use super::watched::Watched;
use crate::Result;
use crate::engine::{Stamp, Status};
use crate::page::{Gap, Page};
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
    let looks = join_all(engines.iter().map(|watched| Look::at(watched, limit))).await;
    // first all of them, since each is judged by the others
    for (watched, look) in engines.iter().zip(&looks) {
        if let Ok(status) = &look.status {
            let _of_the_first = watched.judge(status.clone()).await;
        }
    }
    let mut held: Vec<Stamps> = Vec::with_capacity(engines.len());
    for (watched, look) in engines.iter().zip(looks) {
        held.push(look.stamps.as_ref().and_then(|stamps| stamps.as_ref().ok().cloned()));
        look.tell(watched, limit, &mut report).await;
    }
    if let Err(error) = schema.validate() {
        report.add("schema", Health::Bad, error.to_string());
    }
    if engines.len() < 2 {
        report.add("engines", Health::Warning, "there is one engine only: when it is away, nothing answers");
    }
    if let ([primary, others @ ..], [ours, stamps @ ..]) = (engines, &*held) {
        for (other, theirs) in others.iter().zip(stamps) {
            drift((&**primary, ours), (&**other, theirs), &mut report);
        }
    }
    report
}

/// What an engine answered; `None` where it did not in time. Everything is asked at once, so that one that hangs costs the limit once.
struct Look {
    status: Result<Status>,
    took: Duration,
    answers: Vec<(&'static str, Option<Result<Page>>)>,
    findings: Option<Vec<Finding>>,
    stamps: Option<Result<Vec<Stamp>>>,
}

impl Look {
    async fn at(watched: &Watched, limit: Duration) -> Self {
        let engine = &watched.engine;
        let status = async {
            let began = Instant::now();
            (watched.ask(limit).await, began.elapsed())
        };
        let queries = [
            ("every document", Query::everything()),
            ("a Korean word", Query::new("러닝")),
            ("an English word", Query::new("running")),
        ];
        // mappings, tables and analyzers that are missing show here
        let answers = queries.map(|(what, query)| async move {
            let query = query.with_limit(1).with_count(Count::None);
            (what, within(&SystemClock, limit, engine.search(&query, limit)).await)
        });
        let findings = within(&SystemClock, limit, engine.examine());
        let stamps = within(&SystemClock, limit, engine.stamps(None, SAMPLE));
        let ((status, took), answers, findings, stamps) =
            join4(status, join_all(answers), findings, stamps).await;
        Self { status, took, answers, findings, stamps }
    }

    /// Tells what is to be said of one engine.
    async fn tell(self, watched: &Watched, limit: Duration, report: &mut Report) {
        let name = watched.name();
        let judged = match self.status {
            Ok(status) => watched.judge(status).await,
            Err(error) => Err(error),
        };
        match judged {
            Ok(status) => report.add(
                name,
                Health::Good,
                format!(
                    "{} documents in generation {}, answered in {} ms",
                    status.documents,
                    status.generation,
                    self.took.as_millis()
                ),
            ),
            Err(error) => {
                report.add(name, Health::Bad, format!("{error}: its questions go to another engine"));
            }
        }
        if let Some(lacks) = watched.lacks() {
            let what = "it is being filled, or has missed changes: run the repair";
            report.add(
                name,
                Health::Warning,
                format!("it lacks at least {lacks} documents of another engine: {what}"),
            );
        }
        if let Some(lag) = watched.lag().filter(|lag| *lag > LAG) {
            report.add(
                name,
                Health::Warning,
                format!("it is {} s behind the newest change: is its indexer running?", lag.as_secs()),
            );
        }
        let ahead = watched.ahead();
        if ahead > SKEW {
            report.add(
                name,
                Health::Warning,
                format!(
                    "it was given a change from {} s in the future: the clock here or at the source is wrong",
                    ahead.as_secs()
                ),
            );
        }
        for (what, answer) in self.answers {
            match answer {
                Some(Ok(page)) => {
                    // each engine ranks in its own way
                    let gaps = page.gaps.iter().filter(|gap| **gap != Gap::Ranking);
                    let gaps: Vec<String> = gaps.map(ToString::to_string).collect();
                    if !gaps.is_empty() {
                        let text = format!("a query for {what} has gaps: {}", gaps.join(", "));
                        report.add(name, Health::Warning, text);
                    }
                }
                Some(Err(error)) => {
                    report.add(name, Health::Bad, format!("a query for {what} fails: {error}"));
                }
                None => {
                    let text = format!("a query for {what} was not answered within {limit:?}");
                    report.add(name, Health::Bad, text);
                }
            }
        }
        match self.findings {
            Some(findings) => report.findings.extend(findings),
            None => report.add(
                name,
                Health::Bad,
                format!("it did not answer questions about itself within {limit:?}"),
            ),
        }
        match self.stamps {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                report.add(name, Health::Bad, format!("it cannot say which documents it holds: {error}"));
            }
            None => {
                let text = format!("it did not say within {limit:?} which documents it holds");
                report.add(name, Health::Bad, text);
            }
        }
    }
}

/// What an engine said of the documents that it holds, if it did.
type Stamps = Option<Vec<Stamp>>;

/// How many documents of one list another lacks, and of how many it has an older version.
fn behind(of: &[&Stamp], other: &[Stamp]) -> (usize, usize) {
    let mut counts = (0, 0);
    for stamp in of {
        match other.binary_search_by(|known| known.id.cmp(&stamp.id)) {
            Ok(place) => {
                counts.1 += usize::from(other.get(place).is_some_and(|known| known.version < stamp.version));
            }
            Err(_) => counts.0 += 1,
        }
    }
    counts
}

/// Whether two engines hold the same documents, by the first thousand ids.
fn drift((primary, ours): (&Watched, &Stamps), (other, theirs): (&Watched, &Stamps), report: &mut Report) {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    // beyond where the shorter list was cut off nothing is known
    let last = |stamps: &[Stamp]| {
        (stamps.len() >= SAMPLE).then(|| stamps.last().map(|stamp| stamp.id.clone())).flatten()
    };
    let end = [last(ours), last(theirs)].into_iter().flatten().min();
    let within_both = |stamp: &&Stamp| end.as_ref().is_none_or(|end| stamp.id <= *end);
    let own: Vec<&Stamp> = ours.iter().filter(within_both).collect();
    let others: Vec<&Stamp> = theirs.iter().filter(within_both).collect();
    let ((missing, outdated), (more, newer)) = (behind(&own, theirs), behind(&others, ours));
    // versions tell which is right; what only one of them has may have been lost here, or deleted
    let lost = primary.lacks().is_some();
    let (gone, surplus) = if lost { (more, 0) } else { (0, more) };
    let mut lacks = |one: &Watched, of: &Watched, compared: usize, missing: usize, outdated: usize| {
        if missing + outdated > 0 {
            let text = format!(
                "of {compared} documents of {}, {missing} are missing and {outdated} of an older version: run the repair",
                of.name()
            );
            report.add(one.name(), Health::Warning, text);
        }
    };
    lacks(primary, other, others.len(), gone, newer);
    lacks(other, primary, own.len(), missing, outdated);
    if surplus > 0 {
        let text = format!(
            "{surplus} documents are there that {} does not have: deletes did not come here, or it has lost them: run the repair",
            primary.name()
        );
        report.add(other.name(), Health::Warning, text);
    }
    if missing + outdated + more + newer == 0 {
        let text = format!("the same {} documents as {}, by a sample", own.len(), primary.name());
        report.add(other.name(), Health::Good, text);
    }
}
