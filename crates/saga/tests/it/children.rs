//! Sagas that are steps of others: whose they are, which version they follow, and what becomes of them behind the pivot.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use pumasi_saga::store::{MemoryStore, Query, SagaStore, Status, Summary};
use pumasi_saga::{Decision, Definition, Ended, Engine, ErrorKind, Policy, Saga, WhenExhausted};

use crate::damaged::damage;
use crate::sagas::AgreeTerms;
use crate::script::{Desk, Free, Mood, Pay, Reserve, Script, Unwrap, Wrap};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";

fn stock(version: u32) -> Definition<u64, Script> {
    Saga::<u64, Script>::new("stock", version).step(Reserve).compensate(Free).build().unwrap()
}

/// A basket whose key's last digit is that of the shelf that it takes from.
fn basket(stock: &Definition<u64, Script>) -> Definition<u64, Script> {
    let saga = Saga::<u64, Script>::new("basket", 1);
    saga.child(stock, |(basket,): (u64,)| basket % 10).build().unwrap()
}

fn cancel() -> Decision {
    Decision::cancel(WHO, WHY)
}

fn retry() -> Decision {
    Decision::retry(WHO, WHY)
}

/// Two baskets come to the same shelf.
async fn belongs_to_one(store: Arc<dyn SagaStore>) {
    let script = Script::default();
    let engine = Engine::new(store, script.clone());
    let stock = stock(1);
    let baskets = engine.register(basket(&stock)).unwrap();
    let stocks = engine.register(stock).unwrap();
    assert_eq!(baskets.start(&1).await.unwrap().status, Status::Completed);
    let second = baskets.start(&11).await.unwrap();
    let why = Some("the child belongs to another saga or step");
    assert_eq!((second.status, second.reason.as_deref()), (Status::Compensated, why));
    assert_eq!(script.did(), ["reserve"], "the first one's stands");
    assert_eq!(baskets.restart(&11).await.unwrap().status, Status::Compensated);
    assert_eq!(script.did(), [""; 0]);

    assert_eq!(baskets.decide(&1, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(script.did(), ["free"]);
    assert_eq!(baskets.restart(&11).await.unwrap().status, Status::Compensated, "it belongs to the first");
    assert_eq!(baskets.restart(&1).await.unwrap().status, Status::Completed);
    assert_eq!(script.did(), ["reserve"]);
    let audits = stocks.snapshot(&1).await.unwrap().audits;
    let parent = audits.iter().find(|audit| &*audit.action == "child_of").unwrap();
    assert_eq!(*parent.why, format!("{}/stock", baskets.id(&1).unwrap()));
}

#[tokio::test]
async fn a_child_belongs_to_one_parent_in_memory() {
    belongs_to_one(Arc::new(MemoryStore::new())).await;
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn a_child_belongs_to_one_parent_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = pumasi_saga::store::SqliteStore::open(folder.path().join("sagas.db")).await.unwrap();
    belongs_to_one(Arc::new(store)).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_child_belongs_to_one_parent_in_postgres() {
    let Some(schema) = pumasi_core::conformance::PostgresSchema::new("children of one parent").await else {
        return;
    };
    let store = pumasi_saga::store::PostgresStore::new(schema.pool.clone());
    store.migrate().await.unwrap();
    belongs_to_one(Arc::new(store)).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_child_belongs_to_one_parent_in_redis() {
    use pumasi_core::conformance::Server;
    use pumasi_saga::store::RedisStore;

    let Some(url) = Server::Redis.url("children of one parent") else { return };
    let prefix = format!("test-{:016x}:", fastrand::u64(..));
    belongs_to_one(Arc::new(RedisStore::open(&url).unwrap().with_prefix(&prefix))).await;
}

#[tokio::test]
async fn a_saga_that_was_started_by_itself_becomes_a_child_of_the_first_that_comes_to_it() {
    let desk = Desk::new();
    let (engine, stock) = (desk.engine(), stock(1));
    let baskets = engine.register(basket(&stock)).unwrap();
    let stocks = engine.register(stock).unwrap();
    stocks.start(&1).await.unwrap();
    assert_eq!(baskets.start(&1).await.unwrap().status, Status::Completed);
    assert_eq!(baskets.start(&11).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["reserve"], "it is made once");
    baskets.decide(&1, cancel()).await.unwrap();
    assert_eq!(stocks.view(&1).await.unwrap().status, Status::Compensated);
}

#[tokio::test]
async fn a_child_behind_the_pivot_that_was_undone_is_begun_anew_by_a_retry() {
    let desk = Desk::new();
    let (engine, stock) = (desk.engine(), stock(1));
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&stock, |(key,): (u64,)| key);
    let paid = engine.register(paid.build().unwrap()).unwrap();
    let stocks = engine.register(stock).unwrap();
    desk.script.set("reserve", Mood::Refuses);
    for key in [1, 2] {
        let view = paid.start(&key).await.unwrap();
        assert_eq!((view.status, view.reason.as_deref()), (Status::NeedsOperator, Some("as told")));
    }
    let view = paid.decide(&1, retry()).await.unwrap();
    assert_eq!(view.status, Status::NeedsOperator, "it is refused again");
    desk.script.set("reserve", Mood::Works);
    assert_eq!(desk.script.did(), ["pay", "pay"]);
    assert_eq!(paid.decide(&1, retry()).await.unwrap().status, Status::Completed);
    assert_eq!((desk.script.did(), stocks.view(&1).await.unwrap().run), (vec!["reserve".to_owned()], 2));
    // What somebody has begun anew meanwhile is not made twice.
    assert_eq!(stocks.restart(&2).await.unwrap().status, Status::Completed);
    assert_eq!(paid.decide(&2, retry()).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did(), ["reserve"]);
}

#[tokio::test]
async fn a_child_of_another_behind_the_pivot_leaves_its_saga_with_an_operator() {
    let desk = Desk::new();
    let (engine, stock) = (desk.engine(), stock(1));
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&stock, |(key,): (u64,)| key % 10);
    let paid = engine.register(paid.build().unwrap()).unwrap();
    paid.start(&1).await.unwrap();
    let view = paid.start(&11).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("stock")));
    assert_eq!(view.reason.as_deref(), Some("the child belongs to another saga or step"));
    assert_eq!(paid.decide(&11, retry()).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(paid.decide(&11, Decision::skip(WHO, WHY)).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did(), ["pay", "reserve", "pay"]);
}

#[tokio::test]
async fn a_child_follows_the_version_that_its_parent_was_built_with() {
    let desk = Desk::new();
    let engine = desk.engine();
    let baskets = engine.register(basket(&stock(1))).unwrap();
    let for_good = Saga::<u64, Script>::new("stock", 2).pivot(Reserve).build().unwrap();
    let stocks = engine.register(for_good).unwrap();
    assert_eq!(baskets.start(&1).await.unwrap().status, Status::Completed);
    assert_eq!(baskets.decide(&1, cancel()).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did(), ["reserve", "free"]);
    // One that is there in the other version cannot be undone, and is left alone.
    assert_eq!(stocks.start(&2).await.unwrap().status, Status::Completed);
    let view = baskets.start(&2).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
    assert!(view.reason.unwrap().contains("pivot"));
    assert_eq!(
        (desk.script.did(), stocks.view(&2).await.unwrap().status),
        (vec!["reserve".to_owned()], Status::Completed)
    );
}

#[tokio::test]
async fn two_children_of_one_definition_have_names_of_their_own() {
    let desk = Desk::new();
    let engine = desk.engine();
    let stock = stock(1);
    let twice = |keys: fn(u64) -> (u64, u64)| {
        Saga::<u64, Script>::new("pair", 1)
            .child(&stock, move |(key,): (u64,)| keys(key).0)
            .named("left")
            .child(&stock, move |(key,): (u64,)| keys(key).1)
            .named("right")
    };
    let pairs = engine.register(twice(|key| (10 * key, 10 * key + key % 2)).build().unwrap()).unwrap();
    assert_eq!(pairs.start(&1).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did(), ["reserve", "reserve"]);
    pairs.decide(&1, cancel()).await.unwrap();
    assert_eq!(desk.script.did(), ["free", "free"]);
    // Where the keys are one, the second step has no child of its own.
    let view = pairs.start(&2).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
    assert_eq!(view.reason.as_deref(), Some("the child belongs to another saga or step"));
    assert_eq!(desk.script.did(), ["reserve", "free"]);
    assert!(pairs.definition().unwrap().mermaid().contains("undo right"));

    let key = |(key,): (u64,)| key;
    let unnamed = Saga::<u64, Script>::new("pair", 1).child(&stock, key).child(&stock, key).build();
    let refused = unnamed.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.message().contains("two steps called stock"), "{refused}");
    let named = Saga::<u64, Script>::new("pair", 1).child(&stock, key).child(&stock, key).named("");
    assert_eq!(named.build().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_saga_is_no_child_of_its_own() {
    let key = |(key,): (u64,)| key;
    let first = basket(&stock(1));
    let within = Saga::<u64, Script>::new("cart", 1).child(&first, key).build().unwrap();
    for child in [&first, &within] {
        let built = Saga::<u64, Script>::new("basket", 2).child(child, key).named("again").build();
        let refused = built.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.message().contains("step again of saga basket"), "{refused}");
    }
}

#[tokio::test]
async fn a_key_that_no_child_can_have_fails_its_step() {
    let desk = Desk::new();
    let engine = desk.engine();
    let weighed =
        Saga::<(u64, f64), Script>::new("weighed", 1).step(Reserve).compensate(Free).build().unwrap();
    let saga = Saga::<u64, Script>::new("sack", 1).step(Reserve).compensate(Free);
    let sack = saga.child(&weighed, |(key,): (u64,)| (key, if key == 1 { f64::NAN } else { 1.5 }));
    let sacks = engine.register(sack.build().unwrap()).unwrap();
    let view = sacks.start(&1).await.unwrap();
    assert_eq!(view.status, Status::Compensated, "{view:?}");
    assert!(view.reason.unwrap().contains("key of a saga"));
    assert_eq!(sacks.start(&2).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did(), ["reserve", "free", "reserve", "reserve"]);
}

/// Lets a few of the looks pass that parents take at their children.
async fn look(desk: &Desk, engine: &Engine<Script>) {
    for _ in 0..3 {
        desk.clock.advance(Duration::from_secs(2));
        engine.run_due().await.unwrap();
    }
}

/// Reserve, which is undone once or not at all, and wrap.
fn gift(exhausted: WhenExhausted) -> (Definition<u64, Script>, Definition<u64, Script>) {
    let once = Policy::new().with_attempts(NonZeroU32::MIN);
    let gift = Saga::<u64, Script>::new("gift", 1).step(Reserve).compensate(Free).policy(once);
    let gift = gift.step(Wrap).policy(once).build().unwrap();
    let saga = Saga::<u64, Script>::new("basket", 1);
    let basket = saga.child(&gift, |(key,): (u64,)| key).when_exhausted(exhausted).build().unwrap();
    (basket, gift)
}

#[tokio::test]
async fn a_parent_that_goes_back_waits_for_a_child_that_stands_with_an_operator() {
    for (exhausted, is_done) in [
        (WhenExhausted::Halt, true),
        (WhenExhausted::Continue, true),
        (WhenExhausted::Halt, false),
        (WhenExhausted::Continue, false),
    ] {
        let desk = Desk::new();
        let (engine, (basket, gift)) = (desk.engine(), gift(exhausted));
        let baskets = engine.register(basket).unwrap();
        let gifts = engine.register(gift).unwrap();
        desk.script.set("free", Mood::Refuses);
        if !is_done {
            // It goes back by itself, and stands before its parent is called off.
            desk.script.set("wrap", Mood::Refuses);
        }
        baskets.start(&1).await.unwrap();
        look(&desk, &engine).await;
        baskets.decide(&1, cancel()).await.unwrap();
        look(&desk, &engine).await;
        let (child, parent) = (gifts.view(&1).await.unwrap(), baskets.view(&1).await.unwrap());
        assert_eq!((child.status, parent.status), (Status::NeedsOperator, Status::Compensating));
        assert_eq!(parent.step.as_deref(), Some("gift"), "{exhausted:?}, done: {is_done}");

        desk.script.set("free", Mood::Works);
        assert_eq!(gifts.decide(&1, retry()).await.unwrap().status, Status::Compensated);
        look(&desk, &engine).await;
        assert_eq!(baskets.view(&1).await.unwrap().status, Status::Compensated);
        let did: &[&str] = if is_done { &["reserve", "wrap", "free"] } else { &["reserve", "free"] };
        assert_eq!(desk.script.did(), did);
    }
}

#[tokio::test]
async fn a_child_that_an_operator_sends_forward_is_undone_with_a_parent_that_goes_back() {
    let desk = Desk::new();
    let (engine, (basket, gift)) = (desk.engine(), gift(WhenExhausted::Halt));
    let baskets = engine.register(basket).unwrap();
    let gifts = engine.register(gift).unwrap();
    desk.script.set("free", Mood::Refuses);
    baskets.start(&1).await.unwrap();
    baskets.decide(&1, cancel()).await.unwrap();
    let forward = gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!(forward.status, Status::Completed);
    desk.script.set("free", Mood::Works);
    look(&desk, &engine).await;
    assert_eq!(gifts.view(&1).await.unwrap().status, Status::Compensated);
    assert_eq!(baskets.view(&1).await.unwrap().status, Status::Compensated);
    assert_eq!(desk.script.did().last().map(String::as_str), Some("free"));
}

/// Reserves, and then asks.
fn asking() -> Definition<u64, Script> {
    let asking = Saga::<u64, Script>::new("asking", 1).step(Reserve).compensate(Free).wait::<AgreeTerms>();
    asking.build().unwrap()
}

#[tokio::test]
async fn a_child_that_nobody_can_read_leaves_its_parent_with_an_operator_where_it_has_to_be_undone() {
    let desk = Desk::new();
    let (engine, asking) = (desk.engine(), asking());
    let saga = Saga::<u64, Script>::new("basket", 1).step(Wrap).compensate(Unwrap);
    let baskets = engine.register(saga.child(&asking, |(key,): (u64,)| key).build().unwrap()).unwrap();
    let children = engine.register(asking).unwrap();
    for key in [1, 2] {
        assert_eq!(baskets.start(&key).await.unwrap().status, Status::Running);
        damage(&children, key, None).await;
    }
    // This one is found by the rollback.
    let view = baskets.decide(&2, cancel()).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));

    look(&desk, &engine).await;
    let parked = children.query(Query::new().with_statuses([Status::Parked])).await.unwrap();
    assert_eq!(parked.len(), 2);
    assert_eq!(baskets.view(&1).await.unwrap().status, Status::Running, "it may be taken up yet");
    let view = baskets.decide(&1, cancel()).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    assert!(view.reason.as_deref().unwrap().contains("is parked"), "{view:?}");
    assert_eq!(desk.script.did(), ["wrap", "reserve", "wrap", "reserve"]);
    for key in [1, 2] {
        let skipped = baskets.decide(&key, Decision::skip(WHO, WHY)).await.unwrap();
        assert_eq!(skipped.status, Status::Compensated);
    }
    assert_eq!(desk.script.did(), ["unwrap", "unwrap"]);
}

