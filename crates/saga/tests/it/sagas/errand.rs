//! A saga that needs an operator whenever anything goes wrong, and an operator who decides.

use std::num::NonZeroU32;

use pumasi_saga::{Decision, Snapshot, WhenExhausted};

use super::*;

answers! { Approve = "approve" }

at_the_bank!(Collect / PutBack: (u64) -> Collected);
at_the_bank!(Rent / GiveBack: (u64) -> Rented);
at_the_bank!(blind Deliver: (Collected, Rented, Approve) -> Delivered);
at_the_bank!(Thank: () -> Thanked);
impl Retriable for Thank {}

/// What an operator decides before anything is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Early {
    Nothing,
    /// Goes back to the savepoint while the saga waits.
    RollBack,
    /// Calls the whole off as soon as it is seen.
    Cancel,
}

/// Everything is tried once, so that every second fault is an operator's.
#[derive(Debug)]
pub struct Errand(pub Early);

impl Scenario for Errand {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let once = Policy::new().with_attempts(NonZeroU32::MIN);
        Saga::<u64, Bank>::new("errand", 1)
            .wait::<AgreeTerms>()
            .step(Collect)
            .policy(once)
            .compensate(PutBack)
            .policy(once)
            .when_exhausted(WhenExhausted::Halt)
            .savepoint("collected")
            .step(Rent)
            .policy(once)
            .compensate(GiveBack)
            .policy(once)
            .wait::<Approve>()
            .pivot(Deliver)
            .policy(once.without_blind_retries())
            .step(Thank)
            .policy(once)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        vec![AgreeTerms("예".to_owned()).into(), Approve("좋아요".to_owned()).into()]
    }

    /// Tries again what is stuck; if it is stuck again, asks the partner, and settles it by hand.
    fn decide(&self, bank: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        const WHO: &str = "운영자";
        let view = &snapshot.view;
        let is_early = made == 0 && snapshot.audits.is_empty();
        match (self.0, view.status) {
            (Early::RollBack, Status::Waiting) if is_early && view.next.as_deref() == Some("approve") => {
                return Some(Decision::rollback_to("collected", WHO, "another car"));
            }
            (Early::Cancel, Status::Waiting | Status::Running) if is_early => {
                return Some(Decision::cancel(WHO, "called off"));
            }
            (_, Status::NeedsOperator) => {}
            _ => return None,
        }
        if made.is_multiple_of(2) {
            return Some(Decision::retry(WHO, "once more"));
        }
        let step = snapshot.steps.iter().find(|step| Some(&step.name) == view.step.as_ref())?;
        match &*step.name {
            "deliver" if bank.stands(&step.key) => {
                Decision::force_done(&Delivered(step.key.clone()), WHO, "the customer has it").ok()
            }
            "deliver" => {
                bank.revoke(&step.name, &step.key);
                Some(Decision::force_failed(WHO, "the customer has it not"))
            }
            "thank" => Some(Decision::skip(WHO, "not needed")),
            // Nobody has undone it: whoever makes it again has to find it.
            _ if self.0 == Early::RollBack && step.unknown.is_none() => {
                Some(Decision::skip(WHO, "the partner is gone"))
            }
            undone => {
                bank.revoke(undone, &step.key);
                Decision::force_done(&(), WHO, "undone by hand").ok()
            }
        }
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        let did = |action: &str| ending.audits.iter().any(|audit| *audit.action == *action);
        if self.0 == Early::Cancel && did("cancel") && ending.status == Status::Completed {
            return Err("it was called off, and is done".to_owned());
        }
        match ending.status {
            Status::NeedsOperator => {
                Err("an operator has decided everything, and it still stands".to_owned())
            }
            // Also what an operator undid by hand.
            Status::Compensated => {
                match bank.ledger().into_iter().find(|(step, _)| !ending.not_undone.contains(step)) {
                    Some((step, _)) => Err(format!("compensated, and the effect of step {step} stands")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
