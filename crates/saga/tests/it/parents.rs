//! What a saga has of being a step of another: it is waited for, goes with its parent, and is kept for it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::{Clock, ManualClock};
use pumasi_saga::store::{Commit, Head, MemoryStore, NewSignal, SagaStore, Status, Stored};
use pumasi_saga::{
    Answer, Cx, Decision, Definition, Ended, Engine, EngineOptions, ErrorKind, Late, Outcome, Policy, Saga,
    SagaHandle, Signal, WhenExhausted,
};
use serde::{Deserialize, Serialize};

use crate::damaged::new_head;
use crate::sagas::AgreeTerms;
use crate::script::{Free, Mood, Pay, Reserve, Script, Unwrap, Wrap, pass, work};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";
const ALL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// Expands a story to one test for each store.
macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::Place::in_memory()).await;
            })+
        }

        #[cfg(feature = "embedded")]
        mod in_sqlite {
            $(#[tokio::test]
            async fn $story() {
                let folder = tempfile::tempdir().unwrap();
                super::$story(super::Place::in_sqlite(folder.path()).await).await;
            })+
        }
    };
}

stories![
    a_parent_says_whom_it_waits_for_while_its_child_stands_with_an_operator,
    what_becomes_of_late_signals_to_a_child_concerns_no_parent,
    a_parent_that_goes_back_waits_through_three_levels,
    a_child_goes_with_its_parent,
    a_child_that_was_undone_is_not_begun_by_itself_while_its_parent_goes_on,
    a_parent_whose_child_does_not_stand_completed_does_not_pass_its_pivot,
    a_child_is_kept_until_its_parent_has_ended,
    a_child_that_is_gone_behind_the_pivot_is_not_made_again,
    a_child_that_is_gone_before_the_pivot_is_not_made_again,
    a_parent_that_waits_for_its_child_records_nothing,
    a_parent_that_was_not_woken_looks_after_its_child,
];

/// A store, its clock, and what the steps do.
struct Place {
    clock: ManualClock,
    store: Arc<dyn SagaStore>,
    script: Script,
}

impl Place {
    fn in_memory() -> Self {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
        Self { clock, store, script: Script::default() }
    }

    #[cfg(feature = "embedded")]
    async fn in_sqlite(folder: &std::path::Path) -> Self {
        let clock = ManualClock::new();
        let options = pumasi_saga::store::SqliteStoreOptions::new(folder.join("sagas.db"));
        let store = options.with_clock(Arc::new(clock.clone())).open().await.unwrap();
        Self { clock, store: Arc::new(store), script: Script::default() }
    }

    fn engine(&self) -> Engine<Script> {
        self.engine_with(EngineOptions::new())
    }

    fn engine_with(&self, options: EngineOptions) -> Engine<Script> {
        let options = options.with_clock(Arc::new(self.clock.clone()));
        Engine::with_options(Arc::clone(&self.store), self.script.clone(), options)
    }

    async fn pass(&self, engine: &Engine<Script>, time: Duration) {
        pass(&self.clock, engine, time).await;
    }

    async fn stored(&self, sagas: &SagaHandle<u64, Script>, key: u64) -> Stored {
        self.store.load(sagas.id(&key).unwrap()).await.unwrap().unwrap()
    }

    /// Forgets what the store lets be forgotten now.
    async fn purge(&self) -> usize {
        self.store.purge(Duration::ZERO, ALL).await.unwrap()
    }
}

/// What is waited for behind the child.
#[derive(Serialize, Deserialize)]
struct Go(u32);

impl Answer for Go {
    const NAME: &'static str = "go";
}

struct GiveBack;

impl Late<Script, AgreeTerms> for GiveBack {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Script>, _: AgreeTerms) -> Outcome<(), &'static str> {
        cx.app().act("give_back")
    }
}

fn once() -> Policy {
    Policy::new().with_attempts(NonZeroU32::MIN)
}

