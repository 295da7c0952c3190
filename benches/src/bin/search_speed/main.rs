//! What the embedded engine costs beside bare tantivy and beside PostgreSQL, over the same documents, as JSON.
//!
//! `cargo run --release -p benches --features speed --bin search_speed -- [DOCUMENTS [POSTS]]`, 100,000 and 300,000 without, and
//! with `PUMASI_POSTGRES_URL` for the comparison with a database.
//!
//! - **indexing**: the same documents into our engine and into a bare tantivy index with the same fields, which is given their terms
//!   ready-made. CPU time of the process, until merges have ended; what making the terms takes is measured alone and taken off ours.
//! - **query**: for each query our engine, from the text to decoded documents, and bare tantivy, from terms to decoded documents, take
//!   turns of five rounds each, ten times; the least of them. CPU time of the process, since ours answers on another thread, and
//!   beside it what ours took on the wall, and what bare tantivy takes that is called as a service would call it: on a thread that
//!   may wait, with a limit of time. Ours keeps no decoded documents here, since bare tantivy keeps none.
//! - **postgres**: the newest twenty that hold a word, by `LIKE` over a table without an index for it, and by `PostgresEngine`, whose
//!   GIN index of our terms is the best that the database has for Korean. The engines have to find the same documents; so does
//!   `LIKE`, but where a word stands inside of a longer one. Time on the wall; ours as it is by default, which keeps documents
//!   that were shown lately decoded, and beside it what the first of the rounds took, which has to read and decode all of them.
//! - **cached**: a page that a `Search` has kept.
//! - **geo**: the most liked twenty of POSTS within 5 km, beside a look at every place in memory without an index.

