//! Answers that are kept, and given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::cache::MemoryCache;
use pumasi_core::model::{Embedder, Embedding, HashingEmbedder, ScriptedModel};
use pumasi_core::text::{Analyzer, Particles};
use pumasi_core::{Error, ErrorKind};
use pumasi_rag::answer::{Ask, Assistant, Outcome, Relevance};
use pumasi_rag::memory::{Conversation, Turn};
use pumasi_rag::retrieve::{Mode, Threshold};
use pumasi_rag::{Document, Ingest, MemoryStore, Retriever, Space, Tenant};

use crate::knowledge::retriever;

use super::{KNEE, pieces};

#[tokio::test]
async fn a_repeated_question_costs_nothing_until_the_knowledge_changes() {
    let model = ScriptedModel::always(pieces("통증이 있으면 사흘 쉽니다 [1]."));
    let knowledge = retriever(vec![Document::new("knee", KNEE).with_title("무릎 통증")]).await;
    let cached = |retriever| {
        Assistant::builder(retriever)
            .model(Arc::new(model.clone()))
            .cache(Arc::new(MemoryCache::new(1 << 20)), Duration::from_mins(5))
            .build()
            .unwrap()
    };
    let assistant = cached(knowledge.clone());
    let first = assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
    let again = assistant.answer(Ask::new("  무릎  통증에 얼마나 쉬나요? ")).await.unwrap();
    assert_eq!(model.calls(), 1);
    assert!(!first.summary.is_cached && again.summary.is_cached);
    assert_eq!((&first.text, &first.citations), (&again.text, &again.citations));
    let recalled = assistant.recall(&Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap().unwrap();
    let recalled = recalled.whole().await.unwrap();
    assert_eq!((recalled.summary.is_cached, recalled.text), (true, first.text));
    assert!(assistant.recall(&Ask::new("정강이는요?")).await.unwrap().is_none());
    assert_eq!(model.calls(), 1);

    // in a conversation the same words mean something else
    let mut conversation = Conversation::new();
    conversation.push(Turn::new("정강이가 아파요", "쉬세요"));
    assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?").in_conversation(conversation)).await.unwrap();
    assert_eq!(model.calls(), 2);

    let more = Document::new("more", "무릎 통증에는 얼음찜질을 합니다.");
    let embedder = Arc::new(pumasi_core::model::HashingEmbedder::new());
    Ingest::new(knowledge.store().clone(), embedder).run([more]).await.unwrap();
    let fresh = assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
    assert_eq!((fresh.summary.is_cached, model.calls()), (false, 3));
}

#[tokio::test]
async fn another_analyzer_finds_other_passages_and_is_not_answered_for() {
    let model = ScriptedModel::always(pieces("통증이 있으면 사흘 쉽니다 [1]."));
    let knowledge = retriever(vec![Document::new("knee", KNEE).with_title("무릎 통증")]).await;
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let other = knowledge.clone().with_analyzer(Analyzer::default().with_morphology(Particles));
    for (retriever, calls) in [(knowledge.clone(), 1), (knowledge, 1), (other, 2)] {
        let assistant = Assistant::builder(retriever)
            .model(Arc::new(model.clone()))
            .cache(cache.clone(), Duration::from_mins(5))
            .build()
            .unwrap();
        assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap();
        assert_eq!(model.calls(), calls);
    }
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn kept_answers_do_not_outlive_a_store_that_was_made_anew_or_restored() {
    use pumasi_rag::SqliteStore;
    use std::path::Path;

    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("coach.sqlite"), folder.path().join("backup.sqlite"));
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let answered = async |days: &str| {
        let embedder = Arc::new(HashingEmbedder::new());
        let store = loop {
            // the one before may still be closing
            match SqliteStore::open(&file, Space::of(&embedder), Tenant::single()).await {
                Ok(store) => break Arc::new(store),
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        let knee = Document::new("knee", format!("통증이 있으면 {days} 쉽니다.")).with_title("무릎 통증");
        Ingest::new(store.clone(), embedder.clone()).run([knee]).await.unwrap();
        let assistant = Assistant::builder(Retriever::new(store, embedder))
            .cache(cache.clone(), Duration::from_mins(5))
            .build()
            .unwrap();
        assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap()
    };
    let paths = |path: &Path| ["", "-wal", "-shm"].map(|end| format!("{}{end}", path.display()));
    let forget = || paths(&file).map(std::fs::remove_file);
    let copy = |from: &Path, to: &Path| {
        paths(from)
            .into_iter()
            .zip(paths(to))
            .map(|(from, to)| std::fs::copy(from, to).is_ok())
            .collect::<Vec<_>>()
    };
    assert!(answered("사흘").await.text.contains("사흘"));
    assert!(copy(&file, &backup)[0]);
    assert!(answered("나흘").await.text.contains("나흘"));
    let _ = forget();
    assert!(copy(&backup, &file)[0]);
    assert!(answered("닷새").await.text.contains("닷새"));
    let _ = forget();
    assert!(answered("엿새").await.text.contains("엿새"));
}

#[tokio::test]
async fn what_was_doubted_is_not_given_again() {
    let model = ScriptedModel::always(pieces("통증이 있으면 열흘 쉽니다 [1]."));
    let assistant = Assistant::builder(retriever(vec![Document::new("knee", KNEE)]).await)
        .model(Arc::new(model.clone()))
        .cache(Arc::new(MemoryCache::new(1 << 20)), Duration::from_mins(5))
        .build()
        .unwrap();
    for _ in 0..2 {
        assert_eq!(
            assistant.answer(Ask::new("무릎 통증에 얼마나 쉬나요?")).await.unwrap().summary.unsupported,
            1
        );
    }
    assert_eq!(model.calls(), 2);
}

/// Fails as long as it is told to.
#[derive(Debug)]
struct Failing(HashingEmbedder, AtomicBool);

#[async_trait]
impl Embedder for Failing {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> pumasi_core::Result<Vec<Embedding>> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "the embedder is down"));
        }
        self.0.embed(texts).await
    }
}

