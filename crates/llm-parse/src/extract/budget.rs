//! What an extraction may spend.

use std::time::Duration;

use pumasi_core::model::Cost;
use serde::{Deserialize, Serialize};

/// The most that one extraction may spend over all its attempts, re-asks and chunks included.
///
/// Each limit is off unless set. Calls and time are checked before every call; tokens and money before every call
/// against what was used and what the next prompt is estimated to need, so that a call which cannot be paid for is
/// not made. Time also bounds the call that is under way.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::model::Cost;
/// use pumasi_llm_parse::extract::Budget;
///
/// let budget = Budget::unlimited()
///     .with_tokens(20_000)
///     .with_cost(Cost::from_micros(20_000)) // two US cents
///     .with_calls(4)
///     .with_time(Duration::from_secs(60));
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

    /// Limits the money; needs a [`Price`](pumasi_core::model::Price) on the extractor.
    #[must_use]
    pub const fn with_cost(mut self, cost: Cost) -> Self {
        self.cost = Some(cost);
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
