//! The state machine: a saga's state and what happened to it make its next state and what is to be done. It does no I/O, asks
//! no clock and draws no lots: time and chance come with what happened.

mod backward;
mod forward;
mod operator;
pub(crate) mod record;
mod signal;
mod state;

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Retry;
use pumasi_core::resilience::{Backoff, Random};
use pumasi_core::time::Timestamp;

use crate::Result;
use crate::definition::{Plan, Policy, UnitKind, UnitPlan};
use crate::planted::{self, Bug};
use crate::store::Status;
pub(crate) use operator::{Order, check_seen, decides_about};
pub use state::Audit;
pub(crate) use state::{Cause, Early, Late, Phase, State, StuckAt, Unit, UnitStatus};

/// Why a saga goes back whose wait has waited for too long.
pub(crate) const DEADLINE: &str = "deadline";

/// The longest pause that whoever asks for one is given.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Somebody wants the saga.
    Begin,
    /// Somebody wants it again, after it ended so.
    Restart(Ended),
    /// An attempt of a unit ended.
    Settled { unit: usize, settled: Settled },
    /// An attempt to undo a unit ended.
    Undone { unit: usize, settled: Settled },
    /// An attempt to handle a late signal ended.
    Handled { late: usize, settled: Settled },
    /// A signal was delivered at `at`.
    Signal { unit: usize, id: Arc<str>, payload: Arc<[u8]>, at: Timestamp },
    /// A signal was delivered before the saga was begun anew.
    Belated { unit: usize, id: Arc<str>, payload: Arc<[u8]> },
    /// Time passed.
    Tick,
    /// An operator decided, about the step `at` if it is said.
    Operator { order: Order, who: Arc<str>, why: Arc<str>, at: Option<Arc<str>> },
}

/// How a saga has to have ended to be begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Anyhow,
    Undone,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// With its effect, once; for a step, its output as JSON.
    Done(Arc<[u8]>),
    /// Without any effect, now or later.
    Failed { reason: Arc<str>, retry: Retry },
    /// Without any effect so far, which one that is still on its way may yet change.
    NotYet { reason: Arc<str> },
    /// Nobody knows.
    Unknown { reason: Arc<str> },
    /// With its effect, but what it made cannot be recorded: not now, and not if it is asked for again.
    Unrecordable { reason: Arc<str> },
    /// It has been begun, and goes on by itself; with what it makes, as JSON, if it comes to that.
    Begun { output: Arc<[u8]>, reason: Arc<str> },
}

impl Settled {
    /// Returns why it was not done.
    pub(crate) fn reason(&self) -> Option<&Arc<str>> {
        match self {
            Self::Done(_) => None,
            Self::Failed { reason, .. }
            | Self::NotYet { reason }
            | Self::Unknown { reason }
            | Self::Unrecordable { reason }
            | Self::Begun { reason, .. } => Some(reason),
        }
    }
}

/// When it happened, and the lot that was drawn for the jitter of a pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) chance: f64,
}

impl Moment {
    fn after_pause(self, backoff: &Backoff, attempt: u32, retry: Retry) -> Timestamp {
        let drawn = backoff.delay(attempt, &Random::fixed(self.chance));
        let pause = match retry {
            Retry::After(asked) => {
                asked.min(LONGEST_ASKED).saturating_add(backoff.ceiling(1).mul_f64(self.chance)).max(drawn)
            }
            _ => drawn,
        };
        self.now.saturating_add(pause)
    }
}

/// What is to be done, once the new state is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make the unit.
    Run(usize),
    /// Undo the unit.
    Undo(usize),
    /// Hand the late signal of this number to its handler.
    Handle(usize),
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    /// Its wait took it.
    Taken,
    /// It is kept for its wait.
    Kept,
    /// Its id is known.
    Duplicate,
    /// It goes to the handler of late signals.
    Late,
    /// Nobody wants it any more.
    Dropped,
}

/// What an input led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) commands: Vec<Command>,
    pub(crate) reception: Option<Reception>,
    /// How many signals that were kept are given up, because the saga has ended and nothing handles them.
    pub(crate) dropped: u64,
}

/// Makes the next state.
///
/// # Errors
///
/// `Conflict` if an operator's order, or a restart, does not fit the state; nothing is changed then. `InvalidInput` if an order
/// names what the definition does not have.
pub(crate) fn step(plan: &Plan, state: &mut State, input: Input, moment: Moment) -> Result<Outcome> {
    let mut turn = Turn { plan, state, moment, outcome: Outcome::default() };
    match input {
        Input::Begin => turn.enter(0),
        Input::Restart(ended) => turn.restart(ended)?,
        Input::Settled { unit, settled } => turn.settled(unit, settled),
        Input::Undone { unit, settled } => turn.undone(unit, settled),
        Input::Handled { late, settled } => turn.handled(late, settled),
        Input::Signal { unit, id, payload, at } => {
            turn.outcome.reception = Some(turn.signal(Early { unit, id, payload, at }));
        }
        Input::Belated { unit, id, payload } => {
            turn.outcome.reception = Some(turn.belated(unit, id, payload));
        }
        Input::Tick => turn.tick(),
        Input::Operator { order, who, why, at } => turn.order(order, who, why, at.as_deref())?,
    }
    turn.go_on();
    turn.state.forget_tried();
    Ok(turn.outcome)
}

