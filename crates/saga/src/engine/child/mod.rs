//! Sagas that are steps of other sagas.

mod look;
mod protect;

use std::sync::Arc;

use pumasi_core::time::Timestamp;

use super::Core;
use super::call::Message;
use super::job::Job;
use super::operator::Decision;
use super::stored::{is_for_people, missing};
use super::view::View;
use crate::definition::Plan;
use crate::machine::record::Note;
use crate::machine::{Audit, Command, Phase, State};
use crate::planted::{self, Bug};
use crate::store::{SagaId, Status};
use crate::{Error, ErrorKind, Result};
pub(super) use look::WAKE;
pub(super) use protect::parts;

/// Who begins children anew, and undoes them.
pub(super) const PARENT: &str = "pumasi-saga";

/// What is recorded of a child: which step of which saga it belongs to. The first that comes to it has it; who has recorded nothing
/// is nobody's, as one that was started by itself, or before this was recorded.
const CHILD_OF: &str = "child_of";

/// What is recorded of a child that is made for another time than the first, and of one that is undone before it was made for it.
pub(super) const RESTART: &str = "restart";
pub(super) const PASS_OVER: &str = "pass_over";

/// A child as a step of its parent's wants it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) saga: Arc<str>,
    /// The version that it follows if it is new.
    pub(crate) version: u32,
    pub(crate) key: Arc<str>,
    /// The step of the saga whose child it is.
    pub(crate) parent: Arc<str>,
    /// The epoch under which that is driven.
    pub(crate) epoch: u64,
    /// The name of the time that the step is made; the first has none.
    pub(crate) again: Option<Arc<str>>,
    /// The step may have to undo it.
    pub(crate) is_undone: bool,
    /// It is known to have been begun this time.
    pub(crate) is_begun: bool,
    /// An operator has the step tried again: it is done if the child has completed meanwhile.
    pub(crate) is_retried: bool,
}

impl Wanted {
    /// Says why a saga that is there cannot be this child.
    fn refusal(&self, plan: &Plan, state: &State) -> Option<&'static str> {
        match parent(state) {
            Some(parent) if **parent != *self.parent => Some("the child belongs to another saga or step"),
            None if self.is_undone && plan.pivot.is_some() => {
                Some("the child follows a version with a pivot, and could not be undone")
            }
            _ => None,
        }
    }

    /// Refuses a saga that is there and cannot be this child.
    pub(super) fn check(&self, plan: &Plan, state: &State) -> Result<()> {
        let refused = self.refusal(plan, state);
        refused.map_or(Ok(()), |why| Err(Error::new(ErrorKind::Conflict, why)))
    }

    /// Tells whether one that is there has to be begun anew for this.
    pub(super) fn begins_anew(&self, state: &State) -> bool {
        if self.is_begun {
            return false;
        }
        if planted::is(Bug::UndoneChildIsBegunAgain) && state.phase == Phase::Compensated {
            return true;
        }
        let is_ahead = self.again.as_deref().is_some_and(|by| Time::of(state, Some(by)) == Time::Ahead);
        is_ahead && !(self.is_retried && state.phase == Phase::Completed)
    }

    /// Tells whether nothing of one that is there has to be changed for this.
    pub(super) fn is_settled(&self, state: &State) -> bool {
        parent(state).is_some() && !self.begins_anew(state) && !self.is_unrecorded(state)
    }

    /// Tells whether one that is there goes on, and it is not recorded that it does so for this time: it was begun for one before, and
    /// not undone with that. Once it has ended nobody could tell whether it was made for this time or before it.
    pub(super) fn is_unrecorded(&self, state: &State) -> bool {
        let by = self.again.as_deref();
        by.is_some_and(|by| Time::of(state, Some(by)) == Time::Now && !is_last_time(state, by))
    }

    pub(crate) fn id(&self) -> SagaId {
        SagaId::of(&self.saga, &self.key)
    }

    /// Says who is waited for.
    pub(crate) fn waited_for(&self, status: Status) -> Arc<str> {
        Arc::from(format!("waits for saga {} {}: {status}", self.saga, self.id()))
    }

    /// The time for which it is undone; `begun` says that its parent knows that it was begun for it.
    fn undone(&self, begun: bool) -> Undone {
        Undone {
            by: self.again.clone(),
            begun,
            parent: Some(Arc::clone(&self.parent)),
            epoch: Some(self.epoch),
            version: Some(self.version),
        }
    }
}

/// What became of a step's child.
pub(crate) enum Child {
    /// It stands so.
    There(View),
    /// The saga that is there cannot be it, and nothing was done.
    Refused(&'static str),
}

/// How a child stands, as far as that concerns its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Completed,
    Undone,
    UnderWay,
}

