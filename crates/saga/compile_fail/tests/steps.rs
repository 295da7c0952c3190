// Shared by the cases: steps and answers of a small saga.
use pumasi_saga::{Answer, Compensate, Cx, Outcome, Retriable, Saga, Step, Undo};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Held(u64);
#[derive(Serialize, Deserialize)]
struct Address(String);
#[derive(Serialize, Deserialize)]
struct Paid;

impl Answer for Address {
    const NAME: &'static str = "address";
}

macro_rules! step {
    ($step:ident: $input:ty => $out:ty) => {
        struct $step;
        impl Step<()> for $step {
            type In = $input;
            type Out = $out;
            type Error = &'static str;
            async fn run(&self, _: &Cx<()>, _: Self::In) -> Outcome<$out, &'static str> {
                Outcome::Failed("not run")
            }
        }
    };
}

step!(Hold: (u64,) => Held);
step!(Pay: (Held, Address) => Paid);
step!(Tell: (Paid,) => ());
step!(Print: (Paid,) => u8);
impl Retriable for Tell {}

struct Release;
impl Compensate<(), Hold> for Release {
    type Error = &'static str;
    async fn undo(&self, _: &Cx<()>, _: Undo<(), Hold>) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}
