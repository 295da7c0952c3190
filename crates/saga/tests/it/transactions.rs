//! Steps that commit the user's rows with their record, and events that are committed with their step.

use std::sync::{Arc, Mutex};

use pumasi_core::event::{Envelope, EventBus, MemoryBus, Relay, State, Subscription};
use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, MemoryTransaction, Status};
use pumasi_saga::{
    Answer, CompensateTransaction, Cx, Decision, Definition, Engine, EngineOptions, Late, Outcome, Receipt,
    Saga, Signal, Step, TransactionStep,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

type Rows = Arc<Mutex<Vec<String>>>;

#[derive(Serialize, Deserialize)]
struct Placed(u64);

/// Writes a row, and tells of it.
struct Place;

impl TransactionStep<Rows, MemoryTransaction> for Place {
    type In = (u64,);
    type Out = Placed;
    type Error = &'static str;

    async fn run(
        &self,
        cx: &Cx<Rows>,
        transaction: &mut MemoryTransaction,
        (order,): (u64,),
    ) -> Outcome<Placed, &'static str> {
        let rows = cx.app().clone();
        transaction.write(move || rows.lock().unwrap().push(format!("order {order}")));
        cx.emit(Envelope::new("orders", order.to_string(), State::Created, 1));
        if cx.attempt() < 3 { Outcome::Unknown("interrupted") } else { Outcome::Done(Placed(order)) }
    }
}

fn orders() -> Definition<u64, Rows> {
    Saga::<u64, Rows>::new("order", 1).pivot_tx::<_, MemoryTransaction, _>(Place).build().unwrap()
}

#[tokio::test]
async fn rows_record_and_event_are_committed_once_and_together() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let rows = Rows::default();
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone()));
    let engine = Engine::with_options(store, Arc::clone(&rows), options);
    let handle = engine.register(orders()).unwrap();
    let mut view = handle.start(&7).await.unwrap();
    while view.status == Status::Running {
        assert!(rows.lock().unwrap().is_empty(), "what is rolled back is not there");
        clock.advance(std::time::Duration::from_secs(10));
        engine.run_due().await.unwrap();
        view = handle.view(&7).await.unwrap();
    }
    assert_eq!(view.status, Status::Completed);
    assert_eq!(*rows.lock().unwrap(), ["order 7"]);

    let bus = Arc::new(MemoryBus::new());
    let member = bus.subscribe(&Subscription::new("readers", ["orders"])).await.unwrap();
    Relay::new(engine.store().outbox(), bus.clone()).relay_pending().await.unwrap();
    let events = member.fetch(std::num::NonZeroUsize::MAX, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(events.len(), 1, "one event, of the attempt that was committed");
    assert_eq!(events[0].event.key, "7");
}

/// Panics the first time, and hangs the second.
struct Rude;

impl Step<()> for Rude {
    type In = ();
    type Out = u32;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<()>, (): ()) -> Outcome<u32, &'static str> {
        match cx.attempt() {
            1 => std::panic::resume_unwind(Box::new("rude")),
            attempt => Outcome::Done(attempt),
        }
    }
}

#[tokio::test]
async fn a_step_that_panics_is_tried_again() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let engine = Engine::with_options(store, (), EngineOptions::new().with_clock(Arc::new(clock.clone())));
    let handle = engine.register(Saga::<u64, ()>::new("rude", 1).step(Rude).build().unwrap()).unwrap();
    handle.start(&1).await.unwrap();
    clock.advance(std::time::Duration::from_secs(10));
    engine.run_due().await.unwrap();
    let snapshot = handle.snapshot(&1).await.unwrap();
    assert_eq!((snapshot.view.status, snapshot.output::<u32>("rude").unwrap()), (Status::Completed, Some(2)));
}

/// Takes the row back, at the third attempt.
struct Unplace;

impl CompensateTransaction<Rows, MemoryTransaction, Place> for Unplace {
    type Error = &'static str;

    async fn undo(
        &self,
        cx: &Cx<Rows>,
        transaction: &mut MemoryTransaction,
        (order,): (u64,),
        placed: Placed,
    ) -> Outcome<(), &'static str> {
        assert_eq!(placed.0, order);
        let rows = cx.app().clone();
        transaction.write(move || rows.lock().unwrap().push(format!("order {order} taken back")));
        if cx.attempt() < 3 { Outcome::Unknown("interrupted") } else { Outcome::Done(()) }
    }
}

