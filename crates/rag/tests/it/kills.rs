//! Processes are killed while they put documents: none is half there, none twice, and what was done is not done again.

use std::fs::File;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::filter::Filter;
use pumasi_core::model::{Embedder, Embedding, HashingEmbedder};
use pumasi_rag::store::SqliteOptions;
use pumasi_rag::{
    Document, Ingest, MemoryStore, Result, Space, SqliteStore, Store, StructureChunker, Tenant,
};
use sqlx::Connection as _;

const DOCUMENTS: usize = 120;
/// How many documents are put at once.
const BATCH: usize = 4;

/// Writes down how many texts it embeds, and takes its time.
#[derive(Debug)]
struct Slow(HashingEmbedder, File);

#[async_trait]
impl Embedder for Slow {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        (&self.1).write_all(format!("{}\n", texts.len()).as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.embed(texts).await
    }
}

fn embedder() -> HashingEmbedder {
    HashingEmbedder::with_dimensions(NonZeroUsize::new(64).unwrap())
}

/// Makes the documents of a version; each version changes one section of a third of them.
fn documents(version: u64) -> impl Iterator<Item = Document> {
    (0..DOCUMENTS).map(move |n| {
        let changed = (version + 2 - n as u64 % 3) / 3;
        let text = format!(
            "# {n}번\n\n## 준비\n\n문서 {n}의 준비는 늘 같습니다.\n\n## 훈련\n\n문서 {n}은 {changed}번째 판입니다.\n\n\
             ## 휴식\n\n문서 {n}의 휴식도 늘 같습니다."
        );
        Document::markdown(format!("문서-{n}"), text)
    })
}

fn ingest(store: Arc<dyn Store>, embedder: Arc<dyn Embedder>) -> Ingest {
    Ingest::new(store, embedder)
        .with_chunker(StructureChunker::new().with_max_tokens(64))
        .with_documents_at_once(NonZeroUsize::new(BATCH).unwrap())
}

async fn open(folder: &Path) -> Arc<dyn Store> {
    #[cfg(feature = "postgres")]
    if let Some(store) = on_postgres::open().await {
        return Arc::new(store);
    }
    #[cfg(feature = "qdrant")]
    if let Some(store) = on_qdrant::open().await {
        return Arc::new(store);
    }
    // the process before may not have been taken away yet
    loop {
        let path = folder.join("knowledge.db");
        // with lists, which are written after what is put
        let options = SqliteOptions::new().with_recall(0.95).with_lists_of(16);
        let opened = SqliteStore::open_with(path, Space::of(&embedder()), Tenant::single(), options).await;
        if opened.as_ref().is_err_and(|error| error.kind() == pumasi_rag::ErrorKind::Unavailable) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            return Arc::new(opened.unwrap());
        }
    }
}

/// Tells which version is being put.
fn version(folder: &Path) -> u64 {
    std::fs::read_to_string(folder.join("version")).map_or(0, |text| text.parse().unwrap())
}

/// Puts one version after the other; a finisher stops at the first that it finds nothing to do in.
async fn put(folder: &Path, finish: bool) {
    let log = File::options().create(true).append(true).open(folder.join("embedded")).unwrap();
    let store = open(folder).await;
    let ingest = ingest(store, Arc::new(Slow(embedder(), log)));
    loop {
        let now = version(folder);
        ingest.run(documents(now)).await.unwrap();
        if finish {
            return;
        }
        // the whole file or none, as a rename is
        std::fs::write(folder.join("next"), (now + 1).to_string()).unwrap();
        std::fs::rename(folder.join("next"), folder.join("version")).unwrap();
    }
}

#[test]
#[ignore = "started by the fault test with a part"]
fn plays_its_part() {
    if let Some(part) = Part::given() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(put(&part.folder, part.role == "finisher"));
    }
}

/// So many versions are put at least, so that documents are replaced too.
const VERSIONS: u64 = 3;

