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
mod probes;
mod streamed;
