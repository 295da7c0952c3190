//! The reference: documents in memory, looked at one by one.

mod index;
mod score;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::text::Bm25;

use super::order::{Candidate, Shares, additions, compare, explain_weighted, keys_of, reciprocal};
use super::{Applied, Change, ChangeKind, SearchEngine, Stamp, Status, poisoned};
use crate::page::{Cursor, Explanation, Facet, FacetCount, Gap, Hit, Key, Marker, Page, Total};
use crate::query::{Boost, Count, FacetRequest, Fusion, Plan, Query, Rank};
use crate::schema::{Schema, value_at};
use crate::{Error, ErrorKind, Result};
use index::{Entry, Index};
use score::Scorer;

/// Documents that are looked at between two looks at the clock.
const STRIDE: usize = 256;

/// Keeps documents in memory, and evaluates every query on every document: what the other engines are measured by.
///
/// It survives nothing, and a search takes time linear in the number of documents: for tests, and for a few thousand.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use pumasi_search::{Change, Document, MemoryEngine, Query, Schema, SearchEngine, TextField};
/// use serde_json::json;
///
/// let engine = MemoryEngine::new(Schema::new("posts").with_text(TextField::new("body")));
/// engine.apply(&[Change::upsert(Document::new("1", json!({"body": "매일 아침 10km를 달렸습니다"})), 1)]).await?;
/// let page = engine.search(&Query::new("아침 달리기"), Duration::from_secs(1)).await?;
/// assert_eq!(page.ids(), ["1"]);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemoryEngine {
    schema: Schema,
    name: String,
    bm25: Bm25,
    index: Arc<RwLock<Index>>,
}

/// A document that was found.
struct Found<'a> {
    id: &'a str,
    entry: &'a Entry,
    keys: Vec<Key>,
    score: f32,
    /// Its place among those whose ranks were added up.
    place: usize,
}

impl MemoryEngine {
    /// Makes an empty index, called `memory`.
    pub fn new(schema: Schema) -> Self {
        Self { schema, name: "memory".to_owned(), bm25: Bm25::default(), index: Arc::default() }
    }

    /// Gives the engine another name, where there are several.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Empties the index, as a disk that was lost would.
    ///
    /// # Errors
    ///
    /// `Other` where a thread panicked while it held the index.
    pub fn wipe(&self) -> Result<()> {
        let mut index = self.index.write().map_err(|_| poisoned())?;
        index.clear();
        Ok(())
    }

    fn find(&self, query: &Query, time_left: Duration) -> Result<Page> {
        self.schema.validate()?;
        query.check(&self.schema)?;
        let ends = Instant::now().checked_add(time_left);
        let index = self.index.read().map_err(|_| poisoned())?;
        let plan = Plan::of(&self.schema, query);
        let rank =
            query.after.as_ref().map_or_else(|| query.rank.clone(), |after| after.carried(&query.rank));
        let scorer = Scorer::new(&self.schema, &index, self.bm25);
        let mut found: Vec<Found<'_>> = Vec::new();
        for (place, (id, entry)) in index.entries.iter().enumerate() {
            if place % STRIDE == 0 && ends.is_some_and(|ends| Instant::now() >= ends) {
                return Err(Error::new(ErrorKind::Timeout, "the search ran out of time"));
            }
            let Some(indexed) = &entry.indexed else { continue };
            if !query.filter.matches(&*indexed.source) {
                continue;
            }
            let Some(score) = scorer.plan(&plan, indexed) else { continue };
            found.push(Found { id, entry, keys: Vec::new(), score, place: 0 });
        }
        let mut page = Page::new(self.name.as_str(), index.generation);
        page.known = u64::try_from(index.entries.len()).ok();
        if plan.cut {
            page.gaps.push(Gap::Terms);
        }
        let matching = u64::try_from(found.len()).unwrap_or(u64::MAX);
        page.total = match query.count {
            Count::None => Total::Unknown,
            Count::UpTo(most) if matching > most => Total::AtLeast(most),
            _ => Total::Exact(matching),
        };
        page.facets = query.facets.iter().map(|facet| count(facet, &found)).collect();
        let shares = self.sort(&rank, &query.boosts, &mut found);
        self.cut(query, &rank, found, &mut page, |hit| {
            let text = explain(&scorer, &plan, &rank, query, hit.entry);
            match (&rank, &shares, hit.entry.source()) {
                (Rank::Fused(fusion), Some(shares), _) => shares.explain(fusion, hit.place, &text),
                (Rank::Fused(fusion), None, Some(source)) => explain_weighted(fusion, text, source),
                _ => text,
            }
        });
        if query.highlight {
            let marker = Marker::new(&self.schema, &plan);
            for hit in &mut page.hits {
                hit.highlights = marker.highlights(&hit.source);
            }
        }
        Ok(page)
    }

