//! User 2: an order whose payment is two-phase, as payment gateways do it: prepared with an amount, approved by the customer through
//! a redirect and a webhook, in any order and more than once, confirmed under the gateway's idempotency key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::time::ManualClock;
use pumasi_saga::store::{MemoryStore, Status};
use pumasi_saga::{
    Answer, Compensate, Cx, Engine, EngineOptions, Late, Outcome, Probe, Retriable, Saga, SagaHandle, Signal,
    Step, Undo,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    amount_krw: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Payment {
    Prepared { amount_krw: u64 },
    Charged { amount_krw: u64 },
    Voided,
    Refunded,
}

/// Stock, a payment gateway and a shelf, each outside the engine.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    reserved: i64,
    payments: BTreeMap<String, Payment>,
    /// The answer to the next confirmation is lost; what was asked is done.
    loses_an_answer: bool,
    confirmations: u32,
    granted: u32,
}

impl World {
    fn with<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn payment(&self) -> Option<Payment> {
        self.with(|books| books.payments.values().next().cloned())
    }
}

#[derive(Serialize, Deserialize)]
struct Reserved;
#[derive(Serialize, Deserialize)]
struct Prepared(String);
#[derive(Serialize, Deserialize)]
struct Charged;

/// What redirect and webhook say.
#[derive(Clone, Serialize, Deserialize)]
struct Approved {
    amount_krw: u64,
}

impl Answer for Approved {
    const NAME: &'static str = "approved";
}

struct Reserve;

impl Step<World> for Reserve {
    type In = (Order,);
    type Out = Reserved;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<World>, _: (Order,)) -> Outcome<Reserved, &'static str> {
        cx.app().with(|books| books.reserved += 1);
        Outcome::Done(Reserved)
    }
}

struct Free;

impl Compensate<World, Reserve> for Free {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<World>, _: Undo<World, Reserve>) -> Outcome<(), &'static str> {
        cx.app().with(|books| books.reserved -= 1);
        Outcome::Done(())
    }
}

struct Prepare;

impl Step<World> for Prepare {
    type In = (Order,);
    type Out = Prepared;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<World>, (order,): (Order,)) -> Outcome<Prepared, &'static str> {
        let prepared = Payment::Prepared { amount_krw: order.amount_krw };
        cx.app().with(|books| {
            books.payments.entry(cx.step_key()).or_insert(prepared);
        });
        Outcome::Done(Prepared(cx.step_key()))
    }
}

struct Void;

impl Compensate<World, Prepare> for Void {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<World>, _: Undo<World, Prepare>) -> Outcome<(), &'static str> {
        cx.app().with(|books| books.payments.insert(cx.step_key(), Payment::Voided));
        Outcome::Done(())
    }
}

/// Confirms under the gateway's idempotency key, after the amounts were compared.
struct Confirm;

impl Step<World> for Confirm {
    type In = (Order, Prepared, Approved);
    type Out = Charged;
    type Error = &'static str;

    async fn run(
        &self,
        cx: &Cx<World>,
        (order, prepared, approved): Self::In,
    ) -> Outcome<Charged, &'static str> {
        if approved.amount_krw != order.amount_krw {
            return Outcome::Failed("the amounts differ");
        }
        cx.app().with(|books| {
            books.confirmations += 1;
            let charged = Payment::Charged { amount_krw: order.amount_krw };
            books.payments.insert(prepared.0, charged);
            if std::mem::take(&mut books.loses_an_answer) {
                Outcome::Unknown("the gateway did not answer")
            } else {
                Outcome::Done(Charged)
            }
        })
    }

    async fn probe(&self, cx: &Cx<World>, (_, prepared, _): Self::In) -> Probe<Charged> {
        match cx.app().with(|books| books.payments.get(&prepared.0).cloned()) {
            Some(Payment::Charged { .. }) => Probe::Happened(Charged),
            _ => Probe::DidNotHappen,
        }
    }
}

struct Refund;

