//! A saga that is called off, paid for all the same, and begun anew before anybody has looked at the payment.

use pumasi_saga::{Decision, Snapshot};

use super::*;

answers! { Fee = "fee" }

at_the_bank!(Book / Unbook: (u64) -> BookedLesson);

/// Gives back a fee for a lesson that was called off.
#[derive(Debug)]
pub struct ReturnFee;

impl Late<Bank, Fee> for ReturnFee {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Bank>, _: Fee) -> Outcome<(), &'static str> {
        cx.app().apply(cx);
        Outcome::Done(())
    }
}

/// Called off as soon as it waits for its fee.
#[derive(Debug)]
pub struct Lesson;

impl Scenario for Lesson {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("lesson", 1)
            .step(Book)
            .compensate(Unbook)
            .wait::<Fee>()
            .deadline(Duration::from_mins(15))
            .late(ReturnFee)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        vec![Signal::from(Fee("20000".to_owned())).with_id("evt-1")]
    }

    fn begins_anew(&self) -> bool {
        true
    }

    fn decide(&self, _: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        let is_open = snapshot.view.status == Status::Waiting && snapshot.view.run == 0;
        (is_open && made == 0).then(|| Decision::cancel("운영자", "the teacher is ill"))
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        let returned = bank.standing("fee");
        let is_called_off = ending.audits.iter().any(|audit| &*audit.action == "cancel");
        match ending.status {
            Status::Completed if is_called_off => {
                Err("what was paid for the lesson that was called off was taken for the next".to_owned())
            }
            Status::Compensated if !ending.answered.contains("fee") && returned != 1 => {
                Err(format!("the fee was given back {returned} times"))
            }
            _ if returned > 1 => Err(format!("the fee was given back {returned} times")),
            _ => Ok(()),
        }
    }
}
