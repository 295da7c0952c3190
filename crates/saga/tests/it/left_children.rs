//! Children that their parents' operators pass over, that stand with an operator of their own, or that nobody knows any more.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pumasi_core::time::Clock;
use pumasi_saga::store::{MemoryStore, NewSignal, Query, SagaStore, Status};
use pumasi_saga::{
    Answer, Cx, Decision, Definition, Engine, EngineOptions, ErrorKind, Late, Outcome, Policy, Receipt, Saga,
    SagaHandle, Signal, WhenExhausted,
};
use serde::{Deserialize, Serialize};

use crate::damaged::put_aside;
use crate::fateful::Fateful;
use crate::sagas::AgreeTerms;
use crate::script::{Desk, Free, Mood, Pay, Reserve, Script, Unwrap, Wrap, pass, work};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";
const HOUR: Duration = Duration::from_hours(1);

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

/// Reserves, and then asks; what is answered too late is given back, or so often not.
fn asking(version: u32, attempts: u32) -> Definition<u64, Script> {
    let policy = Policy::new().with_attempts(NonZeroU32::new(attempts).unwrap());
    let asking = Saga::<u64, Script>::new("asking", version).step(Reserve);
    let asking = asking.compensate(Free).policy(Policy::forever());
    asking.wait::<AgreeTerms>().late(GiveBack).policy(policy).build().unwrap()
}

/// Wraps, has a child, waits, and pays.
fn basket(version: u32, child: &Definition<u64, Script>) -> Definition<u64, Script> {
    let saga = Saga::<u64, Script>::new("basket", version).step(Wrap).compensate(Unwrap).savepoint("wrapped");
    saga.child(child, |(key,): (u64,)| key + 10).wait::<Go>().pivot(Pay).build().unwrap()
}

fn both(
    engine: &Engine<Script>,
    child: Definition<u64, Script>,
) -> (SagaHandle<u64, Script>, SagaHandle<u64, Script>) {
    (engine.register(basket(1, &child)).unwrap(), engine.register(child).unwrap())
}

fn answer(id: &str) -> Signal {
    Signal::from(AgreeTerms("예".into())).with_id(id)
}

fn again() -> Decision {
    Decision::rollback_to("wrapped", WHO, WHY)
}

fn cancel() -> Decision {
    Decision::cancel(WHO, WHY)
}

fn retry() -> Decision {
    Decision::retry(WHO, WHY)
}

fn purge_all() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(99)
}

#[tokio::test]
async fn a_child_that_goes_on_although_it_was_passed_over_is_undone_with_the_parent_that_came_to_it_again() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    parents.decide(&1, again()).await.unwrap();
    pass(&desk.clock, &engine, Duration::from_secs(5)).await;
    assert_eq!(children.view(&11).await.unwrap().run, 1, "it is made a second time");
    assert_eq!(desk.script.did(), ["wrap", "reserve", "free", "reserve"]);

    put_aside(&children, 11).await;
    let view = parents.decide(&1, again()).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    assert_eq!(parents.decide(&1, Decision::skip(WHO, WHY)).await.unwrap().status, Status::Running);
    assert_eq!(children.decide(&11, retry()).await.unwrap().status, Status::Waiting);
    pass(&desk.clock, &engine, Duration::from_secs(5)).await;
    children.advance(&11, answer("a")).await.unwrap();
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().next.as_deref(), Some("go"));
    assert_eq!(desk.script.did(), [""; 0], "it stands as it was made the second time");

    assert_eq!(parents.decide(&1, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(children.view(&11).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["free", "unwrap"]);
}

#[tokio::test]
async fn a_child_that_stands_at_a_late_answer_is_undone_with_its_parent_and_stands_there_afterwards() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    children.advance(&11, answer("a")).await.unwrap();
    work(&engine).await;
    desk.script.set("give_back", Mood::Refuses);
    assert_eq!(children.advance(&11, answer("b")).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(parents.decide(&1, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["wrap", "reserve", "free", "unwrap"]);
    let child = children.view(&11).await.unwrap();
    assert_eq!((child.status, child.step.as_deref()), (Status::NeedsOperator, Some("agree_terms")));
    desk.script.set("give_back", Mood::Works);
    assert_eq!(children.decide(&11, retry()).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["give_back"]);
}

#[tokio::test]
async fn a_late_answer_that_is_given_up_during_a_rollback_does_not_hold_it_up() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 2));
    parents.start(&1).await.unwrap();
    children.advance(&11, answer("a")).await.unwrap();
    work(&engine).await;
    // Neither goes on at first; what is late is given up before what was reserved is free.
    desk.script.set("give_back", Mood::Silent);
    desk.script.set("free", Mood::Silent);
    assert_eq!(children.advance(&11, answer("b")).await.unwrap().status, Status::Running);
    parents.decide(&1, cancel()).await.unwrap();
    pass(&desk.clock, &engine, Duration::from_secs(20)).await;
    assert_eq!(children.view(&11).await.unwrap().status, Status::Compensating);
    desk.script.set("free", Mood::Works);
    pass(&desk.clock, &engine, HOUR).await;
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Compensated);
    assert_eq!(children.view(&11).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(desk.script.did(), ["wrap", "reserve", "free", "unwrap"]);
}

