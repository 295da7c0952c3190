//! A schema of a test's own on the PostgreSQL server.

use pumasi_core::conformance::Server;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool};

/// A new, empty schema; it goes with this value.
pub(crate) struct Schema {
    pub(crate) pool: PgPool,
    server: PgConnectOptions,
    name: String,
}

impl Schema {
    /// Makes a schema for `test`; `None`, after saying so, where there is no server.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        let server: PgConnectOptions = Server::Postgres.url(test)?.parse().unwrap();
        let server = server.disable_statement_logging();
        let name = format!("pumasi_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let mut connection = server.connect().await.unwrap();
        let create = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        let options = server.clone().options([("search_path", name.as_str())]);
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options);
        Some(Self { pool, server, name })
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
