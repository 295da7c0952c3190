//! Batch jobs in chunks, which resume where they were broken off.
//!
//! A [`ChunkJob`] reads items, works on each, and writes a chunk of results. [`Batch`] runs it: each chunk is written in one
//! transaction together with the position that was reached, so whatever kills the process, the next run goes on behind the
//! last chunk that was committed, and each item's effect in the database happens once.
//!
//! - **A run has an identity**: the batch's name and its parameters. One that is complete is not run again; one that failed,
//!   was stopped or lost its process is resumed by running it with the same parameters.
//! - **One node at a time** works on a run, under a lease with a fence; what a node writes that lost its lease is refused
//!   in the chunk's own transaction.
//! - **Bad items** are skipped up to a number, and counted by the kind of error, never by what they say. Failures that may pass
//!   are retried with a backoff.
//! - **Completion** is an event with an id derived from the run, published in the transaction that completes it
//!   ([`CompletionSink`]) or right after it and again until that succeeded. [`StartOn`] starts another batch by it.

//!
//! A batch runs whenever its [`run`](Batch::run) is called: from a [`Job`](super::Job)'s work, with the due time as a parameter, and
//! what failed is resumed by the run's next attempt; from a handler of events; or by hand.

mod chunks;
mod completion;
mod job;
mod runner;
mod store;

pub use completion::{BatchCompleted, CompletionSink, StartOn};
pub use job::{BatchOutcome, BatchRun, ChunkJob, Entry, Parameters, Progress};
pub use runner::Batch;
pub use store::BatchDatabase;