    /// Brings what was found into the query's order; tells what ranks added where they are added up.
    fn sort(&self, rank: &Rank, boosts: &[Boost], found: &mut Vec<Found<'_>>) -> Option<Shares> {
        match rank {
            Rank::Fields(sorts) => {
                for hit in found.iter_mut() {
                    hit.keys = hit
                        .entry
                        .source()
                        .map(|source| keys_of(&self.schema, sorts, source))
                        .unwrap_or_default();
                }
                found.sort_by(|a, b| compare(sorts, (&a.keys, a.id), (&b.keys, b.id)));
                return None;
            }
            _ => {
                for hit in found.iter_mut() {
                    hit.score += boosted(boosts, hit.entry);
                }
            }
        }
        let mut shares = None;
        match rank {
            Rank::Fused(fusion) if fusion.rrf.is_some() => {
                shares = Some(fuse(fusion, fusion.rrf.unwrap_or(60.0), found));
            }
            Rank::Fused(fusion) => {
                for hit in found.iter_mut() {
                    let added =
                        hit.entry.source().map(|source| additions(fusion, source)).unwrap_or_default();
                    hit.score = hit.score.mul_add(fusion.text, added.iter().map(|(_, value)| value).sum());
                }
            }
            _ => {}
        }
        for hit in found.iter_mut() {
            hit.keys = vec![Key::float(f64::from(hit.score))];
        }
        by_score(found);
        shares
    }

