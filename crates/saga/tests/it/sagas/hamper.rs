//! A saga whose child has branches, and a child of its own.

use pumasi_saga::{Decision, Snapshot};

use super::*;

at_the_bank!(Choose / LeaveBe: (u64) -> Chosen);
at_the_bank!(Line / Unline: (u64) -> Lined);
at_the_bank!(blind Fill / Empty: (u64) -> Filled);
at_the_bank!(Cut / Mend: (u64) -> CutOff);
at_the_bank!(blind Tie / Untie: (CutOff) -> Tied);
at_the_bank!(Weigh / Unweigh: (Chosen) -> Weighed);
at_the_bank!(Dispatch: (Weighed) -> Dispatched);

/// A hamper that is filled and lined side by side, and tied up with a ribbon: each a saga of its own, which goes back with it. An operator
/// has it filled once more if that is under way and its end is not known.
#[derive(Debug)]
pub struct Hamper;

impl Scenario for Hamper {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let ribbon = Saga::<u64, Bank>::new("ribbon", 1).step(Cut).compensate(Mend);
        let ribbon = ribbon.step(Tie).compensate(Untie).build()?;
        let filling = Saga::<u64, Bank>::new("filling", 1)
            .parallel((Branch::new(Line).compensate(Unline), Branch::new(Fill).compensate(Empty)))
            .child(&ribbon, |(filling,): (u64,)| filling + 1_000)
            .build()?;
        Saga::<u64, Bank>::new("hamper", 1)
            .step(Choose)
            .compensate(LeaveBe)
            .savepoint("chosen")
            .child(&filling, |(hamper,): (u64,)| hamper + 1_000)
            .step(Weigh)
            .compensate(Unweigh)
            .pivot(Dispatch)
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    fn decide(&self, _: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        let view = &snapshot.view;
        let is_being_filled = view.status == Status::Running && view.step.as_deref() == Some("filling");
        let is_first = made == 0 && snapshot.audits.is_empty();
        (is_first && is_being_filled).then(|| Decision::rollback_to("chosen", "운영자", "another filling"))
    }
}
