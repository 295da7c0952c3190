//! What is shown of a saga.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pumasi_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decide::Decided;
use super::job::Job;
use super::place;
use crate::definition::erased::Data;
use crate::definition::{AS_NAMED, Look, Looks, Plan, UnitKind, Untyped};
use crate::machine::record::Entry;
use crate::machine::{self, Audit, State, StuckAt, UnitStatus};
use crate::store::{Head, SagaId, Status, Stored};
use crate::{Error, ErrorKind, Result};

/// Where a saga stands, and what it needs next: the answer of the single endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct View {
    /// The saga's id.
    #[serde(serialize_with = "as_text")]
    pub id: SagaId,
    /// Where it stands.
    pub status: Status,
    /// The step that it stands at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Arc<str>>,
    /// The answer that it needs next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Arc<str>>,
    /// Until when, by the store's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Why it went back, or stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// If that step is tried again: why its last attempt was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<Arc<str>>,
    /// How often it was begun anew after it had ended, without an effect that stands because its compensation was
    /// [passed over](crate::Decision::skip): then it goes on in the same run.
    pub run: u32,
    /// If that step is another saga: how that stands, and what it needs next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Box<Self>>,
    /// That, as long as it is not known whether it is there.
    #[serde(skip)]
    pub(super) awaits: Option<Awaited>,
    /// What became of decisions, where nothing else is kept that tells.
    #[serde(skip)]
    pub(super) decided: Option<Arc<Decided>>,
}

/// The saga that a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) id: SagaId,
    /// The step whose child it has to be.
    pub(super) by: Arc<str>,
}

fn as_text<S: serde::Serializer>(id: &SagaId, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl View {
    pub(super) fn of_job<App>(job: &Job<App>) -> Self {
        Self::of(job.id, &job.key, &job.definition, &job.state)
    }

    pub(super) fn of_stored<App>(stored: &Stored, definition: &Untyped<App>, state: &State) -> Self {
        Self::of(stored.head.id, &stored.head.key, definition, state).parked_as(&stored.head)
    }

    /// Shows that the saga is parked, if it is: its own record does not say so.
    pub(super) fn parked_as(mut self, head: &Head) -> Self {
        if head.status == Status::Parked {
            self.status = head.status;
            self.reason.clone_from(&head.reason);
        }
        self
    }

    pub(super) fn of<App>(id: SagaId, key: &str, definition: &Untyped<App>, state: &State) -> Self {
        let plan = &definition.plan;
        let stands_at = machine::stands_at(plan, state);
        let name = |unit: usize| plan.units.get(unit).map(|unit| Arc::clone(&unit.name));
        let open = state.units.iter().position(|unit| unit.status == UnitStatus::Waiting);
        let reason = state.stuck.as_ref().map(|(_, reason)| Arc::clone(reason));
        Self {
            id,
            status: machine::status(state),
            step: stands_at.and_then(name),
            next: open.and_then(name),
            deadline: open.and_then(|unit| state.unit(unit).at),
            reason: reason.or_else(|| state.cause.as_ref().map(|cause| Arc::clone(&cause.reason))),
            tried: stands_at.and_then(|unit| state.why_again(unit)).map(Arc::clone),
            run: state.run,
            child: None,
            awaits: stands_at.and_then(|unit| awaited(id, key, definition, state, unit)),
            decided: None,
        }
    }
}

/// The saga that a unit is.
fn awaited<App>(
    parent: SagaId,
    key: &str,
    definition: &Untyped<App>,
    state: &State,
    unit: usize,
) -> Option<Awaited> {
    let code = definition.codes.get(unit)?;
    let name = &definition.plan.units.get(unit)?.name;
    // The key is made by code of the user's.
    let id = catch_unwind(AssertUnwindSafe(|| code.run.child_id(Data { key, state }))).ok()??;
    Some(Awaited { id, by: place(parent, name) })
}

/// One step of a saga, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepView {
    /// Its name.
    pub name: Arc<str>,
    /// How it stands.
    pub look: Look,
    /// How its compensation stands, once the step is being undone.
    pub undo: Option<Look>,
    /// How often it, or its compensation, was tried.
    pub attempt: u32,
    /// While it, its compensation or its late handler is tried again: why the last attempt was not done.
    pub tried: Option<Arc<str>>,
    /// What nobody knows of it so far.
    pub unknown: Option<Unknown>,
    /// The [key](crate::Cx::step_key) under which its partner is asked for it, so that an operator can ask what became of it.
    pub key: String,
}

