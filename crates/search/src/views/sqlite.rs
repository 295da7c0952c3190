//! Views in a SQLite file.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::database::{Migration, Writing, failed};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor, SqlitePool};

use super::{Mark, Seen, ViewStore, ViewWindow};
use crate::gather::Gather;
use crate::reactions::check_id;
use crate::{Error, Result};

const MIGRATION: Migration = Migration {
    component: "views",
    begin: include_str!("sql/sqlite/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_view_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

const FORGET_MARKS: &str = include_str!("sql/sqlite/forget_marks.sql");

/// Keeps views in a SQLite file, beside your own tables. Marks are rows until [`clean_up`](ViewStore::clean_up) deletes those of
/// past windows.
///
/// A view that has counted is answered by reading alone. How durable an answer is depends on the pool: with the write-ahead log
/// and `synchronous = FULL` it outlives a loss of power. Views that come at the same time share a transaction.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_view`. Clones share the pool.
#[derive(Clone)]
pub struct SqliteViews {
    pool: SqlitePool,
    views: Arc<Gather<(String, i64, i64), Seen>>,
}

impl SqliteViews {
    /// Makes a store on the pool's file.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, views: Arc::default() }
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

impl fmt::Debug for SqliteViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteViews").finish_non_exhaustive()
    }
}

impl SqliteViews {
    /// Counts views, each an item, a window and a mark.
    async fn see_all(&self, views: Vec<(String, i64, i64)>) -> Result<Vec<Seen>> {
        let mut writing = Writing::begin(&self.pool).await.map_err(keeping)?;
        let mut seen = Vec::with_capacity(views.len());
        for (item, window, mark) in &views {
            let done = sqlx::query(include_str!("sql/sqlite/see.sql"))
                .bind(window)
                .bind(item)
                .bind(mark)
                .execute(&mut *writing)
                .await
                .map_err(keeping)?;
            let totals = totals(&mut *writing, &[item]).await?;
            seen.push(Seen::new(done.rows_affected() > 0, totals.first().copied().unwrap_or(0)));
        }
        writing.commit().await.map_err(keeping)?;
        Ok(seen)
    }
}

const CLEAN_UP: &str = "DELETE FROM pumasi_view_mark WHERE \"window\" < ?1 OR \"window\" > ?2";

fn keeping(error: sqlx::Error) -> Error {
    failed("counting views", error)
}

async fn totals(executor: impl SqliteExecutor<'_>, items: &[&str]) -> Result<Vec<u64>> {
    let rows = sqlx::query(include_str!("sql/sqlite/totals.sql"))
        .bind(json!(items).to_string())
        .fetch_all(executor)
        .await
        .map_err(keeping)?;
    let total = |row: &SqliteRow| row.try_get::<i64, _>(0).map(|total| u64::try_from(total).unwrap_or(0));
    rows.iter().map(total).collect::<sqlx::Result<_>>().map_err(keeping)
}

#[async_trait]
impl ViewStore for SqliteViews {
    async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen> {
        check_id("an item", item)?;
        let known = "SELECT 1 FROM pumasi_view_mark WHERE \"window\" = ?1 AND item = ?2 AND mark = ?3";
        let known = sqlx::query(known)
            .bind(window.number)
            .bind(item)
            .bind(mark.number())
            .fetch_optional(&self.pool)
            .await
            .map_err(keeping)?;
        if known.is_some() {
            let totals = totals(&self.pool, &[item]).await?;
            return Ok(Seen::new(false, totals.first().copied().unwrap_or(0)));
        }
        let view = (item.to_owned(), window.number, mark.number());
        self.views.ask(view, |views| self.see_all(views)).await
    }

    async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        totals(&self.pool, items).await
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let mut writing = Writing::begin(&self.pool).await.map_err(keeping)?;
        for statement in [FORGET_MARKS, "DELETE FROM pumasi_view_total WHERE item = ?1"] {
            sqlx::query(statement).bind(item).execute(&mut *writing).await.map_err(keeping)?;
        }
        writing.commit().await.map_err(keeping)
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
