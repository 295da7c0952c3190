//! One search on one snapshot of the index.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pumasi_core::filter::{FieldPath, Filter};
use tantivy::query::{BooleanQuery, ConstScoreQuery, EnableScoring, Occur, Query as IndexQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED};

use super::columns::Columns;
use super::failed;
use super::fields::Fields;
use super::filter::Lowering;
use super::kept::{Decoded, Kept};
use super::keys::{After, KeyColumn, OrderKey};
use super::lookup::Lookup;
use super::stored::Stored;
use super::tally::Tally;
use super::top::{Additions, Collected, Found, Top};
use crate::engine::order::{Candidate, Shares, explain_weighted, reciprocal};
use crate::page::{Cursor, Explanation, Facet, FacetCount, Gap, Hit, Key, Marker, Page, Total};
use crate::query::{Count, Fusion, Plan, Query, Rank};
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
    pub(super) kept: &'a Kept,
    pub(super) stop: Arc<AtomicBool>,
}

/// The documents of a page.
struct Best {
    found: Vec<Found>,
    /// The keys of the last of them, where there are more.
    next: Option<Vec<Key>>,
    /// How many matched, where all were looked at.
    seen: Option<u64>,
    /// Where ranks were added up: what each ranking adds, and the places of the documents in it.
    ranks: Option<(Shares, Vec<usize>)>,
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
        let lookup = self.lookup(query, &plan);
        let mut page = Page::new(self.name, self.generation);
        page.known = Some(self.searcher.num_docs());
        if let Some(after) = &query.after
            && rank.needs_scores()
            && after.engine != self.name
        {
            page.gaps.push(Gap::Ranking);
        }
        if plan.cut {
            page.gaps.push(Gap::Terms);
        }
        let best = match &rank {
            Rank::Fused(fusion) if fusion.rrf.is_some() => self.fused(fusion, query, lookup.as_ref())?,
            rank => self.ordered(rank, query, &plan, lookup.as_ref())?,
        };
        self.count(query, lookup.as_ref(), best.seen, &mut page)?;
        let marker = query.highlight.then(|| Marker::new(self.schema, &plan));
        let mut found = best.found;
        let documents = self.documents(&mut found)?;
        for (found, document) in found.iter().zip(documents) {
            page.hits.push(self.hit(found, document, &rank, marker.as_ref())?);
        }
        if query.explain {
            let ranks = best.ranks.as_ref();
            for (index, (hit, found)) in page.hits.iter_mut().zip(&found).enumerate() {
                let text = lookup.explain(&self.searcher, found.address).map_err(searching)?;
                let text = serde_json::from_str(&text.to_pretty_json()).unwrap_or_default();
                let text = Explanation::read(&text);
                hit.explanation = Some(match (&rank, ranks) {
                    (Rank::Fused(fusion), Some((shares, places))) => {
                        shares.explain(fusion, places.get(index).copied().unwrap_or(usize::MAX), &text)
                    }
                    (Rank::Fused(fusion), None) => explain_weighted(fusion, text, &hit.source),
                    _ => Explanation::sum("score", vec![text]),
                });
            }
        }
        if let (Some(last), Some(hit)) = (best.next, page.hits.last()) {
            let at = Query { rank, ..query.clone() };
            page.next = Some(Cursor::new(self.schema, &at, last, &hit.id, self.name));
        }
        Ok(page)
    }

    /// What is found, and how the text scores it.
    fn lookup(&self, query: &Query, plan: &Plan) -> Box<dyn IndexQuery> {
        let lowering = Lowering { fields: self.fields, columns: &self.columns };
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
            return text;
        }
        let mut clauses = Vec::new();
        // a filter finds nothing that cannot be found, so that it needs nothing beside it that finds everything
        if open || !plan.is_empty() {
            clauses.push((Occur::Must, text));
        }
        if !open {
            clauses.push((Occur::Must, constant(lowering.lower(&canonical, true), 0.0)));
        }
        clauses.extend(boosts);
        if clauses.len() == 1 {
            return clauses.swap_remove(0).1;
        }
        Box::new(BooleanQuery::new(clauses))
    }

    /// The page in the order.
    fn ordered(&self, rank: &Rank, query: &Query, plan: &Plan, lookup: &dyn IndexQuery) -> Result<Best> {
        let additions = match rank {
            Rank::Fused(fusion) => Some(self.additions(fusion)),
            _ => None,
        };
        let mut top = Top {
            // a walk by scores may meet the document that it stands at again
            limit: query.limit.saturating_add(1 + usize::from(query.after.is_some())),
            order: self.order(rank),
            after: None,
            additions,
            everything: plan.is_empty() && matches!(&query.filter, Filter::And(all) if all.is_empty()),
            counted: match query.count {
                Count::None => 0,
                Count::UpTo(most) => usize::try_from(most).map_or(usize::MAX, |most| most.saturating_add(1)),
                Count::Exact => usize::MAX,
            },
            columns: Arc::clone(&self.columns),
            stop: Arc::clone(&self.stop),
        };
        let mut here = None;
        if let Some(cursor) = &query.after {
            let mut after = After { keys: cursor.keys.clone(), id: cursor.id.clone() };
            // scores are of today: the walk goes on behind the document itself where it is still found
            if rank.needs_scores() {
                here = address(&self.searcher, self.fields, &cursor.id).map_err(searching)?;
                if let Some(here) = here
                    && let Some(key) = self.score_of(&top, lookup, here).map_err(searching)?
                {
                    after.keys = vec![key];
                }
            }
            top.after = Some(after);
        }
        let Collected { mut found, seen } = top.search(&self.searcher, lookup).map_err(searching)?;
        found.retain(|hit| Some(hit.address) != here);
        let more = found.len() > query.limit;
        let found = self.best(found, query.limit, &top.order).map_err(searching)?;
        let next = found.last().filter(|_| more).map(|last| last.keys(&top.order));
        Ok(Best { found, next, seen, ranks: None })
    }

    /// The first of all segments in their order. To know which of several with the same keys come first, their ids are needed; those
    /// of one segment are in order already, so that only the first of each has to be read.
    fn best(&self, mut found: Vec<Found>, limit: usize, order: &[OrderKey]) -> tantivy::Result<Vec<Found>> {
        found.sort_by(|a, b| a.compare(b, order));
        let mut best: Vec<Found> = Vec::with_capacity(limit.min(found.len()));
        let mut rest = found.into_iter().peekable();
        while best.len() < limit
            && let Some(first) = rest.next()
        {
            let mut equals = vec![first];
            while let Some(next) =
                rest.next_if(|next| equals.first().is_some_and(|a| a.compare(next, order).is_eq()))
            {
                equals.push(next);
            }
            let wanted = limit - best.len();
            self.merge(equals, wanted, &mut best)?;
        }
        Ok(best)
    }

    /// Appends the first of equals.
    fn merge(&self, equals: Vec<Found>, wanted: usize, best: &mut Vec<Found>) -> tantivy::Result<()> {
        let mut lists: BTreeMap<u32, VecDeque<Found>> = BTreeMap::new();
        for found in equals {
            lists.entry(found.address.segment_ord).or_default().push_back(found);
        }
        if lists.len() == 1 {
            best.extend(lists.into_values().flatten().take(wanted));
            return Ok(());
        }
        let mut heads = BTreeMap::new();
        let mut behind: Vec<u32> = lists.keys().copied().collect();
        for _ in 0..wanted {
            for segment in behind.drain(..) {
                if let Some(mut head) = lists.get_mut(&segment).and_then(VecDeque::pop_front) {
                    let document: Stored = self.searcher.doc(head.address)?;
                    let id = document.text(self.fields.id).to_owned();
                    head.document = Some(document);
                    heads.insert(id, head);
                }
            }
            let Some((_, first)) = heads.pop_first() else { break };
            behind.push(first.address.segment_ord);
            best.push(first);
        }
        Ok(())
    }

    /// What stands under the hits of a page, decoded: what was shown lately is kept so.
    fn documents(&self, found: &mut [Found]) -> Result<Vec<Decoded>> {
        let keys = found.iter().map(|found| {
            let segment = self.searcher.segment_reader(found.address.segment_ord).segment_id();
            (segment, found.address.doc_id)
        });
        let keys: Vec<_> = keys.collect();
        let mut documents = Vec::with_capacity(found.len());
        let mut new = Vec::new();
        for ((found, key), known) in found.iter_mut().zip(&keys).zip(self.kept.get(&keys)) {
            if let Some(known) = known {
                documents.push(known);
                continue;
            }
            let stored = match found.document.take() {
                Some(stored) => stored,
                None => self.searcher.doc(found.address).map_err(searching)?,
            };
            let (id, source) = (stored.text(self.fields.id), stored.text(self.fields.source));
            let decoded = Decoded::read(id, source).map_err(|_| {
                Error::new(ErrorKind::Storage, format!("the index holds no readable document under {id}"))
            })?;
            new.push((*key, decoded.clone()));
            documents.push(decoded);
        }
        self.kept.keep(new);
        Ok(documents)
    }

    fn order(&self, rank: &Rank) -> Vec<OrderKey> {
        let Rank::Fields(sorts) = rank else {
            return vec![OrderKey { column: KeyColumn::Score, descending: false, bool: false }];
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
        keys.collect()
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
    fn fused(&self, fusion: &Fusion, query: &Query, lookup: &dyn IndexQuery) -> Result<Best> {
        let top = Top {
            limit: fusion.window,
            order: self.order(&Rank::Text),
            after: None,
            additions: None,
            everything: false,
            counted: 0,
            columns: Arc::clone(&self.columns),
            stop: Arc::clone(&self.stop),
        };
        let collected = top.search(&self.searcher, lookup).map_err(searching)?;
        let found = self.best(collected.found, fusion.window, &top.order).map_err(searching)?;
        let ids: Vec<String> = found
            .iter()
            .map(|hit| self.columns.id(hit.address))
            .collect::<tantivy::Result<_>>()
            .map_err(searching)?;
        let parts = self.additions(fusion);
        let mut candidates = Vec::with_capacity(found.len());
        for (hit, id) in found.iter().zip(&ids) {
            let values = super::top::added(&self.searcher, &parts, hit.address).map_err(searching)?;
            candidates.push(Candidate { id, text: hit.score, additions: values });
        }
        let shares = reciprocal(fusion, fusion.rrf.unwrap_or(60.0), &candidates);
        let mut ranked: Vec<(Key, &str, (usize, Found))> = found
            .into_iter()
            .zip(ids.iter().map(String::as_str))
            .zip(shares.scores())
            .enumerate()
            .map(|(place, ((mut hit, id), score))| {
                hit.score = score;
                (Key::float(f64::from(score)), id, (place, hit))
            })
            .collect();
        ranked.sort_by(|a, b| a.0.compare(&b.0, true).then_with(|| a.1.cmp(b.1)));
        if let Some(cursor) = &query.after {
            let same = ranked.iter().position(|(_, id, _)| *id == cursor.id);
            let at = cursor.keys.first().unwrap_or(&Key::Missing);
            let behind = || {
                ranked.partition_point(|(key, id, _)| {
                    key.compare(at, true).then_with(|| (*id).cmp(cursor.id.as_str())).is_le()
                })
            };
            let start = same.map_or_else(behind, |place| place + 1);
            ranked.drain(..start.min(ranked.len()));
        }
        let more = ranked.len() > query.limit;
        ranked.truncate(query.limit);
        let next = ranked.last().filter(|_| more).map(|(key, ..)| vec![key.clone()]);
        let (places, found) = ranked.into_iter().map(|(_, _, found)| found).unzip();
        Ok(Best { found, next, seen: None, ranks: Some((shares, places)) })
    }

    /// What a document scores now, if it is found.
    fn score_of(
        &self,
        top: &Top,
        lookup: &dyn IndexQuery,
        address: DocAddress,
    ) -> tantivy::Result<Option<Key>> {
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

    fn hit(&self, found: &Found, document: Decoded, rank: &Rank, marker: Option<&Marker<'_>>) -> Result<Hit> {
        let version = self.columns.version(found.address).map_err(searching)?;
        let mut hit = Hit::new(&*document.id, version, document.source);
        if rank.needs_scores() {
            hit.score = Some(found.score);
        }
        if let Some(marker) = marker {
            hit.highlights = marker.highlights(&hit.source);
        }
        Ok(hit)
    }
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