#[tokio::test]
async fn a_child_that_nobody_can_read_leaves_its_parent_with_an_operator_behind_the_pivot() {
    let desk = Desk::new();
    let (engine, asking) = (desk.engine(), asking());
    let paid = Saga::<u64, Script>::new("paid", 1).pivot(Pay).child(&asking, |(key,): (u64,)| key);
    let paid = engine.register(paid.build().unwrap()).unwrap();
    let children = engine.register(asking).unwrap();
    assert_eq!(paid.start(&1).await.unwrap().status, Status::Running);
    damage(&children, 1, None).await;
    look(&desk, &engine).await;
    let view = paid.view(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("asking")));
    assert_eq!(paid.decide(&1, retry()).await.unwrap().status, Status::NeedsOperator, "it is still so");
    let ended = serde_json::json!({ "key": 1 });
    let by_hand = Decision::force_done(&ended, WHO, WHY).unwrap();
    assert_eq!(paid.decide(&1, by_hand).await.unwrap().status, Status::Completed);
    assert_eq!(paid.snapshot(&1).await.unwrap().output::<Ended<u64>>("asking").unwrap().unwrap().key, 1);
}

#[tokio::test]
async fn a_child_is_found_by_itself_and_drawn_as_a_step_of_its_parent() {
    let desk = Desk::new();
    let (engine, asking) = (desk.engine(), asking());
    let saga = Saga::<u64, Script>::new("basket", 1).step(Wrap).compensate(Unwrap);
    let baskets = engine.register(saga.child(&asking, |(key,): (u64,)| key + 10).build().unwrap()).unwrap();
    let children = engine.register(asking).unwrap();
    let drawn = async || {
        let snapshot = baskets.snapshot(&1).await.unwrap();
        (snapshot.mermaid(), snapshot.dot())
    };
    let found = async |status: Status| {
        let query = Query::new().with_statuses([status]);
        let keys = |found: Vec<Summary>| found.iter().map(|it| it.head.key.to_string()).collect::<Vec<_>>();
        let of_children = keys(children.query(query.clone()).await.unwrap());
        let mut all = keys(engine.store().query(&query).await.unwrap());
        all.sort_unstable();
        (of_children, all)
    };
    let strings = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();

    assert_eq!(baskets.start(&1).await.unwrap().next, None, "it is its child that asks");
    let (mermaid, dot) = drawn().await;
    assert!(mermaid.contains("u1[[\"asking\"]]"), "{mermaid}");
    assert!(mermaid.contains("class u1 active"), "{mermaid}");
    assert!(dot.contains("u1 [label=\"asking\", shape=box3d, fillcolor=\"#cfe8ff\"]"), "{dot}");
    assert_eq!(children.view(&11).await.unwrap().next.as_deref(), Some("agree_terms"));
    assert_eq!(found(Status::Waiting).await, (strings(&["11"]), strings(&["11"])));
    assert_eq!(found(Status::Running).await, (strings(&[]), strings(&["1"])));

    children.advance(&11, AgreeTerms("예".into())).await.unwrap();
    look(&desk, &engine).await;
    let (mermaid, dot) = drawn().await;
    assert!(mermaid.contains("class u0,u1 done"), "{mermaid}");
    assert!(dot.contains("shape=box3d, fillcolor=\"#c9f2d0\"]"), "{dot}");
    assert_eq!(found(Status::Completed).await, (strings(&["11"]), strings(&["1", "11"])));

    desk.script.set("free", Mood::Silent);
    baskets.decide(&1, cancel()).await.unwrap();
    let (mermaid, dot) = drawn().await;
    assert!(mermaid.contains("class u1,c1 active"), "{mermaid}");
    assert!(dot.contains("c1 [label=\"undo asking\", fillcolor=\"#cfe8ff\"]"), "{dot}");
    assert_eq!(found(Status::Compensating).await, (strings(&["11"]), strings(&["1", "11"])));

    desk.script.set("free", Mood::Works);
    look(&desk, &engine).await;
    let (mermaid, dot) = drawn().await;
    assert!(mermaid.contains("class c0,c1 done") && mermaid.contains("class u0,u1 undone"), "{mermaid}");
    assert!(dot.contains("shape=box3d, fillcolor=\"#e4e4e4\"]"), "{dot}");
    assert_eq!(found(Status::Compensated).await, (strings(&["11"]), strings(&["1", "11"])));
}

#[test]
fn a_look_at_a_child_that_has_not_ended_is_no_attempt_that_nobody_knows_of() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let exported = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let story = async {
        let desk = Desk::new();
        let (engine, asking) = (desk.engine(), asking());
        let saga = Saga::<u64, Script>::new("basket", 1);
        let baskets = engine.register(saga.child(&asking, |(key,): (u64,)| key).build().unwrap()).unwrap();
        baskets.start(&1).await.unwrap();
        look(&desk, &engine).await;
        desk.script.set("free", Mood::Silent);
        baskets.decide(&1, cancel()).await.unwrap();
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(story));
    let text = exported.render();
    let looks = |outcome: &str| {
        let series = format!("saga_step_total{{saga=\"basket\",step=\"asking\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u32>().ok())
    };
    // As it is started, and as it is undone: to look after it meanwhile is nothing.
    assert_eq!((looks("under_way"), looks("unknown"), looks("undo_failed")), (Some(2), None, None), "{text}");
}
