//! One search on one snapshot of the index.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pumasi_core::filter::{FieldPath, Filter};
use serde_json::Value as Json;
use tantivy::query::{BooleanQuery, ConstScoreQuery, EnableScoring, Occur, Query as IndexQuery};
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, Term};

use super::failed;
use super::fields::{Fields, GONE};
use super::filter::Lowering;
use super::lookup::Lookup;
use super::tally::Tally;
use super::top::{Additions, After, Columns, Found, KeyColumn, OrderKey, Top};
use crate::engine::order::{Candidate, additions, compare, reciprocal};
use crate::page::{Cursor, Explanation, Facet, FacetCount, Gap, Hit, Key, Marker, Page, Total};
use crate::query::{Count, Fusion, Plan, Query, Rank, Sort};
use crate::schema::{FieldKind, Schema};
use crate::{Error, ErrorKind, Result};

/// What one search works with.
pub(super) struct Search<'a> {
    pub(super) schema: &'a Schema,
    pub(super) fields: &'a Fields,
    pub(super) name: &'a str,
    pub(super) generation: u64,
    pub(super) searcher: Searcher,
    pub(super) columns: Arc<Columns>,
    pub(super) stop: Arc<AtomicBool>,
}

fn searching(error: tantivy::TantivyError) -> Error {
    failed("searching", error)
}

