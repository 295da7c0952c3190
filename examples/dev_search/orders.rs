//! An order of a place in a project or a lecture: the place is held, paid for and confirmed, or everything is undone.

use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::resilience::Backoff;
use pumasi_saga::capacity::{Hold, HoldState, Ticket};
use pumasi_saga::{
    Compensate, Cx, Definition, Error, ErrorKind, Outcome, Policy, Probe, Result, Saga, Step, Undo,
};
use serde::{Deserialize, Serialize};

use crate::shop::{Shop, gone};

/// What orders are called among the sagas.
pub(crate) const ORDER: &str = "order";
/// The step that is paid for.
pub(crate) const CHARGE: &str = "charge";
/// The step that says under which ticket the place is kept.
pub(crate) const CONFIRM: &str = "confirm";
/// For how long a place is held: longer than an order may take to be paid.
const HELD: Duration = Duration::from_hours(1);

/// One person has one order for one entry.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OrderKey {
    pub(crate) entry: String,
    pub(crate) person: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Held {
    ticket: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Charged {
    pub(crate) amount_krw: i64,
}

/// The ticket of a place that is kept: numbers grow with each grant of an entry's places, and none is used twice.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept(pub(crate) u64);

/// What is done, in this order; and from the last to the first what undoes it.
pub(crate) fn order() -> Result<Definition<OrderKey, Shop>> {
    let soon = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let charge = Policy::new()
        .with_attempts(NonZeroU32::MIN.saturating_add(3))
        .with_timeout(Duration::from_secs(2))
        .with_backoff(soon);
    // What was charged goes back however long the partner is away.
    let refund = Policy::forever().with_timeout(Duration::from_secs(2)).with_backoff(soon);
    Saga::<OrderKey, Shop>::new(ORDER, 1)
        .step(HoldPlace)
        .compensate(ReleasePlace)
        .step(Charge)
        .policy(charge)
        .compensate(Refund)
        .policy(refund)
        .pivot(Confirm)
        .build()
}

pub(crate) struct HoldPlace;

impl Step<Shop> for HoldPlace {
    type In = (OrderKey,);
    type Out = Held;
    type Error = Error;

    async fn run(&self, cx: &Cx<Shop>, (key,): Self::In) -> Outcome<Held, Error> {
        match cx.app().begin(&key).await {
            Ok(true) => {}
            Ok(false) => return Outcome::Failed(gone()),
            Err(error) => return Outcome::from_error(error),
        }
        match cx.app().desk(&key.entry).hold(cx.saga_id().to_string(), HELD).await {
            Ok(Some(hold)) => Outcome::Done(Held { ticket: hold.ticket.number() }),
            Ok(None) => Outcome::Failed(Error::new(ErrorKind::Conflict, "no place is left")),
            Err(error) => Outcome::from_error(error),
        }
    }
}

pub(crate) struct ReleasePlace;

impl Compensate<Shop, HoldPlace> for ReleasePlace {
    type Error = Error;

    async fn undo(&self, cx: &Cx<Shop>, undo: Undo<Shop, HoldPlace>) -> Outcome<(), Error> {
        let (desk, holder) = (cx.app().desk(&undo.input.0.entry), cx.saga_id().to_string());
        let released = match undo.output {
            Some(Held { ticket }) => {
                desk.release_hold(&Hold::new(holder, Ticket::new(ticket), HoldState::Confirmed)).await
            }
            None => desk.release(holder).await,
        };
        released.map(|_| ()).into()
    }
}

pub(crate) struct Charge;

impl Step<Shop> for Charge {
    type In = (OrderKey, Held);
    type Out = Charged;
    type Error = Error;

    async fn run(&self, cx: &Cx<Shop>, (key, _): Self::In) -> Outcome<Charged, Error> {
        cx.app().charge(&cx.step_key(), &key).await
    }

    async fn probe(&self, cx: &Cx<Shop>, _: Self::In) -> Probe<Charged> {
        cx.app().was_charged(&cx.step_key()).await
    }
}

pub(crate) struct Refund;

impl Compensate<Shop, Charge> for Refund {
    type Error = Error;

    async fn undo(&self, cx: &Cx<Shop>, _: Undo<Shop, Charge>) -> Outcome<(), Error> {
        cx.app().refund(&cx.step_key()).await
    }
}

pub(crate) struct Confirm;

impl Step<Shop> for Confirm {
    type In = (OrderKey, Held, Charged);
    type Out = Kept;
    type Error = Error;

    async fn run(&self, cx: &Cx<Shop>, (key, ..): Self::In) -> Outcome<Kept, Error> {
        let confirmed = cx.app().desk(&key.entry).confirm(cx.saga_id().to_string()).await;
        Outcome::from(confirmed).map(|hold| Kept(hold.ticket.number()))
    }

    async fn probe(&self, cx: &Cx<Shop>, (key, held, _): Self::In) -> Probe<Kept> {
        let before = Ticket::new(held.ticket.saturating_sub(1));
        match cx.app().desk(&key.entry).holds(before, 1).await {
            Ok(holds) => match holds.first().filter(|hold| *hold.holder == cx.saga_id().to_string()) {
                Some(hold) if hold.is_confirmed() => Probe::Happened(Kept(hold.ticket.number())),
                _ => Probe::DidNotHappen,
            },
            Err(_) => Probe::CannotTell,
        }
    }
}
