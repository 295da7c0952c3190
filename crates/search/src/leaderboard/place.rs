//! Answers: where members stand, and what has moved.

use pumasi_core::time::Timestamp;
use serde::Serialize;

use super::rules::{Rules, Ties};

/// Where a member stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place<M> {
    /// Who.
    pub member: M,
    /// The rank from 1, by the board's rule for [ties](Ties).
    pub rank: u64,
    /// The place from 1 in the list, which nobody else has.
    pub position: u64,
    /// How many members are better.
    pub better: u64,
    /// How many members are equal, itself among them.
    pub tied: u64,
    /// What it is ranked by, in the order of the rules.
    pub values: Vec<i64>,
    /// When it reached that, where ties go to who was first.
    pub reached: Option<Timestamp>,
}

/// Where a member stands as a store counts it.
pub(crate) struct Counted<M> {
    pub(crate) member: M,
    pub(crate) keys: Vec<i64>,
    pub(crate) position: u64,
    pub(crate) better: u64,
    pub(crate) tied: u64,
    pub(crate) distinct_better: Option<u64>,
}

impl<M> Counted<M> {
    pub(crate) fn place(self, rules: &Rules) -> Place<M> {
        let mut values = self.keys;
        let reached =
            (rules.ties() == Ties::FirstReached).then(|| values.pop().map(Timestamp::from_micros)).flatten();
        rules.turn(&mut values);
        let rank = match rules.ties() {
            Ties::Competition | Ties::FirstReached => self.better,
            Ties::Dense => self.distinct_better.unwrap_or(self.better),
            Ties::Ordinal => self.position,
        };
        Place {
            member: self.member,
            rank: rank + 1,
            position: self.position + 1,
            better: self.better,
            tied: self.tied,
            values,
            reached,
        }
    }
}

/// A part of the order as a store lists it, with what it has to count for it.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) struct Stretch {
    /// The place of the first entry.
    pub(crate) from: u64,
    /// How many members have a better key than the first entry.
    pub(crate) better: u64,
    /// The place after the last member that has the last entry's key.
    pub(crate) until: u64,
    /// How many different keys are better than the first entry's.
    pub(crate) distinct_better: Option<u64>,
    /// How many members are ranked.
    pub(crate) total: u64,
}

#[cfg(any(feature = "postgres", feature = "redis"))]
impl Stretch {
    /// Counts the entries of the stretch: within it, what is tied is seen.
    pub(crate) fn listing<M>(self, rules: &Rules, entries: Vec<(Vec<i64>, M)>) -> Listing<M> {
        let mut counted: Vec<Counted<M>> = Vec::with_capacity(entries.len());
        for ((keys, member), position) in entries.into_iter().zip(self.from..) {
            let (better, distinct_better) = match counted.last() {
                Some(last) if last.keys == keys => (last.better, last.distinct_better),
                Some(last) => (position, last.distinct_better.map(|count| count + 1)),
                None => (self.better, self.distinct_better),
            };
            counted.push(Counted { member, keys, position, better, tied: 0, distinct_better });
        }
        let mut until = self.until;
        let mut of = None;
        for each in counted.iter_mut().rev() {
            if of.is_some_and(|better| better != each.better) {
                until = each.position + 1;
            }
            of = Some(each.better);
            each.tied = until.saturating_sub(each.better);
        }
        Listing { places: counted.into_iter().map(|each| each.place(rules)).collect(), total: self.total }
    }
}

/// A part of a board, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Listing<M> {
    /// The places in their order.
    pub places: Vec<Place<M>>,
    /// How many members the board ranks.
    pub total: u64,
}

/// A member and its neighbours, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Around<M> {
    /// The member.
    pub place: Place<M>,
    /// Who stands before it, the nearest last.
    pub before: Vec<Place<M>>,
    /// Who stands after it, the nearest first.
    pub after: Vec<Place<M>>,
    /// How many members the board ranks.
    pub total: u64,
}

impl<M> Around<M> {
    /// Returns the percentile rank: how many percent of all are worse, the equal ones counted half. 100 would be better than
    /// everybody, itself included.
    pub fn percentile(&self) -> f64 {
        percentile(&self.place, self.total)
    }
}

/// The percentile rank of a place among `total`.
#[expect(clippy::cast_precision_loss, reason = "a percentage need not be told to sixteen digits")]
pub(crate) fn percentile<M>(place: &Place<M>, total: u64) -> f64 {
    let worse = total.saturating_sub(place.better + place.tied) as f64;
    100.0 * (worse + place.tied as f64 / 2.0) / total.max(1) as f64
}

/// How a member moved since another standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// It was not ranked before.
    New,
    /// It climbed by so many ranks.
    Up(u64),
    /// It fell by so many ranks.
    Down(u64),
    /// It has the same rank.
    Same,
    /// It was ranked before and is not now.
    Gone,
}

impl Movement {
    /// Compares two ranks; `None` if it was never ranked.
    pub fn between(before: Option<u64>, now: Option<u64>) -> Option<Self> {
        Some(match (before, now) {
            (None, None) => return None,
            (None, Some(_)) => Self::New,
            (Some(_), None) => Self::Gone,
            (Some(before), Some(now)) if now < before => Self::Up(before - now),
            (Some(before), Some(now)) if now > before => Self::Down(now - before),
            (Some(_), Some(_)) => Self::Same,
        })
    }
}
