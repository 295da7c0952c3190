//! Replicas in PostgreSQL.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::store::{CHUNK, not_registered, signed_version, superseded};
use super::{Begun, Entity, EntityPage, Mapping, ProjectionStore, Swapped, Target};
use crate::Result;
use crate::database::{Migration, begin_postgres, failed};
use crate::event::{Envelope, State};
use crate::time::Timestamp;

const MIGRATION: Migration = Migration {
    component: "projections",
    begin: include_str!("sql/postgres/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_projection_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Keeps replicas in PostgreSQL: the payload as JSON in the table `pumasi_projection_entity`, and, with a
/// [mapping](Self::with_mapping), also in tables of your own.
///
/// [`migrate`](Self::migrate) makes the tables, in the first schema of the connection's `search_path`. Each event is applied
/// by one statement whose condition is the version, so that no lock is held between reading and writing. Reads may join the
/// table with others; what is served is `generation = (SELECT serving FROM pumasi_projection WHERE name = …)`.
///
/// Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool, bus: pumasi_core::event::SqliteBus) -> pumasi_core::Result<()> {
/// use pumasi_core::event::{Consumer, PostgresProjectionStore, Projection, Shutdown};
///
/// #[derive(serde::Deserialize)]
/// struct Member {
///     nickname: String,
/// }
///
/// let store = PostgresProjectionStore::new(pool);
/// store.migrate().await?;
/// let members = Projection::<Member>::open("members", "members.v1", store).await?;
/// Consumer::new(bus, members.subscription(), members.clone()).run(Shutdown::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresProjectionStore {
    pool: PgPool,
    mapping: Option<Arc<dyn Mapping<PgConnection>>>,
}

impl PostgresProjectionStore {
    /// Makes a store on the pool's database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, mapping: None }
    }

    /// Sets what writes your own tables in the transaction in which an event is applied.
    #[must_use]
    pub fn with_mapping(mut self, mapping: impl Mapping<PgConnection> + 'static) -> Self {
        self.mapping = Some(Arc::new(mapping));
        self
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }

    /// Reads the serving and the built generation, and holds the row until the transaction ends.
    async fn lock(connection: &mut PgConnection, projection: &str) -> Result<(i64, Option<i64>)> {
        let failed = |error| failed("reading the state of a projection", error);
        let row = sqlx::query("SELECT serving, building FROM pumasi_projection WHERE name = $1 FOR UPDATE")
            .bind(projection)
            .fetch_optional(connection)
            .await
            .map_err(failed)?
            .ok_or_else(|| not_registered(projection))?;
        Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))
    }

    async fn count(connection: &mut PgConnection, projection: &str, generation: i64) -> sqlx::Result<u64> {
        let row = sqlx::query(include_str!("sql/postgres/count.sql"))
            .bind(projection)
            .bind(generation)
            .fetch_one(connection)
            .await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// Counts what one generation has and another one does not know.
    async fn missing(
        connection: &mut PgConnection,
        projection: &str,
        serving: i64,
        built: i64,
    ) -> sqlx::Result<u64> {
        let row = sqlx::query(include_str!("sql/postgres/missing.sql"))
            .bind(projection)
            .bind(serving)
            .bind(built)
            .fetch_one(connection)
            .await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    async fn retire(&self, projection: &str) -> sqlx::Result<u64> {
        let retired = sqlx::query(include_str!("sql/postgres/retire.sql")).bind(projection).bind(CHUNK);
        Ok(retired.execute(&self.pool).await?.rows_affected())
    }
}

impl fmt::Debug for PostgresProjectionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresProjectionStore")
            .field("mapped", &self.mapping.is_some())
            .finish_non_exhaustive()
    }
}

fn entity(row: &PgRow) -> sqlx::Result<Entity<Value>> {
    let payload = serde_json::from_str(row.try_get(3)?).unwrap_or_default();
    let version = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
    Ok(Entity::new(row.try_get(0)?, version, Timestamp::from_micros(row.try_get(2)?), payload))
}

