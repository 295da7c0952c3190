//! Cross-encoders from a folder of weights.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::model::HashingEmbedder;
use pumasi_rag::retrieve::{CrossEncoder, Note, Reranker};
use pumasi_rag::{Document, ErrorKind, Ingest, MemoryStore, Question, Retriever, Space, Tenant};
use serde_json::{Value, json};

use super::folder::Tiny;
use super::naive;

#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
async fn scores_are_those_of_the_transformers_library() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoder/cross");
    let pairs: Vec<(String, String)> =
        serde_json::from_slice(&std::fs::read(place.join("pairs.json")).unwrap()).unwrap();
    for family in ["bert", "xlm-roberta"] {
        let folder = place.join(family);
        let scores: Vec<f32> =
            serde_json::from_slice(&std::fs::read(folder.join("scores.json")).unwrap()).unwrap();
        let model = CrossEncoder::load(&folder).unwrap();
        assert!(model.name().starts_with(&format!("cross-{family}-2x")), "{}", model.name());
        let mut worst = 0.0_f32;
        for ((question, passage), theirs) in pairs.iter().zip(&scores) {
            let ours = model.scores(question, &[passage]).await.unwrap()[0];
            worst = worst.max((ours - theirs).abs());
        }
        println!("{family}: {} pairs, scores within {worst:e} of the reference", pairs.len());
        assert!(pairs.len() >= 20 && pairs.len() == scores.len() && worst < 2e-5, "{family}: {worst}");
    }
}

#[tokio::test]
async fn both_families_score_pairs_as_a_naive_reading_of_the_papers_does() {
    for tiny in [Tiny::bert().with_head(1), Tiny::xlm_roberta().with_head(1)] {
        let folder = tiny.write();
        let model = CrossEncoder::load(folder.path()).unwrap();
        let passages = ["a b c", "c", "", "달리기 무릎 a a", "x y 무릎"];
        for question in ["무릎", "a b 달리기", ""] {
            let scores = model.scores(question, &passages).await.unwrap();
            for (passage, score) in passages.iter().zip(&scores) {
                let exact = naive::score(&tiny, question, passage);
                assert!((f64::from(*score) - exact).abs() < 1e-5, "{question} {passage}: {score} {exact}");
                let alone = model.scores(question, &[passage]).await.unwrap();
                assert!((alone[0] - score).abs() < 1e-6, "a score depends on its neighbours");
            }
        }
    }
}

#[tokio::test]
async fn the_passage_is_cut_and_the_question_only_where_it_takes_more_than_half() {
    // sixteen positions, of which the frame takes three
    let tiny = Tiny::bert().with_head(1);
    let folder = tiny.write();
    let model = CrossEncoder::load(folder.path()).unwrap();
    let words = |count: usize| ["a", "b", "c", "무릎", "달리기"].repeat(20)[..count].join(" ");
    for (question, passage, kept_of_question, kept_of_passage) in [
        (3, 10, 3, 10),
        (3, 90, 3, 10),
        (6, 90, 6, 7),
        (8, 90, 6, 7),
        (90, 4, 9, 4),
        (90, 50, 7, 6),
        (90, 0, 13, 0),
    ] {
        let score = model.scores(&words(question), &[&words(passage)]).await.unwrap()[0];
        let exact = naive::score(&tiny, &words(kept_of_question), &words(kept_of_passage));
        assert!((f64::from(score) - exact).abs() < 1e-5, "{question} and {passage}: {score}, not {exact}");
    }
}

#[tokio::test]
async fn passages_come_in_the_order_of_their_scores_and_read_under_their_headings() {
    let tiny = Tiny::bert().with_head(1);
    let folder = tiny.write();
    let model = CrossEncoder::load(folder.path()).unwrap();
    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let texts = ["무릎 a", "무릎 b c", "무릎 달리기", "무릎 a b c", "달리기 무릎 c"];
    let documents = texts.iter().enumerate().map(|(at, text)| Document::new(format!("{at}"), *text));
    let titled = Document::new("titled", "무릎 c").with_title("b");
    Ingest::new(store.clone(), embedder.clone()).run(documents.chain([titled])).await.unwrap();
    let retriever = Retriever::new(store, embedder).with_reranker(model.clone());
    let found = retriever.retrieve(&Question::new("무릎 달리기")).await.unwrap();
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    let mut expected: Vec<(String, f64)> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (at.to_string(), naive::score(&tiny, "무릎 달리기", text)))
        .collect();
    expected.push(("titled".to_owned(), naive::score(&tiny, "무릎 달리기", "b 무릎 c")));
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ids: Vec<&str> = found.hits.iter().map(|hit| hit.passage.document.id.as_str()).collect();
    assert_eq!(ids, expected.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    assert!(!format!("{model:?}").contains("무릎"));
}

