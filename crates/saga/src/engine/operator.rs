//! What an operator decides about a saga.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::child::{self, Undone};
use super::decide::LeftAs;
use super::drive::caught;
use crate::definition::Untyped;
use crate::definition::erased::MAX_VALUE;
use crate::machine::{Input, Order, State, StuckAt, UnitStatus, decides_about};
use crate::{Error, ErrorKind, Result};

/// The name under which decisions travel as signals; no answer is called so.
pub(super) const ORDER: &str = "!order";

/// How long who made a decision, and why, may be, in bytes each.
const MAX_WORDS: usize = 2_000;

/// A decision of an operator, with who made it and why: both are recorded, each at most 2,000 bytes long.
///
/// | decision | when | what it does |
/// |---|---|---|
/// | [`retry`](Self::retry) | `NeedsOperator`, or tried again | tries again what the saga stands at, with a fresh number of attempts; a child that was undone is begun anew |
/// | [`skip`](Self::skip) | `NeedsOperator`, or tried again | passes it over: a step whose output nobody reads, a compensation, whose effect stands then, a late signal |
/// | [`force_done`](Self::force_done) | `NeedsOperator`, or tried again | takes a step as done with this output, a compensation as done |
/// | [`force_failed`](Self::force_failed) | at a pivot whose outcome is not known, or a step up to it that is tried again | takes it as not done: everything is undone |
/// | [`resume_forward`](Self::resume_forward) | at a compensation that failed | goes forward again, making anew what was undone |
/// | [`rollback_to`](Self::rollback_to) | before the pivot | undoes to the savepoint, and goes on from there |
/// | [`cancel`](Self::cancel) | before the pivot; without one also after the end | undoes everything |
///
/// *Tried again*: between two attempts, the decision bound to the step by [`at`](Self::at), so that one which is sent twice meets nothing
/// that would yet be done by itself. [`StepView::tried`](crate::StepView::tried) says why the last attempt was not done. A step before
/// the pivot of which it is not known whether it was done is not skipped, and a child is decided about itself.
#[derive(Clone, Debug)]
pub struct Decision {
    /// How it was left with the saga's driver, if it was.
    pub(super) left: Arc<OnceLock<LeftAs>>,
    pub(super) order: Order,
    pub(super) who: Arc<str>,
    pub(super) why: Arc<str>,
    pub(super) at: Option<Arc<str>>,
    /// It is about the compensation of the step.
    pub(super) undoes: bool,
}

impl Decision {
    fn new(order: Order, who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self { left: Arc::default(), order, who: who.into(), why: why.into(), at: None, undoes: false }
    }

    /// Binds the decision to the [step](super::View::step) that whoever made it saw the saga stand at: where it stands at another one by
    /// now, the decision is refused (`Conflict`). Without it a decision that is sent twice may be carried out at two steps; two late signals of one
    /// wait are one step all the same. What is tried again by itself is decided about only so, be it the step that the saga stands at or one
    /// beside it.
    #[must_use]
    pub fn at(self, step: impl Into<Arc<str>>) -> Self {
        Self { at: Some(step.into()), undoes: false, ..self }
    }

    /// Binds the decision to the compensation of the [step](super::View::step) that the saga was seen to stand at, or to try again: where
    /// it goes forward there by now, the decision is refused (`Conflict`).
    ///
    /// A step and its compensation have one name. What is forced to be done with a value that the step makes, `()` of one that makes
    /// `()`, may have been meant for either; bound by [`at`](Self::at) it is carried out for the step alone.
    #[must_use]
    pub fn at_compensation(self, step: impl Into<Arc<str>>) -> Self {
        Self { undoes: true, ..self.at(step) }
    }

    /// Tries again what the saga stands at.
    pub fn retry(who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self::new(Order::Retry, who, why)
    }

    /// Passes over what the saga stands at. Bound by [`at`](Self::at) it may be a step or its compensation, whichever is tried again by
    /// then; by [`at_compensation`](Self::at_compensation), the latter alone.
    ///
    /// The effect of a step whose compensation is passed over stands: [`Snapshot::not_undone`](crate::Snapshot::not_undone) names it, and a
    /// saga that goes forward again, or is begun anew, asks for it under its old key; under a new one where nobody knows whether the compensation happened.
    /// Who has undone it by hand says so with [`force_done`](Self::force_done).
    pub fn skip(who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self::new(Order::Skip, who, why)
    }