/// Kills whoever puts, again and again after a time in between, until [`VERSIONS`] were put over each other, and lets the last
/// one finish. Tells how many were killed.
fn kill(crew: &mut Crew, folder: &Path, between: Range<u64>) -> u32 {
    let mut killed = kills(20);
    let pause = Duration::from_millis(between.start)..Duration::from_millis(between.end);
    crew.start("putter").unwrap();
    crew.kill_at_random(killed, pause.clone()).unwrap();
    // where a store is slow: left alone until a version is whole, and killed in the middle of the next
    let deadline = Instant::now() + Duration::from_mins(4);
    while version(folder) < VERSIONS {
        let whole = version(folder);
        while version(folder) == whole {
            assert!(Instant::now() < deadline, "version {whole} was not put in time: {}", crew.said());
            crew.check().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        crew.kill_at_random(1, pause.clone()).unwrap();
        killed += 1;
    }
    crew.kill_all().unwrap();
    crew.finish("finisher", Duration::from_mins(4)).unwrap();
    killed
}

/// Holds what is there against what the last version's documents make in a store that nobody killed, and how much was embedded against
/// what had to be. Returns how many chunks there are.
async fn check(folder: &Path, store: &dyn Store, killed: u32) -> u64 {
    let version = version(folder);
    assert!(version >= VERSIONS, "only {version} versions were put: nothing was replaced under kills");
    let expected = MemoryStore::new(Space::of(&embedder()), Tenant::single());
    ingest(Arc::new(expected.clone()), Arc::new(embedder())).run(documents(version)).await.unwrap();
    let names: Vec<String> = (0..DOCUMENTS).map(|n| format!("문서-{n}")).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(store.entries(&ids).await.unwrap(), expected.entries(&ids).await.unwrap());
    let all = Filter::And(Vec::new());
    let counts = store.count(&all).await.unwrap();
    assert_eq!(counts, expected.count(&all).await.unwrap());

    // each kill loses at most the batch that was on its way
    let text = std::fs::read_to_string(folder.join("embedded")).unwrap();
    let embedded: u64 = text.lines().map(|line| line.parse::<u64>().unwrap()).sum();
    let needed = 3 * DOCUMENTS as u64 + version * (DOCUMENTS as u64).div_ceil(3);
    let lost = u64::from(killed + 1) * 3 * BATCH as u64;
    assert!(embedded >= 3 * DOCUMENTS as u64, "{embedded}");
    assert!(embedded <= needed + lost, "{embedded} embedded, {needed} needed, at most {lost} lost");
    println!(
        "{killed} kills on {}: {version} versions of {DOCUMENTS} documents, none half, twice or left behind; {embedded} chunks \
         embedded, {needed} needed",
        store.name(),
    );
    counts.chunks
}

#[test]
fn a_killed_run_leaves_whole_documents_and_is_taken_up_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut crew = Crew::new("kills::plays_its_part", folder.path());
    let killed = kill(&mut crew, folder.path(), 20..400);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await;
        let chunks = check(folder.path(), &*store, killed).await;
        drop(store);

        // nothing is left in the file of what is gone
        let url = format!("sqlite://{}", folder.path().join("knowledge.db").display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let mut count = async |table: &'static str| -> u64 {
            let sql = format!("SELECT count(*) FROM {table}");
            let rows: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
            rows.unsigned_abs()
        };
        assert_eq!(count("pumasi_rag_vector").await, chunks);
        assert_eq!(count("pumasi_rag_section").await, 3 * DOCUMENTS as u64);
    });
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use pumasi_rag::PostgresStore;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;
    use crate::schema::Schema;

    /// Names the schema to the processes.
    const SCHEMA: &str = "PUMASI_TEST_SCHEMA";

    /// Opens the schema that this process was told of, if it was.
    pub(super) async fn open() -> Option<PostgresStore> {
        let name = std::env::var(SCHEMA).ok()?;
        let server: PgConnectOptions = std::env::var("PUMASI_POSTGRES_URL").unwrap().parse().unwrap();
        let options = Schema::within(&server, &name);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
        Some(PostgresStore::open(pool, Space::of(&embedder()), Tenant::single()).await.unwrap())
    }

    #[test]
    fn a_killed_run_leaves_whole_documents_on_postgres_too() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(schema) = runtime.block_on(Schema::new("killed runs on PostgreSQL")) else { return };
        let folder = tempfile::tempdir().unwrap();
        let crew = Crew::new("kills::plays_its_part", folder.path());
        let mut crew = crew.with_environment(SCHEMA, schema.name());
        let killed = kill(&mut crew, folder.path(), 20..400);

        runtime.block_on(async {
            let space = Space::of(&embedder());
            let store = PostgresStore::open(schema.pool.clone(), space, Tenant::single()).await.unwrap();
            let chunks = check(folder.path(), &store, killed).await;
            let count = async |sql: &'static str| -> u64 {
                let rows: i64 = sqlx::query_scalar(sql).fetch_one(&schema.pool).await.unwrap();
                rows.unsigned_abs()
            };
            assert_eq!(count("SELECT count(*) FROM pumasi_rag_chunk").await, chunks);
            assert_eq!(count("SELECT count(*) FROM pumasi_rag_section").await, 3 * DOCUMENTS as u64);
            assert_eq!(
                count("SELECT sum(octet_length(data) / 7)::BIGINT FROM pumasi_rag_posting").await,
                count("SELECT sum(octet_length(terms) / 6)::BIGINT FROM pumasi_rag_chunk").await
            );
        });
    }
}

#[cfg(feature = "qdrant")]
mod on_qdrant {
    use pumasi_rag::QdrantStore;
    use pumasi_rag::store::QdrantOptions;

    use super::*;
    use crate::collection::Collection;

    /// Names the collection to the processes.
    const COLLECTION: &str = "PUMASI_TEST_COLLECTION";

    /// A writer that was killed is given up soon.
    fn options() -> QdrantOptions {
        QdrantOptions::new().with_lease(Duration::from_millis(150))
    }

    /// Opens the collection that this process was told of, if it was.
    pub(super) async fn open() -> Option<QdrantStore> {
        let options = options().with_collection(std::env::var(COLLECTION).ok()?);
        let url = std::env::var("PUMASI_QDRANT_URL").unwrap();
        let space = Space::of(&embedder());
        Some(QdrantStore::open_with(&url, space, Tenant::single(), options).await.unwrap())
    }

    #[test]
    fn a_killed_run_leaves_whole_documents_on_qdrant_too() {
        let Some(collection) = Collection::new("killed runs on Qdrant") else { return };
        let folder = tempfile::tempdir().unwrap();
        let crew = Crew::new("kills::plays_its_part", folder.path());
        // opening it takes a dozen calls, and a writer's end is noticed some time later
        let killed =
            kill(&mut crew.with_environment(COLLECTION, &collection.name), folder.path(), 200..1_500);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = collection.open(Space::of(&embedder()), options()).await.unwrap();
            check(folder.path(), &store, killed).await;
        });
    }
}
