//! A schema of a test's own on the PostgreSQL server.

use pumasi_core::conformance::{Server, skip};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};

/// A new, empty schema; it goes with this value.
pub(crate) struct Schema {
    #[allow(dead_code, reason = "not every test program makes no pools of its own")]
    pub(crate) pool: PgPool,
    #[allow(dead_code, reason = "not every test program makes pools of its own")]
    pub(crate) options: PgConnectOptions,
    server: PgConnectOptions,
    name: String,
}

impl Schema {
    /// Makes a schema for `test`; `None`, after saying so, where there is no server, or none with pgvector.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        let server: PgConnectOptions = Server::Postgres.url(test)?.parse().unwrap();
        let server = server.disable_statement_logging();
        let name = format!("pumasi_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let mut connection = server.connect().await.unwrap();
        let known = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'";
        if sqlx::query_scalar::<_, i64>(known).fetch_one(&mut connection).await.unwrap() == 0 {
            skip(test, "the PostgreSQL server has no pgvector");
            return None;
        }
        // The extension is the database's: in a schema of the test's own it would go with it.
        let create = AssertSqlSafe(format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('knowledge')); \
             CREATE EXTENSION IF NOT EXISTS vector SCHEMA public; COMMIT; CREATE SCHEMA {name}"
        ));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        let options = Self::within(&server, &name);
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
        Some(Self { pool, options, server, name })
    }

    /// Returns the options of connections to a schema of this name.
    pub(crate) fn within(server: &PgConnectOptions, name: &str) -> PgConnectOptions {
        let path = format!("{name},public");
        server.clone().application_name(name).options([("search_path", path.as_str())])
    }

    /// The name of the schema, and of its connections.
    #[allow(dead_code, reason = "not every test program names it")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP SCHEMA {} CASCADE", self.name));
        // The test's own runtime may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = server.connect().await.unwrap();
                sqlx::raw_sql("SET lock_timeout = '5s'").execute(&mut connection).await.unwrap();
                // What a killed process still holds may be in the way; the schema is left then.
                let _ = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await;
            });
        });
        let _ = dropped.join();
    }
}