impl Search<'_> {
    pub(super) fn run(&self, query: &Query) -> Result<Page> {
        query.check(self.schema)?;
        let plan = Plan::of(self.schema, query);
        let rank =
            query.after.as_ref().map_or_else(|| query.rank.clone(), |after| after.carried(&query.rank));
        let lookup = self.lookup(query, &plan)?;
        let mut page = Page::new(self.name, self.generation);
        if let Some(after) = &query.after
            && rank.needs_scores()
            && after.engine != self.name
        {
            page.gaps.push(Gap::Ranking);
        }
        let (mut found, seen) = match &rank {
            Rank::Fused(fusion) if fusion.rrf.is_some() => {
                (self.fused(fusion, query, lookup.as_ref())?, None)
            }
            rank => self.ordered(rank, query, lookup.as_ref())?,
        };
        self.count(query, lookup.as_ref(), seen, &mut page)?;
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        if let (true, Some(last)) = (more, found.last()) {
            let at = Query { rank: rank.clone(), ..query.clone() };
            page.next = Some(Cursor::new(&at, last.keys.clone(), &last.id, self.name));
        }
        let marker = query.highlight.then(|| Marker::new(self.schema, &plan));
        for found in found {
            page.hits.push(self.hit(found, &rank, query, lookup.as_ref(), marker.as_ref())?);
        }
        Ok(page)
    }

    /// What is found, and how the text scores it.
    fn lookup(&self, query: &Query, plan: &Plan) -> Result<Box<dyn IndexQuery>> {
        let gone = Term::from_field_u64(self.fields.state, GONE);
        let gone = self.searcher.doc_freq(&gone).map_err(searching)? > 0;
        let lowering = Lowering { fields: self.fields, gone };
        let text = Lookup { schema: self.schema, fields: self.fields }.plan(plan, &lowering);
        let canonical = query.filter.canonical().into_filter();
        let open = matches!(&canonical, Filter::And(all) if all.is_empty());
        let boosts = query.boosts.iter().filter(|_| query.rank.needs_scores());
        let constant = |query: Box<dyn IndexQuery>, score: f32| -> Box<dyn IndexQuery> {
            Box::new(ConstScoreQuery::new(query, score))
        };
        let boosts: Vec<(Occur, Box<dyn IndexQuery>)> = boosts
            .map(|boost| {
                (
                    Occur::Should,
                    constant(lowering.lower(&boost.filter.canonical().into_filter(), true), boost.weight),
                )
            })
            .collect();
        if open && boosts.is_empty() {
            return Ok(text);
        }
        let mut clauses = vec![(Occur::Must, text)];
        if !open {
            clauses.push((Occur::Must, constant(lowering.lower(&canonical, true), 0.0)));
        }
        clauses.extend(boosts);
        Ok(Box::new(BooleanQuery::new(clauses)))
    }

    /// The page and one more, in the order; and how many documents matched, where all were looked at.
    fn ordered(
        &self,
        rank: &Rank,
        query: &Query,
        lookup: &dyn IndexQuery,
    ) -> Result<(Vec<Found>, Option<u64>)> {
        let (order, sorts) = self.order(rank);
        let additions = match rank {
            Rank::Fused(fusion) => Some(self.additions(fusion)),
            _ => None,
        };
        let mut top = Top {
            limit: query.limit.saturating_add(1),
            order,
            after: None,
            additions,
            columns: Arc::clone(&self.columns),
            stop: Arc::clone(&self.stop),
        };
        if let Some(cursor) = &query.after {
            let mut after = After { keys: cursor.keys.clone(), id: cursor.id.clone() };
            // scores are of today: the walk goes on behind the document itself where it is still found
            if rank.needs_scores()
                && let Some(key) = self.score_of(&top, lookup, &cursor.id).map_err(searching)?
            {
                after.keys = vec![key];
            }
            top.after = Some(after);
        }
        let collected = self.searcher.search(lookup, &top).map_err(searching)?;
        let seen = collected.seen;
        // a walk by scores may meet the document that it stands at again
        let best = top.limit.saturating_add(usize::from(query.after.is_some()));
        let mut found = collected.best(best, &sorts, &self.columns).map_err(searching)?;
        if let Some(cursor) = query.after.as_ref().filter(|_| rank.needs_scores()) {
            found.retain(|hit| hit.id != cursor.id);
        }
        Ok((found, seen))
    }

    fn order(&self, rank: &Rank) -> (Vec<OrderKey>, Vec<Sort>) {
        let Rank::Fields(sorts) = rank else {
            let order = vec![OrderKey { column: KeyColumn::Score, descending: false, bool: false }];
            return (order, vec![Sort::descending_at(&FieldPath::from_static("score"))]);
        };
        let keys = sorts.iter().filter_map(|sort| {
            let column = self.fields.column(&sort.path())?;
            let (name, bool) = (column.name.clone(), column.kind == FieldKind::Bool);
            let key = match column.kind {
                FieldKind::Float => KeyColumn::Float(name),
                FieldKind::Keyword => KeyColumn::Text(name),
                _ => KeyColumn::Int(name),
            };
            Some(OrderKey { column: key, descending: sort.descending, bool })
        });
        (keys.collect(), sorts.clone())
    }

    fn additions(&self, fusion: &Fusion) -> Additions {
        let column = |field: &str| self.fields.column(&FieldPath::new(field.to_owned()));
        let numbers = fusion.popularity.iter().filter_map(|part| {
            let column = column(&part.field)?;
            Some((part.clone(), column.name.clone(), column.kind == FieldKind::Float))
        });
        let moments =
            fusion.decay.iter().filter_map(|part| Some((part.clone(), column(&part.field)?.name.clone())));
        Additions { text: fusion.text, popularity: numbers.collect(), decay: moments.collect() }
    }

    /// The best texts by their ranks, behind the cursor.
    fn fused(&self, fusion: &Fusion, query: &Query, lookup: &dyn IndexQuery) -> Result<Vec<Found>> {
        let (order, sorts) = self.order(&Rank::Text);
        let top = Top {
            limit: fusion.window,
            order,
            after: None,
            additions: None,
            columns: Arc::clone(&self.columns),
            stop: Arc::clone(&self.stop),
        };
        let collected = self.searcher.search(lookup, &top).map_err(searching)?;
        let mut found = collected.best(fusion.window, &sorts, &self.columns).map_err(searching)?;
        let parts = self.additions(fusion);
        let mut candidates = Vec::with_capacity(found.len());
        for hit in &found {
            let values = super::top::added(&self.searcher, &parts, hit.address).map_err(searching)?;
            candidates.push(Candidate { id: &hit.id, text: hit.score, additions: values });
        }
        let scores = reciprocal(fusion, fusion.rrf.unwrap_or(60.0), &candidates);
        for (hit, score) in found.iter_mut().zip(scores) {
            hit.score = score;
            hit.keys = vec![Key::float(f64::from(score))];
        }
        found.sort_by(|a, b| compare(&sorts, (&a.keys, &a.id), (&b.keys, &b.id)));
        if let Some(cursor) = &query.after {
            let same = found.iter().position(|hit| hit.id == cursor.id);
            let behind = || {
                found.partition_point(|hit| {
                    compare(&sorts, (&hit.keys, &hit.id), (&cursor.keys, &cursor.id)).is_le()
                })
            };
            let start = same.map_or_else(behind, |place| place + 1);
            found.drain(..start.min(found.len()));
        }
        Ok(found)
    }

    /// What a document scores now, if it is found.
    fn score_of(&self, top: &Top, lookup: &dyn IndexQuery, id: &str) -> tantivy::Result<Option<Key>> {
        let Some(address) = address(&self.searcher, self.fields, id)? else { return Ok(None) };
        let weight = lookup.weight(EnableScoring::enabled_from_searcher(&self.searcher))?;
        let reader = self.searcher.segment_reader(address.segment_ord);
        let mut scorer = weight.scorer(reader, 1.0)?;
        if scorer.doc() > address.doc_id || scorer.seek(address.doc_id) != address.doc_id {
            return Ok(None);
        }
        top.key(address.segment_ord, reader, address.doc_id, scorer.score()).map(Some)
    }

    fn count(
        &self,
        query: &Query,
        lookup: &dyn IndexQuery,
        seen: Option<u64>,
        page: &mut Page,
    ) -> Result<()> {
        let known = if query.count == Count::None { Some(0) } else { seen };
        let matching = match known {
            Some(matching) if query.facets.is_empty() => matching,
            _ => {
                let column = |field: &str| self.fields.column(&FieldPath::new(field.to_owned()));
                let columns = query
                    .facets
                    .iter()
                    .filter_map(|facet| Some(column(&facet.field)?.name.clone()))
                    .collect();
                let tally = Tally { columns, stop: Arc::clone(&self.stop) };
                let counted = self.searcher.search(lookup, &tally).map_err(searching)?;
                for (request, values) in query.facets.iter().zip(counted.values) {
                    let counts = values.into_iter().map(|(value, count)| FacetCount { value, count });
                    let mut counts: Vec<FacetCount> = counts.collect();
                    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
                    counts.truncate(request.limit);
                    page.facets.push(Facet { field: request.field.clone(), counts });
                }
                counted.documents
            }
        };
        page.total = match query.count {
            Count::None => Total::Unknown,
            Count::UpTo(most) if matching > most => Total::AtLeast(most),
            _ => Total::Exact(matching),
        };
        Ok(())
    }

    fn hit(
        &self,
        found: Found,
        rank: &Rank,
        query: &Query,
        lookup: &dyn IndexQuery,
        marker: Option<&Marker<'_>>,
    ) -> Result<Hit> {
        let document: TantivyDocument = self.searcher.doc(found.address).map_err(searching)?;
        let bytes =
            document.get_first(self.fields.source).and_then(|value| value.as_bytes()).unwrap_or_default();
        let source: Json = serde_json::from_slice(bytes).map_err(|_| {
            Error::new(ErrorKind::Storage, format!("the index holds no readable document under {}", found.id))
        })?;
        let version = self.columns.version(found.address).map_err(searching)?;
        let mut hit = Hit::new(found.id, version, source);
        if rank.needs_scores() {
            hit.score = Some(found.score);
        }
        if let Some(marker) = marker {
            hit.highlights = marker.highlights(&hit.source);
        }
        if query.explain {
            let explained = lookup.explain(&self.searcher, found.address).map_err(searching)?;
            let text = serde_json::from_str(&explained.to_pretty_json()).unwrap_or_default();
            let mut parts = vec![explanation(&text)];
            if let Rank::Fused(fusion) = rank {
                let added = additions(fusion, &hit.source).into_iter();
                parts.extend(added.map(|(name, value)| Explanation::new(name, value)));
            }
            hit.explanation = Some(Explanation::sum("score", parts));
        }
        Ok(hit)
    }
}

/// Reads what the index says of a score.
fn explanation(json: &Json) -> Explanation {
    let name = json.get("description").and_then(Json::as_str).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    let value = json.get("value").and_then(Json::as_f64).unwrap_or_default() as f32;
    let details = json.get("details").and_then(Json::as_array);
    let parts = details.map(|details| details.iter().map(explanation).collect()).unwrap_or_default();
    Explanation { name: name.to_owned(), value, parts }
}

/// Finds where a document is.
pub(super) fn address(searcher: &Searcher, fields: &Fields, id: &str) -> tantivy::Result<Option<DocAddress>> {
    let term = fields.id_term(id);
    for (ord, reader) in (0_u32..).zip(searcher.segment_readers()) {
        let inverted = reader.inverted_index(fields.id)?;
        let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        let mut doc = postings.doc();
        while doc != TERMINATED {
            if !reader.is_deleted(doc) {
                return Ok(Some(DocAddress::new(ord, doc)));
            }
            doc = postings.advance();
        }
    }
    Ok(None)
}
