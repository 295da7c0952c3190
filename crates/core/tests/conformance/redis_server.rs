//! A Redis server of a test's own, for what cannot be done to a shared one: restarts, passwords, full memory.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pumasi_core::conformance::{Server, skip};
use redis::AsyncConnectionConfig;

pub(crate) struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
    child: Child,
}

impl RedisServer {
    /// Starts one on a free port; `None`, visibly, without a Redis to test with or without the program.
    pub(crate) async fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        Server::Redis.url(test)?;
        let program = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if program.is_err() {
            skip(test, "needs the program redis-server");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // Below the range that outgoing connections take: one of those could have it while the server is away.
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let port = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).find(is_free).unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = launch(port, &folder, &arguments, &[]);
        let server = Self { port, arguments, folder, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            assert!(Instant::now() < deadline, "redis-server did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn url_with(&self, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{}", self.port)
    }

    /// Sends a command that only an administrator would.
    pub(crate) async fn cli(&self, command: &[&str]) {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection_with_config(&patient()).await.unwrap();
        let mut cmd = redis::cmd(command.first().unwrap());
        cmd.arg(command.get(1..).unwrap());
        cmd.query_async::<redis::Value>(&mut connection).await.unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and files, without waiting for it.
    pub(crate) fn begin(&mut self, further: &[&str]) {
        self.child = launch(self.port, &self.folder, &self.arguments, further);
    }
}

/// How long calls may take that are not about a limit: more than a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a test's own connections wait: by default they give up after half a second, in which a busy machine may not answer.
pub(crate) fn patient() -> AsyncConnectionConfig {
    let limit = Some(PATIENCE);
    AsyncConnectionConfig::new().set_connection_timeout(limit).set_response_timeout(limit)
}

fn launch(port: u16, folder: &tempfile::TempDir, arguments: &[String], further: &[&str]) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--enable-debug-command",
            "yes",
        ])
        .arg("--dir")
        .arg(folder.path())
        .args(arguments)
        .args(further)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
