//! One search: what is asked of the cluster, and how its answer is read.

use std::time::Duration;

use pumasi_core::filter::{Field, FieldPath, Filter};
use pumasi_core::time::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::filter::{everything, lower};
use super::layout::Layout;
use crate::engine::order::{Candidate, additions, compare, keys_of, reciprocal};
use crate::page::{Cursor, Explanation, Facet, FacetCount, Gap, Hit, Key, Marker, Page, Total};
use crate::query::{Count, Fusion, Plan, Query, Rank, Sort};
use crate::schema::Schema;
use crate::{Error, ErrorKind, Result};

pub(super) struct Search<'a> {
    schema: &'a Schema,
    layout: &'a Layout,
    name: &'a str,
    query: &'a Query,
    plan: Plan,
    rank: Rank,
}

struct Found {
    hit: Hit,
    keys: Vec<Key>,
    score: f32,
}

fn protocol(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the search cluster's answer {what}"))
}

/// How many look-ups a query has.
pub(super) fn clauses(query: &Json) -> usize {
    let leaves = ["term", "terms", "range", "prefix", "fuzzy", "wildcard", "match_phrase", "geo_distance"];
    let (mut open, mut count) = (vec![query], 0);
    while let Some(next) = open.pop() {
        match next {
            Json::Object(fields) => {
                for (name, value) in fields {
                    if leaves.contains(&name.as_str()) {
                        count += 1;
                    } else {
                        open.push(value);
                    }
                }
            }
            Json::Array(items) => open.extend(items),
            _ => {}
        }
    }
    count
}

/// The half-life as the cluster takes it: at least one microsecond.
fn scale(half_life: Duration) -> i64 {
    i64::try_from(half_life.as_micros()).unwrap_or(i64::MAX).max(1)
}

impl<'a> Search<'a> {
    pub(super) fn new(schema: &'a Schema, layout: &'a Layout, name: &'a str, query: &'a Query) -> Self {
        let rank =
            query.after.as_ref().map_or_else(|| query.rank.clone(), |after| after.carried(&query.rank));
        Self { schema, layout, name, query, plan: Plan::of(schema, query), rank }
    }

    fn window(&self) -> Option<(&Fusion, f32)> {
        match &self.rank {
            Rank::Fused(fusion) => fusion.rrf.map(|k| (fusion, k)),
            _ => None,
        }
    }