/// Which of the times that its parent makes it a child is undone for.
#[derive(Clone, Debug)]
pub(super) struct Undone {
    /// The time's name; the first has none.
    pub(super) by: Option<Arc<str>>,
    /// Its parent knows that it was begun at that time, or has ended.
    pub(super) begun: bool,
    /// Its parent; nothing if what left this did not say so.
    pub(super) parent: Option<Arc<str>>,
    /// The epoch under which that is driven; nothing in what was left.
    pub(super) epoch: Option<u64>,
    /// The version that it follows if it was never begun.
    pub(super) version: Option<u32>,
}

impl Undone {
    /// Tells how a child stands to that time. What belongs to another has nothing of it.
    pub(super) fn time(&self, state: &State) -> Time {
        match (parent(state), &self.parent) {
            (Some(its), Some(parent)) if **its != **parent => Time::Over,
            _ => Time::of_one_that_was_begun(state, self.by.as_deref(), self.begun),
        }
    }

    /// Tells whether nothing is recorded yet of one that is undone for a later time than the first.
    pub(super) fn is_unrecorded(&self, state: &State) -> bool {
        self.time(state) == Time::Now && self.by.as_deref().is_some_and(|by| !is_last_time(state, by))
    }
}

/// How a child stands to one of the times that its parent makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// It ended before that time, and has not been begun for it.
    Ahead,
    /// It has been begun for it, and for none since.
    Now,
    /// It was undone before it was begun for it, or has been begun for another since.
    Over,
}

impl Time {
    /// Tells how a child stands to the time of this name; the first has none.
    pub(super) fn of(state: &State, by: Option<&str>) -> Self {
        let mut times = times(state);
        match (times.next(), by) {
            (None, None) => Self::Now,
            (Some(_), None) if planted::is(Bug::FirstUndoIsForAll) => Self::Now,
            (Some(_), None) => Self::Over,
            (Some(last), Some(by)) if *last.why == *by && &*last.action == RESTART => Self::Now,
            (Some(last), Some(by)) if *last.why == *by => Self::Over,
            (_, Some(by)) if times.any(|time| *time.why == *by) => Self::Over,
            _ if state.has_ended() => Self::Ahead,
            _ => Self::Now,
        }
    }

    /// The same, where its parent may know that it was begun at that time. Before children that are new at a later time than the first
    /// had that recorded of them, they were made without it.
    fn of_one_that_was_begun(state: &State, by: Option<&str>, begun: bool) -> Self {
        match Self::of(state, by) {
            Self::Ahead if begun && times(state).next().is_none() => Self::Now,
            Self::Ahead if begun => Self::Over,
            time => time,
        }
    }
}

/// The times for which a child was begun anew, or passed over, the last first.
fn times(state: &State) -> impl Iterator<Item = &Audit> {
    let is_time = |action: &str| matches!(action, RESTART | PASS_OVER);
    state.audits.iter().rev().filter(move |it| &*it.who == PARENT && is_time(&it.action))
}

/// Tells whether a child was made last for the time of this name, or passed over.
fn is_last_time(state: &State, by: &str) -> bool {
    times(state).next().is_some_and(|last| *last.why == *by)
}

/// Names a step of a saga, for what belongs to it.
pub(crate) fn place(id: SagaId, step: &str) -> Arc<str> {
    Arc::from(format!("{id}/{step}"))
}

/// The step of the saga that a child belongs to.
fn parent(state: &State) -> Option<&Arc<str>> {
    let mut audits = state.audits.iter();
    audits.find(|it| &*it.who == PARENT && &*it.action == CHILD_OF).map(|it| &it.why)
}

/// What undoes a child.
pub(super) fn undoing() -> Decision {
    Decision::cancel(PARENT, "its parent goes back")
}

/// Tells whether a child is undone, or about to be, also where it stands with an operator before that is done.
pub(super) fn goes_back(state: &State) -> bool {
    matches!(state.phase, Phase::Draining(0) | Phase::Backward(0) | Phase::Compensated)
}

impl<App> Job<App> {
    /// Records that a child is made for this time, or that it is not to be.
    pub(super) fn note_time(&mut self, action: &str, by: &Arc<str>, at: Timestamp) {
        if action == PASS_OVER && planted::is(Bug::UndoneChildIsBegunLate) {
            return;
        }
        self.audit(action, &Arc::from(PARENT), by, at);
    }

