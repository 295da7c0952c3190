//! Steps that commit the user's rows with their record, and events that are committed with their step.

use std::sync::{Arc, Mutex};

use pumasi_core::event::{Envelope, EventBus, MemoryBus, Relay, State, Subscription};
use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, MemoryTransaction, Status};
use pumasi_saga::{Cx, Definition, Engine, EngineOptions, Outcome, Saga, Step, TransactionStep};
use serde::{Deserialize, Serialize};

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
