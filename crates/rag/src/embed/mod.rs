//! Who makes vectors, beside the embedders of `pumasi-core`.

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "ort")]
mod onnx;

#[cfg(feature = "local")]
pub use local::LocalEmbedder;
#[cfg(feature = "ort")]
pub use onnx::{OnnxEmbedder, OnnxRuntime};

#[cfg(any(feature = "local", feature = "ort"))]
pub use crate::encoder::EncoderTokens;
