//! Who makes vectors, beside the embedders of `pumasi-core`.

/// Gives a sentence encoder what all have, whatever computes their vectors, by its `reader` and its `compute`.
#[cfg(any(feature = "local", feature = "ort"))]
macro_rules! sentence_encoder {
    ($encoder:ident) => {
        impl $encoder {
            /// Sets what is put before passages and before questions, for encoders that were trained so (`passage: ` and `query: `).
            /// The name changes with it.
            #[must_use]
            pub fn with_prefixes(mut self, passage: &str, query: &str) -> Self {
                self.reader = self.reader.with_prefixes(passage, query);
                self
            }

            /// Returns the same encoder for questions: what a [`Retriever`](crate::Retriever) is given where there are
            /// [prefixes](Self::with_prefixes). Its name is the same; a [cache](pumasi_core::model::CachedEmbedder) must not be.
            #[must_use]
            pub fn for_queries(&self) -> Self {
                Self { reader: self.reader.for_queries(), ..self.clone() }
            }

            /// Returns the encoder's own tokenizer, for chunkers and gates.
            pub fn tokens(&self) -> $crate::embed::EncoderTokens {
                self.reader.tokens()
            }

            /// Tells how many tokens of a text are read, as [`tokens`](Self::tokens) counts them: without those that are added to each,
            /// and with room for the longer prefix.
            pub fn max_tokens(&self) -> usize {
                self.reader.max_tokens()
            }
        }

        #[async_trait::async_trait]
        impl pumasi_core::model::Embedder for $encoder {
            fn name(&self) -> &str {
                self.reader.name()
            }

            fn dimensions(&self) -> usize {
                self.reader.dimensions()
            }

            async fn embed(&self, texts: &[&str]) -> $crate::Result<Vec<pumasi_core::model::Embedding>> {
                if texts.is_empty() {
                    return Ok(Vec::new());
                }
                let texts: Vec<String> = texts.iter().map(|text| self.reader.prefixed(text)).collect();
                let encoder = self.clone();
                $crate::encoder::apart(move |wanted| encoder.compute(&texts, wanted)).await
            }
        }
    };
}

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
