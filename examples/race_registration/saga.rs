//! The definitions: what a registration is made of, in which order, and what undoes it.

use std::time::Duration;

use pumasi_saga::{Answer, Definition, Result, Saga};
use serde::{Deserialize, Serialize};

use crate::partners::{Lots, Partners};
use crate::steps::{
    CancelPayment, CheckEligibility, Confirm, EnterDraw, HoldPlace, LeaveDraw, Notify, PaymentRef, Refund,
    ReleasePlace, StartPayment,
};

/// For how long a participant may take for each answer.
const FOR_AN_ANSWER: Duration = Duration::from_hours(48);
/// For how long a lottery may take entries, and those wait who did not win at once.
const FOR_THE_DRAW: Duration = Duration::from_hours(24 * 180);
/// Everything behind this place is undone and made anew when an operator says so.
pub(crate) const BEFORE_PLACE: &str = "before_place";

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
    /// Where the participant is told; nowhere, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// What an organiser's draw says to an entrant whose turn it is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Drawn {
    /// The place in the order of the draw, from 1.
    pub(crate) rank: usize,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PaymentCompleted {
    pub(crate) payment: String,
    pub(crate) amount_krw: u64,
}

/// Refuses what is empty or longer than anybody writes.
fn check_text(text: &str, what: &str) -> std::result::Result<(), String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(format!("the {what} is a line of 1 to 200 characters")) }
}

impl Answer for AgreeTerms {
    const NAME: &'static str = "agree_terms";

    fn check(&self) -> std::result::Result<(), String> {
        if self.agreed { Ok(()) } else { Err("nobody runs without agreeing".to_owned()) }
    }
}

impl Answer for ChooseSouvenir {
    const NAME: &'static str = "choose_souvenir";

    fn check(&self) -> std::result::Result<(), String> {
        check_text(&self.souvenir, "souvenir")
    }
}

impl Answer for ShippingAddress {
    const NAME: &'static str = "shipping_address";

    fn check(&self) -> std::result::Result<(), String> {
        check_text(&self.city, "city")?;
        match self.email.as_deref() {
            None => Ok(()),
            Some(email) if email.contains('@') => check_text(email, "e-mail address"),
            Some(_) => Err("an e-mail address has an @".to_owned()),
        }
    }
}

impl Answer for Drawn {
    const NAME: &'static str = "drawn";
}

impl Answer for PaymentCompleted {
    const NAME: &'static str = "payment_completed";
}

/// Money that was on its way for a payment that is cancelled meanwhile is none for the one that came after it.
fn is_for(PaymentRef(started): &PaymentRef, paid: &PaymentCompleted) -> bool {
    paid.payment == *started
}

/// First come, first served; who has not paid within `payment` loses the place.
pub(crate) fn registration<P: Partners>(payment: Duration) -> Result<Definition<RegistrationKey, P>> {
    Saga::<RegistrationKey, P>::new("registration", 1)
        .wait::<AgreeTerms>()
        .deadline(FOR_AN_ANSWER)
        .wait::<ChooseSouvenir>()
        .deadline(FOR_AN_ANSWER)
        .wait::<ShippingAddress>()
        .deadline(FOR_AN_ANSWER)
        .savepoint(BEFORE_PLACE)
        .step(HoldPlace)
        .compensate(ReleasePlace)
        .step(StartPayment)
        .compensate(CancelPayment)
        .wait::<PaymentCompleted>()
        .matching(is_for)
        .deadline(payment)
        .late(Refund)
        .step(CheckEligibility)
        .pivot(Confirm)
        .step(Notify)
        .build()
}

/// The same by lot: whoever is not drawn at once waits for a place that comes free.
pub(crate) fn lottery<P: Lots>(payment: Duration) -> Result<Definition<RegistrationKey, P>> {
    Saga::<RegistrationKey, P>::new("lottery", 1)
        .wait::<AgreeTerms>()
        .deadline(FOR_AN_ANSWER)
        .wait::<ChooseSouvenir>()
        .deadline(FOR_AN_ANSWER)
        .wait::<ShippingAddress>()
        .deadline(FOR_AN_ANSWER)
        .step(EnterDraw)
        .compensate(LeaveDraw)
        .wait::<Drawn>()
        .deadline(FOR_THE_DRAW)
        .savepoint(BEFORE_PLACE)
        .step(HoldPlace)
        .compensate(ReleasePlace)
        .step(StartPayment)
        .compensate(CancelPayment)
        .wait::<PaymentCompleted>()
        .matching(is_for)
        .deadline(payment)
        .late(Refund)
        .step(CheckEligibility)
        .pivot(Confirm)
        .step(Notify)
        .build()
}