    /// Takes what the saga stands at as done; a step with this output, of at most 1 MiB as JSON. Bound to its step, a compensation is
    /// meant by [`at_compensation`](Self::at_compensation).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the value cannot be written as JSON, or is larger.
    pub fn force_done<T: Serialize>(
        value: &T,
        who: impl Into<Arc<str>>,
        why: impl Into<Arc<str>>,
    ) -> Result<Self> {
        let value = serde_json::to_vec(value)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the value cannot be written as JSON"))?;
        if value.len() > MAX_VALUE {
            return Err(Error::new(ErrorKind::InvalidInput, "the value is larger than 1 MiB as JSON"));
        }
        Ok(Self::new(Order::ForceDone(Arc::from(value)), who, why))
    }

    /// Takes the step that the saga stands at as not done, and undoes what came before it.
    ///
    /// Say so only if you know: what did happen would not be undone.
    pub fn force_failed(who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self::new(Order::ForceFailed, who, why)
    }

    /// Stops the rollback that the saga stands in, and goes forward again.
    ///
    /// What was undone is made anew under new keys; what was not, or was [passed over](Self::skip), or perhaps not done, is asked for again under its old one, also where
    /// it has no compensation. That is
    /// refused while it is not known whether the compensation happened, which might then come after it:
    /// [retry](Self::retry) it until that is known, or choose to [go back](Self::rollback_to) to a savepoint before it first. So is it, and
    /// to go back to a savepoint, while a late signal is being handled of a saga that had completed.
    pub fn resume_forward(who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self::new(Order::ResumeForward, who, why)
    }

    /// Undoes everything behind a savepoint, and goes forward from it under new keys; a step whose outcome nobody knows, and that
    /// nothing undoes, is asked for again under its old one, and so is one whose compensation was [passed over](Self::skip).
    pub fn rollback_to(
        savepoint: impl Into<Arc<str>>,
        who: impl Into<Arc<str>>,
        why: impl Into<Arc<str>>,
    ) -> Self {
        Self::new(Order::RollbackTo(savepoint.into()), who, why)
    }

    /// Undoes everything.
    pub fn cancel(who: impl Into<Arc<str>>, why: impl Into<Arc<str>>) -> Self {
        Self::new(Order::Cancel, who, why)
    }

    /// Refuses a decision of which the record would not tell who made it, or why, or could not hold it.
    pub(super) fn check(&self) -> Result<()> {
        let savepoint = match &self.order {
            Order::RollbackTo(savepoint) => savepoint.len(),
            _ => 0,
        };
        let savepoint = savepoint.max(self.at.as_deref().map_or(0, str::len));
        if savepoint.max(self.who.len()).max(self.why.len()) > MAX_WORDS {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a decision says who and why in 2,000 bytes each",
            ));
        }
        if self.who.trim().is_empty() || self.why.trim().is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a decision says who made it, and why"));
        }
        Ok(())
    }

    pub(super) fn input(&self) -> Input {
        Input::Operator {
            order: self.order.clone(),
            who: Arc::clone(&self.who),
            why: Arc::clone(&self.why),
            at: self.at.clone(),
        }
    }

    /// Writes the decision as a signal's payload.
    pub(super) fn write(&self) -> Vec<u8> {
        let (value, savepoint) = match &self.order {
            Order::ForceDone(value) => (Some(String::from_utf8_lossy(value).into_owned()), None),
            Order::RollbackTo(savepoint) => (None, Some(savepoint.to_string())),
            _ => (None, None),
        };
        let written = Written {
            action: self.order.name().to_owned(),
            value,
            savepoint,
            time: None,
            begun: false,
            parent: None,
            at: self.at.as_deref().map(str::to_owned),
            undoes: self.undoes,
            who: self.who.to_string(),
            why: self.why.to_string(),
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    action: String,
    value: Option<String>,
    savepoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(rename = "ended", default, skip_serializing_if = "std::ops::Not::not")]
    begun: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    undoes: bool,
    who: String,
    why: String,
}