#[tokio::test]
async fn the_child_of_another_is_not_shown_as_a_sagas_own() {
    let desk = Desk::new();
    let (engine, asking) = (desk.engine(), asking(1, 1));
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&asking, |(key,): (u64,)| key % 10);
    let paid = engine.register(paid.build().unwrap()).unwrap();
    let own = paid.start(&1).await.unwrap();
    assert_eq!(own.child.unwrap().next.as_deref(), Some("agree_terms"));
    let other = paid.start(&11).await.unwrap();
    assert_eq!(
        (other.status, other.step.as_deref(), other.child),
        (Status::NeedsOperator, Some("asking"), None)
    );
    let shown = paid.snapshots(&[11, 1]).await.unwrap();
    let shown: Vec<_> = shown.iter().map(|it| it.as_ref().unwrap().view.child.is_some()).collect();
    assert_eq!((shown, paid.view(&11).await.unwrap().child), (vec![false, true], None));
}

#[tokio::test]
async fn a_page_asks_once_for_all_that_its_sagas_wait_for() {
    let desk = Desk::new();
    let store = Fateful::new(desk.store.clone());
    let asked = Arc::clone(&store.asked);
    let engine = desk.engine_with(store, EngineOptions::new());
    let asking = asking(1, 1);
    let middle = Saga::<u64, Script>::new("middle", 1).child(&asking, |(key,): (u64,)| key).build().unwrap();
    let parents = engine.register(basket(1, &middle)).unwrap();
    let keys: Vec<u64> = (0..20).collect();
    for key in &keys {
        parents.start(key).await.unwrap();
    }
    let before = asked.load(Ordering::SeqCst);
    let page = parents.snapshots(&keys).await.unwrap();
    let of_leaf = |view: &pumasi_saga::View| view.child.clone()?.child?.next;
    assert!(page.iter().flatten().all(|shown| of_leaf(&shown.view).as_deref() == Some("agree_terms")));
    assert_eq!((page.len(), asked.load(Ordering::SeqCst) - before), (20, 3), "one for each generation");
}

