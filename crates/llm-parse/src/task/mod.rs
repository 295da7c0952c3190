//! Posts become tasks: what a story accomplished, what a question needs, and which of them match.

mod data;
mod post;

pub use data::{Difficulty, Task, Timing};
pub use post::{Language, Post, PostKind};
