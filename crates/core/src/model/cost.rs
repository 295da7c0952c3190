//! What calls cost.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::Usage;

/// An amount of money in micro-dollars: millionths of a US dollar. Arithmetic saturates.
///
/// ```
/// use pumasi_core::model::Cost;
///
/// let cost = Cost::from_micros(1_500) + Cost::from_micros(250);
/// assert_eq!(cost.to_string(), "$0.001750");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(u64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Makes an amount from micro-dollars.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the micro-dollars.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Subtracts, stopping at zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What a model costs: micro-dollars per million tokens, so that `$0.15` per million is `150_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Price {
    /// For prompt tokens that were not cached.
    pub prompt: u64,
    /// For prompt tokens that the server had cached.
    pub cached: u64,
    /// For tokens of the answer.
    pub completion: u64,
}

impl Price {
    /// Makes a price from micro-dollars per million prompt and answer tokens, without a discount for cached ones.
    pub const fn new(prompt: u64, completion: u64) -> Self {
        Self { prompt, cached: prompt, completion }
    }

    /// Sets the micro-dollars per million cached prompt tokens.
    #[must_use]
    pub const fn with_cached(mut self, cached: u64) -> Self {
        self.cached = cached;
        self
    }

    /// Computes what `usage` costs, rounded up to a whole micro-dollar, so that a budget is never overrun by rounding.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        let parts = [(fresh, self.prompt), (cached, self.cached), (usage.completion_tokens, self.completion)];
        let total = parts.iter().fold(0_u128, |sum, (tokens, price)| {
            sum.saturating_add(u128::from(*tokens).saturating_mul(u128::from(*price)))
        });
        Cost(u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// The prices of models by name.
///
/// A model that is not in the table has no cost, rather than a cost of zero: a budget of money cannot be kept for it, and
/// the caller must decide what that means.
///
/// ```
/// use pumasi_core::model::{CostTable, Price, Usage};
///
/// let table = CostTable::published().with_price("my-finetune", Price::new(300_000, 1_200_000));
/// let usage = Usage::new(10_000, 500);
/// assert_eq!(table.cost("my-finetune", &usage).map(|cost| cost.to_string()).as_deref(), Some("$0.003600"));
/// assert_eq!(table.cost("some-local-model", &usage), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CostTable {
    prices: BTreeMap<String, Price>,
}

impl CostTable {
    /// Makes an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a table of list prices, for the standard tier, as they stood in [`PUBLISHED`](Self::PUBLISHED).
    ///
    /// They are figures of that month, to begin with and not a promise: providers change them, and discounts, other tiers and
    /// regional premiums are not in them. Models whose price depends on the length of the prompt are left out. Whatever a bill
    /// or a budget depends on should be set with [`with_price`](Self::with_price), which takes precedence.
    ///
    /// Sources: <https://developers.openai.com/api/docs/pricing>, <https://ai.google.dev/gemini-api/docs/pricing>.
    pub fn published() -> Self {
        let prices = LIST.iter().map(|&(name, prompt, cached, completion)| {
            (name.to_owned(), Price::new(prompt, completion).with_cached(cached))
        });
        Self { prices: prices.collect() }
    }

    /// The month of the prices in [`published`](Self::published).
    pub const PUBLISHED: &'static str = "2026-06";

    /// Sets the price of the model named `model`.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.prices.insert(model.into(), price);
        self
    }

    /// Finds the price of a model by its name, or by its name without the date of a snapshot
    /// (`gpt-4o-mini-2024-07-18` is `gpt-4o-mini`); `None` if it is not in the table.
    pub fn price(&self, model: &str) -> Option<Price> {
        let found = self.prices.get(model).or_else(|| self.prices.get(without_date(model)?));
        found.copied()
    }

    /// Computes what `usage` of a model costs; `None` if its price is not in the table.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Cost> {
        self.price(model).map(|price| price.cost(usage))
    }
}

/// Takes `-YYYY-MM-DD` off the end.
fn without_date(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub(11)?)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(name)
}

