//! A saga with another one as a step.

use super::*;

at_the_bank!(Pack / Unpack: (u64) -> Packed);
at_the_bank!(blind Label / Unlabel: (Packed) -> Labelled);
at_the_bank!(TakeFromShelf / PutOnShelf: (u64) -> Taken);
at_the_bank!(Charge / ChargeBack: (Taken) -> Charged);
at_the_bank!(HandOver: (Charged) -> HandedOver);

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
        let packing = Saga::<u64, Bank>::new("packing", 1)
            .step(Pack)
            .compensate(Unpack)
            .step(Label)
            .compensate(Unlabel)
            .build()?;
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
