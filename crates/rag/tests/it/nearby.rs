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
async fn what_was_put_without_lists_has_them_after_the_next_put() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let expected = MemoryStore::new(space(), Tenant::single());
    let store = open(&path, SqliteOptions::new()).await;
    fill(&store, &expected).await;
    assert_eq!(lists(&path).await, 0);
    drop(store);

    let store = open(&path, options(0.95)).await;
    check(&store, &expected, "without lists").await;
    for store in [&store as &dyn Store, &expected] {
        store.put(vec![entry(1, 2)]).await.unwrap();
    }
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
        assert_eq!(open(&other, SqliteOptions::new()).await.version().await.unwrap(), 1);
    }
    for share in [0.0, -1.0, 1.01, f32::NAN] {
        let options = SqliteOptions::new().with_recall(share);
        let opened = SqliteStore::open_with(&path, space(), Tenant::single(), options).await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
