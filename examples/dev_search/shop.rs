//! What orders ask: places that are few, and a payment partner that fails sometimes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pumasi_core::database::failed;
use pumasi_core::event::EventId;
use pumasi_saga::barrier::{Entry as Seen, Operation};
use pumasi_saga::capacity::{Capacity, Places};
use pumasi_saga::{Error, ErrorKind, Outcome, Probe, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use support::database::{Database, Sql};
use support::on;
use support::sagas::{Pools, Value};
use utoipa::ToSchema;

use crate::entries::Entry;
use crate::orders::{Charged, OrderKey};

const CHARGES: Sql = Sql {
    sqlite: "SELECT id, amount_krw, refunded FROM charges WHERE id IN (SELECT value FROM json_each($1))",
    postgres: "SELECT id, amount_krw, refunded FROM charges WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))",
};

/// The orders of these entries by these people.
const ORDERS: Sql = Sql {
    sqlite: "SELECT orders.*, entries.title FROM orders LEFT JOIN entries ON entries.id = orders.entry \
             WHERE (orders.entry, orders.person) IN (SELECT value ->> 'entry', value ->> 'person' FROM json_each($1)) \
             ORDER BY orders.id DESC",
    postgres: "SELECT orders.*, entries.title FROM orders LEFT JOIN entries ON entries.id = orders.entry \
               WHERE (orders.entry, orders.person) IN \
               (SELECT entry, person FROM jsonb_to_recordset($1::jsonb) AS keys (entry text, person text)) \
               ORDER BY orders.id DESC",
};

/// Notes an order of an entry that is there, and that is not being taken out meanwhile.
const NOTE: Sql = Sql {
    sqlite: "INSERT INTO orders (id, entry, person) SELECT $1, id, $3 FROM entries WHERE id = $2 ON CONFLICT DO NOTHING",
    postgres: "INSERT INTO orders (id, entry, person) SELECT $1, id, $3 FROM entries WHERE id = $2 FOR KEY SHARE \
               ON CONFLICT DO NOTHING",
};

/// Counts that an order of an entry that is there begins: whoever takes the entry out meanwhile sees that, or this fails.
const BEGIN: Sql = Sql {
    sqlite: "INSERT INTO order_turns (entry, person, turn) SELECT id, $2, 1 FROM entries WHERE id = $1 \
             ON CONFLICT (entry, person) DO UPDATE SET turn = order_turns.turn + 1",
    postgres: "INSERT INTO order_turns (entry, person, turn) SELECT id, $2, 1 FROM entries WHERE id = $1 FOR KEY SHARE \
               ON CONFLICT (entry, person) DO UPDATE SET turn = order_turns.turn + 1",
};

/// How the payment partner is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mood {
    /// Of four orders it refuses about one, and loses the answer to another.
    Moody,
    /// It charges.
    Well,
    /// It refuses.
    Declines,
    /// It charges, and its answer is lost.
    Forgets,
    /// It does not answer at all.
    Away,
}

/// Places, charges and orders, in the service's database. Clones share them.
#[derive(Clone)]
pub(crate) struct Shop {
    database: Database,
    places: Pools,
    mood: Arc<Mutex<Mood>>,
    /// How long the partner takes to answer, so that one can see an order move.
    delay: Duration,
}

/// An order that was asked for.
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) entry: String,
    pub(crate) person: String,
    /// What was ordered, as long as it is there.
    pub(crate) title: Option<String>,
}

/// What the partner charged for an order, and whether it went back.
pub(crate) struct Charge {
    pub(crate) amount_krw: i64,
    pub(crate) refunded: bool,
}

impl<'r, R: Row> FromRow<'r, R> for Order
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let (id, entry, person) = (row.try_get("id")?, row.try_get("entry")?, row.try_get("person")?);
        Ok(Self { id, entry, person, title: row.try_get("title")? })
    }
}

