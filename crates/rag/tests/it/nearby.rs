//! Searches by lists of vectors find nearly what looking at all of them finds.

use std::collections::HashMap;
use std::path::Path;

use pumasi_core::filter::{Field, Filter};
use pumasi_core::text::Span;
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{ChunkEntry, Entry, SectionEntry, SqliteOptions, StoreQuery};
use pumasi_rag::{
    ChunkId, Document, DocumentRecord, ErrorKind, MemoryStore, Space, SqliteStore, Store, Tenant,
};
use sqlx::{Connection as _, SqliteConnection};

const DIMENSIONS: usize = 24;
const PER_DOCUMENT: u32 = 10;
const DOCUMENTS: u32 = 800;
const LEVEL: Field<i64> = Field::new("level");

fn space() -> Space {
    let embedder = pumasi_core::model::HashingEmbedder::with_dimensions(DIMENSIONS.try_into().unwrap());
    Space::of(&embedder)
}

/// Makes a vector around one of sixty directions.
fn vector(random: &mut fastrand::Rng) -> Vec<f32> {
    let mut direction = fastrand::Rng::with_seed(random.u64(..60));
    let vector: Vec<f32> =
        (0..DIMENSIONS).map(|_| direction.f32() - 0.5 + 0.5 * (random.f32() - 0.5)).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

fn entry(number: u32, edition: u64) -> Entry {
    let id = format!("{number}");
    let mut random = fastrand::Rng::with_seed(u64::from(number) + edition * 1_000_000);
    let chunk = |nth: u32| {
        let id = ChunkId::new(&id, "", &edition.to_string(), nth);
        ChunkEntry::new(id, 0, Span::new(0, 1), vector(&mut random), vec![(number % 7, 1)])
    };
    let chunks = (0..PER_DOCUMENT).map(chunk).collect();
    let document = Document::new(id.as_str(), "").with_metadata("level", number % 100);
    let fingerprint = Fingerprint::of([id.as_bytes(), &edition.to_le_bytes()]);
    let section = SectionEntry::new(Vec::new(), Span::new(0, 1), "a");
    Entry::new(DocumentRecord::new(&document, fingerprint), vec![section], chunks)
}

fn options(recall: f32) -> SqliteOptions {
    SqliteOptions::new().with_recall(recall).with_exact_below(1_000)
}

async fn open(path: &Path, options: SqliteOptions) -> SqliteStore {
    loop {
        match SqliteStore::open_with(path, space(), Tenant::single(), options).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

/// Tells which share of what the reference finds a store does, and how many searches found fewer chunks.
async fn recall(store: &dyn Store, expected: &dyn Store, filter: Option<Filter>) -> (f64, usize) {
    let mut random = fastrand::Rng::with_seed(99);
    let (mut found, mut wanted, mut short) = (0_u32, 0_u32, 0);
    for _ in 0..60 {
        let mut query = StoreQuery::new(10).with_embedding(vector(&mut random)).with_terms(vec![(3, 1)]);
        if let Some(filter) = &filter {
            query = query.with_filter(filter.clone());
        }
        let (got, exact) = (store.search(&query).await.unwrap(), expected.search(&query).await.unwrap());
        assert_eq!(got.lexical, exact.lexical);
        let scores: HashMap<ChunkId, u32> =
            exact.dense.iter().map(|hit| (hit.id, hit.score.to_bits())).collect();
        for hit in &got.dense {
            // what is found is scored by the whole vectors
            if let Some(score) = scores.get(&hit.id) {
                assert_eq!(hit.score.to_bits(), *score);
                found += 1;
            }
        }
        wanted += u32::try_from(scores.len()).unwrap();
        short += usize::from(got.dense.len() != exact.dense.len());
    }
    (if wanted == 0 { 1.0 } else { f64::from(found) / f64::from(wanted) }, short)
}

async fn check(store: &dyn Store, expected: &dyn Store, what: &str) {
    for (filter, name) in [
        (None, "all"),
        (Some(LEVEL.at_least(50)), "half"),
        (Some(LEVEL.below(10)), "a tenth"),
        (Some(LEVEL.eq(7)), "a hundredth"),
        (Some(LEVEL.eq(1_000)), "none"),
    ] {
        let (share, short) = recall(store, expected, filter).await;
        assert!(share >= 0.95, "{what}, {name}: {share}");
        assert_eq!(short, 0, "{what}, {name}");
    }
}

async fn lists(path: &Path) -> i64 {
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let statement = "SELECT coalesce(sum(length(data)), 0) FROM pumasi_rag_lists";
    sqlx::query_scalar(statement).fetch_one(&mut file).await.unwrap()
}

/// Puts the documents into both, some twice, and takes some away.
async fn fill(store: &dyn Store, expected: &dyn Store) {
    for first in (0..DOCUMENTS).step_by(120) {
        let numbers = first..(first + 120).min(DOCUMENTS);
        for store in [store, expected] {
            store.put(numbers.clone().map(|number| entry(number, 0)).collect()).await.unwrap();
        }
    }
    for store in [store, expected] {
        store.put((0..DOCUMENTS / 4).map(|number| entry(number * 3, 1)).collect()).await.unwrap();
        let gone: Vec<String> = (0..DOCUMENTS / 8).map(|number| (number * 5).to_string()).collect();
        store.remove(&gone.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    }
}

#[tokio::test]
async fn lists_find_what_was_put_replaced_and_left_and_so_does_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let expected = MemoryStore::new(space(), Tenant::single());
    let store = open(&path, options(0.95)).await;
    fill(&store, &expected).await;
    store.lists_made().await.unwrap();
    check(&store, &expected, "put").await;
    drop(store);

    let store = open(&path, options(0.95)).await;
    check(&store, &expected, "opened again").await;
    // chunks of segments that have lists: two bytes each
    assert!(lists(&path).await > 2 * 4_000);
    drop(store);

    let store = open(&path, SqliteOptions::new()).await;
    let (share, short) = recall(&store, &expected, None).await;
    assert!(share > 0.999 && short == 0, "{share}");
}

#[tokio::test]
async fn what_was_put_without_lists_has_them_once_it_is_opened_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let expected = MemoryStore::new(space(), Tenant::single());
    let store = open(&path, SqliteOptions::new()).await;
    fill(&store, &expected).await;
    store.lists_made().await.unwrap();
    assert_eq!(lists(&path).await, 0);
    drop(store);

    let store = open(&path, options(0.95)).await;
    check(&store, &expected, "without lists").await;
    store.lists_made().await.unwrap();
    assert!(lists(&path).await > 2 * 4_000);
    check(&store, &expected, "with lists").await;
    drop(store);

    // written by a store that does not look at them
    let store = open(&path, SqliteOptions::new()).await;
    for store in [&store as &dyn Store, &expected] {
        store.put((0..400).map(|number| entry(number, 3)).collect()).await.unwrap();
    }
    drop(store);
    let store = open(&path, options(0.95)).await;
    check(&store, &expected, "lists of some").await;
}

#[tokio::test]
async fn damaged_lists_are_noticed_and_a_share_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let store = open(&path, options(0.95)).await;
    store.put((0..120).map(|number| entry(number, 0)).collect()).await.unwrap();
    store.lists_made().await.unwrap();
    drop(store);
    for table in ["pumasi_rag_lists", "pumasi_rag_centres"] {
        let other = folder.path().join(table);
        let mut whole = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let statement = format!("VACUUM INTO '{}'", other.display());
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut whole).await.unwrap();
        whole.close().await.unwrap();
        let mut file = SqliteConnection::connect(&format!("sqlite://{}", other.display())).await.unwrap();
        let statement = format!("UPDATE {table} SET data = zeroblob(length(data))");
        let changed = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut file).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
        file.close().await.unwrap();
        let store = open(&other, options(0.95)).await;
        let error = store.version().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        drop(store);
        // which an exact search does not need
        assert!(open(&other, SqliteOptions::new()).await.version().await.unwrap() > 0);
    }
    for share in [0.0, -1.0, 1.01, f32::NAN] {
        let options = SqliteOptions::new().with_recall(share);
        let opened = SqliteStore::open_with(&path, space(), Tenant::single(), options).await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// On one thread, on which nothing goes on while this does not wait.
#[tokio::test]
async fn no_put_waits_until_lists_are_made_and_searches_meanwhile_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let expected = MemoryStore::new(space(), Tenant::single());
    let store = open(&path, options(0.95)).await;
    let all = (0..DOCUMENTS).map(|number| entry(number, 0)).collect::<Vec<_>>();
    for store in [&store as &dyn Store, &expected] {
        store.put(all.clone()).await.unwrap();
    }
    let state = store.lists().await.unwrap();
    assert!(state.making, "{state:?}");
    assert_eq!((state.chunks, state.listed), (u64::from(DOCUMENTS * PER_DOCUMENT), 0));
    for number in 0..20 {
        for store in [&store as &dyn Store, &expected] {
            store.put(vec![entry(number, 1)]).await.unwrap();
            store.remove(&[&(number + 100).to_string()]).await.unwrap();
        }
    }
    let (share, short) = recall(&store, &expected, None).await;
    assert!(share >= 0.95 && short == 0, "{share}");
    store.lists_made().await.unwrap();
    let state = store.lists().await.unwrap();
    assert!(!state.making && state.listed >= state.chunks, "{state:?}");
    check(&store, &expected, "made").await;
}

