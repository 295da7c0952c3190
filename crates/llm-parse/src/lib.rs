//! Text to typed values through a language model.

#[cfg(feature = "extract")]
pub mod extract;
#[cfg(feature = "extract")]
pub mod task;
