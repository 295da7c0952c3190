#![allow(dead_code, unused_imports)]
include!("../steps.rs");

fn main() {
    let _ = Saga::<u64, ()>::new("s", 1).pivot(Hold).wait::<Address>().deadline(std::time::Duration::from_secs(1)).build();
}
