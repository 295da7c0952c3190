//! One search in one transaction, and so on one snapshot.

use pumasi_core::database::failed;
use pumasi_core::filter::FieldPath;
use serde_json::Value as Json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};

use super::lookup::{COUNTED, Lookup, Part, without_typos};
use super::table::Table;
use crate::engine::order::{Candidate, additions, compare, keys_of, reciprocal};
use crate::page::{Cursor, Facet, FacetCount, Gap, Hit, Key, Marker, Page, Total};
use crate::query::{Count, Fusion, Plan, Query, Rank, Sort};
use crate::schema::{FieldKind, Schema};
use crate::{Error, ErrorKind, Result};

/// How many terms a score may have: each is looked up, counted and ranked in each row by itself.
const MOST_PARTS: usize = 1_000;

/// How many parts of a score are added up in one pair of brackets.
const SUMMED: usize = 64;

pub(super) struct Search<'a> {
    pub(super) schema: &'a Schema,
    pub(super) table: &'a Table,
    pub(super) name: &'a str,
    pub(super) generation: i64,
    /// How many documents there are, and how many terms each has on average.
    pub(super) documents: i64,
    pub(super) mean: f64,
}

struct Found {
    hit: Hit,
    keys: Vec<Key>,
    score: f64,
}

fn searching(error: sqlx::Error) -> Error {
    failed("searching in PostgreSQL", error)
}

