//! The steps: each asks the race under its idempotency key.

use pumasi_saga::{Compensate, Cx, Late, Outcome, Probe, Retriable, Step, Undo};
use serde::{Deserialize, Serialize};

use crate::race::Race;
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

pub(crate) struct HoldPlace;

impl Step<Race> for HoldPlace {
    type In = (RegistrationKey,);
    type Out = Held;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Race>, (key,): Self::In) -> Outcome<Held, &'static str> {
        match cx.app().hold(&cx.step_key(), &key.participant) {
            Some(ticket) => Outcome::Done(Held { ticket }),
            None => Outcome::Failed("the race is full"),
        }
    }
}

pub(crate) struct ReleasePlace;

impl Compensate<Race, HoldPlace> for ReleasePlace {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Race>, undo: Undo<Race, HoldPlace>) -> Outcome<(), &'static str> {
        cx.app().release(&cx.step_key(), &undo.input.0.participant);
        Outcome::Done(())
    }
}

pub(crate) struct StartPayment;

impl Step<Race> for StartPayment {
    type In = (RegistrationKey, Held, ShippingAddress);
    type Out = PaymentRef;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Race>, (key, ..): Self::In) -> Outcome<PaymentRef, &'static str> {
        Outcome::Done(PaymentRef(cx.app().start_payment(&cx.step_key(), &key.participant).await))
    }

    async fn probe(&self, cx: &Cx<Race>, _: Self::In) -> Probe<PaymentRef> {
        match cx.app().payment(&cx.step_key()) {
            Some(payment) => Probe::Happened(PaymentRef(payment)),
            None => Probe::DidNotHappen,
        }
    }
}

pub(crate) struct CancelPayment;

impl Compensate<Race, StartPayment> for CancelPayment {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Race>, undo: Undo<Race, StartPayment>) -> Outcome<(), &'static str> {
        cx.app().cancel_payment(&cx.step_key(), &undo.input.0.participant);
        Outcome::Done(())
    }
}

/// Gives back what was paid for a place that is gone.
pub(crate) struct Refund;

impl Late<Race, PaymentCompleted> for Refund {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Race>, paid: PaymentCompleted) -> Outcome<(), &'static str> {
        cx.app().refund(&cx.idempotency_key(), paid.amount_krw);
        Outcome::Done(())
    }
}

pub(crate) struct CheckEligibility;

impl Step<Race> for CheckEligibility {
    type In = (RegistrationKey, PaymentCompleted);
    type Out = Eligible;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Race>, (key, _): Self::In) -> Outcome<Eligible, &'static str> {
        if cx.app().is_barred(&key.participant) {
            Outcome::Failed("not eligible")
        } else {
            Outcome::Done(Eligible)
        }
    }
}

pub(crate) struct Confirm;

impl Step<Race> for Confirm {
    type In = (RegistrationKey, Held, PaymentRef, Eligible);
    type Out = Bib;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Race>, (key, held, ..): Self::In) -> Outcome<Bib, &'static str> {
        cx.app().confirm(&cx.step_key(), &key.participant, held.ticket);
        Outcome::Done(Bib(held.ticket))
    }

    async fn probe(&self, cx: &Cx<Race>, (_, held, ..): Self::In) -> Probe<Bib> {
        if cx.app().is_confirmed(&cx.step_key()) {
            Probe::Happened(Bib(held.ticket))
        } else {
            Probe::DidNotHappen
        }
    }
}

pub(crate) struct Notify;

impl Retriable for Notify {}

impl Step<Race> for Notify {
    type In = (RegistrationKey, Bib);
    type Out = Notified;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Race>, (key, bib): Self::In) -> Outcome<Notified, &'static str> {
        cx.app().tell(&cx.step_key(), &key.participant, bib.0);
        Outcome::Done(Notified)
    }
}
