use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pumasi_core::filter::{Field, Filter};
use pumasi_core::model::{Embedder, Embedding, HashingEmbedder};
use pumasi_rag::{Document, Error, ErrorKind, Ingest, MemoryStore, Result, Space, Store, Tenant};

/// Counts what it embeds, and answers wrongly where a text says so.
#[derive(Debug)]
struct Odd {
    inner: HashingEmbedder,
    embedded: AtomicUsize,
}

#[async_trait]
impl Embedder for Odd {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let mut vectors = self.inner.embed(texts).await?;
        for (text, vector) in texts.iter().zip(&mut vectors) {
            if text.contains("not a number") {
                vector.fill(f32::NAN);
            }
            if text.contains("nowhere") {
                vector.fill(0.0);
            }
            if text.contains("refuse") {
                return Err(Error::new(ErrorKind::InvalidInput, "a text is refused"));
            }
            if text.contains("429") {
                return Err(Error::new(ErrorKind::RateLimited, "too many requests"));
            }
        }
        if texts.iter().any(|text| text.contains("fewer")) {
            vectors.pop();
        }
        Ok(vectors)
    }
}

fn set_up() -> (Ingest, Arc<MemoryStore>, Arc<Odd>) {
    let embedder = Arc::new(Odd { inner: HashingEmbedder::new(), embedded: AtomicUsize::new(0) });
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    (Ingest::new(store.clone(), embedder.clone()), store, embedder)
}

fn plan(weeks: &[&str]) -> Document {
    let week = |(at, text): (usize, &&str)| format!("## {}주\n\n{text}\n\n", at + 1);
    let text: String = weeks.iter().enumerate().map(week).collect();
    Document::markdown("plan", text)
}

#[tokio::test]
async fn only_what_changed_is_embedded_and_what_is_gone_is_gone() {
    let (ingest, store, embedder) = set_up();
    ingest.run([plan(&["걷습니다.", "달립니다.", "쉽니다."])]).await.unwrap();
    assert_eq!(embedder.embedded.swap(0, Ordering::Relaxed), 3);
    let report = ingest.run([plan(&["걷습니다.", "빨리 달립니다."])]).await.unwrap();
    assert_eq!(embedder.embedded.swap(0, Ordering::Relaxed), 1);
    assert_eq!((report.replaced, report.chunks_embedded, report.chunks_reused), (1, 1, 1));
    let counts = store.count(&Filter::And(Vec::new())).await.unwrap();
    assert_eq!((counts.documents, counts.chunks), (1, 2));
    // metadata is not embedded
    let report =
        ingest.run([plan(&["걷습니다.", "빨리 달립니다."]).with_metadata("level", 2)]).await.unwrap();
    assert_eq!((report.replaced, report.chunks_embedded), (1, 0));
    assert_eq!(store.count(&Field::<i64>::new("level").eq(2)).await.unwrap().documents, 1);
    // a part that moved is not embedded either
    let moved = format!("새 머리말입니다.\n\n{}", plan(&["걷습니다.", "빨리 달립니다."]).text);
    let report = ingest.run([Document::markdown("plan", moved.as_str())]).await.unwrap();
    assert_eq!((report.chunks_embedded, report.chunks_reused), (1, 2));
    let entry = store.entries(&["plan"]).await.unwrap().remove(0).unwrap();
    for chunk in &entry.chunks {
        assert_eq!(entry.text(chunk), moved.get(chunk.span.range()));
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_embedded_spoils_no_other() {
    for broken in ["not a number", "nowhere", "refuse", "fewer"] {
        let (ingest, store, _) = set_up();
        let documents =
            [Document::new("a", "달립니다."), Document::new("b", broken), Document::new("c", "쉽니다.")];
        let report = ingest.run(documents).await.unwrap();
        assert_eq!(report.added, 2, "{broken}");
        assert_eq!(report.rejected.iter().map(|rejected| rejected.id.as_str()).collect::<Vec<_>>(), ["b"]);
        let ids: Vec<String> =
            store.scan("", 10).await.unwrap().into_iter().map(|record| record.id).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}

#[tokio::test]
async fn a_rate_limit_ends_the_run_and_says_so() {
    let (ingest, store, _) = set_up();
    let error = ingest.run([Document::new("a", "429")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.retry().is_retryable());
    assert_eq!(store.version().await.unwrap(), 0);
}

#[tokio::test]
async fn the_last_of_documents_with_the_same_id_counts() {
    let (ingest, store, _) = set_up();
    let report =
        ingest.run([Document::new("a", "처음입니다."), Document::new("a", "나중입니다.")]).await.unwrap();
    assert_eq!((report.added, report.superseded), (1, 1));
    let entry = store.entries(&["a"]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.sections[0].text, "나중입니다.");
}

#[tokio::test]
async fn another_embedder_is_an_error() {
    let (_, store, _) = set_up();
    let other = HashingEmbedder::with_dimensions(std::num::NonZeroUsize::new(8).unwrap());
    let error = Ingest::new(store, Arc::new(other)).run([Document::new("a", "x")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_broken_id_is_rejected_alone() {
    let (ingest, _, _) = set_up();
    let report = ingest
        .run([Document::new("", "x"), Document::new("가".repeat(200), "x"), Document::new("a", "x")])
        .await
        .unwrap();
    assert_eq!((report.added, report.rejected.len()), (1, 2));
}
