//! Going back: what is under way is settled, then what was done is undone, one after the other, the last first.

use std::sync::Arc;

use pumasi_core::Retry;

use super::{Command, Late, Phase, Settled, StuckAt, Turn, UnitStatus};
use crate::definition::WhenExhausted;
use crate::definition::erased::recordable;
use crate::planted::{self, Bug};

impl Turn<'_> {
    /// Waits until nothing is under way any more, and then turns round.
    pub(super) fn drain(&mut self) {
        let Phase::Draining(target) = self.state.phase else { return };
        for unit in self.plan.stage(self.state.stage) {
            let it = self.state.unit(unit);
            let is_unsure_pivot = self.plan.pivot == Some(unit) && it.unsure;
            match it.status {
                UnitStatus::Backoff if is_unsure_pivot => {}
                UnitStatus::Backoff | UnitStatus::Waiting | UnitStatus::Idle => {
                    self.state.change(unit, |it| {
                        it.status = if it.unsure { UnitStatus::Unsure } else { UnitStatus::Failed };
                        it.at = None;
                    });
                }
                _ => {}
            }
        }
        let under_way =
            |unit: usize| matches!(self.state.status(unit), UnitStatus::Running | UnitStatus::Backoff);
        let others =
            self.plan.stage(self.state.stage).any(under_way) && !planted::is(Bug::TurnBackWhileOthersRun);
        if self.state.stuck.is_some() || others {
            return;
        }
        if self.pivot_status() == Some(UnitStatus::Done) {
            self.state.phase = Phase::Forward;
            self.state.cause = None;
        } else {
            self.state.phase = Phase::Backward(target);
        }
    }

    /// Undoes the next unit, if none is being undone.
    pub(super) fn unwind(&mut self) {
        while let Phase::Backward(target) = self.state.phase
            && self.state.stuck.is_none()
        {
            let undoing = |unit: UnitStatus| matches!(unit, UnitStatus::Undoing | UnitStatus::UndoBackoff);
            if self.state.units.iter().any(|unit| undoing(unit.status)) {
                return;
            }
            let Some(unit) = self.next_to_undo(target) else {
                self.unwound(target);
                return;
            };
            let has_undo = self.has_undo(unit);
            self.state.change(unit, |unit| {
                unit.status = if has_undo { UnitStatus::Undoing } else { UnitStatus::Undone };
                unit.attempt = 1;
                // What nobody sees to stays unknown.
                unit.unsure &= !has_undo;
                unit.at = None;
            });
            if has_undo {
                self.command(Command::Undo(unit));
            }
        }
    }

    /// Returns the last unit of those that a rollback to this stage has to undo yet.
    ///
    /// Where a saga went forward again, one that it has not come to may have an effect of before.
    fn next_to_undo(&self, target: usize) -> Option<usize> {
        let is_next = |unit: &usize| {
            let it = self.state.unit(*unit);
            let may_stand = match it.status {
                UnitStatus::Done | UnitStatus::Unsure => true,
                UnitStatus::Idle => it.unsure && self.has_undo(*unit),
                _ => false,
            };
            may_stand && self.stage_of(*unit) >= target
        };
        let mut units = 0..self.state.units.len();
        if planted::is(Bug::ForwardOrderUndo) { units.find(is_next) } else { units.rev().find(is_next) }
    }

    /// Returns the units whose compensations a rollback to this stage has passed over, the last first.
    fn left(&self, target: usize) -> Vec<usize> {
        let is_left = |unit: &usize| {
            self.stage_of(*unit) >= target && self.state.status(*unit) == UnitStatus::UndoFailed
        };
        (0..self.state.units.len()).rev().filter(is_left).collect()
    }

    /// Ends a rollback; where compensations were passed over, the saga stands at the last of their steps, and says of which.
    fn unwound(&mut self, target: usize) {
        let left = self.left(target);
        if let Some(unit) = left.first()
            && !planted::is(Bug::PassedOverCountsAsUndone)
        {
            let names: Vec<&str> =
                left.iter().filter_map(|unit| Some(&*self.plan.units.get(*unit)?.name)).collect();
            let reason = recordable(&format!("not undone: {}", names.join(", ")));
            self.state.stuck = Some((StuckAt::Undo(*unit), reason));
        } else if target == 0 {
            self.state.phase = Phase::Compensated;
            self.hand_over_early();
        } else {
            self.resume(target);
        }
    }

    pub(super) fn undone(&mut self, unit: usize, settled: Settled) {
        let it = self.state.unit(unit);
        if it.status != UnitStatus::Undoing {
            return;
        }
        let Some(plan) = self.plan.units.get(unit).and_then(|unit| unit.undo.as_ref()) else { return };
        let (reason, retry) = match settled {
            Settled::Done(_) => {
                self.state.change(unit, |unit| unit.status = UnitStatus::Undone);
                return;
            }
            Settled::Failed { reason, retry } => (reason, retry),
            Settled::NotYet { reason }
            | Settled::Unknown { reason }
            | Settled::Unrecordable { reason }
            | Settled::Begun { reason, .. } => {
                self.state.change(unit, |unit| unit.unsure = true);
                (reason, Retry::Now)
            }
        };
        if planted::is(Bug::UndoIsNeverRepeated) {
            self.state.change(unit, |unit| unit.status = UnitStatus::Undone);
            return;
        }
        if retry.is_retryable() && plan.policy.goes_on_after(it.attempt) {
            let at = self.moment.after_pause(plan.policy.backoff(), it.attempt, retry);
            self.state.change(unit, |unit| {
                unit.status = UnitStatus::UndoBackoff;
                unit.at = Some(at);
            });
            self.note_tried(StuckAt::Undo(unit), reason);
            return;
        }
        self.state.change(unit, |unit| unit.status = UnitStatus::UndoFailed);
        let goes_on = match plan.exhausted {
            WhenExhausted::Halt => planted::is(Bug::HaltGoesOn),
            WhenExhausted::Continue => !planted::is(Bug::ContinueHalts),
        };
        let target = if let Phase::Backward(target) = self.state.phase { target } else { 0 };
        // Where nothing else is left, there is nothing else to tell of.
        let is_all = self.next_to_undo(target).is_none() && self.left(target).first() == Some(&unit);
        if !goes_on || (is_all && !planted::is(Bug::PassedOverCountsAsUndone)) {
            self.state.stuck = Some((StuckAt::Undo(unit), reason));
        }
    }

    /// Hands what no wait took of a saga that has ended to the handlers of late signals: what came too early for a rollback, and
    /// what came beside the one that was taken.
    pub(super) fn hand_over_early(&mut self) {
        let early = std::mem::take(&mut self.state.early);
        if early.is_empty() {
            return;
        }
        self.state.delta.early = true;
        for early in early {
            if !self.late(early.unit, early.id, early.payload) {
                self.outcome.dropped += 1;
            }
        }
    }

    /// Gives a signal to its late handler; `false` if it has none.
    pub(super) fn late(&mut self, unit: usize, id: Arc<str>, payload: Arc<[u8]>) -> bool {
        if self.state.has_seen(&id) {
            return false;
        }
        self.state.see_surplus(Arc::clone(&id));
        let has_none = self.plan.units.get(unit).is_none_or(|unit| unit.late.is_none());
        if has_none || planted::is(Bug::DropLateSignal) {
            return false;
        }
        let late = self.state.late.len();
        self.state.late.push(Late { unit, id, payload, status: UnitStatus::Running, attempt: 1, at: None });
        self.state.delta.late = true;
        self.command(Command::Handle(late));
        true
    }

    pub(super) fn handled(&mut self, late: usize, settled: Settled) {
        let Some(entry) = self.state.late.get_mut(late).filter(|it| it.status == UnitStatus::Running) else {
            return;
        };
        self.state.delta.late = true;
        let policy = self.plan.units.get(entry.unit).and_then(|unit| unit.late.as_ref());
        let policy = policy.map(|late| late.policy).unwrap_or_default();
        let (reason, retry) = match settled {
            Settled::Done(_) => {
                entry.status = UnitStatus::Done;
                self.forget_handled();
                return;
            }
            Settled::Failed { reason, retry } => (reason, retry),
            Settled::NotYet { reason }
            | Settled::Unknown { reason }
            | Settled::Unrecordable { reason }
            | Settled::Begun { reason, .. } => (reason, Retry::Now),
        };
        if retry.is_retryable() && policy.goes_on_after(entry.attempt) {
            entry.status = UnitStatus::Backoff;
            entry.at = Some(self.moment.after_pause(policy.backoff(), entry.attempt, retry));
            self.note_tried(StuckAt::Late(late), reason);
        } else {
            entry.status = UnitStatus::Failed;
            if self.state.has_ended() && self.state.stuck.is_none() {
                self.state.stuck = Some((StuckAt::Late(late), reason));
            }
        }
    }

    /// Stands at a late signal whose handler is exhausted, once there is nothing else to do: it holds up no rollback.
    pub(super) fn stand_late(&mut self) {
        let is_forgotten = planted::is(Bug::LateIsForgottenBesideOthers);
        if !self.state.has_ended() || self.state.stuck.is_some() || is_forgotten {
            return;
        }
        if let Some(late) = self.state.late.iter().position(|late| late.status == UnitStatus::Failed) {
            self.state.stuck = Some((StuckAt::Late(late), Arc::from("late handler exhausted")));
        }
    }

    /// Forgets late signals once all of them are handled, so that their numbers do not shift while one is under way.
    pub(super) fn forget_handled(&mut self) {
        if self.state.late.iter().all(|late| late.status == UnitStatus::Done) {
            self.state.late.clear();
        }
    }
}
