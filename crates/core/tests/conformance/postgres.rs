//! A schema of the tests' own in a real PostgreSQL, reached through a proxy.

use std::str::FromStr;

use pumasi_core::conformance::Server;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use crate::proxy::Proxy;

const SCHEMA: &str = "pumasi_conformance";

pub(crate) struct Database {
    proxy: Proxy,
    pool: PgPool,
}

impl Database {
    /// `None`, visibly, without a server.
    pub(crate) async fn open(test: &str) -> Option<Self> {
        let url = Server::Postgres.url(test)?;
        let direct = PgConnectOptions::from_str(&url).unwrap();
        let mut connection = direct.connect().await.unwrap();
        // Two sessions that create one schema at once fail even with IF NOT EXISTS.
        sqlx::raw_sql(
            "BEGIN; SELECT pg_advisory_xact_lock(4711); CREATE SCHEMA IF NOT EXISTS pumasi_conformance; COMMIT",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let proxy = Proxy::to(format!("{}:{}", direct.get_host(), direct.get_port())).await;
        let through = direct
            .host(&proxy.address().ip().to_string())
            .port(proxy.address().port())
            .options([("search_path", SCHEMA)]);
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(through);
        Some(Self { proxy, pool })
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }
}
