//! What an operator may decide, and when.

use std::sync::Arc;

use super::{Audit, Cause, Command, Late, Phase, State, StuckAt, Turn, Unit, UnitStatus, stands_at};
use crate::definition::{Plan, UnitKind, WhenExhausted};
use crate::planted::{self, Bug};
use crate::{Error, ErrorKind, Result};

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Retry,
    Skip,
    ForceDone(Arc<[u8]>),
    ForceFailed,
    ResumeForward,
    RollbackTo(Arc<str>),
    Cancel,
}

impl Order {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::ForceDone(_) => "force_done",
            Self::ForceFailed => "force_failed",
            Self::ResumeForward => "resume_forward",
            Self::RollbackTo(_) => "rollback_to",
            Self::Cancel => "cancel",
        }
    }
}

fn conflict(what: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, what)
}

/// Refuses a decision about another step than the saga stands at by now, or tries again.
pub(crate) fn check_seen(plan: &Plan, state: &State, seen: Option<&str>) -> Result<()> {
    let at = stands_at(plan, state).and_then(|unit| plan.units.get(unit));
    if seen.is_some() && seen != at.map(|unit| &*unit.name) && tried_again(plan, state, seen).is_none() {
        return Err(conflict("the saga stands at another step than was decided about"));
    }
    Ok(())
}

/// Returns what a decision is about that was made at this step: what the saga is stuck with or, if the step is said, what it tries again
/// there after a pause.
pub(crate) fn decides_about(plan: &Plan, state: &State, seen: Option<&str>) -> Option<StuckAt> {
    let stuck = state.stuck.as_ref().map(|(at, _)| *at);
    tried_again(plan, state, seen).or(stuck)
}

/// A child goes on by itself, and is decided about itself.
fn tried_again(plan: &Plan, state: &State, seen: Option<&str>) -> Option<StuckAt> {
    let unit = plan.unit(seen?)?;
    let stuck = state.stuck.as_ref().and_then(|(at, _)| state.unit_at(*at));
    if stuck == Some(unit) || plan.units.get(unit)?.kind == UnitKind::Child {
        return None;
    }
    let is_late = |late: &Late| late.unit == unit && late.status == UnitStatus::Backoff;
    match state.status(unit) {
        UnitStatus::Backoff => Some(StuckAt::Forward(unit)),
        UnitStatus::UndoBackoff => Some(StuckAt::Undo(unit)),
        _ => state.late.iter().position(is_late).map(StuckAt::Late),
    }
}

