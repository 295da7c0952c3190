//! What people decide about sagas, as it comes over the wire.

use std::fmt;
use std::sync::Arc;

use pumasi_saga::{Decision, Result};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;

/// What may be decided about the sagas of a service.
pub trait Verdict {
    /// Makes the decision; `value` is what a step that is forced to be done has made.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the value is too large.
    fn decision(self, value: Option<Value>, who: Arc<str>, why: &str) -> Result<Decision>;
}

/// A decision and its reason. Who decides is the token's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDecision<V> {
    decision: V,
    /// Why; it is recorded.
    #[schema(min_length = 1, max_length = 500)]
    why: String,
    /// The step at which it was seen to stand: where it stands at another one by now, the decision is a 409.
    #[serde(default)]
    at: Option<String>,
    /// What a step that is forced to be done has made, as JSON.
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

/// Leaves out what somebody wrote.
impl<V> fmt::Debug for NewDecision<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDecision").finish_non_exhaustive()
    }
}

impl<V: Verdict> NewDecision<V> {
    /// The decision as somebody's, bound to the step that was seen.
    ///
    /// # Errors
    ///
    /// A 422 if there is no reason, or a value that is too large.
    pub fn by(self, who: &Arc<str>) -> Result<Decision, Problem> {
        let why = reason(&self.why)?;
        let decision = self.decision.decision(self.value, Arc::clone(who), why)?;
        Ok(match self.at {
            Some(step) => decision.at(step),
            None => decision,
        })
    }
}

/// Checks the reason of a decision, and returns it trimmed.
///
/// # Errors
///
/// A 422 that says what it may be.
pub fn reason(why: &str) -> Result<&str, Problem> {
    let why = why.trim();
    if why.is_empty() || why.chars().count() > 500 || why.chars().any(char::is_control) {
        return Err(Problem::invalid("a decision has a reason, of 1 to 500 characters in a line"));
    }
    Ok(why)
}
