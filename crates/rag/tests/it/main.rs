//! What the parts of the crate do together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails so")]
#![allow(clippy::print_stdout, reason = "what a test has counted")]

mod answers;
mod chunks;
#[cfg(feature = "qdrant")]
#[path = "../support/collection.rs"]
mod collection;
#[cfg(feature = "local")]
mod encoder;
mod grounding;
mod ingest;
#[cfg(feature = "embedded")]
mod kills;
mod knowledge;
#[cfg(feature = "embedded")]
mod layout;
mod measured;
mod multi_query;
#[cfg(any(feature = "html", feature = "local", feature = "pdf"))]
mod mutate;
#[cfg(feature = "embedded")]
mod nearby;
#[cfg(all(feature = "local", feature = "ort"))]
mod onnx;
#[cfg(feature = "html")]
mod pages;
#[cfg(feature = "pdf")]
mod pdfs;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "qdrant")]
mod qdrant;
#[cfg(any(feature = "postgres", feature = "qdrant"))]
mod random;
#[cfg(any(feature = "postgres", feature = "qdrant"))]
mod reference;
mod retrieval;
#[cfg(feature = "postgres")]
#[path = "../support/schema.rs"]
mod schema;
mod streams;
#[cfg(feature = "text")]
mod texts;
mod transfer;
mod turned;
mod verdicts;
