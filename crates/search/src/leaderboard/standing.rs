//! What is kept of each member, and how a record changes it: the one place where that is decided, for every store.

use std::collections::{HashMap, HashSet};

use pumasi_core::time::Timestamp;

use super::member::MemberId;
use super::record::{Record, Submitted};
use super::rules::{Rules, Ties, Total};
use crate::{Error, ErrorKind, Result};

/// One figure, and the moment by which it was reached.
type Figure = Option<(i64, Timestamp)>;

/// The figures of one member in one window, as [`Rules::totals`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing(Vec<Figure>);

impl Standing {
    fn new(rules: &Rules) -> Self {
        Self(vec![None; rules.totals().len()])
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(crate) fn from_bytes(rules: &Rules, bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Storage, "what is stored of a member of a board is damaged");
        let mut figures = Vec::with_capacity(rules.totals().len());
        for figure in bytes.chunks(17) {
            let (there, rest) = figure.split_first().ok_or_else(damaged)?;
            let (value, at) = rest.split_at_checked(8).ok_or_else(damaged)?;
            let value = i64::from_be_bytes(value.try_into().map_err(|_| damaged())?);
            let at = i64::from_be_bytes(at.try_into().map_err(|_| damaged())?);
            figures.push((*there == 1).then_some((value, Timestamp::from_micros(at))));
        }
        if figures.len() == rules.totals().len() { Ok(Self(figures)) } else { Err(damaged()) }
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 17);
        for figure in &self.0 {
            let (value, at) = figure.unwrap_or((0, Timestamp::from_micros(0)));
            bytes.push(u8::from(figure.is_some()));
            bytes.extend_from_slice(&value.to_be_bytes());
            bytes.extend_from_slice(&at.as_micros().to_be_bytes());
        }
        bytes
    }

    /// The keys by which the member is ordered, the least first; `None` for who is not ranked.
    pub(crate) fn key(&self, rules: &Rules) -> Option<Vec<i64>> {
        let figure = |total: &Total| {
            let at = rules.totals().iter().position(|other| other == total)?;
            self.0.get(at).copied().flatten()
        };
        let mut keys = rules.values(|total| figure(total).map(|(value, _)| value))?;
        rules.turn(&mut keys);
        if rules.ties() == Ties::FirstReached {
            let reached = rules.ordering().filter_map(figure).map(|(_, at)| at).max()?;
            keys.push(reached.as_micros());
        }
        Some(keys)
    }

    /// Adds a record. The outcome is the same in whatever order records come.
    fn add<M>(&mut self, rules: &Rules, record: &Record<M>, new: impl Fn(&Total) -> bool) -> Result<()> {
        let at = record.at();
        for (total, figure) in rules.totals().iter().zip(&mut self.0) {
            let more = |by: i64| -> Result<Figure> {
                let (sum, latest) = figure.unwrap_or((0, at));
                let sum = sum.checked_add(by).ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "a record would make a sum overflow")
                })?;
                Ok(Some((sum, latest.max(at))))
            };
            *figure = match total {
                Total::Sum(name) => match record.get(name) {
                    Some(value) => more(value)?,
                    None => *figure,
                },
                Total::Records => more(1)?,
                Total::Members if record.contributor().is_some() => more(i64::from(new(total)))?,
                Total::Attendance if attended(record).is_some() => more(i64::from(new(total)))?,
                Total::Members | Total::Attendance => *figure,
                Total::Highest(name) => best(*figure, record.get(name), at, |value, is| value > is),
                Total::Lowest(name) => best(*figure, record.get(name), at, |value, is| value < is),
                Total::Latest(name) => match (record.get(name), *figure) {
                    (Some(value), Some((is, when))) if (at, value) <= (when, is) => *figure,
                    (Some(value), _) => Some((value, at)),
                    (None, _) => *figure,
                },
            };
        }
        Ok(())
    }
}

fn best(is: Figure, value: Option<i64>, at: Timestamp, better: impl Fn(i64, i64) -> bool) -> Figure {
    match (is, value) {
        (is, None) => is,
        (None, Some(value)) => Some((value, at)),
        (Some((old, _)), Some(value)) if better(value, old) => Some((value, at)),
        (Some((old, when)), Some(value)) if value == old => Some((old, when.min(at))),
        (is, Some(_)) => is,
    }
}

fn attended<M>(record: &Record<M>) -> Option<(&str, &str)> {
    record.contributor().zip(record.occasion())
}

/// Something that counts once: a source in a board, a contributor or an attendance in a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// It counts once in the whole board, not in each of its windows.
    pub(crate) of_board: bool,
    pub(crate) name: String,
}

impl Mark {
    fn of_board(name: &str) -> Self {
        Self { of_board: true, name: format!("s{name}") }
    }

    fn of_window(total: &Total, contributor: &str, occasion: &str) -> Self {
        let kind = if *total == Total::Attendance { 'a' } else { 'm' };
        Self { of_board: false, name: format!("{kind}{}:{contributor}{occasion}", contributor.len()) }
    }
}

