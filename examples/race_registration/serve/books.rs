//! The service's own books, in one SQLite file or in PostgreSQL: races, places, lots, payments and messages.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::event::EventId;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_saga::capacity::{Capacity, Draw, Entrants, Places, Seed};
use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use support::database::{Database, Sql};
use support::on;
use support::sagas::Pools;
use support::servers::Pool;
use tokio::sync::Notify;
use utoipa::ToSchema;

const SCHEMA: Sql =
    Sql { sqlite: include_str!("sql/schema.sql"), postgres: include_str!("sql/schema.postgres.sql") };

const ENTRANTS: &str = "SELECT registration FROM entrants WHERE race = $1";
const PAYMENT: &str = "SELECT * FROM payments WHERE id = $1";

/// An SQLite file or a PostgreSQL database; what its functions returned is on the disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Books {
    pub(super) database: Database,
    places: Pools,
    /// Wakes whoever calls entrants up.
    pub(super) calls: Arc<Notify>,
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

    /// Whether an organiser made both alike.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let made = |race: &Self| (race.is_lottery, race.places, race.price_krw);
        self.name == other.name && made(self) == made(other)
    }

    /// The hash of the seed, which is published before the draw.
    pub(super) fn commitment(&self) -> Result<Option<String>> {
        Ok(self.seed.clone().map(Seed::new).transpose()?.map(|seed| seed.commitment()))
    }

    /// What was drawn, if it was.
    pub(super) fn draw(&self) -> Result<Option<Draw>> {
        self.draw.as_deref().map(read).transpose()
    }
}

fn read(draw: &str) -> Result<Draw> {
    serde_json::from_str(draw)
        .map_err(|_| Error::new(ErrorKind::Storage, "the draw of a race cannot be read"))
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

/// A runner who is barred from a race.
#[derive(Serialize, ToSchema)]
pub(super) struct Bar {
    pub(super) runner: String,
    /// Who barred the runner.
    pub(super) who: String,
    pub(super) why: String,
}

/// Reads a value from a row of either engine, each field from the column of its name.
macro_rules! from_row {
    ($type:ident { $($field:ident),+ }) => {
        impl<'r, R: Row> FromRow<'r, R> for $type
        where
            &'static str: ColumnIndex<R>,
            String: Decode<'r, R::Database> + Type<R::Database>,
            bool: Decode<'r, R::Database> + Type<R::Database>,
            i64: Decode<'r, R::Database> + Type<R::Database>,
            Option<String>: Decode<'r, R::Database> + Type<R::Database>,
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),+ })
            }
        }
    };
}

