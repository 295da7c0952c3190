//! Missions: be there, look, and tell; proven once a person.

use std::sync::Arc;

use pumasi_core::database::failed;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use support::database::{Connection, Database};
use support::{on, within};

#[derive(Clone)]
pub(crate) struct Missions {
    database: Database,
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

/// The columns of `missions.sql`.
type Row = (i64, String, f64, f64, f64, i64, bool);

impl From<Row> for Mission {
    fn from((id, title, lat, lon, radius_m, proven, mine): Row) -> Self {
        let circle = Circle::new(GeoPoint::new(lat, lon), radius_m);
        Self { id, title, circle, proven: u64::try_from(proven).unwrap_or(0), mine }
    }
}

/// The proof that stands, and whether it came with this request.
pub(crate) struct Proof {
    pub(crate) note: String,
    pub(crate) at: Timestamp,
    pub(crate) is_new: bool,
}

impl Missions {
    pub(crate) const fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    /// Writes a mission within a transaction.
    pub(crate) async fn insert(
        &self,
        connection: Connection<'_>,
        title: String,
        circle: Circle,
    ) -> Result<Mission> {
        let insert =
            "INSERT INTO missions (title, lat, lon, radius_m, at) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        let id = within!(connection, open => sqlx::query_scalar(insert)
            .bind(&title)
            .bind(circle.center.lat)
            .bind(circle.center.lon)
            .bind(circle.radius_m)
            .bind(self.clock.now().as_micros())
            .fetch_one(open)
            .await);
        let id = id.map_err(|error| failed("writing a mission", error))?;
        Ok(Mission { id, title, circle, proven: 0, mine: false })
    }

    /// Lists missions, the newest first and only those before `before`, as `person` sees them.
    pub(crate) async fn list(&self, person: &str, before: Option<i64>, limit: usize) -> Result<Vec<Mission>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: sqlx::Result<Vec<Row>> = on!(&self.database, pool => sqlx::query_as(include_str!("sql/missions.sql"))
            .bind(person)
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(pool)
            .await);
        let rows = rows.map_err(|error| failed("listing missions", error))?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Proves a mission: whoever is there, once. The same proof again is answered alike; another one is refused.
    pub(crate) async fn prove(&self, id: i64, person: &str, place: GeoPoint, note: &str) -> Result<Proof> {
        let mission =
            self.list(person, Some(id.saturating_add(1)), 1).await?.pop().filter(|mission| mission.id == id);
        let mission = mission.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such mission"))?;
        if !mission.mine && !mission.circle.holds(place) {
            let metres = mission.circle.radius_m;
            let message = format!("the mission is proven from within {metres:.0} m of its place");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let proving = |error| failed("proving a mission", error);
        let insert =
            "INSERT INTO proofs (mission, person, note, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let at = self.clock.now().as_micros();
        let written = on!(&self.database, pool => sqlx::query(insert)
            .bind(id)
            .bind(person)
            .bind(note)
            .bind(at)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()));
        let written = written.map_err(proving)?;
        let proof = "SELECT note, at FROM proofs WHERE mission = $1 AND person = $2";
        let proof: sqlx::Result<(String, i64)> = on!(&self.database, pool => sqlx::query_as(proof)
            .bind(id)
            .bind(person)
            .fetch_one(pool)
            .await);
        let (stands, at) = proof.map_err(proving)?;
        if stands != note {
            return Err(Error::new(ErrorKind::Conflict, "you have proven this mission, and once is enough"));
        }
        Ok(Proof { note: stands, at: Timestamp::from_micros(at), is_new: written > 0 })
    }
}
