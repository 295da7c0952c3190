//! The engine as a service uses it.

#![allow(unreachable_pub, reason = "what the tests share is public among them")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot be set up, or whose world is not as it should be, fails; counts are printed"
)]

mod children;
mod damaged;
mod definition;
mod driven;
mod engine;
mod exhausted;
mod fateful;
mod faults;
mod funnel;
mod jobs;
mod left_children;
mod noticed;
mod operator;
mod order;
mod parents;
#[cfg(any(feature = "embedded", feature = "postgres", feature = "redis"))]
mod records;
mod running;
mod sagas;
mod script;
mod seeds;
mod signals;
mod transactions;
mod tried_again;
mod unreadable;
mod versions;
mod waits;
