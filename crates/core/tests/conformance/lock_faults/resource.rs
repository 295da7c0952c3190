//! What a lock protects: something that refuses a token smaller than one it has seen.

use pumasi_core::lock::FencingToken;
use redis::Script;
use redis::aio::MultiplexedConnection;
use sqlx::{PgPool, Row};

use crate::redis_server::patient;

const BEGIN: &str = "
local before = redis.call('HGET', KEYS[1], 'fence')
if before and tonumber(before) >= tonumber(ARGV[1]) then return false end
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
return {tonumber(before or '0'), redis.call('HINCRBY', KEYS[1], 'inside', 1)}";

const END: &str = "
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'inside', -1)
return 1";

pub(super) struct Resource {
    store: Store,
    name: String,
}

enum Store {
    Redis(MultiplexedConnection),
    Postgres(PgPool),
}

/// A first write that passed.
pub(super) struct Begun {
    /// The greatest token before.
    pub(super) before: FencingToken,
    /// How many holders have begun and not ended, this one included.
    pub(super) inside: i64,
}

impl Resource {
    pub(super) async fn redis(url: &str, name: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&patient()).await.unwrap();
        Self { store: Store::Redis(connection), name: name.to_owned() }
    }

    pub(super) fn postgres(pool: PgPool, name: &str) -> Self {
        Self { store: Store::Postgres(pool), name: name.to_owned() }
    }

    pub(super) async fn make(&self) {
        let Store::Postgres(pool) = &self.store else { return };
        // Two sessions that create one table at once fail even with IF NOT EXISTS.
        sqlx::raw_sql(
            "BEGIN; SELECT pg_advisory_xact_lock(4711); CREATE TABLE IF NOT EXISTS fenced \
             (name TEXT PRIMARY KEY, fence BIGINT NOT NULL, inside BIGINT NOT NULL); COMMIT",
        )
        .execute(pool)
        .await
        .unwrap();
        sqlx::query("INSERT INTO fenced VALUES ($1, 0, 0)").bind(&self.name).execute(pool).await.unwrap();
    }

    /// A holder's first write: passes unless a greater token was seen.
    pub(super) async fn begin(&self, token: FencingToken) -> Option<Begun> {
        let (before, inside) = match &self.store {
            Store::Redis(connection) => Script::new(BEGIN)
                .key(format!("fenced:{}", self.name))
                .arg(token.get())
                .invoke_async::<Option<(i64, i64)>>(&mut connection.clone())
                .await
                .unwrap()?,
            Store::Postgres(pool) => {
                let row = sqlx::query(
                    "WITH old AS (SELECT fence FROM fenced WHERE name = $1 FOR UPDATE) \
                     UPDATE fenced SET fence = $2, inside = inside + 1 FROM old \
                     WHERE name = $1 AND old.fence < $2 RETURNING old.fence, inside",
                )
                .bind(&self.name)
                .bind(token.get())
                .fetch_optional(pool)
                .await
                .unwrap()?;
                (row.get(0), row.get(1))
            }
        };
        Some(Begun { before: FencingToken::new(before), inside })
    }

    /// A holder's second write: passes if its token is still the greatest.
    pub(super) async fn end(&self, token: FencingToken) -> bool {
        match &self.store {
            Store::Redis(connection) => Script::new(END)
                .key(format!("fenced:{}", self.name))
                .arg(token.get())
                .invoke_async(&mut connection.clone())
                .await
                .unwrap(),
            Store::Postgres(pool) => {
                sqlx::query("UPDATE fenced SET inside = inside - 1 WHERE name = $1 AND fence = $2")
                    .bind(&self.name)
                    .bind(token.get())
                    .execute(pool)
                    .await
                    .unwrap()
                    .rows_affected()
                    > 0
            }
        }
    }
}