fn cancel() -> Decision {
    Decision::cancel(WHO, WHY)
}

fn retry() -> Decision {
    Decision::retry(WHO, WHY)
}

/// Reserves, which is undone once or not at all.
fn stock() -> Definition<u64, Script> {
    Saga::<u64, Script>::new("stock", 1).step(Reserve).compensate(Free).policy(once()).build().unwrap()
}

/// Reserves, and then asks; a second answer is given back once or not at all.
fn asking() -> Definition<u64, Script> {
    let asking = Saga::<u64, Script>::new("asking", 1).step(Reserve).compensate(Free);
    asking.wait::<AgreeTerms>().late(GiveBack).policy(once()).build().unwrap()
}

/// Wraps, has a child, waits, and pays.
fn basket(child: &Definition<u64, Script>, exhausted: WhenExhausted) -> Definition<u64, Script> {
    let saga = Saga::<u64, Script>::new("basket", 1).step(Wrap).compensate(Unwrap).policy(once());
    let saga = saga.child(child, |(key,): (u64,)| key + 10).when_exhausted(exhausted);
    saga.wait::<Go>().pivot(Pay).build().unwrap()
}

/// A parent and its child.
fn both(
    engine: &Engine<Script>,
    child: Definition<u64, Script>,
    exhausted: WhenExhausted,
) -> (SagaHandle<u64, Script>, SagaHandle<u64, Script>) {
    let parents = engine.register(basket(&child, exhausted)).unwrap();
    (parents, engine.register(child).unwrap())
}

fn answer(id: &str) -> Signal {
    Signal::from(AgreeTerms("예".into())).with_id(id)
}

async fn a_parent_says_whom_it_waits_for_while_its_child_stands_with_an_operator(place: Place) {
    for (key, exhausted) in [(1, WhenExhausted::Halt), (2, WhenExhausted::Continue)] {
        let engine = place.engine();
        let (parents, children) = both(&engine, stock(), exhausted);
        parents.start(&key).await.unwrap();
        place.script.set("free", Mood::Refuses);
        place.script.did();
        let view = parents.decide(&key, cancel()).await.unwrap();
        assert_eq!(view.status, Status::Compensating);
        assert_eq!(view.child.unwrap().status, Status::NeedsOperator);
        let before = place.stored(&parents, key).await.version;
        place.pass(&engine, Duration::from_hours(1)).await;

        let stored = place.stored(&parents, key).await;
        assert_eq!((stored.head.status, stored.version), (Status::Compensating, before));
        let child = children.id(&(key + 10)).unwrap();
        let told = format!("waits for saga stock {child}: needs_operator; cancelled");
        assert_eq!(stored.head.reason.as_deref(), Some(&*told));
        let snapshot = parents.snapshot(&key).await.unwrap();
        assert_eq!((snapshot.steps[1].attempt, snapshot.steps[1].unknown), (1, None));
        assert_eq!(snapshot.view.child.unwrap().status, Status::NeedsOperator);
        assert_eq!(snapshot.audits.len(), 1);
        let audits = children.snapshot(&(key + 10)).await.unwrap().audits;
        assert_eq!(audits.iter().filter(|audit| &*audit.action == "cancel").count(), 1);
        assert_eq!(place.script.did(), [""; 0], "what was before the child waits, too");

        place.script.set("free", Mood::Works);
        assert_eq!(children.decide(&(key + 10), retry()).await.unwrap().status, Status::Compensated);
        work(&engine).await;
        assert_eq!(parents.view(&key).await.unwrap().status, Status::Compensated, "at once");
        assert_eq!(place.script.did(), ["free", "unwrap"]);
    }
}

