use std::sync::atomic::{AtomicU32, Ordering};

use super::super::deliver::order;
use super::super::operator;
use serde::{Deserialize, Serialize};

use super::*;
use crate::store::MemoryStore;
use crate::{Answer, Compensate, Cx, Engine, Outcome, Saga, SagaHandle, Step, Undo};

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

/// A child as the step of a parent wants it.
fn wanted(key: &str, again: Option<&str>) -> Wanted {
    Wanted {
        saga: Arc::from("stock"),
        version: 1,
        key: Arc::from(key),
        parent: Arc::from("parent/stock"),
        epoch: 1,
        again: again.map(Arc::from),
        is_undone: true,
        is_begun: false,
        is_retried: false,
    }
}

#[derive(Serialize, Deserialize)]
struct Go(u32);

impl Answer for Go {
    const NAME: &'static str = "go";
}

/// An engine whose children reserve, and then wait.
fn asking_engine() -> (Engine<AtomicU32>, SagaHandle<u64, AtomicU32>) {
    let engine = Engine::new(MemoryStore::new(), AtomicU32::new(0));
    let stock = Saga::<u64, AtomicU32>::new("stock", 1).step(Reserve).compensate(Free);
    let stocks = engine.register(stock.wait::<Go>().build().unwrap()).unwrap();
    (engine, stocks)
}

async fn start(core: &Arc<Core<AtomicU32>>, wanted: Wanted) -> View {
    match core.start_child(wanted).await.unwrap() {
        Child::There(view) => view,
        Child::Refused(why) => panic!("{why}"),
    }
}

/// What a parent leaves with the driver of its child.
fn left_undone(by: Option<&str>, parent: &str) -> Undone {
    let (by, parent) = (by.map(Arc::from), Some(Arc::from(parent)));
    Undone { by, begun: true, parent, epoch: None, version: Some(1) }
}

fn of_another(again: Option<&str>) -> Wanted {
    Wanted { parent: Arc::from("another/stock"), ..wanted("1", again) }
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
    let view = core.undo_child(&wanted("1", None), false).await.unwrap().unwrap();
    assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
    let stored = core.store.load(SagaId::of("stock", "1")).await.unwrap().unwrap();
    assert_eq!(stored.version, 1, "it has no history");
    let late = start(&core, wanted("1", None)).await;
    assert_eq!((late.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
}

#[tokio::test]
async fn a_child_is_begun_anew_once_for_each_time_that_its_parent_comes_to_it() {
    let core = engine().core;
    start(&core, wanted("1", None)).await;
    core.undo_child(&wanted("1", None), true).await.unwrap();
    for _ in 0..2 {
        let view = start(&core, wanted("1", Some("second"))).await;
        assert_eq!((view.status, view.run), (Status::Completed, 1));
    }
    let view = core.undo_child(&wanted("1", Some("second")), true).await.unwrap().unwrap();
    assert_eq!((view.status, view.run), (Status::Compensated, 1));
    let view = start(&core, wanted("1", Some("third"))).await;
    assert_eq!((view.status, view.run), (Status::Completed, 2));
}

#[tokio::test]
async fn a_child_is_not_begun_for_a_time_that_was_undone_before_it_came_to_it() {
    let core = engine().core;
    start(&core, wanted("1", None)).await;
    core.undo_child(&wanted("1", None), true).await.unwrap();
    for _ in 0..2 {
        let view = core.undo_child(&wanted("1", Some("second")), false).await.unwrap();
        assert_eq!(view, None, "what ended before is not undone again");
    }
    let late = start(&core, wanted("1", Some("second"))).await;
    assert_eq!((late.status, late.run, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0, 0));
    let view = start(&core, wanted("1", Some("third"))).await;
    assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 1, 1));
}

