//! What a board ranks by.

use std::num::NonZeroU32;

use serde::Serialize;

use crate::{Error, ErrorKind, Result};

/// How many keys a board may be ordered by; where ties go to who was first, that is one of them.
pub const MAX_KEYS: usize = 4;

/// A figure that is gathered from a member's records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Total {
    /// The sum of a number.
    Sum(String),
    /// The highest value of a number.
    Highest(String),
    /// The lowest value of a number.
    Lowest(String),
    /// The number of the record that happened last; of two at the same microsecond, the greater.
    Latest(String),
    /// How many records there are.
    Records,
    /// How many different contributors a group has.
    Members,
    /// How many different pairs of a contributor and an occasion a group has.
    Attendance,
}

/// What is ranked by: a figure, or one over another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Metric {
    total: Total,
    over: Option<(Total, NonZeroU32)>,
}

impl Metric {
    /// Ranks by the sum of a number.
    pub fn sum(name: impl Into<String>) -> Self {
        Total::Sum(name.into()).into()
    }

    /// Ranks by the highest value of a number.
    pub fn highest(name: impl Into<String>) -> Self {
        Total::Highest(name.into()).into()
    }

    /// Ranks by the lowest value of a number.
    pub fn lowest(name: impl Into<String>) -> Self {
        Total::Lowest(name.into()).into()
    }

    /// Ranks by the latest value of a number.
    pub fn latest(name: impl Into<String>) -> Self {
        Total::Latest(name.into()).into()
    }

    /// Ranks by the mean of `value / weight`, weighted: the sum of the one over the sum of the other, times `scale`.
    ///
    /// A pace is such a mean, and not a mean of paces: `mean("time_s", "distance_m", 1000)` is seconds a kilometre. The
    /// result is a whole number, rounded half away from zero; who is equal in it is tied. A larger scale tells finer.
    pub fn mean(value: impl Into<String>, weight: impl Into<String>, scale: NonZeroU32) -> Self {
        Self::ratio(Total::Sum(value.into()), Total::Sum(weight.into()), scale)
    }

    /// Ranks by one figure over another, times `scale`: kilometres a head, for instance. Who has nothing of the other is not
    /// ranked.
    pub fn ratio(total: Total, over: Total, scale: NonZeroU32) -> Self {
        Self { total, over: Some((over, scale)) }
    }
}

impl From<Total> for Metric {
    fn from(total: Total) -> Self {
        Self { total, over: None }
    }
}

/// Which end of a metric is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The least is first: a pace.
    LowestFirst,
    /// The greatest is first: a distance.
    HighestFirst,
}

/// Which rank members have who are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ties {
    /// The same, and as many ranks are left out after them: 1, 2, 2, 4.
    #[default]
    Competition,
    /// The same, and none is left out: 1, 2, 2, 3.
    Dense,
    /// Each its own, in the order of the members' ids: 1, 2, 3, 4.
    Ordinal,
    /// Who reached it first is first; who did so at the same microsecond has the same rank. Only what changes a figure moves
    /// its moment: not a record of 0, nor a contributor or an attendance that counts already.
    FirstReached,
}

/// What a board ranks by and how.
///
/// ```
/// use std::num::NonZeroU32;
/// use pumasi_search::leaderboard::{Direction, Metric, Rules, Ties, Total};
///
/// // Pace in milliseconds a kilometre, of who ran 5 km at least; at the same pace the longer distance is better.
/// let pace = Rules::new(
///     Metric::mean("time_ms", "distance_m", NonZeroU32::new(1000).unwrap()),
///     Direction::LowestFirst,
/// )
/// .then(Metric::sum("distance_m"), Direction::HighestFirst)
/// .with_minimum(Total::Sum("distance_m".into()), 5_000)
/// .with_ties(Ties::Competition);
/// # let _ = pace;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    order: Vec<(Metric, Direction)>,
    minimums: Vec<(Total, i64)>,
    ties: Ties,
    #[serde(skip)]
    totals: Vec<Total>,
}

impl Rules {
    /// Ranks by `metric`.
    pub fn new(metric: Metric, direction: Direction) -> Self {
        let rules =
            Self { order: Vec::new(), minimums: Vec::new(), ties: Ties::default(), totals: Vec::new() };
        rules.then(metric, direction)
    }

    /// Adds what decides among those who are equal so far.
    #[must_use]
    pub fn then(mut self, metric: Metric, direction: Direction) -> Self {
        self.gather(&metric.total);
        if let Some((over, _)) = &metric.over {
            self.gather(over);
        }
        self.order.push((metric, direction));
        self
    }

    /// Sets which rank those have who are equal in everything (default: [`Ties::Competition`]).
    #[must_use]
    pub fn with_ties(mut self, ties: Ties) -> Self {
        self.ties = ties;
        self
    }

    /// Ranks only who has `least` of a figure.
    #[must_use]
    pub fn with_minimum(mut self, total: Total, least: i64) -> Self {
        self.gather(&total);
        self.minimums.push((total, least));
        self
    }

    /// Returns which rank those have who are equal.
    pub fn ties(&self) -> Ties {
        self.ties
    }

    fn gather(&mut self, total: &Total) {
        if !self.totals.contains(total) {
            self.totals.push(total.clone());
        }
    }

    /// The figures that are kept of each member.
    pub(crate) fn totals(&self) -> &[Total] {
        &self.totals
    }

    /// How many keys an entry has.
    pub(crate) fn keys(&self) -> usize {
        self.order.len() + usize::from(self.ties == Ties::FirstReached)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.keys() > MAX_KEYS {
            let message = format!("a board is ordered by more than {MAX_KEYS} keys");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    /// What a store compares, to notice that a board is opened with other rules than it was filled by.
    pub(crate) fn fingerprint(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The values that a member is ordered by, each as its own unit has it; `None` for who is not ranked.
    pub(crate) fn values(&self, total: impl Fn(&Total) -> Option<i64>) -> Option<Vec<i64>> {
        if self.minimums.iter().any(|(of, least)| total(of).unwrap_or(0) < *least) {
            return None;
        }
        let value = |metric: &Metric| {
            let value = total(&metric.total)?;
            let Some((over, scale)) = &metric.over else { return Some(value) };
            let over = i128::from(total(over).filter(|over| *over > 0)?);
            let scaled = i128::from(value) * i128::from(scale.get());
            let half = if scaled < 0 { -over / 2 } else { over / 2 };
            let rounded = (scaled + half) / over;
            Some(i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX }))
        };
        self.order.iter().map(|(metric, _)| value(metric)).collect()
    }

    /// Turns values so that the least is first; the same call turns them back.
    pub(crate) fn turn(&self, values: &mut [i64]) {
        for (value, (_, direction)) in values.iter_mut().zip(&self.order) {
            if *direction == Direction::HighestFirst {
                *value = !*value;
            }
        }
    }

    /// The metrics that are ordered by, as the figures they are made of.
    pub(crate) fn ordering(&self) -> impl Iterator<Item = &Total> {
        self.order.iter().flat_map(|(metric, _)| {
            std::iter::once(&metric.total).chain(metric.over.as_ref().map(|(over, _)| over))
        })
    }
}
