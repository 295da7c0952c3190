#![allow(dead_code, unused_imports)]
include!("../steps.rs");
use pumasi_saga::Branch;

step!(Pack: (Paid,) => u16);
impl Retriable for Pack {}

struct Unpack;
impl Compensate<(), Pack> for Unpack {
    type Error = &'static str;
    async fn undo(&self, _: &Cx<()>, _: Undo<(), Pack>) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).wait::<Address>().step(Hold).pivot(Pay).parallel((Branch::new(Tell), Branch::new(Pack).compensate(Unpack))).build();
}
