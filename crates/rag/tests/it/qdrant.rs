//! Qdrant beside the reference: filters, searches by the graph and by packed vectors, rankings; changes that are broken off, and servers
//! that are not there.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::filter::{Bounds, FieldPath, Filter};
use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, SparseVector};
use pumasi_rag::store::{Entry, QdrantOptions, Quantization, Scored, StoreQuery};
use pumasi_rag::{ErrorKind, Ingest, MemoryStore, QdrantStore, Question, Retriever, Space, Store, Tenant};
use qdrant_client::Qdrant;
use qdrant_client::qdrant::{Condition, CountPoints, Range};
use serde_json::Map;

use crate::collection::Collection;
use crate::knowledge;
use crate::random::{clustered, entry, random_filter, random_metadata, space, unit};

fn ids(ranking: &[Scored]) -> HashSet<pumasi_rag::ChunkId> {
    ranking.iter().map(|scored| scored.id).collect()
}

#[tokio::test]
async fn random_filters_admit_what_the_reference_does() {
    let Some(collection) = Collection::new("random filters in Qdrant") else { return };
    let space = space(4);
    let options = QdrantOptions::new().with_range_index("a").with_range_index("stats.x");
    let store = collection.open(space.clone(), options).await.unwrap();
    let reference = MemoryStore::new(space, Tenant::single());
    let mut rng = fastrand::Rng::with_seed(11);
    let entries: Vec<Entry> = (0..300)
        .map(|n| {
            let vector = unit((0..4).map(|_| rng.f32() - 0.5).collect());
            entry(&format!("문서-{n}"), &format!("달리기 {n}"), vector, random_metadata(&mut rng))
        })
        .collect();
    store.put(entries.clone()).await.unwrap();
    reference.put(entries).await.unwrap();
    let (mut admitted, mut some) = (0, 0);
    for case in 0..600 {
        let filter = random_filter(&mut rng, 3);
        let query = StoreQuery::new(300).with_embedding(vec![1.0, 0.0, 0.0, 0.0]).with_filter(filter.clone());
        let expected = ids(&reference.search(&query).await.unwrap().dense);
        let got = ids(&store.search(&query).await.unwrap().dense);
        assert_eq!(got, expected, "case {case}: {}", serde_json::to_string(&filter).unwrap());
        assert_eq!(store.count(&filter).await.unwrap(), reference.count(&filter).await.unwrap());
        admitted += got.len();
        some += usize::from(!got.is_empty() && got.len() < 300);
    }
    println!(
        "600 random filters admitted {admitted} documents of 300 each; {some} admitted some and not all"
    );
    assert!(some > 200, "{some}");
    let filter = random_filter(&mut rng, 2);
    assert_eq!(store.remove_where(&filter).await.unwrap(), reference.remove_where(&filter).await.unwrap());
    let wide = Filter::Or((0..9_000).map(|value| FieldPath::from("a").eq(value)).collect());
    assert_eq!(store.count(&wide).await.unwrap(), reference.count(&wide).await.unwrap());
}

#[tokio::test]
async fn a_filter_that_one_in_a_hundred_matches_finds_ten_by_the_graph_and_without() {
    let dimensions = 48;
    let entries = clustered(3_000, dimensions);
    let reference = MemoryStore::new(space(dimensions), Tenant::single());
    reference.put(entries.clone()).await.unwrap();
    let graph = QdrantOptions::new().with_exact_below(0).with_breadth(NonZeroU32::new(100).unwrap());
    for (what, options) in [
        ("exact", QdrantOptions::new()),
        ("by the graph", graph.clone()),
        ("by the graph of bytes", graph.with_quantization(Quantization::Int8)),
    ] {
        let Some(collection) = Collection::new("filtered searches in Qdrant") else { return };
        let store = collection.open(space(dimensions), options).await.unwrap();
        for batch in entries.chunks(500) {
            store.put(batch.to_vec()).await.unwrap();
        }
        let (mut hits, mut all) = (0, 0);
        for (n, asked) in entries.iter().step_by(47).enumerate() {
            let filter = match n % 3 {
                0 => Filter::And(Vec::new()),
                1 => FieldPath::from("level").eq(n as u64 % 100),
                _ => FieldPath::from("level").within(Bounds::gte(n as u64 % 90).and_lt(n as u64 % 90 + 10)),
            };
            let query =
                StoreQuery::new(10).with_embedding(asked.chunks[0].embedding.clone()).with_filter(filter);
            let got = store.search(&query).await.unwrap().dense;
            let expected = reference.search(&query).await.unwrap().dense;
            assert_eq!(got.len(), 10, "{what}");
            all += expected.len();
            hits += got.iter().filter(|hit| expected.contains(hit)).count();
            if what == "exact" {
                assert_eq!(got, expected, "{what}");
            }
        }
        println!("{what}: {hits} of {all} nearest found");
        assert!(hits * 100 >= all * 95, "{what}: {hits} of {all}");
    }
}

