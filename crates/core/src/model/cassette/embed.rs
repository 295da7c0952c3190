//! Recording and replaying embeddings.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Cassette, EmbeddedText, EmbedderHeader};
use crate::model::key::embedding_key;
use crate::model::{Embedder, Embedding};
use crate::{Error, ErrorKind, Result};

/// An [`Embedder`] that records another one's vectors to a [`Cassette`], or replays them.
///
/// Recorded text by text, so that a test may batch otherwise than the recording did.
#[derive(Clone, Debug)]
pub struct RecordedEmbedder {
    cassette: Cassette,
    name: String,
    dimensions: usize,
    inner: Option<Arc<dyn Embedder>>,
    only_missing: bool,
}

impl RecordedEmbedder {
    /// Replays a cassette; a text that is not on it fails with `NotFound`.
    ///
    /// # Errors
    ///
    /// `NotFound` if the cassette has no embedder on it.
    pub fn replay(cassette: &Cassette) -> Result<Self> {
        let header = cassette.lock().tape.embedder.clone();
        let EmbedderHeader { name, dimensions } = header.ok_or_else(|| cassette.without("an embedder"))?;
        Ok(Self { cassette: cassette.clone(), name, dimensions, inner: None, only_missing: false })
    }

    /// Asks `embedder` and records its vectors, in place of older recordings of the same texts.
    pub fn record(cassette: &Cassette, embedder: impl Embedder + 'static) -> Self {
        let (name, dimensions) = (embedder.name().to_owned(), embedder.dimensions());
        cassette.lock().tape.embedder = Some(EmbedderHeader { name: name.clone(), dimensions });
        let inner: Option<Arc<dyn Embedder>> = Some(Arc::new(embedder));
        Self { cassette: cassette.clone(), name, dimensions, inner, only_missing: false }
    }

    /// Asks and records only the texts that are not on the cassette yet, and replays the rest.
    #[must_use]
    pub fn only_missing(mut self) -> Self {
        self.only_missing = true;
        self
    }

    /// Asks for the texts that have to be asked for, once each, and records their vectors.
    async fn ask(&self, embedder: &dyn Embedder, texts: &[&str]) -> Result<()> {
        let wanted: Vec<&str> = {
            let state = self.cassette.lock();
            let known = |text: &str| {
                self.only_missing && state.tape.embeddings.contains_key(&embedding_key(&self.name, text))
            };
            let once: BTreeSet<&str> = texts.iter().copied().filter(|text| !known(text)).collect();
            once.into_iter().collect()
        };
        if wanted.is_empty() {
            return Ok(());
        }
        let vectors = embedder.embed(&wanted).await?;
        if vectors.len() != wanted.len() {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "the embedder {} gave {} vectors for {} texts",
                    self.name,
                    vectors.len(),
                    wanted.len()
                ),
            ));
        }
        self.cassette.record(|state| {
            for (text, vector) in wanted.into_iter().zip(vectors) {
                let entry = EmbeddedText { text: text.to_owned(), vector };
                state.tape.embeddings.insert(embedding_key(&self.name, text), entry);
            }
        })
    }
}

#[async_trait]
impl Embedder for RecordedEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        if let Some(embedder) = &self.inner {
            self.ask(&**embedder, texts).await?;
        }
        let keys: Vec<String> = texts.iter().map(|text| embedding_key(&self.name, text)).collect();
        let found: Result<Vec<Embedding>, &String> = {
            let state = self.cassette.lock();
            let find = |key| state.tape.embeddings.get(key).map(|one| one.vector.clone()).ok_or(key);
            keys.iter().map(find).collect()
        };
        found.map_err(|key| self.cassette.missing("text", key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HashingEmbedder;

    #[tokio::test]
    async fn vectors_are_replayed_text_by_text_however_they_were_batched() {
        let cassette = Cassette::in_memory();
        let real = HashingEmbedder::new();
        let recorder = RecordedEmbedder::record(&cassette, real.clone());
        recorder.embed(&["하나", "two", "하나"]).await.unwrap();
        let copy = Cassette::from_json(&cassette.to_json().unwrap()).unwrap();
        assert_eq!(copy.len(), 2);
        let replay = RecordedEmbedder::replay(&copy).unwrap();
        assert_eq!((replay.name(), replay.dimensions()), (real.name(), real.dimensions()));
        assert_eq!(replay.embed(&["two"]).await.unwrap(), real.embed(&["two"]).await.unwrap());
        assert_eq!(replay.embed(&[]).await.unwrap(), Vec::<Embedding>::new());
        let error = replay.embed(&["two", "비밀"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!error.message().contains("비밀"));
        let extended = RecordedEmbedder::record(&copy, real).only_missing();
        assert_eq!(extended.embed(&["two", "셋"]).await.unwrap().len(), 2);
        assert_eq!(copy.len(), 3);
    }
}
