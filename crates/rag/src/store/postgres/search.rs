//! One search, in one transaction and so on one snapshot.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row as _};

use super::copy::read_vector;
use super::extension::Extension;
use super::options::VectorIndex;
use super::rows::{self, Range, TenantRow};
use super::{condition, postings};
use crate::Result;
use crate::chunk::ChunkId;
use crate::store::{Found, Scored, StoreQuery, dot, everything};

/// So many more than wanted are scored by the whole vectors here, because the server sums in another order: its scores may differ in
/// the last bits.
const SPARE: usize = 10;

/// The most that `hnsw.ef_search` takes.
const MAX_BREADTH: usize = 1_000;

/// A search of one tenant's knowledge.
pub(super) struct Search<'a> {
    pub(super) row: TenantRow,
    pub(super) query: &'a StoreQuery,
    pub(super) extension: &'a Extension,
    pub(super) index: VectorIndex,
    pub(super) dimensions: usize,
    pub(super) exact_below: u64,
    pub(super) breadth: usize,
}

/// What a filter admits: chunks with numbers in these ranges, in order.
struct Admitted {
    ranges: Vec<Range>,
    chunks: u64,
}

impl Admitted {
    fn holds(&self, chunk: i64) -> bool {
        let at = self.ranges.partition_point(|range| range.past <= chunk);
        self.ranges.get(at).is_some_and(|range| range.first <= chunk)
    }
}

