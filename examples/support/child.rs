//! An example service in a process of its own, for tests that kill it.

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{serve, servers};

/// A service that runs until it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    url: String,
    logs: Arc<Mutex<String>>,
}

impl Running {
    /// Starts the example `name`, whose arguments and environment `command` adds, and waits until it tells its address; no
    /// model and no server is configured.
    ///
    /// # Errors
    ///
    /// If there is no such example, or it ends before it listens.
    pub fn start(name: &str, configure: impl FnOnce(&mut Command)) -> io::Result<Self> {
        let mut command = Command::new(example(name)?);
        command
            .env_remove("OPENAI_API_KEY")
            .env_remove("PUMASI_LLM_URL")
            .env_remove("PUMASI_LLM_KEY")
            .env_remove("RUST_LOG");
        for variable in [
            servers::POSTGRES,
            servers::REDIS,
            servers::KAFKA,
            servers::QDRANT,
            servers::OPENSEARCH,
            servers::PREFIX,
            serve::ORIGINS,
        ] {
            command.env_remove(variable);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        configure(&mut command);
        let mut child = command.spawn()?;
        let ended = || io::Error::other("the service ended before it listened");
        let mut lines = BufReader::new(child.stderr.take().ok_or_else(ended)?).lines();
        let prefix = format!("{name}: ");
        let mut before = String::new();
        let url = loop {
            let line = lines.next().ok_or_else(ended)??;
            match line.strip_prefix(&prefix) {
                Some(url) if url.starts_with("http://") => break url.to_owned(),
                Some(error) => return Err(io::Error::other(error.to_owned())),
                None => {
                    before.push_str(&line);
                    before.push('\n');
                }
            }
            if let Some(url) = listening(&line) {
                break url;
            }
        };
        let logs = Arc::new(Mutex::new(before));
        let into = Arc::clone(&logs);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut logs = into.lock().unwrap_or_else(PoisonError::into_inner);
                logs.push_str(&line);
                logs.push('\n');
            }
        });
        Ok(Self { child, url, logs })
    }

    /// Where it listens.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What it has written to standard error, but for its address.
    pub fn logs(&self) -> String {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends it a signal: `-KILL`, `-TERM`.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other("the signal was not sent")) }
    }

    /// Tells how it ended, if it has.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that a line of the logs tells.
fn listening(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let told =
        line.get("fields").filter(|fields| fields.get("message").is_some_and(|said| said == "listening"))?;
    Some(format!("http://{}", told.get("address")?.as_str()?))
}

/// Finds an example's binary: Cargo builds the examples of a package before it runs the package's tests, beside them.
///
/// # Errors
///
/// If the test's own place is not known.
pub fn example(name: &str) -> io::Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests.ancestors().nth(2).ok_or_else(|| io::Error::other("a test has no folder"))?;
    Ok(folder.join("examples").join(name))
}
