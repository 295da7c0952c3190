//! The service's own books, in one SQLite file: races, places, lots, payments and messages.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pumasi_core::database::failed;
use pumasi_core::event::EventId;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_saga::barrier::SqliteBarrier;
use pumasi_saga::capacity::{Capacity, Draw, Entrants, Places, Seed, SqliteCapacity};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{FromRow, Row as _, SqlitePool};

/// An SQLite file; what its functions returned is on the disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Books {
    pub(super) pool: SqlitePool,
    places: SqliteCapacity,
    /// The desk of each race: whoever asks at the same time shares a transaction.
    desks: Arc<Mutex<HashMap<String, Capacity>>>,
}

/// A race.
#[derive(Clone)]
pub(super) struct Race {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_lottery: bool,
    pub(super) places: i64,
    pub(super) price_krw: i64,
    pub(super) organiser: String,
    seed: Option<String>,
    draw: Option<String>,
}

impl Race {
    /// Makes a race; a lottery has its seed from the beginning, whose commitment everybody can see.
    pub(super) fn new(name: String, is_lottery: bool, places: u32, price_krw: u32, organiser: &str) -> Self {
        Self {
            id: EventId::random().to_string(),
            name,
            is_lottery,
            places: places.into(),
            price_krw: price_krw.into(),
            organiser: organiser.to_owned(),
            seed: is_lottery.then(|| Seed::random().into()),
            draw: None,
        }
    }

    /// The hash of the seed, which is published before the draw.
    pub(super) fn commitment(&self) -> Result<Option<String>> {
        Ok(self.seed.clone().map(Seed::new).transpose()?.map(|seed| seed.commitment()))
    }

    /// What was drawn, if it was.
    pub(super) fn draw(&self) -> Result<Option<Draw>> {
        let draw = self.draw.as_deref().map(serde_json::from_str).transpose();
        draw.map_err(|_| Error::new(ErrorKind::Storage, "the draw of a race cannot be read"))
    }
}

/// A payment, as the gateway and we know it.
#[derive(Clone)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) race: String,
    pub(super) runner: String,
    pub(super) amount_krw: i64,
    pub(super) cancelled: bool,
    pub(super) paid_by: Option<String>,
    pub(super) refunded: bool,
}

impl Payment {
    pub(super) fn state(&self) -> &'static str {
        match self {
            Self { refunded: true, .. } => "refunded",
            Self { paid_by: Some(_), .. } => "paid",
            Self { cancelled: true, .. } => "cancelled",
            _ => "started",
        }
    }
}

impl FromRow<'_, SqliteRow> for Race {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            is_lottery: row.try_get("is_lottery")?,
            places: row.try_get("places")?,
            price_krw: row.try_get("price_krw")?,
            organiser: row.try_get("organiser")?,
            seed: row.try_get("seed")?,
            draw: row.try_get("draw")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for Payment {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            race: row.try_get("race")?,
            runner: row.try_get("runner")?,
            amount_krw: row.try_get("amount_krw")?,
            cancelled: row.try_get("cancelled")?,
            paid_by: row.try_get("paid_by")?,
            refunded: row.try_get("refunded")?,
        })
    }
}

/// What became of money that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paid {
    /// It is for a payment that is open.
    InTime,
    /// It is for one that was cancelled, and given back.
    Late,
    /// It is the second for one payment, and given back.
    Surplus,
}

