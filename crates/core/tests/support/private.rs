//! A server of a test's own, which it may end and start again.

use std::path::PathBuf;
use std::process::{Command, Output};

use pumasi_core::conformance::{Server, skip};

/// A local copy that `scripts/services` started; it ends with this value.
pub(crate) struct Private {
    server: Server,
    folder: tempfile::TempDir,
    url: String,
}

impl Private {
    /// Starts one; `None`, after saying so, where the tests have no such server or no copy of it can be had.
    pub(crate) fn start(server: Server, test: &str) -> Option<Self> {
        // Who runs the tests without the shared server does not want one that takes as long to start.
        server.url(test)?;
        let mut private = Self { server, folder: tempfile::tempdir().unwrap(), url: String::new() };
        let started = private.run(&["up", server.name()]).unwrap();
        let url = std::fs::read_to_string(private.home().join("url")).unwrap_or_default();
        url.trim().clone_into(&mut private.url);
        if private.home().join("pid").exists() {
            return Some(private);
        }
        let said = format!("needs a local copy of {server}: {}", started.lines().last().unwrap_or_default());
        let required = std::env::var("PUMASI_REQUIRE").unwrap_or_default();
        let required =
            required.split(',').any(|name| matches!(name.trim(), "all") || name.trim() == server.name());
        // Where Docker Compose runs it, it is there, and cannot be ended and resumed.
        assert!(!required || !private.url.is_empty(), "{test} {said}");
        skip(test, &said);
        None
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it by a signal.
    pub(crate) fn halt(&self, signal: &str) {
        self.run(&["halt", self.server.name(), signal]).unwrap();
    }

    /// Sends it a signal that it survives: STOP, CONT.
    #[cfg(feature = "kafka")]
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.home().join("pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid]).status().unwrap().success());
    }

    /// Starts it again with its data.
    pub(crate) fn resume(&self) {
        self.run(&["resume", self.server.name()]).unwrap();
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join(self.server.name())
    }

    /// What the script said; as an error, if it failed.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
        let mut command = Command::new(script);
        command.args(arguments).env("PUMASI_SERVICES", self.folder.path()).env_remove("PUMASI_REQUIRE");
        for server in Server::ALL {
            command.env_remove(server.variable());
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        if status.success() { Ok(said) } else { Err(format!("scripts/services {arguments:?}: {said}")) }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.run(&["down", self.server.name()]);
    }
}
