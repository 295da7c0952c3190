//! A database and a prefix of a test's own on the servers that `scripts/services` starts.

use std::process::Command;

use pumasi_core::conformance::Server;
use pumasi_core::event::EventId;
use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use support::auth;
use support::child::Running;
use support::servers;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::desk::KEY;
pub(crate) use super::desk::{client, pages, until};

/// Which bus the processes share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    Redis,
    #[cfg(feature = "kafka")]
    Kafka,
}

pub(crate) struct Trial {
    server: String,
    name: String,
    pub(crate) redis: String,
    kafka: Option<String>,
}

impl Trial {
    /// Makes a database and chooses a prefix; `None`, after saying so, where a server is missing.
    pub(crate) async fn new(test: &str, bus: Bus) -> Option<Self> {
        let server = Server::Postgres.url(test)?;
        let redis = Server::Redis.url(test)?;
        let kafka = match bus {
            Bus::Redis => None,
            #[cfg(feature = "kafka")]
            Bus::Kafka => Some(Server::Kafka.url(test)?),
        };
        let name = format!("example_{}", EventId::random().to_string().replace('-', ""));
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        Some(Self { server, name, redis, kafka })
    }

    /// The URL of the test's database.
    pub(crate) fn postgres(&self) -> String {
        let mut url: Url = self.server.parse().unwrap();
        url.set_path(&self.name);
        url.into()
    }

    /// Sets the environment of a process that uses the servers.
    pub(crate) fn environment(&self, command: &mut Command) {
        command.env(servers::POSTGRES, self.postgres()).env(servers::REDIS, &self.redis);
        command.env(servers::PREFIX, &self.name).env(auth::KEY, KEY);
        command.envs(self.kafka.as_ref().map(|brokers| (servers::KAFKA, brokers)));
    }

    /// Starts a process of a service on the servers; its folder is its own, and must stay empty.
    pub(crate) fn start(&self, example: &str, more: impl FnOnce(&mut Command)) -> Running {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--requests-per-second", "2000"]);
            self.environment(command);
            more(command);
        };
        Running::start(example, serve).unwrap()
    }

    /// Drops the database.
    pub(crate) async fn end(self) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }
}

/// What stands between a service and a server, and can be taken away.
pub(crate) struct Cable {
    listener: std::net::TcpListener,
    server: String,
    carrying: Option<JoinHandle<()>>,
}

impl Cable {
    /// Leads to `server`, `host:port`.
    pub(crate) fn to(server: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut cable = Self { listener, server: server.to_owned(), carrying: None };
        cable.plug_in();
        cable
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(crate) fn plug_in(&mut self) {
        let listener = TcpListener::from_std(self.listener.try_clone().unwrap()).unwrap();
        let server = self.server.clone();
        self.carrying = Some(tokio::spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let server = server.clone();
                carried.spawn(async move {
                    let mut to = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut from, &mut to).await
                });
            }
        }));
    }

    /// Breaks every connection; new ones are not answered.
    pub(crate) fn pull(&mut self) {
        if let Some(carrying) = self.carrying.take() {
            carrying.abort();
        }
    }
}
