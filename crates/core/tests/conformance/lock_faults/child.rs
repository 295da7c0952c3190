//! Which lock is meant, and the processes that take it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pumasi_core::conformance::Server;
use pumasi_core::lock::{FencingToken, Lock, PostgresLocks, RedisLocks};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::resource::Resource;
use crate::postgres::Database;
use crate::redis_server::PATIENCE;

/// A lock of a random name on a server, and its lease; travels to children as text.
#[derive(Clone)]
pub(super) struct Setting {
    server: Server,
    name: String,
    lease: Duration,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.server, self.name, self.lease.as_millis())
    }
}

impl Setting {
    pub(super) fn redis(test: &str) -> Option<Self> {
        Server::Redis.url(test)?;
        Some(Self::on(Server::Redis))
    }

    pub(super) async fn postgres(test: &str) -> Option<Self> {
        let database = Database::open(test).await?;
        PostgresLocks::new(database.pool()).migrate().await.unwrap();
        Some(Self::on(Server::Postgres))
    }

    fn on(server: Server) -> Self {
        Self { server, name: format!("fault-{:016x}", fastrand::u64(..)), lease: Duration::from_secs(20) }
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut next = || words.next().unwrap();
        let server = if next() == "redis" { Server::Redis } else { Server::Postgres };
        let name = next().to_owned();
        Self { server, name, lease: Duration::from_millis(next().parse().unwrap()) }
    }

    pub(super) fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn url(&self) -> String {
        self.server.url("a lock's fault test").unwrap()
    }

    pub(super) async fn pool(&self) -> PgPool {
        let options = PgConnectOptions::from_str(&self.url()).unwrap().application_name(&self.name);
        let options = options.options([("search_path", "pumasi_conformance")]);
        PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
    }

    pub(super) async fn lock(&self) -> Lock {
        let lock = match self.server {
            Server::Redis => {
                Lock::new(RedisLocks::open(&self.url()).unwrap().with_timeout(PATIENCE), &self.name)
            }
            _ => Lock::new(PostgresLocks::new(self.pool().await).with_timeout(PATIENCE), &self.name),
        };
        lock.with_lease(self.lease).with_longest_pause(Duration::from_millis(4))
    }

    pub(super) async fn resource(&self) -> Resource {
        match self.server {
            Server::Redis => Resource::redis(&self.url(), &self.name).await,
            _ => Resource::postgres(self.pool().await, &self.name),
        }
    }
}

pub(super) async fn play(role: &str, setting: Setting) {
    let (lock, resource) = (setting.lock().await, setting.resource().await);
    match role {
        "race" => {
            let (mut refused, mut overlaps, mut alternations) = (0, 0, 0);
            let mut last = FencingToken::new(0);
            println!("@ready");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            for _ in 0..500 {
                let guard = lock.acquire(Duration::from_mins(2)).await.unwrap();
                match resource.begin(guard.token()).await {
                    Some(begun) => {
                        overlaps += u32::from(begun.inside != 1);
                        alternations += u32::from(begun.before != last);
                    }
                    None => refused += 1,
                }
                refused += u32::from(!resource.end(guard.token()).await);
                last = guard.token();
                guard.release().await.unwrap();
                // the other is waiting, and has its chance
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..4))).await;
            }
            println!("@500 {refused} {overlaps} {alternations}");
        }
        "hold" => {
            let guard = lock.acquire(Duration::from_secs(10)).await.unwrap();
            resource.begin(guard.token()).await.unwrap();
            println!("@{}", guard.token());
            let mut line = String::new();
            // the renewal goes on meanwhile, on the runtime's other threads
            std::io::stdin().read_line(&mut line).unwrap();
            // as a holder does that has not noticed: it writes first
            let passed = resource.end(guard.token()).await;
            let words =
                (if passed { "passed" } else { "refused" }, if guard.is_lost() { "lost" } else { "held" });
            println!("@{} {}", words.0, words.1);
        }
        role => panic!("no such role: {role}"),
    }
}
