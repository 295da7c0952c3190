//! User 3: a chain of jobs. When the payment batch is completed, the members' batch begins; neither shares a transaction with the other
//! or with the broker.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::event::{Envelope, EventBus, MemoryBus, Relay, Settlement, State, Subscription};
use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, Query, Status};
use pumasi_saga::{Cx, Engine, EngineOptions, Outcome, Retriable, Saga, SagaHandle, Step};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<String>>>);

impl Ledger {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[derive(Serialize, Deserialize)]
struct Settled(u64);

struct SettlePayments;

impl Step<Ledger> for SettlePayments {
    type In = (String,);
    type Out = Settled;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Ledger>, (month,): (String,)) -> Outcome<Settled, &'static str> {
        cx.app().write(format!("payments of {month}"));
        Outcome::Done(Settled(1_204))
    }
}

/// Tells of the completion in the commit that records it.
struct Announce;

impl Step<Ledger> for Announce {
    type In = (String, Settled);
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Ledger>, (month, settled): Self::In) -> Outcome<(), &'static str> {
        let event = Envelope::new("batches", month, State::Updated, 1).with_payload(&settled.0);
        match event {
            Ok(event) => {
                cx.emit(event);
                Outcome::Done(())
            }
            Err(_) => Outcome::Failed("no event could be made"),
        }
    }
}

struct UpdateMembers;
impl Retriable for UpdateMembers {}

impl Step<Ledger> for UpdateMembers {
    type In = (String,);
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Ledger>, (month,): (String,)) -> Outcome<(), &'static str> {
        cx.app().write(format!("members of {month}"));
        Outcome::Done(())
    }
}

fn engine(clock: &ManualClock, ledger: &Ledger) -> Engine<Ledger> {
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone()));
    Engine::with_options(store, ledger.clone(), options)
}

/// What the members' service does with each event: it starts the batch that the key names, and acknowledges after that.
async fn consume(bus: &MemoryBus, members: &SagaHandle<String, Ledger>) -> usize {
    let member = bus.subscribe(&Subscription::new("members", ["batches"])).await.unwrap();
    let events = member.fetch(NonZeroUsize::MAX, Duration::ZERO).await.unwrap();
    for delivery in &events {
        let view = members.start(&delivery.event.key).await.unwrap();
        assert_eq!(view.status, Status::Completed);
        member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
    }
    events.len()
}

#[tokio::test]
async fn a_batch_begins_when_the_one_before_it_is_completed_once_and_without_a_shared_transaction() {
    let (clock, ledger) = (ManualClock::new(), Ledger::default());
    // Two services, each with a store of its own.
    let payments = engine(&clock, &ledger);
    let settle =
        Saga::<String, Ledger>::new("payments", 1).step(SettlePayments).pivot(Announce).build().unwrap();
    let settle = payments.register(settle).unwrap();
    let update = Saga::<String, Ledger>::new("members", 1).step(UpdateMembers).build().unwrap();
    let members = engine(&clock, &ledger).register(update).unwrap();
    let bus = MemoryBus::new();

    let month = "2026-11".to_owned();
    assert_eq!(settle.start(&month).await.unwrap().status, Status::Completed);
    assert_eq!(consume(&bus, &members).await, 0, "the event waits in the outbox until a relay runs");

    let relay = Relay::new(payments.store().outbox(), bus.clone());
    relay.relay_pending().await.unwrap();
    assert_eq!(consume(&bus, &members).await, 1);
    assert_eq!(ledger.lines(), ["payments of 2026-11", "members of 2026-11"]);

    // The batch is asked for again, and its event comes again under another id: nothing is done twice.
    settle.start(&month).await.unwrap();
    relay.relay_pending().await.unwrap();
    bus.publish(&[Envelope::new("batches", month, State::Updated, 1)]).await.unwrap();
    assert_eq!(consume(&bus, &members).await, 1);
    assert_eq!(ledger.lines().len(), 2);
    assert_eq!(members.query(Query::new()).await.unwrap().len(), 1);
}
