//! Reactions in a SQLite file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::database::{Migration, Writing, failed};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor, SqlitePool};

use super::{Counts, Reaction, Reactions, Tally, Vote, check, check_id, counted, last};
use crate::gather::Gather;
use crate::{Error, Result};

const MIGRATION: Migration = Migration {
    component: "reactions",
    begin: include_str!("sql/sqlite/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_reaction_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

/// Keeps reactions in a SQLite file, beside your own tables.
///
/// A row a person and item, and the counts by triggers from the row as it was and as it is. How durable an answer is depends
/// on the pool: with the write-ahead log and `synchronous = FULL` it outlives a loss of power. Votes that come at the same time
/// share a transaction, so that the file is synced once for them.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_reaction`. Clones share the pool.
#[derive(Clone)]
pub struct SqliteReactions {
    pool: SqlitePool,
    votes: Arc<Gather<Vec<Vote>, Vec<Tally>>>,
}

impl SqliteReactions {
    /// Makes a store on the pool's file.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, votes: Arc::default() }
    }

    /// Makes the tables, or brings them up to date.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage` or `Unavailable` if the file failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_sqlite(&self.pool).await
    }
}

impl fmt::Debug for SqliteReactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteReactions").finish_non_exhaustive()
    }
}

impl SqliteReactions {
    /// Casts the votes of several calls, and answers each call with its own.
    async fn cast_all(&self, calls: Vec<Vec<Vote>>) -> Result<Vec<Vec<Tally>>> {
        let votes = calls.concat();
        let each = |vote: &Vote| json!([vote.item, vote.person, vote.reaction.code(), vote.at.as_micros()]);
        let rows = last(&votes).into_iter().map(each).collect::<Value>().to_string();
        let mut writing = Writing::begin(&self.pool).await.map_err(keeping)?;
        sqlx::query(include_str!("sql/sqlite/cast.sql"))
            .bind(rows)
            .execute(&mut *writing)
            .await
            .map_err(keeping)?;
        let tallies = tally(&mut *writing, votes.iter().map(|vote| (vote.item(), vote.person()))).await?;
        writing.commit().await.map_err(keeping)?;
        let mut tallies = tallies.into_iter();
        Ok(calls.iter().map(|call| tallies.by_ref().take(call.len()).collect()).collect())
    }
}

fn keeping(error: sqlx::Error) -> Error {
    failed("keeping reactions", error)
}

async fn tally<'a>(
    executor: impl SqliteExecutor<'_>,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Tally>> {
    let pairs: Vec<_> = pairs.collect();
    let rows = sqlx::query(include_str!("sql/sqlite/tally.sql"))
        .bind(json!(pairs).to_string())
        .fetch_all(executor)
        .await
        .map_err(keeping)?;
    let read = |row: &SqliteRow| -> Result<Tally> {
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(keeping);
        let counts = Counts { likes: counted(number(1)?), dislikes: counted(number(2)?) };
        Ok(Tally { reaction: Reaction::from_code(number(0)?), counts })
    };
    rows.iter().map(read).collect()
}

#[async_trait]
impl Reactions for SqliteReactions {
    async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>> {
        check(votes)?;
        self.votes.ask(votes.to_vec(), |calls| self.cast_all(calls)).await
    }

    async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let tallies = tally(&self.pool, items.iter().map(|item| (*item, ""))).await?;
        Ok(tallies.into_iter().map(|tally| tally.counts).collect())
    }

    async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>> {
        check_id("a person", person)?;
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let tallies = tally(&self.pool, items.iter().map(|item| (*item, person))).await?;
        Ok(tallies.into_iter().map(|tally| tally.reaction).collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(keeping)?;
        for statement in [
            "DELETE FROM pumasi_reaction WHERE item = ?1",
            "DELETE FROM pumasi_reaction_count WHERE item = ?1",
        ] {
            sqlx::query(statement).bind(item).execute(&mut *transaction).await.map_err(keeping)?;
        }
        transaction.commit().await.map_err(keeping)
    }

    async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let mut writing = Writing::begin(&self.pool).await.map_err(keeping)?;
        for item in items {
            for statement in [
                include_str!("sql/sqlite/recount.sql"),
                "DELETE FROM pumasi_reaction_count WHERE item = ?1 AND likes = 0 AND dislikes = 0",
            ] {
                sqlx::query(statement).bind(item).execute(&mut *writing).await.map_err(keeping)?;
            }
        }
        let tallies = tally(&mut *writing, items.iter().map(|item| (*item, ""))).await?;
        writing.commit().await.map_err(keeping)?;
        Ok(tallies.into_iter().map(|tally| tally.counts).collect())
    }
}
