//! Warnings of the weather, by region and kind.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::database::failed;
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use support::database::{Database, Sql};
use support::on;
use tokio::sync::{RwLock, RwLockReadGuard};

/// Keeps a warning as it is until the transaction has ended.
const LOCK: Sql = Sql {
    sqlite: "SELECT id FROM warnings WHERE id = $1",
    postgres: "SELECT id FROM warnings WHERE id = $1 FOR UPDATE",
};
/// By the clock that says when messages were said: the server's, or else this process's.
const LIFT: Sql = Sql {
    sqlite: "UPDATE warnings SET lifted_at = $2 WHERE id = $1 AND lifted_at IS NULL",
    postgres: "UPDATE warnings SET lifted_at = CASE WHEN $2::bigint IS NULL THEN NULL \
               ELSE floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint END WHERE id = $1 AND lifted_at IS NULL",
};
/// Waits for whoever lifts it meanwhile.
const STANDING: Sql = Sql {
    sqlite: "SELECT lifted_at FROM warnings WHERE id = $1",
    postgres: "SELECT lifted_at FROM warnings WHERE id = $1 FOR SHARE",
};

#[derive(Clone)]
pub(crate) struct Warnings {
    database: Database,
    clock: Arc<dyn Clock>,
    /// While somebody speaks through this process no warning is lifted by it.
    speaking: Arc<RwLock<()>>,
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
        if self.lifted_at.is_none() { Ok(()) } else { Err(closed()) }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Conflict, "the warning is lifted, and its room is closed: it can be read")
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
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, speaking: Arc::default() }
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
        let lifting = |error| failed("lifting a warning", error);
        let silent = self.speaking.write().await;
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(lifting)?;
            let lock = sqlx::query(LOCK.to(&self.database)).bind(id);
            lock.fetch_optional(&mut *transaction).await.map_err(lifting)?;
            // Nobody speaks any more who is not told of this.
            let at = self.clock.now().as_micros();
            let lift = sqlx::query(LIFT.to(&self.database)).bind(id).bind(at);
            lift.execute(&mut *transaction).await.map_err(lifting)?;
            transaction.commit().await.map_err(lifting)?;
        });
        drop(silent);
        self.warning(id).await
    }

    /// Keeps this process from lifting a warning while somebody speaks.
    pub(crate) async fn speaking(&self) -> RwLockReadGuard<'_, ()> {
        self.speaking.read().await
    }

    /// Refuses what was said after the warning was lifted, as through another process.
    pub(crate) async fn was_in_force(&self, id: i64, at: Timestamp) -> Result<()> {
        let lifted: sqlx::Result<Option<i64>> = on!(&self.database, pool => {
            sqlx::query_scalar(STANDING.to(&self.database)).bind(id).fetch_one(pool).await
        });
        let lifted = lifted.map_err(|error| failed("reading a warning", error))?;
        if lifted.is_some_and(|lifted| at.as_micros() > lifted) { Err(closed()) } else { Ok(()) }
    }

    pub(crate) async fn warning(&self, id: i64) -> Result<Warning> {
        let one = "SELECT id, region, kind, text, forecaster, at, lifted_at FROM warnings WHERE id = $1";
        let warning: sqlx::Result<Option<Row>> =
            on!(&self.database, pool => sqlx::query_as(one).bind(id).fetch_optional(pool).await);
        let warning = warning.map_err(|error| failed("reading a warning", error))?;
        warning.map(Into::into).ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such warning"))
    }

    /// Lists warnings in force, and those that were lifted no longer than `lifted` ago, of one region or of all, the newest first and only
    /// those before `before`.
    pub(crate) async fn list(
        &self,
        region: Option<&str>,
        lifted: Option<Duration>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Warning>> {
        let list = "SELECT id, region, kind, text, forecaster, at, lifted_at FROM warnings WHERE (lifted_at IS NULL OR lifted_at > $4) \
                    AND ($1 IS NULL OR region = $1) AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let ago = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let lifted = lifted.map(|time| self.clock.now().as_micros().saturating_sub(ago(time)));
        let rows: sqlx::Result<Vec<Row>> = on!(&self.database, pool => sqlx::query_as(list)
            .bind(region)
            .bind(before)
            .bind(limit)
            .bind(lifted)
            .fetch_all(pool)
            .await);
        let rows = rows.map_err(|error| failed("listing warnings", error))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}