mod bare;
mod corpus;
mod database;

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::filter::{Circle, Field, GeoPoint};
use pumasi_search::fallback::Served;
use pumasi_search::{
    Change, Count, Document, Matching, PageCache, Query, Rank, Schema, Search, SearchEngine, Sort,
    TantivyEngine, TantivyOptions, TextField, Total,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use bare::Bare;
use corpus::Corpus;

type Failed = Box<dyn Error>;

const BODY: TextField = TextField::new("body");
const CATEGORY: Field<String> = Field::new("category");
const LIKES: Field<i64> = Field::new("likes");
const PLACE: Field<GeoPoint> = Field::new("place");

/// Hits of a page.
const PAGE: usize = 20;

/// Documents that are committed together.
const BATCH: usize = 10_000;

/// Rounds of each query.
const ROUNDS: usize = 5;

/// Time that a query may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The CPU time of the whole process, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Waits until nothing runs in the background.
fn settle() {
    loop {
        let before = cpu();
        std::thread::sleep(Duration::from_millis(300));
        if cpu() - before < 0.005 {
            return;
        }
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn schema() -> Schema {
    Schema::new("speed").with_text(BODY).with_field(&CATEGORY).with_field(&LIKES).with_field(&PLACE)
}

fn changes(documents: &[Value], from: usize) -> Vec<Change> {
    let change = |(number, source): (usize, &Value)| {
        Change::upsert(Document::new(corpus::id(from + number), source.clone()), 1)
    };
    documents.iter().enumerate().map(change).collect()
}

/// Indexes with both, and tells what each took.
async fn indexing(corpus: &Corpus, engine: &TantivyEngine, bare: &mut Bare) -> Result<Value, Failed> {
    settle();
    let begun = cpu();
    for batch in corpus.documents.chunks(BATCH) {
        for document in batch {
            std::hint::black_box(bare::terms(corpus::body(document)));
        }
    }
    let analysis = cpu() - begun;
    let mut ours = 0.0;
    for (number, batch) in corpus.documents.chunks(BATCH).enumerate() {
        let changes = changes(batch, number * BATCH);
        let begun = cpu();
        for result in engine.apply(&changes).await? {
            result?;
        }
        ours += cpu() - begun;
    }
    let begun = cpu();
    settle();
    ours += cpu() - begun;
    let mut theirs = 0.0;
    for (number, batch) in corpus.documents.chunks(BATCH).enumerate() {
        let documents = bare.prepare(batch, number * BATCH);
        let begun = cpu();
        bare.add(documents)?;
        theirs += cpu() - begun;
    }
    let begun = cpu();
    settle();
    theirs += cpu() - begun;
    Ok(json!({
        "ours_s": rounded(ours), "analysis_s": rounded(analysis), "bare_s": rounded(theirs),
        "ratio_besides_analysis": rounded((ours - analysis) / theirs),
        "documents_per_cpu_second": (corpus.documents.len() as f64 / ours).round(),
    }))
}

/// The least times for each query: ours, bare tantivy called at once, and called as a service would, on a thread that may wait.
async fn queries(
    queries: &[String],
    engine: &TantivyEngine,
    bare: &Arc<Bare>,
    by_likes: bool,
) -> Result<Value, Failed> {
    let (mut ours, mut theirs, mut waiting, mut walls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut as_many, mut same) = (0_usize, 0_usize);
    for text in queries {
        let rank = if by_likes { Rank::sorted([Sort::descending(&LIKES)]) } else { Rank::Text };
        let query = Query::words(text.as_str()).with_limit(PAGE).with_count(Count::None).with_rank(rank);
        let terms = bare::terms(text);
        let (mut least, mut least_bare, mut least_waiting, mut wall) =
            (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
        // each several times in a row, so that none finds its memory taken by another
        for round in 0..2 * ROUNDS {
            let mut found = Vec::new();
            for _ in 0..ROUNDS {
                let (clock, begun) = (Instant::now(), cpu());
                let page = engine.search(&query, LIMIT).await?;
                least = least.min(cpu() - begun);
                wall = wall.min(clock.elapsed().as_secs_f64());
                found = page.hits;
            }
            let mut other = Vec::new();
            for _ in 0..ROUNDS {
                let begun = cpu();
                other = bare.search(&terms, PAGE, by_likes)?;
                least_bare = least_bare.min(cpu() - begun);
            }
            for _ in 0..ROUNDS {
                let (bare, terms) = (Arc::clone(bare), terms.clone());
                let begun = cpu();
                let work = move || bare.search(&terms, PAGE, by_likes).map_err(|error| error.to_string());
                std::hint::black_box(tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(work)).await???);
                least_waiting = least_waiting.min(cpu() - begun);
            }
            if round == 0 {
                as_many += usize::from(found.len() == other.len());
                let pairs = found.iter().zip(&other);
                let equal =
                    pairs.filter(|(hit, (id, source))| hit.id == *id && *hit.source == *source).count();
                same += usize::from(found.len() == other.len() && equal == other.len());
            }
        }
        ours.push(least);
        theirs.push(least_bare);
        waiting.push(least_waiting);
        walls.push(wall);
    }
    let (ours, theirs, waiting, wall) = (median(ours), median(theirs), median(waiting), median(walls));
    Ok(json!({
        "queries": queries.len(), "as_many_hits": as_many, "same_hits": same, "ours_on_the_wall_us": (wall * 1e6).round(),
        "ours_us": (ours * 1e6).round(),
        "bare_us": (theirs * 1e6).round(), "ratio": rounded(ours / theirs),
        "bare_on_a_thread_that_may_wait_us": (waiting * 1e6).round(),
        "ratio_to_bare_on_such_a_thread": rounded(ours / waiting),
    }))
}

/// What a page out of the cache costs.
async fn cached(corpus: &Corpus, engine: TantivyEngine) -> Result<Value, Failed> {
    let search =
        Search::builder("speed").primary(engine).cache(PageCache::memory(1_000)).deadline(LIMIT).build()?;
    let query = |text: &String| Query::words(text.as_str()).with_limit(PAGE).with_count(Count::None);
    for text in &corpus.queries {
        let (_, page) = search.search(query(text)).await?.split();
        std::hint::black_box(page);
    }
    let mut least = f64::MAX;
    for _ in 0..20 {
        let queries: Vec<Query> = corpus.queries.iter().map(query).collect();
        let count = queries.len() as f64;
        let begun = cpu();
        for query in queries {
            let served = search.search(query).await?;
            assert!(matches!(served, Served::Cached { .. }), "a page was not kept");
        }
        least = least.min((cpu() - begun) / count);
    }
    Ok(json!({"us": rounded(least * 1e6)}))
}

async fn geo(posts: usize) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let engine = TantivyEngine::open(schema(), folder.path())?;
    let mut random = fastrand::Rng::with_seed(3);
    let mut place = || GeoPoint::new(37.2 + random.f64() * 0.6, 126.6 + random.f64() * 0.8);
    let mut places = Vec::with_capacity(posts);
    let mut documents = Vec::with_capacity(posts);
    for number in 0..posts {
        let at = place();
        places.push(at);
        documents.push(json!({"likes": number % 1_000, "place": {"lat": at.lat, "lon": at.lon}}));
    }
    for (number, batch) in documents.chunks(50_000).enumerate() {
        for result in engine.apply(&changes(batch, number * 50_000)).await? {
            result?;
        }
    }
    settle();
    let circles: Vec<Circle> = (0..100).map(|_| Circle::new(place(), 5_000.0)).collect();
    let (mut ours, mut scan, mut found) = (Vec::new(), Vec::new(), 0);
    for circle in &circles {
        let query = Query::everything()
            .with_filter(PLACE.near(*circle))
            .with_rank(Rank::sorted([Sort::descending(&LIKES)]))
            .with_limit(PAGE);
        let (mut least, mut least_scan) = (f64::MAX, f64::MAX);
        let mut total = Total::Unknown;
        for _ in 0..ROUNDS {
            let begun = cpu();
            total = engine.search(&query.clone().with_count(Count::Exact), LIMIT).await?.total;
            least = least.min(cpu() - begun);
        }
        for _ in 0..ROUNDS {
            let begun = cpu();
            found = places.iter().filter(|at| circle.holds(**at)).count();
            least_scan = least_scan.min(cpu() - begun);
        }
        assert_eq!(total, Total::Exact(found as u64));
        ours.push(least);
        scan.push(least_scan);
    }
    let (ours, scan) = (median(ours), median(scan));
    Ok(json!({
        "posts": posts, "found": found, "ours_us": (ours * 1e6).round(), "scan_in_memory_us": (scan * 1e6).round(),
        "ratio": rounded(ours / scan),
    }))
}

/// Twenty of the most liked documents that hold a word, as the three of them find them.
fn liked(word: &str) -> Query {
    Query::words(word)
        .with_matching(Matching::All)
        .with_rank(Rank::sorted([Sort::descending(&LIKES)]))
        .with_limit(PAGE)
        .with_count(Count::None)
}

async fn run(documents: usize, posts: usize) -> Result<Value, Failed> {
    let corpus = Corpus::new(documents);
    let (folder, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let options = TantivyOptions::default().with_memory_bytes(256 << 20);
    let engine = TantivyEngine::open_with(schema(), folder.path(), options.with_kept_bytes(0))?;
    let mut bare = Bare::create(other.path(), 256 << 20)?;
    let indexing = indexing(&corpus, &engine, &mut bare).await?;
    let bare = Arc::new(bare);
    let by_score = queries(&corpus.queries, &engine, &bare, false).await?;
    let by_likes = queries(&corpus.queries, &engine, &bare, true).await?;
    let unknown: Vec<String> = (0..100).map(|number| format!("unknown{number}")).collect();
    let of_nothing = queries(&unknown, &engine, &bare, false).await?;
    drop(engine);
    let engine = TantivyEngine::open_with(schema(), folder.path(), options)?;
    let postgres = match std::env::var("PUMASI_POSTGRES_URL") {
        Ok(url) => database::compare(&url, &corpus, &engine).await?,
        Err(_) => Value::Null,
    };
    let cached = cached(&corpus, engine).await?;
    Ok(json!({
        "documents": documents, "bytes": corpus.bytes(),
        "indexing": indexing, "query_by_score": by_score, "query_by_likes": by_likes,
        "query_that_finds_nothing": of_nothing,
        "postgres": postgres, "cached": cached, "geo_5_km": geo(posts).await?,
    }))
}

fn main() -> Result<(), Failed> {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let documents = words.next().transpose()?.unwrap_or(100_000);
    let posts = words.next().transpose()?.unwrap_or(300_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(run(documents, posts))?;
    writeln!(std::io::stdout().lock(), "{report:#}")?;
    Ok(())
}
