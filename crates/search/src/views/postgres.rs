//! Views in PostgreSQL.

use std::fmt;
use std::ops::RangeInclusive;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use sqlx::{PgPool, Row};

use super::{Mark, Seen, ViewStore, ViewWindow};
use crate::reactions::check_id;
use crate::{Error, Result};

const MIGRATION: Migration = Migration {
    component: "views",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_view_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Keeps views in PostgreSQL 12 or newer. Marks are rows until [`clean_up`](ViewStore::clean_up) deletes those of past windows.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_view`, in the first schema of the connection's
/// `search_path`. Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_search::Result<()> {
/// use pumasi_search::views::{PostgresViews, ViewCounter, Viewer};
///
/// let store = PostgresViews::new(pool);
/// store.migrate().await?;
/// let views = ViewCounter::new(store, b"a long random secret of this service")?;
/// let seen = views.see("post-1", Viewer::Member("민지")).await?;
/// # let _ = seen;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresViews {
    pool: PgPool,
}

impl PostgresViews {
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

impl fmt::Debug for PostgresViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresViews").finish_non_exhaustive()
    }
}

const CLEAN_UP: &str = "DELETE FROM pumasi_view_mark WHERE \"window\" < $1 OR \"window\" > $2";

fn keeping(error: sqlx::Error) -> Error {
    failed("counting views", error)
}

#[async_trait]
impl ViewStore for PostgresViews {
    async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen> {
        check_id("an item", item)?;
        let row = sqlx::query(include_str!("sql/postgres/see.sql"))
            .bind(window.number)
            .bind(item)
            .bind(mark.number())
            .fetch_optional(&self.pool)
            .await
            .map_err(keeping)?;
        if let Some(row) = row {
            let total: i64 = row.try_get(0).map_err(keeping)?;
            return Ok(Seen { counted: true, total: u64::try_from(total).unwrap_or(0) });
        }
        let totals = self.totals(&[item]).await?;
        Ok(Seen { counted: false, total: totals.first().copied().unwrap_or(0) })
    }

    async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let totals = include_str!("sql/postgres/totals.sql");
        let rows = sqlx::query(totals).bind(items.to_vec()).fetch_all(&self.pool).await.map_err(keeping)?;
        let total = |row: &sqlx::postgres::PgRow| {
            row.try_get::<i64, _>(0).map(|total| u64::try_from(total).unwrap_or(0))
        };
        rows.iter().map(total).collect::<sqlx::Result<_>>().map_err(keeping)
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        for statement in [
            include_str!("sql/postgres/lock.sql"),
            include_str!("sql/postgres/forget.sql"),
            "DELETE FROM pumasi_view_total WHERE item = $1",
        ] {
            sqlx::query(statement).bind(item).execute(&mut *transaction).await.map_err(keeping)?;
        }
        transaction.commit().await.map_err(keeping)
    }

    async fn clean_up(&self, kept: RangeInclusive<i64>) -> Result<u64> {
        let done = sqlx::query(CLEAN_UP)
            .bind(*kept.start())
            .bind(*kept.end())
            .execute(&self.pool)
            .await
            .map_err(keeping)?;
        Ok(done.rows_affected())
    }
}