#[tokio::test]
async fn a_child_of_a_version_that_nobody_knows_any_more_is_kept_for_its_parent_and_then_forgotten() {
    let desk = Desk::new();
    let options = EngineOptions::new().with_retention(HOUR);
    let old = desk.engine_with(desk.store.clone(), options.clone());
    let (parents, children) = both(&old, asking(1, 1));
    for key in [1, 2] {
        parents.start(&key).await.unwrap();
        children.advance(&(key + 10), answer("a")).await.unwrap();
    }
    work(&old).await;
    assert_eq!(parents.advance(&1, Go(1)).await.unwrap().status, Status::Completed);
    assert_eq!(parents.view(&2).await.unwrap().next.as_deref(), Some("go"));

    let new = desk.engine_with(desk.store.clone(), options);
    both_of_version_two(&new);
    let left = async || {
        let left = desk.store.query(&Query::new()).await.unwrap();
        let mut left: Vec<_> = left.iter().map(|it| format!("{} {}", it.head.saga, it.head.key)).collect();
        left.sort_unstable();
        left
    };
    for _ in 0..20 {
        desk.clock.advance(HOUR / 2);
        work(&new).await;
        desk.store.purge(HOUR, purge_all()).await.unwrap();
    }
    assert_eq!(left().await, ["asking 12", "basket 2"], "one counts on its child");
    assert!(desk.store.census().await.unwrap().overdue < 2 * HOUR, "and nothing is overdue for ever");
    // Code that knows it comes back for it.
    assert_eq!(parents.decide(&2, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did().iter().filter(|did| *did == "free").count(), 1);
    for _ in 0..20 {
        desk.clock.advance(HOUR / 2);
        work(&new).await;
        desk.store.purge(HOUR, purge_all()).await.unwrap();
    }
    assert_eq!(left().await, [""; 0]);
}

fn both_of_version_two(engine: &Engine<Script>) {
    let child = asking(2, 1);
    engine.register(basket(2, &child)).unwrap();
    engine.register(child).unwrap();
}

#[tokio::test]
async fn a_parent_is_woken_by_a_store_that_comes_back() {
    let store = Fateful {
        unwoken: (AtomicUsize::new(4), ErrorKind::Unavailable),
        ..Fateful::new(MemoryStore::new())
    };
    let engine = Engine::new(store, Script::default());
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    // It has waited for so long that it would not look by itself for a while.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    work(&engine).await;
    children.advance(&11, answer("a")).await.unwrap();
    let (store, id) = (engine.store(), parents.id(&1).unwrap());
    let woken = async {
        while store.load(id).await.unwrap().unwrap().signals.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), woken).await.expect("it is woken");
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().next.as_deref(), Some("go"));
}

#[tokio::test]
async fn a_child_whose_parent_cannot_be_woken_answers_and_goes_on_meanwhile() {
    let unwoken = (AtomicUsize::new(usize::MAX), ErrorKind::Unavailable);
    let store = Fateful { unwoken, ..Fateful::new(MemoryStore::new()) };
    let engine = Engine::new(store, Script::default());
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    for id in ["a", "b"] {
        let answered = tokio::time::timeout(Duration::from_secs(3), children.advance(&11, answer(id))).await;
        assert_eq!(answered.expect("at once").unwrap().status, Status::Completed, "{id}");
    }
}

#[tokio::test]
async fn a_parent_that_cannot_be_woken_finds_out_after_half_of_what_it_has_waited_and_ten_minutes_at_most() {
    let waits = [Duration::ZERO, Duration::from_secs(30), Duration::from_mins(5), 5 * HOUR, 300 * HOUR];
    for (key, wait) in (1..).zip(waits) {
        let desk = Desk::new();
        let unwoken = (AtomicUsize::new(usize::MAX), ErrorKind::Unauthorized);
        let store = Fateful { unwoken, ..Fateful::new(desk.store.clone()) };
        let engine = desk.engine_with(store, EngineOptions::new());
        let (parents, children) = both(&engine, asking(1, 1));
        parents.start(&key).await.unwrap();
        pass(&desk.clock, &engine, wait).await;
        children.advance(&(key + 10), answer("a")).await.unwrap();
        let ended = desk.clock.now();
        while parents.view(&key).await.unwrap().next.is_none() {
            pass(&desk.clock, &engine, Duration::from_millis(500)).await;
        }
        let late = desk.clock.now().saturating_since(ended);
        let limit =
            (wait / 2).clamp(Duration::from_secs(1), Duration::from_mins(10)) + Duration::from_secs(2);
        assert!(late <= limit, "after {wait:?} it is {late:?} late");
        println!("after {wait:?} a parent that is not woken is {late:?} late");
    }
}