/// What was left with the driver of a saga, beside answers.
pub(super) enum Left {
    Decision(Decision),
    /// A child's parent undoes it, as far as it was made at this time.
    Undo(Undone),
}

const UNDO: &str = "undo_child";

/// Writes that a child is undone, as far as it was made at this time, as a signal's payload.
pub(super) fn write_undo(undone: &Undone) -> Vec<u8> {
    let Decision { who, why, .. } = child::undoing();
    let written = Written {
        action: UNDO.to_owned(),
        value: None,
        savepoint: None,
        time: undone.by.as_deref().map(str::to_owned),
        begun: undone.begun,
        parent: undone.parent.as_deref().map(str::to_owned),
        at: None,
        undoes: false,
        who: who.to_string(),
        why: why.to_string(),
    };
    serde_json::to_vec(&written).unwrap_or_default()
}

/// Reads what travelled as a signal.
pub(super) fn read(payload: &[u8]) -> Result<Left> {
    let unreadable = || Error::new(ErrorKind::Protocol, "an operator's decision cannot be read");
    let written: Written = serde_json::from_slice(payload).map_err(|_| unreadable())?;
    let order = match written.action.as_str() {
        "retry" => Order::Retry,
        "skip" => Order::Skip,
        "force_done" => Order::ForceDone(Arc::from(written.value.ok_or_else(unreadable)?.into_bytes())),
        "force_failed" => Order::ForceFailed,
        "resume_forward" => Order::ResumeForward,
        "rollback_to" => Order::RollbackTo(Arc::from(written.savepoint.ok_or_else(unreadable)?)),
        "cancel" => Order::Cancel,
        UNDO => {
            let (by, parent) = (written.time.map(Arc::from), written.parent.map(Arc::from));
            let begun = written.begun;
            return Ok(Left::Undo(Undone { by, begun, parent, epoch: None, version: None }));
        }
        _ => return Err(unreadable()),
    };
    let decision = Decision::new(order, written.who, written.why);
    Ok(Left::Decision(Decision { at: written.at.map(Arc::from), undoes: written.undoes, ..decision }))
}

/// Checks that a forced value is what the step makes, and that a decision about a step does not come to its compensation, nor the other
/// way round: a saga may have turned since it was made.
pub(super) fn check_value<App>(definition: &Untyped<App>, state: &State, decision: &Decision) -> Result<()> {
    let conflict = |what: &'static str| Err(Error::new(ErrorKind::Conflict, what));
    let about = decides_about(&definition.plan, state, decision.at.as_deref());
    let is_undone = |unit: usize| {
        matches!(state.status(unit), UnitStatus::Undoing | UnitStatus::UndoBackoff | UnitStatus::UndoFailed)
    };
    let named = decision.at.as_deref().and_then(|at| definition.plan.unit(at));
    if decision.undoes && !matches!(about, Some(StuckAt::Undo(_))) && !named.is_some_and(is_undone) {
        return conflict("the saga does not undo the step whose compensation was decided about");
    }
    let Order::ForceDone(value) = &decision.order else { return Ok(()) };
    let (Some(StuckAt::Forward(unit) | StuckAt::Undo(unit)), false) = (about, decision.undoes) else {
        return Ok(());
    };
    let Some(code) = definition.codes.get(unit) else { return Ok(()) };
    let checked = caught(|| code.run.check(value));
    match about {
        Some(StuckAt::Undo(_)) if decision.at.is_some() && checked.is_ok() => {
            conflict("the saga undoes the step by now: bind the decision to its compensation")
        }
        Some(StuckAt::Undo(_)) => Ok(()),
        _ => checked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_that_is_left_says_whether_it_is_about_a_compensation() {
        let decision = Decision::skip("운영자 7", "고객 문의 #12");
        for (decision, undoes) in
            [(decision.clone().at("pay"), false), (decision.at_compensation("pay"), true)]
        {
            let Ok(Left::Decision(read)) = read(&decision.write()) else { panic!("it is a decision") };
            assert_eq!((read.at.as_deref(), read.undoes), (Some("pay"), undoes));
        }
    }
}
