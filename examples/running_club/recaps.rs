//! Recaps: what each runner did in a week or a month, as a batch that resumes wherever it was killed.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::database::failed;
#[cfg(feature = "postgres")]
use pumasi_core::event::PostgresOutbox;
use pumasi_core::event::{Delivery, Handler, Shutdown, SqliteOutbox};
use pumasi_core::schedule::batch::{Batch, BatchOutcome, BatchRun, ChunkJob, Entry, Parameters};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result, Retry};
use pumasi_search::leaderboard::Window;
use serde::{Deserialize, Serialize};
use support::database::Database;
use support::on;

use super::boards::{Asked, Boards};
use super::calendar::{Calendar, Span};
use super::runs::{Run, Runs};
use super::statistics::{Ran, Statistic};

/// The topic of batches of recaps that are complete.
pub(crate) const RECAPPED: &str = "club.recapped";
/// The topic of recaps that somebody asked for.
pub(crate) const WANTED: &str = "club.recaps_wanted";
const BATCH: &str = "recaps";

/// Which recaps are made: of a week or a month, from what was recorded until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) span: Span,
    pub(crate) begins_at: Timestamp,
    pub(crate) until: Timestamp,
}

impl Wanted {
    /// Of a window that is over, or as far as it has come.
    pub(crate) fn of(span: Span, window: &Window, now: Timestamp) -> Self {
        Self { span, begins_at: window.start(), until: Calendar::closes(window).min(now) }
    }

    fn parameters(self) -> Parameters {
        let micros = |at: Timestamp| at.as_micros().to_string();
        Parameters::from([
            ("span".to_owned(), self.span.as_str().to_owned()),
            ("begins_at".to_owned(), micros(self.begins_at)),
            ("until".to_owned(), micros(self.until)),
        ])
    }

    pub(crate) fn read(parameters: &Parameters) -> Result<Self> {
        let missing = || Error::new(ErrorKind::InvalidInput, "a batch of recaps has other parameters");
        let text = |name: &str| parameters.get(name).ok_or_else(missing);
        let at = |name: &str| -> Result<Timestamp> {
            Ok(Timestamp::from_micros(text(name)?.parse().map_err(|_| missing())?))
        };
        Ok(Self { span: Span::read(text("span")?)?, begins_at: at("begins_at")?, until: at("until")? })
    }
}

/// A runner's recap.
pub(crate) struct Recap {
    pub(crate) span: Span,
    pub(crate) window: Window,
    pub(crate) until: Timestamp,
    pub(crate) figures: BTreeMap<String, i64>,
}

/// A recap as the batch writes it.
pub(crate) struct Written {
    runner: String,
    figures: String,
}

/// The batch's work; clones share what they write to.
#[derive(Clone)]
pub(crate) struct Job {
    database: Database,
    boards: Boards,
    calendar: Calendar,
    statistics: Arc<[Arc<dyn Statistic>]>,
}

impl Job {
    async fn runners(
        &self,
        wanted: Wanted,
        after: Option<&String>,
        limit: NonZeroUsize,
    ) -> Result<Vec<String>> {
        let window = self.calendar.window(wanted.span, wanted.begins_at)?;
        let limit = i64::try_from(limit.get()).unwrap_or(i64::MAX);
        on!(&self.database, pool => sqlx::query_scalar(include_str!("sql/runners.sql"))
            .bind(window.start().as_micros())
            .bind(window.end().as_micros())
            .bind(wanted.until.as_micros())
            .bind(after.map_or("", String::as_str))
            .bind(limit)
            .fetch_all(pool)
            .await)
        .map_err(|error| failed("listing who ran", error))
    }

    async fn figures(&self, wanted: Wanted, runner: &String) -> Result<Written> {
        let window = self.calendar.window(wanted.span, wanted.begins_at)?;
        let from = self.calendar.before(wanted.span, &window)?.start();
        let runs = Runs(self.database.clone()).between(runner, from, window.end(), wanted.until).await?;
        let (before, runs): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| run.began_at < window.start());
        let by_distance = Asked { name: "runners.distance", span: wanted.span, at: window.start() };
        let around = self.boards.around(by_distance, runner, 0).await?;
        let rank = around.map(|(_, around)| around.place.rank);
        let ran = Ran { runs: &runs, before: &before, rank, calendar: &self.calendar };
        let figures = self.statistics.iter().filter_map(|each| Some((each.name(), each.of(&ran)?)));
        let figures: BTreeMap<&str, i64> = figures.collect();
        let figures = serde_json::to_string(&figures)
            .map_err(|_| Error::new(ErrorKind::Other, "figures cannot be written as JSON"))?;
        Ok(Written { runner: runner.clone(), figures })
    }
}

