use std::num::NonZeroUsize;
use std::sync::Arc;

use pumasi_core::filter::Field;
use pumasi_core::model::HashingEmbedder;
use pumasi_rag::retrieve::Mode;
use pumasi_rag::{Document, Fusion, Ingest, MemoryStore, Question, Retriever, Space, Store, Tenant};

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
                assert_eq!(found.version, 1);
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