/// The marks that a record would set.
pub(crate) fn marks<'a, M>(rules: &'a Rules, record: &'a Record<M>) -> impl Iterator<Item = Mark> + 'a {
    let within = rules.totals().iter().filter_map(|total| mark(total, record));
    std::iter::once(Mark::of_board(record.source())).chain(within)
}

/// What has to be known to decide on records: whose standings, and which marks are set; in order, each once.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(crate) fn needs<'a, M: MemberId>(
    rules: &Rules,
    records: impl Iterator<Item = &'a Record<M>>,
) -> (Vec<M>, Vec<(M, Mark)>) {
    let (mut members, mut wanted) = (Vec::new(), Vec::new());
    for record in records {
        members.push(record.member().clone());
        wanted.extend(marks(rules, record).map(|mark| (record.member().clone(), mark)));
    }
    members.sort_unstable();
    members.dedup();
    wanted.sort_unstable();
    wanted.dedup();
    (members, wanted)
}

fn mark<M>(total: &Total, record: &Record<M>) -> Option<Mark> {
    match total {
        Total::Members => Some(Mark::of_window(total, record.contributor()?, "")),
        Total::Attendance => {
            attended(record).map(|(contributor, occasion)| Mark::of_window(total, contributor, occasion))
        }
        _ => None,
    }
}

/// Decides on the records of one call, on what a store has loaded for them.
#[derive(Debug)]
pub(crate) struct Ledger<'a, M> {
    rules: &'a Rules,
    standings: HashMap<M, (Standing, bool)>,
    marks: HashSet<(M, Mark)>,
    new_marks: Vec<(M, Mark)>,
}

/// A member's standing that changed.
#[derive(Debug)]
pub(crate) struct Changed<M> {
    pub(crate) member: M,
    pub(crate) standing: Standing,
    pub(crate) key: Option<Vec<i64>>,
}

impl<'a, M: MemberId> Ledger<'a, M> {
    /// Begins with the standings and marks that are stored of those that the records name.
    pub(crate) fn new(
        rules: &'a Rules,
        standings: impl IntoIterator<Item = (M, Standing)>,
        marks: impl IntoIterator<Item = (M, Mark)>,
    ) -> Self {
        Self {
            rules,
            standings: standings.into_iter().map(|(member, standing)| (member, (standing, false))).collect(),
            marks: marks.into_iter().collect(),
            new_marks: Vec::new(),
        }
    }

    /// Counts a record, unless it was counted before or the window is closed.
    pub(crate) fn answer(&mut self, record: &Record<M>, closed: bool) -> Result<Submitted> {
        if closed && !self.marks.contains(&(record.member().clone(), Mark::of_board(record.source()))) {
            return Ok(Submitted::Late);
        }
        self.apply(record)
    }

    fn apply(&mut self, record: &Record<M>) -> Result<Submitted> {
        let (rules, member) = (self.rules, record.member());
        let source = (member.clone(), Mark::of_board(record.source()));
        if self.marks.contains(&source) {
            return Ok(Submitted::Duplicate);
        }
        let mut standing = match self.standings.get(member) {
            Some((standing, _)) => standing.clone(),
            None => Standing::new(rules),
        };
        let known = &self.marks;
        standing.add(rules, record, |total| {
            mark(total, record).is_some_and(|mark| !known.contains(&(member.clone(), mark)))
        })?;
        self.standings.insert(member.clone(), (standing, true));
        for mark in marks(rules, record) {
            if self.marks.insert((member.clone(), mark.clone())) {
                self.new_marks.push((member.clone(), mark));
            }
        }
        Ok(Submitted::Counted)
    }

    /// What is to be stored.
    pub(crate) fn finish(self) -> (Vec<Changed<M>>, Vec<(M, Mark)>) {
        let changed = self.standings.into_iter().filter(|(_, (_, changed))| *changed);
        let changed = changed.map(|(member, (standing, _))| {
            let key = standing.key(self.rules);
            Changed { member, standing, key }
        });
        (changed.collect(), self.new_marks)
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
/// Writes keys as bytes that compare as the keys do.
pub(crate) fn key_bytes(keys: &[i64]) -> Vec<u8> {
    keys.iter().flat_map(|key| (key.cast_unsigned() ^ (1 << 63)).to_be_bytes()).collect()
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
/// Reads what [`key_bytes`] wrote.
pub(crate) fn keys_of(bytes: &[u8]) -> Result<Vec<i64>> {
    let (keys, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Error::new(ErrorKind::Storage, "what is stored of a board's order is damaged"));
    }
    Ok(keys.iter().map(|key| (u64::from_be_bytes(*key) ^ (1 << 63)).cast_signed()).collect())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_the_order_of_the_keys() {
        let keys = [i64::MIN, -7, -1, 0, 1, 1 << 40, i64::MAX];
        for pair in keys.windows(2) {
            assert!(key_bytes(&pair[..1]) < key_bytes(&pair[1..]), "{pair:?}");
            assert_eq!(keys_of(&key_bytes(pair)).unwrap(), pair);
        }
        assert!(keys_of(&[0; 7]).is_err());
    }
}
