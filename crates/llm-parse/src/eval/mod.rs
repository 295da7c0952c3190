//! Measures how well sources are turned into values, and how well damaged answers are read.
//!
//! With the feature `extract`, `Eval` runs any `Extract` over a `Dataset` of sources and expected values and gives an
//! `EvalReport`: parse rate, precision, recall and F1 per field, the share of grounded quotes, cost and latency.
//! `Comparison` puts two versions side by side, case by case, and fails where the newer one fell. [`Recovery`] reads back
//! what a [`Mutator`] damaged the way models do.

#[cfg(feature = "extract")]
mod comparison;
#[cfg(feature = "extract")]
mod dataset;
#[cfg(feature = "extract")]
mod measure;
pub mod mutate;
mod recovery;
#[cfg(feature = "extract")]
mod report;
#[cfg(feature = "extract")]
mod run;
#[cfg(feature = "extract")]
mod scoring;
mod table;

#[cfg(feature = "extract")]
pub use comparison::{Comparison, Pair};
#[cfg(feature = "extract")]
pub use dataset::{Case, Dataset};
#[cfg(feature = "extract")]
pub use measure::Measure;
pub use mutate::{Damage, Damaged, Mutator};
pub use recovery::{Recovered, Recovery};
#[cfg(feature = "extract")]
pub use report::{CaseResult, EvalReport};
#[cfg(feature = "extract")]
pub use run::{Eval, Regression};
#[cfg(feature = "extract")]
pub use scoring::{Counts, Score, Scoring};
