//! What an extraction may spend, and what it has spent.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use pumasi_core::model::Usage;
use serde::{Deserialize, Serialize};

/// An amount of money in millionths of a US dollar.
///
/// ```
/// use pumasi_llm_parse::extract::Cost;
///
/// assert_eq!(Cost::from_usd(0.02).as_micro_usd(), 20_000);
/// assert_eq!(Cost::from_usd(0.02).to_string(), "$0.020000");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(u64);

impl Cost {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    /// Makes an amount from millionths of a dollar.
    pub const fn from_micro_usd(micros: u64) -> Self {
        Self(micros)
    }

    /// Makes an amount from dollars, rounded up to a millionth; negative and NaN count as nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
    pub fn from_usd(dollars: f64) -> Self {
        // the tolerance keeps 0.02 × 10⁶ = 20 000.000000000004 from becoming 20 001
        Self((dollars * 1e6 - 1e-6).ceil().max(0.0) as u64)
    }

    /// Returns the millionths of a dollar.
    pub const fn as_micro_usd(self) -> u64 {
        self.0
    }

    /// Returns the dollars.
    #[expect(clippy::cast_precision_loss, reason = "exact below nine billion dollars")]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Adds two amounts, staying within the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What a million tokens cost.
///
/// ```
/// use pumasi_core::model::Usage;
/// use pumasi_llm_parse::extract::{Cost, Price};
///
/// let price = Price::per_million_usd(0.15, 0.60);
/// assert_eq!(price.of(Usage::new(10_000, 1_000)), Cost::from_usd(0.0021));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    prompt: Cost,
    completion: Cost,
    cached: Cost,
}

impl Price {
    /// Makes a price from dollars per million tokens of prompt and of answer; cached prompt tokens cost as others.
    pub fn per_million_usd(prompt: f64, completion: f64) -> Self {
        let prompt = Cost::from_usd(prompt);
        Self { prompt, completion: Cost::from_usd(completion), cached: prompt }
    }

    /// Sets the dollars per million prompt tokens that the server had cached.
    #[must_use]
    pub fn with_cached_usd(mut self, cached: f64) -> Self {
        self.cached = Cost::from_usd(cached);
        self
    }

    /// Tells how many tokens of answer `money` buys.
    pub(crate) fn affordable(&self, money: Cost) -> u64 {
        let tokens = u128::from(money.0) * 1_000_000 / u128::from(self.completion.0.max(1));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// Tells what `usage` costs, rounded up to a millionth of a dollar.
    pub fn of(&self, usage: Usage) -> Cost {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let parts = [
            (usage.prompt_tokens - cached, self.prompt),
            (cached, self.cached),
            (usage.completion_tokens, self.completion),
        ];
        let sum: u128 = parts.iter().map(|(tokens, each)| u128::from(*tokens) * u128::from(each.0)).sum();
        Cost(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// The most that one extraction may spend over all its attempts, re-asks and chunks included.
///
/// Each limit is off unless set. Calls and time are checked before every call; tokens and money before every call
/// against what was used and what the next prompt is estimated to need, so that a call which cannot be paid for is
/// not made. Time also bounds the call that is under way.
///
/// ```
/// use std::time::Duration;
/// use pumasi_llm_parse::extract::Budget;
///
/// let budget = Budget::unlimited().with_tokens(20_000).with_cost_usd(0.02).with_calls(4).with_time(Duration::from_secs(60));
/// assert_eq!(budget.tokens(), Some(20_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    tokens: Option<u64>,
    cost: Option<Cost>,
    calls: Option<u32>,
    time: Option<Duration>,
}

impl Budget {
    /// Makes a budget without limits.
    pub const fn unlimited() -> Self {
        Self { tokens: None, cost: None, calls: None, time: None }
    }

    /// Limits the tokens of all prompts and answers together.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Limits the money, in US dollars; needs a [`Price`] on the extractor.
    #[must_use]
    pub fn with_cost_usd(mut self, dollars: f64) -> Self {
        self.cost = Some(Cost::from_usd(dollars));
        self
    }

    /// Limits the calls of the model.
    #[must_use]
    pub const fn with_calls(mut self, calls: u32) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Limits the time from the beginning of the extraction to its end.
    #[must_use]
    pub const fn with_time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Returns the limit of tokens.
    pub const fn tokens(&self) -> Option<u64> {
        self.tokens
    }

    /// Returns the limit of money.
    pub const fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// Returns the limit of calls.
    pub const fn calls(&self) -> Option<u32> {
        self.calls
    }

    /// Returns the limit of time.
    pub const fn time(&self) -> Option<Duration> {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_priced_apart_and_never_twice() {
        let price = Price::per_million_usd(1.0, 2.0).with_cached_usd(0.1);
        let mut usage = Usage::new(1_000_000, 500_000);
        usage.cached_tokens = 400_000;
        assert_eq!(price.of(usage), Cost::from_usd(0.6 + 0.04 + 1.0));
        let mut odd = Usage::new(3, 0);
        odd.cached_tokens = 9;
        assert_eq!(price.of(odd), Cost::from_micro_usd(1));
    }

    #[test]
    fn money_saturates_instead_of_wrapping() {
        let price = Price::per_million_usd(1e12, 1e12);
        assert_eq!(price.of(Usage::new(u64::MAX, u64::MAX)).as_micro_usd(), u64::MAX);
        assert_eq!(Cost::from_usd(f64::NAN), Cost::ZERO);
        assert_eq!(Cost::from_usd(-1.0), Cost::ZERO);
    }
}
