#![allow(dead_code, unused_imports)]
include!("../steps.rs");

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).pivot(Hold).compensate(Release).build();
}