#[tokio::test]
async fn what_was_left_for_a_child_that_is_undone_is_given_back_before_it_is_made_again() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    parents.decide(&1, cancel()).await.unwrap();
    assert_eq!(children.signal(&11, answer("a")).await.unwrap(), Receipt::Kept);
    parents.restart(&1).await.unwrap();
    pass(&desk.clock, &engine, Duration::from_secs(5)).await;
    let child = children.view(&11).await.unwrap();
    assert_eq!((child.run, child.next.as_deref()), (1, Some("agree_terms")), "it asks once more");
    assert_eq!(desk.script.did(), ["wrap", "reserve", "free", "unwrap", "wrap", "give_back", "reserve"]);
}

#[tokio::test]
async fn a_saga_with_a_late_answer_on_its_way_is_not_sent_forward_again_while_that_is_handled() {
    let desk = Desk::new();
    let engine = desk.engine();
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let saga = Saga::<u64, Script>::new("asking", 1).step(Wrap).savepoint("wrapped");
    let saga = saga.step(Reserve).compensate(Free).policy(once).when_exhausted(WhenExhausted::Halt);
    let saga = saga.wait::<AgreeTerms>().late(GiveBack);
    let sagas = engine.register(saga.build().unwrap()).unwrap();
    sagas.start(&1).await.unwrap();
    sagas.advance(&1, answer("a")).await.unwrap();
    desk.script.set("give_back", Mood::Silent);
    desk.script.set("free", Mood::Refuses);
    sagas.advance(&1, answer("b")).await.unwrap();
    let view = sagas.decide(&1, cancel()).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("reserve")));
    // Its handler may have been heard under the key of this round.
    for decision in [Decision::resume_forward(WHO, WHY), again()] {
        assert_eq!(sagas.decide(&1, decision).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    desk.script.set("give_back", Mood::Works);
    pass(&desk.clock, &engine, Duration::from_mins(5)).await;
    assert_eq!(sagas.view(&1).await.unwrap().status, Status::NeedsOperator);
    let forward = sagas.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!((forward.status, forward.next.as_deref()), (Status::Waiting, Some("agree_terms")));
    assert_eq!(desk.script.did(), ["wrap", "reserve", "give_back", "reserve"]);
}

#[tokio::test]
async fn what_is_left_for_a_saga_that_ended_in_a_version_that_nobody_knows_is_seen_or_forgotten() {
    let desk = Desk::new();
    let options = EngineOptions::new().with_retention(HOUR);
    let old = desk.engine_with(desk.store.clone(), options.clone());
    let (parents, children) = both(&old, asking(1, 1));
    for key in [1, 2] {
        parents.start(&key).await.unwrap();
        children.advance(&(key + 10), answer("a")).await.unwrap();
        work(&old).await;
        parents.advance(&key, Go(1)).await.unwrap();
    }
    // An answer too many, which nobody has looked at; and a word of its child for a parent that has ended.
    children.signal(&11, answer("b")).await.unwrap();
    let (saga, name, id) = (parents.id(&2).unwrap(), Arc::from("!child"), Arc::from("!child:1"));
    desk.store.deliver(NewSignal { saga, name, id, payload: b"{}".to_vec() }).await.unwrap();
    let new = desk.engine_with(desk.store.clone(), options);
    both_of_version_two(&new);
    for _ in 0..20 {
        desk.clock.advance(HOUR / 2);
        work(&new).await;
        desk.store.purge(HOUR, purge_all()).await.unwrap();
    }
    let left = desk.store.query(&Query::new()).await.unwrap();
    let left: Vec<_> = left.iter().map(|it| (&*it.head.key, it.head.status)).collect();
    assert_eq!(left, [("11", Status::Parked)]);
    work(&old).await;
    assert_eq!(children.view(&11).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did().last().map(String::as_str), Some("give_back"));
}

#[tokio::test]
async fn what_is_left_for_a_saga_that_ended_is_seen_however_long_ended_sagas_are_kept() {
    for options in [EngineOptions::new(), EngineOptions::new().keeping_ended()] {
        let desk = Desk::new();
        let old = desk.engine_with(desk.store.clone(), options.clone()).register(asking(1, 1)).unwrap();
        for key in [1, 2] {
            old.advance(&key, answer("a")).await.unwrap();
        }
        desk.clock.advance(HOUR);
        old.signal(&1, answer("b")).await.unwrap();
        let new = desk.engine_with(desk.store.clone(), options);
        new.register(asking(2, 1)).unwrap();
        let parked = async || {
            work(&new).await;
            let parked = desk.store.query(&Query::new().with_statuses([Status::Parked])).await.unwrap();
            parked.iter().map(|it| it.head.key.to_string()).collect::<Vec<_>>()
        };
        desk.clock.advance(Duration::from_mins(10));
        assert_eq!(parked().await, [""; 0], "code that knows it may be about to take it");
        desk.clock.advance(Duration::from_mins(6));
        assert_eq!(parked().await, ["1"]);
        assert_eq!(desk.store.census().await.unwrap().overdue, Duration::ZERO);
        work(old.engine()).await;
        assert_eq!(desk.script.did().last().map(String::as_str), Some("give_back"));
    }
}

#[tokio::test]
async fn a_decision_that_is_made_twice_about_what_was_seen_is_carried_out_once() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    put_aside(&children, 11).await;
    let stands = parents.decide(&1, cancel()).await.unwrap();
    assert_eq!((stands.status, stands.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    desk.script.set("unwrap", Mood::Silent);
    let skip = || Decision::skip(WHO, WHY).at("asking");
    assert_eq!(parents.decide(&1, skip()).await.unwrap().step.as_deref(), Some("wrap"));
    assert_eq!(parents.decide(&1, skip()).await.unwrap_err().kind(), ErrorKind::Conflict);
    desk.script.set("unwrap", Mood::Works);
    pass(&desk.clock, &engine, HOUR).await;
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Compensated);
}

#[tokio::test]
async fn an_answer_that_is_left_for_a_saga_that_is_parked_is_taken_once_that_goes_on() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    put_aside(&children, 11).await;
    assert_eq!(children.signal(&11, answer("a")).await.unwrap(), Receipt::Kept);
    pass(&desk.clock, &engine, Duration::from_mins(1)).await;
    assert_eq!(children.view(&11).await.unwrap().status, Status::Parked);
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Running);
    assert_eq!(children.decide(&11, retry().at("agree_terms")).await.unwrap().status, Status::Completed);
    work(&engine).await;
    assert_eq!(parents.view(&1).await.unwrap().next.as_deref(), Some("go"), "it is woken");
}

