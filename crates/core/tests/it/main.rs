//! Tests of the public interface.
#![expect(clippy::unwrap_used, reason = "the tests' own parts fail by panicking")]
#![cfg_attr(
    any(feature = "github", feature = "openai", feature = "slack"),
    expect(clippy::indexing_slicing, reason = "the same")
)]

#[cfg(feature = "slack")]
mod alert;
#[cfg(all(feature = "sqlite", feature = "conformance"))]
#[expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what is not as set up fails the test, and counts are printed"
)]
mod event_faults;
#[cfg(all(feature = "kafka", feature = "conformance"))]
#[expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what is not as set up fails the test, and counts are printed"
)]
mod event_kafka;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "conformance"))]
#[expect(clippy::indexing_slicing, clippy::panic, reason = "what differs from the reference fails the test")]
mod filter_sql;
#[cfg(feature = "github")]
mod github;
#[cfg(feature = "openai")]
mod model;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "conformance"))]
#[expect(clippy::print_stdout, reason = "counts are printed")]
#[cfg_attr(
    feature = "postgres",
    expect(clippy::indexing_slicing, reason = "what is not as set up fails the test")
)]
mod outbox;
#[cfg(feature = "sqlite")]
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "what is not as set up fails the test, and counts are printed"
)]
mod poison;
#[cfg(all(any(feature = "kafka", feature = "postgres"), feature = "conformance"))]
#[path = "../support/private.rs"]
mod private;
#[cfg(all(feature = "redis", feature = "conformance"))]
#[expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what is not as set up fails the test, and counts are printed"
)]
mod redis_faults;
#[cfg(all(feature = "schedule", feature = "sqlite", feature = "conformance"))]
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "what is not as set up fails the test, and counts are printed"
)]
mod schedule;
#[cfg(any(feature = "github", feature = "openai", feature = "slack"))]
#[cfg_attr(
    not(feature = "openai"),
    expect(dead_code, reason = "it can do more than the other clients' tests need")
)]
mod server;
mod silence;
#[cfg(feature = "slack")]
mod slack;
#[cfg(all(feature = "postgres", feature = "conformance"))]
mod transactions;
