//! The engine as a service uses it.

#![allow(unreachable_pub, reason = "what the tests share is public among them")]

mod engine;
mod faults;
mod jobs;
mod operator;
mod order;
mod running;
mod sagas;
#[cfg(feature = "postgres")]
#[path = "../conformance/schema.rs"]
mod schema;
mod script;
mod seeds;
mod traces;
mod transactions;
mod versions;
