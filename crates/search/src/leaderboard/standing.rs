//! What is kept of each member, and how a record changes it: the one place where that is decided, for every store.

use std::collections::{HashMap, HashSet};

use pumasi_core::time::Timestamp;

use super::member::MemberId;
use super::record::{Record, Submitted};
use super::rules::{Rules, Ties, Total};
use super::store::Board;
use crate::{Error, ErrorKind, Result};

/// How many contributors or attendances of a member are told apart by when they came first, the latest ones. Only where more
/// than so many came late and out of order could a tie be decided by a moment that is too late.
const FIRSTS: usize = 64;

/// The bytes of a figure, and of what came first.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const FIGURE: usize = 17;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const FIRST: usize = 16;

/// One figure of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Figure {
    value: i64,
    /// The moment by which it was reached.
    at: Timestamp,
    /// Whether anything has changed it from what it begins with.
    moved: bool,
    /// Where ties go to who was first: when which contributors or attendances came first, the latest first.
    firsts: Vec<First>,
}

/// When a contributor or an attendance came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    /// The hash of its mark; 0 for all those that are not told apart any more.
    of: u64,
    at: Timestamp,
}

impl Figure {
    fn new(value: i64, at: Timestamp) -> Self {
        Self { value, at, moved: true, firsts: Vec::new() }
    }

    /// Notes a contributor or an attendance, which moves the figure to when the last one came first.
    fn came(&mut self, mark: &Mark, is_new: bool, at: Timestamp) {
        let of = mark.hash();
        match self.firsts.iter_mut().find(|first| first.of == of) {
            Some(first) => first.at = first.at.min(at),
            None if is_new => self.firsts.push(First { of, at }),
            None => {}
        }
        self.firsts.sort_unstable_by_key(|first| std::cmp::Reverse(first.at));
        if self.firsts.len() > FIRSTS {
            let rest = self.firsts.split_off(FIRSTS - 1);
            self.firsts.extend(rest.first().map(|latest| First { of: 0, at: latest.at }));
        }
        self.at = self.firsts.first().map_or(at, |first| first.at);
    }
}

/// The figures of one member in one window, as [`Rules::totals`] lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    figures: Vec<Option<Figure>>,
    /// How many records it is of, if all of them are kept.
    records: Option<u32>,
}

impl Standing {
    pub(crate) fn new(board: &Board) -> Self {
        Self {
            figures: vec![None; board.rules().totals().len()],
            records: board.keeps_records().then_some(0),
        }
    }

