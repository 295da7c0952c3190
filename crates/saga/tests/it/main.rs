//! The engine as a service uses it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
#![allow(unreachable_pub, reason = "what the tests share is public among them")]

mod engine;
mod faults;
mod sagas;
mod transactions;
