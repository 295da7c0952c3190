use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use pumasi_core::filter::Field;
use pumasi_core::model::{Embedder, Embedding, HashingEmbedder};
use pumasi_core::time::{Clock, ManualClock};
use pumasi_rag::chunk::CountTokens;
use pumasi_rag::retrieve::{Decay, Distinct, Gate, Mode, Note, Reranker, Threshold};
use pumasi_rag::{
    Document, Error, ErrorKind, Fusion, Ingest, MemoryStore, Passage, Question, Result, Retriever, Space,
    Store, Tenant,
};

async fn club() -> (Arc<MemoryStore>, Arc<HashingEmbedder>) {
    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::new("club").unwrap()));
    let documents = [
        Document::markdown("knee", "# 무릎 통증\n\n통증이 있으면 달리기를 쉽니다.")
            .with_metadata("topic", "injury"),
        Document::new("shoes", "Replace your running shoes after 700 km.").with_metadata("topic", "gear"),
        Document::new("water", "물은 20분마다 조금씩 마십니다.").with_metadata("topic", "race"),
    ];
    Ingest::new(store.clone(), embedder.clone()).run(documents).await.unwrap();
    (store, embedder)
}

#[tokio::test]
async fn korean_and_english_questions_find_their_passage_in_every_mode() {
    let (store, embedder) = club().await;
    for (question, expected) in [
        ("무릎이 아픈데 달려도 되나요?", "knee"),
        ("when should I replace my shoes", "shoes"),
        ("물은 얼마나 자주 마셔요?", "water"),
    ] {
        for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
            for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0, dense_weight: 0.5 }] {
                let retriever =
                    Retriever::new(store.clone(), embedder.clone()).with_mode(mode).with_fusion(fusion);
                let found = retriever.retrieve(&Question::new(question)).await.unwrap();
                assert_eq!(found.hits[0].passage.document.id, expected, "{mode:?} {fusion:?}");
                assert_eq!(found.hits[0].why.lexical.map(|place| place.rank), Some(1));
                assert_eq!(found.version, store.version().await.unwrap());
            }
        }
    }
}

#[tokio::test]
async fn filters_limits_and_tenants_hold() {
    let (store, embedder) = club().await;
    let retriever = Retriever::new(store.clone(), embedder);
    let gear = Field::<String>::new("topic").eq("gear");
    let question = Question::new("무릎 통증").with_filter(gear);
    let found = retriever.retrieve(&question).await.unwrap();
    assert!(found.hits.iter().all(|hit| hit.passage.document.id == "shoes"));
    let one = Question::new("달리기 running 물").with_limit(NonZeroUsize::MIN);
    assert_eq!(retriever.retrieve(&one).await.unwrap().hits.len(), 1);
    let other = retriever.clone().with_store(store.for_tenant(Tenant::new("other").unwrap()));
    assert!(other.retrieve(&Question::new("무릎 통증")).await.unwrap().hits.is_empty());
    for nothing in ["", "?!", " \n"] {
        assert!(retriever.retrieve(&Question::new(nothing)).await.unwrap().hits.is_empty());
    }
}

#[tokio::test]
async fn each_hit_says_why_it_is_there_and_debug_shows_no_words() {
    let (store, embedder) = club().await;
    let question = Question::new("무릎 통증이 심한데요");
    let found = Retriever::new(store, embedder).retrieve(&question).await.unwrap();
    let why = &found.hits[0].why;
    assert_eq!(why.words, ["무릎", "통증"]);
    assert!(why.coverage > 0.3 && why.coverage < 0.9, "{}", why.coverage);
    assert!(found.explain().starts_with("1. "), "{}", found.explain());
    assert!(found.explain().contains("knee > 무릎 통증: near #1"), "{}", found.explain());
    let shown = format!("{found:?} {question:?}");
    assert!(!shown.contains("통증"), "{shown}");
}

/// Reads English. Other words are spelled, and their vectors say nothing.
#[derive(Clone, Debug)]
struct English(HashingEmbedder);

#[async_trait]
impl Embedder for English {
    fn name(&self) -> &'static str {
        "english-only"
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let seen: Vec<String> = texts
            .iter()
            .map(|text| {
                let sum: u64 = text.bytes().map(u64::from).sum();
                if text.is_ascii() { (*text).to_owned() } else { format!("x{}", sum % 5) }
            })
            .collect();
        self.0.embed(&seen.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
}

impl CountTokens for English {
    fn name(&self) -> &'static str {
        "english"
    }

    fn count(&self, text: &str) -> usize {
        text.split_whitespace()
            .map(|word| if word.is_ascii() { 1 } else { word.chars().count() * 4 / 3 })
            .sum()
    }
}

