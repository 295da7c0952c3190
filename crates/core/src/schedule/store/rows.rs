//! The statements, which SQLite and PostgreSQL share to the letter.

use sqlx::{ColumnIndex, Database, Decode, Row, Type};

use super::ledger::JobRow;
use crate::database::Migration;
use crate::event::Reason;
use crate::schedule::database::signed;
use crate::schedule::{RunRecord, RunStatus};
use crate::time::Timestamp;

/// The tables, which are the same on both databases.
pub(super) const MIGRATION: Migration = Migration {
    component: "schedules",
    begin: "CREATE TABLE IF NOT EXISTS pumasi_schedule_schema (version INTEGER NOT NULL)",
    read: "SELECT coalesce(max(version), 0) FROM pumasi_schedule_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn job<'r, R>(row: &'r R) -> sqlx::Result<JobRow>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(JobRow {
        cursor: Timestamp::from_micros(row.try_get(0)?),
        paused: row.try_get(1)?,
        fence: unsigned(row.try_get(2)?),
    })
}

pub(super) fn run<'r, R>(row: &'r R) -> sqlx::Result<RunRecord>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let moment =
        |index: usize| row.try_get::<Option<i64>, _>(index).map(|micros| micros.map(Timestamp::from_micros));
    let status: String = row.try_get(2)?;
    let unknown = || sqlx::Error::ColumnDecode {
        index: "status".to_owned(),
        source: "a status that this program does not know".into(),
    };
    let kind: Option<String> = row.try_get(10)?;
    let message: Option<String> = row.try_get(11)?;
    Ok(RunRecord {
        job: row.try_get(0)?,
        due: Timestamp::from_micros(row.try_get(1)?),
        status: RunStatus::from_stored(&status).ok_or_else(unknown)?,
        available: Timestamp::from_micros(row.try_get(3)?),
        attempts: u32::try_from(row.try_get::<i64, _>(4)?).unwrap_or(u32::MAX),
        fence: unsigned(row.try_get(5)?),
        lease_until: moment(6)?,
        started: moment(7)?,
        ended: moment(8)?,
        times: unsigned(row.try_get(9)?),
        reason: kind.map(|kind| Reason::new(kind, message.unwrap_or_default())),
    })
}

/// The values of [`save_run.sql`](./sql/save_run.sql), bound in order.
pub(super) fn bind_run<'q, DB>(
    query: sqlx::query::Query<'q, DB, DB::Arguments>,
    run: &'q RunRecord,
) -> sqlx::query::Query<'q, DB, DB::Arguments>
where
    DB: Database,
    i64: sqlx::Encode<'q, DB> + Type<DB>,
    &'q str: sqlx::Encode<'q, DB> + Type<DB>,
    Option<i64>: sqlx::Encode<'q, DB> + Type<DB>,
    Option<&'q str>: sqlx::Encode<'q, DB> + Type<DB>,
{
    query
        .bind(run.job.as_str())
        .bind(run.due.as_micros())
        .bind(run.status.as_str())
        .bind(run.available.as_micros())
        .bind(i64::from(run.attempts))
        .bind(signed(run.fence))
        .bind(run.lease_until.map(Timestamp::as_micros))
        .bind(run.started.map(Timestamp::as_micros))
        .bind(run.ended.map(Timestamp::as_micros))
        .bind(signed(run.times))
        .bind(run.reason.as_ref().map(|reason| reason.kind.as_str()))
        .bind(run.reason.as_ref().map(|reason| reason.message.as_str()))
}

