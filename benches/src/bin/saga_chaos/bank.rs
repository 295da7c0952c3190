//! The partner: a file of its own with a barrier and a ledger of every effect, which outlives whoever asks.

use std::path::Path;
use std::time::Duration;

use pumasi_saga::Cx;
use pumasi_saga::barrier::{Entry, Operation, SqliteBarrier};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Row, SqlitePool, Transaction};

use crate::Failure;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS ledger (no INTEGER PRIMARY KEY, \"order\" INTEGER NOT NULL, step TEXT NOT NULL, undo INTEGER NOT NULL, epoch INTEGER NOT NULL)";
pub(crate) const BOOKINGS: &str =
    "CREATE TABLE bookings (\"order\" bigint NOT NULL, step_key text NOT NULL, undo boolean NOT NULL)";
const BOOK: &str = "INSERT INTO bookings VALUES ($1, $2, $3)";
const ENTER: &str = "INSERT INTO ledger (\"order\", step, undo, epoch) VALUES (?1, ?2, ?3, ?4)";

#[derive(Clone)]
pub(crate) struct Bank {
    pool: SqlitePool,
    /// Where bookings are written apart from the record of their step, if that is planted.
    apart: Option<PgPool>,
}

/// Returns the bookings; with `DISTINCT` those of sagas that were forgotten and begun again under their keys count once.
pub(crate) async fn bookings(pool: &PgPool, once: bool) -> Result<Vec<Line>, Failure> {
    let all = "SELECT \"order\", undo FROM bookings";
    let distinct = "SELECT DISTINCT \"order\", undo, step_key FROM bookings";
    let rows = sqlx::query(if once { distinct } else { all }).fetch_all(pool).await?;
    let line = |row: &sqlx::postgres::PgRow| {
        Ok(Line {
            order: row.try_get::<i64, _>(0)?.cast_unsigned(),
            step: "book".to_owned(),
            undo: row.try_get(1)?,
            is_row: true,
        })
    };
    rows.iter().map(line).collect()
}

/// A line of the ledger.
pub(crate) struct Line {
    pub(crate) order: u64,
    pub(crate) step: String,
    pub(crate) undo: bool,
    /// It is a row of the sagas' own database, which is in no order with the partner's.
    pub(crate) is_row: bool,
}

impl Bank {
    pub(crate) async fn open(folder: &Path) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join("bank.db"))
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(60))
            .journal_mode(SqliteJournalMode::Wal)
            // Processes are killed here, not the machine.
            .synchronous(SqliteSynchronous::Off);
        let pool =
            pumasi_core::database::open_sqlite(SqlitePoolOptions::new().max_connections(4), options).await?;
        Ok(Self { pool, apart: None })
    }

    /// Has bookings written apart from the record of their step.
    pub(crate) fn with_rows_apart(self, pool: PgPool) -> Self {
        Self { apart: Some(pool), ..self }
    }

    /// Writes a booking, or that it is taken back, in the transaction that records it.
    pub(crate) async fn book(
        &self,
        cx: &Cx<Self>,
        transaction: &mut Transaction<'static, Postgres>,
        order: u64,
        undo: bool,
    ) -> Option<()> {
        let row = sqlx::query(BOOK).bind(order.cast_signed()).bind(cx.step_key()).bind(undo);
        let written = match &self.apart {
            Some(pool) => row.execute(pool).await,
            None => row.execute(&mut **transaction).await,
        };
        written.ok().map(drop)
    }

    pub(crate) async fn prepare(&self) -> Result<(), Failure> {
        SqliteBarrier::migrate(&self.pool).await?;
        sqlx::query(LEDGER).execute(&self.pool).await?;
        Ok(())
    }

    /// Has the effect of the step that asks, once under its key; `None` if nobody knows.
    pub(crate) async fn apply(&self, cx: &Cx<Self>, order: u64) -> Option<Entry> {
        self.enter(cx, order, Operation::Do).await.ok()
    }

    /// Undoes the effect of the step that asks, and sees to it that none comes later.
    pub(crate) async fn revert(&self, cx: &Cx<Self>, order: u64) -> Option<()> {
        self.enter(cx, order, Operation::Undo).await.ok().map(drop)
    }

    async fn enter(&self, cx: &Cx<Self>, order: u64, operation: Operation) -> Result<Entry, Failure> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let entry = SqliteBarrier::enter(&mut transaction, &cx.step_key(), operation).await?;
        if entry == Entry::First {
            sqlx::query(ENTER)
                .bind(order.cast_signed())
                .bind(cx.step())
                .bind(operation == Operation::Undo)
                .bind(cx.epoch().cast_signed())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(entry)
    }

    /// Tells whether an effect stands; `None` if nobody knows.
    pub(crate) async fn happened(&self, key: &str) -> Option<bool> {
        let mut connection = self.pool.acquire().await.ok()?;
        Some(SqliteBarrier::seen(&mut connection, key).await.ok()?.stands())
    }

    /// Returns the whole ledger, in order.
    pub(crate) async fn ledger(&self) -> Result<Vec<Line>, Failure> {
        let rows =
            sqlx::query("SELECT \"order\", step, undo FROM ledger ORDER BY no").fetch_all(&self.pool).await?;
        let line = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Line {
                order: row.try_get::<i64, _>(0)?.cast_unsigned(),
                step: row.try_get(1)?,
                undo: row.try_get(2)?,
                is_row: false,
            })
        };
        rows.iter().map(line).collect()
    }
}
