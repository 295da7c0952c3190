//! Text to typed values through a language model.
//!
//! ```
//! use pumasi_llm_parse::parse;
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Run {
//!     runner: String,
//!     distance_km: f64,
//!     finished: bool,
//! }
//!
//! let parsed = parse::<Run>("Sure! ```json\n{runner: '김민지', distance_km: '21.1', finished: True,}\n```")?;
//! assert_eq!((parsed.value.runner.as_str(), parsed.value.distance_km, parsed.value.finished), ("김민지", 21.1, true));
//! for repair in &parsed.report.repairs {
//!     println!("{:?} {} at {:?}", repair.severity, repair.rule, repair.span);
//! }
//! # Ok::<(), pumasi_llm_parse::Error>(())
//! ```
//!
//! # Levels, each usable alone
//!
//! | level | begin at | needs |
//! |---|---|---|
//! | parse an answer into a `T`, or a JSON value by a schema known at run time | [`parse()`], [`Parser`], [`Schema`] | nothing |
//! | read an answer while it is being written | [`stream`] | nothing |
//! | find where in a source a quote stands, and whether it supports a value | [`ground`] | nothing |
//! | ask a model, repair, ask again for what failed, ground, validate, bound | `extract` | `extract` (default) |
//! | tasks from posts: prompts, rules, matching, a pipeline over events | `task` | `extract`; `sqlite` or `postgres` to keep them |
//! | compare prompts, damage answers on purpose | [`eval`] | `extract` for the runs |
//!
//! # What it promises
//!
//! 1. **Never silently wrong.** Each repair stands in the [`Report`] with its place, rule and [`Severity`]. What could have
//!    been meant otherwise, is negated, overflows, or breaks off inside a value is an [`Error`] or marked, by [`Policy`].
//! 2. **Linear.** Time and memory grow with the answer, whatever it holds; depth is bounded; nothing panics or recurses
//!    without bound.
//! 3. **One parser.** A snapshot of a stream equals the one-shot parse of the same prefix.
//! 4. **Discreet.** Neither answers nor sources nor prompts reach a log, an error or a `Debug`.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `extract` (default) | everything that talks to a model; tokio, no network of its own |
//! | `tokens` | counting tokens with `tiktoken-rs` before sending |
//! | `sqlite` | the durable store of tasks |
//! | `postgres` | the store of tasks on PostgreSQL, shared by many processes |
//! | `garde` | validators derived with `garde` |
//!
//! # What it does not do
//!
//! It does not constrain the model's decoding (grammars belong to the server), and it does not guess: an answer that could
//! mean two things is handed back as an error with its places, for a second question or a person.

#[cfg(feature = "extract")]
pub mod extract;
#[cfg(feature = "extract")]
pub mod task;

mod align;
#[cfg(feature = "extract")]
mod assignment;
mod error;
pub mod eval;
pub mod ground;
mod month;
mod parse;
mod report;
mod schema;
mod spare;
pub mod stream;
pub mod syntax;
mod tree;

pub use error::{Error, ErrorKind, Failure, Result};
pub use parse::{Parsed, Parser, Policy, Rejected, parse};
pub use report::{Path, Repair, Report, Rule, Severity, Step};
pub use schema::Schema;
pub use tree::{Children, Kind, Node, NodeId, Quote, Span, Tree};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
