//! How one version of a tenant's knowledge is searched.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use pumasi_core::filter::{Filter, Unsupported};
use qdrant_client::qdrant::{
    Condition, QuantizationSearchParams, Query, QueryPoints, ScoredPoint, SearchParams, VectorInput,
};

use super::QdrantStore;
use super::condition::{Of, implied, keyword};
use super::head::Head;
use super::options::Quantization;
use super::payload::{EMBEDDING, Point, WORDS, embedding, kind};
use crate::Result;
use crate::document::Tenant;
use crate::store::{Found, Scored, StoreQuery, dot};

/// So many more than wanted are asked for, because the server sums in another order: its scores may differ in the last bits.
const SPARE: usize = 10;

/// How far a score of the server may lie below the one that is computed here: sums of some hundred terms differ by less.
const ROUNDING: f32 = 1.0001;

/// Scores that are no farther from each other may be equal.
const NEAR: f32 = 1e-5;

/// Among so many that are alike the best by id are found.
const MOST_ALIKE: usize = 10_000;

/// How many vectors are looked at for one that is wanted, where they are packed.
const OVERSAMPLING: f64 = 3.0;

/// How many documents a filter may admit that is evaluated here.
const MOST_NAMED: usize = 100_000;

/// How many terms are asked for at once.
const AT_ONCE: usize = 16;

/// Of how many terms the counts are kept.
const KEPT: usize = 100_000;

const WHAT: &str = "searching the knowledge";

/// How many chunks hold a term, in one version of some tenants' knowledge.
#[derive(Default)]
pub(super) struct Frequencies {
    versions: HashMap<Tenant, u64>,
    counts: HashMap<(Tenant, u32), u64>,
}

impl Frequencies {
    fn get(&self, tenant: &Tenant, version: u64, term: u32) -> Option<u64> {
        let of = self.versions.get(tenant).filter(|of| **of == version);
        of.and_then(|_| self.counts.get(&(tenant.clone(), term)).copied())
    }

    fn keep(&mut self, tenant: &Tenant, version: u64, counts: impl IntoIterator<Item = (u32, u64)>) {
        if self.counts.len() >= KEPT {
            *self = Self::default();
        }
        match self.versions.insert(tenant.clone(), version) {
            Some(newer) if newer > version => {
                self.versions.insert(tenant.clone(), newer);
                return;
            }
            Some(older) if older < version => self.counts.retain(|(of, _), _| of != tenant),
            _ => {}
        }
        self.counts.extend(counts.into_iter().map(|(term, count)| ((tenant.clone(), term), count)));
    }
}

impl QdrantStore {
    pub(super) async fn find(&self, head: Head, query: &StoreQuery) -> Result<Found> {
        let mut found = Found { version: head.version, ..Found::default() };
        let admitted = self.admitted(&head, &query.filter).await?;
        let (weights, dense) =
            tokio::try_join!(self.weights(&head, &query.terms), self.dense(&head, &admitted, query))?;
        found.dense = dense;
        found.lexical = self.lexical(&head, &admitted, query, &weights).await?;
        found.term_weights = weights;
        Ok(found)
    }

    /// Returns a condition that holds of those points whose documents match: the filter itself, or their names.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a filter that is to be evaluated here and admits very many.
    pub(super) async fn admitted(&self, head: &Head, filter: &Filter) -> Result<Of> {
        let implied = implied(filter)?;
        if implied.exact {
            return Ok(implied.of);
        }
        let mut seen = head.seen(&self.tenant);
        seen.must.push(keyword("kind", kind::DOCUMENT));
        if let Of::Those(condition) = implied.of {
            seen.must.push(condition);
        }
        let mut names = Vec::new();
        for point in self.shared.wire.all(seen, vec!["document", "record"], false, WHAT).await? {
            let point = Point(&point.payload);
            if filter.matches(&point.record()?.metadata) {
                names.push(point.text("document")?.to_owned());
            }
        }
        if names.len() > MOST_NAMED {
            return Err(Unsupported::at(filter, &[], "what Qdrant cannot ask, of so many documents").into());
        }
        Ok(if names.is_empty() { Of::None } else { Of::Those(Condition::matches("document", names)) })
    }

    /// Returns the filter of the chunks that are admitted; `None` for none.
    fn chunks(&self, head: &Head, admitted: &Of) -> Option<qdrant_client::qdrant::Filter> {
        let mut seen = head.seen(&self.tenant);
        seen.must.push(keyword("kind", kind::CHUNK));
        match admitted {
            Of::None => return None,
            Of::All => {}
            Of::Those(condition) => seen.must.push(condition.clone()),
        }
        Some(seen)
    }

    /// Weighs the terms of a question.
    async fn weights(&self, head: &Head, terms: &[(u32, u32)]) -> Result<Vec<f32>> {
        let mut known: HashMap<u32, u64> = HashMap::new();
        {
            let kept = self.shared.frequencies.lock().map_err(|_| super::broken())?;
            known.extend(terms.iter().filter_map(|(term, _)| {
                kept.get(&self.tenant, head.version, *term).map(|count| (*term, count))
            }));
        }
        let missing = terms.iter().map(|(term, _)| *term).filter(|term| !known.contains_key(term));
        let missing: Vec<u32> = missing.collect();
        let counted: Vec<(u32, u64)> =
            futures_util::stream::iter(missing.into_iter().map(|term| async move {
                let mut holding = head.seen(&self.tenant);
                holding.must.push(Condition::matches("terms", i64::from(term)));
                Ok::<_, crate::Error>((term, self.shared.wire.count(holding, WHAT).await?))
            }))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        if !counted.is_empty() {
            known.extend(counted.iter().copied());
            let mut kept = self.shared.frequencies.lock().map_err(|_| super::broken())?;
            kept.keep(&self.tenant, head.version, counted);
        }
        let weight = |(term, frequency): &(u32, u32)| {
            head.statistics.query_weight(*frequency, known.get(term).copied().unwrap_or_default())
        };
        Ok(terms.iter().map(weight).collect())
    }

