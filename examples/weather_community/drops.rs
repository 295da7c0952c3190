//! Coupons for those who come first: so many, and one a person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, Mac as _};
use pumasi_core::database::failed;
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
#[cfg(feature = "postgres")]
use pumasi_saga::capacity::PostgresCapacity;
use pumasi_saga::capacity::{Capacity, CapacityStore, Places, SqliteCapacity};
use sha2::Sha256;
use support::database::{Connection, Database};
use support::{on, within};

#[derive(Clone)]
pub(crate) struct Drops {
    database: Database,
    clock: Arc<dyn Clock>,
    places: Arc<dyn CapacityStore>,
    /// The desk of each drop: those who ask at the same time share a transaction.
    desks: Arc<Mutex<HashMap<i64, Capacity>>>,
    codes: Hmac<Sha256>,
}

/// A drop of coupons.
pub(crate) struct Drop {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) places: i64,
}

/// What a person got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coupon {
    /// How manieth it was.
    pub(crate) ticket: u64,
    pub(crate) code: String,
}

impl Drops {
    pub(crate) async fn open(database: Database, secret: &str, clock: Arc<dyn Clock>) -> Result<Self> {
        let places: Arc<dyn CapacityStore> = match &database {
            Database::Sqlite(pool) => {
                let places = SqliteCapacity::new(pool.clone()).with_clock(Arc::clone(&clock));
                places.migrate().await?;
                Arc::new(places)
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let places = PostgresCapacity::new(pool.clone());
                places.migrate().await?;
                Arc::new(places)
            }
        };
        let codes = Hmac::new_from_slice(secret.as_bytes())
            .map_err(|_| Error::new(ErrorKind::Other, "the secret of the coupons cannot be used"))?;
        Ok(Self { database, clock, places, desks: Arc::default(), codes })
    }

    /// Writes a drop within a transaction.
    pub(crate) async fn insert(
        &self,
        connection: Connection<'_>,
        title: String,
        places: u32,
    ) -> Result<Drop> {
        let (insert, places) =
            ("INSERT INTO drops (title, places, at) VALUES ($1, $2, $3) RETURNING id", i64::from(places));
        let id = within!(connection, open => sqlx::query_scalar(insert)
            .bind(&title)
            .bind(places)
            .bind(self.clock.now().as_micros())
            .fetch_one(open)
            .await);
        Ok(Drop { id: id.map_err(|error| failed("writing a drop", error))?, title, places })
    }

    /// Lists drops, the newest first and only those before `before`.
    pub(crate) async fn list(&self, before: Option<i64>, limit: usize) -> Result<Vec<Drop>> {
        let list =
            "SELECT id, title, places FROM drops WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: sqlx::Result<Vec<(i64, String, i64)>> = on!(&self.database, pool => sqlx::query_as(list)
            .bind(before)
            .bind(limit)
            .fetch_all(pool)
            .await);
        let rows = rows.map_err(|error| failed("listing drops", error))?;
        Ok(rows.into_iter().map(|(id, title, places)| Drop { id, title, places }).collect())
    }

    /// Counts the places of several drops at once; `None` of one that nobody asked for a coupon of.
    pub(crate) async fn places_of(&self, drops: &[Drop]) -> Result<Vec<Option<Places>>> {
        let pools: Vec<String> = drops.iter().map(|drop| pool(drop.id)).collect();
        self.places.places_of(&pools).await
    }

    /// Gives `person` a coupon, or the one that they have, and tells whether it is new; nothing if there is none left.
    pub(crate) async fn ask(&self, drop: i64, person: &Arc<str>) -> Result<Option<(Coupon, bool)>> {
        let taken = self.desk(drop).await?.take_once(Arc::clone(person)).await?;
        let coupon = |ticket| Coupon { ticket, code: self.code(drop, person) };
        Ok(taken.map(|(place, is_new)| (coupon(place.ticket.number()), is_new)))
    }

    /// The code of a person's coupon: nobody can guess it, and it is the same whenever it is asked for.
    fn code(&self, drop: i64, person: &str) -> String {
        let mut code = self.codes.clone();
        code.update(&drop.to_be_bytes());
        code.update(person.as_bytes());
        let hash: [u8; 32] = code.finalize().into_bytes().into();
        let (words, _) = hash.as_chunks::<2>();
        let parts = words.iter().take(5).map(|word| format!("{:04X}", u16::from_be_bytes(*word)));
        parts.collect::<Vec<_>>().join("-")
    }

    async fn desk(&self, id: i64) -> Result<Capacity> {
        let known = self.desks.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(desk) = known {
            return Ok(desk);
        }
        let drop = "SELECT places FROM drops WHERE id = $1";
        let drop: sqlx::Result<Option<i64>> =
            on!(&self.database, pool => sqlx::query_scalar(drop).bind(id).fetch_optional(pool).await);
        let drop = drop.map_err(|error| failed("reading a drop", error))?;
        let places = drop.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such drop"))?;
        let desk = Capacity::new(Arc::clone(&self.places), pool(id));
        // As often as is liked: a pool that is there stays as it is.
        desk.open(u64::try_from(places).unwrap_or(0)).await?;
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(desks.entry(id).or_insert(desk).clone())
    }
}

/// The name of a drop's pool of places.
fn pool(id: i64) -> String {
    format!("drop-{id}")
}