#[tokio::test]
async fn an_embedder_that_cannot_read_korean_does_not_spoil_what_words_find() {
    let embedder = Arc::new(English(HashingEmbedder::new()));
    let topics =
        ["무릎", "발목", "신발", "호흡", "수분", "휴식", "언덕", "인터벌", "식단", "수면", "대회", "자세"];
    let korean = topics.iter().flat_map(|topic| {
        [("begin", "시작하는 방법을 알려 드립니다."), ("mind", "주의할 점을 정리했습니다.")].map(
            |(kind, what)| {
                Document::new(format!("{topic}-{kind}"), format!("{topic} 이야기: {topic} {what}"))
            },
        )
    });
    let documents: Vec<Document> =
        korean.chain([Document::new("english", "How to rest a painful knee after a race.")]).collect();
    let rank = async |gated: bool| {
        let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
        let mut ingest = Ingest::new(store.clone(), embedder.clone());
        let mut retriever = Retriever::new(store.clone(), embedder.clone());
        if gated {
            ingest = ingest.with_gate(Gate::new((*embedder).clone()));
            retriever = retriever.with_gate(Gate::new((*embedder).clone()));
        }
        let report = ingest.run(documents.clone()).await.unwrap();
        assert_eq!(report.chunks_unreadable, if gated { 24 } else { 0 });
        let mut right = 0;
        for topic in topics {
            let found = retriever.retrieve(&Question::new(format!("{topic} 주의할 점"))).await.unwrap();
            right += usize::from(found.hits[0].passage.document.id == format!("{topic}-mind"));
            assert_eq!(found.notes.iter().any(|note| matches!(note, Note::CannotRead)), gated);
        }
        let english = retriever.retrieve(&Question::new("my knee hurts, rest?")).await.unwrap();
        assert_eq!(english.hits[0].passage.document.id, "english");
        assert!(english.notes.is_empty());
        right
    };
    assert_eq!(rank(true).await, topics.len());
    assert!(rank(false).await < topics.len(), "the embedder of this test is not blind enough");
}

#[derive(Debug)]
struct Down(HashingEmbedder);

#[async_trait]
impl Embedder for Down {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, _: &[&str]) -> Result<Vec<Embedding>> {
        Err(Error::new(ErrorKind::Unavailable, "the embedder is down"))
    }
}

#[tokio::test]
async fn an_embedder_that_is_down_leaves_the_words() {
    let (store, _) = club().await;
    let retriever = Retriever::new(store, Arc::new(Down(HashingEmbedder::new())));
    let found = retriever.retrieve(&Question::new("무릎 통증")).await.unwrap();
    assert_eq!(found.hits[0].passage.document.id, "knee");
    assert!(matches!(found.notes.as_slice(), [Note::NotEmbedded(_)]));
    let dense = retriever.with_mode(Mode::Dense).retrieve(&Question::new("무릎 통증")).await.unwrap_err();
    assert_eq!(dense.kind(), ErrorKind::Unavailable);
}

#[derive(Debug)]
struct Shortest(bool);

#[async_trait]
impl Reranker for Shortest {
    fn name(&self) -> &'static str {
        "shortest first"
    }

    async fn rerank(&self, _: &str, passages: &[Passage]) -> Result<Vec<f32>> {
        #[expect(clippy::cast_precision_loss, reason = "short texts")]
        let scores = passages.iter().map(|passage| -(passage.text.len() as f32)).collect();
        if self.0 { Ok(scores) } else { Ok(vec![f32::NAN; passages.len()]) }
    }
}

async fn notes() -> (Arc<MemoryStore>, Arc<HashingEmbedder>) {
    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let documents = [
        Document::new("old", "무릎 통증에는 얼음찜질을 오래 합니다 예전에는.").with_updated_at(day(1)),
        Document::new("new", "무릎 통증에는 얼음찜질을 짧게 합니다.").with_updated_at(day(300)),
        Document::new("copy", "무릎 통증에는  얼음찜질을 짧게 합니다.").with_updated_at(day(290)),
        Document::new("other", "무릎 통증이 있으면 자전거를 탑니다."),
        Document::markdown(
            "two",
            "# 무릎\n\n무릎 통증은 쉬면 낫습니다.\n\n무릎 통증이 오래 가면 병원에 갑니다.",
        ),
    ];
    let chunker = pumasi_rag::StructureChunker::new().with_max_tokens(24).with_overlap_tokens(0);
    Ingest::new(store.clone(), embedder.clone()).with_chunker(chunker).run(documents).await.unwrap();
    (store, embedder)
}

fn day(n: u64) -> pumasi_core::time::Timestamp {
    let first: pumasi_core::time::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    first.saturating_add(Duration::from_hours(n * 24))
}

fn ids(found: &pumasi_rag::Retrieved) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.passage.document.id.as_str()).collect()
}

#[tokio::test]
async fn each_text_section_or_document_is_given_once() {
    let (store, embedder) = notes().await;
    let retriever = Retriever::new(store, embedder);
    let question = Question::new("무릎 통증");
    for (distinct, of_two) in [(Distinct::Texts, 2), (Distinct::Sections, 1), (Distinct::Documents, 1)] {
        let found = retriever.clone().with_distinct(distinct).retrieve(&question).await.unwrap();
        let ids = ids(&found);
        assert_eq!(ids.iter().filter(|id| **id == "two").count(), of_two, "{distinct:?}: {ids:?}");
        assert_eq!(ids.iter().filter(|id| matches!(**id, "new" | "copy")).count(), 1, "{ids:?}");
    }
}

