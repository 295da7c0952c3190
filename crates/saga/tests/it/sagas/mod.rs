//! The sagas of the first users, over a bank.

use pumasi_core::event::{Envelope, State};
use pumasi_saga::saga_test::{Bank, Ending, Scenario};
use pumasi_saga::store::Status;
use pumasi_saga::{
    Answer, Branch, Compensate, Cx, Definition, Late, Outcome, Policy, Probe, Result, Retriable, Saga,
    Signal, Step, Undo,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A step that has its effect at the bank, and the compensation that undoes it; `blind` if nobody can ask what became of it.
macro_rules! at_the_bank {
    (@probe blind) => {};
    (@probe asked $out:ident) => {
        async fn probe(&self, cx: &Cx<Bank>, _: Self::In) -> Probe<$out> {
            if cx.app().happened(cx) {
                tell(cx);
                Probe::Happened($out(cx.idempotency_key()))
            } else {
                Probe::DidNotHappen
            }
        }
    };
    (blind $step:ident $(/ $undo:ident)? : ($($input:ty),*) -> $out:ident) => {
        at_the_bank!(@step $step $(/ $undo)? : ($($input),*) -> $out, (blind));
    };
    ($step:ident $(/ $undo:ident)? : ($($input:ty),*) -> $out:ident) => {
        at_the_bank!(@step $step $(/ $undo)? : ($($input),*) -> $out, (asked $out));
    };
    (@step $step:ident $(/ $undo:ident)? : ($($input:ty),*) -> $out:ident, ($($probe:tt)*)) => {
        #[derive(Debug, Serialize, Deserialize, PartialEq)]
        pub struct $out(pub String);

        #[derive(Debug)]
        pub struct $step;

        impl Step<Bank> for $step {
            type In = ($($input,)*);
            type Out = $out;
            type Error = &'static str;

            async fn run(&self, cx: &Cx<Bank>, _: Self::In) -> Outcome<$out, &'static str> {
                if cx.app().apply(cx) {
                    tell(cx);
                    Outcome::Done($out(cx.idempotency_key()))
                } else {
                    Outcome::Failed("undone before it came")
                }
            }

            at_the_bank!(@probe $($probe)*);
        }

        $(
            #[derive(Debug)]
            pub struct $undo;

            impl Compensate<Bank, $step> for $undo {
                type Error = &'static str;

                async fn undo(&self, cx: &Cx<Bank>, undo: Undo<Bank, $step>) -> Outcome<(), &'static str> {
                    if let Some($out(key)) = &undo.output {
                        assert_eq!(*key, cx.step_key(), "a compensation is told what its step made");
                    }
                    cx.app().revert(cx);
                    Outcome::Done(())
                }
            }
        )?
    };
}

/// Emits the event of a step that has one.
fn tell(cx: &Cx<Bank>) {
    if matches!(cx.step(), "confirm" | "send" | "issue") {
        cx.emit(Envelope::new("effects", cx.key(), State::Created, 1));
    }
}

macro_rules! answers {
    ($($answer:ident = $name:literal),+) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
        pub struct $answer(pub String);

        impl Answer for $answer {
            const NAME: &'static str = $name;

            fn check(&self) -> std::result::Result<(), String> {
                if self.0.is_empty() { Err("it is empty".to_owned()) } else { Ok(()) }
            }
        }
    )+};
}

mod errand;
mod hamper;
mod labels;
mod lesson;
mod lodging;
mod parcel;
mod shape;
mod ticket;
mod trip;

pub use errand::{Early, Errand};
pub use hamper::Hamper;
pub use labels::Labels;
pub use lesson::Lesson;
pub use lodging::Lodging;
pub use parcel::{Parcel, PromisedParcel, Repacked, Then};
pub use shape::{Close, GiveBack, GiveBackWhatIsKnown, Pack, Shape, Take, Unpack};
pub use ticket::Ticket;
pub use trip::{Keeper, Trip};

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct RegistrationKey {
    pub participant: u64,
    pub competition: String,
}

impl RegistrationKey {
    pub fn of(participant: u64) -> Self {
        Self { participant, competition: "서울마라톤".to_owned() }
    }
}

answers! {
    AgreeTerms = "agree_terms",
    ChooseSouvenir = "choose_souvenir",
    ShippingAddress = "shipping_address",
    PaymentCompleted = "payment_completed"
}

at_the_bank!(HoldPlace / ReleasePlace: (RegistrationKey) -> Held);
at_the_bank!(StartPayment / CancelPayment: (RegistrationKey, Held, ShippingAddress) -> Payment);
at_the_bank!(CheckEligibility: (RegistrationKey, PaymentCompleted) -> Eligible);
at_the_bank!(Confirm: (Held, Payment, Eligible) -> Confirmed);
at_the_bank!(Notify: (Confirmed) -> Notified);
impl Retriable for Notify {}

/// Gives back what was paid too late.
#[derive(Debug)]
pub struct Refund;

impl Late<Bank, PaymentCompleted> for Refund {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Bank>, _: PaymentCompleted) -> Outcome<(), &'static str> {
        cx.app().apply(cx);
        Outcome::Done(())
    }
}

