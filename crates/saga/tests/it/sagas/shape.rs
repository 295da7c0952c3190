//! Small sagas of any shape, right and wrong ones.

use super::*;

at_the_bank!(Take / GiveBack: (u64) -> Taken);
at_the_bank!(Pack / Unpack: (Taken) -> Packed);
at_the_bank!(Close: (Taken) -> Closed);

/// Undoes only what it knows of.
pub struct GiveBackWhatIsKnown;

impl Compensate<Bank, Take> for GiveBackWhatIsKnown {
    type Error = &'static str;

    async fn undo(&self, cx: &Cx<Bank>, undo: Undo<Bank, Take>) -> Outcome<(), &'static str> {
        if undo.output.is_some() {
            cx.app().revert(cx);
        }
        Outcome::Done(())
    }
}

/// A saga of this definition, with these answers; the effects of these steps may stand when it was undone.
pub struct Shape {
    pub definition: fn() -> Result<Definition<u64, Bank>>,
    pub answers: fn() -> Vec<Signal>,
    pub may_stand: &'static [&'static str],
}

impl Scenario for Shape {
    type Key = u64;
    type App = Bank;

    fn app(&self, bank: &Bank) -> Bank {
        bank.clone()
    }

    fn definition(&self) -> Result<Definition<u64, Bank>> {
        (self.definition)()
    }

    fn key(&self) -> u64 {
        7
    }

    fn answers(&self) -> Vec<Signal> {
        (self.answers)()
    }

    fn may_stand(&self, step: &str) -> bool {
        self.may_stand.contains(&step)
    }
}