impl Turn<'_> {
    pub(super) fn order(
        &mut self,
        order: Order,
        who: Arc<str>,
        why: Arc<str>,
        seen: Option<&str>,
    ) -> Result<()> {
        check_seen(self.plan, self.state, seen)?;
        let again = tried_again(self.plan, self.state, seen).and_then(|at| self.state.unit_at(at));
        let at = again.or_else(|| stands_at(self.plan, self.state));
        let at = at.and_then(|unit| self.plan.units.get(unit));
        let audit = Audit {
            action: Arc::from(order.name()),
            who,
            why,
            step: at.map_or_else(|| Arc::from(""), |unit| Arc::clone(&unit.name)),
            at: self.moment.now,
        };
        match order {
            Order::Retry => self.retry(seen)?,
            Order::Skip => self.skip(seen)?,
            Order::ForceDone(output) => self.force_done(output, seen)?,
            Order::ForceFailed => self.force_failed(seen)?,
            Order::ResumeForward => self.resume_forward()?,
            Order::RollbackTo(savepoint) => self.roll_back_to(&savepoint)?,
            Order::Cancel => self.cancel()?,
        }
        if !planted::is(Bug::DecisionIsNotRecorded) {
            self.state.audits.push(audit);
        }
        Ok(())
    }

    fn stuck(&self) -> Result<StuckAt> {
        match &self.state.stuck {
            Some((at, _)) => Ok(*at),
            None => Err(conflict("the saga does not wait for an operator")),
        }
    }

    /// Returns what is decided about; without the step, only what waits for it.
    fn decided(&self, seen: Option<&str>) -> Result<StuckAt> {
        let at = decides_about(self.plan, self.state, seen);
        at.ok_or_else(|| {
            conflict("the saga does not wait for an operator, nor try the step again that was decided about")
        })
    }

    /// Has the saga no longer stand at this, if it does; why it did.
    fn unstick(&mut self, at: StuckAt) -> Option<Arc<str>> {
        self.state.stuck.take_if(|(stuck, _)| *stuck == at).map(|(_, reason)| reason)
    }

    fn retry(&mut self, seen: Option<&str>) -> Result<()> {
        let at = self.decided(seen)?;
        self.unstick(at);
        match at {
            StuckAt::Forward(unit) => {
                // A child that was undone has to be begun anew, which is another time.
                let is_child = self.is_child(unit) && !planted::is(Bug::RetriedChildIsNotBegunAnew);
                if is_child {
                    self.state.set_output(unit, None);
                }
                self.state.change(unit, |it| {
                    it.status = UnitStatus::Running;
                    it.attempt = 1;
                    it.round = it.round.saturating_add(u32::from(is_child));
                    it.at = None;
                    it.unsure &= !planted::is(Bug::RetryForgetsTheUnknown);
                });
                self.command(Command::Run(unit));
            }
            StuckAt::Undo(unit) => {
                self.state.change(unit, |it| {
                    it.status = UnitStatus::Undoing;
                    it.attempt = 1;
                    it.at = None;
                });
                self.command(Command::Undo(unit));
            }
            StuckAt::Late(late) => {
                if let Some(entry) = self.state.late.get_mut(late) {
                    entry.status = UnitStatus::Running;
                    entry.attempt = 1;
                    entry.at = None;
                    self.state.delta.late = true;
                    self.command(Command::Handle(late));
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, seen: Option<&str>) -> Result<()> {
        match self.decided(seen)? {
            StuckAt::Forward(unit) => {
                let may_be_undone = !self.is_past_pivot(unit) && self.plan.pivot != Some(unit);
                if may_be_undone && self.state.unit(unit).unsure {
                    return Err(conflict(
                        "it is not known whether the step was done, and nothing would undo it",
                    ));
                }
                if self.plan.units.iter().any(|other| other.reads.contains(&unit)) {
                    return Err(conflict(
                        "later steps read what the step makes: force it to be done with a value",
                    ));
                }
                self.unstick(StuckAt::Forward(unit));
                self.state.change(unit, |it| {
                    it.status = UnitStatus::Skipped;
                    it.at = None;
                });
            }
            StuckAt::Undo(unit) if planted::is(Bug::PassedOverIsMadeTwice) => {
                self.end_undo(unit, UnitStatus::Undone);
            }
            StuckAt::Undo(unit) => self.end_undo(unit, UnitStatus::UndoSkipped),
            StuckAt::Late(late) => self.count_as_handled(late),
        }
        Ok(())
    }

    fn force_done(&mut self, output: Arc<[u8]>, seen: Option<&str>) -> Result<()> {
        match self.decided(seen)? {
            StuckAt::Forward(unit) => {
                self.unstick(StuckAt::Forward(unit));
                self.done(unit, Some(output));
            }
            StuckAt::Undo(unit) => self.end_undo(unit, UnitStatus::Undone),
            StuckAt::Late(late) => self.count_as_handled(late),
        }
        Ok(())
    }

    fn force_failed(&mut self, seen: Option<&str>) -> Result<()> {
        let StuckAt::Forward(unit) = self.decided(seen)? else {
            return Err(conflict("the saga does not stand at a step that goes forward"));
        };
        if self.is_past_pivot(unit) {
            return Err(conflict("the saga is past its point of no return"));
        }
        let reason = self.unstick(StuckAt::Forward(unit));
        let reason = reason.or_else(|| self.state.why_again(unit).map(Arc::clone));
        let reason = reason.unwrap_or_else(|| Arc::from("operator"));
        self.state.change(unit, |it| {
            it.status = UnitStatus::Failed;
            it.at = None;
            it.unsure = false;
        });
        self.state.phase = Phase::Draining(0);
        self.state.cause = Some(Cause { unit: Some(unit), reason });
        Ok(())
    }

    fn end_undo(&mut self, unit: usize, status: UnitStatus) {
        self.unstick(StuckAt::Undo(unit));
        self.state.change(unit, |it| {
            it.status = status;
            it.at = None;
        });
    }

    fn count_as_handled(&mut self, late: usize) {
        self.unstick(StuckAt::Late(late));
        if let Some(entry) = self.state.late.get_mut(late) {
            entry.status = UnitStatus::Done;
            entry.at = None;
        }
        self.state.delta.late = true;
        self.forget_handled();
    }

    /// Goes forward again from where the rollback stands.
    ///
    /// What was undone is made anew under new keys. What could not be undone, or was passed over, is asked for again under its old key:
    /// whoever still has its effect answers with it. So is what nobody knows whether it was done, where nothing undid it: because it has no
    /// compensation, or the rollback had not come to it.
    ///
    /// While it is not known whether a compensation happened, it may yet come and undo what was asked for again: it has to be
    /// settled first.
    fn resume_forward(&mut self) -> Result<()> {
        if !matches!((self.stuck()?, self.state.phase), (StuckAt::Undo(_), Phase::Backward(_))) {
            return Err(conflict("the saga does not stand in a rollback"));
        }
        if self.state.units.iter().any(|unit| unit.status == UnitStatus::UndoFailed && unit.unsure) {
            return Err(conflict(
                "it is not known whether a compensation happened: retry it, or go back to a savepoint, first",
            ));
        }
        self.check_late()?;
        self.state.stuck = None;
        let mut first = self.plan.stages.len();
        for unit in 0..self.state.units.len() {
            let it = self.state.unit(unit);
            let renewed = match it.status {
                UnitStatus::Done | UnitStatus::Skipped | UnitStatus::Idle => continue,
                UnitStatus::UndoFailed | UnitStatus::Unsure if !self.is_recorded(unit) => {
                    Unit { round: it.round, unsure: true, ..Unit::IDLE }
                }
                _ => self.renewed(unit),
            };
            first = first.min(self.stage_of(unit));
            self.renew(unit, renewed);
        }
        self.state.phase = Phase::Forward;
        self.state.cause = None;
        self.enter(first);
        Ok(())
    }

    /// Refuses to make anew what a late signal came for that is being handled, or could not be: the handler's key would become another.
    fn check_late(&self) -> Result<()> {
        if self.state.late.iter().all(|late| late.status == UnitStatus::Done) {
            return Ok(());
        }
        Err(conflict("a late signal is not handled yet: the saga is undone first"))
    }

    /// Refuses where nothing may be undone any more.
    fn check_undoable(&self) -> Result<()> {
        match (self.state.phase, self.pivot_status()) {
            (Phase::Completed | Phase::Compensated, _) => Err(conflict("the saga has ended")),
            (Phase::Forward, None | Some(UnitStatus::Idle)) => Ok(()),
            (Phase::Forward, _) => Err(conflict("the saga is at or past its point of no return")),
            (Phase::Draining(_) | Phase::Backward(_), _) => Ok(()),
        }
    }

    fn turn_back(&mut self, target: usize, reason: &'static str) {
        if matches!(self.state.phase, Phase::Forward) {
            // A step that goes forward and is stuck before the pivot does not exist: it would have turned back by itself.
            self.state.stuck = None;
            self.state.phase = Phase::Draining(target);
            self.state.cause = Some(Cause { unit: None, reason: Arc::from(reason) });
        } else if matches!(self.state.phase, Phase::Draining(_)) {
            self.state.phase = Phase::Draining(target);
        } else {
            if let Some((StuckAt::Undo(unit), _)) = &self.state.stuck
                && self.passes_over(*unit)
            {
                // It goes further back now: what is left of it is told of at the end.
                self.state.stuck = None;
            }
            self.state.phase = Phase::Backward(target);
        }
    }

    /// Tells whether the rollback goes on where the compensation of this unit is exhausted.
    fn passes_over(&self, unit: usize) -> bool {
        let undo = self.plan.units.get(unit).and_then(|unit| unit.undo.as_ref());
        undo.is_some_and(|undo| undo.exhausted == WhenExhausted::Continue)
    }

    fn roll_back_to(&mut self, savepoint: &str) -> Result<()> {
        let Some(target) = self.plan.savepoint(savepoint) else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the definition of saga {} has no savepoint of this name", self.plan.saga),
            ));
        };
        self.check_undoable()?;
        let intact = (0..self.state.units.len())
            .filter(|unit| self.stage_of(*unit) < target)
            .all(|unit| matches!(self.state.status(unit), UnitStatus::Done | UnitStatus::Skipped));
        if !intact || target > self.state.stage {
            return Err(conflict("the saga does not stand behind this savepoint"));
        }
        self.check_late()?;
        self.turn_back(target, "rolled back by an operator");
        Ok(())
    }

    fn cancel(&mut self) -> Result<()> {
        if self.state.phase == Phase::Completed && self.plan.pivot.is_none() {
            // Without a pivot there is always a way back. It comes before a late signal that the saga stands at.
            self.state.stuck = None;
            self.state.phase = Phase::Backward(0);
            self.state.cause = Some(Cause { unit: None, reason: Arc::from("cancelled") });
            return Ok(());
        }
        self.check_undoable()?;
        if matches!(self.state.phase, Phase::Draining(0) | Phase::Backward(0)) {
            return Err(conflict("the saga is being compensated already"));
        }
        self.turn_back(0, "cancelled");
        Ok(())
    }
}
