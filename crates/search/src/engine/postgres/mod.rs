//! PostgreSQL as an engine: our terms in a `tsvector` with positions.

mod examine;
mod find;
mod lookup;
mod table;
mod write;

use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::database::{begin_postgres, failed};
use pumasi_core::time::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _, Transaction};

use super::{Applied, Change, SearchEngine, Stamp, Status};
use crate::page::{Gap, Page, Total};
use crate::query::Query;
use crate::schema::Schema;
use crate::search::Finding;
use crate::{Error, ErrorKind, Result};
use find::Search;
use table::Table;

/// A lock of this crate's own, so that two processes do not make the tables at once.
const LOCK: i64 = 0x7075_6d61_7365_6172;

/// How long changes that are applied together may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps documents in a table of PostgreSQL, for a service that has one already: as the fallback of another engine, or alone.
///
/// - The terms are ours, with their places: Korean is found as everywhere else, with words of one or two syllables, and
///   whatever the database's locale is. No extension is needed.
/// - Texts are ranked by how rare a term is (counted up to 20,000 rows), by `ts_rank`'s count of how often it occurs, and by
///   BM25's discount of long documents. That is close to BM25 but not the same, and pages that are ordered by scores say so
///   with [`Gap::Ranking`](crate::Gap::Ranking) (those of a [`Search`](crate::Search) whose primary it is do not); explanations are not given, and words with typos not found.
/// - Every match is scored: a word that is in most documents makes a search slow, and a query of more than a thousand parts, each term
///   once and once again for each boosted field, is `Unsupported`. Sorted pages read an index only.
/// - A `tsvector` keeps 16,383 places, 255 of one term, and 1 MB. A document with more places counts as having every phrase whose words
///   it has; one with more terms, some hundred thousand different ones, is refused. Its older version is not found any more either, and
///   pages say how many documents are left out so, as [`Gap::Missing`](crate::Gap::Missing).
/// - Changes that are applied together are written in one transaction. Where that takes longer than a quarter of the
///   [patience](Self::with_patience), they are written in parts, so that one document that takes long keeps no other from being written.
///
/// Tables are made when it is opened, one for each index that is built anew.
#[derive(Clone, Debug)]
pub struct PostgresEngine {
    schema: Schema,
    table: Table,
    pool: PgPool,
    name: String,
    patience: Duration,
    /// The index that is written and read, where it is not the one in use.
    aside: Option<i64>,
}

fn at(what: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| failed(what, error)
}

/// Which index is asked, and what is known of it.
struct Index {
    generation: i64,
    applied: Option<i64>,
    documents: i64,
    terms: i64,
    /// How many documents it knows the versions of and could not take.
    refused: i64,
}

impl PostgresEngine {
    /// Opens the index in a database, or makes it; called `postgres`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a schema that is none, `Conflict` where the index was built for another schema or analyzer,
    /// `Unavailable` where the database cannot be reached.
    pub async fn open(schema: Schema, pool: PgPool) -> Result<Self> {
        schema.validate()?;
        let (table, name) = (Table::new(&schema), "postgres".to_owned());
        let engine = Self { schema, table, pool, name, patience: PATIENCE, aside: None };
        engine.make().await?;
        Ok(engine)
    }

