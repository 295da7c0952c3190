//! Sagas that are steps of other sagas.

use std::sync::Arc;

use pumasi_core::time::Timestamp;

use super::Core;
use super::call::Message;
use super::job::Job;
use super::operator::Decision;
use super::stored::missing;
use super::view::View;
use crate::Result;
use crate::machine::record::Note;
use crate::machine::{self, Audit, Command, State};
use crate::planted::{self, Bug};
use crate::store::{SagaId, Status};

/// Who begins children anew, and undoes them.
pub(super) const PARENT: &str = "pumasi-saga";

/// What is recorded of a child that is begun for another time than the first, and of one that is undone before it was begun for it.
pub(super) const RESTART: &str = "restart";
pub(super) const PASS_OVER: &str = "pass_over";

/// Which of the times that its parent makes it a child is undone for.
#[derive(Clone, Debug)]
pub(super) struct Undone {
    /// The time's name; the first has none.
    pub(super) by: Option<Arc<str>>,
    /// Its parent knows that it ended at that time.
    pub(super) ended: bool,
}

impl Undone {
    /// Tells how a child stands to that time.
    pub(super) fn time(&self, state: &State) -> Time {
        Time::of_one_that_ended(state, self.by.as_deref(), self.ended)
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
            (Some(_), None) => Self::Over,
            (Some(last), Some(by)) if *last.why == *by && &*last.action == RESTART => Self::Now,
            (Some(last), Some(by)) if *last.why == *by => Self::Over,
            (_, Some(by)) if times.any(|time| *time.why == *by) => Self::Over,
            _ if state.is_final() => Self::Ahead,
            _ => Self::Now,
        }
    }

    /// The same, where its parent may know that it ended at that time. Before children that are new at a later time than the first
    /// had that recorded of them, they were made without it.
    fn of_one_that_ended(state: &State, by: Option<&str>, ended: bool) -> Self {
        match Self::of(state, by) {
            Self::Ahead if ended && times(state).next().is_none() => Self::Now,
            Self::Ahead if ended => Self::Over,
            time => time,
        }
    }
}

/// The times for which a child was begun anew, or passed over, the last first.
fn times(state: &State) -> impl Iterator<Item = &Audit> {
    let is_time = |action: &str| matches!(action, RESTART | PASS_OVER);
    state.audits.iter().rev().filter(move |it| &*it.who == PARENT && is_time(&it.action))
}

/// What undoes a child.
pub(super) fn undoing() -> Decision {
    Decision::cancel(PARENT, "its parent goes back")
}

/// Tells whether a child is undone, or about to be.
pub(super) fn goes_back(status: Status) -> bool {
    matches!(status, Status::Compensated | Status::Compensating)
}

impl<App> Job<App> {
    /// Records that a child is begun for this time, or that it is not to be.
    pub(super) fn note_time(&mut self, action: &str, by: &Arc<str>, at: Timestamp) {
        if action == PASS_OVER && planted::is(Bug::UndoneChildIsBegunLate) {
            return;
        }
        self.audit(action, &Arc::from(PARENT), by, at);
    }
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Starts a child, or looks after it. It is driven under its parent's permit, so that parents cannot keep each other's children
    /// from being driven.
    ///
    /// A parent that makes it another time, after it went back or was begun anew itself, says so with `again`, which names that
    /// time: a child that had ended before is begun anew then, once.
    pub(crate) async fn start_child(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        again: Option<Arc<str>>,
    ) -> Result<View> {
        let message = match again {
            Some(by) => {
                let time = self.time_of(saga, key, |state| Time::of(state, Some(&by))).await?;
                time.is_none_or(|time| time == Time::Ahead).then_some(Message::Restart(Some(by)))
            }
            None => None,
        };
        self.call_with(saga, key, message, true, None).await
    }

    /// Undoes a child, as far as it was made this time: nothing is left to do if it has not been begun for it, and it is seen to
    /// that nobody begins it for it later; one that was made another time since is left alone. One that was never started is made
    /// as undone.
    pub(crate) async fn undo_child(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        again: Option<Arc<str>>,
        ended: bool,
    ) -> Result<Option<View>> {
        let undone = Undone { by: again, ended };
        match self.time_of(saga, key, |state| undone.time(state)).await? {
            Some(Time::Over) if !planted::is(Bug::NewerChildIsUndone) => return Ok(None),
            None if ended => return Err(missing(SagaId::of(saga, key))),
            _ => {}
        }
        let view = self.call_with(saga, key, Some(Message::Undo(undone.clone())), true, None).await?;
        let is_over = self.time_of(saga, key, |state| undone.time(state)).await? == Some(Time::Over);
        Ok((!is_over).then_some(view))
    }

    /// Works in that a child is undone, as far as it was made this time.
    pub(super) fn undo_for(&self, job: &mut Job<App>, undone: &Undone) -> Result<Vec<Command>> {
        let time = match undone.time(&job.state) {
            Time::Over if planted::is(Bug::NewerChildIsUndone) => Time::Now,
            time => time,
        };
        match (time, &undone.by) {
            (Time::Ahead, Some(by)) => job.note_time(PASS_OVER, by, self.now()),
            (Time::Now, _) if !goes_back(machine::status(&job.state)) => {
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
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::deliver::order;
    use super::super::operator;
    use super::*;
    use crate::store::MemoryStore;
    use crate::{Compensate, Cx, Engine, Outcome, Saga, Step, Undo};

    struct Reserve;

    impl Step<AtomicU32> for Reserve {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, cx: &Cx<AtomicU32>, (): ()) -> Outcome<(), &'static str> {
            cx.app().fetch_add(1, Ordering::SeqCst);
            Outcome::Done(())
        }
    }

    struct Free;

    impl Compensate<AtomicU32, Reserve> for Free {
        type Error = &'static str;

        async fn undo(&self, cx: &Cx<AtomicU32>, _: Undo<AtomicU32, Reserve>) -> Outcome<(), &'static str> {
            cx.app().fetch_sub(1, Ordering::SeqCst);
            Outcome::Done(())
        }
    }

