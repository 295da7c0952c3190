//! Text to typed values through a language model.

#[cfg(feature = "extract")]
pub mod extract;
#[cfg(feature = "extract")]
pub mod task;

pub mod eval;
mod report;
pub mod syntax;
mod tree;

pub use report::{Path, Repair, Report, Rule, Severity, Step};
pub use tree::{Children, Kind, Node, NodeId, Quote, Span, Tree};
