//! Questions that are searched in other wordings, too.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::filter::Filter;
use pumasi_core::model::{HashingEmbedder, Reply, ScriptedModel, Usage};
use pumasi_core::time::SystemClock;
use pumasi_rag::answer::{Ask, Assistant};
use pumasi_rag::chunk::ChunkId;
use pumasi_rag::document::Fingerprint;
use pumasi_rag::retrieve::{Mode, MultiQuery, Note, Threshold};
use pumasi_rag::store::{Counts, Entry, Found, StoreQuery};
use pumasi_rag::{
    Document, DocumentRecord, ErrorKind, Fusion, Ingest, MemoryStore, Passage, Question, Result, Retriever,
    Space, Store, Tenant,
};

async fn club() -> Retriever {
    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let documents = [
        Document::new("shoes", "러닝화는 700km를 달리면 바꿉니다."),
        Document::new("wash", "운동복은 찬물에 빱니다."),
        Document::new("knee", "무릎 통증이 있으면 사흘 동안 쉽니다."),
        Document::new("water", "Drink water every 20 minutes of a race."),
    ];
    Ingest::new(store.clone(), embedder.clone()).run(documents).await.unwrap();
    Retriever::new(store, embedder)
}

fn ids(found: &pumasi_rag::Retrieved) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.passage.document.id.as_str()).collect()
}

const ASKED: &str = "운동화 수명이 궁금합니다";

#[tokio::test]
async fn wordings_find_what_the_question_says_in_other_words_in_every_mode() {
    let club = club().await;
    let question = Question::new(ASKED);
    let lexical = club.clone().with_mode(Mode::Lexical).retrieve(&question).await.unwrap();
    assert!(!ids(&lexical).contains(&"shoes"), "{}", lexical.explain());
    let plain = club.retrieve(&question).await.unwrap();
    assert_ne!(ids(&plain)[0], "shoes", "{}", plain.explain());
    assert!(plain.rewordings.is_empty() && plain.usage.is_none());
    let reply =
        Reply::text(r#"["러닝화는 언제 바꾸나요?", "러닝화 교체 시기"]"#).with_usage(Usage::new(90, 20));
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0, dense_weight: 0.5 }] {
            let model = Arc::new(ScriptedModel::always(reply.clone()));
            let retriever = club.clone().with_mode(mode).with_fusion(fusion);
            let retriever = retriever
                .with_threshold(Threshold::new(0.2, 2.0))
                .with_multi_query(MultiQuery::new(model.clone()));
            let found = retriever.retrieve(&question).await.unwrap();
            assert!(ids(&found)[..2].contains(&"shoes"), "{mode:?}: {}", found.explain());
            let shoes = found.hits.iter().find(|hit| hit.passage.document.id == "shoes").unwrap();
            assert_eq!(shoes.why.reworded.map(|place| place.rank), Some(1), "{mode:?}");
            assert!(shoes.why.lexical.is_none() && found.notes.is_empty());
            assert!(found.relevant, "the evidence is that of the best wording: {:?}", found.evidence);
            assert_eq!(found.usage.map(|usage| usage.total_tokens()), Some(110));
            let explained = found.explain();
            assert!(
                explained.contains("reworded #1") && explained.contains("also asked: 러닝화 교체 시기\n")
            );
            assert!(!format!("{found:?} {retriever:?}").contains("러닝화"));
            assert_eq!(model.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_the_question_finds_first_stays_among_the_first_where_a_model_mistakes_it() {
    let wrong = r#"["물은 언제 마시나요? water race", "drink water", "water every 20 minutes"]"#;
    let retriever =
        club().await.with_multi_query(MultiQuery::new(Arc::new(ScriptedModel::always(Reply::text(wrong)))));
    let found = retriever.retrieve(&Question::new("무릎 통증은 며칠 쉬나요?")).await.unwrap();
    assert!(ids(&found)[..2].contains(&"knee"), "{}", found.explain());
}

#[tokio::test]
async fn a_model_that_fails_or_answers_nonsense_leaves_the_question_alone_and_that_is_said() {
    let club = club().await;
    let question = Question::new("무릎 통증은 며칠 쉬나요?");
    let plain = club.retrieve(&question).await.unwrap();
    for (reply, kind) in [
        (Reply::error(ErrorKind::Unavailable), ErrorKind::Unavailable),
        (Reply::error(ErrorKind::Unauthorized), ErrorKind::Unauthorized),
        (Reply::error(ErrorKind::RateLimited).with_usage(Usage::new(5, 0)), ErrorKind::RateLimited),
        (Reply::text("Sure! 1. 무릎이 아파요"), ErrorKind::Protocol),
        (Reply::text(""), ErrorKind::Protocol),
        (Reply::text("[1, 2]"), ErrorKind::Protocol),
        (Reply::text("[\"a\"").with_usage(Usage::new(5, 0)), ErrorKind::Protocol),
    ] {
        let model = Arc::new(ScriptedModel::always(reply.clone()));
        let found = club.clone().with_multi_query(MultiQuery::new(model)).retrieve(&question).await.unwrap();
        assert_eq!(found.hits, plain.hits, "{kind}");
        let [Note::NotReworded(error)] = found.notes.as_slice() else { panic!("{:?}", found.notes) };
        assert_eq!(error.kind(), kind);
        let explained = found.explain();
        assert!(explained.ends_with('\n') && explained.contains("in its own wording alone: "), "{explained}");
        assert!(!error.to_string().contains("무릎"), "{error}");
        assert!(found.rewordings.is_empty());
    }
    // nothing new is no failure
    let same = Arc::new(ScriptedModel::always(Reply::text(format!("[\" {} \"]", question.text))));
    let found = club.with_multi_query(MultiQuery::new(same)).retrieve(&question).await.unwrap();
    assert_eq!((found.hits, found.notes.len(), found.rewordings.len()), (plain.hits, 0, 0));
}

#[tokio::test]
async fn a_model_that_hangs_is_waited_for_as_long_as_was_said() {
    let model = Arc::new(ScriptedModel::always(Reply::hang()).with_clock(SystemClock));
    let multi = MultiQuery::new(model).with_timeout(Duration::from_millis(60));
    let retriever = club().await.with_multi_query(multi);
    let started = Instant::now();
    let found = retriever.retrieve(&Question::new("무릎 통증")).await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(55), "{took:?}");
    assert_eq!(found.hits[0].passage.document.id, "knee");
    let [Note::NotReworded(error)] = found.notes.as_slice() else { panic!("{:?}", found.notes) };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("60ms"), "{error}");
}