async fn what_becomes_of_late_signals_to_a_child_concerns_no_parent(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, asking(), WhenExhausted::Halt);
    place.script.set("give_back", Mood::Refuses);
    // It is undone while an answer is on its way.
    parents.start(&1).await.unwrap();
    place.script.set("free", Mood::Refuses);
    parents.decide(&1, cancel()).await.unwrap();
    assert_eq!(children.advance(&11, answer("a")).await.unwrap().status, Status::NeedsOperator);
    place.script.set("free", Mood::Works);
    let child = children.decide(&11, retry()).await.unwrap();
    assert_eq!((child.status, child.step.as_deref()), (Status::NeedsOperator, Some("agree_terms")));
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Compensated);
    // Its parent may begin again once the answer has been seen to.
    assert_eq!(parents.restart(&1).await.unwrap().status, Status::Running);
    place.pass(&engine, Duration::from_secs(5)).await;
    assert_eq!(children.view(&11).await.unwrap().run, 0);
    place.script.set("give_back", Mood::Works);
    children.decide(&11, retry()).await.unwrap();
    place.pass(&engine, Duration::from_secs(5)).await;
    assert_eq!(children.view(&11).await.unwrap().run, 1);

    // One that completed, and has an answer too many: its parent goes on.
    place.script.set("give_back", Mood::Refuses);
    children.advance(&11, answer("b")).await.unwrap();
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().next.as_deref(), Some("go"));
    assert_eq!(children.advance(&11, answer("c")).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(parents.advance(&1, Go(1)).await.unwrap().status, Status::Completed);
}

async fn a_parent_that_goes_back_waits_through_three_levels(place: Place) {
    let (engine, stock) = (place.engine(), stock());
    let middle = Saga::<u64, Script>::new("middle", 1).child(&stock, |(key,): (u64,)| key).build().unwrap();
    let (parents, middles) = both(&engine, middle, WhenExhausted::Continue);
    let leaves = engine.register(stock).unwrap();
    parents.start(&1).await.unwrap();
    place.script.set("free", Mood::Refuses);
    parents.decide(&1, cancel()).await.unwrap();
    place.pass(&engine, Duration::from_mins(5)).await;
    let view = parents.view(&1).await.unwrap();
    let middle = view.child.unwrap();
    let leaf = middle.child.unwrap();
    let stand = (view.status, middle.status, leaf.status);
    assert_eq!(stand, (Status::Compensating, Status::Compensating, Status::NeedsOperator));
    place.script.set("free", Mood::Works);
    leaves.decide(&11, retry()).await.unwrap();
    work(&engine).await;
    assert_eq!(middles.view(&11).await.unwrap().status, Status::Compensated);
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Compensated);
    assert_eq!(place.script.did(), ["wrap", "reserve", "free", "unwrap"]);
}

async fn a_child_goes_with_its_parent(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, stock(), WhenExhausted::Halt);
    let refused = async |key: u64| {
        for refused in [children.restart(&(key + 10)).await, children.decide(&(key + 10), cancel()).await] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Conflict);
            let parent = format!("saga basket {}", parents.id(&key).unwrap());
            assert!(refused.message().contains(&parent), "{refused}");
        }
    };
    parents.start(&1).await.unwrap();
    refused(1).await;
    parents.decide(&1, cancel()).await.unwrap();
    assert_eq!(place.script.did(), ["wrap", "reserve", "free", "unwrap"]);
    // Nobody counts on it any more.
    assert_eq!(children.restart(&11).await.unwrap().status, Status::Completed);
    assert_eq!(children.decide(&11, cancel()).await.unwrap().status, Status::Compensated);

    parents.start(&2).await.unwrap();
    assert_eq!(parents.advance(&2, Go(1)).await.unwrap().status, Status::Completed);
    refused(2).await;
    assert_eq!(children.view(&12).await.unwrap().status, Status::Completed);

    // One that is nobody's does as it is told.
    children.start(&99).await.unwrap();
    assert_eq!(children.decide(&99, cancel()).await.unwrap().status, Status::Compensated);
}

