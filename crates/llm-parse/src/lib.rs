//! Text to typed values through a language model.

#[cfg(feature = "extract")]
pub mod extract;
#[cfg(feature = "extract")]
pub mod task;

mod align;
mod error;
pub mod eval;
pub mod ground;
mod parse;
mod report;
mod schema;
pub mod stream;
pub mod syntax;
mod tree;

pub use error::{Error, ErrorKind, Failure, Result};
pub use parse::{Parsed, Parser, Policy, Rejected, parse};
pub use report::{Path, Repair, Report, Rule, Severity, Step};
pub use schema::Schema;
pub use tree::{Children, Kind, Node, NodeId, Quote, Span, Tree};
