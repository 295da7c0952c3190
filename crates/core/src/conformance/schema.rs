//! A schema of a test's own on the PostgreSQL server.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool};

use super::Server;

/// A new, empty schema on the [PostgreSQL server](Server::Postgres) of the tests; it goes with this value.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pumasi_core::conformance::PostgresSchema;
///
/// let Some(schema) = PostgresSchema::new("a table").await else { return Ok(()) };
/// sqlx::query("CREATE TABLE posts (id TEXT PRIMARY KEY)").execute(&schema.pool).await?;
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub struct PostgresSchema {
    /// Connections to the schema, at most eight.
    pub pool: PgPool,
    /// How to connect to it, for pools of the test's own.
    pub options: PgConnectOptions,
    name: String,
}

impl PostgresSchema {
    /// Makes a schema for `test`; `None`, after saying so, where there is no server.
    ///
    /// # Panics
    ///
    /// If the server is there and cannot be used, or must be there and is not: this is what makes the test fail.
    #[expect(clippy::expect_used, reason = "a test fails so")]
    pub async fn new(test: &str) -> Option<Self> {
        let server: PgConnectOptions = Server::Postgres.url(test)?.parse().expect("the server's URL is none");
        let server = server.disable_statement_logging();
        let name = format!("pumasi_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
        let options = server.options([("search_path", name.as_str())]);
        let create = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
        let mut connection = options.connect().await.expect("the server cannot be reached");
        sqlx::raw_sql(create).execute(&mut connection).await.expect("the schema cannot be made");
        let _ = connection.close().await;
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.clone());
        Some(Self { pool, options, name })
    }

    /// Returns the name of the schema.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for PostgresSchema {
    fn drop(&mut self) {
        let (server, drop) = (self.options.clone(), format!("DROP SCHEMA {} CASCADE", self.name));
        // The test's own runtime may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let mut connection = server.connect().await.ok()?;
                // What a killed process still holds may be in the way; the schema is left then.
                sqlx::raw_sql("SET lock_timeout = '5s'").execute(&mut connection).await.ok()?;
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.ok()
            })
        });
        let _ = dropped.join();
    }
}

impl fmt::Debug for PostgresSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSchema").field("name", &self.name).finish_non_exhaustive()
    }
}
