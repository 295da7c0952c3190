#![allow(dead_code, unused_imports)]
include!("../steps.rs");

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).step(Hold).pivot(Pay).wait::<Address>().step(Tell).build();
}
