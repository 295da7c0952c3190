//! The engine as a service uses it.

mod engine;
mod faults;
mod sagas;