    pub(crate) const fn records(&self) -> Option<u32> {
        self.records
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(crate) fn from_bytes(rules: &Rules, bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Storage, "what is stored of a member of a board is damaged");
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged());
        let moment = |bytes: &[u8]| Ok(Timestamp::from_micros(number(bytes)?.cast_signed()));
        let totals = rules.totals();
        let (fixed, mut rest) = bytes.split_at_checked(totals.len() * FIGURE).ok_or_else(damaged)?;
        let mut figures = Vec::with_capacity(totals.len());
        for (total, figure) in totals.iter().zip(fixed.chunks_exact(FIGURE)) {
            let (there, numbers) = figure.split_first().ok_or_else(damaged)?;
            let (value, at) = numbers.split_at_checked(8).ok_or_else(damaged)?;
            let (value, at): (_, Result<Timestamp>) = (number(value)?.cast_signed(), moment(at));
            let mut figure = Figure { value, at: at?, moved: *there == 1, firsts: Vec::new() };
            if tells_firsts(rules, total) {
                // What was stored without them is one that is not told apart.
                let (count, tail) = rest.split_first().unwrap_or((&0, &[]));
                let (firsts, tail) =
                    tail.split_at_checked(usize::from(*count) * FIRST).ok_or_else(damaged)?;
                rest = tail;
                for first in firsts.chunks_exact(FIRST) {
                    let (of, at) = first.split_at_checked(8).ok_or_else(damaged)?;
                    let at: Result<Timestamp> = moment(at);
                    figure.firsts.push(First { of: number(of)?, at: at? });
                }
                if figure.firsts.is_empty() {
                    figure.firsts.push(First { of: 0, at: figure.at });
                }
            }
            figures.push((*there != 0).then_some(figure));
        }
        let records = match rest {
            [] => None,
            _ => Some(rest.try_into().map(u32::from_be_bytes).map_err(|_| damaged())?),
        };
        Ok(Self { figures, records })
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(crate) fn to_bytes(&self, rules: &Rules) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.figures.len() * FIGURE + 4);
        let none = Figure { moved: false, ..Figure::new(0, Timestamp::from_micros(0)) };
        for figure in &self.figures {
            let kind = figure.as_ref().map_or(0, |figure| if figure.moved { 1 } else { 2 });
            let figure = figure.as_ref().unwrap_or(&none);
            bytes.push(kind);
            bytes.extend_from_slice(&figure.value.to_be_bytes());
            bytes.extend_from_slice(&figure.at.as_micros().to_be_bytes());
        }
        for (_, figure) in
            rules.totals().iter().zip(&self.figures).filter(|(total, _)| tells_firsts(rules, total))
        {
            let firsts = figure.as_ref().map_or(&[][..], |figure| &figure.firsts);
            bytes.push(u8::try_from(firsts.len()).unwrap_or(u8::MAX));
            for first in firsts {
                bytes.extend_from_slice(&first.of.to_be_bytes());
                bytes.extend_from_slice(&first.at.as_micros().to_be_bytes());
            }
        }
        bytes.extend(self.records.into_iter().flat_map(u32::to_be_bytes));
        bytes
    }

    /// The keys by which the member is ordered, the least first; `None` for who is not ranked.
    pub(crate) fn key(&self, rules: &Rules) -> Option<Vec<i64>> {
        let figure = |total: &Total| {
            let at = rules.totals().iter().position(|other| other == total)?;
            self.figures.get(at)?.as_ref()
        };
        let mut keys = rules.values(|total| figure(total).map(|figure| figure.value))?;
        rules.turn(&mut keys);
        if rules.ties() == Ties::FirstReached {
            let reached = rules.ordering().filter_map(figure).map(|figure| figure.at).max()?;
            keys.push(reached.as_micros());
        }
        Some(keys)
    }

    /// Adds a record. The outcome is the same in whatever order records come.
    fn add<M>(
        &mut self,
        rules: &Rules,
        record: &Record<M>,
        sums: Sums,
        is_new: impl Fn(&Mark) -> bool,
    ) -> Result<()> {
        let at = record.at();
        for (total, figure) in rules.totals().iter().zip(&mut self.figures) {
            match total {
                Total::Sum(name) => {
                    if let Some(value) = record.get(name) {
                        sum(figure, value, at, sums)?;
                    }
                }
                Total::Records => sum(figure, 1, at, sums)?,
                Total::Members | Total::Attendance => {
                    let Some(mark) = mark(total, record) else { continue };
                    let is_new = is_new(&mark);
                    sum(figure, i64::from(is_new), at, sums)?;
                    if let Some(figure) = figure.as_mut().filter(|_| tells_firsts(rules, total)) {
                        figure.came(&mark, is_new, at);
                    }
                }
                Total::Highest(name) => best(figure, record.get(name), at, |value, is| value > is),
                Total::Lowest(name) => best(figure, record.get(name), at, |value, is| value < is),
                Total::Latest(name) => match (record.get(name), &*figure) {
                    (Some(value), Some(is)) if (at, value) <= (is.at, is.value) => {}
                    (Some(value), _) => *figure = Some(Figure::new(value, at)),
                    (None, _) => {}
                },
            }
        }
        Ok(())
    }
}

/// Tells whether it is kept of a figure which contributors or attendances came first when.
fn tells_firsts(rules: &Rules, total: &Total) -> bool {
    rules.ties() == Ties::FirstReached && matches!(total, Total::Members | Total::Attendance)
}

/// What is done about sums that overflow.
#[derive(Clone, Copy, Debug)]
enum Sums {
    Checked,
    /// In the end they fit, though those on the way there may not.
    KnownToFit,
}

pub(crate) fn overflow() -> Error {
    Error::new(ErrorKind::InvalidInput, "a record would make a sum overflow")
}

/// Adds to a sum. What adds nothing does not move it, but for being there at all.
fn sum(figure: &mut Option<Figure>, by: i64, at: Timestamp, sums: Sums) -> Result<()> {
    let Some(is) = figure else {
        *figure = Some(Figure { moved: by != 0, ..Figure::new(by, at) });
        return Ok(());
    };
    is.value = match sums {
        Sums::Checked => is.value.checked_add(by).ok_or_else(overflow)?,
        Sums::KnownToFit => is.value.wrapping_add(by),
    };
    match (by != 0, is.moved) {
        (true, true) => is.at = is.at.max(at),
        (true, false) => (is.at, is.moved) = (at, true),
        (false, false) => is.at = is.at.min(at),
        (false, true) => {}
    }
    Ok(())
}

