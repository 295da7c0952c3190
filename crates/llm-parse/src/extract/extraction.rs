//! What an extraction gives back: the value, and how it came about.

use std::time::Duration;

use pumasi_core::model::{Cost, Usage};
use serde::{Deserialize, Serialize};

use crate::Report;

use super::{ExtractErrorKind, Failure, Grounded, Origins};

/// In what form a model was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AskMode {
    /// With the JSON Schema as the response format.
    JsonSchema,
    /// With a tool whose arguments are the value.
    ToolCall,
    /// With "some JSON object" as the response format, and the schema in the prompt.
    JsonObject,
    /// With the schema in the prompt only.
    Text,
}

impl AskMode {
    /// Names the mode in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonSchema => "json_schema",
            Self::ToolCall => "tool_call",
            Self::JsonObject => "json_object",
            Self::Text => "text",
        }
    }
}

/// What an attempt was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptKind {
    /// The first question.
    Ask,
    /// A question for the parts that failed.
    Reask,
    /// An answer out of the cache; no call was made.
    Cached,
    /// Rules without a model; no call was made.
    Rules,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The whole answer was taken.
    Accepted,
    /// A part was taken; these places were not.
    Partial {
        /// The places that were turned down.
        failures: Vec<Failure>,
    },
    /// Nothing was taken.
    Rejected {
        /// Why.
        reason: ExtractErrorKind,
        /// The places that were turned down, where there was a value at all.
        failures: Vec<Failure>,
    },
    /// The call failed, so that there was nothing to take.
    Failed {
        /// Why.
        reason: ExtractErrorKind,
    },
}

/// One call of the model (or an answer that saved one): form, cost, time and outcome; never a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// What it was for.
    pub kind: AttemptKind,
    /// In what form the model was asked.
    pub mode: AskMode,
    /// The model, as it names itself.
    pub model: String,
    /// Which part of a long source it was about, from 0; `None` if the source was asked about as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// The tokens used: the server's count, or an estimate (see `usage_estimated`).
    pub usage: Usage,
    /// Whether `usage` is estimated, because the server did not report it or the call broke off.
    #[serde(default)]
    pub usage_estimated: bool,
    /// What it cost, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// How long it took.
    pub elapsed: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What was repaired in its answer; spans are bytes of that answer. Not read back from JSON.
    #[serde(default, skip_deserializing)]
    pub report: Report,
}

impl Attempt {
    /// Makes the record of an attempt that used nothing and was taken as a whole.
    pub fn new(kind: AttemptKind, mode: AskMode, model: impl Into<String>) -> Self {
        Self {
            kind,
            mode,
            model: model.into(),
            chunk: None,
            usage: Usage::default(),
            usage_estimated: false,
            cost: None,
            elapsed: Duration::ZERO,
            outcome: AttemptOutcome::Accepted,
            report: Report::default(),
        }
    }

    /// Tells whether a model was called.
    pub const fn is_call(&self) -> bool {
        matches!(self.kind, AttemptKind::Ask | AttemptKind::Reask)
    }

    /// Sets how long it took.
    #[must_use]
    pub fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }
}

/// Tells whether a reason for an incomplete value lies in the source itself, so that no other run would find more.
pub(crate) const fn lasts(reason: ExtractErrorKind) -> bool {
    matches!(reason, ExtractErrorKind::ContextTooLong | ExtractErrorKind::Refused)
}

/// Adds up the tokens of `attempts`.
pub(crate) fn total_usage(attempts: &[Attempt]) -> Usage {
    let mut usage = Usage::default();
    for attempt in attempts {
        usage += attempt.usage;
    }
    usage
}

/// Adds up the cost of `attempts`; `None` if no price is known.
pub(crate) fn total_cost(attempts: &[Attempt]) -> Option<Cost> {
    attempts.iter().filter_map(|attempt| attempt.cost).reduce(|all, one| all + one)
}

/// A typed value out of a source, with everything that is known about how it came about.
///
/// A value found by rules has attempts of the kind [`AttemptKind::Rules`]; one out of the cache has
/// [`AttemptKind::Cached`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Extraction<T> {
    /// The value.
    pub value: T,
    /// Where its quotes stand in the source.
    pub grounding: Grounded,
    /// The places that were left out of the value, because they stayed wrong.
    pub rejected: Vec<Failure>,
    /// Why what is in `rejected` could not be asked about to the end: `BudgetExhausted`, `ContextTooLong`, `Refused`,
    /// `Unsupported` or `InvalidConfig`. `None` if nothing kept it from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<ExtractErrorKind>,
    /// Every call that was made, oldest first.
    pub attempts: Vec<Attempt>,
    /// The tokens used by all attempts.
    pub usage: Usage,
    /// What all attempts cost, where the price is known.
    pub cost: Option<Cost>,
    /// How much of the value came without repair, coercion or doubt, from 0 to 1.
    pub confidence: f32,
    /// Which prompt (or rule set) and which version of it the value comes from.
    pub version: String,
    /// How places of the value were called in the answers that it comes from.
    #[serde(default, skip_serializing_if = "Origins::is_plain")]
    pub origins: Origins,
}

impl<T> Extraction<T> {
    /// Makes an extraction of `value` by the prompt or rule set `version`: no quotes, no calls, full confidence.
    pub fn new(value: T, version: impl Into<String>) -> Self {
        Self {
            value,
            grounding: Grounded::default(),
            rejected: Vec::new(),
            incomplete: None,
            attempts: Vec::new(),
            usage: Usage::default(),
            cost: None,
            confidence: 1.0,
            version: version.into(),
            origins: Origins::default(),
        }
    }

    /// Sets where the quotes stand.
    #[must_use]
    pub fn with_grounding(mut self, grounding: Grounded) -> Self {
        self.grounding = grounding;
        self
    }

    /// Sets the places that were left out.
    #[must_use]
    pub fn with_rejected(mut self, rejected: Vec<Failure>) -> Self {
        self.rejected = rejected;
        self
    }

    /// Sets why some of the places that were left out could not be asked about to the end.
    #[must_use]
    pub fn with_incomplete(mut self, reason: ExtractErrorKind) -> Self {
        self.incomplete = Some(reason);
        self
    }

    /// Sets the calls that were made, and with them the usage and the cost.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.usage = total_usage(&attempts);
        self.cost = total_cost(&attempts);
        self.attempts = attempts;
        self
    }

    /// Sets the confidence, held within 0 and 1; NaN counts as 0.
    #[must_use]
    pub fn with_confidence(mut self, confidence: f32) -> Self {
        self.confidence = if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0) };
        self
    }

    /// Turns the value into another one, keeping everything else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Extraction<U> {
        Extraction {
            value: change(self.value),
            grounding: self.grounding,
            rejected: self.rejected,
            incomplete: self.incomplete,
            attempts: self.attempts,
            usage: self.usage,
            cost: self.cost,
            confidence: self.confidence,
            version: self.version,
            origins: self.origins,
        }
    }

    /// Returns every repair of every answer that the value comes from; spans are bytes of the answer they belong to.
    pub fn repairs(&self) -> impl Iterator<Item = &crate::Repair> {
        self.attempts.iter().flat_map(|attempt| &attempt.report.repairs)
    }

    /// Tells whether another run would find no more, so that the value may be kept: not where a budget ended it, or a setting.
    pub fn is_final(&self) -> bool {
        self.incomplete.is_none_or(lasts)
    }

    /// Tells whether the value came without any call of a model.
    pub fn is_offline(&self) -> bool {
        self.attempts.iter().all(|attempt| matches!(attempt.kind, AttemptKind::Cached | AttemptKind::Rules))
    }
}