#[tokio::test]
async fn two_workers_that_come_to_one_child_in_turn_make_it_and_undo_it_once() {
    let desk = Desk::new();
    let (one, other) = (desk.engine(), desk.engine());
    let asking = asking(1, 1);
    let (parents, children) = both(&one, asking.clone());
    let (parents_there, children_there) = both(&other, asking);
    for key in 1..=8_u64 {
        let child = key + 10;
        parents.start(&key).await.unwrap();
        let sent_back = if key % 2 == 0 {
            parents_there.decide(&key, again()).await
        } else {
            parents_there.view(&key).await
        };
        sent_back.unwrap();
        work(if key % 3 == 0 { &one } else { &other }).await;
        pass(&desk.clock, &other, Duration::from_secs(3)).await;
        children_there.advance(&child, answer("a")).await.unwrap();
        // Both look at once.
        let (here, there) = tokio::join!(one.run_due(), other.run_due());
        here.unwrap();
        there.unwrap();
        pass(&desk.clock, &one, Duration::from_secs(3)).await;
        assert_eq!(parents.view(&key).await.unwrap().next.as_deref(), Some("go"), "{key}");
        let (here, there) =
            tokio::join!(parents.decide(&key, cancel()), parents_there.decide(&key, cancel()));
        assert!(here.is_ok() || there.is_ok());
        pass(&desk.clock, &other, Duration::from_secs(3)).await;
        assert_eq!(parents.view(&key).await.unwrap().status, Status::Compensated);
        assert_eq!(children.view(&child).await.unwrap().status, Status::Compensated);
        let did = desk.script.did();
        let count = |what: &str| did.iter().filter(|did| *did == what).count();
        let times = if key % 2 == 0 { 2 } else { 1 };
        assert_eq!((count("reserve"), count("free"), count("unwrap")), (times, times, 1), "{key}: {did:?}");
    }
}