    /// Gives the engine another name, where there are several.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets how long changes that are applied together may take (default 20 s). Those that were not written by then fail as a
    /// [`Timeout`](ErrorKind::Timeout).
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    async fn make(&self) -> Result<()> {
        let making = at("making the tables of the index");
        let mut transaction = self.begin_alone().await.map_err(&making)?;
        sqlx::raw_sql(include_str!("sql/index.sql")).execute(&mut *transaction).await.map_err(&making)?;
        let wanted = self.schema.fingerprint();
        let known: Option<String> =
            sqlx::query_scalar("SELECT fingerprint FROM pumasi_search_index WHERE name = $1 AND in_use")
                .bind(self.schema.name())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(&making)?;
        match known {
            Some(known) if known == wanted => {}
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the index in PostgreSQL was built for another schema or analyzer",
                ));
            }
            None => self.add(&mut transaction, 1, true).await?,
        }
        transaction.commit().await.map_err(&making)
    }

    async fn add(&self, connection: &mut PgConnection, generation: i64, in_use: bool) -> Result<()> {
        let making = at("making the table of an index");
        sqlx::raw_sql(AssertSqlSafe(self.table.create(generation)))
            .execute(&mut *connection)
            .await
            .map_err(&making)?;
        sqlx::query(
            "INSERT INTO pumasi_search_index (name, generation, in_use, fingerprint) VALUES ($1, $2, $3, $4)",
        )
        .bind(self.schema.name())
        .bind(generation)
        .bind(in_use)
        .bind(self.schema.fingerprint())
        .execute(connection)
        .await
        .map_err(&making)?;
        Ok(())
    }

    /// Makes an empty index beside the one in use, for building it anew; the one in use goes on answering.
    ///
    /// Fill it, apply changes that come meanwhile to both, and [`switch`](Self::switch) to it. What was begun before and not
    /// switched to is dropped.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the database cannot be reached.
    pub async fn rebuild(&self) -> Result<Self> {
        let making = at("making an index beside the one in use");
        let mut transaction = self.begin_alone().await.map_err(&making)?;
        for generation in self.retire(&mut transaction, false).await.map_err(&making)? {
            self.drop_table(&mut transaction, generation).await?;
        }
        let generation = self.index(&mut transaction).await?.generation.saturating_add(1);
        self.add(&mut transaction, generation, false).await?;
        transaction.commit().await.map_err(&making)?;
        Ok(Self { aside: Some(generation), ..self.clone() })
    }

    /// Answers from an index that was [built anew](Self::rebuild), from now on and in every process, and drops the old one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an engine that was not built anew, `Conflict` where it was dropped meanwhile, `Unavailable` where the
    /// database cannot be reached.
    pub async fn switch(&self, rebuilt: &Self) -> Result<()> {
        let Some(generation) = rebuilt.aside else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is not an index that was built anew"));
        };
        let switching = at("switching to another index");
        let mut transaction = self.begin_alone().await.map_err(&switching)?;
        let old = self.retire(&mut transaction, true).await.map_err(&switching)?;
        let moved =
            sqlx::query("UPDATE pumasi_search_index SET in_use = TRUE WHERE name = $1 AND generation = $2")
                .bind(self.schema.name())
                .bind(generation)
                .execute(&mut *transaction)
                .await
                .map_err(&switching)?;
        if moved.rows_affected() != 1 {
            return Err(Error::new(ErrorKind::Conflict, "the index that was built anew is gone"));
        }
        for generation in old {
            self.drop_table(&mut transaction, generation).await?;
        }
        transaction.commit().await.map_err(&switching)
    }

    /// Begins a transaction beside which no other one makes, switches or drops an index.
    async fn begin_alone(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Takes the indexes out of the list that are in use, or those that are not; their tables are left.
    async fn retire(&self, connection: &mut PgConnection, in_use: bool) -> sqlx::Result<Vec<i64>> {
        let sql = "DELETE FROM pumasi_search_index WHERE name = $1 AND in_use = $2 RETURNING generation";
        sqlx::query_scalar(sql).bind(self.schema.name()).bind(in_use).fetch_all(connection).await
    }

    async fn drop_table(&self, connection: &mut PgConnection, generation: i64) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS {}", self.table.name(generation));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map_err(at("dropping an index"))?;
        Ok(())
    }

    async fn index(&self, connection: &mut PgConnection) -> Result<Index> {
        self.index_within(connection, None).await
    }

    /// Looks the index up, and lets what follows in the transaction take no longer: one round trip for both.
    async fn index_within(&self, connection: &mut PgConnection, limit: Option<Duration>) -> Result<Index> {
        let sql = "SELECT generation, applied, documents, terms, refused, \
                   set_config('statement_timeout', COALESCE($3, current_setting('statement_timeout')), TRUE) \
                   FROM pumasi_search_index \
                   WHERE name = $1 AND CASE WHEN $2::bigint IS NULL THEN in_use ELSE generation = $2 END";
        let row = sqlx::query(sql)
            .bind(self.schema.name())
            .bind(self.aside)
            .bind(limit.map(|limit| limit.as_millis().clamp(1, 2_000_000_000).to_string()))
            .fetch_optional(connection)
            .await
            .map_err(at("looking the index up"))?;
        let row = row.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the index in PostgreSQL is gone"))?;
        let read = at("reading the index");
        Ok(Index {
            generation: row.try_get(0).map_err(&read)?,
            applied: row.try_get(1).map_err(&read)?,
            documents: row.try_get(2).map_err(&read)?,
            terms: row.try_get(3).map_err(&read)?,
            refused: row.try_get(4).map_err(&read)?,
        })
    }

    async fn find(&self, query: &Query, time_left: Duration) -> Result<Page> {
        query.check(&self.schema)?;
        let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut transaction =
            begin_postgres(&self.pool, begin).await.map_err(at("searching in PostgreSQL"))?;
        let index = self.index_within(&mut transaction, Some(time_left)).await?;
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no such precision")]
        let mean = index.terms as f64 / (index.documents.max(1)) as f64;
        let search = Search {
            schema: &self.schema,
            table: &self.table,
            name: &self.name,
            generation: index.generation,
            documents: index.documents,
            mean,
        };
        let mut page = search.run(&mut transaction, query).await?;
        if let Some(refused) = u64::try_from(index.refused).ok().filter(|refused| *refused > 0) {
            page.gaps.push(Gap::Missing(refused));
        }
        let empty = page.hits.is_empty() && (query.limit > 0 || page.total == Total::Exact(0));
        if empty && index.documents > 0 && self.is_emptied(&mut transaction, index.generation).await? {
            let what = "the table of the index in PostgreSQL was emptied by somebody else";
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        Ok(page)
    }

    /// Tells whether a table holds no document at all.
    async fn is_emptied(&self, connection: &mut PgConnection, generation: i64) -> Result<bool> {
        let table = self.table.name(generation);
        let sql = format!("SELECT NOT EXISTS (SELECT FROM {table} WHERE source IS NOT NULL)");
        let emptied = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await;
        emptied.map_err(at("searching in PostgreSQL"))
    }
}