    /// What is asked: `millis` is the time that the cluster may take.
    pub(super) fn request(&self, millis: u128) -> Json {
        let query = self.query;
        let size = self.window().map_or(query.limit.saturating_add(1), |(fusion, _)| fusion.window);
        let mut body = Map::new();
        body.insert("size".to_owned(), size.into());
        body.insert("timeout".to_owned(), format!("{millis}ms").into());
        body.insert("_source".to_owned(), json!(["id", "version", "source"]));
        body.insert(
            "track_total_hits".to_owned(),
            match query.count {
                Count::None => false.into(),
                Count::UpTo(most) => most.saturating_add(1).min(2_000_000_000).into(),
                Count::Exact => true.into(),
            },
        );
        // the place to begin at takes hits out of the cluster's own total
        let behind = query.after.is_some() && query.count != Count::None && !self.rank.needs_scores();
        if !query.facets.is_empty() || behind {
            let facets = query.facets.iter().enumerate().filter_map(|(number, facet)| {
                let (name, _) = self.layout.column(&FieldPath::new(facet.field.clone()))?;
                let size = facet.limit.max(1);
                let order = json!([{"_count": "desc"}, {"_key": "asc"}]);
                let terms = json!({"field": name, "size": size, "shard_size": size.saturating_add(1_000), "order": order});
                Some((number.to_string(), json!({"terms": terms})))
            });
            let mut all: Map<String, Json> = facets.collect();
            if behind {
                all.insert("total".to_owned(), json!({"value_count": {"field": "id"}}));
            }
            body.insert("aggs".to_owned(), Json::Object(all));
        }
        if query.explain && self.rank.needs_scores() {
            body.insert("explain".to_owned(), true.into());
        }
        let mut clauses = self.layout.plan(&self.plan);
        let mut filter = vec![everything()];
        if query.filter != Filter::everything() {
            filter.push(lower(self.layout, query.filter.canonical().filter(), true));
        }
        let mut sort = Vec::new();
        if let Rank::Fields(sorts) = &self.rank {
            for order in sorts {
                let Some((name, _)) = self.layout.column(&order.path()) else { continue };
                let direction = if order.descending { "desc" } else { "asc" };
                sort.push(json!({format!("{name}m"): "asc"}));
                sort.push(json!({name: {"order": direction, "missing": "_last"}}));
            }
            if let Some(after) = &query.after {
                // totals and facets are of all pages: the place is held behind them
                body.insert("post_filter".to_owned(), self.behind(sorts, &after.keys, &after.id));
            }
        } else {
            sort.push(json!({"_score": "desc"}));
            if let (Some(after), None) = (&query.after, self.window()) {
                let score = match after.keys.first() {
                    Some(Key::Float(bits)) => f64::from_bits(*bits),
                    _ => 0.0,
                };
                body.insert("search_after".to_owned(), json!([score, after.id]));
            }
        }
        sort.push(json!({"id": "asc"}));
        body.insert("sort".to_owned(), sort.into());
        clauses.insert("filter".to_owned(), filter.into());
        let text = json!({"bool": clauses});
        let text = if self.rank.needs_scores() { self.scored(text) } else { text };
        body.insert("query".to_owned(), text);
        Json::Object(body)
    }

    /// Adds boosts, popularity and time to the score of a text.
    fn scored(&self, text: Json) -> Json {
        let boosts = self.query.boosts.iter().map(|boost| {
            let filter = lower(self.layout, boost.filter.canonical().filter(), true);
            json!({"constant_score": {"filter": filter, "boost": boost.weight}})
        });
        let boosts: Vec<Json> = boosts.collect();
        let text = if boosts.is_empty() { text } else { json!({"bool": {"must": [text], "should": boosts}}) };
        let fusion = match &self.rank {
            Rank::Fused(fusion) if fusion.rrf.is_none() => fusion,
            _ => return text,
        };
        // without a function that holds, the cluster would add one
        let mut functions = vec![json!({"weight": 0})];
        let column =
            |field: &str| self.layout.column(&FieldPath::new(field.to_owned())).map(|(name, _)| name);
        for part in &fusion.popularity {
            let Some(name) = column(&part.field) else { continue };
            functions.push(json!({
                "filter": {"range": {name.clone(): {"gte": 0}}},
                "field_value_factor": {"field": name, "modifier": "ln1p", "missing": 0},
                "weight": part.weight,
            }));
        }
        for part in &fusion.decay {
            let Some(name) = column(&part.field) else { continue };
            let now = part.now.as_micros();
            let past = json!({"range": {name.clone(): {"lte": now}}});
            let future = json!({"range": {name.clone(): {"gt": now}}});
            let decay = json!({"origin": now, "scale": scale(part.half_life), "decay": 0.5});
            functions.push(json!({"filter": past, "exp": {name: decay}, "weight": part.weight}));
            functions.push(json!({"filter": future, "weight": part.weight}));
        }
        let text = json!({"bool": {"must": [text], "boost": fusion.text}});
        json!({"function_score": {"query": text, "functions": functions, "score_mode": "sum", "boost_mode": "sum"}})
    }

