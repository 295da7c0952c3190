//! A trip whose bookings do not wait for each other when they are undone, and an operator who sees to what is left.

use std::num::NonZeroU32;

use pumasi_saga::{Decision, Snapshot, WhenExhausted};

use super::*;

at_the_bank!(Fly / Unfly: (u64) -> Flight);
at_the_bank!(Sleep / Unsleep: (u64) -> Room);
at_the_bank!(Drive / Undrive: (u64) -> Car);
at_the_bank!(blind Stamp: (Flight) -> Stamped);
at_the_bank!(Insure / Uninsure: (Flight, Room, Car) -> Insured);
at_the_bank!(Depart: (Insured, Stamped) -> Departed);

/// Who sees to compensations that are exhausted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keeper {
    Nobody,
    /// Tries each again, and then undoes it by hand.
    TriesAgain,
}

/// Everything is tried once, so that every second fault is an operator's.
#[derive(Debug)]
pub struct Trip(pub Keeper);

impl Scenario for Trip {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let once = Policy::new().with_attempts(NonZeroU32::MIN);
        let on = WhenExhausted::Continue;
        Saga::<u64, Bank>::new("trip", 1)
            .step(Fly)
            .policy(once)
            .compensate(Unfly)
            .policy(once)
            .when_exhausted(on)
            .step(Stamp)
            .policy(once)
            .parallel((
                Branch::new(Sleep).policy(once).compensate(Unsleep).undo_policy(once).when_exhausted(on),
                Branch::new(Drive).policy(once).compensate(Undrive).undo_policy(once).when_exhausted(on),
            ))
            .step(Insure)
            .policy(once)
            .compensate(Uninsure)
            .policy(once)
            .when_exhausted(on)
            .pivot(Depart)
            .build()
    }

    fn may_stand(&self, step: &str) -> bool {
        step == "stamp"
    }

    fn key(&self) -> u64 {
        7
    }

    fn decide(&self, bank: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        const WHO: &str = "운영자";
        if self.0 == Keeper::Nobody || snapshot.view.status != Status::NeedsOperator {
            return None;
        }
        let step = snapshot.steps.iter().find(|step| Some(&step.name) == snapshot.view.step.as_ref())?;
        match &*step.name {
            "depart" if bank.stands(&step.key) => {
                Decision::force_done(&Departed(step.key.clone()), WHO, "they are gone").ok()
            }
            "depart" => {
                bank.revoke(&step.name, &step.key);
                Some(Decision::force_failed(WHO, "they are at home"))
            }
            _ if made.is_multiple_of(2) => Some(Decision::retry(WHO, "once more")),
            undone => {
                bank.revoke(undone, &step.key);
                Some(Decision::skip(WHO, "undone by hand"))
            }
        }
    }

    fn check(&self, bank: &Bank, ending: &Ending) -> std::result::Result<(), String> {
        let mut left = bank.ledger();
        // Nothing undoes it.
        left.remove("stamp");
        match ending.status {
            Status::NeedsOperator if self.0 != Keeper::Nobody => {
                Err("an operator has decided everything, and it still stands".to_owned())
            }
            Status::NeedsOperator if bank.standing("depart") == 0 => {
                match left.keys().find(|step| !ending.not_undone.contains(*step)) {
                    Some(step) => Err(format!("{step} stands, and nobody is told")),
                    None => Ok(()),
                }
            }
            Status::Compensated if !left.is_empty() => {
                Err(format!("compensated, and something stands: {left:?}"))
            }
            _ => Ok(()),
        }
    }
}
