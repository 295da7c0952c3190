//! A saga with another one as a step.

use std::sync::Arc;

use pumasi_saga::definition::Look;
use pumasi_saga::{Decision, Snapshot};

use super::*;

answers! { Post = "post", Weigh = "weigh" }

at_the_bank!(Pack / Unpack: (u64) -> Packed);
at_the_bank!(blind Label / Unlabel: (Packed) -> Labelled);
at_the_bank!(TakeFromShelf / PutOnShelf: (u64) -> Taken);
at_the_bank!(Charge / ChargeBack: (Taken) -> Charged);
at_the_bank!(HandOver: (Charged) -> HandedOver);
at_the_bank!(Promise: (u64) -> Promised);

fn packing() -> Result<Definition<u64, Bank>> {
    Saga::<u64, Bank>::new("packing", 1).step(Pack).compensate(Unpack).step(Label).compensate(Unlabel).build()
}

/// A parcel whose packing is a saga of its own, which goes back with it.
#[derive(Debug)]
pub struct Parcel;

impl Scenario for Parcel {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let packing = packing()?;
        Saga::<u64, Bank>::new("parcel", 1)
            .step(TakeFromShelf)
            .compensate(PutOnShelf)
            .child(&packing, |(parcel,): (u64,)| parcel + 1_000)
            .step(Charge)
            .compensate(ChargeBack)
            .pivot(HandOver)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }
}

/// What an operator decides once a parcel's second packing is under way, and its end is not known; or its first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    /// Goes back to before the packing once more.
    PackAgain,
    /// Calls the parcel off.
    CallOff,
    /// Calls the parcel off at its first packing.
    NeverPack,
}

/// A parcel that is packed more than once: an operator goes back to before its packing when it is to be weighed, or when the packing
/// is under way and its end is not known; and decides then what to do if the next one is under way in the same way. Or one that is called
/// off as soon as its packing is under way like that.
#[derive(Debug)]
pub struct Repacked(pub Then);

impl Scenario for Repacked {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        Saga::<u64, Bank>::new("parcel", 1)
            .wait::<Post>()
            .step(TakeFromShelf)
            .compensate(PutOnShelf)
            .savepoint("taken")
            .child(&packing()?, |(parcel,): (u64,)| parcel + 1_000)
            .step(Charge)
            .compensate(ChargeBack)
            .wait::<Weigh>()
            .pivot(HandOver)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        vec![Post("주문".to_owned()).into(), Weigh("2 kg".to_owned()).into()]
    }

    fn decide(&self, _: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        const WHO: &str = "운영자";
        let view = &snapshot.view;
        let is_to_be_weighed = view.next.as_deref() == Some("weigh");
        let is_being_packed = view.status == Status::Running && view.step.as_deref() == Some("packing");
        // A decision whose answer was lost, and that is made again, may meet it in a rollback, and send it forward.
        let was_weighed = |(step, look): &(Arc<str>, Look)| &**step == "weigh" && *look == Look::Done;
        if is_to_be_weighed && snapshot.history.iter().any(|entry| entry.changed.iter().any(was_weighed)) {
            return Some(Decision::cancel(WHO, "nobody weighs it twice"));
        }
        match (made, snapshot.audits.len(), self.0) {
            (0, 0, Then::NeverPack) => is_being_packed.then(|| Decision::cancel(WHO, "no box fits")),
            (0, 0, _) if is_to_be_weighed || is_being_packed => {
                Some(Decision::rollback_to("taken", WHO, "another box"))
            }
            (1, 1, Then::PackAgain) if is_being_packed => {
                Some(Decision::rollback_to("taken", WHO, "another box again"))
            }
            (1, 1, Then::CallOff) if is_being_packed => Some(Decision::cancel(WHO, "no box fits")),
            _ => None,
        }
    }
}

/// A parcel that is packed behind the point of no return: a packing that went back is begun anew, by an operator.
#[derive(Debug)]
pub struct PromisedParcel;

impl Scenario for PromisedParcel {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let saga = Saga::<u64, Bank>::new("promised", 1).pivot(Promise);
        saga.child(&packing()?, |(parcel,): (u64,)| parcel + 1_000).named("pack_it").build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn decide(&self, _: &Bank, snapshot: &Snapshot, _: usize) -> Option<Decision> {
        let is_stuck = snapshot.view.status == Status::NeedsOperator;
        is_stuck.then(|| Decision::retry("운영자", "once more"))
    }
}
