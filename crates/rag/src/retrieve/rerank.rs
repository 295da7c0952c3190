//! What looks at question and passages together.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;
use crate::store::Passage;

/// Scores passages for a question by reading both together, as a cross-encoder or a language model does.
///
/// It is given the passages that retrieval found best, and decides their order. One that fails or answers something else than a finite
/// score for each passage leaves the order as it was, and the result [says so](super::Note::NotReranked).
#[async_trait]
pub trait Reranker: fmt::Debug + Send + Sync {
    /// Names the model.
    fn name(&self) -> &str;

    /// Returns a score for each passage, in their order; the higher, the better it answers.
    ///
    /// # Errors
    ///
    /// Those of the model.
    async fn rerank(&self, question: &str, passages: &[Passage]) -> Result<Vec<f32>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<R: Reranker + ?Sized> Reranker for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            async fn rerank(&self, question: &str, passages: &[Passage]) -> Result<Vec<f32>> {
                (**self).rerank(question, passages).await
            }
        }
    )+};
}

forward!(&R, Box<R>, Arc<R>);