impl Late<World, Approved> for Refund {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<World>, _: Approved) -> Outcome<(), &'static str> {
        cx.app().with(|books| {
            books.payments.values_mut().for_each(|payment| *payment = Payment::Refunded);
        });
        Outcome::Done(())
    }
}

struct Grant;
impl Retriable for Grant {}

impl Step<World> for Grant {
    type In = (Charged,);
    type Out = ();
    type Error = &'static str;

    async fn run(&self, cx: &Cx<World>, _: (Charged,)) -> Outcome<(), &'static str> {
        cx.app().with(|books| books.granted += 1);
        Outcome::Done(())
    }
}

struct Shop {
    clock: ManualClock,
    world: World,
    orders: SagaHandle<Order, World>,
}

fn shop() -> Shop {
    let (clock, world) = (ManualClock::new(), World::default());
    let definition = Saga::<Order, World>::new("order", 1)
        .step(Reserve)
        .compensate(Free)
        .step(Prepare)
        .compensate(Void)
        .wait::<Approved>()
        .deadline(Duration::from_mins(30))
        .late(Refund)
        .pivot(Confirm)
        .step(Grant)
        .build()
        .unwrap();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone()));
    let orders = Engine::with_options(store, world.clone(), options).register(definition).unwrap();
    Shop { clock, world, orders }
}

fn order() -> Order {
    Order { number: 7, amount_krw: 35_000 }
}

fn approved(amount_krw: u64, event: &str) -> Signal {
    Signal::from(Approved { amount_krw }).with_id(event)
}

#[tokio::test]
async fn redirect_and_webhook_in_any_order_and_twice_charge_once() {
    for webhook_first in [true, false] {
        let shop = shop();
        let (orders, order) = (&shop.orders, order());
        if webhook_first {
            // Before the customer's browser came back, and before the saga was even begun here.
            orders.start(&order).await.unwrap();
            orders.signal(&order, approved(35_000, "pay-1")).await.unwrap();
            orders.signal(&order, approved(35_000, "pay-1")).await.unwrap();
        }
        let view = orders.advance(&order, approved(35_000, "pay-1")).await.unwrap();
        assert_eq!(view.status, Status::Completed);
        orders.signal(&order, approved(35_000, "pay-1")).await.unwrap();
        assert_eq!(
            orders.advance(&order, approved(35_000, "pay-1")).await.unwrap().status,
            Status::Completed
        );
        let (confirmations, granted) = shop.world.with(|books| (books.confirmations, books.granted));
        assert_eq!((confirmations, granted), (1, 1));
        assert_eq!(shop.world.payment(), Some(Payment::Charged { amount_krw: 35_000 }));
    }
}

#[tokio::test]
async fn an_approval_of_another_amount_charges_nothing_and_undoes_the_order() {
    let shop = shop();
    let view = shop.orders.advance(&order(), approved(1_000, "pay-1")).await.unwrap();
    assert_eq!((view.status, view.reason.as_deref()), (Status::Compensated, Some("the amounts differ")));
    assert_eq!(shop.world.payment(), Some(Payment::Voided));
    assert_eq!(shop.world.with(|books| (books.reserved, books.confirmations)), (0, 0));
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_found_by_the_probe() {
    let shop = shop();
    shop.world.with(|books| books.loses_an_answer = true);
    let view = shop.orders.advance(&order(), approved(35_000, "pay-1")).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    assert_eq!(shop.world.with(|books| books.confirmations), 1, "it was asked for once");
}

#[tokio::test]
async fn an_approval_after_the_deadline_is_refunded() {
    let shop = shop();
    let order = order();
    shop.orders.start(&order).await.unwrap();
    shop.clock.advance(Duration::from_mins(31));
    shop.orders.engine().run_due().await.unwrap();
    assert_eq!(shop.orders.view(&order).await.unwrap().status, Status::Compensated);
    assert_eq!(shop.world.payment(), Some(Payment::Voided));
    shop.orders.advance(&order, approved(35_000, "pay-1")).await.unwrap();
    assert_eq!(shop.world.payment(), Some(Payment::Refunded));
    assert_eq!(shop.world.with(|books| (books.reserved, books.granted)), (0, 0));
}
