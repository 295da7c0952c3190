//! Warnings of the weather, by region and kind.

use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use support::database::Database;
use support::on;

#[derive(Clone)]
pub(crate) struct Warnings {
    database: Database,
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

/// A warning's columns in the order of their names in every statement: `id, region, kind, text, forecaster, at, lifted_at`.
type Row = (i64, String, String, String, String, i64, Option<i64>);

impl From<Row> for Warning {
    fn from((id, region, kind, text, forecaster, at, lifted_at): Row) -> Self {
        let (at, lifted_at) = (Timestamp::from_micros(at), lifted_at.map(Timestamp::from_micros));
        Self { id, region, kind, text, forecaster, at, lifted_at }
    }
}

impl Warnings {
    pub(crate) const fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
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
        let insert = "INSERT INTO warnings (region, kind, text, forecaster, at) VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT DO NOTHING RETURNING id, region, kind, text, forecaster, at, lifted_at";
        let in_force = "SELECT id, region, kind, text, forecaster, at, lifted_at FROM warnings \
                        WHERE region = $1 AND kind = $2 AND lifted_at IS NULL";
        loop {
            let at = self.clock.now().as_micros();
            let new: sqlx::Result<Option<Row>> = on!(&self.database, pool => sqlx::query_as(insert)
                .bind(region)
                .bind(kind)
                .bind(text)
                .bind(forecaster)
                .bind(at)
                .fetch_optional(pool)
                .await);
            if let Some(new) = new.map_err(issuing)? {
                return Ok((new.into(), true));
            }
            let known: sqlx::Result<Option<Row>> = on!(&self.database, pool => sqlx::query_as(in_force)
                .bind(region)
                .bind(kind)
                .fetch_optional(pool)
                .await);
            if let Some(known) = known.map_err(issuing)? {
                return Ok((known.into(), false));
            }
            // It was lifted between the two.
        }
    }

    /// Lifts a warning; one that is lifted stays as it is.
    pub(crate) async fn lift(&self, id: i64) -> Result<Warning> {
        let (lift, at) = (
            "UPDATE warnings SET lifted_at = $2 WHERE id = $1 AND lifted_at IS NULL",
            self.clock.now().as_micros(),
        );
        on!(&self.database, pool => sqlx::query(lift).bind(id).bind(at).execute(pool).await.map(drop))
            .map_err(|error| failed("lifting a warning", error))?;
        self.warning(id).await
    }

    pub(crate) async fn warning(&self, id: i64) -> Result<Warning> {
        let one = "SELECT id, region, kind, text, forecaster, at, lifted_at FROM warnings WHERE id = $1";
        let warning: sqlx::Result<Option<Row>> =
            on!(&self.database, pool => sqlx::query_as(one).bind(id).fetch_optional(pool).await);
        let warning = warning.map_err(|error| failed("reading a warning", error))?;
        warning.map(Into::into).ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such warning"))
    }

    /// Lists warnings in force, of one region or of all, the newest first and only those before `before`.
    pub(crate) async fn in_force(
        &self,
        region: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Warning>> {
        let list = "SELECT id, region, kind, text, forecaster, at, lifted_at FROM warnings WHERE lifted_at IS NULL \
                    AND ($1 IS NULL OR region = $1) AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: sqlx::Result<Vec<Row>> = on!(&self.database, pool => sqlx::query_as(list)
            .bind(region)
            .bind(before)
            .bind(limit)
            .fetch_all(pool)
            .await);
        let rows = rows.map_err(|error| failed("listing warnings", error))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
