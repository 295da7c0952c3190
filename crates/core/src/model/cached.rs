//! Vectors that were paid for once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::key::embedding_key;
use super::{Embedder, Embedding};
use crate::cache::Cache;
use crate::{Error, ErrorKind, Result};
use async_trait::async_trait;

/// Remembers vectors in a [`Cache`], by the embedder's name and the text's hash.
///
/// A text is asked for once even where a batch has it twice. Where the cache fails, the embedder is asked. Texts are not in the cache,
/// only their hashes.
///
/// ```
/// # #[cfg(feature = "runtime")] {
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::cache::MemoryCache;
/// use pumasi_core::model::{CachedEmbedder, Embedder, HashingEmbedder};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let cache = Arc::new(MemoryCache::new(64 << 20));
/// let embedder = CachedEmbedder::new(HashingEmbedder::new(), cache, Duration::from_hours(24));
/// let vectors = embedder.embed(&["무릎 통증", "무릎 통증"]).await?;
/// assert_eq!(vectors[0], vectors[1]);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap(); }
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
        format!("pumasi:vector:{}", embedding_key(self.inner.name(), text))
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

#[cfg(test)]
#[cfg(feature = "runtime")]
mod tests {
    use super::*;
    use crate::cache::{Fault, FlakyCache, MemoryCache};
    use crate::model::HashingEmbedder;
    use std::sync::Mutex;

    /// Writes down what it is asked for.
    #[derive(Debug, Default)]
    struct Asked {
        inner: HashingEmbedder,
        texts: Mutex<Vec<String>>,
        short: bool,
    }

    #[async_trait]
    impl Embedder for Asked {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn dimensions(&self) -> usize {
            self.inner.dimensions()
        }

        async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            self.texts.lock().unwrap().extend(texts.iter().map(|text| (*text).to_owned()));
            let mut vectors = self.inner.embed(texts).await?;
            if self.short {
                vectors.pop();
            }
            Ok(vectors)
        }
    }

    impl CachedEmbedder<Asked> {
        fn asked(&self) -> usize {
            std::mem::take(&mut *self.inner.texts.lock().unwrap()).len()
        }
    }

    #[tokio::test]
    async fn a_text_is_asked_for_once_and_answers_keep_their_places() {
        let cache = Arc::new(MemoryCache::new(1 << 20));
        let embedder = CachedEmbedder::new(Asked::default(), cache.clone(), Duration::from_hours(1));
        let texts = ["달리기", "걷기", "달리기", ""];
        let plain = HashingEmbedder::new().embed(&texts).await.unwrap();
        assert_eq!(embedder.embed(&texts).await.unwrap(), plain);
        assert_eq!(embedder.asked(), 3);
        assert_eq!(embedder.embed(&texts).await.unwrap(), plain);
        assert_eq!(embedder.embed(&["걷기", "수영"]).await.unwrap()[0], plain[1]);
        assert_eq!(embedder.asked(), 1);
        // What stands in the cache and is no vector of this embedder is asked for again.
        cache.set(&embedder.key("걷기"), Arc::from(&b"half"[..]), Duration::from_hours(1)).await.unwrap();
        assert_eq!(embedder.embed(&["걷기"]).await.unwrap()[0], plain[1]);
        assert_eq!((embedder.asked(), embedder.embed(&[]).await.unwrap().len()), (1, 0));
    }

    #[tokio::test]
    async fn a_cache_that_fails_costs_calls_and_nothing_else() {
        let cache = FlakyCache::new(Arc::new(MemoryCache::new(1 << 20)));
        let embedder =
            CachedEmbedder::new(Asked::default(), Arc::new(cache.clone()), Duration::from_hours(1));
        for fault in [Fault::Down, Fault::ReadOnly, Fault::None] {
            cache.set_fault(fault);
            assert_eq!(embedder.embed(&["a", "b"]).await.unwrap().len(), 2);
            assert_eq!(embedder.asked(), 2, "{fault:?}");
        }
        assert_eq!((embedder.embed(&["a", "b"]).await.unwrap().len(), embedder.asked()), (2, 0));
    }

    #[tokio::test]
    async fn an_embedder_that_leaves_one_out_is_an_error_and_nothing_is_remembered() {
        let short = Asked { short: true, ..Asked::default() };
        let embedder =
            CachedEmbedder::new(short, Arc::new(MemoryCache::new(1 << 20)), Duration::from_hours(1));
        for _ in 0..2 {
            assert_eq!(embedder.embed(&["a", "b"]).await.unwrap_err().kind(), ErrorKind::Protocol);
            assert_eq!(embedder.asked(), 2);
        }
    }
}
