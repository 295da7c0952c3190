//! Reactions in PostgreSQL.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, PgPool, Row};

use super::{Counts, Reaction, Reactions, Tally, Vote, check, check_id, counted, last};
use crate::{Error, Result};

const MIGRATION: Migration = Migration {
    component: "reactions",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_reaction_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Drops the count of an item without reactions.
const FORGET_NOTHING: &str =
    "DELETE FROM pumasi_reaction_count WHERE item = $1 AND likes = 0 AND dislikes = 0";

/// Keeps reactions in PostgreSQL 12 or newer.
///
/// A row a person and item, and the counts by a trigger from the row as it was and as it is: exact under any concurrency, and
/// also for whoever adds and changes rows by SQL. To delete them is [`forget`](Reactions::forget)'s; whoever deletes those of a member,
/// say, [recounts](Reactions::recount) the items. Votes on one item wait for one another.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_reaction`, in the first schema of the
/// connection's `search_path`. Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_search::Result<()> {
/// use pumasi_search::reactions::{PostgresReactions, Reaction, Reactions, Vote};
///
/// let reactions = PostgresReactions::new(pool);
/// reactions.migrate().await?;
/// reactions.cast(&[Vote::new("post-1", "민지", Reaction::Like, "2026-11-23T06:30:00Z".parse()?)]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresReactions {
    pool: PgPool,
}

impl PostgresReactions {
    /// Makes a store on the pool's database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }
}

impl fmt::Debug for PostgresReactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresReactions").finish_non_exhaustive()
    }
}

fn keeping(error: sqlx::Error) -> Error {
    failed("keeping reactions", error)
}

async fn tally(executor: impl PgExecutor<'_>, items: Vec<&str>, people: Vec<&str>) -> Result<Vec<Tally>> {
    let rows = sqlx::query(include_str!("sql/postgres/tally.sql"))
        .bind(items)
        .bind(people)
        .fetch_all(executor)
        .await
        .map_err(keeping)?;
    let read = |row: &PgRow| -> Result<Tally> {
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(keeping);
        let counts = Counts { likes: counted(number(1)?), dislikes: counted(number(2)?) };
        Ok(Tally { reaction: Reaction::from_code(number(0)?), counts })
    };
    rows.iter().map(read).collect()
}

#[async_trait]
impl Reactions for PostgresReactions {
    async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>> {
        check(votes)?;
        let last = last(votes);
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        sqlx::query(include_str!("sql/postgres/cast.sql"))
            .bind(last.iter().map(|vote| vote.item()).collect::<Vec<_>>())
            .bind(last.iter().map(|vote| vote.person()).collect::<Vec<_>>())
            .bind(last.iter().map(|vote| vote.reaction().code()).collect::<Vec<_>>())
            .bind(last.iter().map(|vote| vote.at().as_micros()).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        let items = votes.iter().map(Vote::item).collect();
        let tallies = tally(&mut *transaction, items, votes.iter().map(Vote::person).collect()).await?;
        transaction.commit().await.map_err(keeping)?;
        Ok(tallies)
    }

    async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let tallies = tally(&self.pool, items.to_vec(), vec![""; items.len()]).await?;
        Ok(tallies.into_iter().map(|tally| tally.counts).collect())
    }

    async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>> {
        check_id("a person", person)?;
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let tallies = tally(&self.pool, items.to_vec(), vec![person; items.len()]).await?;
        Ok(tallies.into_iter().map(|tally| tally.reaction).collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        let gone = sqlx::query(include_str!("sql/postgres/forget.sql"))
            .bind(item)
            .fetch_one(&mut *transaction)
            .await
            .map_err(keeping)?;
        let gone = |column: usize| gone.try_get::<i64, _>(column).map_err(keeping);
        // Statements of their own, which see the counts of every vote that is gone, and take nothing from those that were cast
        // meanwhile.
        sqlx::query(include_str!("sql/postgres/uncount.sql"))
            .bind(item)
            .bind(gone(0)?)
            .bind(gone(1)?)
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        sqlx::query(FORGET_NOTHING).bind(item).execute(&mut *transaction).await.map_err(keeping)?;
        transaction.commit().await.map_err(keeping)
    }

    async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        // in the order in which votes lock them
        let sorted: BTreeSet<&str> = items.iter().copied().collect();
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        for item in sorted {
            for statement in [
                include_str!("sql/postgres/lock_count.sql"),
                include_str!("sql/postgres/recount.sql"),
                FORGET_NOTHING,
            ] {
                sqlx::query(statement).bind(item).execute(&mut *transaction).await.map_err(keeping)?;
            }
        }
        let tallies = tally(&mut *transaction, items.to_vec(), vec![""; items.len()]).await?;
        transaction.commit().await.map_err(keeping)?;
        Ok(tallies.into_iter().map(|tally| tally.counts).collect())
    }
}
