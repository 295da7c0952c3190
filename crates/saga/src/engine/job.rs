//! One saga in the hands of this engine.

use std::sync::{Arc, Weak};
use std::time::Instant;

use pumasi_core::event::Envelope;
use pumasi_core::time::Timestamp;

use super::{Core, check_definition};
use crate::Result;
use crate::definition::erased::recordable;
use crate::definition::{UnitKind, Untyped};
use crate::machine::record::{self, Note};
use crate::machine::{
    self, Audit, Cause, Command, Input, Moment, Outcome, Phase, Reception, State, UnitStatus,
};
use crate::planted::{self, Bug};
use crate::store::{Commit, Head, Lease, SagaId, Status, Stored, StoredSignal, WorkerId};

/// How many records a log has before it is written anew.
const COMPACT_AFTER: usize = 64;
/// Up to how many bytes, about, a log is written anew: one record has to hold it.
const MAX_COMPACT: usize = 8 << 20;

pub(super) struct Job<App> {
    pub(super) definition: Arc<Untyped<App>>,
    pub(super) id: SagaId,
    pub(super) key: Arc<str>,
    pub(super) state: State,
    pub(super) lease: Lease,
    pub(super) signals: Vec<StoredSignal>,
    pub(super) created_at: Timestamp,
    /// What was under way when it was taken over.
    pub(super) resumed: Vec<Command>,
    /// The store's version: that of the last record it has.
    version: u64,
    records: usize,
    /// Something changed since the last commit, and for what.
    dirty: Option<Note>,
    consumed: Vec<u64>,
    events: Vec<Envelope>,
    /// Something was committed by this job.
    pub(super) committed: bool,
    /// Something was recorded by this job.
    pub(super) recorded: bool,
    /// It was begun anew, which is not recorded yet.
    pub(super) is_begun_anew: bool,
    /// When it was recorded, by the store's clock, that it was begun anew here.
    pub(super) begun_anew_at: Option<Timestamp>,
    /// Whom it waits for, as is told of it; nothing if that is not known here.
    awaits: Option<Arc<str>>,
    /// Until when it is kept although it has ended.
    pub(super) kept: Option<Timestamp>,
    /// The call of its parent's that it is driven for.
    looked_at: Weak<()>,
    /// When each unit was begun here.
    pub(super) began: Vec<(usize, Instant)>,
    /// How far the saga has been counted.
    pub(super) counted: Counted,
}

/// What of a saga the metrics have been told.
#[derive(Default)]
pub(super) struct Counted {
    /// The run whose begin was counted.
    pub(super) run: Option<u32>,
    /// Whether each unit was done at the last record.
    pub(super) done: Vec<bool>,
}

impl Counted {
    fn of(state: &State) -> Self {
        let done = state.units.iter().map(|unit| unit.status == UnitStatus::Done).collect();
        Self { run: Some(state.run), done }
    }
}

impl<App> Job<App> {
    /// Begins a new saga.
    pub(super) fn create(definition: Arc<Untyped<App>>, id: SagaId, key: Arc<str>, now: Timestamp) -> Self {
        let plan = &definition.plan;
        let state = State::new(plan.version, definition.fingerprint, plan.units.len());
        let epoch = u64::try_from(now.as_micros()).unwrap_or(1).max(1);
        Self {
            definition,
            id,
            key,
            state,
            lease: Lease::Take(epoch),
            signals: Vec::new(),
            created_at: now,
            resumed: Vec::new(),
            version: 0,
            records: 0,
            dirty: None,
            consumed: Vec::new(),
            events: Vec::new(),
            committed: false,
            recorded: false,
            is_begun_anew: false,
            begun_anew_at: None,
            awaits: None,
            kept: None,
            looked_at: Weak::new(),
            began: Vec::new(),
            counted: Counted::default(),
        }
    }

    /// Takes over a saga as the store has it.
    ///
    /// # Errors
    ///
    /// `Protocol` if its log is damaged, `Unsupported` if this code does not know how to go on with it.
    pub(super) fn open(definition: Arc<Untyped<App>>, stored: Stored, lease: Lease) -> Result<Self> {
        let log = record::read(&stored.log, stored.version)?;
        check_definition(&definition, &log.state)?;
        let awaits = stored.head.reason.filter(|_| machine::rests_at_child(&definition.plan, &log.state));
        Ok(Self {
            definition,
            id: stored.head.id,
            key: stored.head.key,
            recorded: false,
            is_begun_anew: false,
            begun_anew_at: None,
            awaits,
            kept: None,
            looked_at: Weak::new(),
            resumed: machine::in_flight(&log.state),
            counted: Counted::of(&log.state),
            state: log.state,
            lease,
            signals: stored.signals,
            created_at: stored.created_at,
            version: stored.version,
            records: log.records,
            dirty: None,
            consumed: Vec::new(),
            events: Vec::new(),
            committed: false,
            began: Vec::new(),
        })
    }