from_row!(Race { id, name, is_lottery, places, price_krw, organiser, seed, draw });
from_row!(Bar { runner, who, why });
from_row!(Payment { id, race, runner, amount_krw, cancelled, paid_by, refunded });

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
    pub(super) async fn open(file: &Path, database: Option<Pool>) -> Result<Self> {
        let database = Database::open(file, database, SCHEMA).await?;
        database.keep_keys().await?;
        Ok(Self { places: Pools::open(&database).await?, database, calls: Arc::default() })
    }

    /// Tells whether the books answer.
    pub(super) async fn ping(&self) -> Result<()> {
        let query = "SELECT 1 FROM races LIMIT 1";
        on!(&self.database, pool => sqlx::query(query).fetch_optional(pool).await.map(drop))
            .map_err(|error| failed("reading the books", error))
    }

    /// The places of a race.
    pub(super) fn desk(&self, race: &str) -> Capacity {
        self.places.desk(race)
    }

    /// Adds a race, and returns it; under a key that made one, that one.
    pub(super) async fn add(&self, key: &str, race: Race) -> Result<Race> {
        let adding = |error| failed("adding a race", error);
        if let Some(made) = self.made(key).await? {
            return Ok(made);
        }
        // Places first: a race that can be seen has them.
        self.desk(&race.id).open(u64::try_from(race.places).unwrap_or(0)).await?;
        let note = "INSERT INTO made (key, race) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let insert = "INSERT INTO races (id, name, is_lottery, places, price_krw, organiser, seed) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let is_first = on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(adding)?;
            let noted = sqlx::query(note).bind(key).bind(&race.id);
            let noted = noted.execute(&mut *transaction).await.map_err(adding)?;
            let is_first = noted.rows_affected() > 0;
            if is_first {
                let insert = sqlx::query(insert).bind(&race.id).bind(&race.name).bind(race.is_lottery);
                let insert = insert.bind(race.places).bind(race.price_krw).bind(&race.organiser);
                insert.bind(&race.seed).execute(&mut *transaction).await.map_err(adding)?;
            }
            transaction.commit().await.map_err(adding)?;
            is_first
        });
        if is_first {
            return Ok(race);
        }
        let made = self.made(key).await?;
        made.ok_or_else(|| Error::new(ErrorKind::Storage, "a race is noted that there is not"))
    }

    /// The race that was made under a key.
    async fn made(&self, key: &str) -> Result<Option<Race>> {
        let query = "SELECT races.* FROM made JOIN races ON races.id = made.race WHERE made.key = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(key).fetch_optional(pool).await)
            .map_err(|error| failed("reading a race", error))
    }

    /// Lists races, those made last first: the order of their identifiers, from the last one of the page before on.
    pub(super) async fn races(&self, after: Option<&str>, limit: usize) -> Result<Vec<(Race, Places)>> {
        let query = "SELECT * FROM races WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let races: Vec<Race> =
            on!(&self.database, pool => sqlx::query_as(query).bind(after).bind(limit).fetch_all(pool).await)
                .map_err(|error| failed("listing races", error))?;
        let pools: Vec<String> = races.iter().map(|race| race.id.clone()).collect();
        let places = self.places.places_of(&pools).await?;
        Ok(races.into_iter().zip(places).filter_map(|(race, places)| Some((race, places?))).collect())
    }

    /// Which of these races somebody organises.
    pub(super) async fn organised(
        &self,
        organiser: &str,
        races: &BTreeSet<String>,
    ) -> Result<HashMap<String, Race>> {
        let query = Sql {
            sqlite: "SELECT * FROM races WHERE organiser = $1 AND id IN (SELECT value FROM json_each($2))",
            postgres: "SELECT * FROM races WHERE organiser = $1 AND id IN (SELECT json_array_elements_text($2::json))",
        };
        let query = query.to(&self.database);
        let races = serde_json::json!(races).to_string();
        let races: Vec<Race> =
            on!(&self.database, pool => sqlx::query_as(query).bind(organiser).bind(races).fetch_all(pool).await)
                .map_err(|error| failed("listing races", error))?;
        Ok(races.into_iter().map(|race| (race.id.clone(), race)).collect())
    }

    pub(super) async fn race(&self, id: &str) -> Result<Race> {
        let query = "SELECT * FROM races WHERE id = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
            .map_err(|error| failed("reading a race", error))?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such race"))
    }

    pub(super) async fn places(&self, race: &str) -> Result<Places> {
        self.desk(race).places().await
    }

    /// Bars a runner; of a runner who is barred already, the newest reason is kept.
    pub(super) async fn bar(&self, race: &str, runner: &str, who: &str, why: &str) -> Result<()> {
        let insert = "INSERT INTO barred (race, runner, who, why) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (race, runner) DO UPDATE SET who = excluded.who, why = excluded.why";
        on!(&self.database, pool => {
            sqlx::query(insert).bind(race).bind(runner).bind(who).bind(why).execute(pool).await.map(drop)
        })
        .map_err(|error| failed("barring a runner", error))
    }

    /// Lists who is barred by name, from after a name on.
    pub(super) async fn barred(&self, race: &str, after: &str, limit: usize) -> Result<Vec<Bar>> {
        let query =
            "SELECT runner, who, why FROM barred WHERE race = $1 AND runner > $2 ORDER BY runner LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let bars = on!(&self.database, pool => {
            sqlx::query_as(query).bind(race).bind(after).bind(limit).fetch_all(pool).await
        });
        bars.map_err(|error| failed("listing the barred", error))
    }

    /// Returns whether there was something to lift.
    pub(super) async fn unbar(&self, race: &str, runner: &str) -> Result<bool> {
        let delete = "DELETE FROM barred WHERE race = $1 AND runner = $2";
        on!(&self.database, pool => {
            let deleted = sqlx::query(delete).bind(race).bind(runner).execute(pool).await;
            deleted.map(|done| done.rows_affected() > 0)
        })
        .map_err(|error| failed("lifting a bar", error))
    }

    pub(super) async fn is_barred(&self, race: &str, runner: &str) -> Result<bool> {
        let query = "SELECT 1 FROM barred WHERE race = $1 AND runner = $2";
        on!(&self.database, pool => {
            sqlx::query(query).bind(race).bind(runner).fetch_optional(pool).await.map(|row| row.is_some())
        })
        .map_err(|error| failed("looking for a runner", error))
    }

    /// Who takes part in a lottery: registrations, which name nobody.
    pub(super) async fn entrants(&self, race: &str) -> Result<Entrants> {
        let rows: Vec<(String,)> =
            on!(&self.database, pool => sqlx::query_as(ENTRANTS).bind(race).fetch_all(pool).await)
                .map_err(|error| failed("listing entrants", error))?;
        Entrants::new(rows.into_iter().map(|(registration,)| registration))
    }

    pub(super) async fn has_entered(&self, race: &str, registration: &str) -> Result<bool> {
        let query = "SELECT 1 FROM entrants WHERE race = $1 AND registration = $2";
        on!(&self.database, pool => {
            sqlx::query(query).bind(race).bind(registration).fetch_optional(pool).await.map(|row| row.is_some())
        })
        .map_err(|error| failed("looking for an entrant", error))
    }

    /// Draws, once: whoever asks again is told the same. Nobody enters from then on.
    pub(super) async fn draw(&self, race: &Race) -> Result<Draw> {
        let failed = |error| failed("drawing a race", error);
        let seed =
            race.seed.clone().ok_or_else(|| Error::new(ErrorKind::Conflict, "the race is no lottery"))?;
        // Nobody enters between the list and the draw: a file has one writer, and PostgreSQL locks the race.
        let lock = match &self.database {
            Database::Sqlite(_) => "SELECT draw FROM races WHERE id = $1",
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => "SELECT draw FROM races WHERE id = $1 FOR UPDATE",
        };
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(failed)?;
            let (drawn,): (Option<String>,) =
                sqlx::query_as(lock).bind(&race.id).fetch_one(&mut *transaction).await.map_err(failed)?;
            if let Some(drawn) = drawn {
                return read(&drawn);
            }
            let rows: Vec<(String,)> =
                sqlx::query_as(ENTRANTS).bind(&race.id).fetch_all(&mut *transaction).await.map_err(failed)?;
            let entrants = Entrants::new(rows.into_iter().map(|(registration,)| registration))?;
            let draw = Draw::new(&Seed::new(seed)?, &entrants, usize::try_from(race.places).unwrap_or(0));
            let json = serde_json::to_string(&draw)
                .map_err(|_| Error::new(ErrorKind::Other, "a draw cannot be written as JSON"))?;
            let update = sqlx::query("UPDATE races SET draw = $2 WHERE id = $1").bind(&race.id).bind(json);
            update.execute(&mut *transaction).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            Ok(draw)
        })
    }

    pub(super) async fn payment(&self, id: &str) -> Result<Option<Payment>> {
        on!(&self.database, pool => sqlx::query_as(PAYMENT).bind(id).fetch_optional(pool).await)
            .map_err(|error| failed("reading a payment", error))
    }

    /// Notes that money came, once for each event; what nobody waits for is given back at once.
    pub(super) async fn take_payment(&self, id: &str, event: &str, amount_krw: u64) -> Result<Paid> {
        let surplus =
            "INSERT INTO surplus (event, payment, amount_krw) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let amount_krw = i64::try_from(amount_krw).unwrap_or(i64::MAX);
        let taken = async {
            on!(&self.database, pool, begin => {
                let mut transaction = begin().await?;
                let take = sqlx::query(include_str!("sql/take_payment.sql")).bind(id).bind(event);
                take.execute(&mut *transaction).await?;
                let payment: Payment = sqlx::query_as(PAYMENT).bind(id).fetch_one(&mut *transaction).await?;
                let is_first = payment.paid_by.as_deref() == Some(event);
                if !is_first {
                    let note = sqlx::query(surplus).bind(event).bind(id).bind(amount_krw);
                    note.execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok((is_first, payment))
            })
        };
        let (is_first, payment) = taken.await.map_err(|error| failed("taking a payment", error))?;
        Ok(match (is_first, payment.refunded) {
            (false, _) => Paid::Surplus,
            (true, true) => Paid::Late,
            (true, false) => Paid::InTime,
        })
    }
}