#[tokio::test]
async fn answers_of_other_knowledge_and_of_other_settings_are_others() {
    let cache = Arc::new(MemoryCache::new(1 << 20));
    let fee = |won: u32| Document::new("a", format!("회비는 한 달에 {won}만 원입니다.")).with_title("회비");
    let ask = async |retriever: Retriever| {
        let assistant =
            Assistant::builder(retriever).cache(cache.clone(), Duration::from_mins(5)).build().unwrap();
        assistant.answer(Ask::new("회비는 얼마인가요?")).await.unwrap()
    };
    let (two, five) = (retriever(vec![fee(2)]).await, retriever(vec![fee(5)]).await);
    assert!(ask(two.clone()).await.text.contains("2만"));
    let other = ask(five).await;
    assert!(other.text.contains("5만") && !other.summary.is_cached, "{}", other.text);
    let strict = two.clone().with_threshold(Threshold::new(2.0, 2.0));
    assert_eq!(ask(strict).await.summary.outcome, Outcome::NotFound);
    assert!(!ask(two.clone().with_mode(Mode::Lexical)).await.summary.is_cached);
    assert!(ask(two).await.summary.is_cached);
}

#[tokio::test]
async fn what_was_answered_while_the_embedder_failed_is_not_kept() {
    let embedder = Arc::new(Failing(HashingEmbedder::new(), AtomicBool::new(false)));
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let shoes = Document::new("a", "Replace running shoes after 700 km.");
    Ingest::new(store.clone(), embedder.clone()).run([shoes]).await.unwrap();
    let assistant = Assistant::builder(Retriever::new(store, embedder.clone()))
        .relevance(Relevance::default().with_min_coverage(2.0).with_min_similarity(0.05))
        .cache(Arc::new(MemoryCache::new(1 << 20)), Duration::from_mins(5))
        .build()
        .unwrap();
    let mut outcomes = Vec::new();
    for is_down in [true, false, true] {
        embedder.1.store(is_down, Ordering::Relaxed);
        let answer = assistant.answer(Ask::new("When are running shoes replaced?")).await.unwrap();
        outcomes.push((answer.summary.outcome, answer.summary.is_cached));
    }
    assert_eq!(
        outcomes,
        [(Outcome::NotFound, false), (Outcome::Extracted, false), (Outcome::Extracted, true)]
    );
}