    /// Cuts the page out of what was found, and says where the next one begins.
    fn cut(
        &self,
        query: &Query,
        rank: &Rank,
        found: Vec<Found<'_>>,
        page: &mut Page,
        explain: impl Fn(&Found<'_>) -> Explanation,
    ) {
        let start = match &query.after {
            None => 0,
            Some(after) => {
                // scores are of today: the walk goes on behind the document itself where it is still found
                let same = found.iter().position(|hit| rank.needs_scores() && hit.id == after.id);
                if rank.needs_scores() && after.engine != self.name {
                    page.gaps.push(Gap::Ranking);
                }
                let sorts = match rank {
                    Rank::Fields(sorts) => sorts.clone(),
                    _ => {
                        vec![crate::query::Sort::descending_at(&pumasi_core::filter::FieldPath::new("score"))]
                    }
                };
                let behind = || {
                    found.partition_point(|hit| {
                        compare(&sorts, (&hit.keys, hit.id), (&after.keys, &after.id)).is_le()
                    })
                };
                same.map_or_else(behind, |place| place + 1)
            }
        };
        let more = found.len() > start.saturating_add(query.limit);
        let mut last = None;
        for hit in found.into_iter().skip(start).take(query.limit) {
            let Some(indexed) = &hit.entry.indexed else { continue };
            let mut out = Hit::new(hit.id, hit.entry.version, Arc::clone(&indexed.source));
            out.score = rank.needs_scores().then_some(hit.score);
            out.explanation = query.explain.then(|| explain(&hit));
            page.hits.push(out);
            last = Some((hit.keys, hit.id));
        }
        if let (true, Some((keys, id))) = (more, last) {
            let at = Query { rank: rank.clone(), ..query.clone() };
            page.next = Some(Cursor::new(&self.schema, &at, keys, id, &self.name));
        }
    }
}

fn by_score(found: &mut [Found<'_>]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(b.id)));
}

fn boosted(boosts: &[Boost], entry: &Entry) -> f32 {
    let source = entry.source();
    let holds = |boost: &&Boost| source.is_some_and(|source| boost.filter.matches(source));
    boosts.iter().filter(holds).map(|boost| boost.weight).sum()
}

/// Scores the best texts by their ranks, and drops the others.
fn fuse(fusion: &Fusion, k: f32, found: &mut Vec<Found<'_>>) -> Shares {
    by_score(found);
    found.truncate(fusion.window);
    let candidates: Vec<Candidate<'_>> = found
        .iter()
        .map(|hit| {
            let added = hit.entry.source().map(|source| additions(fusion, source)).unwrap_or_default();
            let additions = added.into_iter().map(|(_, value)| value).collect();
            Candidate { id: hit.id, text: hit.score, additions }
        })
        .collect();
    let shares = reciprocal(fusion, k, &candidates);
    for (place, (hit, score)) in found.iter_mut().zip(shares.scores()).enumerate() {
        (hit.score, hit.place) = (score, place);
    }
    shares
}

/// Explains the score of a text, with what boosts add.
fn explain(scorer: &Scorer<'_>, plan: &Plan, rank: &Rank, query: &Query, entry: &Entry) -> Explanation {
    let mut parts = entry.indexed.as_ref().map(|indexed| scorer.explain(plan, indexed)).unwrap_or_default();
    if rank.needs_scores() && !query.boosts.is_empty() {
        parts.push(Explanation::new("boosts", boosted(&query.boosts, entry)));
    }
    Explanation::sum(if matches!(rank, Rank::Fused(_)) { "text" } else { "score" }, parts)
}

fn count(request: &FacetRequest, found: &[Found<'_>]) -> Facet {
    let path = pumasi_core::filter::FieldPath::new(request.field.clone());
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for value in found.iter().filter_map(|hit| value_at(hit.entry.source()?, &path)) {
        let mut values: Vec<&str> = match value.as_array() {
            Some(items) => items.iter().filter_map(serde_json::Value::as_str).collect(),
            None => value.as_str().into_iter().collect(),
        };
        values.sort_unstable();
        values.dedup();
        for value in values {
            *counts.entry(value).or_default() += 1;
        }
    }
    let mut counts: Vec<FacetCount> =
        counts.into_iter().map(|(value, count)| FacetCount { value: value.to_owned(), count }).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    counts.truncate(request.limit);
    Facet { field: request.field.clone(), counts }
}

#[async_trait]
impl SearchEngine for MemoryEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
        self.find(query, time_left)
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        self.schema.validate()?;
        let mut index = self.index.write().map_err(|_| poisoned())?;
        let apply = |change: &Change| {
            change.check(&self.schema)?;
            let document = match change.kind() {
                ChangeKind::Upsert(document) => Some(document),
                ChangeKind::Delete(_) => None,
            };
            Ok(index.put(&self.schema, change, document))
        };
        Ok(changes.iter().map(apply).collect())
    }

    async fn status(&self) -> Result<Status> {
        let index = self.index.read().map_err(|_| poisoned())?;
        let status = Status::new(index.documents(), index.generation, index.applied);
        Ok(status.with_deleted(index.deleted()))
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        use std::ops::Bound;
        let index = self.index.read().map_err(|_| poisoned())?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries: &BTreeMap<String, Entry> = &index.entries;
        let range = entries.range::<str, _>((from, Bound::Unbounded));
        let there = range.filter(|(_, entry)| entry.indexed.is_some());
        Ok(there.take(limit).map(|(id, entry)| Stamp::new(id.as_str(), entry.version)).collect())
    }
}
