//! Two steps side by side behind the point of no return, and an operator who tries again whatever stands.

use std::num::NonZeroU32;

use pumasi_saga::{Decision, Snapshot};

use super::*;

at_the_bank!(Seal: (u64) -> Sealed);
at_the_bank!(Label: (Sealed) -> Labelled);
at_the_bank!(Announce: (Sealed) -> Announced);
impl Retriable for Label {}
impl Retriable for Announce {}

/// Everything is tried once, so that both of the last steps may need the operator.
#[derive(Debug)]
pub struct Labels;

impl Scenario for Labels {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        let once = Policy::new().with_attempts(NonZeroU32::MIN);
        Saga::<u64, Bank>::new("labels", 1)
            .pivot(Seal)
            .parallel((Branch::new(Label).policy(once), Branch::new(Announce).policy(once)))
            .build()
    }

    fn key(&self) -> u64 {
        7
    }

    /// Tries again what stands, once what was decided before is recorded: it may have been left with a driver that is gone.
    fn decide(&self, _: &Bank, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        let stands = snapshot.view.status == Status::NeedsOperator && snapshot.audits.len() >= made;
        stands.then(|| Decision::retry("운영자", "once more"))
    }
}
