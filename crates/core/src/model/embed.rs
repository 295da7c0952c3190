//! The embedding seam, and an embedder that needs no file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;

/// A vector of `f32`, one number per dimension of the [`Embedder`] that made it.
pub type Embedding = Vec<f32>;

/// Turns texts into vectors whose closeness (cosine) means closeness of meaning.
///
/// What every implementation guarantees:
///
/// 1. **Order.** The result has one vector per text, in the order of the texts.
/// 2. **Shape.** Every vector has [`dimensions`](Self::dimensions) finite numbers and length one.
/// 3. **Determinism.** The same text gives the same vector, alone or in a batch (within `1e-5` a number).
/// 4. **Whole or nothing.** A batch succeeds or fails as one.
#[async_trait]
pub trait Embedder: fmt::Debug + Send + Sync {
    /// Names the model and its version: vectors of different names must not be mixed.
    fn name(&self) -> &str;

    /// Tells how many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// Embeds a batch of texts.
    ///
    /// # Errors
    ///
    /// Those of [`ChatModel::complete`](crate::model::ChatModel::complete), for the whole batch.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<E: Embedder + ?Sized> Embedder for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn dimensions(&self) -> usize {
                (**self).dimensions()
            }

            async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
                (**self).embed(texts).await
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);
