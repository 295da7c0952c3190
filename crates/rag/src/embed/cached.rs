//! Vectors that were paid for once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::cache::Cache;
use pumasi_core::model::{Embedder, Embedding};

use crate::document::Fingerprint;
use crate::{Error, ErrorKind, Result};

/// Remembers vectors in a [`Cache`], by the embedder's name and the text's hash.
///
/// A text is asked for once even where a batch has it twice. Where the cache fails, the embedder is asked. Texts are not in the cache,
/// only their hashes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::cache::MemoryCache;
/// use pumasi_core::model::{Embedder, HashingEmbedder};
/// use pumasi_rag::embed::CachedEmbedder;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let cache = Arc::new(MemoryCache::new(64 << 20));
/// let embedder = CachedEmbedder::new(HashingEmbedder::new(), cache, Duration::from_hours(24));
/// let vectors = embedder.embed(&["무릎 통증", "무릎 통증"]).await?;
/// assert_eq!(vectors[0], vectors[1]);
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
pub struct CachedEmbedder<E> {
    inner: E,
    cache: Arc<dyn Cache>,
    ttl: Duration,
}

impl<E: Embedder> CachedEmbedder<E> {
    /// Remembers `inner`'s vectors in `cache` for `ttl`.
    pub fn new(inner: E, cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        Self { inner, cache, ttl }
    }

    fn key(&self, text: &str) -> String {
        let fingerprint = Fingerprint::of([self.inner.name().as_bytes(), text.as_bytes()]);
        format!("pumasi-rag:vector:{fingerprint}")
    }

    fn read(&self, bytes: &[u8]) -> Option<Embedding> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let whole = rest.is_empty() && numbers.len() == self.inner.dimensions();
        whole.then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }
}

impl<E: Embedder> fmt::Debug for CachedEmbedder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedEmbedder")
            .field("inner", &self.inner)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<E: Embedder> Embedder for CachedEmbedder<E> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let keys: Vec<String> = texts.iter().map(|text| self.key(text)).collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut known: BTreeMap<&str, Embedding> = BTreeMap::new();
        match self.cache.get_many(&names).await {
            Ok(values) => {
                for (name, value) in names.iter().zip(values) {
                    known.extend(value.and_then(|value| self.read(&value)).map(|vector| (*name, vector)));
                }
            }
            Err(error) => tracing::warn!(kind = %error.kind(), "the cache of vectors could not be asked"),
        }
        let missing: BTreeMap<&str, &str> = names
            .iter()
            .copied()
            .zip(texts.iter().copied())
            .filter(|(name, _)| !known.contains_key(name))
            .collect();
        if !missing.is_empty() {
            let wanted: Vec<&str> = missing.values().copied().collect();
            let vectors = self.inner.embed(&wanted).await?;
            if vectors.len() != wanted.len() {
                let (name, got, wanted) = (self.inner.name(), vectors.len(), wanted.len());
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("{name} answered {got} vectors for {wanted} texts"),
                ));
            }
            for (name, vector) in missing.keys().zip(vectors) {
                // what is broken is not remembered
                if vector.iter().all(|number| number.is_finite()) {
                    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                    if let Err(error) = self.cache.set(name, bytes.into(), self.ttl).await {
                        tracing::warn!(kind = %error.kind(), "a vector could not be remembered");
                    }
                }
                known.insert(name, vector);
            }
        }
        Ok(names.iter().filter_map(|name| known.get(name).cloned()).collect())
    }
}
