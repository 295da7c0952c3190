//! Going forward: stages, attempts, and what is made of their outcomes.

use std::sync::Arc;

use pumasi_core::Retry;

use super::{Cause, Command, Ended, Phase, Settled, State, StuckAt, Turn, UnitStatus};
use crate::definition::UnitKind;
use crate::planted::{self, Bug};
use crate::{Error, ErrorKind, Result};

impl Turn<'_> {
    /// Begins a stage: what has to be done of it is intended, what is waited for is looked up among what came early.
    pub(super) fn enter(&mut self, stage: usize) {
        self.state.stage = stage;
        for unit in self.plan.stage(stage) {
            if matches!(self.state.status(unit), UnitStatus::Done | UnitStatus::Skipped) {
                continue;
            }
            let plan = self.plan.units.get(unit);
            let unsure = self.state.unit(unit).unsure;
            let waits = plan.is_some_and(|plan| plan.kind == UnitKind::Wait);
            let deadline = plan.and_then(|plan| plan.deadline).filter(|_| waits);
            let at = deadline.map(|deadline| self.moment.now.saturating_add(deadline));
            self.state.change(unit, |it| {
                it.status = if waits { UnitStatus::Waiting } else { UnitStatus::Running };
                it.attempt = 1;
                it.unsure = unsure;
                it.at = at;
            });
            if waits {
                self.look_up_early(unit);
            } else {
                self.command(Command::Run(unit));
            }
        }
    }

    /// Enters the next stages while the present one is done.
    pub(super) fn advance(&mut self) {
        while self.state.phase == Phase::Forward && self.state.stuck.is_none() {
            let mut units = self.plan.stage(self.state.stage);
            if !units.all(|unit| matches!(self.state.status(unit), UnitStatus::Done | UnitStatus::Skipped)) {
                return;
            }
            let next = self.state.stage + 1;
            if next >= self.plan.stages.len() {
                self.state.phase = Phase::Completed;
                if planted::is(Bug::DropSurplusSignal) {
                    self.state.early.clear();
                    self.state.delta.early = true;
                }
                self.hand_over_early();
                return;
            }
            self.enter(next);
        }
    }

    pub(super) fn settled(&mut self, unit: usize, settled: Settled) {
        let it = self.state.unit(unit);
        if it.status != UnitStatus::Running {
            return;
        }
        let policy = self.policy(unit);
        let again = policy.goes_on_after(it.attempt);
        let is_pivot = self.plan.pivot == Some(unit);
        let forward = self.state.phase == Phase::Forward;
        let (reason, retry) = match settled {
            Settled::Done(output) => {
                self.done(unit, Some(output));
                return;
            }
            Settled::Failed { reason, retry } => {
                let retry = if forward && again && retry.is_retryable() { Some(retry) } else { None };
                (reason, retry)
            }
            Settled::NotYet { reason } => {
                self.state.change(unit, |unit| unit.unsure = true);
                (reason, (forward && again).then_some(Retry::Now))
            }
            Settled::Unknown { reason } => {
                self.state.change(unit, |unit| unit.unsure = true);
                let may = policy.retries_unknown() && again && (forward || is_pivot);
                (reason, may.then_some(Retry::Now))
            }
            Settled::Begun { output, reason } => {
                self.state.change(unit, |unit| unit.unsure = true);
                self.state.set_output(unit, Some(output));
                (reason, forward.then_some(Retry::Now))
            }
            Settled::Unrecordable { reason } => {
                self.state.change(unit, |unit| unit.unsure = true);
                (reason, None)
            }
        };
        match retry {
            Some(retry) => {
                let at = self.moment.after_pause(policy.backoff(), it.attempt, retry);
                self.state.change(unit, |unit| {
                    unit.status = UnitStatus::Backoff;
                    unit.at = Some(at);
                });
                self.note_tried(StuckAt::Forward(unit), reason);
            }
            None => self.not_done(unit, reason),
        }
    }

    pub(super) fn done(&mut self, unit: usize, output: Option<Arc<[u8]>>) {
        self.state.change(unit, |unit| {
            unit.status = UnitStatus::Done;
            unit.at = None;
        });
        self.state.set_output(unit, output);
    }

    /// A unit will not be done: the saga goes back or, where it cannot, stands.
    pub(super) fn not_done(&mut self, unit: usize, reason: Arc<str>) {
        let unsure = self.state.unit(unit).unsure && !planted::is(Bug::SkipUnknownStep);
        let is_pivot = self.plan.pivot == Some(unit);
        self.state.change(unit, |unit| {
            unit.status = if unsure { UnitStatus::Unsure } else { UnitStatus::Failed };
            unit.at = None;
        });
        if (self.is_past_pivot(unit) || (is_pivot && unsure)) && !planted::is(Bug::UndoPastThePivot) {
            // Behind the point of no return, or perhaps behind it: neither back nor forth is safe. Of several the first comes first.
            if self.state.stuck.is_none() {
                self.state.stuck = Some((StuckAt::Forward(unit), reason));
            }
        } else if self.state.phase == Phase::Forward {
            self.state.phase = Phase::Draining(0);
            self.state.cause = Some(Cause { unit: Some(unit), reason });
        }
    }

    /// Stands at what else was not done behind the point of no return, once an operator has decided about the unit before.
    pub(super) fn stand(&mut self) {
        if self.state.phase != Phase::Forward
            || self.state.stuck.is_some()
            || planted::is(Bug::UndoPastThePivot)
        {
            return;
        }
        let next = self.plan.stage(self.state.stage).find(|unit| {
            self.is_past_pivot(*unit)
                && matches!(self.state.status(*unit), UnitStatus::Failed | UnitStatus::Unsure)
        });
        if let Some(unit) = next {
            self.state.stuck = Some((StuckAt::Forward(unit), Arc::from("step exhausted")));
        }
    }

    /// Begins a saga anew that has ended so; where an effect stands whose compensation an operator passed over, within the same run, so
    /// that it is asked for again under its old key.
    pub(super) fn restart(&mut self, ended: Ended) -> Result<()> {
        if !self.state.is_final() {
            return Err(Error::new(ErrorKind::Conflict, "the saga has not ended"));
        }
        if ended == Ended::Undone && self.state.phase != Phase::Compensated {
            return Err(Error::new(ErrorKind::Conflict, "the saga was not undone"));
        }
        if self.state.phase == Phase::Compensated && self.state.is_passed_over() {
            for unit in 0..self.state.units.len() {
                let renewed = self.renewed(unit);
                self.renew(unit, renewed);
            }
            self.state.phase = Phase::Forward;
            self.state.cause = None;
            self.state.delta.base = true;
            self.forget_handled();
            self.enter(0);
            return Ok(());
        }
        let mut new = State::new(self.plan.version, self.plan.fingerprint(), self.plan.units.len());
        new.version = self.state.version;
        new.run = self.state.run.saturating_add(1);
        new.seen = std::mem::take(&mut self.state.seen);
        new.surplus = std::mem::take(&mut self.state.surplus);
        new.audits = std::mem::take(&mut self.state.audits);
        *self.state = new;
        self.enter(0);
        Ok(())
    }

    /// Goes forward from this stage, after what lies behind it was undone.
    pub(super) fn resume(&mut self, stage: usize) {
        for unit in 0..self.state.units.len() {
            if self.stage_of(unit) >= stage && self.state.status(unit) != UnitStatus::Idle {
                let renewed = self.renewed(unit);
                self.renew(unit, renewed);
            }
        }
        self.state.phase = Phase::Forward;
        self.state.cause = None;
        self.enter(stage);
    }
}
