//! Seams and shared parts of the Pumasi SDK.
//!
//! What two or more of the crates need stands here once: talking to models, events that lose nothing, caching,
//! resilience, a typed filter, and one Korean/English analyzer.
//!
//! | module | what it answers |
//! |---|---|
//! | `alert` | how errors reach a person, counted and never in the way (feature `slack`) |
//! | [`cache`] | how to keep a value for a while, and load it once when it is missing |
//! | `database` | how tables come to be, and what a database's failures mean (features `sqlite`, `postgres`) |
//! | [`event`] | how services tell each other what happened, and lose none of it |
//! | [`filter`] | which records are meant, in memory and in every store |
//! | `github` | what GitHub tells of an account, and which commits are its own (feature `github`) |
//! | `idempotency` | how a request that is made twice is carried out once (feature `runtime`) |
//! | `lock` | how one of many processes does something alone, and is refused when it no longer is (feature `runtime`) |
//! | [`model`] | how to ask a language model or an embedder, whoever serves it |
//! | `redis_link` | how a Redis server is reached, and what its failures mean (feature `redis`) |
//! | [`resilience`] | how to call what may fail: retries and their budget, limits, circuit breakers, hedges |
//! | `room` | what people say to one another, in order, to who comes later and to who listens (feature `runtime`) |
//! | `schedule` | when work is due, which node does it, and where a batch resumes (feature `schedule`) |
//! | `slack` | what Slack sends, and how to answer it (feature `slack`) |
//! | [`text`] | which terms, sentences and spans a Korean or English text has, and how well it answers a query |
//! | [`time`] | which clock is asked, so that tests can turn it |

#[cfg(feature = "slack")]
pub mod alert;
pub mod cache;
#[cfg(any(all(test, feature = "runtime"), feature = "conformance"))]
pub mod conformance;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod database;
mod error;
pub mod event;
pub mod filter;
#[cfg(feature = "github")]
pub mod github;
#[cfg(any(feature = "github", feature = "openai", feature = "slack"))]
mod http;
#[cfg(feature = "runtime")]
pub mod idempotency;
#[cfg(feature = "runtime")]
pub mod lock;
pub mod model;
#[cfg(feature = "redis")]
pub mod redis_link;
pub mod resilience;
#[cfg(feature = "runtime")]
pub mod room;
#[cfg(feature = "schedule")]
pub mod schedule;
#[cfg(feature = "slack")]
pub mod slack;
pub mod text;
pub mod time;

pub use error::{Error, ErrorKind, Result, Retry};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
