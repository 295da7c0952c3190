//! Versions of a definition, side by side and one after the other.

use std::time::Duration;

use pumasi_saga::definition::Incompatible;
use pumasi_saga::store::{Query, Status};
use pumasi_saga::{ErrorKind, Saga};

use crate::script::{Charge, Desk, Free, Grant, Mood, Prepare, Reserve, Script, Tell, Void, order};

#[test]
fn a_version_says_why_it_cannot_take_over_sagas_in_flight() {
    let saga = || Saga::<u64, Script>::new("order", 2);
    let old = order(1);
    let check = |new: pumasi_saga::Definition<u64, Script>| new.plan().check_takes_over(old.plan());

    let same = saga().step(Reserve).compensate(Free).savepoint("reserved").step(Prepare).compensate(Void);
    let longer = same.pivot(Charge).step(Grant).step(Tell).build().unwrap();
    assert_eq!(check(longer), [], "policies may change");

    let without_void = saga().step(Reserve).compensate(Free).savepoint("reserved").step(Prepare);
    let without_void = without_void.pivot(Charge).step(Grant).step(Tell);
    assert_eq!(check(without_void.build().unwrap()), [Incompatible::Compensation("prepare".into())]);

    let shorter = saga().step(Reserve).compensate(Free).savepoint("reserved").step(Prepare);
    let shorter = shorter.compensate(Void).pivot(Charge).step(Grant);
    assert_eq!(check(shorter.build().unwrap()), [Incompatible::Step("tell".into())]);

    let without_pivot = saga().step(Reserve).compensate(Free).step(Prepare).compensate(Void).step(Charge);
    let found = check(without_pivot.step(Grant).step(Tell).build().unwrap());
    assert!(found.contains(&Incompatible::Pivot), "{found:?}");

    let start = Saga::<u64, Script>::new("order", 1).step(Reserve).compensate(Free).build().unwrap();
    let added = old.plan().check_takes_over(start.plan());
    let new = ["prepare", "charge", "grant", "tell"].map(|name| Incompatible::Added(name.into()));
    assert_eq!(added, [&new[..], &[Incompatible::Pivot]].concat(), "the engine refuses what has more steps");

    let other = Saga::<u64, Script>::new("refund", 1).step(Reserve).build().unwrap();
    assert!(other.plan().check_takes_over(old.plan()).contains(&Incompatible::Name));
}

#[test]
fn a_version_without_a_savepoint_or_with_another_child_cannot_take_over() {
    let saga = || Saga::<u64, Script>::new("order", 1);
    let old = saga().step(Reserve).compensate(Free).savepoint("a").step(Prepare).savepoint("b").pivot(Charge);
    let old = old.build().unwrap();
    let new = saga().step(Reserve).compensate(Free).savepoint("c").step(Prepare).savepoint("a").pivot(Charge);
    let gone = ["a", "b"].map(|name| Incompatible::Savepoint(name.into()));
    assert_eq!(new.build().unwrap().plan().check_takes_over(old.plan()), gone);
    assert_eq!(gone[0].to_string(), "savepoint a is gone, or stands elsewhere");

    let child = |name: &'static str, version| {
        let child = Saga::<u64, Script>::new(name, version).step(Reserve).compensate(Free).build().unwrap();
        saga().child(&child, |(key,): (u64,)| key).named("stock").build().unwrap()
    };
    let old = child("stock", 1);
    assert_eq!(child("stock", 2).plan().check_takes_over(old.plan()), [], "new children follow the new one");
    let other = child("shelf", 1).plan().check_takes_over(old.plan());
    assert_eq!(other, [Incompatible::Child("stock".into())]);
    assert_eq!(other[0].to_string(), "step stock starts a child of another saga");
}

#[tokio::test]
async fn sagas_in_flight_go_on_with_their_version_and_new_ones_take_the_newest() {
    let desk = Desk::new();
    desk.script.set("grant", Mood::Refuses);
    assert_eq!(desk.orders().start(&1).await.unwrap().status, Status::NeedsOperator);
    desk.script.set("grant", Mood::Works);

    let engine = desk.engine();
    engine.register(order(1)).unwrap();
    let newest = Saga::<u64, Script>::new("order", 2).step(Reserve).build().unwrap();
    let orders = engine.register(newest).unwrap();
    let view = orders.decide(&1, pumasi_saga::Decision::retry("운영자", "고침")).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    assert_eq!(orders.snapshot(&1).await.unwrap().steps.len(), 5, "the old definition");
    orders.start(&2).await.unwrap();
    assert_eq!(orders.snapshot(&2).await.unwrap().steps.len(), 1, "the new one");
}

