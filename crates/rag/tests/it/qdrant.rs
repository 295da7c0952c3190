//! Qdrant beside the reference: filters, searches by the graph and by packed vectors, rankings; changes that are broken off, and servers
//! that are not there.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::filter::Filter;
use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, SparseVector};
use pumasi_rag::store::{Entry, QdrantOptions, Quantization, StoreQuery};
use pumasi_rag::{ErrorKind, MemoryStore, QdrantStore, Space, Store, Tenant};
use qdrant_client::Qdrant;
use qdrant_client::qdrant::{Condition, CountPoints, Range};
use serde_json::Map;

use crate::collection::Collection;
use crate::random::{clustered, entry, space, unit};
use crate::reference;

#[tokio::test]
async fn random_filters_admit_what_the_reference_does() {
    let Some(collection) = Collection::new("random filters in Qdrant") else { return };
    let options = QdrantOptions::new().with_range_index("a").with_range_index("stats.x");
    reference::admit_the_same(&collection.open(space(4), options).await.unwrap(), 300, 600).await;
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
        reference::find_the_nearest(what, &store, (&reference, &entries), |_| what == "exact").await;
    }
}

#[tokio::test]
async fn rankings_are_the_references_to_the_last_bit() {
    let Some(collection) = Collection::new("rankings in Qdrant") else { return };
    let space = Space::of(&HashingEmbedder::new());
    reference::rank_the_same(vec![Arc::new(collection.open(space, QdrantOptions::new()).await.unwrap())])
        .await;
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
