//! Who makes vectors, beside the embedders of `pumasi-core`.

#[cfg(feature = "local")]
mod local;

#[cfg(feature = "local")]
pub use local::LocalEmbedder;

#[cfg(any(feature = "local", feature = "ort"))]
pub use crate::encoder::EncoderTokens;
