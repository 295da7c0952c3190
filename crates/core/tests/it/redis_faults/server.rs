//! A Redis server of the test's own, which may be killed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Server {
    process: Option<Child>,
    port: u16,
    folder: PathBuf,
}

impl Server {
    /// Starts a server whose files are in `folder`; `None`, after saying so, where there is no program.
    pub(super) fn start(test: &str, folder: &Path) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            pumasi_core::conformance::skip(test, "needs the program redis-server");
            return None;
        }
        std::fs::create_dir_all(folder).unwrap();
        // Below the range that outgoing connections take: one of those could have it while the server is away.
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).find(is_free).unwrap();
        let mut server = Self { process: None, port, folder: folder.to_owned() };
        server.restart();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it (again) with whatever its files hold.
    pub(super) fn restart(&mut self) {
        let port = self.port.to_string();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(&self.folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(30);
        let client = redis::Client::open(self.url()).unwrap();
        let up = || redis::cmd("PING").query::<String>(&mut client.get_connection()?);
        while let Err(error) = up() {
            assert!(Instant::now() < deadline, "the server does not start: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks the server itself.
    pub(super) fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