async fn a_child_that_was_undone_is_not_begun_by_itself_while_its_parent_goes_on(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, stock(), WhenExhausted::Halt);
    parents.start(&1).await.unwrap();
    place.script.set("unwrap", Mood::Refuses);
    assert_eq!(parents.decide(&1, cancel()).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(children.restart(&11).await.unwrap_err().kind(), ErrorKind::Conflict);
    place.script.set("unwrap", Mood::Works);
    assert_eq!(parents.decide(&1, retry()).await.unwrap().status, Status::Compensated);
    assert_eq!(place.script.did(), ["wrap", "reserve", "free", "unwrap"]);
}

async fn a_parent_whose_child_does_not_stand_completed_does_not_pass_its_pivot(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, stock(), WhenExhausted::Halt);
    parents.start(&1).await.unwrap();
    // Code that does not ask for the parent leaves this with it.
    let order =
        serde_json::json!({ "action": "cancel", "value": null, "savepoint": null, "who": WHO, "why": WHY });
    let (name, id) = (Arc::from("!order"), Arc::from("!order:1"));
    let saga = children.id(&11).unwrap();
    place.store.deliver(NewSignal { saga, name, id, payload: order.to_string().into_bytes() }).await.unwrap();
    work(&engine).await;
    assert_eq!(children.view(&11).await.unwrap().status, Status::Compensated);
    let view = parents.advance(&1, Go(1)).await.unwrap();
    let reason = "child stock stands as compensated, not completed";
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some(reason)));
    assert_eq!(place.script.did(), ["wrap", "reserve", "free", "unwrap"], "nothing is paid");
}