struct Refuse;

impl Step<Rows> for Refuse {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(&self, _: &Cx<Rows>, (): ()) -> Outcome<(), &'static str> {
        Outcome::Failed("refused")
    }
}

#[tokio::test]
async fn a_step_in_a_transaction_is_undone_in_a_transaction_once() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let rows = Rows::default();
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone()));
    let engine = Engine::with_options(store, Arc::clone(&rows), options);
    let definition = Saga::<u64, Rows>::new("order", 1)
        .step_tx::<_, MemoryTransaction, _>(Place)
        .compensate_tx(Unplace)
        .step(Refuse)
        .build()
        .unwrap();
    let handle = engine.register(definition).unwrap();
    let mut view = handle.start(&7).await.unwrap();
    while !view.status.is_final() {
        clock.advance(std::time::Duration::from_secs(10));
        engine.run_due().await.unwrap();
        view = handle.view(&7).await.unwrap();
    }
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("refused")));
    assert_eq!(*rows.lock().unwrap(), ["order 7", "order 7 taken back"]);
}

/// Rows, and what holds refunds up: none is made before it is open.
struct Counter {
    rows: Rows,
    begun: Notify,
    open: Semaphore,
}

impl Counter {
    fn write(&self, what: &str) {
        self.rows.lock().unwrap().push(what.to_owned());
    }
}

struct Put;

impl TransactionStep<Arc<Counter>, MemoryTransaction> for Put {
    type In = ();
    type Out = ();
    type Error = &'static str;

    async fn run(
        &self,
        cx: &Cx<Arc<Counter>>,
        transaction: &mut MemoryTransaction,
        (): (),
    ) -> Outcome<(), &'static str> {
        let counter = Arc::clone(cx.app());
        transaction.write(move || counter.write("put"));
        Outcome::Done(())
    }
}

struct TakeBack;

impl CompensateTransaction<Arc<Counter>, MemoryTransaction, Put> for TakeBack {
    type Error = &'static str;

    async fn undo(
        &self,
        cx: &Cx<Arc<Counter>>,
        transaction: &mut MemoryTransaction,
        (): (),
        (): (),
    ) -> Outcome<(), &'static str> {
        let counter = Arc::clone(cx.app());
        transaction.write(move || counter.write("taken back"));
        Outcome::Done(())
    }
}

#[derive(Serialize, Deserialize)]
struct Money(u64);

impl Answer for Money {
    const NAME: &'static str = "money";
}

struct Refund;

impl Late<Arc<Counter>, Money> for Refund {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Arc<Counter>>, Money(amount): Money) -> Outcome<(), &'static str> {
        cx.app().begun.notify_one();
        let Ok(permit) = cx.app().open.acquire().await else { return Outcome::Unknown("closed") };
        permit.forget();
        cx.app().write(&format!("refunded {amount}"));
        Outcome::Done(())
    }
}