    /// What comes behind a place in the order, where missing values come last.
    fn behind(&self, sorts: &[Sort], keys: &[Key], id: &str) -> Json {
        let columns: Vec<(FieldPath, String)> = sorts
            .iter()
            .filter_map(|sort| Some((sort.path(), self.layout.column(&sort.path())?.0)))
            .collect();
        let missing =
            |path: &FieldPath| json!({"bool": {"must_not": [{"term": {"present": path.as_str()}}]}});
        let value = |key: &Key| match key {
            Key::Missing => Json::Null,
            Key::Bool(value) => i64::from(*value).into(),
            Key::Int(value) => (*value).into(),
            Key::Float(bits) => f64::from_bits(*bits).into(),
            Key::Text(text) => text.as_str().into(),
        };
        let mut ways = Vec::new();
        for depth in 0..=columns.len() {
            let mut clauses: Vec<Json> = Vec::new();
            for ((path, name), key) in columns.iter().zip(keys).take(depth) {
                clauses.push(match key {
                    Key::Missing => missing(path),
                    key => json!({"term": {name.clone(): {"value": value(key)}}}),
                });
            }
            match (columns.get(depth), sorts.get(depth), keys.get(depth)) {
                (Some(_), _, Some(Key::Missing)) => continue,
                (Some((path, name)), Some(sort), Some(key)) => {
                    let beyond = if sort.descending { "lt" } else { "gt" };
                    let range = json!({"range": {name.clone(): {beyond: value(key)}}});
                    clauses
                        .push(json!({"bool": {"should": [range, missing(path)], "minimum_should_match": 1}}));
                }
                _ => clauses.push(json!({"range": {"id": {"gt": id}}})),
            }
            ways.push(json!({"bool": {"filter": clauses}}));
        }
        json!({"bool": {"should": ways, "minimum_should_match": 1}})
    }

    /// Reads the answer.
    pub(super) fn page(&self, answer: &Json, generation: u64) -> Result<Page> {
        let mut page = Page::new(self.name, generation);
        self.gaps(answer, &mut page)?;
        if self.plan.cut {
            page.gaps.push(Gap::Terms);
        }
        let hits = answer.get("hits").ok_or_else(|| protocol("has no hits"))?;
        let rows = hits.get("hits").and_then(Json::as_array).ok_or_else(|| protocol("has no hits"))?;
        let mut found: Vec<Found> = rows.iter().map(|row| self.found(row)).collect::<Result<_>>()?;
        if let Some((fusion, k)) = self.window() {
            self.fuse(fusion, k, &mut found);
        }
        let more = found.len() > self.query.limit;
        found.truncate(self.query.limit);
        if let (true, Some(last)) = (more, found.last()) {
            let at = Query { rank: self.rank.clone(), ..self.query.clone() };
            page.next = Some(Cursor::new(self.schema, &at, last.keys.clone(), &last.hit.id, self.name));
        }
        page.hits = found.into_iter().map(|found| found.hit).collect();
        if self.query.highlight {
            let marker = Marker::new(self.schema, &self.plan);
            for hit in &mut page.hits {
                hit.highlights = marker.highlights(&hit.source);
            }
        }
        let aggregated = answer.get("aggregations").and_then(|all| all.get("total"));
        let total = aggregated.or_else(|| hits.get("total")).and_then(|total| total.get("value")?.as_u64());
        page.total = match (self.query.count, total) {
            (Count::None, _) | (_, None) => Total::Unknown,
            (Count::UpTo(most), Some(total)) if total > most => Total::AtLeast(most),
            (_, Some(total)) => Total::Exact(total),
        };
        for (number, facet) in self.query.facets.iter().enumerate() {
            let buckets = answer
                .get("aggregations")
                .and_then(|all| all.get(number.to_string())?.get("buckets")?.as_array());
            let counts = buckets.into_iter().flatten().filter_map(|bucket| {
                let value = bucket.get("key")?.as_str()?.to_owned();
                Some(FacetCount { value, count: bucket.get("doc_count")?.as_u64()? })
            });
            page.facets
                .push(Facet { field: facet.field.clone(), counts: counts.take(facet.limit).collect() });
        }
        Ok(page)
    }

