//! The definition: what a registration is made of, in which order, and what undoes it.

use std::time::Duration;

use pumasi_saga::{Answer, Definition, Result, Saga};
use serde::{Deserialize, Serialize};

use crate::race::Race;
use crate::steps::{
    CancelPayment, CheckEligibility, Confirm, HoldPlace, Notify, Refund, ReleasePlace, StartPayment,
};

/// One participant in one competition has one registration.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RegistrationKey {
    pub(crate) participant: String,
    pub(crate) competition: String,
}

impl RegistrationKey {
    pub(crate) fn new(participant: &str, competition: &str) -> Self {
        Self { participant: participant.to_owned(), competition: competition.to_owned() }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AgreeTerms {
    pub(crate) agreed: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ChooseSouvenir {
    pub(crate) souvenir: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ShippingAddress {
    pub(crate) city: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentCompleted {
    pub(crate) amount_krw: u64,
}

impl Answer for AgreeTerms {
    const NAME: &'static str = "agree_terms";

    fn check(&self) -> std::result::Result<(), String> {
        if self.agreed { Ok(()) } else { Err("nobody runs without agreeing".to_owned()) }
    }
}

impl Answer for ChooseSouvenir {
    const NAME: &'static str = "choose_souvenir";
}

impl Answer for ShippingAddress {
    const NAME: &'static str = "shipping_address";
}

impl Answer for PaymentCompleted {
    const NAME: &'static str = "payment_completed";
}

pub(crate) fn registration() -> Result<Definition<RegistrationKey, Race>> {
    let two_days = Duration::from_hours(48);
    Saga::<RegistrationKey, Race>::new("registration", 1)
        .wait::<AgreeTerms>()
        .deadline(two_days)
        .wait::<ChooseSouvenir>()
        .deadline(two_days)
        .wait::<ShippingAddress>()
        .deadline(two_days)
        .step(HoldPlace)
        .compensate(ReleasePlace)
        .step(StartPayment)
        .compensate(CancelPayment)
        .wait::<PaymentCompleted>()
        .deadline(Duration::from_mins(15))
        .late(Refund)
        .step(CheckEligibility)
        .pivot(Confirm)
        .step(Notify)
        .build()
}