fn best(figure: &mut Option<Figure>, value: Option<i64>, at: Timestamp, better: impl Fn(i64, i64) -> bool) {
    match (value, &mut *figure) {
        (None, _) => {}
        (Some(value), Some(is)) if value == is.value => is.at = is.at.min(at),
        (Some(value), Some(is)) if !better(value, is.value) => {}
        (Some(value), _) => *figure = Some(Figure::new(value, at)),
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
    pub(crate) fn of_board(name: &str) -> Self {
        Self { of_board: true, name: format!("s{name}") }
    }

    fn of_window(total: &Total, contributor: &str, occasion: &str) -> Self {
        let kind = if *total == Total::Attendance { 'a' } else { 'm' };
        Self { of_board: false, name: format!("{kind}{}:{contributor}{occasion}", contributor.len()) }
    }

    /// A hash that is stored, FNV-1a of 64 bits; never 0.
    fn hash(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        self.name.bytes().fold(0xCBF2_9CE4_8422_2325, step).max(1)
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
    board: &'a Board,
    standings: HashMap<M, (Standing, bool)>,
    marks: HashSet<(M, Mark)>,
    new_marks: Vec<(M, Mark)>,
    sums: Sums,
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
        board: &'a Board,
        standings: impl IntoIterator<Item = (M, Standing)>,
        marks: impl IntoIterator<Item = (M, Mark)>,
    ) -> Self {
        Self {
            board,
            standings: standings.into_iter().map(|(member, standing)| (member, (standing, false))).collect(),
            marks: marks.into_iter().collect(),
            new_marks: Vec::new(),
            sums: Sums::Checked,
        }
    }

    /// Begins anew, for records whose sums are known to fit.
    pub(crate) fn replaying(board: &'a Board) -> Self {
        Self { sums: Sums::KnownToFit, ..Self::new(board, [], []) }
    }

    /// Counts a record, unless it was counted before or the window is closed.
    pub(crate) fn answer(&mut self, record: &Record<M>, closed: bool) -> Result<Submitted> {
        if closed && !self.marks.contains(&(record.member().clone(), Mark::of_board(record.source()))) {
            return Ok(Submitted::Late);
        }
        self.apply(record)
    }

    fn apply(&mut self, record: &Record<M>) -> Result<Submitted> {
        let (rules, member) = (self.board.rules(), record.member());
        let source = (member.clone(), Mark::of_board(record.source()));
        if self.marks.contains(&source) {
            return Ok(Submitted::Duplicate);
        }
        let mut standing = match self.standings.get(member) {
            Some((standing, _)) => standing.clone(),
            None => Standing::new(self.board),
        };
        let known = &self.marks;
        standing.add(rules, record, self.sums, |mark| !known.contains(&(member.clone(), mark.clone())))?;
        let kept = if self.board.keeps_records() { Some(Mark::kept(rules, record)?) } else { None };
        standing.records =
            standing.records.filter(|_| kept.is_some()).and_then(|records| records.checked_add(1));
        self.standings.insert(member.clone(), (standing, true));
        for mark in marks(rules, record).chain(kept) {
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
            let key = standing.key(self.board.rules());
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
    fn of_many_contributors_the_last_that_came_first_is_known() {
        let rules = Rules::new(Total::Members.into(), crate::leaderboard::Direction::HighestFirst)
            .with_ties(Ties::FirstReached);
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let came = |source: String, who: i64, second| {
            Record::new(1_u64, source, at(second)).with_contributor(format!("회원 {who}"))
        };
        let board = Board::new("crews", rules.clone()).unwrap();
        let mut ledger = Ledger::new(&board, [], []);
        for who in 0..500 {
            ledger.answer(&came(format!("first {who}"), who, 1_000 + who), false).unwrap();
            ledger.answer(&came(format!("again {who}"), who / 2, 9_000 + who), false).unwrap();
        }
        // The last one had come before, which is told late.
        ledger.answer(&came("late".to_owned(), 499, 7), false).unwrap();
        let (changed, _) = ledger.finish();
        let standing = &changed[0].standing;
        assert_eq!(changed[0].key, Some(vec![!500, at(1_498).as_micros()]));
        let bytes = standing.to_bytes(&rules);
        assert!(bytes.len() <= FIGURE + 1 + FIRSTS * FIRST, "{}", bytes.len());
        assert_eq!(Standing::from_bytes(&rules, &bytes).unwrap(), *standing);
        let older = Standing::from_bytes(&rules, &bytes[..FIGURE]).unwrap();
        assert_eq!(older.key(&rules), changed[0].key);
        assert!(Standing::from_bytes(&rules, &bytes[..FIGURE + 9]).is_err());

        let board = board.keeping_records();
        let mut ledger = Ledger::new(&board, [], []);
        ledger.answer(&came("one".to_owned(), 1, 1), false).unwrap();
        ledger.answer(&came("two".to_owned(), 2, 2), false).unwrap();
        let (changed, _) = ledger.finish();
        let read = Standing::from_bytes(&rules, &changed[0].standing.to_bytes(&rules)).unwrap();
        assert_eq!((&read, read.records()), (&changed[0].standing, Some(2)));
    }

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
