#![allow(dead_code, unused_imports)]
include!("../steps.rs");
use pumasi_saga::Branch;

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).wait::<Address>().step(Hold).pivot(Pay).parallel((Branch::new(Tell), Branch::new(Print))).build();
}