#[tokio::test]
async fn a_call_that_takes_too_long_or_that_nobody_waits_for_stops_and_leaves_the_order() {
    let folder = Tiny::bert().with_head(1).write();
    let model = CrossEncoder::load(folder.path()).unwrap().with_timeout(Duration::from_mins(2));
    let (few, many) = (vec!["a b c 달리기 무릎"; 1_000], vec!["a b c 달리기 무릎"; 16_000]);
    let mut measured = Vec::new();
    // A measurement that a busy machine disturbed gets two more chances.
    for _ in 0..3 {
        let started = Instant::now();
        model.scores("무릎", &few).await.unwrap();
        let whole = started.elapsed();
        let error = model.clone().with_timeout(whole / 8).scores("무릎", &many).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let started = Instant::now();
        model.scores("무릎", &["a"]).await.unwrap();
        let left = started.elapsed();
        measured.push((left, whole));
        if left < whole * 2 + Duration::from_millis(50) {
            break;
        }
    }
    assert!(
        measured.last().is_some_and(|(left, whole)| *left < *whole * 2 + Duration::from_millis(50)),
        "{measured:?}"
    );

    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    let documents = (0..20).map(|at| Document::new(format!("{at}"), format!("무릎 통증 {at}")));
    Ingest::new(store.clone(), embedder.clone()).run(documents).await.unwrap();
    let retriever = Retriever::new(store, embedder);
    let plain = retriever.retrieve(&Question::new("무릎 3")).await.unwrap();
    let late = retriever.with_reranker(model.with_timeout(Duration::ZERO));
    let late = late.retrieve(&Question::new("무릎 3")).await.unwrap();
    assert_eq!(late.hits, plain.hits);
    assert!(
        matches!(late.notes.as_slice(), [Note::NotReranked(error)] if error.kind() == ErrorKind::Timeout)
    );
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    use ErrorKind::{InvalidInput, NotFound, Protocol, Unsupported};
    let good = || Tiny::bert().with_head(1);
    let config = |key: &str, value: Value| {
        let mut config = good().config();
        config[key] = value;
        good().with("config.json", &config)
    };
    let tokenizer = |pointer: &str, value: Value| {
        let mut tokenizer = good().tokenizer();
        *tokenizer.pointer_mut(pointer).unwrap() = value;
        good().with("tokenizer.json", &tokenizer)
    };
    let single = good().tokenizer()["post_processor"]["single"].clone();
    let cases: Vec<(Tiny, ErrorKind, &str)> = vec![
        (good().without("config.json"), NotFound, "config.json is not there"),
        (good().without("tokenizer.json"), NotFound, "tokenizer.json is not there"),
        (good().without("model.safetensors"), NotFound, "model.safetensors is not there"),
        (Tiny::bert(), InvalidInput, "no classification head"),
        (Tiny::xlm_roberta(), InvalidInput, "no classification head"),
        (Tiny::bert().with_head(3), Unsupported, "3 labels"),
        (Tiny::xlm_roberta().with_head(2), Unsupported, "2 labels"),
        (tokenizer("/post_processor/pair", single), InvalidInput, "tokenizer.json cannot be used"),
        (config("max_position_embeddings", json!(4)), InvalidInput, "no room for a pair"),
        (config("type_vocab_size", json!(1)), InvalidInput, "where config.json says"),
        (config("hidden_act", json!("relu")), Unsupported, "`relu`"),
        (config("model_type", json!("deberta-v2")), Unsupported, "`deberta-v2`"),
        (good().with_number(f32::NAN), Protocol, "no number"),
    ];
    for (tiny, kind, says) in cases {
        let folder = tiny.write();
        let error = CrossEncoder::load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}, not {says}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn damaged_files_are_refused_or_read_and_never_panic() {
    let mut random = crate::mutate::Random::new(7);
    let (mut refused, mut loaded) = (0, 0);
    let folder = Tiny::bert().with_head(1).write();
    for _ in 0..200 {
        let files = ["config.json", "tokenizer.json", "model.safetensors"];
        let file = folder.path().join(files[random.below(files.len())]);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        random.damage(&mut bytes, b"{}[]\":,0919-e");
        std::fs::write(&file, &bytes).unwrap();
        match CrossEncoder::load(folder.path()) {
            Ok(_) => loaded += 1,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Other, "{error}");
                refused += 1;
            }
        }
        std::fs::write(&file, &whole).unwrap();
    }
    println!("200 damaged folders: {loaded} read, {refused} refused");
}