/// Name, then micro-dollars per million prompt, cached and answer tokens.
///
/// `gpt-5.5`, `gpt-5.4` and `gemini-2.5-pro` cost more above a length of the prompt, and so they are not here.
const LIST: [(&str, u64, u64, u64); 22] = [
    ("gpt-5.4-mini", 750_000, 75_000, 4_500_000),
    ("gpt-5.4-nano", 200_000, 20_000, 1_250_000),
    ("gpt-5.2", 1_750_000, 175_000, 14_000_000),
    ("gpt-5.1", 1_250_000, 125_000, 10_000_000),
    ("gpt-5", 1_250_000, 125_000, 10_000_000),
    ("gpt-5-mini", 250_000, 25_000, 2_000_000),
    ("gpt-5-nano", 50_000, 5_000, 400_000),
    ("gpt-4.1", 2_000_000, 500_000, 8_000_000),
    ("gpt-4.1-mini", 400_000, 100_000, 1_600_000),
    ("gpt-4.1-nano", 100_000, 25_000, 400_000),
    ("gpt-4o", 2_500_000, 1_250_000, 10_000_000),
    ("gpt-4o-2024-05-13", 5_000_000, 5_000_000, 15_000_000),
    ("gpt-4o-mini", 150_000, 75_000, 600_000),
    ("o3", 2_000_000, 500_000, 8_000_000),
    ("o4-mini", 1_100_000, 275_000, 4_400_000),
    ("o3-mini", 1_100_000, 550_000, 4_400_000),
    ("gpt-3.5-turbo", 500_000, 500_000, 1_500_000),
    ("gemini-2.5-flash", 300_000, 30_000, 2_500_000),
    ("gemini-2.5-flash-lite", 100_000, 10_000, 400_000),
    ("text-embedding-3-small", 20_000, 20_000, 0),
    ("text-embedding-3-large", 130_000, 130_000, 0),
    ("text-embedding-ada-002", 100_000, 100_000, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_charged_at_their_own_price_and_once() {
        let mut usage = Usage::new(1_000_000, 1_000_000);
        usage.cached_tokens = 400_000;
        let table = CostTable::published();
        // 600,000 × $0.15/M + 400,000 × $0.075/M + 1,000,000 × $0.60/M
        assert_eq!(table.cost("gpt-4o-mini", &usage), Some(Cost::from_micros(90_000 + 30_000 + 600_000)));
        usage.cached_tokens = u64::MAX;
        assert_eq!(table.cost("gpt-4o-mini", &usage), Some(Cost::from_micros(75_000 + 600_000)));
    }

    #[test]
    fn a_fraction_of_a_micro_dollar_is_rounded_up_and_nothing_costs_nothing() {
        let price = Price::new(150_000, 600_000);
        assert_eq!(price.cost(&Usage::new(1, 0)), Cost::from_micros(1));
        assert_eq!(price.cost(&Usage::new(20, 0)), Cost::from_micros(3));
        assert_eq!(price.cost(&Usage::new(0, 0)), Cost::ZERO);
    }

    #[test]
    fn sums_never_wrap() {
        let price = Price::new(u64::MAX, u64::MAX);
        assert_eq!(price.cost(&Usage::new(u64::MAX, u64::MAX)), Cost::from_micros(u64::MAX));
        let total: Cost = [Cost::from_micros(u64::MAX), Cost::from_micros(5)].into_iter().sum();
        assert_eq!(total.as_micros(), u64::MAX);
    }

    #[test]
    fn a_dated_snapshot_has_the_price_of_its_model_and_no_other_name_does() {
        let table = CostTable::published();
        assert_eq!(table.price("gpt-4o-mini-2024-07-18"), table.price("gpt-4o-mini"));
        assert!(table.price("gpt-4o-mini").is_some());
        for unknown in
            ["gpt-4o-mini-audio", "GPT-4o", "", "한국어-모델-2024-07-18", "2024-07-18", "x-2024-07-1a"]
        {
            assert_eq!(table.price(unknown), None, "{unknown}");
        }
    }
}