#[tokio::test]
async fn a_child_that_was_made_another_time_is_not_undone_for_the_time_before() {
    let core = engine().core;
    start(&core, wanted("1", None)).await;
    core.undo_child(&wanted("1", None), true).await.unwrap();
    start(&core, wanted("1", Some("second"))).await;
    assert_eq!(core.undo_child(&wanted("1", None), true).await.unwrap(), None);
    assert_eq!(core.app.load(Ordering::SeqCst), 1);
    core.undo_child(&wanted("1", Some("second")), true).await.unwrap();
    start(&core, wanted("1", Some("third"))).await;
    assert_eq!(core.undo_child(&wanted("1", Some("second")), true).await.unwrap(), None);
    assert_eq!(core.app.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_was_left_with_the_driver_of_a_child_undoes_it_for_its_own_time_alone() {
    let core = engine().core;
    let id = SagaId::of("stock", "1");
    start(&core, wanted("1", None)).await;
    core.undo_child(&wanted("1", None), true).await.unwrap();
    for (left, standing) in [(None, 1), (Some("second"), 0)] {
        start(&core, wanted("1", Some("second"))).await;
        let left = left_undone(left, "parent/stock");
        core.store.deliver(order(id, operator::write_undo(&left))).await.unwrap();
        start(&core, wanted("1", Some("second"))).await;
        assert_eq!(core.app.load(Ordering::SeqCst), standing, "{left:?}");
    }
    assert!(core.store.load(id).await.unwrap().unwrap().signals.is_empty());
}

#[tokio::test]
async fn a_child_whose_record_names_no_time_is_undone_by_a_parent_that_knows_that_it_ended() {
    let core = engine().core;
    start(&core, wanted("1", None)).await;
    for _ in 0..2 {
        let view = core.undo_child(&wanted("1", Some("second")), true).await.unwrap().unwrap();
        assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
    }
    start(&core, wanted("1", Some("third"))).await;
    assert_eq!(core.undo_child(&wanted("1", Some("second")), true).await.unwrap(), None);
    assert_eq!(core.app.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_child_that_is_new_at_a_later_time_is_begun_once_for_it() {
    let core = engine().core;
    for _ in 0..2 {
        let view = start(&core, wanted("1", Some("second"))).await;
        assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 0, 1));
    }
    core.undo_child(&wanted("2", Some("second")), false).await.unwrap();
    let late = start(&core, wanted("2", Some("second"))).await;
    assert_eq!((late.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 1));
}

#[tokio::test]
async fn a_child_of_another_is_refused_and_is_not_undone() {
    let core = engine().core;
    let belongs = "the child belongs to another saga or step";
    let id = SagaId::of("stock", "1");
    start(&core, wanted("1", None)).await;
    for again in [None, Some("second")] {
        let other = core.start_child(of_another(again)).await.unwrap();
        assert!(matches!(other, Child::Refused(why) if why == belongs));
        for ended in [true, false] {
            assert_eq!(core.undo_child(&of_another(again), ended).await.unwrap(), None);
        }
    }
    // What another left with its driver undoes nothing either.
    core.store.deliver(order(id, operator::write_undo(&left_undone(None, "another/stock")))).await.unwrap();
    let view = start(&core, wanted("1", None)).await;
    assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Completed, 1));
    // Also once it was undone: it is not begun anew for another.
    core.undo_child(&wanted("1", None), true).await.unwrap();
    assert!(matches!(core.start_child(of_another(Some("second"))).await.unwrap(), Child::Refused(_)));
    assert_eq!(core.app.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_saga_that_is_nobodys_belongs_to_the_first_that_comes_to_it() {
    let core = engine().core;
    core.call("stock", &Arc::from("1"), None, true).await.unwrap();
    let view = start(&core, wanted("1", None)).await;
    assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Completed, 1), "it is made once");
    assert!(matches!(core.start_child(of_another(None)).await.unwrap(), Child::Refused(_)));
    let stored = core.store.load(SagaId::of("stock", "1")).await.unwrap().unwrap();
    let (_, state) = core.read(&stored).unwrap();
    let said: Vec<_> = state.audits.iter().map(|audit| (&*audit.action, &*audit.why)).collect();
    assert_eq!(said, [("child_of", "parent/stock")], "recorded once");
}

#[tokio::test]
async fn one_that_goes_back_before_it_came_to_a_child_has_it_and_nobody_else_begins_it() {
    let core = engine().core;
    core.undo_child(&wanted("1", None), false).await.unwrap();
    assert!(matches!(core.start_child(of_another(None)).await.unwrap(), Child::Refused(_)));
    assert_eq!(core.app.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_step_that_is_retried_begins_what_was_undone_anew_and_leaves_what_completed() {
    let core = engine().core;
    let retried = |time| Wanted { is_undone: false, is_retried: true, ..wanted("1", Some(time)) };
    start(&core, wanted("1", None)).await;
    let view = start(&core, retried("second")).await;
    assert_eq!((view.run, core.app.load(Ordering::SeqCst)), (0, 1));
    core.undo_child(&wanted("1", None), true).await.unwrap();
    for _ in 0..2 {
        let view = start(&core, retried("third")).await;
        assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 1, 1));
    }
}

#[tokio::test]
async fn a_new_child_follows_the_version_that_its_parent_was_built_with() {
    let engine = engine();
    let final_one = Saga::<u64, AtomicU32>::new("stock", 2).pivot(Reserve).build().unwrap();
    let stocks = engine.register(final_one).unwrap();
    let core = &engine.core;
    let version =
        async |key: &str| core.store.load(SagaId::of("stock", key)).await.unwrap().unwrap().head.definition;
    start(core, wanted("1", None)).await;
    assert_eq!(version("1").await, 1);
    core.undo_child(&wanted("2", None), false).await.unwrap();
    assert_eq!(version("2").await, 1);
    // One that follows the other already cannot be undone, and is none for a step that may have to.
    stocks.start(&3).await.unwrap();
    let refused = core.start_child(wanted("3", None)).await.unwrap();
    assert!(matches!(refused, Child::Refused(why) if why.contains("pivot")));
    let behind = Wanted { is_undone: false, ..wanted("3", None) };
    assert_eq!(start(core, behind).await.status, Status::Completed);
}

