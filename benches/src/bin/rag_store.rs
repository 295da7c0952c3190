//! A store of knowledge beside a plain scan of the same vectors, as JSON.
//!
//! `cargo run --release -p benches --features rag --bin rag_store -- [CHUNKS] [DIMENSIONS] [sqlite|postgres]`: 100,000 × 384 in the
//! embedded store unless told otherwise. PostgreSQL is the one of `PUMASI_POSTGRES_URL`, in a schema that is dropped afterwards; times
//! of the processor are then this program's alone, and only the clock's tell how long a search takes; the index of vectors is made when
//! all are there, in `index_seconds`.
//!
//! Vectors are clustered (a centre for each fifty, and noise), texts are words by Zipf's law, ten chunks make a document. Times are the
//! median of 200 questions, one at a time: by the vector alone (10 wanted), by vector and words (100 of each, as a retriever asks),
//! with a filter that one document in a hundred matches. The plain scan is the same inner product over all vectors in memory, in
//! the same run. Times are the processor's, of all threads, as other processes disturb the clock's; `_wall_ms` are the clock's.
//! `file_bytes` are those of the file and its log right after the last chunk was put, `tables` those of each table once it is closed.
//! `cold_start_ms` is from opening the file to the answer of the first question.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use benches::knowledge::{Place, dot, median, used};
use pumasi_core::filter::Field;
use pumasi_core::model::{Embedder, HashingEmbedder};
use pumasi_core::text::{Analyzer, Span, SparseVector};
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{ChunkEntry, Entry, SectionEntry, StoreQuery};
use pumasi_rag::{ChunkId, Document, DocumentRecord, Space};
use serde_json::json;

const QUESTIONS: usize = 200;
const PER_DOCUMENT: usize = 10;
/// The level of the documents that the filter admits, one in a hundred.
const LEVEL: usize = 7;

struct World {
    random: fastrand::Rng,
    centres: Vec<Vec<f32>>,
    dimensions: usize,
}

impl World {
    fn new(chunks: usize, dimensions: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let centres =
            (0..chunks.div_ceil(50)).map(|_| (0..dimensions).map(|_| random.f32() - 0.5).collect()).collect();
        Self { random, centres, dimensions }
    }

    fn vector(&mut self) -> Vec<f32> {
        let centre = self.random.usize(..self.centres.len());
        let noise: Vec<f32> = (0..self.dimensions).map(|_| self.random.f32() - 0.5).collect();
        let mut vector: Vec<f32> = self.centres[centre].iter().zip(noise).map(|(x, y)| x + 0.7 * y).collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    fn words(&mut self, count: usize) -> String {
        let mut text = String::new();
        for _ in 0..count {
            // Zipf's law over some fifty thousand words
            let word = (f64::from(50_000_u32)).powf(self.random.f64()) as u32;
            let syllables = [word % 61, word / 61 % 67, word / 4_087 % 71];
            let syllable = |n: &u32| char::from_u32(0xAC00 + n * 140 + 7).unwrap_or('가');
            text.extend(syllables.iter().map(syllable));
            text.push(' ');
        }
        text
    }

    fn entry(&mut self, number: usize, analyzer: &Analyzer) -> Entry {
        let id = format!("document-{number}");
        let (mut text, mut chunks) = (String::new(), Vec::new());
        for nth in 0..PER_DOCUMENT {
            let start = text.len();
            let words = self.words(60);
            text.push_str(&words);
            let terms = SparseVector::counts(&words, analyzer);
            let id = ChunkId::new(&id, "", &words, nth as u32);
            chunks.push(ChunkEntry::new(id, 0, Span::new(start, text.len()), self.vector(), terms));
        }
        let document = Document::new(id.as_str(), "").with_metadata("level", number % 100);
        let record = DocumentRecord::new(&document, Fingerprint::of([id.as_bytes()]));
        let section = SectionEntry::new(Vec::new(), Span::new(0, text.len()), text);
        Entry::new(record, vec![section], chunks)
    }
}

async fn measure(chunks: usize, dimensions: usize, name: &str) -> Result<serde_json::Value, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = Place::new(name, folder.path()).await?;
    let embedder = HashingEmbedder::with_dimensions(NonZeroUsize::new(dimensions).ok_or("no dimensions")?);
    let space = Space::of(&embedder as &dyn Embedder);
    let opened = place.open_to_fill(space.clone()).await?;
    let (mut world, analyzer) = (World::new(chunks, dimensions), Analyzer::default());
    let mut all: Vec<(ChunkId, Vec<f32>)> = Vec::with_capacity(chunks);
    let mut putting = Duration::ZERO;
    for first in (0..chunks / PER_DOCUMENT).step_by(64) {
        let numbers = first..(first + 64).min(chunks / PER_DOCUMENT);
        let entries: Vec<Entry> = numbers.map(|number| world.entry(number, &analyzer)).collect();
        all.extend(
            entries.iter().flat_map(|entry| &entry.chunks).map(|chunk| (chunk.id, chunk.embedding.clone())),
        );
        let started = Instant::now();
        opened.store.put(entries).await?;
        putting += started.elapsed();
    }
    let bytes = opened.bytes().await?.unwrap_or_default();
    let questions: Vec<(Vec<f32>, String)> =
        (0..QUESTIONS).map(|_| (world.vector(), world.words(8))).collect();

