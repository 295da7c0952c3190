//! Pages while documents move to and fro.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;

use super::laws::TIME;
use super::sample::{CATEGORY, LIKES, TAGS, schema};
use super::{Broken, EngineHarness, Kept, Verdict, holds, same};
use crate::engine::{Change, MemoryEngine, SearchEngine};
use crate::page::{Highlight, Page, Total};
use crate::query::{Count, Matching, Query, Rank, Sort};
use crate::schema::Document;

/// Documents that move.
const MOVERS: u64 = 24;

/// Batches of changes that are written while pages are looked at, and pages that are looked at, at least.
const BATCHES: u64 = 20;
const PAGES: usize = 60;

/// Where documents move to and fro between; from the last of them they are gone.
const STATES: [(&str, &str); 3] = [("run", "아침"), ("race", "저녁"), ("", "")];

fn mover(number: u64, version: u64) -> Change {
    let id = format!("mover-{number:02}");
    match STATES.get(state(version)) {
        Some((category, word)) if !category.is_empty() => {
            let source = json!({
                "title": format!("움직이는문서 {word}"), "category": category, "tags": [category, "mover"],
                "stats": {"likes": number},
            });
            Change::upsert(Document::new(id, source), version)
        }
        _ => Change::delete(id, version),
    }
}

/// A document's version says where it stands.
fn state(version: u64) -> usize {
    usize::try_from(version).unwrap_or_default() % STATES.len()
}

/// How a title is highlighted in each state.
type Marked = Vec<Vec<Highlight>>;

async fn marked(query: &Query) -> Result<Marked, Broken> {
    let mut all = Marked::new();
    for version in 3..6 {
        let reference = MemoryEngine::new(schema());
        reference.apply(&[mover(0, version)]).await?;
        let page = reference.search(query, TIME).await?;
        all.push(page.hits.into_iter().next().map(|hit| hit.highlights).unwrap_or_default());
    }
    Ok(all)
}

/// Everything that a page says agrees with the documents that it holds.
fn agrees(page: &Page, query: &Query, marked: &Marked) -> Result<(), Broken> {
    let what = format!("{query:?}");
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for hit in &page.hits {
        let (state, category) =
            (state(hit.version), hit.source.get("category").and_then(|value| value.as_str()));
        same!(
            category,
            STATES.get(state).map(|(category, _)| *category),
            "the category of a version by {what}"
        );
        let tagged = hit.source.get("tags").and_then(|tags| tags.get(0)?.as_str());
        same!(tagged, category, "the two places of a document by {what}");
        if query.highlight {
            same!(Some(&hit.highlights), marked.get(state), "the highlights of a version by {what}");
        }
        *counted.entry(category.unwrap_or_default()).or_default() += 1;
    }
    let hits = u64::try_from(page.hits.len()).unwrap_or(u64::MAX);
    if query.limit > 0 {
        same!(page.total, Total::Exact(hits), "the total beside the hits of {what}");
    }
    for facet in &page.facets {
        let counts = facet.counts.iter().map(|count| (count.value.as_str(), count.count));
        let counts: BTreeMap<&str, u64> = counts.filter(|(value, _)| *value != "mover").collect();
        if query.limit > 0 {
            same!(counts, counted, "the facet {} beside the hits of {what}", facet.field);
        }
        same!(
            Total::Exact(counts.values().sum()),
            page.total,
            "the facet {} beside the total of {what}",
            facet.field
        );
    }
    Ok(())
}

/// Moves documents until nobody looks any more.
async fn write(
    engine: Arc<dyn SearchEngine>,
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<(), Broken> {
    let mut random = fastrand::Rng::with_seed(13);
    let mut versions = vec![1_u64; usize::try_from(MOVERS).unwrap_or_default()];
    while !over.load(Ordering::SeqCst) {
        let mut changes = Vec::new();
        for (number, version) in (0..).zip(&mut versions) {
            if random.u8(..3) == 0 {
                *version += random.u64(1..=2);
                changes.push(mover(number, *version));
            }
        }
        for result in engine.apply(&changes).await? {
            result?;
        }
        written.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Law 13: hits, their highlights, facets and totals are of one moment while others write.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_13_one_snapshot_while_writes_go_on(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    engine.apply(&(0..MOVERS).map(|number| mover(number, 1)).collect::<Vec<_>>()).await?;
    let every = Query::new("움직이는문서 아침").with_matching(Matching::Any).with_limit(100);
    let every =
        every.with_count(Count::Exact).with_highlight().with_facet(&CATEGORY, 10).with_facet(&TAGS, 10);
    let sorted = every.clone().with_rank(Rank::sorted([Sort::descending(&LIKES)]));
    let queries = [
        every.clone(),
        sorted.clone(),
        sorted.with_filter(CATEGORY.eq("run")),
        every.clone().with_limit(0),
        Query::everything().with_limit(100).with_count(Count::Exact).with_facet(&CATEGORY, 10),
    ];
    let mut marks = Vec::new();
    for query in &queries {
        marks.push(marked(query).await?);
    }
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writing = write(Arc::clone(&engine), Arc::clone(&over), Arc::clone(&written));
    let runtime = tokio::runtime::Handle::current();
    // on another thread, as other requests are
    let writer = tokio::task::spawn_blocking(move || runtime.block_on(writing));
    let ends = Instant::now() + TIME;
    let mut pages = 0;
    let looked = async {
        while (pages < PAGES || written.load(Ordering::SeqCst) < BATCHES)
            && Instant::now() < ends
            && !writer.is_finished()
        {
            for (query, marks) in queries.iter().zip(&marks) {
                agrees(&engine.search(query, TIME).await?, query, marks)?;
                pages += 1;
                // an engine that never waits would keep the writer from its connection
                tokio::task::yield_now().await;
            }
        }
        Ok::<_, Broken>(())
    };
    let looked = looked.await;
    over.store(true, Ordering::SeqCst);
    writer.await.map_err(|error| Broken::new(format!("the writer broke off: {error}")))??;
    looked?;
    holds!(
        written.load(Ordering::SeqCst) >= BATCHES,
        "only {written:?} batches were written beside {pages} pages"
    );
    Ok(Kept::Whole)
}