    /// Works an input in.
    ///
    /// # Errors
    ///
    /// As the state machine's; nothing is changed then.
    pub(super) fn apply(&mut self, note: Note, input: Input, moment: Moment) -> Result<Outcome> {
        let undone = match &input {
            Input::Undone { unit, settled } => settled.reason().map(|reason| (*unit, Arc::clone(reason))),
            _ => None,
        };
        let is_restart = matches!(input, Input::Restart(_));
        let outcome = machine::step(&self.definition.plan, &mut self.state, input, moment)?;
        self.is_begun_anew |= is_restart;
        if let Some((unit, reason)) = undone
            && self.state.status(unit) == UnitStatus::UndoFailed
        {
            let step = self.definition.plan.units.get(unit).map_or("", |unit| &*unit.name);
            tracing::warn!(saga = %self.id, step, reason = &*reason, "a compensation is exhausted");
        }
        if outcome.reception != Some(Reception::Duplicate) {
            self.dirty = Some(note);
        }
        if outcome.dropped > 0 {
            tracing::warn!(saga = %self.id, signals = outcome.dropped, "a saga has ended with signals that nothing handles");
            self.count_signals("dropped", outcome.dropped);
        }
        Ok(outcome)
    }

    /// Has the state recorded although nothing changed in it.
    pub(super) fn touch(&mut self, note: Note) {
        self.dirty = Some(note);
    }

    /// Has it recorded who did what, and why.
    pub(super) fn audit(&mut self, action: &str, who: &Arc<str>, why: &Arc<str>, at: Timestamp) {
        let step = self.step_name();
        let (who, why) = (Arc::clone(who), Arc::clone(why));
        self.state.audits.push(Audit { action: Arc::from(action), who, why, step, at });
        self.dirty.get_or_insert(Note::Operator);
    }

    /// Makes a new saga one that was cancelled before anything was done.
    pub(super) fn never_begin(&mut self, who: &Arc<str>, why: &Arc<str>, at: Timestamp) {
        self.audit("cancel", who, why, at);
        self.state.phase = Phase::Compensated;
        self.state.cause = Some(Cause { unit: None, reason: Arc::from("cancelled") });
    }

    /// Takes over the signals that came since, but for those that are done with and not yet recorded so.
    pub(super) fn hear(&mut self, signals: Vec<StoredSignal>) {
        self.signals = signals;
        self.signals.retain(|signal| !self.consumed.contains(&signal.seq));
    }

    /// Tells whether a unit is another saga: there is nobody else to be asked what became of it.
    pub(super) fn is_child(&self, unit: usize) -> bool {
        self.definition.plan.units.get(unit).is_some_and(|unit| unit.kind == UnitKind::Child)
    }

    /// Says whom the saga waits for: a child, and how that stands.
    pub(super) fn wait_for(&mut self, child: Option<Arc<str>>) {
        let cause = self.state.cause.as_ref().map(|cause| &cause.reason);
        self.awaits = child.map(|child| match cause {
            Some(cause) => recordable(&format!("{child}; {cause}")),
            None => child,
        });
    }

    /// Has the saga look after its child now.
    pub(super) fn wake(&mut self, now: Timestamp) {
        for unit in 0..self.state.units.len() {
            let is_later = self.state.unit(unit).at.is_some_and(|at| at > now);
            let rests = matches!(self.state.status(unit), UnitStatus::Backoff | UnitStatus::UndoBackoff);
            if is_later && rests && self.is_child(unit) {
                machine::look_again(&mut self.state, unit, now);
            }
        }
    }

    /// The parent of this saga is the one who has it driven, and hears what comes of it as long as its call waits.
    pub(super) fn looked_at_by(&mut self, call: Option<&Arc<()>>) {
        self.looked_at = call.map_or_else(Weak::new, Arc::downgrade);
    }

    pub(super) fn is_looked_at(&self) -> bool {
        self.looked_at.strong_count() > 0
    }

    /// Returns the lease under which something was recorded.
    pub(super) fn held(&self) -> Option<Lease> {
        self.is_held().then_some(self.lease)
    }