    let (mut plain, mut exact, mut exact_of_some) = (Vec::new(), Vec::new(), Vec::new());
    for (vector, _) in &questions {
        let before = used();
        let mut scored: Vec<(f32, usize)> =
            all.iter().enumerate().map(|(at, (_, other))| (dot(vector, other), at)).collect();
        scored.select_nth_unstable_by(9, |a, b| b.0.total_cmp(&a.0));
        plain.push(used() - before);
        let ids = |ten: &[(f32, usize)]| ten.iter().map(|(_, at)| all[*at].0).collect::<Vec<_>>();
        exact.push(ids(&scored[..10]));
        scored.retain(|(_, at)| at / PER_DOCUMENT % 100 == LEVEL);
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        exact_of_some.push(ids(&scored[..scored.len().min(10)]));
    }
    drop(all);
    drop(opened);
    let indexing = Instant::now();
    if name == "postgres" {
        place.open(space.clone()).await?;
    }
    let indexing = indexing.elapsed();
    let (started, before) = (Instant::now(), used());
    let store = place.open(space).await?.store;
    let (vector, words) = &questions[0];
    let ask = |vector: &[f32], words: &str, depth: usize| {
        let terms = SparseVector::counts(words, &analyzer);
        StoreQuery::new(depth).with_embedding(vector.to_vec()).with_terms(terms)
    };
    store.search(&ask(vector, words, 100)).await?;
    let (cold, cold_used) = (started.elapsed(), used() - before);
    let (mut dense_wall, mut hybrid_wall, mut filtered_wall, mut got_of_some) = (vec![], vec![], vec![], 0);
    let (mut dense, mut hybrid, mut filtered, mut got, mut few) = (vec![], vec![], vec![], 0, 0);
    for ((vector, words), (exact, some)) in questions.iter().zip(exact.iter().zip(&exact_of_some)) {
        let (started, before) = (Instant::now(), used());
        let found = store.search(&StoreQuery::new(10).with_embedding(vector.clone())).await?;
        dense.push(used() - before);
        dense_wall.push(started.elapsed());
        got += found.dense.iter().filter(|hit| exact.contains(&hit.id)).count();
        let (started, before) = (Instant::now(), used());
        store.search(&ask(vector, words, 100)).await?;
        hybrid.push(used() - before);
        hybrid_wall.push(started.elapsed());
        let query = ask(vector, words, 10).with_filter(Field::<i64>::new("level").eq(LEVEL as i64));
        let (started, before) = (Instant::now(), used());
        let found = store.search(&query).await?.dense;
        filtered.push(used() - before);
        filtered_wall.push(started.elapsed());
        few += usize::from(found.len() < 10);
        got_of_some += found.iter().filter(|hit| some.contains(&hit.id)).count();
    }
    let (plain, dense) = (median(plain), median(dense));
    let asked_of_some: usize = exact_of_some.iter().map(Vec::len).sum();
    let name = store.name();
    drop(store);
    let tables = place.tables().await?;
    place.clear().await?;
    Ok(json!({
        "store": name,
        "chunks": chunks,
        "dimensions": dimensions,
        "plain_scan_ms": plain,
        "dense_ms": dense,
        "dense_wall_ms": median(dense_wall),
        "hybrid_100_wall_ms": median(hybrid_wall),
        "times_as_fast_as_the_plain_scan": plain / dense,
        "recall_at_10": got as f64 / (QUESTIONS * 10) as f64,
        "hybrid_100_ms": median(hybrid),
        "filter_1_percent_ms": median(filtered),
        "filter_1_percent_wall_ms": median(filtered_wall),
        "filter_1_percent_recall_at_10": got_of_some as f64 / asked_of_some as f64,
        "filtered_with_fewer_than_10": few,
        "cold_start_ms": cold_used.as_secs_f64() * 1e3,
        "cold_start_wall_ms": cold.as_secs_f64() * 1e3,
        "put_seconds": putting.as_secs_f64(),
        "index_seconds": indexing.as_secs_f64(),
        "put_chunks_per_second": chunks as f64 / putting.as_secs_f64(),
        "file_bytes": bytes,
        "file_per_vector_bytes": bytes as f64 / (chunks * dimensions * 4) as f64,
        "tables": tables,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let chunks = words.next().map(|word| word.parse()).transpose()?.unwrap_or(100_000);
    let dimensions = words.next().map(|word| word.parse()).transpose()?.unwrap_or(384);
    let store = words.next().unwrap_or_else(|| "sqlite".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(chunks, dimensions, &store))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