#[tokio::test]
async fn lists_are_made_after_the_next_opening_where_the_store_was_closed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let store = open(&path, options(0.95)).await;
    store.put((0..DOCUMENTS).map(|number| entry(number, 0)).collect()).await.unwrap();
    assert!(store.lists().await.unwrap().making);
    drop(store);
    assert_eq!(lists(&path).await, 0);

    let store = open(&path, options(0.95)).await;
    assert!(store.version().await.unwrap() > 0 && store.lists().await.unwrap().making);
    store.lists_made().await.unwrap();
    let state = store.lists().await.unwrap();
    assert_eq!((state.listed, state.making), (state.chunks, false));
    drop(store);

    // killed when it was known where the lists stand, and they had not all been written
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let centres = "SELECT generation FROM pumasi_rag_centres";
    let before: i64 = sqlx::query_scalar(centres).fetch_one(&mut file).await.unwrap();
    sqlx::query("DELETE FROM pumasi_rag_lists").execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let store = open(&path, options(0.95)).await;
    store.lists_made().await.unwrap();
    let state = store.lists().await.unwrap();
    assert_eq!(state.listed, state.chunks);
    let mut file = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let after: i64 = sqlx::query_scalar(centres).fetch_one(&mut file).await.unwrap();
    assert_eq!(before, after, "where they stand was not found anew");
}

#[tokio::test]
async fn each_tenant_has_lists_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let store = open(&path, SqliteOptions::new().with_recall(0.95).with_lists_of(32)).await;
    let other = store.for_tenant(Tenant::new("다른 모임").unwrap());
    let (expected, expected_of_other) =
        (MemoryStore::new(space(), Tenant::single()), MemoryStore::new(space(), Tenant::single()));
    for (store, expected, edition) in [(&store as &dyn Store, &expected, 0), (&*other, &expected_of_other, 7)]
    {
        for first in (0..200).step_by(20) {
            let entries: Vec<Entry> = (first..first + 20).map(|number| entry(number, edition)).collect();
            store.put(entries.clone()).await.unwrap();
            expected.put(entries).await.unwrap();
        }
    }
    assert!(lists(&path).await >= 2 * 2 * 2_000);
    check(&store, &expected, "one").await;
    check(&*other, &expected_of_other, "the other").await;
}
