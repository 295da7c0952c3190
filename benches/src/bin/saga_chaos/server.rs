//! A server of this run's own, that can be ended and started again.

use std::path::PathBuf;
use std::process::Command;

use crate::Failure;

/// A local copy that `scripts/services` started; it ends with this value.
pub(crate) struct Private {
    name: String,
    folder: tempfile::TempDir,
    url: String,
}

impl Private {
    pub(crate) fn start(name: &str) -> Result<Self, Failure> {
        let mut private = Self { name: name.to_owned(), folder: tempfile::tempdir()?, url: String::new() };
        let said = private.run(&["up", name])?;
        let home: PathBuf = private.folder.path().join(name);
        if !home.join("pid").exists() {
            return Err(format!("this needs a local copy of {name}: {said}").into());
        }
        private.url = std::fs::read_to_string(home.join("url"))?.trim().to_owned();
        Ok(private)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it by a signal, and starts it again with its data.
    pub(crate) fn restart(&self, signal: &str) -> Result<(), Failure> {
        // QUIT ends PostgreSQL as a crash does, and Redis not at all.
        let signal = if self.name == "redis" { "KILL" } else { signal };
        self.run(&["halt", &self.name, signal])?;
        self.run(&["resume", &self.name]).map(drop)
    }

    fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services"));
        command.args(arguments).env("PUMASI_SERVICES", self.folder.path()).env_remove("PUMASI_REQUIRE");
        for variable in ["PUMASI_POSTGRES_URL", "PUMASI_REDIS_URL"] {
            command.env_remove(variable);
        }
        let output = command.output()?;
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        let said = said.concat();
        if output.status.success() {
            Ok(said)
        } else {
            Err(format!("scripts/services {arguments:?}: {said}").into())
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.run(&["down", &self.name]);
    }
}
