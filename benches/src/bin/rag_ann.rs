//! Searches by lists of vectors beside exact ones, in the embedded store, as JSON.
//!
//! `cargo run --release -p benches --features rag --bin rag_ann -- [CHUNKS] [DIMENSIONS] [RECALL]`: 1,000,000 × 384 and .95 unless told
//! otherwise, for which it takes 3 GB of memory and of the temporary folder.
//!
//! Vectors are clustered: a centre for each five hundred, in a space of 64 dimensions that is laid into the wanted ones, and noise in
//! both. Ten chunks make a document. A hundred questions of the same kind, one at a time, ask for ten chunks: of all, of the documents that a
//! filter of 10 % admits, and of 1 %. The same file is asked exactly and by lists; recall is the share of the ten that a plain f32 scan
//! finds. Times are medians, but for the first question of each filter, whose documents are remembered from then on; the processor's, of all threads, as other processes disturb the clock's, and `_wall_ms` the clock's.
//! Lists are made beside the puts, whose `put_seconds` hold most of that work; `rest_of_lists_seconds` is what was left after the last.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use benches::knowledge::{Place, dot, median, used};
use pumasi_core::filter::Field;
use pumasi_core::model::{Embedder, HashingEmbedder};
use pumasi_core::text::Span;
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{ChunkEntry, Entry, SectionEntry, SqliteOptions, StoreQuery};
use pumasi_rag::{ChunkId, Document, DocumentRecord, Space, Store};
use serde_json::{Value, json};

const QUESTIONS: usize = 100;
const WANTED: usize = 10;
const PER_DOCUMENT: usize = 10;
const PER_CENTRE: usize = 500;
const RANK: usize = 64;
const LEVEL: Field<i64> = Field::new("level");

struct World {
    random: fastrand::Rng,
    basis: Vec<f32>,
    centres: Vec<Vec<f32>>,
    dimensions: usize,
}

/// About normally distributed.
fn normal(random: &mut fastrand::Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| random.f32() - 0.5).sum();
    sum * 3.0_f32.sqrt()
}

fn normals(random: &mut fastrand::Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| normal(random)).collect()
}

impl World {
    fn new(chunks: usize, dimensions: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let basis = normals(&mut random, RANK * dimensions);
        let centres = (0..chunks.div_ceil(PER_CENTRE)).map(|_| normals(&mut random, RANK)).collect();
        Self { random, basis, centres, dimensions }
    }

