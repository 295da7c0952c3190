//! What the crate promises, checked from outside.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic, and its counts are for people to read"
)]

mod behaviours;
mod cases;
mod fuzzed;
mod hostile;
mod mutated;
#[cfg(feature = "sqlite")]
#[expect(clippy::unwrap_used, reason = "what is not as set up fails the test")]
mod pipeline_faults;
mod probes;
mod streamed;
