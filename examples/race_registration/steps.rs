//! The steps: each asks a partner under its idempotency key.

use pumasi_saga::{Compensate, Cx, Error, Late, Outcome, Probe, Retriable, Step, Undo};
use serde::{Deserialize, Serialize};

use crate::partners::{Lots, Partners};
use crate::saga::{PaymentCompleted, RegistrationKey, ShippingAddress};

#[derive(Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) ticket: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentRef(pub(crate) String);

#[derive(Serialize, Deserialize)]
pub(crate) struct Eligible;

#[derive(Serialize, Deserialize)]
pub(crate) struct Bib(pub(crate) u64);

#[derive(Serialize, Deserialize)]
pub(crate) struct Notified;

#[derive(Serialize, Deserialize)]
pub(crate) struct Entered;

pub(crate) struct EnterDraw;

impl<P: Lots> Step<P> for EnterDraw {
    type In = (RegistrationKey,);
    type Out = Entered;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key,): Self::In) -> Outcome<Entered, Error> {
        cx.app().enter(cx, &key).await.map(|()| Entered)
    }
}

pub(crate) struct LeaveDraw;

impl<P: Lots> Compensate<P, EnterDraw> for LeaveDraw {
    type Error = Error;

    async fn undo(&self, cx: &Cx<P>, undo: Undo<P, EnterDraw>) -> Outcome<(), Error> {
        cx.app().leave(cx, &undo.input.0).await
    }
}

pub(crate) struct HoldPlace;

impl<P: Partners> Step<P> for HoldPlace {
    type In = (RegistrationKey,);
    type Out = Held;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key,): Self::In) -> Outcome<Held, Error> {
        cx.app().hold(cx, &key).await
    }
}

pub(crate) struct ReleasePlace;

impl<P: Partners> Compensate<P, HoldPlace> for ReleasePlace {
    type Error = Error;

    async fn undo(&self, cx: &Cx<P>, undo: Undo<P, HoldPlace>) -> Outcome<(), Error> {
        cx.app().release(cx, &undo.input.0, undo.output).await
    }
}

pub(crate) struct StartPayment;

impl<P: Partners> Step<P> for StartPayment {
    type In = (RegistrationKey, Held, ShippingAddress);
    type Out = PaymentRef;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key, ..): Self::In) -> Outcome<PaymentRef, Error> {
        cx.app().start_payment(cx, &key).await
    }

    async fn probe(&self, cx: &Cx<P>, _: Self::In) -> Probe<PaymentRef> {
        cx.app().payment(cx).await
    }
}

pub(crate) struct CancelPayment;

impl<P: Partners> Compensate<P, StartPayment> for CancelPayment {
    type Error = Error;

    async fn undo(&self, cx: &Cx<P>, undo: Undo<P, StartPayment>) -> Outcome<(), Error> {
        cx.app().cancel_payment(cx, &undo.input.0).await
    }
}

/// Gives back what was paid for a place that is gone.
pub(crate) struct Refund;

impl<P: Partners> Late<P, PaymentCompleted> for Refund {
    type Error = Error;

    async fn handle(&self, cx: &Cx<P>, paid: PaymentCompleted) -> Outcome<(), Error> {
        cx.app().refund(cx, &paid).await
    }
}

pub(crate) struct CheckEligibility;

impl<P: Partners> Step<P> for CheckEligibility {
    type In = (RegistrationKey, PaymentRef, PaymentCompleted);
    type Out = Eligible;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key, payment, paid): Self::In) -> Outcome<Eligible, Error> {
        cx.app().check(&key, &payment, &paid).await.map(|()| Eligible)
    }
}

pub(crate) struct Confirm;

impl<P: Partners> Step<P> for Confirm {
    type In = (RegistrationKey, Held, PaymentRef, Eligible);
    type Out = Bib;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key, held, ..): Self::In) -> Outcome<Bib, Error> {
        cx.app().confirm(cx, &key, &held).await
    }

    async fn probe(&self, cx: &Cx<P>, (key, held, ..): Self::In) -> Probe<Bib> {
        cx.app().is_confirmed(cx, &key, &held).await
    }
}

pub(crate) struct Notify;

impl Retriable for Notify {}

impl<P: Partners> Step<P> for Notify {
    type In = (RegistrationKey, ShippingAddress, Bib);
    type Out = Notified;
    type Error = Error;

    async fn run(&self, cx: &Cx<P>, (key, address, bib): Self::In) -> Outcome<Notified, Error> {
        cx.app().tell(cx, &key, &address, &bib).await.map(|()| Notified)
    }
}
