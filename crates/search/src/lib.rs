//! Search that never goes down, and rankings that are right.
//!
//! | module | what it answers |
//! |---|---|
//! | [`geo`] | which places lie within a circle, without looking at all of them? |
//! | [`leaderboard`] | who stands where by what they did, and how has that moved? |
//! | [`reactions`] | how many like it, one vote a person, however many vote at the same time? |
//! | [`views`] | how often was it seen, once a person and hour? |
//! | [`trending`] | what is popular now, and why? |

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod geo;
pub mod leaderboard;
pub mod reactions;
pub mod trending;
pub mod views;

pub use pumasi_core::{Error, ErrorKind, Result, Retry};

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
