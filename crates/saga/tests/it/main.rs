//! The engine as a service uses it.

#![allow(unreachable_pub, reason = "what the tests share is public among them")]

mod engine;
mod faults;
mod sagas;
mod transactions;