/// Tells whether a signal for this wait would still be taken, kept or handled.
pub(crate) fn wants(plan: &Plan, state: &State, wait: usize) -> bool {
    let has_ended = matches!(state.phase, Phase::Completed | Phase::Compensated);
    !has_ended || plan.units.get(wait).is_some_and(|unit| unit.late.is_some())
}

/// Returns what was under way when the state was recorded: whoever takes a saga over has to find out how it ended.
pub(crate) fn in_flight(state: &State) -> Vec<Command> {
    if planted::is(Bug::TakenOverIsForgotten) {
        return Vec::new();
    }
    let units = state.units.iter().enumerate().filter_map(|(unit, it)| match it.status {
        UnitStatus::Running => Some(Command::Run(unit)),
        UnitStatus::Undoing => Some(Command::Undo(unit)),
        _ => None,
    });
    let late = state.late.iter().enumerate();
    let late = late.filter(|(_, late)| late.status == UnitStatus::Running);
    units.chain(late.map(|(late, _)| Command::Handle(late))).collect()
}

/// Returns what goes on by itself, and is to be looked after by now: a saga that is a step of this one.
pub(crate) fn looked_after(plan: &Plan, state: &State, now: Timestamp) -> Option<Command> {
    let units = plan.units.iter().zip(&state.units).enumerate();
    let mut due =
        units.filter(|(_, (plan, it))| plan.kind == UnitKind::Child && it.at.is_some_and(|at| at <= now));
    due.find_map(|(unit, (_, it))| match it.status {
        UnitStatus::Backoff => Some(Command::Run(unit)),
        UnitStatus::UndoBackoff => Some(Command::Undo(unit)),
        _ => None,
    })
}

/// Tells whether a saga in this state rests until another that is a step of it goes on.
pub(crate) fn rests_at_child(plan: &Plan, state: &State) -> bool {
    let is_at_rest = |status| matches!(status, UnitStatus::Backoff | UnitStatus::UndoBackoff);
    let mut units = plan.units.iter().zip(&state.units);
    state.stuck.is_none() && units.any(|(plan, it)| plan.kind == UnitKind::Child && is_at_rest(it.status))
}

/// Has a unit looked after at another time, which is not recorded: what is recorded is since when.
pub(crate) fn look_again(state: &mut State, unit: usize, at: Timestamp) {
    state.change(unit, |unit| unit.at = Some(at));
}

/// Returns what a saga in this state is found under.
pub(crate) fn status(state: &State) -> Status {
    if state.stuck.is_some() {
        return Status::NeedsOperator;
    }
    match state.phase {
        Phase::Completed if state.is_final() => Status::Completed,
        Phase::Completed => Status::Running,
        Phase::Compensated if state.is_final() => Status::Compensated,
        Phase::Compensated | Phase::Draining(_) | Phase::Backward(_) => Status::Compensating,
        Phase::Forward if state.units.iter().any(|unit| unit.status == UnitStatus::Waiting) => {
            Status::Waiting
        }
        Phase::Forward => Status::Running,
    }
}

/// Returns the unit that a saga in this state stands at, if it has not ended.
pub(crate) fn stands_at(plan: &Plan, state: &State) -> Option<usize> {
    if let Some((at, _)) = &state.stuck {
        return state.unit_at(*at);
    }
    match state.phase {
        Phase::Completed | Phase::Compensated => {
            state.late.iter().find(|late| late.status != UnitStatus::Done).map(|late| late.unit)
        }
        Phase::Backward(_) => state
            .units
            .iter()
            .rposition(|unit| matches!(unit.status, UnitStatus::Undoing | UnitStatus::UndoBackoff)),
        Phase::Forward | Phase::Draining(_) => {
            let mut units = plan.stage(state.stage);
            let first = units.start;
            units
                .find(|unit| !matches!(state.status(*unit), UnitStatus::Done | UnitStatus::Skipped))
                .or(if first < state.units.len() { Some(first) } else { None })
        }
    }
}

/// One input being worked in.
struct Turn<'a> {
    plan: &'a Plan,
    state: &'a mut State,
    moment: Moment,
    outcome: Outcome,
}

