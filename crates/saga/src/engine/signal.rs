//! Answers and events on their way to a saga.

use std::fmt;
use std::sync::Arc;

use super::job::Job;
use super::operator::{self, Left, ORDER, check_value};
use super::{Core, child};
use crate::definition::{Plan, UnitKind};
use crate::machine::record::Note;
use crate::machine::{Command, Input, Reception};
use crate::planted::{self, Bug};
use crate::step::Answer;
use crate::{Error, ErrorKind, Result};

/// An answer or an event, with the id by which doubles are recognised.
///
/// An [`Answer`] becomes one by itself. Without an id of its own it is *the* answer to its wait: the second one is a double of
/// the first. What comes from a partner carries the partner's id, so that what is delivered twice is taken once and two
/// payments are two.
///
/// For how long doubles are recognised: the id of a signal that a wait took, or that is kept for one, for as long as the saga's record
/// is kept; of the signals that no wait took any more, those of the last 1,000 of a saga. The double of an older one comes to its
/// [late handler](crate::Late) once more, under the same [key](crate::Cx::idempotency_key) as the first time.
///
/// ```
/// use pumasi_saga::{Answer, Signal};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct PaymentCompleted { amount: u64 }
/// impl Answer for PaymentCompleted { const NAME: &'static str = "payment_completed"; }
///
/// let from_webhook = Signal::from(PaymentCompleted { amount: 35_000 }).with_id("evt_7f3a");
/// let from_endpoint = Signal::json("payment_completed", &serde_json::json!({ "amount": 35_000 }));
/// # let _ = (from_webhook, from_endpoint);
/// ```
#[derive(Clone)]
pub struct Signal {
    pub(super) name: Arc<str>,
    pub(super) id: Option<Arc<str>>,
    /// As JSON, at most 1 MiB, or what is wrong with it.
    pub(super) payload: std::result::Result<Arc<[u8]>, Arc<str>>,
}

impl Signal {
    /// Makes one from JSON, for an endpoint that serves all answers of a saga; it is checked against the answer's type when it is
    /// delivered.
    pub fn json(name: impl Into<Arc<str>>, payload: &serde_json::Value) -> Self {
        Self { name: name.into(), id: None, payload: Ok(Arc::from(payload.to_string().into_bytes())) }
    }

    /// Sets the id, at most 200 bytes.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Returns what kind of signal it is.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<A: Answer> From<A> for Signal {
    fn from(answer: A) -> Self {
        let payload = answer.check().map_err(Arc::from).and_then(|()| {
            serde_json::to_vec(&answer).map(Arc::from).map_err(|_| Arc::from("it cannot be written as JSON"))
        });
        Self { name: Arc::from(A::NAME), id: None, payload }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

/// What became of a signal that was handed over without waiting for its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// It is kept, and will be looked at.
    Kept,
    /// It was there already.
    Duplicate,
    /// The saga has ended, and no [late handler](crate::Late) takes such a signal any more: it is not kept.
    Unwanted,
}

/// The wait that a signal is for.
pub(super) fn wait_for(plan: &Plan, name: &str) -> Result<usize> {
    let wait =
        plan.unit(name).filter(|unit| plan.units.get(*unit).is_some_and(|unit| unit.kind == UnitKind::Wait));
    wait.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("saga {} does not wait for any {name}", plan.saga))
    })
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Works in the signals that the store kept.
    pub(super) fn take_signals(&self, job: &mut Job<App>) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        for signal in std::mem::take(&mut job.signals) {
            job.consume(signal.seq);
            if &*signal.name == ORDER {
                commands.extend(self.take_order(job, signal.id, &signal.payload));
                continue;
            }
            if &*signal.name == child::WAKE {
                job.wake(self.now());
                continue;
            }
            let Ok(unit) = wait_for(&job.definition.plan, &signal.name) else {
                tracing::warn!(saga = %job.id, signal = &*signal.name, "a signal is for a wait that the saga does not have");
                job.count_signals("unknown", 1);
                continue;
            };
            let is_belated = job.is_belated(&signal);
            let (id, payload) = (signal.id, Arc::from(signal.payload));
            let input = if is_belated {
                Input::Belated { unit, id, payload }
            } else {
                Input::Signal { unit, id, payload, at: signal.at }
            };
            let outcome = job.apply(Note::Signal, input, self.moment())?;
            Self::count_reception(job, outcome.reception);
            commands.extend(outcome.commands);
        }
        Ok(commands)
    }

    /// Carries out what an operator decided while the saga was being driven; what does not fit any more is recorded as refused.
    fn take_order(&self, job: &mut Job<App>, id: Arc<str>, payload: &[u8]) -> Vec<Command> {
        if planted::is(Bug::LeftDecisionIsDropped) {
            return Vec::new();
        }
        let left = match operator::read(payload) {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(error = %error, saga = %job.id, "an operator's decision is dropped");
                return Vec::new();
            }
        };
        let (decision, decided) = match left {
            Left::Undo(undone) => (child::undoing(), self.undo_for(job, &undone)),
            Left::Decision(decision) => {
                let decided = check_value(&job.definition, &job.state, &decision)
                    .and_then(|()| job.apply(Note::Operator, decision.input(), self.moment()))
                    .map(|outcome| outcome.commands);
                (decision, decided)
            }
        };
        decided.unwrap_or_else(|error| {
            tracing::warn!(error = %error, saga = %job.id, "an operator's decision came too late");
            let action = format!("refused: {}", decision.order.name());
            job.audit(&action, &decision.who, &decision.why, self.now());
            // Which it was, for whoever left it.
            job.state.see_surplus(id);
            Vec::new()
        })
    }

    pub(super) fn count_reception(job: &Job<App>, reception: Option<Reception>) {
        let what = match reception {
            Some(Reception::Taken) => "taken",
            Some(Reception::Kept) => "kept",
            Some(Reception::Duplicate) => "duplicate",
            Some(Reception::Late) => "late",
            Some(Reception::Dropped) => {
                tracing::warn!(saga = %job.id, "a signal came that nobody wants any more");
                "dropped"
            }
            None => return,
        };
        job.count_signals(what, 1);
    }
}

impl<App> Job<App> {
    pub(super) fn count_signals(&self, reception: &'static str, count: u64) {
        count_signals(&self.definition.plan, reception, count);
    }
}

pub(super) fn count_signals(plan: &Plan, reception: &'static str, count: u64) {
    let saga = Arc::clone(&plan.saga);
    metrics::counter!("saga_signals_total", "saga" => saga, "reception" => reception).increment(count);
}
