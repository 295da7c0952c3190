//! How the sky looks, and where: posts, found by an index of places.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};

use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_search::geo::GeoIndex;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _, SqliteConnection, SqlitePool};

/// The posts: in a table, and where each is also in memory.
#[derive(Clone)]
pub(crate) struct Posts {
    pool: SqlitePool,
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

impl FromRow<'_, SqliteRow> for Post {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            author: row.try_get("author")?,
            sky: row.try_get("sky")?,
            text: row.try_get("text")?,
            place: GeoPoint::new(row.try_get("lat")?, row.try_get("lon")?),
            at: Timestamp::from_micros(row.try_get("at")?),
        })
    }
}

impl Posts {
    pub(crate) fn new(pool: SqlitePool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock, places: Arc::default() }
    }

    /// Writes a post within a transaction; it is found once that has committed.
    pub(crate) async fn insert(&self, connection: &mut SqliteConnection, new: NewPost) -> Result<Post> {
        let insert =
            "INSERT INTO posts (author, sky, text, lat, lon, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING *";
        sqlx::query_as(insert)
            .bind(new.author)
            .bind(new.sky)
            .bind(new.text)
            .bind(new.at.lat)
            .bind(new.at.lon)
            .bind(self.clock.now().as_micros())
            .fetch_one(connection)
            .await
            .map_err(|error| failed("writing a post", error))
    }

    pub(crate) async fn post(&self, id: i64) -> Result<Option<Post>> {
        let post = sqlx::query_as("SELECT * FROM posts WHERE id = ?1").bind(id).fetch_optional(&self.pool);
        post.await.map_err(|error| failed("reading a post", error))
    }

    /// Lists posts within a circle, the newest first and only those before `before`; tells whether there are more.
    pub(crate) async fn within(
        &self,
        circle: Circle,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Post>, bool)> {
        self.catch_up().await?;
        let mut ids: Vec<i64> = {
            let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
            let found = places.index.within(circle).map(|(id, _)| *id);
            found.filter(|id| before.is_none_or(|before| *id < before)).collect()
        };
        ids.sort_unstable_by_key(|id| Reverse(*id));
        let more = ids.len() > limit;
        ids.truncate(limit);
        let posts = sqlx::query_as(include_str!("sql/nearby.sql"))
            .bind(json!(ids).to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed("listing posts", error))?;
        Ok((posts, more))
    }

    /// Takes a post out; tells whether it was there.
    pub(crate) async fn remove(&self, id: i64) -> Result<bool> {
        let done = sqlx::query("DELETE FROM posts WHERE id = ?1").bind(id).execute(&self.pool).await;
        let done = done.map_err(|error| failed("deleting a post", error))?;
        self.places.write().unwrap_or_else(PoisonError::into_inner).index.remove(&id);
        Ok(done.rows_affected() > 0)
    }

    /// Brings the index of places up to the newest post: after a start all of them, else what was written meanwhile.
    async fn catch_up(&self) -> Result<()> {
        let known = self.places.read().unwrap_or_else(PoisonError::into_inner).newest;
        let rows: Vec<(i64, f64, f64)> =
            sqlx::query_as("SELECT id, lat, lon FROM posts WHERE id > ?1 ORDER BY id")
                .bind(known)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| failed("reading where posts are", error))?;
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