impl Search<'_> {
    pub(super) async fn run(&self, connection: &mut PgConnection, query: &Query) -> Result<Page> {
        let generation = u64::try_from(self.generation).unwrap_or_default();
        let mut page = Page::new(self.name, generation);
        let mut plan = Plan::of(self.schema, query);
        let mut typos = false;
        plan.must = without_typos(&plan.must, &mut typos);
        plan.should = without_typos(&plan.should, &mut typos);
        plan.must_not = without_typos(&plan.must_not, &mut typos);
        let rank =
            query.after.as_ref().map_or_else(|| query.rank.clone(), |after| after.carried(&query.rank));
        if plan.cut {
            page.gaps.push(Gap::Terms);
        }
        if typos {
            page.gaps.push(Gap::Typos);
        }
        if rank.needs_scores() {
            page.gaps.push(Gap::Ranking);
        }
        if query.explain {
            page.gaps.push(Gap::Explanations);
        }
        let mut found = match &rank {
            Rank::Fields(sorts) => self.sorted(connection, query, &plan, sorts).await?,
            Rank::Fused(fusion) if fusion.rrf.is_some() => {
                self.fused(connection, query, &plan, fusion).await?
            }
            rank => self.scored(connection, query, &plan, rank, query.limit.saturating_add(1), true).await?,
        };
        self.count(connection, query, &plan, &mut page).await?;
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        if let (true, Some(last)) = (more, found.last()) {
            let at = Query { rank: rank.clone(), ..query.clone() };
            page.next = Some(Cursor::new(self.schema, &at, last.keys.clone(), &last.hit.id, self.name));
        }
        let marker = query.highlight.then(|| Marker::new(self.schema, &plan));
        page.hits = found.into_iter().map(|found| found.hit).collect();
        if let Some(marker) = marker {
            for hit in &mut page.hits {
                hit.highlights = marker.highlights(&hit.source);
            }
        }
        Ok(page)
    }

    /// Appends the table and what holds of every row that is found.
    fn push_from(&self, builder: &mut QueryBuilder<Postgres>, query: &Query, plan: &Plan) -> Result<()> {
        builder.push(format!(" FROM {} d WHERE d.source IS NOT NULL", self.table.name(self.generation)));
        Lookup { schema: self.schema, table: self.table }.push_where(builder, plan);
        builder.push(" AND ");
        query.filter.push_where(builder, &self.table.columns)
    }

    async fn sorted(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        plan: &Plan,
        sorts: &[Sort],
    ) -> Result<Vec<Found>> {
        let mut builder =
            QueryBuilder::<Postgres>::new("SELECT d.id, d.version, d.source, 0::float8 AS score");
        self.push_from(&mut builder, query, plan)?;
        let columns: Vec<String> = sorts
            .iter()
            .filter_map(|sort| Some(format!("d.{}", self.table.column(&sort.path())?.0)))
            .collect();
        if let Some(after) = &query.after {
            push_behind(&mut builder, sorts, &columns, &after.keys, &after.id);
        }
        builder.push(" ORDER BY ");
        for (column, sort) in columns.iter().zip(sorts) {
            let direction = if sort.descending { "DESC" } else { "ASC" };
            builder.push(format!("{column} {direction} NULLS LAST, "));
        }
        builder
            .push("d.id LIMIT ")
            .push_bind(i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX));
        let rows = builder.build().fetch_all(connection).await.map_err(searching)?;
        rows.iter()
            .map(|row| {
                let (hit, score) = read(row)?;
                let keys = keys_of(self.schema, sorts, &hit.source);
                Ok(Found { hit, keys, score })
            })
            .collect()
    }

    /// How much each part counts: how rare it is, in the plan's order.
    async fn weights(&self, connection: &mut PgConnection, parts: &[Part]) -> Result<Vec<f64>> {
        if !parts.iter().any(|part| part.weighed) {
            return Ok(parts.iter().map(|_| 1.0).collect());
        }
        let table = self.table.name(self.generation);
        let mut builder = QueryBuilder::<Postgres>::new("SELECT ARRAY[");
        for (place, part) in parts.iter().enumerate() {
            builder.push(if place > 0 { ", " } else { "" });
            builder
                .push(format!("(SELECT count(*) FROM (SELECT 1 FROM {table} d WHERE d.{} @@ ", part.column));
            builder.push_bind(part.query.clone());
            builder.push(format!("::tsquery LIMIT {COUNTED}) c)"));
        }
        builder.push("]::bigint[]");
        let counts: Vec<i64> = builder.build_query_scalar().fetch_one(connection).await.map_err(searching)?;
        #[expect(clippy::cast_precision_loss, reason = "counts of documents")]
        let idf = |containing: i64| {
            let containing = containing as f64;
            let documents = (self.documents as f64).max(containing);
            (1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln()
        };
        let weights =
            parts.iter().zip(counts).map(|(part, count)| if part.weighed { idf(count) } else { 1.0 });
        Ok(weights.collect())
    }

    async fn scored(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        plan: &Plan,
        rank: &Rank,
        limit: usize,
        paged: bool,
    ) -> Result<Vec<Found>> {
        let parts = Lookup { schema: self.schema, table: self.table }.parts(plan);
        if parts.len() > MOST_PARTS {
            let what = "the query scores by more than PostgreSQL does in time, a thousand terms";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let weights = self.weights(&mut *connection, &parts).await?;
        let mut builder = QueryBuilder::<Postgres>::new("WITH scored AS (SELECT d.id, (");
        self.push_score(&mut builder, query, rank, &parts, &weights)?;
        builder.push(")::float8 AS score");
        self.push_from(&mut builder, query, plan)?;
        let table = self.table.name(self.generation);
        builder.push(format!(
            ") SELECT s.id, d.version, d.source, s.score FROM scored s JOIN {table} d USING (id) WHERE TRUE"
        ));
        if let Some(after) = query.after.as_ref().filter(|_| paged) {
            let known = match after.keys.first() {
                Some(Key::Float(bits)) => f64::from_bits(*bits),
                _ => 0.0,
            };
            // scores are of today: the walk goes on behind the document itself where it is still found
            let anchor = |builder: &mut QueryBuilder<Postgres>| {
                builder
                    .push("COALESCE((SELECT a.score FROM scored a WHERE a.id = ")
                    .push_bind(after.id.clone());
                builder.push("), ").push_bind(known).push(")");
            };
            builder.push(" AND (s.score < ");
            anchor(&mut builder);
            builder.push(" OR (s.score = ");
            anchor(&mut builder);
            builder.push(" AND s.id > ").push_bind(after.id.clone()).push("))");
        }
        builder
            .push(" ORDER BY s.score DESC, s.id LIMIT ")
            .push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = builder.build().fetch_all(connection).await.map_err(searching)?;
        rows.iter()
            .map(|row| {
                let (mut hit, score) = read(row)?;
                hit.score = Some(narrow(score));
                Ok(Found { hit, keys: vec![Key::float(score)], score })
            })
            .collect()
    }

    /// Appends what a row scores: for each term how rare it is, times PostgreSQL's own count of how often it occurs
    /// (`ts_rank`, which grows from 0.61 for once to 1), times BM25's discount of long documents.
    fn push_score(
        &self,
        builder: &mut QueryBuilder<Postgres>,
        query: &Query,
        rank: &Rank,
        parts: &[Part],
        weights: &[f64],
    ) -> Result<()> {
        let text = if let Rank::Fused(fusion) = rank { f64::from(fusion.text) } else { 1.0 };
        builder.push_bind(text).push(" * (0");
        let parts: Vec<(&Part, &f64)> = parts.iter().zip(weights).collect();
        // a sum of thousands is deeper than the server's stack
        for some in parts.chunks(SUMMED) {
            builder.push(" + (0");
            for (part, weight) in some {
                builder.push(" + ").push_bind(*weight * f64::from(part.boost));
                if part.weighed {
                    builder.push(format!(" * COALESCE(ts_rank('{{1,1,1,1}}', d.{}, ", part.column));
                    builder
                        .push_bind(part.query.clone())
                        .push("::tsquery), 0) * 2.2 / (1.3 + 0.9 * d.length / ");
                    builder.push_bind(self.mean.max(1.0)).push(")");
                } else {
                    builder.push(format!(" * COALESCE((d.{} @@ ", part.column));
                    builder.push_bind(part.query.clone()).push("::tsquery)::int, 0)");
                }
            }
            builder.push(")");
        }
        for boost in &query.boosts {
            builder.push(" + ").push_bind(f64::from(boost.weight)).push(" * COALESCE(");
            boost.filter.push_where(builder, &self.table.columns)?;
            builder.push("::int, 0)");
        }
        builder.push(")");
        let Rank::Fused(fusion) = rank else { return Ok(()) };
        let column = |field: &str| self.table.column(&FieldPath::new(field.to_owned()));
        for part in &fusion.popularity {
            let Some((column, _)) = column(&part.field) else { continue };
            builder.push(" + ").push_bind(f64::from(part.weight));
            builder.push(format!(" * ln(1 + greatest(COALESCE(d.{column}, 0), 0)::float8)"));
        }
        for part in &fusion.decay {
            let Some((column, _)) = column(&part.field) else { continue };
            builder
                .push(" + ")
                .push_bind(f64::from(part.weight))
                .push(" * COALESCE(power(2::float8, -least(greatest((");
            builder.push_bind(part.now.as_micros()).push(format!("::float8 - d.{column}) / 1e6, 0) / "));
            // PostgreSQL has an error for a number that is too small
            builder.push_bind(part.half_life.as_secs_f64()).push(", 1000)), 0)");
        }
        Ok(())
    }

    async fn fused(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        plan: &Plan,
        fusion: &Fusion,
    ) -> Result<Vec<Found>> {
        let mut found = self.scored(connection, query, plan, &Rank::Text, fusion.window, false).await?;
        let candidates: Vec<Candidate<'_>> = found
            .iter()
            .map(|found| Candidate {
                id: &found.hit.id,
                text: narrow(found.score),
                additions: additions(fusion, &found.hit.source).into_iter().map(|(_, value)| value).collect(),
            })
            .collect();
        let shares = reciprocal(fusion, fusion.rrf.unwrap_or(60.0), &candidates);
        for (found, score) in found.iter_mut().zip(shares.scores()) {
            found.hit.score = Some(score);
            found.keys = vec![Key::float(f64::from(score))];
        }
        let sorts = [Sort::descending_at(&FieldPath::from_static("score"))];
        found.sort_by(|a, b| compare(&sorts, (&a.keys, &a.hit.id), (&b.keys, &b.hit.id)));
        if let Some(cursor) = &query.after {
            let same = found.iter().position(|found| found.hit.id == cursor.id);
            let behind = || {
                found.partition_point(|found| {
                    compare(&sorts, (&found.keys, &found.hit.id), (&cursor.keys, &cursor.id)).is_le()
                })
            };
            let start = same.map_or_else(behind, |place| place + 1);
            found.drain(..start.min(found.len()));
        }
        Ok(found)
    }

    async fn count(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        plan: &Plan,
        page: &mut Page,
    ) -> Result<()> {
        for facet in &query.facets {
            let Some((column, kind)) = self.table.column(&FieldPath::new(facet.field.clone())) else {
                continue;
            };
            let mut builder = QueryBuilder::<Postgres>::new("SELECT v, count(*) FROM (SELECT ");
            builder.push(match kind {
                FieldKind::Keywords => format!("DISTINCT d.id, unnest(d.{column}) AS v"),
                _ => format!("d.id, d.{column} AS v"),
            });
            self.push_from(&mut builder, query, plan)?;
            builder.push(") f WHERE v IS NOT NULL GROUP BY v ORDER BY 2 DESC, v COLLATE \"C\" LIMIT ");
            builder.push_bind(i64::try_from(facet.limit).unwrap_or(i64::MAX));
            let rows = builder.build().fetch_all(&mut *connection).await.map_err(searching)?;
            let counts: Result<Vec<FacetCount>> = rows
                .iter()
                .map(|row| {
                    let count: i64 = row.try_get(1).map_err(searching)?;
                    let value = row.try_get(0).map_err(searching)?;
                    Ok(FacetCount { value, count: u64::try_from(count).unwrap_or_default() })
                })
                .collect();
            page.facets.push(Facet { field: facet.field.clone(), counts: counts? });
        }
        let most = match query.count {
            Count::None => return Ok(()),
            Count::UpTo(most) => Some(most),
            Count::Exact => None,
        };
        let mut builder = QueryBuilder::<Postgres>::new("SELECT count(*) FROM (SELECT 1");
        self.push_from(&mut builder, query, plan)?;
        if let Some(most) = most {
            builder.push(" LIMIT ").push_bind(i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX));
        }
        builder.push(") c");
        let count: i64 = builder.build_query_scalar().fetch_one(connection).await.map_err(searching)?;
        let count = u64::try_from(count).unwrap_or_default();
        page.total = match most {
            Some(most) if count > most => Total::AtLeast(most),
            _ => Total::Exact(count),
        };
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs the precision of f32 only")]
const fn narrow(score: f64) -> f32 {
    score as f32
}

fn read(row: &PgRow) -> Result<(Hit, f64)> {
    let id: String = row.try_get("id").map_err(searching)?;
    let version: i64 = row.try_get("version").map_err(searching)?;
    let source: String = row.try_get("source").map_err(searching)?;
    let source: Json = serde_json::from_str(&source)
        .map_err(|_| Error::new(ErrorKind::Storage, format!("no readable document stands under {id}")))?;
    Ok((
        Hit::new(id, u64::try_from(version).unwrap_or_default(), source),
        row.try_get("score").map_err(searching)?,
    ))
}

/// Appends the condition that a row comes behind a place in the order, where missing values come last.
fn push_behind(
    builder: &mut QueryBuilder<Postgres>,
    sorts: &[Sort],
    columns: &[String],
    keys: &[Key],
    id: &str,
) {
    builder.push(" AND (");
    for depth in 0..=columns.len() {
        builder.push(if depth > 0 { " OR (TRUE" } else { "(TRUE" });
        for (column, key) in columns.iter().zip(keys).take(depth) {
            builder.push(" AND ");
            match key {
                Key::Missing => {
                    builder.push(format!("{column} IS NULL"));
                }
                key => {
                    builder.push(format!("{column} = "));
                    push_key(builder, key);
                }
            }
        }
        match (columns.get(depth), sorts.get(depth), keys.get(depth)) {
            (Some(_), _, Some(Key::Missing)) => {
                builder.push(" AND FALSE");
            }
            (Some(column), Some(sort), Some(key)) => {
                builder.push(format!(" AND ({column} {} ", if sort.descending { "<" } else { ">" }));
                push_key(builder, key);
                builder.push(format!(" OR {column} IS NULL)"));
            }
            _ => {
                builder.push(" AND d.id > ").push_bind(id.to_owned());
            }
        }
        builder.push(")");
    }
    builder.push(")");
}

fn push_key(builder: &mut QueryBuilder<Postgres>, key: &Key) {
    match key {
        Key::Missing => builder.push("NULL"),
        Key::Bool(value) => builder.push_bind(*value),
        Key::Int(value) => builder.push_bind(*value),
        Key::Float(bits) => builder.push_bind(f64::from_bits(*bits)),
        Key::Text(text) => builder.push_bind(text.clone()),
    };
}
