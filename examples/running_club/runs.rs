//! Runs: what everything else follows from.

use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, State};
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use support::database::{Connection, Database};
use support::outbox::Outbox;
use support::{on, within};

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
#[derive(Clone, Copy)]
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
    /// Writes a run, and its event, within a transaction.
    pub(crate) async fn insert(mut connection: Connection<'_>, outbox: &Outbox, run: Run) -> Result<Run> {
        let event = Envelope::new(RUNS, &run.runner, State::Created, 1)
            .with_id(run.id.parse()?)
            .with_occurred_at(run.recorded_at)
            .with_payload(&run)?
            .in_context();
        let insert = "INSERT INTO runs (id, runner, crew, began_at, distance_m, time_s, recorded_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
        within!(&mut connection, open => sqlx::query(insert)
            .bind(&run.id)
            .bind(&run.runner)
            .bind(&run.crew)
            .bind(run.began_at.as_micros())
            .bind(run.distance_m)
            .bind(run.time_s)
            .bind(run.recorded_at.as_micros())
            .execute(&mut **open)
            .await
            .map(drop))
        .map_err(|error| failed("recording a run", error))?;
        outbox.write(connection, &[event]).await?;
        Ok(run)
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
