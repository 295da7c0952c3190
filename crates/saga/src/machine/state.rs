//! Where a saga stands.

use std::sync::Arc;

use pumasi_core::time::Timestamp;

/// Which way a saga goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Towards its end.
    Forward,
    /// It will go back to this stage, once what is under way is settled.
    Draining(usize),
    /// Back to this stage.
    Backward(usize),
    /// It ended, done; late signals may still be handled.
    Completed,
    /// It ended, undone; late signals may still be handled.
    Compensated,
}

/// What happened to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnitStatus {
    /// Nothing yet.
    Idle,
    /// Its intent is recorded; its effect may be happening.
    Running,
    /// It is tried again at `at`.
    Backoff,
    /// It waits for a signal, until `at` if there is a deadline.
    Waiting,
    /// Done.
    Done,
    /// Settled without any effect.
    Failed,
    /// Settled without anybody knowing: its compensation will see to it.
    Unsure,
    /// The intent of its compensation is recorded.
    Undoing,
    /// Its compensation is tried again at `at`.
    UndoBackoff,
    /// Undone, or there was nothing to undo.
    Undone,
    /// An operator passed it over.
    Skipped,
    /// Its compensation is exhausted, and others went on.
    UndoFailed,
    /// An operator passed its compensation over: its effect stands.
    UndoSkipped,
}

impl UnitStatus {
    pub(super) const ALL: [Self; 13] = [
        Self::Idle,
        Self::Running,
        Self::Backoff,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Unsure,
        Self::Undoing,
        Self::UndoBackoff,
        Self::Undone,
        Self::Skipped,
        Self::UndoFailed,
        Self::UndoSkipped,
    ];

    /// Tells whether a rollback has come past it, and its effect may stand.
    pub(crate) fn is_not_undone(self) -> bool {
        matches!(self, Self::UndoFailed | Self::UndoSkipped)
    }
}

/// One unit of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) status: UnitStatus,
    /// Of the step while it goes forward, of the compensation while it goes back; the first is 1.
    pub(crate) attempt: u32,
    /// How often the unit was begun anew after it had been undone.
    pub(crate) round: u32,
    /// An attempt of this round had an unknown outcome: one of the step, or one of the compensation once that has begun. Where there is
    /// no compensation, it stays so in a rollback.
    pub(crate) unsure: bool,
    /// When it has to be looked at.
    pub(crate) at: Option<Timestamp>,
}

impl Unit {
    pub(super) const IDLE: Self =
        Self { status: UnitStatus::Idle, attempt: 0, round: 0, unsure: false, at: None };

    /// Tells whether its effect stands for certain, because an operator passed its compensation over.
    pub(super) fn is_passed_over(self) -> bool {
        self.status == UnitStatus::UndoSkipped && !self.unsure
    }
}

/// A signal that came before its wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Early {
    pub(crate) unit: usize,
    pub(crate) id: Arc<str>,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) at: Timestamp,
}

/// A signal that no wait took of a saga that has ended, on its way to its handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) unit: usize,
    pub(crate) id: Arc<str>,
    pub(crate) payload: Arc<[u8]>,
    /// `Running`, `Backoff`, `Done` or `Failed`.
    pub(crate) status: UnitStatus,
    pub(crate) attempt: u32,
    pub(crate) at: Option<Timestamp>,
}

/// What a stuck saga is stuck with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StuckAt {
    /// Making the unit.
    Forward(usize),
    /// Undoing the unit.
    Undo(usize),
    /// Handling the late signal of this number.
    Late(usize),
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// What: `retry`, `skip`, `force_done`, …; `refused: cancel` and the like if it was left with a driver and came too late;
    /// `child_of` of a child, with the id of the saga and the step that it belongs to in place of a reason; `restart` of one that its
    /// parent makes another time, `pass_over` if it undoes that before it came to it.
    pub action: Arc<str>,
    /// Who did it.
    pub who: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// The step that the saga stood at.
    pub step: Arc<str>,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// Why a saga goes back, or stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The unit that it began with; `None` if somebody cancelled.
    pub(crate) unit: Option<usize>,
    pub(crate) reason: Arc<str>,
}

/// The ids of how many signals that no wait took are remembered: as many as a saga keeps signals for later.
pub(crate) const MAX_SURPLUS: usize = 1_000;

/// The whole of a saga: what its records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) definition: u32,
    pub(crate) fingerprint: u32,
    /// The number of its last record.
    pub(crate) version: u64,
    /// How often it was begun anew after it had ended.
    pub(crate) run: u32,
    pub(crate) phase: Phase,
    pub(crate) stage: usize,
    pub(crate) units: Vec<Unit>,
    pub(crate) cause: Option<Cause>,
    pub(crate) stuck: Option<(StuckAt, Arc<str>)>,
    /// The output of each unit, as JSON; of another saga, from when it is known to have been begun.
    pub(crate) outputs: Vec<Option<Arc<[u8]>>>,
    /// The ids of the signals that waits took: as many as the saga has waits, in each run and round.
    pub(crate) seen: Vec<Arc<str>>,
    /// The ids of the last signals that no wait took, at most [`MAX_SURPLUS`]; the oldest first.
    pub(crate) surplus: Vec<Arc<str>>,
    pub(crate) early: Vec<Early>,
    pub(crate) late: Vec<Late>,
    pub(crate) audits: Vec<Audit>,
    /// Of what is tried again: why its last attempt was not done.
    pub(crate) tried: Vec<(StuckAt, Arc<str>)>,
    pub(crate) delta: Delta,
}

