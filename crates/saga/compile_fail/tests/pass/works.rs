#![allow(dead_code, unused_imports)]
include!("../steps.rs");

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).wait::<Address>().step(Hold).compensate(Release).pivot(Pay).step(Tell).build();
}
