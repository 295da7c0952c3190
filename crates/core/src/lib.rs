//! Seams and shared parts of the Pumasi SDK.
//!
//! What two or more of the crates need stands here once: talking to models, events that lose nothing, caching,
//! resilience, a typed filter, and one Korean/English analyzer.
//!
//! | module | what it answers |
//! |---|---|
//! | [`model`] | how to ask a language model or an embedder, whoever serves it |
//! | [`time`] | which clock is asked, so that tests can turn it |

mod error;
pub mod model;
pub mod time;

pub use error::{Error, ErrorKind, Result, Retry};
