use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::cache::MemoryCache;
use pumasi_core::filter::{Field, Filter};
use pumasi_core::model::{CachedEmbedder, Embedder, Embedding, HashingEmbedder};
use pumasi_core::resilience::{Backoff, Pipeline, RetryPolicy};
use pumasi_core::text::Span;
use pumasi_rag::chunk::{Chunker, Section};
use pumasi_rag::ingest::Progress;
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

#[tokio::test]
async fn what_the_source_has_no_more_is_removed() {
    let (ingest, store, _) = set_up();
    ingest.run((0..5).map(|n| Document::new(format!("d{n}"), format!("{n}번 문서입니다.")))).await.unwrap();
    let kept = [Document::new("d1", "1번 문서입니다."), Document::new("d3", "refuse")];
    let report = ingest.sync(kept).await.unwrap();
    assert_eq!((report.unchanged, report.rejected_count, report.removed), (1, 1, 3));
    let ids: Vec<String> = store.scan("", 10).await.unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(ids, ["d1", "d3"], "what was rejected stays as it was");
}

#[tokio::test]
async fn batches_keep_to_texts_and_tokens_whatever_runs_at_once() {
    #[derive(Debug, Default)]
    struct Sizes(Mutex<Vec<usize>>);

    #[async_trait]
    impl Embedder for Sizes {
        fn name(&self) -> &'static str {
            "sizes"
        }

        fn dimensions(&self) -> usize {
            1
        }

        async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            self.0.lock().unwrap().push(texts.len());
            tokio::task::yield_now().await;
            Ok(vec![vec![2.0]; texts.len()])
        }
    }
    let embedder = Arc::new(Sizes::default());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    let ingest = Ingest::new(store.clone(), embedder.clone())
        .with_texts_at_once(NonZeroUsize::new(4).unwrap())
        .with_tokens_at_once(NonZeroUsize::new(60).unwrap())
        .with_calls_at_once(NonZeroUsize::new(3).unwrap())
        .with_documents_at_once(NonZeroUsize::new(10).unwrap())
        .with_progress(move |progress| {
            if let Progress::Batch(report) = progress {
                counter.store(usize::try_from(report.added).unwrap(), Ordering::Relaxed);
            }
        });
    let documents = (0..25).map(|n| Document::new(format!("d{n}"), "달리기 ".repeat(1 + n)));
    // a run can be given to another task
    let report = tokio::spawn(async move { ingest.run(documents).await }).await.unwrap().unwrap();
    assert_eq!((report.added, told.load(Ordering::Relaxed)), (25, 25));
    let sizes = embedder.0.lock().unwrap().clone();
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert!(sizes.iter().all(|size| *size <= 4) && sizes.contains(&4) && sizes.contains(&1), "{sizes:?}");
    let entry = store.entries(&["d3"]).await.unwrap().remove(0).unwrap();
    assert_eq!(entry.chunks[0].embedding, [1.0], "vectors are brought to length one");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_that_passes_is_waited_for() {
    #[derive(Debug)]
    struct Busy(HashingEmbedder, AtomicUsize);

    #[async_trait]
    impl Embedder for Busy {
        fn name(&self) -> &str {
            self.0.name()
        }

        fn dimensions(&self) -> usize {
            self.0.dimensions()
        }

        async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
            if self.1.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err(Error::new(ErrorKind::RateLimited, "too many requests"));
            }
            self.0.embed(texts).await
        }
    }
    let embedder = Arc::new(Busy(HashingEmbedder::new(), AtomicUsize::new(0)));
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let retry = RetryPolicy::new("embedding").with_max_attempts(3).with_backoff(Backoff::default());
    let ingest =
        Ingest::new(store, embedder.clone()).with_pipeline(Pipeline::new("embedding").with_retry(retry));
    assert_eq!(ingest.run([Document::new("a", "달립니다.")]).await.unwrap().added, 1);
    assert_eq!(embedder.1.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn vectors_are_remembered_across_documents_and_stores() {
    let odd = Odd { inner: HashingEmbedder::new(), embedded: AtomicUsize::new(0) };
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let embedder = Arc::new(CachedEmbedder::new(odd, cache, Duration::from_hours(1)));
    for _ in 0..2 {
        let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
        let documents =
            [Document::new("a", "달립니다."), Document::new("b", "달립니다."), Document::new("c", "쉽니다.")];
        let report = Ingest::new(store, embedder.clone()).run(documents).await.unwrap();
        assert_eq!(report.added, 3);
    }
    let counted = format!("{embedder:?}");
    assert!(counted.contains("embedded: 2"), "{counted}");
}

#[tokio::test]
async fn what_can_be_no_document_is_rejected_with_its_reason_and_spoils_no_other() {
    let (ingest, store, embedder) = set_up();
    let nested =
        |depth: usize| (0..depth).fold(serde_json::json!(1), |within, _| serde_json::json!([within]));
    let binary: Vec<u8> = (0..4_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let bad = [
        (Document::new("a\0b", "x"), "NUL"),
        (Document::new("", "x"), "1 to 512"),
        (Document::new("empty", ""), "has no text"),
        (Document::new("blank", "\u{FEFF} \r\n\t\u{3000}"), "has no text"),
        (Document::new("zeros", "\0\0\0"), "has no text"),
        (Document::new("binary", String::from_utf8_lossy(&binary)), "is no text"),
        (Document::new("deep", "달립니다.").with_metadata("x", nested(65)), "nested more than 64"),
    ];
    let good = Document::new("good", "물을 마십니다.").with_metadata("x", nested(64));
    let also = Document::new("also", "색 \u{1B}[31m빨강\u{1B}[0m과 깨진 글자 하나 \u{FFFD}가 든 기록입니다.");
    let documents = bad.iter().map(|(document, _)| document.clone()).chain([good, also]);
    let report = ingest.run(documents).await.unwrap();
    assert_eq!((report.added, report.rejected_count), (2, bad.len() as u64), "{:?}", report.rejected);
    for (rejected, (document, why)) in report.rejected.iter().zip(&bad) {
        assert_eq!((&rejected.id, rejected.error.kind()), (&document.id, ErrorKind::InvalidInput));
        assert!(rejected.error.message().contains(why), "{}", rejected.error);
    }
    assert_eq!(store.scan("", 10).await.unwrap().len(), 2);
    assert_eq!(embedder.embedded.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_document_of_too_many_chunks_is_rejected_alone() {
    /// Makes a chunk of each character.
    #[derive(Debug)]
    struct Characters;

    impl Chunker for Characters {
        fn name(&self) -> String {
            "characters".to_owned()
        }

        fn chunk(&self, document: &Document) -> Result<Vec<Section>> {
            let spans = document.text.char_indices().map(|(at, c)| Span::new(at, at + c.len_utf8()));
            let whole = Span::new(0, document.text.len());
            Ok(vec![Section::new(Vec::new(), whole, "").with_chunks(spans.collect())])
        }
    }
    let (ingest, store, _) = set_up();
    let ingest = ingest.with_chunker(Characters);
    let documents =
        [Document::new("a", "가나"), Document::new("huge", "가".repeat(65_537)), Document::new("b", "다")];
    let report = ingest.run(documents).await.unwrap();
    assert_eq!((report.added, report.rejected_count, report.chunks_embedded), (2, 1, 3));
    assert!(report.rejected[0].error.message().contains("65537 chunks"), "{}", report.rejected[0].error);
    assert_eq!(store.scan("", 10).await.unwrap().len(), 2);
}

/// Counts its calls, and answers all of them wrongly in the same way.
#[derive(Debug)]
struct Wrong(AtomicUsize, Option<ErrorKind>);

#[async_trait]
impl Embedder for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn dimensions(&self) -> usize {
        3
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match self.1 {
            Some(kind) => Err(Error::new(kind, "as always")),
            None => Ok(vec![vec![1.0, 0.0]; texts.len()]),
        }
    }
}

#[tokio::test]
async fn what_would_fail_every_document_ends_the_run_at_once() {
    for (kind, expected) in [
        (Some(ErrorKind::Unauthorized), ErrorKind::Unauthorized),
        (Some(ErrorKind::NotFound), ErrorKind::NotFound),
        (Some(ErrorKind::Unsupported), ErrorKind::Unsupported),
        (None, ErrorKind::Protocol),
    ] {
        let embedder = Arc::new(Wrong(AtomicUsize::new(0), kind));
        let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
        let ingest = Ingest::new(store.clone(), embedder.clone());
        let documents = (0..50).map(|n| Document::new(format!("d{n}"), format!("{n}번 문서입니다.")));
        let error = ingest.run(documents).await.unwrap_err();
        assert_eq!((error.kind(), embedder.0.load(Ordering::Relaxed)), (expected, 1));
        assert_eq!(store.version().await.unwrap(), 0);
    }
}
