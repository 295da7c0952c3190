//! Runs: what everything else follows from.

use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, EventId, State};
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use support::database::{Connection, Database};
use support::outbox::Outbox;
use support::{on, within};

use super::calendar::{Calendar, Span};
use super::followed::Followed;

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

impl Run {
    /// Tells whether no week or month that it counts in is closed.
    pub(crate) fn can_be_taken_back(&self, calendar: &Calendar, now: Timestamp) -> Result<bool> {
        for span in Span::ALL {
            let closes = Calendar::closes(&calendar.window(span, self.began_at)?);
            if self.recorded_at < closes && closes <= now {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells whether the boards of its week and month keep what it takes to take it back: all runs of theirs came later than `kept_after`.
    pub(crate) fn is_kept(&self, calendar: &Calendar, kept_after: Timestamp) -> Result<bool> {
        for span in Span::ALL {
            if calendar.window(span, self.began_at)?.start() <= kept_after {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What became of a run that was to be taken back.
pub(crate) enum TakenBack {
    Done,
    /// The runner has no such run.
    Missing,
    /// A week or a month that it counts in is closed.
    Closed,
    /// The boards of its week or month have runs from before they kept what it takes.
    NotKept,
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
        Followed::announce(connection, outbox, event).await?;
        Ok(run)
    }

    /// Takes a runner's run back, with the recaps so far that tell of it, and announces that.
    pub(crate) async fn take_back(
        &self,
        outbox: &Outbox,
        (runner, id): (&str, &str),
        calendar: &Calendar,
        (now, kept_after): (Timestamp, Timestamp),
    ) -> Result<TakenBack> {
        let taking = |error| failed("taking a run back", error);
        let find = "SELECT id, runner, crew, began_at, distance_m, time_s, recorded_at FROM runs WHERE id = $1 AND runner = $2";
        on!(&self.0, pool, begin => {
            let mut transaction = begin().await.map_err(taking)?;
            let found = sqlx::query_as(find).bind(id).bind(runner).fetch_optional(&mut *transaction);
            let found: Option<Row> = found.await.map_err(taking)?;
            let Some(run) = found.map(Run::from) else { return Ok(TakenBack::Missing) };
            if !run.can_be_taken_back(calendar, now)? {
                return Ok(TakenBack::Closed);
            }
            if !run.is_kept(calendar, kept_after)? {
                return Ok(TakenBack::NotKept);
            }
            let delete = sqlx::query("DELETE FROM runs WHERE id = $1").bind(id).execute(&mut *transaction);
            if delete.await.map_err(taking)?.rows_affected() == 0 {
                return Ok(TakenBack::Missing);
            }
            for span in Span::ALL {
                // What there is so far of the next one is compared with the one before.
                for window in [calendar.window(span, run.began_at)?, calendar.window(span, now)?] {
                    if Calendar::closes(&window) > now {
                        sqlx::query("DELETE FROM recaps WHERE runner = $1 AND span = $2 AND begins_at = $3")
                            .bind(runner)
                            .bind(span.as_str())
                            .bind(window.start().as_micros())
                            .execute(&mut *transaction)
                            .await
                            .map_err(taking)?;
                    }
                }
            }
            let event = Envelope::new(RUNS, runner, State::Deleted, 1)
                .with_id(EventId::named("club.run_taken_back", id))
                .with_occurred_at(now)
                .with_payload(&run)?
                .in_context();
            Followed::announce((&mut *transaction).into(), outbox, event).await?;
            transaction.commit().await.map_err(taking)?;
            Ok(TakenBack::Done)
        })
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