/// Implements [`ScheduleStore`](super::ScheduleStore) for a type that has `pool`, `begin(&self)` and `moment(&mut connection)`,
/// the transaction and the clock; `$lock` ends the query that reads the job, so that no other node changes it meanwhile.
macro_rules! keep_in_rows {
    ($store:ty, $connection:ty, $lock:literal) => {
        /// Reads a job and its open runs; `lock` keeps other nodes away from it.
        async fn load(connection: &mut $connection, job: &str, lock: &'static str) -> sqlx::Result<Option<Ledger>> {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT cursor_at, paused, fence FROM pumasi_schedule_job WHERE name = ",
            );
            let row = query.push_bind(job).push(lock).build().fetch_optional(&mut *connection).await?;
            let Some(row) = row else { return Ok(None) };
            let open = sqlx::query(include_str!("sql/open.sql")).bind(job).fetch_all(connection).await?;
            let open = open.iter().map(rows::run).collect::<sqlx::Result<_>>()?;
            Ok(Some(Ledger::new(rows::job(&row)?, open)))
        }

        impl $store {
            async fn work<R>(
                &self,
                what: &'static str,
                job: &str,
                work: impl FnOnce(&mut Ledger, Timestamp) -> R + Send,
            ) -> Result<R>
            where
                R: Send,
            {
                let failed = |error| database_error(what, error);
                let mut transaction = self.begin().await.map_err(failed)?;
                let Some(mut ledger) = load(&mut transaction, job, $lock).await.map_err(failed)? else {
                    transaction.rollback().await.map_err(failed)?;
                    return Err(not_found(job));
                };
                // Only now, when nobody else is at work on the job.
                let now = self.moment(&mut transaction).await.map_err(failed)?;
                let result = work(&mut ledger, now);
                for run in &ledger.changed {
                    rows::bind_run(sqlx::query(include_str!("sql/save_run.sql")), run)
                        .execute(&mut *transaction)
                        .await
                        .map_err(failed)?;
                }
                if ledger.job_changed {
                    sqlx::query("UPDATE pumasi_schedule_job SET cursor_at = $2, paused = $3, fence = $4 WHERE name = $1")
                        .bind(job)
                        .bind(ledger.job.cursor.as_micros())
                        .bind(ledger.job.paused)
                        .bind(signed(ledger.job.fence))
                        .execute(&mut *transaction)
                        .await
                        .map_err(failed)?;
                }
                transaction.commit().await.map_err(failed)?;
                Ok(result)
            }
        }

        #[async_trait]
        impl ScheduleStore for $store {
            fn is_durable(&self) -> bool {
                true
            }

            async fn register(&self, job: &str) -> Result<()> {
                check_name(job)?;
                let failed = |error| database_error("registering a job", error);
                let mut connection = self.pool.acquire().await.map_err(failed)?;
                let now = self.moment(&mut connection).await.map_err(failed)?;
                sqlx::query(include_str!("sql/register.sql"))
                    .bind(job)
                    .bind(now.as_micros())
                    .execute(&mut *connection)
                    .await
                    .map_err(failed)?;
                Ok(())
            }

            async fn state(&self, job: &str) -> Result<JobState> {
                let failed = |error| database_error("reading the state of a job", error);
                let mut connection = self.pool.acquire().await.map_err(failed)?;
                let ledger = load(&mut connection, job, "").await.map_err(failed)?.ok_or_else(|| not_found(job))?;
                let now = self.moment(&mut connection).await.map_err(failed)?;
                Ok(ledger.state(now))
            }

            async fn plan(&self, plan: &Plan) -> Result<bool> {
                self.work("planning runs", &plan.job, |ledger, now| ledger.plan(plan, now)).await
            }

            async fn claim(&self, job: &str, terms: &ClaimTerms) -> Result<Option<Claim>> {
                self.work("claiming a run", job, |ledger, now| ledger.claim(terms, now)).await
            }

            async fn renew(&self, claim: &Claim, lease: Duration) -> Result<()> {
                self.work("renewing a run", &claim.run.job, |ledger, now| ledger.renew(claim, lease, now)).await?
            }

            async fn settle(&self, claim: &Claim, end: &RunEnd) -> Result<()> {
                self.work("settling a run", &claim.run.job, |ledger, now| ledger.settle(claim, end, now)).await?
            }

            async fn pause(&self, job: &str) -> Result<()> {
                self.work("pausing a job", job, |ledger, _| ledger.set_paused(true)).await
            }

            async fn resume(&self, job: &str) -> Result<()> {
                self.work("resuming a job", job, |ledger, _| ledger.set_paused(false)).await
            }

            async fn history(&self, job: &str, limit: u32) -> Result<Vec<RunRecord>> {
                let failed = |error| database_error("reading the history of a job", error);
                let rows = sqlx::query(include_str!("sql/history.sql"))
                    .bind(job)
                    .bind(i64::from(limit))
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed)?;
                rows.iter().map(rows::run).collect::<sqlx::Result<_>>().map_err(failed)
            }

            async fn prune(&self, job: &str, keep: u32) -> Result<u64> {
                sqlx::query(include_str!("sql/prune.sql"))
                    .bind(job)
                    .bind(i64::from(keep))
                    .execute(&self.pool)
                    .await
                    .map(|done| done.rows_affected())
                    .map_err(|error| database_error("pruning the history of a job", error))
            }
        }
    };
}

pub(super) use keep_in_rows;