#[tokio::test]
async fn a_parent_that_cannot_begin_its_child_anew_yet_records_nothing_until_it_can() {
    let desk = Desk::new();
    let engine = desk.engine();
    let (parents, children) = both(&engine, asking(1, 1));
    parents.start(&1).await.unwrap();
    children.advance(&11, answer("a")).await.unwrap();
    work(&engine).await;
    desk.script.set("give_back", Mood::Refuses);
    children.advance(&11, answer("b")).await.unwrap();
    parents.decide(&1, again()).await.unwrap();
    pass(&desk.clock, &engine, Duration::from_secs(5)).await;
    let stored = async || desk.store.load(parents.id(&1).unwrap()).await.unwrap().unwrap();
    let before = stored().await.version;
    pass(&desk.clock, &engine, 5 * HOUR).await;
    let waits = stored().await;
    assert_eq!(waits.version, before, "no record in five hours");
    let child = children.id(&11).unwrap();
    let told = format!("waits for saga asking {child}: needs_operator");
    assert_eq!(waits.head.reason.as_deref(), Some(&*told));
    desk.script.set("give_back", Mood::Works);
    children.decide(&11, retry()).await.unwrap();
    work(&engine).await;
    assert_eq!(children.view(&11).await.unwrap().run, 1, "at once");
    assert_eq!(desk.script.did(), ["wrap", "reserve", "free", "give_back", "reserve"]);
}

#[tokio::test]
async fn what_an_operator_of_a_child_passed_over_is_asked_for_under_its_old_key_when_that_is_made_again() {
    let desk = Desk::new();
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let child = Saga::<u64, Script>::new("asking", 1).step(Reserve).compensate(Free).policy(once);
    let child = child.when_exhausted(WhenExhausted::Halt).build().unwrap();
    let (parents, children) = both(&desk.engine(), child);
    let engine = parents.engine();
    assert_eq!(parents.start(&1).await.unwrap().status, Status::Waiting);
    let key = async || children.snapshot(&11).await.unwrap().steps[0].key.clone();
    let first = key().await;

    desk.script.set("free", Mood::Refuses);
    parents.decide(&1, Decision::rollback_to("wrapped", WHO, WHY)).await.unwrap();
    pass(&desk.clock, engine, HOUR).await;
    assert_eq!(children.view(&11).await.unwrap().status, Status::NeedsOperator);
    children.decide(&11, Decision::skip(WHO, WHY)).await.unwrap();
    pass(&desk.clock, engine, HOUR).await;
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Waiting);
    assert_eq!((children.view(&11).await.unwrap().status, key().await), (Status::Completed, first));

    desk.script.set("free", Mood::Works);
    desk.script.did();
    parents.decide(&1, Decision::cancel(WHO, WHY)).await.unwrap();
    pass(&desk.clock, engine, HOUR).await;
    assert_eq!(parents.view(&1).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["free", "unwrap"]);
}
