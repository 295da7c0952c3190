//! A server of the test's own, stopped and started again under a relay and a consumer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pumasi_core::conformance::skip;
use pumasi_core::event::{Consumer, OutboxStore, PostgresInbox, PostgresOutbox, Relay, Shutdown};
use pumasi_core::resilience::Backoff;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::postgres::{TRUTH, compare, publish};
use super::*;

/// PostgreSQL in a folder of its own; it ends with this value.
struct Instance {
    binaries: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Instance {
    /// Starts one with the programs of `PUMASI_POSTGRES_BIN`, or of `pg_config`; `None` where there are none.
    fn start() -> Option<Self> {
        let told = std::env::var_os("PUMASI_POSTGRES_BIN").map(PathBuf::from);
        let asked = || {
            let output = Command::new("pg_config").arg("--bindir").output().ok()?;
            Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
        };
        let binaries = told.or_else(asked).filter(|folder| folder.join("initdb").exists())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let instance = Self { binaries, folder: tempfile::tempdir().unwrap(), port };
        #[cfg(unix)]
        if root() {
            std::os::unix::fs::chown(instance.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = instance.data();
        instance.run("initdb", &["-D", path(&data), "-U", "postgres", "-A", "trust", "-N"])?;
        instance.up();
        Some(instance)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn up(&self) {
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            self.port,
            path(self.folder.path())
        );
        self.run(
            "pg_ctl",
            &[
                "-D",
                path(&self.data()),
                "-w",
                "-l",
                path(&self.folder.path().join("log")),
                "-o",
                &settings,
                "start",
            ],
        )
        .unwrap();
    }

    fn down(&self, mode: &str) {
        self.run("pg_ctl", &["-D", path(&self.data()), "-w", "-m", mode, "stop"]).unwrap();
    }

    /// Runs one of the programs, not as root, which they refuse.
    fn run(&self, program: &str, arguments: &[&str]) -> Option<()> {
        let mut command = Command::new(self.binaries.join(program));
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        if root() {
            std::os::unix::process::CommandExt::gid(&mut command, NOBODY);
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        command.status().ok()?.success().then_some(())
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database("postgres")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.run("pg_ctl", &["-D", path(&self.data()), "-m", "immediate", "stop"]);
    }
}

#[cfg(unix)]
const NOBODY: u32 = 65534;

#[cfg(unix)]
fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_killed_and_comes_back_loses_and_doubles_nothing() {
    let Some(server) = tokio::task::spawn_blocking(Instance::start).await.unwrap() else {
        skip("a restarted server", "needs PostgreSQL's programs: set PUMASI_POSTGRES_BIN to their folder");
        return;
    };
    let pool = PgPoolOptions::new().max_connections(10).connect_lazy_with(server.options());
    sqlx::raw_sql(TRUTH).execute(&pool).await.unwrap();
    sqlx::raw_sql("CREATE TABLE effect (n bigint GENERATED ALWAYS AS IDENTITY, key text, id text)")
        .execute(&pool)
        .await
        .unwrap();
    let outbox = PostgresOutbox::new(pool.clone()).with_poll(Duration::from_millis(100));
    outbox.migrate().await.unwrap();
    let inbox = PostgresInbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    let (bus, shutdown) = (memory_bus(), Shutdown::new());
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
    let relay =
        Relay::new(outbox.clone(), bus.clone()).with_backoff(backoff).with_lease(Duration::from_secs(1));
    let relaying = tokio::spawn(relay.clone().run(shutdown.clone()));
    let handler = inbox.handler("billing", |transaction, delivery| {
        Box::pin(async move {
            sqlx::query("INSERT INTO effect (key, id) VALUES ($1, $2)")
                .bind(&delivery.event.key)
                .bind(delivery.event.id.to_string())
                .execute(transaction)
                .await?;
            Ok(())
        })
    });
    let consumer = Consumer::new(bus.clone(), Subscription::new("billing", [TOPIC]), handler)
        .with_max_attempts(100_000)
        .with_backoff(backoff);
    let consuming = tokio::spawn(consumer.run(shutdown.clone()));
    let writing = [0, 1, 2].map(|_| {
        let (pool, outbox) = (pool.clone(), outbox.clone());
        tokio::spawn(async move {
            for n in 0.. {
                // Whether it was committed, the truth knows, which is part of it.
                let _ = publish(&pool, &outbox, &[format!("key-{}", n % 5)], true).await;
            }
        })
    });
    let count = async |statement: &'static str| {
        sqlx::query(statement).fetch_one(&pool).await.map_or(-1, |row| row.get::<i64, _>(0))
    };
    let server = Arc::new(server);
    for mode in ["fast", "immediate", "immediate", "fast"] {
        let before = count("SELECT count(*) FROM truth").await;
        until("some commits", async || count("SELECT count(*) FROM truth").await > before + 40).await;
        let server = Arc::clone(&server);
        let restart = move || {
            server.down(mode);
            server.up();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
    }
    let before = count("SELECT count(*) FROM truth").await;
    until("some commits", async || count("SELECT count(*) FROM truth").await > before + 40).await;
    // The writers end first, then what is left is worked off.
    for writing in writing {
        writing.abort();
        let _ = writing.await;
    }
    let events = count("SELECT count(*) FROM truth").await;
    until("all effects", async || count("SELECT count(*) FROM effect").await >= events).await;
    until("an empty outbox", async || outbox.backlog().await.is_ok_and(|backlog| backlog.pending == 0)).await;
    shutdown.trigger();
    relaying.await.unwrap().unwrap();
    consuming.await.unwrap().unwrap();
    let events = compare(&pool, &published(&bus).await).await;
    let wrong = "SELECT count(*) FROM (SELECT key, id, row_number() OVER (PARTITION BY key ORDER BY n) AS n FROM effect) e \
                 FULL JOIN truth t ON t.key = e.key AND t.n = e.n WHERE e.id IS DISTINCT FROM t.id";
    assert_eq!(count(wrong).await, 0, "effects that are missing, doubled or out of order");
    println!(
        "a server restarted 4 times (2 of them without a checkpoint): {events} events, {:?}; 0 lost, 0 doubled, order kept",
        relay.stats()
    );
}