#[tokio::test]
async fn wordings_are_bounded_in_number_and_length_and_a_long_question_is_not_sent() {
    let many: Vec<String> = (0..40).map(|at| format!("러닝화 {at}")).chain(["러닝화 ".repeat(500)]).collect();
    let model = Arc::new(ScriptedModel::always(Reply::text(serde_json::to_string(&many).unwrap())));
    let ask = async |count: usize, text: String| {
        let multi = MultiQuery::new(model.clone()).with_count(NonZeroUsize::new(count).unwrap());
        club().await.with_multi_query(multi).retrieve(&Question::new(text)).await.unwrap()
    };
    for (count, expected) in [(1, 1), (3, 3), (8, 8), (500, 8)] {
        assert_eq!(ask(count, ASKED.to_owned()).await.rewordings.len(), expected);
    }
    let asked = model.requests();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|request| request.max_tokens.is_some_and(|most| most <= 8 * 160)));
    let found = ask(3, "무릎 통증 ".repeat(200)).await;
    assert!(
        matches!(found.notes.as_slice(), [Note::NotReworded(error)] if error.kind() == ErrorKind::InvalidInput)
    );
    assert_eq!(found.hits[0].passage.document.id, "knee");
    ask(3, "?!".to_owned()).await;
    assert_eq!(model.requests().len(), 4, "a question that is too long or without words asks nobody");
}

#[tokio::test]
async fn an_assistant_looks_up_all_wordings_and_counts_what_they_took() {
    let wordings = Reply::text(r#"["러닝화는 언제 바꾸나요?"]"#).with_usage(Usage::new(90, 20));
    let multi = MultiQuery::new(Arc::new(ScriptedModel::always(wordings)));
    let answer = Reply::text("700km를 달리면 바꿉니다 [1].").with_usage(Usage::new(300, 30));
    let coach = Assistant::builder(club().await.with_multi_query(multi))
        .model(Arc::new(ScriptedModel::always(answer)))
        .build()
        .unwrap();
    let answer = coach.answer(Ask::new(ASKED)).await.unwrap();
    assert!(answer.sources.iter().any(|source| source.document == "shoes"));
    assert_eq!(answer.usage.map(|usage| usage.total_tokens()), Some(440));
}

/// Loses a passage between a search and its reading, so often as is left.
#[derive(Debug)]
struct Busy(Arc<dyn Store>, AtomicUsize);

#[async_trait]
impl Store for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    fn tenant(&self) -> &Tenant {
        self.0.tenant()
    }

    fn space(&self) -> &Space {
        self.0.space()
    }

    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
        self.0.for_tenant(tenant)
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        self.0.put(entries).await
    }

    async fn remove(&self, ids: &[&str]) -> Result<u64> {
        self.0.remove(ids).await
    }

    async fn remove_where(&self, filter: &Filter) -> Result<u64> {
        self.0.remove_where(filter).await
    }

    async fn search(&self, query: &StoreQuery) -> Result<Found> {
        self.0.search(query).await
    }

    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let mut passages = self.0.get(ids).await?;
        if self
            .1
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left: usize| left.checked_sub(1))
            .is_ok()
        {
            passages.pop();
        }
        Ok(passages)
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        self.0.entries(ids).await
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        self.0.fingerprints(ids).await
    }

    async fn count(&self, filter: &Filter) -> Result<Counts> {
        self.0.count(filter).await
    }

    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        self.0.scan(after, limit).await
    }

    async fn version(&self) -> Result<u64> {
        self.0.version().await
    }
}

#[tokio::test]
async fn the_model_is_asked_once_however_often_what_was_found_is_replaced() {
    let club = club().await;
    let busy = Arc::new(Busy(club.store().clone(), AtomicUsize::new(9)));
    let reply = Reply::text(r#"["러닝화는 언제 바꾸나요?"]"#).with_usage(Usage::new(90, 20));
    let model = Arc::new(ScriptedModel::always(reply));
    let retriever = club.with_store(busy.clone()).with_multi_query(MultiQuery::new(model.clone()));
    let found = retriever.retrieve(&Question::new(ASKED)).await.unwrap();
    assert_eq!((busy.1.load(Ordering::Relaxed), model.calls()), (0, 1));
    assert_eq!(found.usage.map(|usage| usage.total_tokens()), Some(110));
    assert!(ids(&found).contains(&"shoes") && found.notes.is_empty(), "{}", found.explain());
}