    fn engine() -> Engine<AtomicU32> {
        let engine = Engine::new(MemoryStore::new(), AtomicU32::new(0));
        let stock = Saga::<u64, AtomicU32>::new("stock", 1).step(Reserve).compensate(Free).build().unwrap();
        engine.register(stock).unwrap();
        engine
    }

    #[tokio::test]
    async fn a_child_that_was_never_started_is_undone_without_a_step_being_made() {
        let core = engine().core;
        let key = Arc::from("1");
        let view = core.undo_child("stock", &key, None, false).await.unwrap().unwrap();
        assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
        let stored = core.store.load(SagaId::of("stock", "1")).await.unwrap().unwrap();
        assert_eq!(stored.version, 1, "it has no history");
        let late = core.start_child("stock", &key, None).await.unwrap();
        assert_eq!((late.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
    }

    #[tokio::test]
    async fn a_child_is_begun_anew_once_for_each_time_that_its_parent_comes_to_it() {
        let core = engine().core;
        let key = Arc::from("1");
        let again = |time: &str| Some(Arc::from(time));
        core.start_child("stock", &key, None).await.unwrap();
        core.undo_child("stock", &key, None, true).await.unwrap();
        for _ in 0..2 {
            let view = core.start_child("stock", &key, again("second")).await.unwrap();
            assert_eq!((view.status, view.run), (Status::Completed, 1));
        }
        let view = core.undo_child("stock", &key, again("second"), true).await.unwrap().unwrap();
        assert_eq!((view.status, view.run), (Status::Compensated, 1));
        let view = core.start_child("stock", &key, again("third")).await.unwrap();
        assert_eq!((view.status, view.run), (Status::Completed, 2));
    }

    #[tokio::test]
    async fn a_child_is_not_begun_for_a_time_that_was_undone_before_it_came_to_it() {
        let core = engine().core;
        let key = Arc::from("1");
        let again = |time: &str| Some(Arc::from(time));
        core.start_child("stock", &key, None).await.unwrap();
        core.undo_child("stock", &key, None, true).await.unwrap();
        for _ in 0..2 {
            let view = core.undo_child("stock", &key, again("second"), false).await.unwrap();
            assert_eq!(view, None, "what ended before is not undone again");
        }
        let late = core.start_child("stock", &key, again("second")).await.unwrap();
        assert_eq!((late.status, late.run, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0, 0));
        let view = core.start_child("stock", &key, again("third")).await.unwrap();
        assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 1, 1));
    }

    #[tokio::test]
    async fn a_child_that_was_made_another_time_is_not_undone_for_the_time_before() {
        let core = engine().core;
        let key = Arc::from("1");
        let again = |time: &str| Some(Arc::from(time));
        core.start_child("stock", &key, None).await.unwrap();
        core.undo_child("stock", &key, None, true).await.unwrap();
        core.start_child("stock", &key, again("second")).await.unwrap();
        assert_eq!(core.undo_child("stock", &key, None, true).await.unwrap(), None);
        assert_eq!(core.app.load(Ordering::SeqCst), 1);
        core.undo_child("stock", &key, again("second"), true).await.unwrap();
        core.start_child("stock", &key, again("third")).await.unwrap();
        assert_eq!(core.undo_child("stock", &key, again("second"), true).await.unwrap(), None);
        assert_eq!(core.app.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_was_left_with_the_driver_of_a_child_undoes_it_for_its_own_time_alone() {
        let core = engine().core;
        let (key, id) = (Arc::from("1"), SagaId::of("stock", "1"));
        core.start_child("stock", &key, None).await.unwrap();
        core.undo_child("stock", &key, None, true).await.unwrap();
        let second = Some(Arc::from("second"));
        for (left, standing) in [(None, 1), (Some("second"), 0)] {
            core.start_child("stock", &key, second.clone()).await.unwrap();
            let left = Undone { by: left.map(Arc::from), ended: true };
            core.store.deliver(order(id, operator::write_undo(&left))).await.unwrap();
            core.start_child("stock", &key, second.clone()).await.unwrap();
            assert_eq!(core.app.load(Ordering::SeqCst), standing, "{left:?}");
        }
        assert!(core.store.load(id).await.unwrap().unwrap().signals.is_empty());
    }

    #[tokio::test]
    async fn a_child_whose_record_names_no_time_is_undone_by_a_parent_that_knows_that_it_ended() {
        let core = engine().core;
        let key = Arc::from("1");
        let again = |time: &str| Some(Arc::from(time));
        core.start_child("stock", &key, None).await.unwrap();
        for _ in 0..2 {
            let view = core.undo_child("stock", &key, again("second"), true).await.unwrap().unwrap();
            assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
        }
        core.start_child("stock", &key, again("third")).await.unwrap();
        assert_eq!(core.undo_child("stock", &key, again("second"), true).await.unwrap(), None);
        assert_eq!(core.app.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_child_that_is_new_at_a_later_time_is_begun_once_for_it() {
        let core = engine().core;
        let key = Arc::from("1");
        for _ in 0..2 {
            let view = core.start_child("stock", &key, Some(Arc::from("second"))).await.unwrap();
            assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 0, 1));
        }
        let key = Arc::from("2");
        core.undo_child("stock", &key, Some(Arc::from("second")), false).await.unwrap();
        let late = core.start_child("stock", &key, Some(Arc::from("second"))).await.unwrap();
        assert_eq!((late.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 1));
    }
}