    fn vector(&mut self) -> Vec<f32> {
        let random = &mut self.random;
        let centre = &self.centres[random.usize(..self.centres.len())];
        let mut vector: Vec<f32> = (0..self.dimensions).map(|_| 2.0 * normal(random)).collect();
        for (x, direction) in centre.iter().zip(self.basis.chunks_exact(self.dimensions)) {
            let x = x + 0.6 * normal(random);
            vector.iter_mut().zip(direction).for_each(|(sum, y)| *sum += x * y);
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    fn entry(&mut self, number: usize) -> Entry {
        let id = number.to_string();
        let chunk = |nth| {
            ChunkEntry::new(ChunkId::new(&id, "", "", nth), 0, Span::new(0, 1), self.vector(), vec![(nth, 1)])
        };
        let chunks = (0..PER_DOCUMENT as u32).map(chunk).collect();
        let document = Document::new(id.as_str(), "").with_metadata("level", number % 100);
        let record = DocumentRecord::new(&document, Fingerprint::of([id.as_bytes()]));
        Entry::new(record, vec![SectionEntry::new(Vec::new(), Span::new(0, 1), "a")], chunks)
    }
}

/// A question, and what a plain scan finds with each filter.
struct Question {
    vector: Vec<f32>,
    exact: Vec<Vec<ChunkId>>,
}

/// What a filter admits: documents of a level below this.
fn filters() -> [(&'static str, i64); 3] {
    [("all", 100), ("filter_10_percent", 10), ("filter_1_percent", 1)]
}

fn scan(vector: Vec<f32>, all: &[(ChunkId, Vec<f32>)], plain: &mut Vec<Duration>) -> Question {
    let before = used();
    let mut scored: Vec<(f32, usize)> =
        all.iter().enumerate().map(|(at, (_, other))| (dot(&vector, other), at)).collect();
    scored.select_nth_unstable_by(WANTED - 1, |a, b| b.0.total_cmp(&a.0));
    plain.push(used() - before);
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let of = |(_, below): (&str, i64)| {
        let admitted = scored.iter().filter(|(_, at)| ((at / PER_DOCUMENT % 100) as i64) < below);
        admitted.take(WANTED).map(|(_, at)| all[*at].0).collect()
    };
    let exact = filters().map(of).to_vec();
    Question { vector, exact }
}

/// Asks all questions with each filter.
async fn ask(store: &dyn Store, questions: &[Question]) -> Result<Vec<Value>, Box<dyn Error>> {
    let mut measured = Vec::new();
    for (nth, (_, below)) in filters().into_iter().enumerate() {
        let (mut times, mut wall, mut found, mut wanted) = (Vec::new(), Vec::new(), 0, 0);
        for Question { vector, exact } in questions {
            let mut query = StoreQuery::new(WANTED).with_embedding(vector.clone());
            if below < 100 {
                query = query.with_filter(LEVEL.below(below));
            }
            let (started, before) = (Instant::now(), used());
            let got = store.search(&query).await?.dense;
            times.push(used() - before);
            wall.push(started.elapsed());
            found += got.iter().filter(|hit| exact[nth].contains(&hit.id)).count();
            wanted += exact[nth].len();
        }
        let ms = median(times);
        measured.push(json!({
            "ms": ms,
            "wall_ms": median(wall),
            "queries_per_second": 1e3 / ms,
            "recall_at_10": found as f64 / wanted as f64,
        }));
    }
    Ok(measured)
}

async fn measure(chunks: usize, dimensions: usize, recall: f32) -> Result<Value, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = Place::new("sqlite", folder.path()).await?;
    let embedder = HashingEmbedder::with_dimensions(NonZeroUsize::new(dimensions).ok_or("no dimensions")?);
    let space = Space::of(&embedder as &dyn Embedder);
    let options = SqliteOptions::new().with_recall(recall);
    let opened = place.open_with(space.clone(), options).await?;
    let mut world = World::new(chunks, dimensions);
    let mut all: Vec<(ChunkId, Vec<f32>)> = Vec::with_capacity(chunks);
    let (mut putting, mut putting_used, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for first in (0..chunks / PER_DOCUMENT).step_by(256) {
        let numbers = first..(first + 256).min(chunks / PER_DOCUMENT);
        let entries: Vec<Entry> = numbers.map(|number| world.entry(number)).collect();
        all.extend(
            entries.iter().flat_map(|entry| &entry.chunks).map(|chunk| (chunk.id, chunk.embedding.clone())),
        );
        let (started, before) = (Instant::now(), used());
        opened.store.put(entries).await?;
        putting_used += used() - before;
        putting += started.elapsed();
        longest = longest.max(started.elapsed());
    }
    let (started, before) = (Instant::now(), used());
    opened.lists_made().await?;
    let (rest, rest_used) = (started.elapsed(), used() - before);
    let bytes = opened.bytes().await?.unwrap_or_default();
    drop(opened);
    let vectors: Vec<Vec<f32>> = (0..QUESTIONS).map(|_| world.vector()).collect();
    let mut plain = Vec::new();
    let questions: Vec<Question> = vectors.into_iter().map(|vector| scan(vector, &all, &mut plain)).collect();
    drop(all);

    let store = place.open(space.clone()).await?.store;
    ask(&store, &questions[..1]).await?;
    let exact = ask(&store, &questions).await?;
    drop(store);
    let (started, before) = (Instant::now(), used());
    let store = place.open_with(space, options).await?.store;
    store.search(&StoreQuery::new(WANTED).with_embedding(questions[0].vector.clone())).await?;
    let (cold, cold_used) = (started.elapsed(), used() - before);
    let first = ask(&store, &questions[..1]).await?;
    let by_lists = ask(&store, &questions).await?;
    drop(store);
    let tables = place.tables().await?;
    let ms = |measured: &Value| measured["ms"].as_f64().unwrap_or_default();
    let exact_of_all = exact.first().map(ms).unwrap_or_default();
    let searches = filters().into_iter().zip(exact.iter().zip(by_lists.iter().zip(&first)));
    let searches = searches.map(|((name, _), (exact, (lists, first)))| {
        let measured = json!({
            "exact": exact,
            "by_lists": lists,
            "first_by_lists_ms": ms(first),
            "times_as_fast_as_exact": ms(exact) / ms(lists),
            "times_as_fast_as_exact_of_all": exact_of_all / ms(lists),
        });
        (name.to_owned(), measured)
    });
    let searches: serde_json::Map<String, Value> = searches.collect();
    Ok(json!({
        "chunks": chunks,
        "dimensions": dimensions,
        "wanted_recall": recall,
        "plain_scan_ms": median(plain),
        "searches": searches,
        "cold_start_ms": cold_used.as_secs_f64() * 1e3,
        "cold_start_wall_ms": cold.as_secs_f64() * 1e3,
        "put_seconds": putting_used.as_secs_f64(),
        "put_wall_seconds": putting.as_secs_f64(),
        "longest_put_wall_seconds": longest.as_secs_f64(),
        "rest_of_lists_seconds": rest_used.as_secs_f64(),
        "rest_of_lists_wall_seconds": rest.as_secs_f64(),
        "file_bytes": bytes,
        "tables": tables,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let chunks = words.next().map(|word| word.parse()).transpose()?.unwrap_or(1_000_000);
    let dimensions = words.next().map(|word| word.parse()).transpose()?.unwrap_or(384);
    let recall = words.next().map(|word| word.parse()).transpose()?.unwrap_or(0.95);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(chunks, dimensions, recall))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
