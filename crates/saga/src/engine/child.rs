//! Sagas that are steps of other sagas.

use std::sync::Arc;

use super::Core;
use super::call::Message;
use super::operator::Decision;
use super::view::View;
use crate::machine::State;
use crate::store::{SagaId, Status};
use crate::{ErrorKind, Result};

/// Who begins children anew, and undoes them.
pub(super) const PARENT: &str = "pumasi-saga";

/// Tells whether a parent's attempt to make this child was the reason that it was begun anew.
pub(super) fn was_begun_by(state: &State, by: &str) -> bool {
    state.audits.iter().any(|audit| &*audit.who == PARENT && &*audit.why == by)
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
        let had_ended = match &again {
            Some(by) => self.has_ended_before(saga, key, by).await?,
            None => false,
        };
        let message = again.filter(|_| had_ended).map(|by| Message::Restart(Some(by)));
        self.call_with(saga, key, message, true, None).await
    }

    /// Undoes a child; nothing is left to do if it has not been begun for this time. One that was never started is made as
    /// undone, so that nobody starts it later.
    pub(crate) async fn undo_child(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        again: Option<Arc<str>>,
        ended: bool,
    ) -> Result<Option<View>> {
        if let Some(by) = &again
            && self.has_ended_before(saga, key, by).await?
        {
            return Ok(None);
        }
        let current = match self.stored_view(SagaId::of(saga, key)).await {
            Ok(view) => Some(view),
            Err(error) if error.kind() == ErrorKind::NotFound && !ended => None,
            Err(error) => return Err(error),
        };
        let done =
            current.is_some_and(|view| matches!(view.status, Status::Compensated | Status::Compensating));
        let message = Message::Decision(Decision::cancel(PARENT, "its parent goes back"));
        self.call_with(saga, key, (!done).then_some(message), true, None).await.map(Some)
    }

    /// Tells whether a child is there that ended before its parent came to make it this time.
    async fn has_ended_before(&self, saga: &str, key: &Arc<str>, by: &str) -> Result<bool> {
        let Some(stored) = self.store.load(SagaId::of(saga, key)).await? else { return Ok(false) };
        let (_, state) = self.read(&stored)?;
        Ok(state.is_final() && !was_begun_by(&state, by))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

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
        let view = core.undo_child("stock", &key, again("second"), false).await.unwrap();
        assert_eq!(view, None, "what ended before is not undone again");
        for _ in 0..2 {
            let view = core.start_child("stock", &key, again("second")).await.unwrap();
            assert_eq!((view.status, view.run), (Status::Completed, 1));
        }
        let view = core.start_child("stock", &key, again("third")).await.unwrap();
        assert_eq!((view.status, view.run), (Status::Completed, 2));
    }
}
