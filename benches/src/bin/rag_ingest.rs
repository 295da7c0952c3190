//! How much the ingest pipeline adds to the embedder's own time, and whether its memory grows, as JSON.
//!
//! `cargo run --release -p benches --features rag --bin rag_ingest -- [MEGABYTES] [none|memory|sqlite|postgres] [DIMENSIONS]`: 1,000 MB into a
//! store that keeps nothing (what is left is the pipeline alone) and 384 dimensions unless told otherwise.
//!
//! Documents of some 20 kB are made of the sentences of the running coach's knowledge, in Korean and in English, as they are asked for; the
//! embedder hashes. Times are the processor's, of all threads: `embedder_seconds` is what the embedder took, `making_seconds` what making the
//! documents did, and `pipeline_seconds` all the rest: cutting, terms, fingerprints, and the store. `memory_mb` is the process's after each
//! twentieth of the text.

use std::cell::Cell;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use benches::knowledge::{Place, used};
use pumasi_core::filter::Filter;
use pumasi_core::model::{Embedder, Embedding, HashingEmbedder};
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{Counts, Entry, Found, StoreQuery};
use pumasi_rag::{ChunkId, Document, DocumentRecord, Ingest, Passage, Result, Space, Store, Tenant};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// How many sentences a document has.
const SENTENCES: usize = 200;

/// The processor's time that this thread has used.
fn thread_used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Adds up how long it takes.
#[derive(Debug)]
struct Timed(HashingEmbedder, AtomicU64);

#[async_trait]
impl Embedder for Timed {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        // it does not wait for anything
        let before = thread_used();
        let embedded = self.0.embed(texts).await;
        self.1.fetch_add(nanoseconds(thread_used() - before), Ordering::Relaxed);
        embedded
    }
}

/// Keeps nothing.
#[derive(Debug)]
struct Nowhere(Tenant, Space);

#[async_trait]
impl Store for Nowhere {
    fn name(&self) -> &'static str {
        "none"
    }

    fn tenant(&self) -> &Tenant {
        &self.0
    }

    fn space(&self) -> &Space {
        &self.1
    }

    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
        Arc::new(Self(tenant, self.1.clone()))
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        entries.iter().try_for_each(|entry| entry.check(&self.1))
    }

    async fn remove(&self, _: &[&str]) -> Result<u64> {
        Ok(0)
    }

    async fn remove_where(&self, _: &Filter) -> Result<u64> {
        Ok(0)
    }

    async fn search(&self, _: &StoreQuery) -> Result<Found> {
        Ok(Found::default())
    }

    async fn get(&self, _: &[ChunkId]) -> Result<Vec<Passage>> {
        Ok(Vec::new())
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        Ok(vec![None; ids.len()])
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        Ok(vec![None; ids.len()])
    }

    async fn count(&self, _: &Filter) -> Result<Counts> {
        Ok(Counts::default())
    }

    async fn scan(&self, _: &str, _: usize) -> Result<Vec<DocumentRecord>> {
        Ok(Vec::new())
    }

    async fn version(&self) -> Result<u64> {
        Ok(0)
    }
}

/// Reads the sentences of the running coach's knowledge.
fn sentences() -> std::result::Result<Vec<String>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/running_coach/knowledge");
    let mut sentences = Vec::new();
    for file in ["ko.jsonl", "en.jsonl"] {
        for line in std::fs::read_to_string(folder.join(file))?.lines() {
            let document: Value = serde_json::from_str(line)?;
            let text = document["text"].as_str().unwrap_or_default();
            let all = text.split_inclusive(". ").flat_map(str::lines).map(str::trim);
            sentences.extend(all.filter(|text| text.len() > 20).map(str::to_owned));
        }
    }
    Ok(sentences)
}

fn document(number: usize, sentences: &[String]) -> Document {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let mut text = String::new();
    for nth in 0..SENTENCES {
        match nth {
            _ if nth.is_multiple_of(40) => text.push_str(&format!("\n\n## {number}-{nth}\n\n")),
            _ if nth.is_multiple_of(5) => text.push_str("\n\n"),
            _ => text.push(' '),
        }
        text.push_str(&sentences[random.usize(..sentences.len())]);
    }
    Document::markdown(format!("document-{number}"), text)
}

/// The megabytes of memory that this process has.
fn memory() -> std::result::Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1_024)
}

async fn measure(
    megabytes: usize,
    name: &str,
    dimensions: usize,
) -> std::result::Result<Value, Box<dyn Error>> {
    let hashing = HashingEmbedder::with_dimensions(dimensions.try_into()?);
    let embedder = Arc::new(Timed(hashing, AtomicU64::new(0)));
    let space = Space::of(&*embedder);
    let folder = tempfile::tempdir()?;
    let place = if name == "none" { None } else { Some(Place::new(name, folder.path()).await?) };
    let store: Arc<dyn Store> = match &place {
        None => Arc::new(Nowhere(Tenant::single(), space)),
        Some(place) => place.open(space).await?.store,
    };
    let sentences = sentences()?;
    let (made, making) = (Cell::new(0_usize), Cell::new(Duration::ZERO));
    let part = megabytes * 1_000_000 / 20;
    let mut memory_mb = Vec::new();
    let (mut chunks, mut documents) = (0, 0);
    let (started, before) = (Instant::now(), used());
    for nth in 1..=20 {
        let ingest = Ingest::new(store.clone(), embedder.clone());
        let next = std::iter::from_fn(|| {
            if made.get() >= part * nth {
                return None;
            }
            let before = thread_used();
            let document = document(documents, &sentences);
            made.set(made.get() + document.text.len());
            documents += 1;
            making.set(making.get() + (thread_used() - before));
            Some(document)
        });
        let report = ingest.run(next).await?;
        chunks += report.chunks_embedded;
        memory_mb.push(memory()?);
    }
    let (all, wall) = ((used() - before).as_secs_f64(), started.elapsed().as_secs_f64());
    let embedding = Duration::from_nanos(embedder.1.load(Ordering::Relaxed)).as_secs_f64();
    let making = making.get().as_secs_f64();
    let pipeline = all - embedding - making;
    drop(store);
    if let Some(place) = place {
        place.clear().await?;
    }
    Ok(json!({
        "store": name,
        "text_bytes": made.get(),
        "documents": documents,
        "chunks": chunks,
        "wall_seconds": wall,
        "making_seconds": making,
        "embedder_seconds": embedding,
        "pipeline_seconds": pipeline,
        "pipeline_ms_a_chunk": pipeline * 1e3 / chunks as f64,
        "embedder_ms_a_chunk": embedding * 1e3 / chunks as f64,
        "memory_mb": memory_mb,
    }))
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let megabytes = words.next().map(|word| word.parse()).transpose()?.unwrap_or(1_000);
    let store = words.next().unwrap_or_else(|| "none".to_owned());
    let dimensions = words.next().map(|word| word.parse()).transpose()?.unwrap_or(384);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(megabytes, &store, dimensions))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