#[tokio::test]
async fn a_definition_that_changed_without_a_new_version_parks_its_sagas_and_harms_no_others() {
    let desk = Desk::new();
    desk.script.set("grant", Mood::Refuses);
    desk.orders().start(&1).await.unwrap();

    let changed = Saga::<u64, Script>::new("order", 1).step(Reserve).build().unwrap();
    let orders = desk.engine().register(changed).unwrap();
    assert_eq!(orders.view(&1).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(orders.start(&1).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(orders.start(&2).await.unwrap().status, Status::Completed, "others go on");
}

/// A saga that is due, of a version that the engines which run do not know.
async fn orphan(desk: &Desk) -> pumasi_saga::SagaHandle<u64, Script> {
    desk.script.set("reserve", Mood::Silent);
    let patient = Saga::<u64, Script>::new("order", 2).step(Reserve).build().unwrap();
    let handle = desk.engine().register(patient).unwrap();
    assert_eq!(handle.start(&1).await.unwrap().status, Status::Running, "it is to be tried again");
    handle
}

#[tokio::test]
async fn a_version_that_no_code_knows_is_parked_in_sight_and_taken_up_by_code_that_does() {
    let desk = Desk::new();
    let knowing = orphan(&desk).await;
    let orders = desk.orders();
    desk.clock.advance(Duration::from_mins(5));
    orders.engine().run_due().await.unwrap();
    let found = orders.query(Query::new()).await.unwrap();
    assert_eq!(
        found[0].head.status,
        Status::Running,
        "while a newer version is rolled out nothing is parked"
    );

    desk.clock.advance(Duration::from_mins(30));
    orders.engine().run_due().await.unwrap();
    let found = orders.query(Query::new().with_statuses([Status::Parked])).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].head.reason.as_deref().unwrap().contains("version 2"), "{:?}", found[0].head.reason);
    let error = orders.start(&1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let left = orders.signal(&1, pumasi_saga::Signal::json("paid", &serde_json::json!(1))).await.unwrap_err();
    assert_eq!(left.kind(), ErrorKind::Unsupported);
    let shown = knowing.view(&1).await.unwrap();
    assert_eq!(shown.status, Status::Parked);
    assert!(shown.reason.unwrap().contains("version 2"));

    desk.script.set("reserve", Mood::Works);
    assert_eq!(orders.start(&2).await.unwrap().status, Status::Completed, "all others are unharmed");
    knowing.engine().run_due().await.unwrap();
    assert_eq!(knowing.view(&1).await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn who_takes_a_parked_saga_up_again_and_why_is_recorded() {
    let desk = Desk::new();
    let knowing = orphan(&desk).await;
    desk.clock.advance(Duration::from_mins(30));
    desk.orders().engine().run_due().await.unwrap();
    desk.script.set("reserve", Mood::Works);
    let view = knowing.decide(&1, pumasi_saga::Decision::retry("운영자", "배포함")).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    let audits = knowing.snapshot(&1).await.unwrap().audits;
    let said: Vec<_> = audits.iter().map(|audit| (&*audit.action, &*audit.who, &*audit.why)).collect();
    assert_eq!(said, [("retry", "운영자", "배포함")]);
}

#[tokio::test]
async fn an_answer_is_checked_by_the_version_that_its_saga_follows() {
    use crate::sagas::{AgreeTerms, Reserve};
    use pumasi_saga::saga_test::Bank;
    use pumasi_saga::store::MemoryStore;
    use pumasi_saga::{Engine, Signal};

    let store = MemoryStore::new();
    let old = || Saga::<u64, Bank>::new("terms", 1).wait::<AgreeTerms>().build().unwrap();
    let before = Engine::new(store.clone(), Bank::new()).register(old()).unwrap();
    assert_eq!(before.start(&1).await.unwrap().status, Status::Waiting);

    let engine = Engine::new(store, Bank::new());
    engine.register(old()).unwrap();
    let newest = Saga::<u64, Bank>::new("terms", 2).step(Reserve).build().unwrap();
    let terms = engine.register(newest).unwrap();
    let wrong = terms.advance(&1, Signal::json("agree_terms", &serde_json::json!(1))).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
    assert_eq!(terms.advance(&1, AgreeTerms("예".into())).await.unwrap().status, Status::Completed);
    let unknown = terms.advance(&2, AgreeTerms("예".into())).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput, "a new one follows the newest");
}