impl Books {
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let opening = |error| failed("opening the books", error);
        let pool =
            SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(opening)?;
        sqlx::raw_sql(include_str!("sql/schema.sql")).execute(&pool).await.map_err(opening)?;
        let places = SqliteCapacity::new(pool.clone());
        places.migrate().await?;
        SqliteBarrier::migrate(&pool).await?;
        Ok(Self { pool, places, desks: Arc::default() })
    }

    /// Tells whether the file answers.
    pub(super) async fn ping(&self) -> Result<()> {
        let asked = sqlx::query("SELECT 1 FROM races LIMIT 1").fetch_optional(&self.pool).await;
        asked.map(|_| ()).map_err(|error| failed("reading the books", error))
    }

    /// The places of a race.
    pub(super) fn desk(&self, race: &str) -> Capacity {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks.entry(race.to_owned());
        desk.or_insert_with(|| Capacity::new(self.places.clone(), race)).clone()
    }

    pub(super) async fn add(&self, race: &Race) -> Result<()> {
        // Places first: a race that can be seen has them.
        self.desk(&race.id).open(u64::try_from(race.places).unwrap_or(0)).await?;
        sqlx::query("INSERT INTO races (id, name, is_lottery, places, price_krw, organiser, seed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .bind(&race.id)
            .bind(&race.name)
            .bind(race.is_lottery)
            .bind(race.places)
            .bind(race.price_krw)
            .bind(&race.organiser)
            .bind(&race.seed)
            .execute(&self.pool)
            .await
            .map_err(|error| failed("adding a race", error))?;
        Ok(())
    }

    /// Lists races in the order of their identifiers, which is that of their making.
    pub(super) async fn races(&self, after: &str, limit: usize) -> Result<Vec<Race>> {
        sqlx::query_as("SELECT * FROM races WHERE id > ?1 ORDER BY id LIMIT ?2")
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("listing races", error))
    }

    pub(super) async fn race(&self, id: &str) -> Result<Race> {
        let race =
            sqlx::query_as("SELECT * FROM races WHERE id = ?1").bind(id).fetch_optional(&self.pool).await;
        race.map_err(|error| failed("reading a race", error))?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such race"))
    }

    pub(super) async fn places(&self, race: &str) -> Result<Places> {
        self.desk(race).places().await
    }

    pub(super) async fn bar(&self, race: &str, runner: &str, who: &str, why: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO barred (race, runner, who, why) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )
        .bind(race)
        .bind(runner)
        .bind(who)
        .bind(why)
        .execute(&self.pool)
        .await
        .map_err(|error| failed("barring a runner", error))?;
        Ok(())
    }

    pub(super) async fn is_barred(&self, race: &str, runner: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM barred WHERE race = ?1 AND runner = ?2").bind(race).bind(runner);
        let row = row.fetch_optional(&self.pool).await;
        Ok(row.map_err(|error| failed("looking for a runner", error))?.is_some())
    }

    /// Who takes part in a lottery: registrations, which name nobody.
    pub(super) async fn entrants(&self, race: &str) -> Result<Entrants> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT registration FROM entrants WHERE race = ?1")
            .bind(race)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("listing entrants", error))?;
        Entrants::new(rows.into_iter().map(|(registration,)| registration))
    }

    pub(super) async fn has_entered(&self, race: &str, registration: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM entrants WHERE race = ?1 AND registration = ?2")
            .bind(race)
            .bind(registration);
        let row = row.fetch_optional(&self.pool).await;
        Ok(row.map_err(|error| failed("looking for an entrant", error))?.is_some())
    }

    /// Draws, once: whoever asks again is told the same. Nobody enters from then on.
    pub(super) async fn draw(&self, race: &Race) -> Result<Draw> {
        let failed = |error| failed("drawing a race", error);
        let seed =
            race.seed.clone().ok_or_else(|| Error::new(ErrorKind::Conflict, "the race is no lottery"))?;
        // Immediate: nobody enters between the list and the draw.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let drawn: (Option<String>,) = sqlx::query_as("SELECT draw FROM races WHERE id = ?1")
            .bind(&race.id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if let (Some(draw),) = drawn {
            return Race { draw: Some(draw), ..race.clone() }
                .draw()?
                .ok_or_else(|| Error::new(ErrorKind::Storage, "the draw of a race cannot be read"));
        }
        let rows: Vec<(String,)> = sqlx::query_as("SELECT registration FROM entrants WHERE race = ?1")
            .bind(&race.id)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let entrants = Entrants::new(rows.into_iter().map(|(registration,)| registration))?;
        let draw = Draw::new(&Seed::new(seed)?, &entrants, usize::try_from(race.places).unwrap_or(0));
        let json = serde_json::to_string(&draw)
            .map_err(|_| Error::new(ErrorKind::Other, "a draw cannot be written as JSON"))?;
        sqlx::query("UPDATE races SET draw = ?2 WHERE id = ?1")
            .bind(&race.id)
            .bind(json)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(draw)
    }

    pub(super) async fn payment(&self, id: &str) -> Result<Option<Payment>> {
        let payment =
            sqlx::query_as("SELECT * FROM payments WHERE id = ?1").bind(id).fetch_optional(&self.pool).await;
        payment.map_err(|error| failed("reading a payment", error))
    }

    /// Notes that money came, once for each event; what nobody waits for is given back at once.
    pub(super) async fn take_payment(&self, id: &str, event: &str, amount_krw: u64) -> Result<Paid> {
        let failed = |error| failed("taking a payment", error);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query(include_str!("sql/take_payment.sql"))
            .bind(id)
            .bind(event)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let payment: Payment = sqlx::query_as("SELECT * FROM payments WHERE id = ?1")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        let is_first = payment.paid_by.as_deref() == Some(event);
        if !is_first {
            sqlx::query(
                "INSERT INTO surplus (event, payment, amount_krw) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )
            .bind(event)
            .bind(id)
            .bind(i64::try_from(amount_krw).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(match (is_first, payment.refunded) {
            (false, _) => Paid::Surplus,
            (true, true) => Paid::Late,
            (true, false) => Paid::InTime,
        })
    }
}