    /// Records whose child it is, if it is nobody's.
    pub(super) fn note_parent(&mut self, of: &Arc<str>, at: Timestamp) {
        if parent(&self.state).is_none() && !planted::is(Bug::ParentIsNotRecorded) {
            self.audit(CHILD_OF, &Arc::from(PARENT), of, at);
        }
    }
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Starts a child, or looks after it. It is driven under its parent's permit, so that parents cannot keep each other's children
    /// from being driven.
    ///
    /// A parent that makes it another time, after it went back or was begun anew itself, names that time: a child that had ended
    /// before is begun anew then, once.
    pub(crate) async fn start_child(self: &Arc<Self>, wanted: Wanted) -> Result<Child> {
        let message = Some(Message::Child(wanted.clone()));
        let is_made = !wanted.is_begun || planted::is(Bug::GoneChildIsMadeAgain);
        let called = self.call_with(&wanted.saga, &wanted.key, message, is_made, None).await;
        if called.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict)
            && let Some(stored) = self.store.load(wanted.id()).await?
        {
            let (definition, state) = self.read(&stored)?;
            if let Some(why) = wanted.refusal(&definition.plan, &state) {
                return Ok(Child::Refused(why));
            }
        }
        called.map(Child::There)
    }

    /// Undoes a child, as far as it was made this time: nothing is left to do if it has not been begun for it, and it is seen to
    /// that nobody begins it for it later; one that was made another time since, or belongs to another parent, is left alone. One
    /// that was never started is made as undone.
    pub(crate) async fn undo_child(self: &Arc<Self>, wanted: &Wanted, begun: bool) -> Result<Option<View>> {
        let Wanted { saga, key, .. } = wanted;
        let undone = wanted.undone(begun);
        let time = match self.time_of(saga, key, |state| undone.time(state)).await {
            // Whoever is to drive it puts it where people look.
            Err(error) if error.kind() == ErrorKind::Protocol => Some(Time::Now),
            time => time?,
        };
        match time {
            Some(Time::Over) if !planted::is(Bug::NewerChildIsUndone) => return Ok(None),
            None if begun => return Err(missing(SagaId::of(saga, key))),
            None if planted::is(Bug::NeverBegunIsNotKept) => return Ok(None),
            _ => {}
        }
        let view = self.call_with(saga, key, Some(Message::Undo(undone.clone())), true, None).await?;
        let is_over = self.time_of(saga, key, |state| undone.time(state)).await? == Some(Time::Over);
        Ok((!is_over).then_some(view))
    }

    /// Tells how a child stands that was called.
    pub(crate) async fn stand_of(&self, view: &View) -> Result<Stand> {
        let phase = match view.status {
            Status::Completed => Phase::Completed,
            Status::Compensated => Phase::Compensated,
            _ => {
                let stored = self.store.load(view.id).await?.ok_or_else(|| missing(view.id))?;
                self.read(&stored)?.1.phase
            }
        };
        Ok(match phase {
            Phase::Completed => Stand::Completed,
            Phase::Compensated => Stand::Undone,
            Phase::Forward | Phase::Draining(_) | Phase::Backward(_) => Stand::UnderWay,
        })
    }

    /// Tells whether a child could not be called because it is put aside: it stays so until a person has seen to it.
    pub(crate) async fn is_put_aside(&self, saga: &str, key: &str, error: &Error) -> bool {
        is_for_people(error)
            && matches!(
                self.store.load(SagaId::of(saga, key)).await,
                Ok(Some(stored)) if stored.head.status == Status::Parked
            )
    }

    /// Works in that a child is undone, as far as it was made this time.
    pub(super) fn undo_for(&self, job: &mut Job<App>, undone: &Undone) -> Result<Vec<Command>> {
        let time = match undone.time(&job.state) {
            Time::Over if planted::is(Bug::NewerChildIsUndone) => Time::Now,
            time => time,
        };
        if let (Time::Ahead | Time::Now, Some(parent)) = (time, &undone.parent) {
            job.note_parent(parent, self.now());
        }
        if let (true, Some(by)) = (undone.is_unrecorded(&job.state), &undone.by) {
            job.note_time(RESTART, by, self.now());
        }
        match (time, &undone.by) {
            (Time::Ahead, Some(by)) => job.note_time(PASS_OVER, by, self.now()),
            (Time::Now, _) if !goes_back(&job.state) => {
                return Ok(job.apply(Note::Operator, undoing().input(), self.moment())?.commands);
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Tells how a child that is there stands to one of the times that its parent makes it.
    async fn time_of(
        &self,
        saga: &str,
        key: &Arc<str>,
        of: impl Fn(&State) -> Time + Send,
    ) -> Result<Option<Time>> {
        let Some(stored) = self.store.load(SagaId::of(saga, key)).await? else { return Ok(None) };
        let (_, state) = self.read(&stored)?;
        Ok(Some(of(&state)))
    }
}

#[cfg(test)]
mod tests;
