//! Files of earlier layouts, and damaged ones.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::filter::Filter;
use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::Span;
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{ChunkEntry, Entry, SectionEntry, StoreQuery};
use pumasi_rag::{
    ChunkId, Document, DocumentRecord, ErrorKind, Ingest, MemoryStore, Space, SqliteStore, Store, Tenant,
};
use sqlx::{Connection as _, SqliteConnection};

use crate::knowledge::documents;

/// Back to how sections stood at first.
const BACK: &str = "ALTER TABLE pumasi_rag_section RENAME TO later;
    CREATE TABLE pumasi_rag_section (document INTEGER NOT NULL, section INTEGER NOT NULL, start INTEGER NOT NULL,
        headings TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (document, section)) WITHOUT ROWID;
    INSERT INTO pumasi_rag_section SELECT document, section, start, headings, text FROM later;
    DROP TABLE later;
    DROP TABLE pumasi_rag_centres;
    DROP TABLE pumasi_rag_lists;
    DELETE FROM pumasi_rag_schema WHERE version > 1";

/// What the code wrote whose layout was the second, as `sqlite3 FILE .dump`: [`entry`]'s documents 0 to 5 in an edition each, 2 once more
/// in the next edition, and 9 of another tenant.
const SECOND: &str = include_str!("../layouts/second.sql");

/// The numbers of the fixture's vectors.
const DIMENSIONS: usize = 12;

fn vector(seed: u32) -> Vec<f32> {
    let number = |at: u32| f32::from(u16::try_from((seed * 31 + at * 17) * 7_919 % 2_003).unwrap());
    let all = 0..u32::try_from(DIMENSIONS).unwrap();
    match seed {
        // far apart in size, and nothing at all
        _ if seed.is_multiple_of(5) => all.map(|at| number(at) * 0.125_f32.powi(at.cast_signed())).collect(),
        1 => vec![0.0; DIMENSIONS],
        _ => all.map(|at| number(at) / 1_001.0 - 1.0).collect(),
    }
}

/// The document of a number in an edition: a long section of several chunks and a short one.
fn entry(number: u32, edition: u32) -> Entry {
    let id = format!("문서-{number}");
    let sentence = format!("{number}번 문서의 {edition}판은 달리기를 준비하는 사람에게 쓸모가 있습니다. ");
    let long = sentence.repeat(4);
    let short = format!("Rest {number}.");
    let chunk = |nth: u32, section: usize, span: Span, text: &str| {
        let terms = (0..5).map(|term| (term * 1_000 + number % 3, 1 + (term + nth) % 3)).collect();
        let seed = number * 10 + edition * 4 + nth;
        ChunkEntry::new(ChunkId::new(&id, "", text, nth), section, span, vector(seed), terms)
    };
    let end = long.len();
    let chunks = vec![
        chunk(0, 0, Span::new(0, sentence.len() * 2), &long[..sentence.len() * 2]),
        chunk(1, 0, Span::new(sentence.len() * 2, end), &long[sentence.len() * 2..]),
        chunk(2, 1, Span::new(end, end + short.len()), &short),
    ];
    let sections = vec![
        SectionEntry::new(vec!["준비".to_owned()], Span::new(0, end), long.clone()),
        SectionEntry::new(
            vec!["쉬기".to_owned(), "Rest".to_owned()],
            Span::new(end, end + short.len()),
            short,
        ),
    ];
    let document = Document::new(id.as_str(), "").with_title(sentence).with_metadata("level", number % 2);
    let fingerprint = Fingerprint::of([id.as_bytes(), &[u8::try_from(edition).unwrap()]]);
    Entry::new(DocumentRecord::new(&document, fingerprint), sections, chunks)
}

fn space() -> Space {
    Space::of(&HashingEmbedder::with_dimensions(NonZeroUsize::new(DIMENSIONS).unwrap()))
}

async fn connection(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap()
}