#[async_trait]
impl SearchEngine for PostgresEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
        let timeout = || Error::new(ErrorKind::Timeout, "the search ran out of time in PostgreSQL");
        if time_left.is_zero() {
            return Err(timeout());
        }
        tokio::time::timeout(time_left, self.find(query, time_left)).await.unwrap_or_else(|_| Err(timeout()))
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.write(changes).await
    }

    async fn status(&self) -> Result<Status> {
        let reading = at("reading the status of the index");
        let mut connection = self.pool.acquire().await.map_err(&reading)?;
        let index = self.index(&mut connection).await?;
        let sql = format!("SELECT count(source), count(*) FROM {}", self.table.name(index.generation));
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.map_err(&reading)?;
        let (documents, known): (i64, i64) =
            (row.try_get(0).map_err(&reading)?, row.try_get(1).map_err(&reading)?);
        Ok(Status::new(
            u64::try_from(documents).unwrap_or_default(),
            u64::try_from(index.generation).unwrap_or_default(),
            index.applied.map(Timestamp::from_micros),
        )
        .with_deleted(u64::try_from(known.saturating_sub(documents)).unwrap_or_default()))
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        let reading = at("reading the versions of the index");
        let mut connection = self.pool.acquire().await.map_err(&reading)?;
        let index = self.index(&mut connection).await?;
        let sql = format!(
            "SELECT id, version FROM {} WHERE source IS NOT NULL AND id > $1 ORDER BY id LIMIT $2",
            self.table.name(index.generation)
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(after.unwrap_or_default())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await
            .map_err(&reading)?;
        rows.iter()
            .map(|row| {
                let version: i64 = row.try_get(1).map_err(&reading)?;
                let id: String = row.try_get(0).map_err(&reading)?;
                Ok(Stamp::new(id, u64::try_from(version).unwrap_or_default()))
            })
            .collect()
    }

    async fn examine(&self) -> Vec<Finding> {
        self.look().await
    }
}