impl Search<'_> {
    pub(super) async fn run(&self, connection: &mut PgConnection) -> Result<Found> {
        let admitted = self.admitted(connection).await?;
        let mut found = Found { version: self.row.version.unsigned_abs(), ..Found::default() };
        if !self.query.terms.is_empty() {
            (found.term_weights, found.lexical) = self.lexical(connection, admitted.as_ref()).await?;
        }
        if !self.query.embedding.is_empty() && self.query.depth > 0 {
            found.dense = self.dense(connection, admitted.as_ref()).await?;
        }
        Ok(found)
    }

    /// Finds out what the filter admits; `None` for everything.
    async fn admitted(&self, connection: &mut PgConnection) -> Result<Option<Admitted>> {
        if self.query.filter == everything() {
            return Ok(None);
        }
        let known = rows::matching(connection, self.row.tenant, &self.query.filter).await?;
        let ranges = known.into_iter().map(|known| known.range).filter(|range| range.first < range.past);
        let ranges: Vec<Range> = ranges.collect();
        let chunks = ranges.iter().map(|range| range.past.abs_diff(range.first)).sum();
        Ok(Some(Admitted { ranges, chunks }))
    }

    async fn lexical(
        &self,
        connection: &mut PgConnection,
        admitted: Option<&Admitted>,
    ) -> Result<(Vec<f32>, Vec<Scored>)> {
        let depth = self.query.depth;
        let terms: Vec<i32> = self.query.terms.iter().map(|(term, _)| postings::signed(*term)).collect();
        let rows = rows::postings_of(&mut *connection, self.row.tenant, &terms).await?;
        let rows: Vec<_> = rows.iter().map(rows::posting).collect::<sqlx::Result<_>>()?;
        let (weights, mut scored) = postings::score(&self.query.terms, &rows, &self.row.statistics);
        if let Some(admitted) = admitted {
            scored.retain(|(chunk, _)| admitted.holds(*chunk));
        }
        // Ids decide between equal scores, so all are asked for that are as good as the last one.
        if depth > 0 && depth < scored.len() {
            let (_, last, _) = scored.select_nth_unstable_by(depth - 1, |(_, a), (_, b)| b.total_cmp(a));
            let bar = last.1;
            scored.retain(|(_, score)| *score >= bar);
        }
        if depth == 0 || scored.is_empty() {
            return Ok((weights, Vec::new()));
        }
        let numbers: Vec<i64> = scored.iter().map(|(chunk, _)| *chunk).collect();
        let ids = rows::ids_of(connection, self.row.tenant, &numbers).await?;
        let scored =
            scored.into_iter().filter_map(|(chunk, score)| Some(Scored::new(*ids.get(&chunk)?, score)));
        Ok((weights, Scored::best(scored.collect(), depth)))
    }

    async fn dense(&self, connection: &mut PgConnection, admitted: Option<&Admitted>) -> Result<Vec<Scored>> {
        let chunks = admitted.map_or(self.row.statistics.chunks, |admitted| admitted.chunks);
        let wanted = self.query.depth.saturating_add(SPARE);
        let few = chunks <= self.exact_below.max(wanted as u64);
        let mut near = Vec::new();
        if self.index != VectorIndex::Exact && !few {
            near = self.nearby(connection, admitted.is_some(), wanted).await?;
        }
        // The index may give up before it has seen enough that the filter admits.
        if near.len() < wanted && (near.len() as u64) < chunks {
            near = self.nearest(connection, admitted, wanted).await?;
        }
        let scored =
            near.into_iter().map(|(id, vector)| Scored::new(id, dot(&self.query.embedding, &vector)));
        Ok(Scored::best(scored.collect(), self.query.depth))
    }

    /// Looks at all vectors that are admitted.
    async fn nearest(
        &self,
        connection: &mut PgConnection,
        admitted: Option<&Admitted>,
        wanted: usize,
    ) -> Result<Vec<(ChunkId, Vec<f32>)>> {
        let statement = match admitted {
            None => include_str!("sql/nearest_of_all.sql"),
            Some(_) => include_str!("sql/nearest_of_some.sql"),
        };
        let statement = sqlx::query(self.extension.statement(statement));
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut statement = statement.bind(&self.query.embedding).bind(self.row.tenant).bind(limit);
        if let Some(admitted) = admitted {
            let (first, past) = rows::split(&admitted.ranges);
            statement = statement.bind(first).bind(past);
        }
        read(&statement.fetch_all(connection).await?)
    }

    /// Asks the index. How many are admitted is known here, and the server can only guess: a plan that sorts is out of the question.
    async fn nearby(
        &self,
        connection: &mut PgConnection,
        filtered: bool,
        wanted: usize,
    ) -> Result<Vec<(ChunkId, Vec<f32>)>> {
        let breadth = self.breadth.max(wanted).min(MAX_BREADTH);
        let settings = format!("{}SET LOCAL hnsw.ef_search = {breadth}", include_str!("sql/by_index.sql"));
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await?;
        let mut builder: QueryBuilder<Postgres> = QueryBuilder::new(self.extension.names(
            "SELECT id, pgvector.vector_send(embedding) FROM (SELECT c.id, c.embedding FROM pumasi_rag_chunk c",
        ));
        if filtered {
            builder.push(" JOIN pumasi_rag_document d ON d.tenant = c.tenant AND d.document = c.document");
        }
        builder.push(" WHERE c.tenant = ").push_bind(self.row.tenant);
        if filtered {
            builder.push(" AND ");
            condition::push(&mut builder, &self.query.filter)?;
        }
        let (kept, asked) = self.index.operands(self.dimensions);
        let nearest = self.extension.names(&format!(" ORDER BY {kept} OPERATOR(pgvector.<#>) "));
        builder.push(nearest).push_bind(&self.query.embedding);
        builder.push(self.extension.names(&format!("{asked} LIMIT ")));
        builder.push_bind(i64::try_from(wanted).unwrap_or(i64::MAX)).push(") AS near");
        read(&builder.build().persistent(false).fetch_all(connection).await?)
    }
}

fn read(rows: &[PgRow]) -> Result<Vec<(ChunkId, Vec<f32>)>> {
    let read = |row: &PgRow| Ok((rows::chunk_id(row, 0)?, read_vector(row.try_get(1)?)));
    Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
}