/// The same for either database: what differs is whose connection the chunk is written on.
macro_rules! on_database {
    ($database:ty, $connection:ty) => {
        #[async_trait]
        impl ChunkJob<$database> for Job {
            type Item = String;
            type Position = String;
            type Output = Written;

            async fn read(
                &self,
                run: &BatchRun,
                after: Option<&String>,
                limit: NonZeroUsize,
            ) -> Result<Vec<Entry<String, String>>> {
                let runners = self.runners(Wanted::read(&run.parameters)?, after, limit).await?;
                Ok(runners
                    .into_iter()
                    .map(|runner| Entry { position: runner.clone(), item: runner })
                    .collect())
            }

            async fn process(&self, run: &BatchRun, runner: &String) -> Result<Option<Written>> {
                self.figures(Wanted::read(&run.parameters)?, runner).await.map(Some)
            }

            async fn write(
                &self,
                run: &BatchRun,
                connection: &mut $connection,
                recaps: &[&Written],
            ) -> Result<()> {
                let wanted = Wanted::read(&run.parameters)?;
                for recap in recaps {
                    sqlx::query(include_str!("sql/write_recap.sql"))
                        .bind(&recap.runner)
                        .bind(wanted.span.as_str())
                        .bind(wanted.begins_at.as_micros())
                        .bind(wanted.until.as_micros())
                        .bind(&recap.figures)
                        .execute(&mut *connection)
                        .await
                        .map_err(|error| failed("writing recaps", error))?;
                }
                Ok(())
            }
        }
    };
}

on_database!(sqlx::Sqlite, sqlx::SqliteConnection);
#[cfg(feature = "postgres")]
on_database!(sqlx::Postgres, sqlx::PgConnection);

enum Batches {
    Sqlite(Batch<sqlx::Sqlite, Job>),
    #[cfg(feature = "postgres")]
    Postgres(Batch<sqlx::Postgres, Job>),
}

/// The recaps of the club; clones share them.
#[derive(Clone)]
pub(crate) struct Recaps {
    database: Database,
    calendar: Calendar,
    batches: Arc<Batches>,
    shutdown: Shutdown,
}

impl Recaps {
    pub(crate) fn new(
        database: &Database,
        boards: &Boards,
        calendar: &Calendar,
        statistics: Vec<Arc<dyn Statistic>>,
        clock: Option<Arc<dyn Clock>>,
        shutdown: Shutdown,
    ) -> Self {
        let job = Job {
            database: database.clone(),
            boards: boards.clone(),
            calendar: calendar.clone(),
            statistics: statistics.into(),
        };
        let batches = match database {
            Database::Sqlite(pool) => {
                Batches::Sqlite(batch(pool, job, clock, SqliteOutbox::new(pool.clone())))
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                Batches::Postgres(batch(pool, job, clock, PostgresOutbox::new(pool.clone())))
            }
        };
        let (database, calendar) = (database.clone(), calendar.clone());
        Self { database, calendar, batches: Arc::new(batches), shutdown }
    }

    /// Makes recaps, from where the same were broken off; once they are complete nothing happens any more.
    pub(crate) async fn make(&self, wanted: Wanted) -> Result<()> {
        let parameters = wanted.parameters();
        let outcome = match &*self.batches {
            Batches::Sqlite(batch) => batch.run(&parameters, &self.shutdown).await?,
            #[cfg(feature = "postgres")]
            Batches::Postgres(batch) => batch.run(&parameters, &self.shutdown).await?,
        };
        match outcome {
            BatchOutcome::Completed(progress) => {
                metrics::counter!("club_recaps_total", "span" => wanted.span.as_str())
                    .increment(progress.written);
                Ok(())
            }
            outcome if outcome.is_complete() => Ok(()),
            _ => {
                let message = "the recaps were told to stop before they were complete";
                Err(Error::new(ErrorKind::Cancelled, message).with_retry(Retry::Now))
            }
        }
    }

    /// A runner's recaps of weeks or months, the newest first and those before `before`.
    pub(crate) async fn of(
        &self,
        runner: &str,
        span: Span,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Recap>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(i64, i64, String)> =
            on!(&self.database, pool => sqlx::query_as(include_str!("sql/recaps.sql"))
                .bind(runner)
                .bind(span.as_str())
                .bind(before.unwrap_or(Timestamp::MAX).as_micros())
                .bind(limit)
                .fetch_all(pool)
                .await)
            .map_err(|error| failed("reading recaps", error))?;
        let recap = |(begins_at, until, figures): (i64, i64, String)| {
            let window = self.calendar.window(span, Timestamp::from_micros(begins_at))?;
            let figures = serde_json::from_str(&figures)
                .map_err(|_| Error::new(ErrorKind::Storage, "a stored recap cannot be read"))?;
            Ok(Recap { span, window, until: Timestamp::from_micros(until), figures })
        };
        rows.into_iter().map(recap).collect()
    }
}

fn batch<DB>(
    pool: &sqlx::Pool<DB>,
    job: Job,
    clock: Option<Arc<dyn Clock>>,
    outbox: impl pumasi_core::schedule::batch::CompletionSink<DB> + 'static,
) -> Batch<DB, Job>
where
    DB: pumasi_core::schedule::batch::BatchDatabase,
    Job: ChunkJob<DB>,
{
    let batch = Batch::new(BATCH, pool.clone(), job).with_completion_within(RECAPPED, outbox);
    match clock {
        Some(clock) => batch.with_clock(clock),
        None => batch,
    }
}

/// Makes the recaps that somebody asked for.
#[async_trait]
impl Handler for Recaps {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        self.make(delivery.event.payload()?).await
    }
}
