//! How the sky looks, and where: posts, found by an index of places.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_search::geo::GeoIndex;
use serde_json::json;
use support::database::{Connection, Database, Sql};
use support::{on, within};

/// Identifiers of those who write at the same time become visible in their order: whoever has read up to one misses none below.
/// In a file nobody else writes anyway.
const IN_TURN: Sql = Sql {
    sqlite: "SELECT 1",
    postgres: "SELECT pg_advisory_xact_lock(hashtext('weather_community'), hashtext('posts'))",
};
const NEARBY: Sql =
    Sql { sqlite: include_str!("sql/nearby.sql"), postgres: include_str!("sql/nearby.postgres.sql") };

/// The posts: in a table, and where each is also in memory.
#[derive(Clone)]
pub(crate) struct Posts {
    database: Database,
    clock: Arc<dyn Clock>,
    places: Arc<RwLock<Places>>,
}

#[derive(Default)]
struct Places {
    index: GeoIndex<i64>,
    /// The newest post that the index knows of.
    newest: i64,
}

/// What somebody posts.
pub(crate) struct NewPost {
    pub(crate) author: String,
    pub(crate) sky: String,
    pub(crate) text: String,
    pub(crate) at: GeoPoint,
}

/// A post.
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) author: String,
    pub(crate) sky: String,
    pub(crate) text: String,
    pub(crate) place: GeoPoint,
    pub(crate) at: Timestamp,
}

/// A post's columns in the order of their names in every statement: `id, author, sky, text, lat, lon, at`.
type Row = (i64, String, String, String, f64, f64, i64);

impl From<Row> for Post {
    fn from((id, author, sky, text, lat, lon, at): Row) -> Self {
        let (place, at) = (GeoPoint::new(lat, lon), Timestamp::from_micros(at));
        Self { id, author, sky, text, place, at }
    }
}

impl Posts {
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, places: Arc::default() }
    }

    /// Writes a post within a transaction; it is found once that has committed.
    pub(crate) async fn insert(&self, mut connection: Connection<'_>, new: NewPost) -> Result<Post> {
        let writing = |error| failed("writing a post", error);
        let in_turn = IN_TURN.to(&self.database);
        within!(&mut connection, open => sqlx::query(in_turn).execute(&mut **open).await.map(drop))
            .map_err(writing)?;
        let insert = "INSERT INTO posts (author, sky, text, lat, lon, at) VALUES ($1, $2, $3, $4, $5, $6) \
                      RETURNING id, author, sky, text, lat, lon, at";
        let post: sqlx::Result<Row> = within!(connection, open => sqlx::query_as(insert)
            .bind(new.author)
            .bind(new.sky)
            .bind(new.text)
            .bind(new.at.lat)
            .bind(new.at.lon)
            .bind(self.clock.now().as_micros())
            .fetch_one(open)
            .await);
        post.map(Into::into).map_err(writing)
    }

    pub(crate) async fn post(&self, id: i64) -> Result<Option<Post>> {
        let one = "SELECT id, author, sky, text, lat, lon, at FROM posts WHERE id = $1";
        let post: sqlx::Result<Option<Row>> =
            on!(&self.database, pool => sqlx::query_as(one).bind(id).fetch_optional(pool).await);
        Ok(post.map_err(|error| failed("reading a post", error))?.map(Into::into))
    }

    /// Lists posts within a circle, the newest first and only those before `before`.
    pub(crate) async fn within(
        &self,
        circle: Circle,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Post>> {
        self.catch_up().await?;
        loop {
            let mut ids: Vec<i64> = {
                let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
                let found = places.index.within(circle).map(|(id, _)| *id);
                found.filter(|id| before.is_none_or(|before| *id < before)).collect()
            };
            ids.sort_unstable_by_key(|id| Reverse(*id));
            ids.truncate(limit);
            let (nearby, wanted) = (NEARBY.to(&self.database), json!(ids).to_string());
            let posts: sqlx::Result<Vec<Row>> =
                on!(&self.database, pool => sqlx::query_as(nearby).bind(wanted).fetch_all(pool).await);
            let posts = posts.map_err(|error| failed("listing posts", error))?;
            if posts.len() == ids.len() {
                return Ok(posts.into_iter().map(Into::into).collect());
            }
            // What another process has deleted is looked for no more, and what comes after it fills its place.
            let there: HashSet<i64> = posts.iter().map(|(id, ..)| *id).collect();
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            for id in ids.iter().filter(|id| !there.contains(id)) {
                places.index.remove(id);
            }
        }
    }

    /// Takes a post out; tells whether it was there.
    pub(crate) async fn remove(&self, id: i64) -> Result<bool> {
        let delete = "DELETE FROM posts WHERE id = $1";
        let deleted = on!(&self.database, pool => sqlx::query(delete).bind(id).execute(pool).await.map(|done| done.rows_affected()));
        let deleted = deleted.map_err(|error| failed("deleting a post", error))?;
        self.places.write().unwrap_or_else(PoisonError::into_inner).index.remove(&id);
        Ok(deleted > 0)
    }

    /// Brings the index of places up to the newest post: after a start all of them, else what was written meanwhile.
    async fn catch_up(&self) -> Result<()> {
        let known = self.places.read().unwrap_or_else(PoisonError::into_inner).newest;
        let newer = "SELECT id, lat, lon FROM posts WHERE id > $1 ORDER BY id";
        let rows: sqlx::Result<Vec<(i64, f64, f64)>> =
            on!(&self.database, pool => sqlx::query_as(newer).bind(known).fetch_all(pool).await);
        let rows = rows.map_err(|error| failed("reading where posts are", error))?;
        if !rows.is_empty() {
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            for (id, lat, lon) in rows {
                if id > places.newest {
                    places.index.insert(id, GeoPoint::new(lat, lon));
                    places.newest = id;
                }
            }
        }
        Ok(())
    }
}
