//! A saga without a pivot that is called off while a payment too many is on its way back.

use std::num::NonZeroU32;

use pumasi_saga::{Decision, Snapshot};

use super::*;

answers! { Deposit = "deposit" }

at_the_bank!(Lodge / Vacate: (u64) -> Lodged);

/// Gives back a deposit too many, after so many attempts of which nobody knows how they ended.
#[derive(Debug)]
pub struct ReturnDeposit(u32);

impl Late<Bank, Deposit> for ReturnDeposit {
    type Error = &'static str;

    async fn handle(&self, cx: &Cx<Bank>, _: Deposit) -> Outcome<(), &'static str> {
        if cx.attempt() <= self.0 {
            return Outcome::Unknown("no answer");
        }
        cx.app().apply(cx);
        Outcome::Done(())
    }
}

/// A room for which two deposits come, of which one is given back at its second attempt, or its first, or never without an operator.
/// As long as it is not given back, the operator calls the room off; and tries again whatever stands.
#[derive(Debug)]
pub struct Lodging {
    pub attempts: NonZeroU32,
    /// How many attempts to give back the deposit come to nothing by themselves.
    pub in_vain: u32,
}

impl Lodging {
    pub fn all() -> [Self; 2] {
        let once = NonZeroU32::MIN;
        [Self { attempts: once, in_vain: 0 }, Self { attempts: once.saturating_add(1), in_vain: 1 }]
    }
}

impl Scenario for Lodging {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("lodging", 1)
            .step(Lodge)
            .compensate(Vacate)
            .policy(Policy::new().with_attempts(NonZeroU32::MIN))
            .wait::<Deposit>()
            .late(ReturnDeposit(self.in_vain))
            .policy(Policy::new().with_attempts(self.attempts))
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        let deposit = |id: &str| Signal::from(Deposit("100000".to_owned())).with_id(id);
        vec![deposit("evt-1"), deposit("evt-2")]
    }

    /// What was decided before has to be recorded: it may have been left with a driver that is gone.
    fn decide(&self, bank: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        const WHO: &str = "운영자";
        if snapshot.audits.len() < made {
            return None;
        }
        // A room that was let go of by itself is not called off.
        let returns = snapshot.view.step.as_deref() == Some("deposit") && bank.standing("lodge") == 1;
        match snapshot.view.status {
            Status::Running | Status::NeedsOperator if returns && made == 0 => {
                Some(Decision::cancel(WHO, "the room is not wanted"))
            }
            Status::NeedsOperator => Some(Decision::retry(WHO, "once more")),
            _ => None,
        }
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        let returned = bank.standing("deposit");
        let taken = i64::from(ending.answered.contains("deposit"));
        match ending.status {
            Status::NeedsOperator => {
                Err("an operator has tried everything again, and it still stands".to_owned())
            }
            _ if returned + taken == 2 => Ok(()),
            _ => Err(format!("of two deposits {taken} was taken and {returned} were given back")),
        }
    }
}
