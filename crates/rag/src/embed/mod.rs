//! Who makes vectors, beside the embedders of `pumasi-core`.

mod cached;
#[cfg(feature = "local")]
mod local;

pub use cached::CachedEmbedder;
#[cfg(feature = "local")]
pub use local::{EncoderTokens, LocalEmbedder};
