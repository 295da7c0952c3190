//! Warnings of the weather, by region and kind.

use std::sync::Arc;

use pumasi_core::database::{Writing, failed};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqlitePool};

#[derive(Clone)]
pub(crate) struct Warnings {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// A warning; as long as it is in force its room is open.
#[derive(Clone)]
pub(crate) struct Warning {
    pub(crate) id: i64,
    pub(crate) region: String,
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) forecaster: String,
    pub(crate) at: Timestamp,
    pub(crate) lifted_at: Option<Timestamp>,
}

impl Warning {
    /// The name of its room.
    pub(crate) fn room(&self) -> String {
        format!("warning-{}", self.id)
    }

    /// Lets people speak only while it is in force.
    pub(crate) fn must_be_in_force(&self) -> Result<()> {
        if self.lifted_at.is_none() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict, "the warning is lifted, and its room is closed: it can be read"))
    }
}

impl FromRow<'_, SqliteRow> for Warning {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            region: row.try_get("region")?,
            kind: row.try_get("kind")?,
            text: row.try_get("text")?,
            forecaster: row.try_get("forecaster")?,
            at: Timestamp::from_micros(row.try_get("at")?),
            lifted_at: row.try_get::<Option<i64>, _>("lifted_at")?.map(Timestamp::from_micros),
        })
    }
}

impl Warnings {
    pub(crate) const fn new(pool: SqlitePool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// Issues a warning, unless one of that kind is in force in the region; tells whether it is new.
    pub(crate) async fn issue(
        &self,
        region: &str,
        kind: &str,
        text: &str,
        forecaster: &str,
    ) -> Result<(Warning, bool)> {
        let issuing = |error| failed("issuing a warning", error);
        let mut writing = Writing::begin(&self.pool).await.map_err(issuing)?;
        let insert = "INSERT INTO warnings (region, kind, text, forecaster, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        let done = sqlx::query(insert)
            .bind(region)
            .bind(kind)
            .bind(text)
            .bind(forecaster)
            .bind(self.clock.now().as_micros())
            .execute(&mut *writing)
            .await
            .map_err(issuing)?;
        let in_force = "SELECT * FROM warnings WHERE region = ?1 AND kind = ?2 AND lifted_at IS NULL";
        let warning = sqlx::query_as(in_force).bind(region).bind(kind).fetch_one(&mut *writing).await;
        let warning = warning.map_err(issuing)?;
        writing.commit().await.map_err(issuing)?;
        Ok((warning, done.rows_affected() > 0))
    }

    /// Lifts a warning; one that is lifted stays as it is.
    pub(crate) async fn lift(&self, id: i64) -> Result<Warning> {
        sqlx::query("UPDATE warnings SET lifted_at = ?2 WHERE id = ?1 AND lifted_at IS NULL")
            .bind(id)
            .bind(self.clock.now().as_micros())
            .execute(&self.pool)
            .await
            .map_err(|error| failed("lifting a warning", error))?;
        self.warning(id).await
    }

    pub(crate) async fn warning(&self, id: i64) -> Result<Warning> {
        let warning =
            sqlx::query_as("SELECT * FROM warnings WHERE id = ?1").bind(id).fetch_optional(&self.pool).await;
        warning
            .map_err(|error| failed("reading a warning", error))?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such warning"))
    }

    /// Lists warnings in force, of one region or of all, the newest first and only those before `before`.
    pub(crate) async fn in_force(
        &self,
        region: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Warning>> {
        let list = "SELECT * FROM warnings WHERE lifted_at IS NULL AND (?1 IS NULL OR region = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3";
        sqlx::query_as(list)
            .bind(region)
            .bind(before)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("listing warnings", error))
    }
}