#[async_trait]
impl ProjectionStore for PostgresProjectionStore {
    async fn register(&self, projection: &str) -> Result<()> {
        sqlx::query("INSERT INTO pumasi_projection (name) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(projection)
            .execute(&self.pool)
            .await
            .map_err(|error| failed("registering a projection", error))?;
        Ok(())
    }

    async fn apply(&self, projection: &str, target: Target, events: &[Envelope]) -> Result<usize> {
        let failed = |error| failed("applying events to a projection", error);
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let generation = match target {
            Target::Current => None,
            Target::Building(generation) => {
                let (_, building) = Self::lock(&mut transaction, projection).await?;
                let wanted = i64::try_from(generation).ok();
                if building.is_none() || building != wanted {
                    return Err(superseded(generation));
                }
                wanted
            }
        };
        let mut applied = 0;
        for event in events {
            let generations = sqlx::query(include_str!("sql/postgres/apply.sql"))
                .bind(projection)
                .bind(generation)
                .bind(&event.key)
                .bind(signed_version(event)?)
                .bind(event.occurred_at.as_micros())
                .bind(event.state == State::Deleted)
                .bind(payload(event))
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed)?;
            applied += usize::from(!generations.is_empty());
            if let Some(mapping) = &self.mapping {
                for row in generations {
                    let generation = u64::try_from(row.try_get::<i64, _>(0).map_err(failed)?).unwrap_or(0);
                    mapping.apply(&mut transaction, generation, event).await?;
                }
            }
        }
        if applied == 0 && !events.is_empty() {
            let known = sqlx::query("SELECT 1 FROM pumasi_projection WHERE name = $1")
                .bind(projection)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
            known.ok_or_else(|| not_registered(projection))?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(applied)
    }

    async fn get(&self, projection: &str, keys: &[String]) -> Result<Vec<Entity<Value>>> {
        let rows = sqlx::query(include_str!("sql/postgres/get.sql"))
            .bind(projection)
            .bind(keys)
            .fetch_all(&self.pool)
            .await;
        let entities = rows.and_then(|rows| rows.iter().map(entity).collect());
        entities.map_err(|error| failed("reading a projection", error))
    }

    async fn list(&self, projection: &str, page: &EntityPage) -> Result<Vec<Entity<Value>>> {
        let rows = sqlx::query(include_str!("sql/postgres/list.sql"))
            .bind(projection)
            .bind(page.after.as_deref())
            .bind(i64::try_from(page.limit.get()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await;
        let entities = rows.and_then(|rows| rows.iter().map(entity).collect());
        entities.map_err(|error| failed("listing a projection", error))
    }

    async fn newest(&self, projection: &str) -> Result<Option<Timestamp>> {
        let row =
            sqlx::query(include_str!("sql/postgres/newest.sql")).bind(projection).fetch_one(&self.pool).await;
        let newest = row.and_then(|row| row.try_get::<Option<i64>, _>(0));
        Ok(newest.map_err(|error| failed("reading a projection", error))?.map(Timestamp::from_micros))
    }

    async fn begin_rebuild(&self, projection: &str) -> Result<Begun> {
        let failed = |error| failed("beginning to rebuild a projection", error);
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let (_, abandoned) = Self::lock(&mut transaction, projection).await?;
        let begin = "UPDATE pumasi_projection SET last = last + 1, building = last + 1 WHERE name = $1 RETURNING last";
        let row = sqlx::query(begin).bind(projection).fetch_one(&mut *transaction).await.map_err(failed)?;
        let generation = u64::try_from(row.try_get::<i64, _>(0).map_err(failed)?).unwrap_or(0);
        transaction.commit().await.map_err(failed)?;
        Ok(Begun { generation, abandoned: abandoned.and_then(|abandoned| u64::try_from(abandoned).ok()) })
    }

    async fn swap(&self, projection: &str, generation: u64, min_percent: u8) -> Result<Swapped> {
        let failed = |error| failed("swapping in a rebuilt projection", error);
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(failed)?;
        let (serving, building) = Self::lock(&mut transaction, projection).await?;
        let Some(built) = building.filter(|building| u64::try_from(*building) == Ok(generation)) else {
            return Err(superseded(generation));
        };
        let counts = Swapped {
            before: Self::count(&mut transaction, projection, serving).await.map_err(failed)?,
            after: Self::count(&mut transaction, projection, built).await.map_err(failed)?,
            missing: Self::missing(&mut transaction, projection, serving, built).await.map_err(failed)?,
        };
        let swapped = counts.check(min_percent)?;
        sqlx::query("UPDATE pumasi_projection SET serving = building, building = NULL WHERE name = $1")
            .bind(projection)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if let Some(mapping) = &self.mapping {
            mapping.swap(&mut transaction, generation).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(swapped)
    }

    async fn abandon(&self, projection: &str, generation: u64) -> Result<()> {
        sqlx::query("UPDATE pumasi_projection SET building = NULL WHERE name = $1 AND building = $2")
            .bind(projection)
            .bind(i64::try_from(generation).unwrap_or(i64::MAX))
            .execute(&self.pool)
            .await
            .map_err(|error| failed("giving up a rebuild", error))?;
        Ok(())
    }

    async fn clean_up(&self, projection: &str, before: Timestamp) -> Result<usize> {
        let failed = |error| failed("cleaning up a projection", error);
        let buried = sqlx::query(include_str!("sql/postgres/bury.sql"))
            .bind(projection)
            .bind(before.as_micros())
            .bind(CHUNK)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        let retired = self.retire(projection).await.map_err(failed)?;
        Ok(usize::try_from(buried.rows_affected() + retired).unwrap_or(usize::MAX))
    }
}

/// A tombstone keeps nothing of what was deleted.
fn payload(event: &Envelope) -> String {
    if event.state == State::Deleted { "null".to_owned() } else { event.payload.to_string() }
}
