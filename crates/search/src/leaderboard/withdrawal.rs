//! A record is taken back: what a member stands at without it, the one place where that is decided.

use std::collections::{BTreeMap, HashSet};

use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::member::MemberId;
use super::record::{Record, Withdrawn};
use super::rules::{Rules, Total};
use super::standing::{Changed, Ledger, Mark, Standing, overflow};
use super::store::Board;
use crate::{Error, ErrorKind, Result};

/// What a record says, as it is kept within a mark.
#[derive(Serialize, Deserialize)]
struct Said {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occasion: Option<String>,
}

impl Mark {
    /// Keeps what a record says, as far as the rules ask for it.
    pub(crate) fn kept<M>(rules: &Rules, record: &Record<M>) -> Result<Self> {
        let named = rules.totals().iter().filter_map(|total| match total {
            Total::Sum(name) | Total::Highest(name) | Total::Lowest(name) | Total::Latest(name) => Some(name),
            Total::Records | Total::Members | Total::Attendance => None,
        });
        let values = named.filter_map(|name| Some((name.clone(), record.get(name)?))).collect();
        let [by, occasion] = [record.contributor(), record.occasion()].map(|name| name.map(str::to_owned));
        let said = serde_json::to_string(&Said { at: record.at(), values, by, occasion })
            .map_err(|_| Error::new(ErrorKind::Other, "a record cannot be written as JSON"))?;
        let source = record.source();
        Ok(Self { of_board: false, name: format!("r{}:{source}{said}", source.len()) })
    }

    /// A record that does not count, whenever it comes.
    fn withdrawn(source: &str) -> Self {
        Self { of_board: false, name: format!("w{source}") }
    }

    /// The record that it keeps, if it keeps one.
    fn record<M: MemberId>(&self, member: &M) -> Option<Record<M>> {
        let (length, rest) = self.name.strip_prefix('r')?.split_once(':')?;
        let (source, said) = rest.split_at_checked(length.parse().ok()?)?;
        let said: Said = serde_json::from_str(said).ok()?;
        let mut record = Record::new(member.clone(), source, said.at);
        for (name, value) in said.values {
            record = record.with(name, value);
        }
        if let Some(by) = said.by {
            record = record.with_contributor(by);
        }
        Some(match said.occasion {
            Some(occasion) => record.with_occasion(occasion),
            None => record,
        })
    }
}

/// What a store has of a member in the window in which a record counts.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Whether the record's source has counted on the board.
    pub(crate) counted: bool,
    /// Whether the window does not change any more.
    pub(crate) over: bool,
    pub(crate) standing: Option<Standing>,
    /// All marks of the member in the window.
    pub(crate) marks: Vec<Mark>,
}

/// What is to be stored, and answered.
#[derive(Debug)]
pub(crate) struct Undone<M> {
    pub(crate) answer: Withdrawn,
    pub(crate) changed: Option<Changed<M>>,
    /// The marks of the window that go.
    pub(crate) gone: Vec<Mark>,
    pub(crate) new: Vec<(M, Mark)>,
}

impl<M> Undone<M> {
    const fn none(answer: Withdrawn) -> Self {
        Self { answer, changed: None, gone: Vec::new(), new: Vec::new() }
    }
}

/// Checks that a board keeps what it needs to take records back.
fn check(board: &Board, is_kept: bool) -> Result<()> {
    if is_kept {
        return Ok(());
    }
    let message =
        format!("the board {} does not have all the records that it counted: rebuild it", board.name());
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Checks that the sums of a member's records fit, in whatever order they are added.
fn check_sums<M>(rules: &Rules, records: &[Record<M>]) -> Result<()> {
    for total in rules.totals() {
        let Total::Sum(name) = total else { continue };
        let sum: i128 = records.iter().filter_map(|record| record.get(name)).map(i128::from).sum();
        if i64::try_from(sum).is_err() {
            return Err(overflow());
        }
    }
    Ok(())
}

/// Takes a record back.
pub(crate) fn withdraw<M: MemberId>(
    board: &Board,
    member: &M,
    source: &str,
    stored: &Stored,
) -> Result<Undone<M>> {
    check(board, board.keeps_records())?;
    let withdrawn = Mark::withdrawn(source);
    if stored.marks.contains(&withdrawn) {
        return Ok(Undone::none(Withdrawn::Absent));
    }
    if stored.over {
        return Ok(Undone::none(Withdrawn::Late));
    }
    if !stored.counted {
        let new = [Mark::of_board(source), withdrawn].map(|mark| (member.clone(), mark)).into();
        return Ok(Undone { new, ..Undone::none(Withdrawn::Absent) });
    }
    let mut kept: Vec<Record<M>> = stored.marks.iter().filter_map(|mark| mark.record(member)).collect();
    // In the order of time it is known of any number of contributors when they came first.
    kept.sort_unstable_by(|one, two| (one.at(), one.source()).cmp(&(two.at(), two.source())));
    let counted = stored.standing.as_ref().and_then(Standing::records);
    let is_there = kept.iter().any(|record| record.source() == source);
    check(board, is_there && counted.is_some_and(|counted| counted as usize == kept.len()))?;
    kept.retain(|record| record.source() != source);
    check_sums(board.rules(), &kept)?;
    let mut ledger = Ledger::replaying(board);
    for record in &kept {
        ledger.answer(record, false)?;
    }
    let (mut changed, marks) = ledger.finish();
    let changed = changed.pop().unwrap_or_else(|| {
        let standing = Standing::new(board);
        Changed { member: member.clone(), key: standing.key(board.rules()), standing }
    });
    let mut stay: HashSet<Mark> =
        marks.into_iter().map(|(_, mark)| mark).filter(|mark| !mark.of_board).collect();
    stay.insert(withdrawn);
    let earlier = stored.marks.iter().filter(|mark| mark.name.starts_with('w'));
    stay.extend(earlier.cloned());
    let gone = stored.marks.iter().filter(|mark| !stay.contains(mark)).cloned().collect();
    let known: HashSet<&Mark> = stored.marks.iter().collect();
    let new =
        stay.iter().filter(|mark| !known.contains(mark)).map(|mark| (member.clone(), mark.clone())).collect();
    Ok(Undone { answer: Withdrawn::Done, changed: Some(changed), gone, new })
}
