//! A walk through everything on the embedded engine, with writes and a failover in its middle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::filter::Field;
use pumasi_search::fallback::Served;
use pumasi_search::{
    Applied, Change, Document, Error, ErrorKind, Page, Query, Rank, Result, Schema, Search, SearchEngine,
    Sort, Stamp, Status, TantivyEngine, TextField,
};
use serde_json::json;

const LIKES: Field<i64> = Field::new("likes");

/// Documents of the walk, unless `PUMASI_SEARCH_WALK` says another number; the is 1,000,000.
const DOCUMENTS: usize = 4_000;

/// One in so many is changed while the walk is under way.
const CHANGED: usize = 50;

/// Documents of a page.
const PAGE: usize = 20;

/// An engine that can be cut off.
#[derive(Clone, Debug)]
struct Cut {
    engine: Arc<TantivyEngine>,
    away: Arc<AtomicBool>,
}

impl Cut {
    fn check(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the engine is cut off"));
        }
        Ok(())
    }
}

#[async_trait]
impl SearchEngine for Cut {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn schema(&self) -> &Schema {
        self.engine.schema()
    }

    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
        self.check()?;
        self.engine.search(query, time_left).await
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        self.engine.apply(changes).await
    }

    async fn status(&self) -> Result<Status> {
        self.check()?;
        self.engine.status().await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        self.check()?;
        self.engine.stamps(after, limit).await
    }
}

fn post(number: usize, version: u64) -> Change {
    let likes = number.wrapping_mul(2_654_435_761) % 10_007 + usize::try_from(version).unwrap_or(0) * 977;
    Change::upsert(
        Document::new(format!("{number:07}"), json!({"title": "한강 러닝크루", "likes": likes})),
        version,
    )
}

fn is_changed(number: usize) -> bool {
    number % CHANGED == CHANGED / 2
}

async fn apply(engines: &[&Cut], changes: &[Change]) {
    for engine in engines {
        for result in engine.apply(changes).await.expect("a batch") {
            result.expect("a change");
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_through_everything_misses_and_repeats_nothing_and_no_page_costs_more() {
    let wanted = std::env::var("PUMASI_SEARCH_WALK").ok().and_then(|text| text.parse().ok());
    let documents = wanted.unwrap_or(DOCUMENTS);
    let schema = || Schema::new("walk").with_text(TextField::new("title")).with_field(&LIKES);
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [primary, other] = [("primary", &folders[0]), ("other", &folders[1])].map(|(name, folder)| Cut {
        engine: Arc::new(TantivyEngine::open(schema(), folder.path()).expect("an index").with_name(name)),
        away: Arc::default(),
    });
    let numbers: Vec<usize> = (0..documents).collect();
    for batch in numbers.chunks(20_000) {
        let changes: Vec<Change> = batch.iter().map(|number| post(*number, 1)).collect();
        apply(&[&primary, &other], &changes).await;
    }
    let search = Search::builder("walk")
        .primary(primary.clone())
        .fallback(other.clone())
        .deadline(Duration::from_mins(1))
        .build()
        .expect("a search");
    let query = Query::everything().with_rank(Rank::sorted([Sort::descending(&LIKES)])).with_limit(PAGE);
    let (mut seen, mut times, mut degraded, mut version) = (HashMap::<String, u32>::new(), Vec::new(), 0, 1);
    let mut cursor = None;
    loop {
        let next = match cursor.take() {
            Some(cursor) => query.clone().after(cursor),
            None => query.clone(),
        };
        let begun = Instant::now();
        let served = search.search(next).await.expect("a page");
        times.push(begun.elapsed());
        degraded += usize::from(matches!(served, Served::Degraded { .. }));
        let (_, page) = served.split();
        for hit in &page.hits {
            *seen.entry(hit.id.clone()).or_default() += 1;
        }
        let (at, pages) = (times.len(), documents / PAGE);
        // cut off in the middle for a tenth of the walk; written to twenty times on the way
        primary.away.store((pages / 2..pages * 6 / 10).contains(&at), Ordering::SeqCst);
        if at.is_multiple_of((pages / 20).max(1)) {
            version += 1;
            let changes: Vec<Change> = numbers
                .iter()
                .filter(|number| is_changed(**number))
                .map(|number| post(*number, version))
                .collect();
            apply(&[&primary, &other], &changes).await;
        }
        match &page.next {
            Some(next) => cursor = Some(next.clone()),
            None => break,
        }
    }
    for number in numbers.iter().filter(|number| !is_changed(**number)) {
        let times = seen.get(&format!("{number:07}")).copied().unwrap_or_default();
        assert_eq!(times, 1, "document {number} was seen {times} times");
    }
    assert!(degraded > 0, "the other engine answered no page");
    let tenth = (times.len() / 10).max(1);
    let first = median(times.iter().take(tenth).copied().collect());
    let last = median(times.iter().rev().take(tenth).copied().collect());
    println!(
        "{documents} documents, {} pages, {degraded} by the other engine; the first tenth {first:?} a page, the last {last:?}",
        times.len()
    );
    if wanted.is_some() {
        assert!(
            last.as_secs_f64() <= 1.5 * first.as_secs_f64(),
            "pages at the end cost {last:?}, at the start {first:?}"
        );
    }
}
