//! Durable multi-step transactions that nobody has to babysit.

pub mod capacity;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod store;

pub use pumasi_core::{Error, ErrorKind, Result, Retry};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