impl Shop {
    pub(crate) async fn open(database: Database, mood: Mood, delay: Duration) -> Result<Self> {
        database.keep_keys().await?;
        let places = Pools::open(&database).await?;
        Ok(Self { database, places, mood: Arc::new(Mutex::new(mood)), delay })
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    pub(crate) fn mood(&self) -> Mood {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partner: tells whether it answers at all.
    pub(crate) fn answers(&self) -> Result<()> {
        if self.mood() == Mood::Away { Err(away()) } else { Ok(()) }
    }

    /// The places of an entry as it is stored, which are made when they are first asked for: a process that wrote it may have died
    /// before.
    pub(crate) async fn places(&self, entry: &Entry) -> Result<Places> {
        let Ok(total @ 1..) = u64::try_from(entry.places) else { return Ok(Places::default()) };
        let names = [entry.id.clone()];
        if let Some(Some(places)) = self.places.places_of(&names).await?.pop() {
            return Ok(places);
        }
        self.desk(&entry.id).open(total).await?;
        self.desk(&entry.id).places().await
    }

    /// The places of an entry.
    pub(crate) fn desk(&self, entry: &str) -> Capacity {
        self.places.desk(entry)
    }

    /// Notes that somebody orders, so that the order is listed and the entry stays; tells whether there is such an entry.
    pub(crate) async fn note(&self, key: &OrderKey) -> Result<bool> {
        let id = EventId::random().to_string();
        let noted = on!(&self.database, pool => {
            let note = sqlx::query(NOTE.to(&self.database)).bind(id).bind(&key.entry).bind(&key.person);
            note.execute(pool).await.map(|done| done.rows_affected() > 0)
        })
        .map_err(|error| failed("noting an order", error))?;
        // Who has ordered already is noted.
        Ok(noted || self.order(&key.entry, &key.person).await?.is_some())
    }

    /// Counts that an order begins; tells whether there is such an entry.
    pub(crate) async fn begin(&self, key: &OrderKey) -> Result<bool> {
        on!(&self.database, pool => {
            let begin = sqlx::query(BEGIN.to(&self.database)).bind(&key.entry).bind(&key.person);
            begin.execute(pool).await.map(|done| done.rows_affected() > 0)
        })
        .map_err(|error| failed("beginning an order", error))
    }

    /// Lists orders, the newest first and only those before `before`: a person's, or everybody's.
    pub(crate) async fn orders(
        &self,
        person: Option<&str>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Order>> {
        let query = include_str!("sql/orders.sql");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        on!(&self.database, pool => {
            sqlx::query_as(query).bind(person).bind(before).bind(limit).fetch_all(pool).await
        })
        .map_err(|error| failed("listing orders", error))
    }

    /// The order of a person for an entry.
    pub(crate) async fn order(&self, entry: &str, person: &str) -> Result<Option<Order>> {
        let query = "SELECT orders.*, entries.title FROM orders LEFT JOIN entries ON entries.id = orders.entry \
            WHERE orders.entry = $1 AND orders.person = $2";
        on!(&self.database, pool => sqlx::query_as(query).bind(entry).bind(person).fetch_optional(pool).await)
            .map_err(|error| failed("reading an order", error))
    }

    /// The orders with these keys, the newest first.
    pub(crate) async fn orders_of(&self, keys: &[OrderKey]) -> Result<Vec<Order>> {
        let query = ORDERS.to(&self.database);
        let keys = json!(keys).to_string();
        on!(&self.database, pool => sqlx::query_as(query).bind(keys).fetch_all(pool).await)
            .map_err(|error| failed("listing orders", error))
    }

    /// The order with an identifier.
    pub(crate) async fn order_with(&self, id: &str) -> Result<Option<Order>> {
        let query = "SELECT orders.*, entries.title FROM orders LEFT JOIN entries ON entries.id = orders.entry \
            WHERE orders.id = $1";
        on!(&self.database, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await)
            .map_err(|error| failed("reading an order", error))
    }

    /// What was charged under each of these keys.
    pub(crate) async fn charges(&self, keys: &[String]) -> Result<HashMap<String, Charge>> {
        let query = CHARGES.to(&self.database);
        let keys = json!(keys).to_string();
        let rows: Vec<(String, i64, bool)> =
            on!(&self.database, pool => sqlx::query_as(query).bind(keys).fetch_all(pool).await)
                .map_err(|error| failed("reading charges", error))?;
        let charge = |(key, amount_krw, refunded)| (key, Charge { amount_krw, refunded });
        Ok(rows.into_iter().map(charge).collect())
    }

    /// What was charged under a key.
    pub(crate) async fn charged(&self, key: &str) -> Result<Option<Charge>> {
        let query = "SELECT amount_krw, refunded FROM charges WHERE id = $1";
        let row: Option<(i64, bool)> =
            on!(&self.database, pool => sqlx::query_as(query).bind(key).fetch_optional(pool).await)
                .map_err(|error| failed("reading a charge", error))?;
        Ok(row.map(|(amount_krw, refunded)| Charge { amount_krw, refunded }))
    }

    /// The partner: charges what the place costs, once under each key.
    pub(crate) async fn charge(&self, step: &str, key: &OrderKey) -> Outcome<Charged, Error> {
        tokio::time::sleep(self.delay).await;
        let mood = match self.mood() {
            Mood::Moody => moody(step),
            mood => mood,
        };
        match mood {
            Mood::Declines => Outcome::Failed(Error::new(ErrorKind::Refused, "the card was declined")),
            Mood::Away => Outcome::Unknown(away()),
            mood => match self.take(step, key).await {
                Ok(_) if mood == Mood::Forgets => {
                    let lost = "the payment partner's answer was lost";
                    Outcome::Unknown(Error::new(ErrorKind::Timeout, lost))
                }
                charged => charged.into(),
            },
        }
    }

    async fn take(&self, step: &str, key: &OrderKey) -> Result<Charged> {
        let query = "SELECT price_krw FROM entries WHERE id = $1";
        let price: Option<(i64,)> = on!(&self.database, pool => {
            sqlx::query_as(query).bind(&key.entry).fetch_optional(pool).await
        })
        .map_err(|error| failed("reading a price", error))?;
        let (amount_krw,) = price.ok_or_else(gone)?;
        let insert = "INSERT INTO charges (id, entry, person, amount_krw) VALUES ($1, $2, $3, $4)";
        let values =
            [Value::Text(step), Value::Text(&key.entry), Value::Text(&key.person), Value::Number(amount_krw)];
        match self.database.once(step, Operation::Do, Sql::both(insert), &values).await? {
            Seen::TooLate => Err(Error::new(ErrorKind::Conflict, "it was undone before it was done")),
            _ => Ok(Charged { amount_krw }),
        }
    }

    /// The partner: tells whether it charged under a key.
    pub(crate) async fn was_charged(&self, step: &str) -> Probe<Charged> {
        if self.mood() == Mood::Away {
            return Probe::CannotTell;
        }
        match self.charged(step).await {
            Ok(Some(charge)) => Probe::Happened(Charged { amount_krw: charge.amount_krw }),
            Ok(None) => Probe::DidNotHappen,
            Err(_) => Probe::CannotTell,
        }
    }

    /// The partner: gives back what it charged under a key, and refuses what comes late under it.
    pub(crate) async fn refund(&self, step: &str) -> Outcome<(), Error> {
        tokio::time::sleep(self.delay).await;
        if self.mood() == Mood::Away {
            return Outcome::Unknown(away());
        }
        let refund = Sql::both("UPDATE charges SET refunded = TRUE WHERE id = $1");
        self.database.once(step, Operation::Undo, refund, &[Value::Text(step)]).await.map(|_| ()).into()
    }
}

pub(crate) fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "what was ordered is gone")
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "the payment partner does not answer")
}

/// How a moody partner takes a charge: by its key, so that it is the same whenever it is asked.
fn moody(step: &str) -> Mood {
    match EventId::named("mood", step).as_bytes().last().map(|byte| byte % 4) {
        Some(0) => Mood::Declines,
        Some(1) => Mood::Forgets,
        _ => Mood::Well,
    }
}