#[tokio::test]
async fn a_child_that_goes_on_is_undone_with_the_last_time_that_came_to_it_and_with_none_before() {
    for known in [true, false] {
        let (engine, stocks) = asking_engine();
        let core = &engine.core;
        // The first time was passed over without its being undone, and so was the second.
        for again in [None, Some("second"), Some("third"), Some("third")] {
            assert_eq!(start(core, wanted("1", again)).await.status, Status::Waiting);
        }
        assert_eq!(stocks.advance(&1, Go(1)).await.unwrap().status, Status::Completed);
        for over in [None, Some("second")] {
            assert_eq!(core.undo_child(&wanted("1", over), known).await.unwrap(), None);
        }
        let view = core.undo_child(&wanted("1", Some("third")), known).await.unwrap().unwrap();
        assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0), "{known}");
        let late = start(core, wanted("1", Some("third"))).await;
        assert_eq!((late.status, late.run), (Status::Compensated, 0));
        assert_eq!(start(core, wanted("1", Some("fourth"))).await.run, 1);
    }
}

#[tokio::test]
async fn a_child_that_goes_on_and_is_undone_for_a_time_is_not_begun_for_it_afterwards() {
    let (engine, stocks) = asking_engine();
    let core = &engine.core;
    for (key, left) in [(1, false), (2, true)] {
        let of = |again| wanted(if left { "2" } else { "1" }, again);
        start(core, of(None)).await;
        if left {
            let undone = left_undone(Some("second"), "parent/stock");
            core.store.deliver(order(of(None).id(), operator::write_undo(&undone))).await.unwrap();
            engine.run_due().await.unwrap();
        } else {
            core.undo_child(&of(Some("second")), false).await.unwrap();
        }
        assert_eq!(stocks.view(&key).await.unwrap().status, Status::Compensated);
        let late = start(core, of(Some("second"))).await;
        assert_eq!((late.status, late.run), (Status::Compensated, 0));
        assert_eq!(core.app.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn that_a_child_is_undone_for_a_time_comes_before_it_is_made_for_a_later_one() {
    let (engine, stocks) = asking_engine();
    let core = &engine.core;
    start(core, wanted("1", None)).await;
    // Left before the parent came to the third time, and not yet taken.
    let undone = left_undone(Some("second"), "parent/stock");
    core.store.deliver(order(wanted("1", None).id(), operator::write_undo(&undone))).await.unwrap();
    let view = start(core, wanted("1", Some("third"))).await;
    assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Waiting, 1, 1));
    assert_eq!(stocks.advance(&1, Go(1)).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn a_worker_that_has_lost_a_parent_neither_makes_nor_undoes_its_child_for_a_time_that_is_over() {
    let (engine, stocks) = asking_engine();
    let core = &engine.core;
    let parents =
        engine.register(Saga::<u64, AtomicU32>::new("parent", 1).wait::<Go>().build().unwrap()).unwrap();
    parents.start(&1).await.unwrap();
    let parent = core.store.load(parents.id(&1).unwrap()).await.unwrap().unwrap();
    let of = |again: &str, epoch| Wanted {
        parent: place(parent.head.id, "stock"),
        epoch,
        ..wanted("1", Some(again))
    };
    let (lost, now) = (of("second", parent.epoch - 1), of("third", parent.epoch));
    start(core, Wanted { again: None, ..now.clone() }).await;
    start(core, now.clone()).await;
    // The second was passed over while the one who made it stood still.
    let refused = core.start_child(lost.clone()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(core.undo_child(&lost, false).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Nor is that left with whoever has the child.
    let held = core.begin(lost.id()).map_err(|_| ()).unwrap();
    assert_eq!(core.undo_child(&lost, false).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(held);
    assert!(core.store.load(lost.id()).await.unwrap().unwrap().signals.is_empty());
    assert_eq!(stocks.view(&1).await.unwrap().status, Status::Waiting);
    stocks.advance(&1, Go(1)).await.unwrap();
    assert_eq!(core.start_child(lost).await.map(|_| ()).unwrap_err().kind(), ErrorKind::Unavailable);
    let view = start(core, now.clone()).await;
    assert_eq!((view.status, view.run, core.app.load(Ordering::SeqCst)), (Status::Completed, 0, 1));
    let view = core.undo_child(&now, true).await.unwrap().unwrap();
    assert_eq!((view.status, core.app.load(Ordering::SeqCst)), (Status::Compensated, 0));
}