    async fn dense(&self, head: &Head, admitted: &Of, query: &StoreQuery) -> Result<Vec<Scored>> {
        let Some(filter) = self.chunks(head, admitted) else { return Ok(Vec::new()) };
        if query.embedding.is_empty() || query.depth == 0 {
            return Ok(Vec::new());
        }
        let options = &self.shared.options;
        let wanted = query.depth.saturating_add(SPARE);
        let few = head.statistics.chunks <= options.exact_below.max(wanted as u64);
        let ask = |exact: bool, limit: usize| {
            let packed = !exact && options.quantization == Quantization::Int8;
            let params = SearchParams {
                exact: Some(exact),
                hnsw_ef: Some(u64::from(options.breadth.get()).max(limit as u64)),
                quantization: Some(QuantizationSearchParams {
                    ignore: Some(exact),
                    rescore: Some(true),
                    oversampling: packed.then_some(OVERSAMPLING),
                }),
                ..SearchParams::default()
            };
            QueryPoints {
                query: Some(Query::new_nearest(VectorInput::new_dense(query.embedding.clone()))),
                using: Some(EMBEDDING.to_owned()),
                filter: Some(filter.clone()),
                params: Some(params),
                limit: Some(limit as u64),
                with_payload: Some(vec!["chunk"].into()),
                with_vectors: Some(vec![EMBEDDING].into()),
                ..QueryPoints::default()
            }
        };
        let (mut exact, mut limit) = (few, wanted);
        loop {
            let near = self.shared.wire.query(ask(exact, limit), WHAT).await?;
            if near.len() < limit && !exact {
                // the graph may give up before it has seen enough that the filter admits
                exact = true;
                continue;
            }
            let scored = near.iter().map(|point| {
                let vector = embedding(point.vectors.as_ref())?;
                Ok(Scored::new(Point(&point.payload).chunk_id()?, dot(&query.embedding, &vector)))
            });
            let best = Scored::best(scored.collect::<Result<_>>()?, query.depth);
            // ids decide between equal scores, so all are asked for that are as good as the last one
            let (rest, bar) = (near.last().map(|last| last.score), best.last().map(|last| last.score));
            let decided = rest.zip(bar).is_none_or(|(rest, bar)| rest + NEAR * bar.abs().max(1.0) < bar);
            if near.len() < limit || decided || limit >= wanted.max(MOST_ALIKE) {
                return Ok(best);
            }
            limit = limit.saturating_mul(4);
        }
    }

    /// Ranks by terms: the server names candidates by the weights that the points have, and how often they hold each term decides.
    async fn lexical(
        &self,
        head: &Head,
        admitted: &Of,
        query: &StoreQuery,
        weights: &[f32],
    ) -> Result<Vec<Scored>> {
        let Some(filter) = self.chunks(head, admitted) else { return Ok(Vec::new()) };
        if query.terms.is_empty() || query.depth == 0 {
            return Ok(Vec::new());
        }
        // a chunk's weight by a mean length is at most this many times its weight by a shorter one
        let above = (head.statistics.mean_length / head.weighed.0).max(1.0) * ROUNDING;
        let mut limit = query.depth.saturating_add(SPARE);
        loop {
            let (indices, values): (Vec<u32>, Vec<f32>) =
                query.terms.iter().zip(weights).map(|((term, _), weight)| (*term, *weight)).unzip();
            let request = QueryPoints {
                query: Some(Query::new_nearest(VectorInput::new_sparse(indices, values))),
                using: Some(WORDS.to_owned()),
                filter: Some(filter.clone()),
                limit: Some(limit as u64),
                with_payload: Some(vec!["chunk", "counts"].into()),
                ..QueryPoints::default()
            };
            let candidates = self.shared.wire.query(request, WHAT).await?;
            let scored = candidates.iter().map(|point| score(point, head, query, weights));
            let mut scored: Vec<Scored> = scored.collect::<Result<_>>()?;
            scored.retain(|scored| scored.score > 0.0);
            let best = Scored::best(scored, query.depth);
            // what the server has left out can be as good as the last one that it has named, and no better
            let rest = candidates.last().map_or(0.0, |last| last.score) * above;
            let bar = if best.len() < query.depth { 0.0 } else { best.last().map_or(0.0, |last| last.score) };
            if candidates.len() < limit || rest < bar {
                return Ok(best);
            }
            limit = limit.saturating_mul(4);
        }
    }
}

/// Scores a chunk as the reference does, to the last bit.
fn score(point: &ScoredPoint, head: &Head, query: &StoreQuery, weights: &[f32]) -> Result<Scored> {
    let point = Point(&point.payload);
    let terms = point.terms()?;
    let length = terms.iter().fold(0, |sum: u32, (_, count)| sum.saturating_add(*count));
    let mut sum = 0.0;
    for ((term, _), weight) in query.terms.iter().zip(weights) {
        if let Ok(at) = terms.binary_search_by_key(term, |(id, _)| *id)
            && let Some((_, count)) = terms.get(at)
        {
            sum += weight * head.statistics.document_weight(*count, length);
        }
    }
    Ok(Scored::new(point.chunk_id()?, sum))
}
