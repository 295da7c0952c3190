//! A schema of a test's own on a PostgreSQL server that has pgvector.

use pumasi_core::conformance::{PostgresSchema, skip};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// A new, empty schema; it goes with this value.
pub(crate) struct Schema {
    #[allow(dead_code, reason = "not every test program makes no pools of its own")]
    pub(crate) pool: PgPool,
    #[allow(dead_code, reason = "not every test program makes pools of its own")]
    pub(crate) options: PgConnectOptions,
    schema: PostgresSchema,
}

impl Schema {
    /// Makes a schema for `test`; `None`, after saying so, where there is no server, or none with pgvector.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        let schema = PostgresSchema::new(test).await?;
        let known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'";
        if sqlx::query_scalar::<_, i64>(known).fetch_one(&schema.pool).await.unwrap() == 0 {
            skip(test, "the PostgreSQL server has no pgvector");
            return None;
        }
        // The extension is the database's: in a schema of the test's own it would go with it.
        let extension = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('knowledge')); \
            CREATE EXTENSION IF NOT EXISTS vector SCHEMA public; COMMIT";
        sqlx::raw_sql(extension).execute(&schema.pool).await.unwrap();
        schema.pool.close().await;
        let options = Self::within(&schema.options, schema.name());
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
        Some(Self { pool, options, schema })
    }

    /// Returns the options of connections to a schema of this name.
    pub(crate) fn within(server: &PgConnectOptions, name: &str) -> PgConnectOptions {
        let path = format!("{name},public");
        server.clone().application_name(name).options([("search_path", path.as_str())])
    }

    /// The name of the schema, and of its connections.
    #[allow(dead_code, reason = "not every test program names it")]
    pub(crate) fn name(&self) -> &str {
        self.schema.name()
    }
}
