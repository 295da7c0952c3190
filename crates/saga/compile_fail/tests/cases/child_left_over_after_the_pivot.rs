#![allow(dead_code, unused_imports)]
include!("../steps.rs");
use pumasi_saga::WhenExhausted;

fn main() {
    let child = Saga::<u64, ()>::new("c", 1).step(Hold).build().unwrap();
    let _ = Saga::<u64, ()>::new("s", 1)
        .wait::<Address>()
        .step(Hold)
        .pivot(Pay)
        .child(&child, |(key,): (u64,)| key)
        .when_exhausted(WhenExhausted::Continue)
        .build();
}
