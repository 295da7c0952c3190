//! Who makes vectors, beside the embedders of `pumasi-core`.

mod cached;

pub use cached::CachedEmbedder;
