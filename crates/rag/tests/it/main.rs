//! What the parts of the crate do together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails so")]

mod answers;
mod chunks;
mod grounding;
mod ingest;
#[cfg(feature = "embedded")]
mod kills;
mod knowledge;
mod retrieval;
mod streams;