    /// Looks for what the cluster could not do.
    fn gaps(&self, answer: &Json, page: &mut Page) -> Result<()> {
        let shards = answer.get("_shards").ok_or_else(|| protocol("names no shards"))?;
        let number =
            |name: &str| shards.get(name).and_then(Json::as_u64).and_then(|count| u32::try_from(count).ok());
        let (Some(failed), Some(total)) = (number("failed"), number("total")) else {
            return Err(protocol("names no shards"));
        };
        if failed > 0 && failed >= total {
            return Err(Error::new(ErrorKind::Unavailable, "no shard of the search cluster answered"));
        }
        if failed > 0 {
            page.gaps.push(Gap::Shards { failed, total });
        }
        if answer.get("timed_out").and_then(Json::as_bool) != Some(false) {
            page.gaps.push(Gap::TimedOut);
        }
        if let Some(after) = &self.query.after
            && self.rank.needs_scores()
            && after.engine != self.name
        {
            page.gaps.push(Gap::Ranking);
        }
        Ok(())
    }

    fn found(&self, row: &Json) -> Result<Found> {
        let stored = row.get("_source").ok_or_else(|| protocol("has a hit without a document"))?;
        let id =
            stored.get("id").and_then(Json::as_str).ok_or_else(|| protocol("has a hit without an id"))?;
        let version = stored.get("version").and_then(Json::as_u64).unwrap_or_default();
        let source = stored.get("source").and_then(Json::as_str).unwrap_or_default();
        let source: Json =
            serde_json::from_str(source).map_err(|_| protocol("has a hit without a document"))?;
        let mut hit = Hit::new(id, version, source);
        let exact =
            row.get("sort").and_then(|sort| sort.get(0)?.as_f64()).or_else(|| row.get("_score")?.as_f64());
        #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
        let score = exact.unwrap_or_default() as f32;
        let keys = if let Rank::Fields(sorts) = &self.rank {
            keys_of(self.schema, sorts, &hit.source)
        } else {
            hit.score = Some(score);
            vec![Key::float(exact.unwrap_or_default())]
        };
        if self.query.explain
            && let Some(explained) = row.get("_explanation")
        {
            hit.explanation = Some(Explanation::read(explained));
        }
        Ok(Found { hit, keys, score })
    }

    fn fuse(&self, fusion: &Fusion, k: f32, found: &mut Vec<Found>) {
        let candidates: Vec<Candidate<'_>> = found
            .iter()
            .map(|found| Candidate {
                id: &found.hit.id,
                text: found.score,
                additions: additions(fusion, &found.hit.source).into_iter().map(|(_, value)| value).collect(),
            })
            .collect();
        let shares = reciprocal(fusion, k, &candidates);
        for (place, (found, score)) in found.iter_mut().zip(shares.scores()).enumerate() {
            found.hit.explanation =
                found.hit.explanation.take().map(|text| shares.explain(fusion, place, &text));
            found.hit.score = Some(score);
            found.keys = vec![Key::float(f64::from(score))];
        }
        let score: Field<f64> = Field::new("score");
        let sorts = [Sort::descending(&score)];
        found.sort_by(|a, b| compare(&sorts, (&a.keys, &a.hit.id), (&b.keys, &b.hit.id)));
        if let Some(cursor) = &self.query.after {
            let same = found.iter().position(|found| found.hit.id == cursor.id);
            let behind = || {
                found.partition_point(|found| {
                    compare(&sorts, (&found.keys, &found.hit.id), (&cursor.keys, &cursor.id)).is_le()
                })
            };
            let start = same.map_or_else(behind, |place| place + 1);
            found.drain(..start.min(found.len()));
        }
    }
}

/// Reads the newest moment of the changes that were applied.
pub(super) fn applied(answer: &Json) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "microseconds, which the cluster hands out as a double"
    )]
    let micros = answer.get("aggregations")?.get("at")?.get("value")?.as_f64()? as i64;
    Some(Timestamp::from_micros(micros))
}