async fn a_child_is_kept_until_its_parent_has_ended(place: Place) {
    let hour = Duration::from_hours(1);
    let engine = place.engine_with(EngineOptions::new().with_retention(hour));
    let (parents, children) = both(&engine, stock(), WhenExhausted::Halt);
    for key in [1, 2] {
        parents.start(&key).await.unwrap();
        assert_eq!(children.view(&(key + 10)).await.unwrap().status, Status::Completed);
    }
    for _ in 0..3 {
        assert_eq!(place.purge().await, 0, "also by somebody who keeps nothing");
        place.pass(&engine, 5 * hour / 2).await;
    }
    assert_eq!(parents.decide(&1, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(parents.advance(&2, Go(1)).await.unwrap().status, Status::Completed);
    assert_eq!(place.script.did(), ["wrap", "reserve", "wrap", "reserve", "free", "unwrap", "pay"]);
    assert_eq!(place.purge().await, 2, "the parents");
    place.pass(&engine, 2 * hour).await;
    assert_eq!(place.purge().await, 2, "the children");
}

async fn a_child_that_is_gone_behind_the_pivot_is_not_made_again(place: Place) {
    let (engine, asking) = (place.engine_with(EngineOptions::new().keeping_ended()), asking());
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&asking, |(key,): (u64,)| key);
    let paid = engine.register(paid.build().unwrap()).unwrap();
    let children = engine.register(asking).unwrap();
    assert_eq!(paid.start(&1).await.unwrap().status, Status::Running);
    children.advance(&1, answer("a")).await.unwrap();
    assert_eq!(place.purge().await, 1);
    place.pass(&engine, Duration::from_mins(1)).await;
    let view = paid.view(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    let gone = format!("there is no saga {}", children.id(&1).unwrap());
    assert_eq!(view.reason.as_deref(), Some(&*gone));
    assert_eq!(place.script.did(), ["pay", "reserve"], "once");
    let ended = serde_json::json!({ "key": 1 });
    let by_hand = Decision::force_done(&ended, WHO, WHY).unwrap();
    assert_eq!(paid.decide(&1, by_hand).await.unwrap().status, Status::Completed);
}

async fn a_child_that_is_gone_before_the_pivot_is_not_made_again(place: Place) {
    let engine = place.engine_with(EngineOptions::new().keeping_ended());
    let (parents, children) = both(&engine, asking(), WhenExhausted::Halt);
    parents.start(&1).await.unwrap();
    children.advance(&11, answer("a")).await.unwrap();
    assert_eq!(place.purge().await, 1);
    place.pass(&engine, Duration::from_mins(1)).await;
    let view = parents.view(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    // Nor where it is sent forward: what became of it is known less than ever.
    let forward = parents.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!((forward.status, forward.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    assert_eq!(place.script.did(), ["wrap", "reserve"], "once");
    assert_eq!(parents.decide(&1, Decision::skip(WHO, WHY)).await.unwrap().status, Status::Compensated);
    assert_eq!(place.script.did(), ["unwrap"]);
}

async fn a_parent_that_waits_for_its_child_records_nothing(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, asking(), WhenExhausted::Halt);
    let view = parents.start(&1).await.unwrap();
    assert_eq!((view.status, view.next), (Status::Running, None));
    assert_eq!(view.child.unwrap().next.as_deref(), Some("agree_terms"));
    let before = place.stored(&parents, 1).await;
    place.pass(&engine, Duration::from_hours(24)).await;
    let stored = place.stored(&parents, 1).await;
    assert_eq!(stored.version, before.version, "no record in a day");
    let looks = stored.epoch - before.epoch;
    assert!((10..300).contains(&looks), "{looks} looks in a day");
    let child = children.id(&11).unwrap();
    assert_eq!(stored.head.reason.as_deref(), Some(&*format!("waits for saga asking {child}: waiting")));
    let snapshot = parents.snapshot(&1).await.unwrap();
    assert_eq!((snapshot.steps[1].attempt, snapshot.steps[1].unknown), (1, None));
    assert_eq!(snapshot.view.child.as_ref().unwrap().next.as_deref(), Some("agree_terms"));
    assert_eq!(snapshot.output::<Ended<u64>>("asking").unwrap(), None);
    assert!(serde_json::to_value(&snapshot.view).unwrap()["child"]["next"] == "agree_terms");

    children.advance(&11, answer("a")).await.unwrap();
    work(&engine).await;
    let view = parents.view(&1).await.unwrap();
    assert_eq!((view.next.as_deref(), view.child), (Some("go"), None), "at once");
    let ended = parents.snapshot(&1).await.unwrap().output::<Ended<u64>>("asking").unwrap();
    assert_eq!(ended.map(|ended| ended.key), Some(11));
    let stored = place.stored(&parents, 1).await;
    assert_eq!((stored.head.reason, stored.signals.len()), (None, 0));
}

async fn a_parent_that_was_not_woken_looks_after_its_child(place: Place) {
    let engine = place.engine();
    let (parents, children) = both(&engine, asking(), WhenExhausted::Halt);
    parents.start(&1).await.unwrap();
    place.pass(&engine, Duration::from_mins(2)).await;
    // Whoever drives the child dies before it wakes its parent: what it left is taken away.
    children.advance(&11, answer("a")).await.unwrap();
    let stored = place.stored(&parents, 1).await;
    assert_eq!(stored.signals.len(), 1);
    let due = Some(place.clock.now().saturating_add(Duration::from_mins(1)));
    let head = Head { due, ..stored.head.clone() };
    let commit = Commit { consumed: vec![stored.signals[0].seq], ..new_head(&stored, head) };
    place.store.commit(vec![commit]).await.pop().unwrap().unwrap();
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().next, None);
    place.pass(&engine, Duration::from_mins(1)).await;
    assert_eq!(parents.view(&1).await.unwrap().next.as_deref(), Some("go"));
}

#[test]
fn a_child_behind_the_pivot_is_refused_by_an_engine_that_would_forget_it_at_once() {
    let place = Place::in_memory();
    let engine = place.engine_with(EngineOptions::new().with_retention(Duration::ZERO));
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&stock(), |(key,): (u64,)| key);
    let refused = engine.register(paid.build().unwrap()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains("saga paid"), "{refused}");
}