/// What of a step ended without anybody knowing how, and is not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unknown {
    /// An attempt to make it: its effect may be there, or come yet.
    Step,
    /// An attempt to undo it: its effect may be gone, or go yet.
    Compensation,
}

/// One record of a saga's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The version that it made.
    pub version: u64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What it was written for: `begun`, `step`, `signal`, ….
    pub what: &'static str,
    /// The steps that it changed, and what they became.
    pub changed: Vec<(Arc<str>, Look)>,
}

/// A saga in full: where every step stands, what operators did, and how it came to this.
///
/// The history goes back to the last time the log was written anew (every 64 records).
pub struct Snapshot {
    /// Where it stands.
    pub view: View,
    /// Every step, in the order of the definition.
    pub steps: Vec<StepView>,
    /// What operators did.
    pub audits: Vec<Audit>,
    /// Its records, oldest first.
    pub history: Vec<HistoryEntry>,
    outputs: Vec<Option<Arc<[u8]>>>,
    /// Of each step: its compensation is exhausted, or was passed over.
    not_undone: Vec<bool>,
    plan: Plan,
}

impl Snapshot {
    pub(super) fn new<App>(
        id: SagaId,
        key: &str,
        definition: &Untyped<App>,
        state: &State,
        history: Vec<Entry>,
    ) -> Self {
        let plan = &definition.plan;
        let look = |unit: usize| look(state, unit);
        let name =
            |unit: usize| plan.units.get(unit).map_or_else(|| Arc::from(""), |it| Arc::clone(&it.name));
        let steps = (0..plan.units.len()).map(|unit| StepView {
            name: name(unit),
            look: look(unit),
            undo: plan.units.get(unit).and_then(|it| it.undo.as_ref()).and_then(|_| undo_look(state, unit)),
            attempt: state.unit(unit).attempt,
            tried: state.why_again(unit).map(Arc::clone),
            unknown: unknown(state, unit, plan),
            key: id.operation_key(state.run, state.unit(unit).round, "", &name(unit)),
        });
        let history = history.into_iter().map(|entry| HistoryEntry {
            version: entry.version,
            at: entry.at,
            what: entry.note.as_str(),
            changed: entry.changed.into_iter().map(|(unit, status)| (name(unit), look_of(status))).collect(),
        });
        // Of another saga the output says before its end that it was begun.
        let has_output = |unit: usize| {
            let is_child = plan.units.get(unit).is_some_and(|it| it.kind == UnitKind::Child);
            !is_child || state.status(unit) == UnitStatus::Done
        };
        let outputs = state.outputs.iter().enumerate();
        let outputs = outputs.map(|(unit, output)| output.clone().filter(|_| has_output(unit)));
        Self {
            view: View::of(id, key, definition, state),
            steps: steps.collect(),
            audits: state.audits.clone(),
            history: history.collect(),
            outputs: outputs.collect(),
            not_undone: state.units.iter().map(|unit| unit.status.is_not_undone()).collect(),
            plan: plan.clone(),
        }
    }

    /// Lists the steps whose compensations are exhausted, for an operator to see to each, and those that an operator has
    /// [passed over](crate::Decision::skip): their effects may stand.
    pub fn not_undone(&self) -> Vec<Arc<str>> {
        let left = self.steps.iter().zip(&self.not_undone).filter(|(_, left)| **left);
        left.map(|(step, _)| Arc::clone(&step.name)).collect()
    }

    /// Reads what a step made, or what was answered; `None` if there is nothing (yet).
    ///
    /// # Errors
    ///
    /// `NotFound` if no step has this name; `InvalidInput` if it is not a `T`.
    pub fn output<T: DeserializeOwned>(&self, step: &str) -> Result<Option<T>> {
        let unit = self.steps.iter().position(|known| &*known.name == step);
        let unit = unit.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no step {step}")))?;
        let output = self.outputs.get(unit).and_then(Option::as_ref);
        output.map(|json| serde_json::from_slice(json)).transpose().map_err(|_| {
            let wanted = std::any::type_name::<T>();
            Error::new(ErrorKind::InvalidInput, format!("what step {step} made is not a {wanted}"))
        })
    }

    /// Draws it as a Mermaid flow chart: what is done, under way, undone and ahead, and which compensations are done or under way.
    pub fn mermaid(&self) -> String {
        self.mermaid_titled(AS_NAMED)
    }

    /// Draws it in Graphviz's DOT.
    pub fn dot(&self) -> String {
        self.dot_titled(AS_NAMED)
    }