    /// Returns what `restore` takes.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { state: self.state.clone(), version: self.version, records: self.records }
    }

    /// Goes back to where the job was before a commit that turned out not to have been stored.
    pub(super) fn restore(&mut self, before: Checkpoint) {
        self.state = before.state;
        self.version = before.version;
        self.records = before.records;
        self.events.clear();
    }

    pub(super) fn consume(&mut self, seq: u64) {
        self.consumed.push(seq);
    }

    pub(super) fn publish(&mut self, events: Vec<Envelope>) {
        self.events.extend(events);
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.is_some() || !self.consumed.is_empty()
    }

    /// Tells whether somebody has to be told that this job is over: the store thinks that it is held.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.lease, Lease::Held(_))
    }

    pub(super) fn step_name(&self) -> Arc<str> {
        let unit = machine::stands_at(&self.definition.plan, &self.state);
        let unit = unit.and_then(|unit| self.definition.plan.units.get(unit));
        unit.map_or_else(|| Arc::from(""), |unit| Arc::clone(&unit.name))
    }

    /// Names the moment between this record and the next in the saga's trace: where it rests, and from where it goes on.
    pub(super) fn rest(&self) -> String {
        self.id.span_id(&format!("rest/{}", self.version))
    }

    fn head(&self) -> Head {
        let plan = &self.definition.plan;
        let reason = self.state.stuck.as_ref().map(|(_, reason)| Arc::clone(reason));
        let awaits = self.awaits.as_ref().filter(|_| machine::rests_at_child(plan, &self.state));
        let reason = reason.or_else(|| awaits.map(Arc::clone));
        let reason = reason.or_else(|| self.state.cause.as_ref().map(|cause| Arc::clone(&cause.reason)));
        let tried = machine::stands_at(plan, &self.state).and_then(|unit| self.state.why_again(unit));
        let reason = reason.or_else(|| tried.map(Arc::clone));
        Head {
            id: self.id,
            saga: Arc::clone(&plan.saga),
            definition: plan.version,
            key: Arc::clone(&self.key),
            status: machine::status(&self.state),
            step: self.step_name(),
            due: self.state.due().or(self.kept),
            reason,
        }
    }

    /// Makes the commit of everything since the last one; `holds` says whether this engine goes on.
    pub(super) fn commit(&mut self, worker: WorkerId, now: Timestamp, holds: bool, forget: bool) -> Commit {
        let expected = self.version;
        let record = match self.dirty.take() {
            Some(note) => {
                if self.records >= COMPACT_AFTER && record::size(&self.state) <= MAX_COMPACT {
                    record::compact(&mut self.state);
                }
                self.recorded = true;
                let base = self.state.delta.base;
                self.records = if base { 1 } else { self.records + 1 };
                (record::write(&mut self.state, note, now), base)
            }
            None => (Vec::new(), false),
        };
        self.version = self.state.version;
        let commit = Commit {
            head: self.head(),
            worker,
            lease: self.lease,
            expected,
            version: self.version,
            token: fastrand::u64(..),
            record: record.0,
            replaces: record.1,
            holds,
            forgets: forget
                && !holds
                && self.kept.is_none()
                && (self.state.is_final() || planted::is(Bug::ForgetsWhatGoesOn)),
            consumed: std::mem::take(&mut self.consumed),
            events: std::mem::take(&mut self.events),
        };
        self.lease = Lease::Held(self.lease.epoch());
        commit
    }
}

/// Where a job was.
pub(super) struct Checkpoint {
    state: State,
    version: u64,
    records: usize,
}

impl<App> Core<App> {
    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.now(), chance: self.options.random.unit() }
    }

    /// Makes the commit that puts a saga aside which this code cannot drive.
    pub(super) fn parking(&self, stored: &Stored, lease: Lease, reason: Arc<str>) -> Commit {
        let head = Head { status: Status::Parked, due: None, reason: Some(reason), ..stored.head.clone() };
        self.new_head(stored, lease, head)
    }

    /// Makes the commit that changes nothing of a saga but its head.
    pub(super) fn new_head(&self, stored: &Stored, lease: Lease, head: Head) -> Commit {
        Commit {
            head,
            worker: self.worker,
            lease,
            expected: stored.version,
            version: stored.version,
            token: fastrand::u64(..),
            record: Vec::new(),
            replaces: false,
            holds: false,
            forgets: false,
            consumed: Vec::new(),
            events: Vec::new(),
        }
    }
}