impl Turn<'_> {
    fn command(&mut self, command: Command) {
        self.outcome.commands.push(command);
    }

    fn policy(&self, unit: usize) -> Policy {
        self.plan.units.get(unit).map_or_else(Policy::new, |unit| unit.policy)
    }

    fn stage_of(&self, unit: usize) -> usize {
        self.plan.units.get(unit).map_or(0, |unit| unit.stage)
    }

    fn has_undo(&self, unit: usize) -> bool {
        self.plan.units.get(unit).is_some_and(|unit| unit.undo.is_some())
    }

    /// What a unit is that was gone back over and is made anew, under a new key.
    ///
    /// An effect that nobody knows of and that nothing undid may be there yet, and one whose compensation an operator passed over is: it
    /// is asked for again under its old key. A compensation of which nobody knows whether it happened may yet come, and undo what is asked
    /// for under that. What was made in a transaction and not undone is there, as it is recorded.
    fn renewed(&self, unit: usize) -> Unit {
        let it = self.state.unit(unit);
        if self.is_recorded(unit) {
            return Unit { status: UnitStatus::Done, at: None, ..it };
        }
        if it.is_passed_over() || (it.unsure && !self.has_undo(unit)) {
            return Unit { round: it.round, unsure: true, ..Unit::IDLE };
        }
        Unit { round: it.round.saturating_add(1), ..Unit::IDLE }
    }

    /// Tells whether what was made of a unit in a transaction stands although a rollback came past it.
    fn is_recorded(&self, unit: usize) -> bool {
        let it = self.state.unit(unit);
        let is_transaction = |plan: &UnitPlan| plan.kind == UnitKind::Transaction;
        let made = self.plan.units.get(unit).is_some_and(is_transaction) && self.state.output(unit).is_some();
        made && it.status.is_not_undone() && !it.unsure
    }

    /// Has a unit made anew, or asked for again.
    fn renew(&mut self, unit: usize, renewed: Unit) {
        // That a saga was begun stays known until it is to be begun anew.
        let is_begun = self.is_child(unit) && renewed.round == self.state.unit(unit).round;
        self.state.change(unit, |it| *it = renewed);
        if !is_begun && renewed.status != UnitStatus::Done {
            self.state.set_output(unit, None);
        }
    }

    /// Tells whether the unit lies behind the point of no return.
    fn is_past_pivot(&self, unit: usize) -> bool {
        self.plan.pivot.is_some_and(|pivot| unit > pivot)
    }

    fn pivot_status(&self) -> Option<UnitStatus> {
        self.plan.pivot.map(|pivot| self.state.status(pivot))
    }

    /// Does what follows by itself: the next stage, the next compensation, the end, or standing still.
    fn go_on(&mut self) {
        self.drain();
        self.unwind();
        self.stand();
        self.advance();
        self.stand_late();
    }

    fn tick(&mut self) {
        let now = self.moment.now;
        for unit in 0..self.state.units.len() {
            if self.state.unit(unit).at.is_some_and(|at| at <= now) {
                self.is_time_for(unit);
            }
        }
        for late in 0..self.state.late.len() {
            let Some(entry) = self.state.late.get_mut(late) else { continue };
            if entry.at.is_some_and(|at| at <= now) {
                entry.at = None;
                entry.attempt += 1;
                entry.status = UnitStatus::Running;
                self.state.delta.late = true;
                self.command(Command::Handle(late));
            }
        }
    }

    fn is_child(&self, unit: usize) -> bool {
        self.plan.units.get(unit).is_some_and(|unit| unit.kind == UnitKind::Child)
    }

    /// Notes why an attempt was not done of what is tried again. How a child stands is told elsewhere.
    fn note_tried(&mut self, at: StuckAt, reason: Arc<str>) {
        if !self.state.unit_at(at).is_some_and(|unit| self.is_child(unit)) {
            self.state.note_tried(at, reason);
        }
    }

    fn is_time_for(&mut self, unit: usize) {
        // To look after a saga that goes on by itself is no attempt to make it, or to undo it.
        let tried = u32::from(!self.is_child(unit));
        match self.state.status(unit) {
            UnitStatus::Backoff => {
                self.state.change(unit, |unit| {
                    unit.status = UnitStatus::Running;
                    unit.attempt = unit.attempt.saturating_add(tried);
                    unit.at = None;
                });
                self.command(Command::Run(unit));
            }
            UnitStatus::UndoBackoff => {
                self.state.change(unit, |unit| {
                    unit.status = UnitStatus::Undoing;
                    unit.attempt = unit.attempt.saturating_add(tried);
                    unit.at = None;
                });
                self.command(Command::Undo(unit));
            }
            UnitStatus::Waiting => self.not_done(unit, Arc::from(DEADLINE)),
            _ => self.state.change(unit, |unit| unit.at = None),
        }
    }
}