/// Opens a store whose lock the store before may still hold: it goes with that one's last connection.
async fn open(path: &Path, space: &Space) -> SqliteStore {
    loop {
        match SqliteStore::open(path, space.clone(), Tenant::single()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_file_whose_sections_stand_as_at_first_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let embedder = Arc::new(HashingEmbedder::new());
    let space = Space::of(&embedder);
    let store = open(&path, &space).await;
    Ingest::new(Arc::new(store.clone()), embedder.clone()).run(documents()).await.unwrap();
    let documents = documents();
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let entries = store.entries(&ids).await.unwrap();
    assert!(entries.iter().all(Option::is_some));
    drop(store);

    let mut file = connection(&path).await;
    sqlx::raw_sql(BACK).execute(&mut file).await.unwrap();
    file.close().await.unwrap();

    let store = open(&path, &space).await;
    assert_eq!(store.entries(&ids).await.unwrap(), entries);
}

/// Holds all that two stores know against each other, and what they find.
async fn same(store: &dyn Store, expected: &MemoryStore) {
    let records = expected.scan("", 200).await.unwrap();
    assert_eq!(store.scan("", 200).await.unwrap(), records);
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let entries = expected.entries(&ids).await.unwrap();
    assert_eq!(store.entries(&ids).await.unwrap(), entries);
    for seed in 0..20 {
        let terms = (0..3).map(|term| (term * 1_000 + seed % 3, 1)).collect();
        let query = StoreQuery::new(200).with_embedding(vector(seed)).with_terms(terms);
        let found = store.search(&query).await.unwrap();
        let scores = |ranking: &[pumasi_rag::store::Scored]| -> BTreeMap<ChunkId, f32> {
            ranking.iter().map(|scored| (scored.id, scored.score)).collect()
        };
        let wanted = expected.search(&query).await.unwrap();
        assert_eq!(scores(&found.dense), scores(&wanted.dense));
        assert_eq!(scores(&found.lexical), scores(&wanted.lexical));
    }
}

#[tokio::test]
async fn a_file_of_the_second_layout_is_read_and_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let mut file = connection(&path).await;
    sqlx::raw_sql(SECOND).execute(&mut file).await.unwrap();
    file.close().await.unwrap();

    let expected = MemoryStore::new(space(), Tenant::single());
    for number in 0..6 {
        expected.put(vec![entry(number, 0)]).await.unwrap();
    }
    expected.put(vec![entry(2, 1)]).await.unwrap();
    let store = open(&path, &space()).await;
    same(&store, &expected).await;
    let other = store.for_tenant(Tenant::new("other").unwrap());
    assert_eq!(other.entries(&["문서-9"]).await.unwrap(), [Some(entry(9, 0))]);

    // so many that segments of both layouts are joined
    for (number, edition) in [(4, 1), (10, 0), (11, 0), (0, 2)] {
        for store in [&store as &dyn Store, &expected] {
            store.put(vec![entry(number, edition)]).await.unwrap();
        }
        same(&store, &expected).await;
    }
    drop((store, other));
    let mut file = connection(&path).await;
    let segments: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT data FROM pumasi_rag_segment").fetch_all(&mut file).await.unwrap();
    let of = |magic: &[u8]| segments.iter().filter(|data| data.starts_with(magic)).count();
    assert!(of(b"prs1") >= 1 && of(b"prs2") >= 1 && segments.len() < 8, "{}", segments.len());
    file.close().await.unwrap();
    same(&open(&path, &space()).await, &expected).await;
}

/// Asks for all there is of a document, in each way; tells the answer, or the kind of the first error.
async fn ask(store: &SqliteStore) -> Result<Entry, ErrorKind> {
    let entry = entry(1, 0);
    let ids: Vec<ChunkId> = entry.chunks.iter().map(|chunk| chunk.id).collect();
    let read = async {
        store.get(&ids).await?;
        store.search(&StoreQuery::new(3).with_embedding(vector(12))).await?;
        store.entries(&[&entry.record.id]).await
    };
    read.await.map(|mut read| read.remove(0).unwrap()).map_err(|error| error.kind())
}

/// A blob with a byte changed, each one in turn; cut, at each place; and longer.
fn garbled(whole: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![[whole, &[0]].concat(), [&[0xFF; 4], whole].concat(), vec![0xFF; whole.len()]];
    for at in 0..whole.len() {
        let mut broken = whole.to_vec();
        broken[at] ^= 0x41;
        all.extend([broken, whole[..at].to_vec()]);
    }
    all
}

#[tokio::test]
async fn damage_of_texts_is_an_error_and_that_of_vectors_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let store = open(&path, &space()).await;
    let put = entry(1, 0);
    store.put(vec![put.clone()]).await.unwrap();
    assert_eq!(ask(&store).await.as_ref(), Ok(&put));
    let mut file = connection(&path).await;
    sqlx::raw_sql("PRAGMA synchronous = OFF").execute(&mut file).await.unwrap();

    let text = "SELECT text FROM pumasi_rag_section WHERE section = 0";
    let whole: Vec<u8> = sqlx::query_scalar(text).fetch_one(&mut file).await.unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    let statement = "UPDATE pumasi_rag_section SET text = ? WHERE section = 0";
    for bytes in garbled(&whole) {
        sqlx::query(statement).bind(&bytes).execute(&mut file).await.unwrap();
        match ask(&store).await {
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Storage);
                noticed += 1;
            }
            Ok(read) => {
                assert_eq!(read, put);
                harmless += 1;
            }
        }
    }
    // bytes behind the packed ones, and bits of the last one
    assert!(noticed > whole.len() && harmless <= 2, "{noticed} {harmless}");
    sqlx::query(statement).bind(&whole).execute(&mut file).await.unwrap();

    // vectors carry no checksum: what is of the wrong length is noticed, and so is what is no number
    let vector = "SELECT vector FROM pumasi_rag_vector WHERE chunk = 2";
    let whole: Vec<u8> = sqlx::query_scalar(vector).fetch_one(&mut file).await.unwrap();
    for bytes in garbled(&whole) {
        let statement = "UPDATE pumasi_rag_vector SET vector = ? WHERE chunk = 2";
        sqlx::query(statement).bind(&bytes).execute(&mut file).await.unwrap();
        match ask(&store).await {
            Err(kind) => assert_eq!(kind, ErrorKind::Storage),
            Ok(read) => {
                assert_eq!(bytes.len(), whole.len());
                assert!(read.chunks.iter().flat_map(|chunk| &chunk.embedding).all(|x| x.is_finite()));
            }
        }
    }
}

#[tokio::test]
async fn everything_is_read_from_the_file_as_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let expected = MemoryStore::new(space(), Tenant::single());
    let store = open(&path, &space()).await;
    for numbers in [0..3, 3..20, 20..60] {
        let entries: Vec<Entry> = numbers.map(|number| entry(number, 0)).collect();
        store.put(entries.clone()).await.unwrap();
        expected.put(entries).await.unwrap();
    }
    for store in [&store as &dyn Store, &expected] {
        store.remove(&["문서-7", "문서-21"]).await.unwrap();
    }
    drop(store);
    let store = open(&path, &space()).await;
    let counts = store.count(&Filter::And(Vec::new())).await.unwrap();
    assert_eq!((counts.documents, counts.chunks), (58, 174));
    same(&store, &expected).await;
}
