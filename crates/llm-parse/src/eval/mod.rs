//! Measures how well answers are read.

pub mod mutate;

pub use mutate::{Damage, Damaged, Mutator};