pub fn registration() -> Result<Definition<RegistrationKey, Bank>> {
    Saga::<RegistrationKey, Bank>::new("registration", 1)
        .wait::<AgreeTerms>()
        .deadline(Duration::from_hours(24))
        .wait::<ChooseSouvenir>()
        .wait::<ShippingAddress>()
        .savepoint("before the place")
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

/// A registration that is paid twice, under two ids of the partner: the second payment is given back, as is each that no registration
/// came of.
#[derive(Debug)]
pub struct PaidTwice;

impl Scenario for PaidTwice {
    type Key = RegistrationKey;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<RegistrationKey, Bank>> {
        registration()
    }

    fn may_stand(&self, step: &str) -> bool {
        step == "check_eligibility"
    }

    fn key(&self) -> RegistrationKey {
        RegistrationKey::of(8)
    }

    fn answers(&self) -> Vec<Signal> {
        let mut answers = Registration.answers();
        answers.push(Signal::from(PaymentCompleted("35000".to_owned())).with_id("evt-2"));
        answers
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        let refunds = bank.standing("payment_completed");
        let taken = i64::from(ending.answered.contains("payment_completed"));
        match ending.status {
            Status::NeedsOperator if refunds + taken <= 2 => Ok(()),
            _ if refunds + taken == 2 => Ok(()),
            _ => Err(format!("of two payments {taken} was taken and {refunds} were given back")),
        }
    }
}

/// User 1: four answers, one of them from outside.
#[derive(Debug)]
pub struct Registration;

impl Scenario for Registration {
    type Key = RegistrationKey;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<RegistrationKey, Bank>> {
        registration()
    }

    fn may_stand(&self, step: &str) -> bool {
        step == "check_eligibility"
    }

    fn key(&self) -> RegistrationKey {
        RegistrationKey::of(7)
    }

    fn answers(&self) -> Vec<Signal> {
        vec![
            AgreeTerms("예".to_owned()).into(),
            ChooseSouvenir("티셔츠".to_owned()).into(),
            ShippingAddress("서울".to_owned()).into(),
            Signal::from(PaymentCompleted("35000".to_owned())).with_id("evt-1"),
        ]
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        // A payment that came for a registration that was undone is given back, once; it never stays with us.
        let refunds = bank.standing("payment_completed");
        told_of("confirm", bank, ending)?;
        match ending.status {
            Status::Completed if refunds != 0 => Err(format!("{refunds} refunds of what was bought")),
            Status::Compensated if !ending.answered.contains("payment_completed") && refunds != 1 => {
                Err(format!("{refunds} refunds of what came too late"))
            }
            _ if refunds > 1 => Err(format!("{refunds} refunds")),
            _ => Ok(()),
        }
    }
}

at_the_bank!(Reserve / Free: (u64) -> Reserved);
at_the_bank!(blind PreparePayment / VoidPayment: (Reserved) -> Prepared);
at_the_bank!(blind ReserveGift / FreeGift: (u64) -> Gift);
at_the_bank!(ConfirmPayment: (Prepared) -> Paid);
at_the_bank!(GrantAccess: (u64, Paid) -> Granted);
impl Retriable for GrantAccess {}
at_the_bank!(Tell: (Granted) -> Told);
impl Retriable for Tell {}

/// User 2: no waits, one stage of two branches.
#[derive(Debug)]
pub struct Order;

impl Scenario for Order {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("order", 1)
            .parallel((
                Branch::new(Reserve).compensate(Free),
                Branch::new(ReserveGift).compensate(FreeGift).policy(Policy::new().without_blind_retries()),
            ))
            .step(PreparePayment)
            .compensate(VoidPayment)
            .pivot(ConfirmPayment)
            .step(GrantAccess)
            .step(Tell)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }
}

/// An order of which nothing is kept once it has ended.
#[derive(Debug)]
pub struct Forgotten;

impl Scenario for Forgotten {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Order.definition()
    }

    fn key(&self) -> u64 {
        7
    }

    fn forgets(&self) -> bool {
        true
    }
}

at_the_bank!(Debit / CreditBack: (u64) -> Debited);
at_the_bank!(blind Send: (Debited) -> Sent);

/// A transfer over a partner that can neither be asked nor takes a request twice: where the outcome is unknown, a person decides.
#[derive(Debug)]
pub struct Transfer;

impl Scenario for Transfer {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("transfer", 1)
            .step(Debit)
            .compensate(CreditBack)
            .pivot(Send)
            .policy(Policy::new().without_blind_retries())
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        told_of("send", bank, ending)
    }
}

/// An event comes with the step that emits it, once, or not at all.
///
/// One that was never recorded because an operator has to find out what became of it is not told of either.
fn told_of(step: &str, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
    let told = ending.events.len();
    match ending.status {
        Status::Completed if told != 1 => Err(format!("{step} is done, and {told} events tell of it")),
        Status::Compensated if told != 0 => Err(format!("{step} was not made, and {told} events tell of it")),
        _ if told > 1 => {
            Err(format!("{told} events tell of {step}, whose effects are {}", bank.standing(step)))
        }
        _ => Ok(()),
    }
}