#[tokio::test]
async fn rankings_are_the_references_to_the_last_bit() {
    let Some(collection) = Collection::new("rankings in Qdrant") else { return };
    let embedder = Arc::new(HashingEmbedder::new());
    let space = Space::of(&embedder);
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new(space.clone(), Tenant::single()));
    let qdrant: Arc<dyn Store> = Arc::new(collection.open(space, QdrantOptions::new()).await.unwrap());
    let documents = knowledge::documents();
    let questions: Vec<Question> = documents
        .iter()
        .flat_map(|document| [document.title.clone(), document.text.chars().skip(40).take(60).collect()])
        .map(Question::new)
        .collect();
    let mut rankings = Vec::new();
    for store in [memory, qdrant] {
        Ingest::new(store.clone(), embedder.clone()).run(documents.clone()).await.unwrap();
        let retriever = Retriever::new(store, embedder.clone());
        let mut all = Vec::new();
        for question in &questions {
            let found = retriever.retrieve(question).await.unwrap();
            all.push(
                found.hits.into_iter().map(|hit| (hit.passage.id, hit.score.to_bits())).collect::<Vec<_>>(),
            );
        }
        rankings.push(all);
    }
    assert!(rankings[0].iter().filter(|hits| !hits.is_empty()).count() * 2 > questions.len());
    assert_eq!(rankings[1], rankings[0]);
}

/// The mean length changes again and again, and with it the weights that the points should have.
#[tokio::test]
async fn rankings_stay_the_references_while_chunks_grow_longer_and_shorter() {
    let Some(collection) = Collection::new("weights in Qdrant") else { return };
    let store = collection.open(space(4), QdrantOptions::new()).await.unwrap();
    let reference = MemoryStore::new(space(4), Tenant::single());
    let mut rng = fastrand::Rng::with_seed(3);
    let words = ["달리기를", "무릎이", "물을", "pace", "knee", "shoes", "호흡", "천천히"];
    for (round, length) in [3, 12, 40, 40, 5, 2, 60].into_iter().enumerate() {
        let batch: Vec<Entry> = (0..40)
            .map(|n| {
                let text: Vec<&str> =
                    (0..=rng.usize(0..length)).map(|_| *rng.choice(&words).unwrap()).collect();
                let vector = unit((0..4).map(|_| rng.f32() - 0.5).collect());
                entry(&format!("{round}-{n}"), &text.join(" "), vector, Map::new())
            })
            .collect();
        store.put(batch.clone()).await.unwrap();
        reference.put(batch).await.unwrap();
        if round == 4 {
            let names: Vec<String> =
                (0..3).flat_map(|round| (0..40).map(move |n| format!("{round}-{n}"))).collect();
            let ids: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(store.remove(&ids).await.unwrap(), reference.remove(&ids).await.unwrap());
        }
        for asked in ["무릎이", "knee pace", "물을 천천히 shoes 호흡"] {
            let terms = SparseVector::counts(asked, &Analyzer::default());
            let query = StoreQuery::new(10).with_terms(terms);
            let (got, expected) =
                (store.search(&query).await.unwrap(), reference.search(&query).await.unwrap());
            assert_eq!(got.lexical, expected.lexical, "round {round}: {asked}");
            assert_eq!(got.term_weights, expected.term_weights);
        }
    }
}

fn version(n: usize) -> Vec<Entry> {
    (0..80)
        .map(|document| {
            let text = format!("{n}번째 판의 {document}번째 달리기 안내");
            let embedder = HashingEmbedder::with_dimensions(std::num::NonZeroUsize::new(64).unwrap());
            entry(&format!("문서-{document}"), &text, embedder.embed_one(&text), Map::new())
        })
        .collect()
}

