//! Programmes against this crate's stores as a whole.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and tells what it counted"
)]

mod kills;
mod votes;