/// What changed since the last record, of that which is not written anew each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// The units whose outputs changed.
    pub(crate) outputs: Vec<usize>,
    /// How many ids were seen, and how many audits written, before.
    pub(crate) seen: usize,
    pub(crate) surplus: usize,
    pub(crate) audits: usize,
    /// The lists of signals changed: they are short, and written whole.
    pub(crate) early: bool,
    pub(crate) late: bool,
    /// The state is new, so that its record holds everything.
    pub(crate) base: bool,
}

impl State {
    pub(crate) fn new(definition: u32, fingerprint: u32, units: usize) -> Self {
        Self {
            definition,
            fingerprint,
            version: 0,
            run: 0,
            phase: Phase::Forward,
            stage: 0,
            units: vec![Unit::IDLE; units],
            cause: None,
            stuck: None,
            outputs: vec![None; units],
            seen: Vec::new(),
            surplus: Vec::new(),
            early: Vec::new(),
            late: Vec::new(),
            audits: Vec::new(),
            tried: Vec::new(),
            delta: Delta { base: true, ..Delta::default() },
        }
    }

    /// Returns a unit; an idle one where there is none.
    pub(crate) fn unit(&self, unit: usize) -> Unit {
        self.units.get(unit).copied().unwrap_or(Unit::IDLE)
    }

    pub(crate) fn status(&self, unit: usize) -> UnitStatus {
        self.unit(unit).status
    }

    /// Tells whether an effect stands for certain, because an operator passed its compensation over.
    pub(super) fn is_passed_over(&self) -> bool {
        self.units.iter().any(|unit| unit.is_passed_over())
    }

    /// Tells whether the saga has come to one of its ends, whatever becomes of signals that come late.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Compensated)
    }

    pub(super) fn change(&mut self, unit: usize, change: impl FnOnce(&mut Unit)) {
        if let Some(unit) = self.units.get_mut(unit) {
            change(unit);
        }
    }

    pub(super) fn set_output(&mut self, unit: usize, output: Option<Arc<[u8]>>) {
        if let Some(place) = self.outputs.get_mut(unit) {
            *place = output;
            if !self.delta.outputs.contains(&unit) {
                self.delta.outputs.push(unit);
            }
        }
    }

    pub(crate) fn output(&self, unit: usize) -> Option<&Arc<[u8]>> {
        self.outputs.get(unit).and_then(Option::as_ref)
    }

    pub(super) fn note_tried(&mut self, at: StuckAt, reason: Arc<str>) {
        self.tried.retain(|(known, _)| *known != at);
        self.tried.push((at, reason));
    }

    /// Forgets why attempts were not done of what is not tried again any more.
    pub(super) fn forget_tried(&mut self) {
        let mut tried = std::mem::take(&mut self.tried);
        tried.retain(|(at, _)| match *at {
            StuckAt::Forward(unit) => {
                matches!(self.status(unit), UnitStatus::Backoff | UnitStatus::Running)
            }
            StuckAt::Undo(unit) => {
                matches!(self.status(unit), UnitStatus::UndoBackoff | UnitStatus::Undoing)
            }
            StuckAt::Late(late) => self
                .late
                .get(late)
                .is_some_and(|late| matches!(late.status, UnitStatus::Backoff | UnitStatus::Running)),
        });
        self.tried = tried;
    }

    /// Returns why the last attempt was not done of what is tried again at a unit.
    pub(crate) fn why_again(&self, unit: usize) -> Option<&Arc<str>> {
        let tried = self.tried.iter().find(|(at, _)| self.unit_at(*at) == Some(unit));
        tried.map(|(_, reason)| reason)
    }

    /// Returns the unit that this is about.
    pub(crate) fn unit_at(&self, at: StuckAt) -> Option<usize> {
        match at {
            StuckAt::Forward(unit) | StuckAt::Undo(unit) => Some(unit),
            StuckAt::Late(late) => self.late.get(late).map(|late| late.unit),
        }
    }

    pub(crate) fn has_seen(&self, id: &str) -> bool {
        self.seen.iter().chain(&self.surplus).any(|seen| **seen == *id)
            || self.early.iter().any(|early| *early.id == *id)
    }

    /// Remembers the id of a signal that no wait took, and forgets the oldest beyond [`MAX_SURPLUS`].
    pub(crate) fn see_surplus(&mut self, id: Arc<str>) {
        self.surplus.push(id);
        let excess = self.surplus.len().saturating_sub(MAX_SURPLUS);
        self.surplus.drain(..excess);
        self.delta.surplus = self.delta.surplus.saturating_sub(excess);
    }

    pub(crate) fn is_final(&self) -> bool {
        self.has_ended()
            && self.stuck.is_none()
            && self.late.iter().all(|late| late.status == UnitStatus::Done)
    }

    /// Returns when it has to be looked at, if nothing comes from outside.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        if crate::planted::is(crate::planted::Bug::BackoffIsNeverDue) {
            return None;
        }
        let units = self.units.iter().filter_map(|unit| unit.at);
        units.chain(self.late.iter().filter_map(|late| late.at)).min()
    }
}