#[tokio::test]
async fn late_signals_are_handled_to_their_end_beside_an_undo_in_a_transaction() {
    let definition = Saga::<u64, Arc<Counter>>::new("sale", 1)
        .step_tx::<_, MemoryTransaction, _>(Put)
        .compensate_tx(TakeBack)
        .wait::<Money>()
        .late(Refund)
        .build()
        .unwrap();
    let counter = Arc::new(Counter { rows: Rows::default(), begun: Notify::new(), open: Semaphore::new(0) });
    let engine = Engine::new(MemoryStore::new(), Arc::clone(&counter));
    let handle = engine.register(definition).unwrap();
    assert_eq!(handle.advance(&7, Money(1)).await.unwrap().status, Status::Completed);
    let calling = |call| {
        let handle = handle.clone();
        tokio::spawn(async move {
            match call {
                0 => handle.decide(&7, Decision::cancel("운영자 7", "고객 문의")).await,
                amount => handle.advance(&7, Signal::from(Money(amount)).with_id(amount.to_string())).await,
            }
        })
    };
    let second = calling(2);
    counter.begun.notified().await;
    // heard in one turn: another payment, and that all is undone
    let receipt = handle.signal(&7, Signal::from(Money(3)).with_id("3")).await.unwrap();
    assert_eq!(receipt, Receipt::Kept);
    let cancelling = calling(0);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    counter.open.add_permits(2);
    second.await.unwrap().unwrap();
    let view = cancelling.await.unwrap().unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("cancelled")));
    let mut rows = counter.rows.lock().unwrap().clone();
    rows.sort();
    assert_eq!(rows, ["put", "refunded 2", "refunded 3", "taken back"]);
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_saga::store::PostgresStore;
    use sqlx::{PgPool, Postgres, Transaction};

    struct Insert;
    struct Delete;
    struct Judge;

    /// What the steps are told: whether the order is refused after its row was written.
    struct Shop {
        refuses: bool,
    }

    impl TransactionStep<Shop, Transaction<'static, Postgres>> for Insert {
        type In = (i64,);
        type Out = String;
        type Error = &'static str;

        async fn run(
            &self,
            cx: &Cx<Shop>,
            transaction: &mut Transaction<'static, Postgres>,
            (order,): (i64,),
        ) -> Outcome<String, &'static str> {
            let insert = sqlx::query("INSERT INTO orders VALUES ($1, $2)").bind(order).bind(cx.step_key());
            if insert.execute(&mut **transaction).await.is_err() {
                return Outcome::Unknown("not inserted");
            }
            cx.emit(Envelope::new("orders", order.to_string(), State::Created, 1));
            // The row of an attempt that does not end well is not there.
            if cx.attempt() == 1 { Outcome::Unknown("interrupted") } else { Outcome::Done(cx.step_key()) }
        }
    }

    impl CompensateTransaction<Shop, Transaction<'static, Postgres>, Insert> for Delete {
        type Error = &'static str;

        async fn undo(
            &self,
            cx: &Cx<Shop>,
            transaction: &mut Transaction<'static, Postgres>,
            (order,): (i64,),
            written: String,
        ) -> Outcome<(), &'static str> {
            let delete =
                sqlx::query("DELETE FROM orders WHERE id = $1 AND step_key = $2").bind(order).bind(written);
            let deleted = delete.execute(&mut **transaction).await.map(|done| done.rows_affected());
            if !matches!(deleted, Ok(1)) {
                return Outcome::Failed("the row is not there");
            }
            if cx.attempt() == 1 { Outcome::Unknown("interrupted") } else { Outcome::Done(()) }
        }
    }

    impl Step<Shop> for Judge {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, cx: &Cx<Shop>, (): ()) -> Outcome<(), &'static str> {
            if cx.app().refuses { Outcome::Failed("refused") } else { Outcome::Done(()) }
        }
    }

    async fn play(pool: &PgPool, order: i64, refuses: bool) -> Status {
        let store = PostgresStore::new(pool.clone());
        store.migrate().await.unwrap();
        let engine = Engine::new(store, Shop { refuses });
        let definition = Saga::<i64, Shop>::new("order", 1)
            .step_tx::<_, Transaction<'static, Postgres>, _>(Insert)
            .compensate_tx(Delete)
            .step(Judge)
            .build()
            .unwrap();
        let handle = engine.register(definition).unwrap();
        let mut view = handle.start(&order).await.unwrap();
        while !view.status.is_final() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            engine.run_due().await.unwrap();
            view = handle.view(&order).await.unwrap();
        }
        view.status
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn rows_record_and_event_are_committed_and_taken_back_once_in_postgres() {
        let Some(schema) = PostgresSchema::new("steps in transactions").await else { return };
        let pool = &schema.pool;
        sqlx::raw_sql("CREATE TABLE orders (id bigint PRIMARY KEY, step_key text)")
            .execute(pool)
            .await
            .unwrap();
        assert_eq!(play(pool, 1, false).await, Status::Completed);
        assert_eq!(play(pool, 2, true).await, Status::Compensated);
        let orders: Vec<(i64,)> = sqlx::query_as("SELECT id FROM orders").fetch_all(pool).await.unwrap();
        assert_eq!(orders, [(1,)]);
        let (events,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM pumasi_outbox_event").fetch_one(pool).await.unwrap();
        assert_eq!(events, 2, "one of each order, of the attempt that was committed");
    }
}