    /// Draws it as an SVG picture, as [`Definition::svg`](crate::Definition::svg) does.
    pub fn svg(&self) -> String {
        self.svg_titled(AS_NAMED)
    }

    /// As [`mermaid`](Self::mermaid), under titles in place of the names: these are identifiers, and people read words of their own
    /// language. What there is no title for stays.
    ///
    /// Asked for are the names of the saga, of its steps, of what undoes them and of what takes what is late, and the words `start`,
    /// `end`, `undone by` and `late`.
    ///
    /// ```
    /// # fn show(snapshot: &pumasi_saga::Snapshot) {
    /// let korean = |name: &str| match name {
    ///     "hold_place" => Some("자리 잡기".to_owned()),
    ///     _ => None,
    /// };
    /// println!("{}", snapshot.mermaid_titled(&korean));
    /// # }
    /// ```
    pub fn mermaid_titled(&self, titles: &dyn Fn(&str) -> Option<String>) -> String {
        self.plan.draw_mermaid(|unit| self.looks(unit), titles)
    }

    /// As [`dot`](Self::dot), under titles as in [`mermaid_titled`](Self::mermaid_titled).
    pub fn dot_titled(&self, titles: &dyn Fn(&str) -> Option<String>) -> String {
        self.plan.draw_dot(|unit| self.looks(unit), titles)
    }

    /// As [`svg`](Self::svg), under titles as in [`mermaid_titled`](Self::mermaid_titled).
    pub fn svg_titled(&self, titles: &dyn Fn(&str) -> Option<String>) -> String {
        self.plan.draw_svg(|unit| self.looks(unit), titles)
    }

    fn looks(&self, unit: usize) -> Looks {
        let step = self.steps.get(unit);
        Looks { unit: step.map(|step| step.look), undo: step.and_then(|step| step.undo) }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("view", &self.view)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

fn unknown(state: &State, unit: usize, plan: &Plan) -> Option<Unknown> {
    let it = state.unit(unit);
    let is_child = plan.units.get(unit).is_some_and(|unit| unit.kind == UnitKind::Child);
    if is_child && matches!(it.status, UnitStatus::Backoff | UnitStatus::UndoBackoff) {
        // It goes on by itself, and can be looked at.
        return None;
    }
    let has_undo = plan.units.get(unit).is_some_and(|unit| unit.undo.is_some());
    let what = match it.status {
        UnitStatus::Undoing | UnitStatus::UndoBackoff | UnitStatus::UndoFailed | UnitStatus::UndoSkipped => {
            Unknown::Compensation
        }
        UnitStatus::Idle
        | UnitStatus::Running
        | UnitStatus::Backoff
        | UnitStatus::Unsure
        | UnitStatus::Failed => Unknown::Step,
        UnitStatus::Undone if !has_undo => Unknown::Step,
        UnitStatus::Undone | UnitStatus::Done | UnitStatus::Skipped | UnitStatus::Waiting => return None,
    };
    it.unsure.then_some(what)
}

fn look(state: &State, unit: usize) -> Look {
    let stuck = matches!(state.stuck, Some((StuckAt::Forward(at) | StuckAt::Undo(at), _)) if at == unit);
    if stuck {
        return Look::Stuck;
    }
    look_of(state.status(unit))
}

/// How the compensation of a step stands, if it has come to it.
fn undo_look(state: &State, unit: usize) -> Option<Look> {
    if matches!(state.stuck, Some((StuckAt::Undo(at), _)) if at == unit) {
        return Some(Look::Stuck);
    }
    match state.status(unit) {
        UnitStatus::Undoing | UnitStatus::UndoBackoff => Some(Look::Active),
        UnitStatus::Undone => Some(Look::Done),
        UnitStatus::UndoFailed => Some(Look::Stuck),
        UnitStatus::UndoSkipped => Some(Look::Failed),
        _ => None,
    }
}

fn look_of(status: UnitStatus) -> Look {
    match status {
        UnitStatus::Idle => Look::Ahead,
        UnitStatus::Running
        | UnitStatus::Backoff
        | UnitStatus::Waiting
        | UnitStatus::Unsure
        | UnitStatus::Undoing
        | UnitStatus::UndoBackoff => Look::Active,
        UnitStatus::Done | UnitStatus::Skipped | UnitStatus::UndoSkipped => Look::Done,
        UnitStatus::Failed => Look::Failed,
        UnitStatus::Undone => Look::Undone,
        UnitStatus::UndoFailed => Look::Stuck,
    }
}
