//! Runs: what everything else follows from.

use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, EventId, State};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use support::database::{Database, WithOutbox as _};
use support::on;

/// The topic of runs that were recorded, by runner.
pub(crate) const RUNS: &str = "club.runs";

/// A run, as it is stored and as its event carries it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) runner: String,
    /// The crew that the runner was with when it was recorded.
    pub(crate) crew: Option<String>,
    pub(crate) began_at: Timestamp,
    pub(crate) distance_m: i64,
    pub(crate) time_s: i64,
    pub(crate) recorded_at: Timestamp,
}

/// A run as somebody tells of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewRun {
    pub(crate) began_at: Timestamp,
    pub(crate) distance_m: i64,
    pub(crate) time_s: i64,
}

/// A row of the table.
type Row = (String, String, Option<String>, i64, i64, i64, i64);

impl From<Row> for Run {
    fn from((id, runner, crew, began_at, distance_m, time_s, recorded_at): Row) -> Self {
        let (began_at, recorded_at) = (Timestamp::from_micros(began_at), Timestamp::from_micros(recorded_at));
        Self { id, runner, crew, began_at, distance_m, time_s, recorded_at }
    }
}

/// The runs of the club.
#[derive(Clone, Debug)]
pub(crate) struct Runs(pub(crate) Database);

impl Runs {
    /// Records a run, and its event, in one transaction; the same `id` again is answered alike, and refused if it is another run.
    pub(crate) async fn record(
        &self,
        id: EventId,
        runner: &Arc<str>,
        new: NewRun,
        now: Timestamp,
    ) -> Result<Run> {
        if let Some(stands) = self.run(id).await? {
            return same(stands, new);
        }
        let crew = super::crews::Crews(self.0.clone()).of(runner).await?;
        let run = Run {
            id: id.to_string(),
            runner: runner.as_ref().to_owned(),
            crew,
            began_at: new.began_at,
            distance_m: new.distance_m,
            time_s: new.time_s,
            recorded_at: now,
        };
        let event = Envelope::new(RUNS, &**runner, State::Created, 1)
            .with_id(id)
            .with_occurred_at(now)
            .with_payload(&run)?
            .in_context();
        let recording = |error| failed("recording a run", error);
        let is_new = on!(&self.0, pool, begin => {
            let mut transaction = pool.begin_with(begin).await.map_err(recording)?;
            let insert = sqlx::query(
                "INSERT INTO runs (id, runner, crew, began_at, distance_m, time_s, recorded_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(&run.id)
            .bind(&run.runner)
            .bind(&run.crew)
            .bind(run.began_at.as_micros())
            .bind(run.distance_m)
            .bind(run.time_s)
            .bind(run.recorded_at.as_micros());
            let is_new = insert.execute(&mut *transaction).await.map_err(recording)?.rows_affected() > 0;
            if is_new {
                pool.outbox().publish_in(&mut transaction, &[event]).await?;
            }
            transaction.commit().await.map_err(recording)?;
            is_new
        });
        if is_new {
            return Ok(run);
        }
        let stands = self.run(id).await?.ok_or_else(|| Error::new(ErrorKind::NotFound, "the run is gone"))?;
        same(stands, new)
    }

    async fn run(&self, id: EventId) -> Result<Option<Run>> {
        let query =
            "SELECT id, runner, crew, began_at, distance_m, time_s, recorded_at FROM runs WHERE id = $1";
        let id = id.to_string();
        let row: Option<Row> =
            on!(&self.0, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
                .map_err(|error| failed("reading a run", error))?;
        Ok(row.map(Run::from))
    }

    /// A runner's runs, the newest first and those before `before`: the moment and the id of a run.
    pub(crate) async fn newest(
        &self,
        runner: &str,
        before: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Run>> {
        let (at, id) = before.unwrap_or((Timestamp::MAX, String::new()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<Row> = on!(&self.0, pool => sqlx::query_as(include_str!("sql/newest_runs.sql"))
            .bind(runner)
            .bind(at.as_micros())
            .bind(id)
            .bind(limit)
            .fetch_all(pool)
            .await)
        .map_err(|error| failed("listing runs", error))?;
        Ok(rows.into_iter().map(Run::from).collect())
    }

    /// A runner's runs that began from `from` on and before `to`, and were recorded before `recorded`, in their order.
    pub(crate) async fn between(
        &self,
        runner: &str,
        from: Timestamp,
        to: Timestamp,
        recorded: Timestamp,
    ) -> Result<Vec<Run>> {
        let rows: Vec<Row> = on!(&self.0, pool => sqlx::query_as(include_str!("sql/runs_between.sql"))
            .bind(runner)
            .bind(from.as_micros())
            .bind(to.as_micros())
            .bind(recorded.as_micros())
            .fetch_all(pool)
            .await)
        .map_err(|error| failed("reading runs", error))?;
        Ok(rows.into_iter().map(Run::from).collect())
    }
}

/// A key stands for one run.
fn same(stands: Run, new: NewRun) -> Result<Run> {
    let is_same =
        (stands.began_at, stands.distance_m, stands.time_s) == (new.began_at, new.distance_m, new.time_s);
    if is_same {
        return Ok(stands);
    }
    Err(Error::new(ErrorKind::Conflict, "this key stands for another run, which is recorded"))
}
