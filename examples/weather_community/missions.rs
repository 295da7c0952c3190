//! Missions: be there, look, and tell; proven once a person.

use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection, SqlitePool};

#[derive(Clone)]
pub(crate) struct Missions {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

/// A mission, as somebody sees it.
pub(crate) struct Mission {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) circle: Circle,
    /// How many people have proven it.
    pub(crate) proven: u64,
    /// Whether whoever asks is one of them.
    pub(crate) mine: bool,
}

impl FromRow<'_, SqliteRow> for Mission {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let center = GeoPoint::new(row.try_get("lat")?, row.try_get("lon")?);
        Ok(Self {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            circle: Circle::new(center, row.try_get("radius_m")?),
            proven: u64::try_from(row.try_get::<i64, _>("proven")?).unwrap_or(0),
            mine: row.try_get("mine")?,
        })
    }
}

/// The proof that stands, and whether it came with this request.
pub(crate) struct Proof {
    pub(crate) note: String,
    pub(crate) at: Timestamp,
    pub(crate) is_new: bool,
}

impl Missions {
    pub(crate) const fn new(pool: SqlitePool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// Writes a mission within a transaction.
    pub(crate) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        title: String,
        circle: Circle,
    ) -> Result<Mission> {
        let insert = "INSERT INTO missions (title, lat, lon, radius_m, at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING *, 0 AS proven, 0 AS mine";
        sqlx::query_as(insert)
            .bind(title)
            .bind(circle.center.lat)
            .bind(circle.center.lon)
            .bind(circle.radius_m)
            .bind(self.clock.now().as_micros())
            .fetch_one(connection)
            .await
            .map_err(|error| failed("writing a mission", error))
    }

    /// Lists missions in the order of their making, as `person` sees them.
    pub(crate) async fn list(&self, person: &str, after: i64, limit: usize) -> Result<Vec<Mission>> {
        sqlx::query_as(include_str!("sql/missions.sql"))
            .bind(person)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("listing missions", error))
    }

    /// Proves a mission: whoever is there, once. The same proof again is answered alike; another one is refused.
    pub(crate) async fn prove(&self, id: i64, person: &str, place: GeoPoint, note: &str) -> Result<Proof> {
        let mission =
            self.list(person, id.saturating_sub(1), 1).await?.pop().filter(|mission| mission.id == id);
        let mission = mission.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such mission"))?;
        if !mission.mine && !mission.circle.holds(place) {
            let metres = mission.circle.radius_m;
            let message = format!("the mission is proven from within {metres:.0} m of its place");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let proving = |error| failed("proving a mission", error);
        let insert =
            "INSERT INTO proofs (mission, person, note, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        let done = sqlx::query(insert)
            .bind(id)
            .bind(person)
            .bind(note)
            .bind(self.clock.now().as_micros())
            .execute(&self.pool)
            .await
            .map_err(proving)?;
        let (stands, at): (String, i64) =
            sqlx::query_as("SELECT note, at FROM proofs WHERE mission = ?1 AND person = ?2")
                .bind(id)
                .bind(person)
                .fetch_one(&self.pool)
                .await
                .map_err(proving)?;
        if stands != note {
            return Err(Error::new(ErrorKind::Conflict, "you have proven this mission, and once is enough"));
        }
        Ok(Proof { note: stands, at: Timestamp::from_micros(at), is_new: done.rows_affected() > 0 })
    }
}