/// A writer whose connection goes away at any point of its change, and one that takes over from it.
#[tokio::test]
async fn a_change_that_is_broken_off_is_not_seen_and_is_taken_away() {
    let Some(collection) = Collection::new("broken changes in Qdrant") else { return };
    let options = QdrantOptions::new().with_lease(Duration::from_millis(100));
    let store = collection.open(space(64), options.clone()).await.unwrap();
    store.put(version(0)).await.unwrap();
    let asked = StoreQuery::new(20).with_terms(SparseVector::counts("41번째 달리기", &Analyzer::default()));
    let ids: Vec<String> = version(0).into_iter().map(|entry| entry.record.id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let again = collection.open(space(64), options.clone()).await.unwrap();
    let opened = begun.elapsed();
    again.put(version(0)).await.unwrap();
    let took = begun.elapsed().saturating_sub(opened);
    let mut now = 0;
    let (mut broken, mut whole) = (0, 0);
    for n in 1..25 {
        // the runtime that the change runs in ends while it is under way
        let doomed =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (url, name, options) = (collection.url.clone(), collection.name.clone(), options.clone());
        let change = doomed.spawn(async move {
            let options = options.with_collection(name);
            let store = QdrantStore::open_with(&url, space(64), Tenant::single(), options).await.unwrap();
            store.put(version(n)).await.unwrap();
        });
        let _ = tokio::time::timeout(opened + took * u32::try_from(n).unwrap() / 14, change).await;
        doomed.shutdown_background();
        let entries = store.entries(&ids).await.unwrap();
        let entries: Vec<Entry> = entries.into_iter().flatten().collect();
        if entries == version(n) {
            (now, whole) = (n, whole + 1);
        } else {
            assert_eq!(entries, version(now), "all of the old version or all of the new");
            broken += 1;
        }
        assert_eq!(store.count(&Filter::everything()).await.unwrap().documents, 80);
        assert_eq!(store.search(&asked).await.unwrap().lexical.len(), 20);
    }
    println!("{broken} changes were broken off, {whole} were whole");
    store.put(version(100)).await.unwrap();
    store.put(version(101)).await.unwrap();
    let reference = MemoryStore::new(space(64), Tenant::single());
    reference.put(version(101)).await.unwrap();
    let (got, expected) = (store.search(&asked).await.unwrap(), reference.search(&asked).await.unwrap());
    assert_eq!((got.lexical, got.term_weights), (expected.lexical, expected.term_weights));

    // what was broken off or replaced is gone, but for what the last change has replaced
    let client = Qdrant::from_url(&collection.url).skip_compatibility_check().build().unwrap();
    let count = async |filter: qdrant_client::qdrant::Filter| {
        let request = CountPoints {
            collection_name: collection.name.clone(),
            filter: Some(filter),
            exact: Some(true),
            ..CountPoints::default()
        };
        client.count(request).await.unwrap().result.unwrap().count
    };
    let parts = 80 * 3;
    let mine = Condition::matches("tenant", Tenant::single().as_str().to_owned());
    let over = Condition::range("to", Range { gte: Some(0.0), ..Range::default() });
    let live = qdrant_client::qdrant::Filter {
        must: vec![mine.clone()],
        must_not: vec![over.clone()],
        ..Default::default()
    };
    assert_eq!(count(live).await, parts);
    assert_eq!(count(qdrant_client::qdrant::Filter::must([mine, over])).await, parts);
}

#[tokio::test]
async fn two_processes_that_write_take_turns() {
    let Some(collection) = Collection::new("two writers in Qdrant") else { return };
    let first = collection.open(space(4), QdrantOptions::new()).await.unwrap();
    let second = collection.open(space(4), QdrantOptions::new()).await.unwrap();
    let write = async |store: &QdrantStore, who: &str| {
        for n in 0..10 {
            let text = format!("{who}의 {n}번째");
            store
                .put(vec![entry(&format!("{who}-{n}"), &text, unit(vec![1.0; 4]), Map::new())])
                .await
                .unwrap();
        }
    };
    tokio::join!(write(&first, "하나"), write(&second, "둘"));
    assert_eq!(first.count(&Filter::everything()).await.unwrap().documents, 20);
    assert_eq!(first.version().await.unwrap(), second.version().await.unwrap());
    assert_eq!(first.scan("", 100).await.unwrap().len(), 20);
}

#[tokio::test]
async fn what_does_not_fit_or_is_not_there_is_an_error_of_its_kind() {
    // nobody listens there
    let options = QdrantOptions::new()
        .with_api_key("sk-무릎")
        .with_timeout(Duration::from_millis(500))
        .with_connect_timeout(Duration::from_millis(500));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let open = || QdrantStore::open_with(&url, space(4), Tenant::single(), options.clone());
    // the port is open, and nobody answers
    let error = open().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
    drop(listener);
    let error = open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.retry().is_retryable());
    assert!(!format!("{error:?} {options:?}").contains("sk-무릎"));
    let error = QdrantStore::open("http://[", space(4), Tenant::single()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = QdrantStore::open(&url, space(70_000), Tenant::single()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    let Some(collection) = Collection::new("errors of Qdrant") else { return };
    let store = collection.open(space(4), QdrantOptions::new()).await.unwrap();
    store.put(vec![entry("a", "달리기", unit(vec![1.0; 4]), Map::new())]).await.unwrap();
    let error = collection.open(space(5), QdrantOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("embed the knowledge anew"), "{error}");
    assert!(!format!("{store:?}").contains("달리기"));
    let client = Qdrant::from_url(&collection.url).skip_compatibility_check().build().unwrap();
    client.delete_collection(&collection.name).await.unwrap();
    let error = store.count(&Filter::everything()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}