#[tokio::test]
async fn what_is_newer_comes_first_by_a_turned_clock() {
    let (store, embedder) = notes().await;
    let clock = Arc::new(ManualClock::new());
    let until = day(300).saturating_since(clock.now());
    clock.advance(until);
    let retriever = Retriever::new(store, embedder)
        .with_clock(clock)
        .with_decay(Decay::new(Duration::from_hours(30 * 24)));
    let found = retriever.retrieve(&Question::new("무릎 통증 얼음찜질 오래")).await.unwrap();
    let ids = ids(&found);
    let place = |id: &str| ids.iter().position(|other| *other == id);
    assert!(place("new") < place("old"), "{ids:?}");
    let decay = Decay::new(Duration::from_secs(10));
    assert!((decay.factor(Some(day(1)), day(1).saturating_add(Duration::from_secs(20))) - 0.25).abs() < 1e-6);
    assert!(
        (decay.factor(None, day(1)) - 1.0).abs() < 1e-6,
        "what does not say when it was true counts in full"
    );
}

#[tokio::test]
async fn a_reranker_decides_the_order_and_one_that_fails_leaves_it() {
    let (store, embedder) = notes().await;
    let retriever = Retriever::new(store, embedder);
    let question = Question::new("무릎 통증 얼음찜질 오래");
    let plain = retriever.retrieve(&question).await.unwrap();
    assert_eq!(ids(&plain)[0], "old");
    let ranked = retriever.clone().with_reranker(Shortest(true)).retrieve(&question).await.unwrap();
    let lengths: Vec<usize> = ranked.hits.iter().map(|hit| hit.passage.text.len()).collect();
    assert!(lengths.is_sorted(), "{lengths:?}");
    let failed = retriever.with_reranker(Shortest(false)).retrieve(&question).await.unwrap();
    assert_eq!(ids(&failed), ids(&plain));
    assert!(matches!(failed.notes.as_slice(), [Note::NotReranked(_)]));
}

#[tokio::test]
async fn diversity_brings_other_things_forward() {
    let (store, embedder) = notes().await;
    let question = Question::new("무릎 통증에는 얼음찜질을").with_limit(NonZeroUsize::new(2).unwrap());
    let retriever = Retriever::new(store, embedder);
    let plain = retriever.retrieve(&question).await.unwrap();
    let mut first_two = ids(&plain);
    first_two.sort_unstable();
    assert!(first_two.contains(&"old") && first_two.len() == 2, "{first_two:?}");
    let diverse = retriever.with_diversity(0.9).retrieve(&question).await.unwrap();
    assert!(ids(&diverse).iter().any(|id| matches!(*id, "other" | "two")), "{:?}", ids(&diverse));
}

#[tokio::test]
async fn a_threshold_tells_what_the_knowledge_does_not_answer() {
    let (store, embedder) = notes().await;
    let retriever = Retriever::new(store, embedder).with_threshold(Threshold::new(0.5, 0.5));
    let known = retriever.retrieve(&Question::new("무릎 통증에 얼음찜질을 하나요?")).await.unwrap();
    assert!(known.relevant, "{:?}", known.evidence);
    let unknown = retriever.retrieve(&Question::new("서울 마라톤 참가비는 얼마인가요?")).await.unwrap();
    assert!(!unknown.relevant, "{:?}", unknown.evidence);
}

/// Asks again and again while another thread replaces what answers, and counts how often nothing was found.
async fn nothing_found_while_replaced(store: Arc<dyn Store>, questions: usize) -> usize {
    let embedder = Arc::new(HashingEmbedder::new());
    let ingest = Ingest::new(store.clone(), embedder.clone());
    let version = |n: usize| Document::new("knee", format!("무릎 통증이 있으면 달리기를 {n}일 쉽니다."));
    ingest.run([version(0)]).await.unwrap();
    let writer = tokio::spawn(async move {
        for n in 1.. {
            ingest.run([version(n)]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let retriever = Retriever::new(store, embedder);
    let mut nothing = 0;
    for _ in 0..questions {
        let found = retriever.retrieve(&Question::new("무릎 통증이 있으면?")).await.unwrap();
        nothing += usize::from(found.hits.is_empty());
    }
    writer.abort();
    nothing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_is_found_while_it_is_replaced() {
    let space = Space::of(&HashingEmbedder::new());
    let memory = Arc::new(MemoryStore::new(space.clone(), Tenant::single()));
    assert_eq!(nothing_found_while_replaced(memory, 1_000).await, 0);
    #[cfg(feature = "embedded")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("knowledge.db");
        let sqlite = pumasi_rag::SqliteStore::open(path, space, Tenant::single()).await.unwrap();
        assert_eq!(nothing_found_while_replaced(Arc::new(sqlite), 100).await, 0);
    }
}

#[tokio::test]
async fn a_question_beyond_the_limit_is_refused() {
    let (store, embedder) = club().await;
    let retriever = Retriever::new(store, embedder);
    let most = "a".repeat(Question::MAX_TEXT_BYTES);
    assert!(retriever.retrieve(&Question::new(most.as_str())).await.is_ok());
    let error = retriever.retrieve(&Question::new(most + "b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
