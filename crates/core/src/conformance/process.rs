//! Processes that a test starts, kills and starts again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Broken;

const ROLE: &str = "PUMASI_FAULT_ROLE";
const FOLDER: &str = "PUMASI_FAULT_FOLDER";

/// Tells how many processes a fault test kills: `PUMASI_FAULT_KILLS`, or at least 100 where the [full](is_full) forms are
/// asked for, or `default`.
pub fn kills(default: u32) -> u32 {
    let set = std::env::var("PUMASI_FAULT_KILLS").ok().and_then(|kills| kills.parse().ok());
    set.unwrap_or(if is_full() { default.max(100) } else { default })
}

/// Tells whether fault tests are to run at full length: `PUMASI_FAULT_FULL=1`.
pub fn is_full() -> bool {
    std::env::var("PUMASI_FAULT_FULL").is_ok_and(|full| full == "1")
}

/// What a [`Crew`] told this process to play.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// The role, as the crew named it.
    pub role: String,
    /// The folder that the crew's processes share.
    pub folder: PathBuf,
}

impl Part {
    /// Returns this process's part; `None` in a process that no crew started.
    pub fn given() -> Option<Self> {
        let (role, folder) = (std::env::var(ROLE).ok()?, std::env::var_os(FOLDER)?);
        Some(Self { role, folder: folder.into() })
    }
}

/// Processes that share a folder and play roles until they are killed: what a fault test does to a service.
///
/// Each process is the test program itself, started with one *entry*: an ignored test that asks for its
/// [`Part`] and plays it. Whatever is still running when the crew is dropped is killed. What the processes write to
/// standard error is kept in the folder, in the file `stderr`.
///
/// ```no_run
/// use std::time::Duration;
/// use pumasi_core::conformance::process::{Crew, Part, kills};
///
/// #[test]
/// #[ignore = "started by the fault test with a part"]
/// fn plays_its_part() {
///     if let Some(part) = Part::given() {
///         // open the store in `part.folder`, work as `part.role` until killed
///     }
/// }
///
/// #[test]
/// fn nothing_is_lost_when_workers_are_killed() {
///     let folder = tempfile::tempdir().unwrap();
///     let mut crew = Crew::new("plays_its_part", folder.path());
///     crew.start("worker-0").unwrap();
///     crew.start("worker-1").unwrap();
///     crew.kill_at_random(kills(20), Duration::from_millis(30)..Duration::from_millis(600)).unwrap();
///     crew.kill_all().unwrap();
///     crew.finish("finisher", Duration::from_secs(120)).unwrap();
///     // now look at what is in the folder
/// }
/// ```
#[derive(Debug)]
pub struct Crew {
    entry: String,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    playing: Vec<(String, Child)>,
}

impl Crew {
    /// Makes a crew without members. `entry` is the full path of the ignored test, as the test program lists it.
    pub fn new(entry: impl Into<String>, folder: impl AsRef<Path>) -> Self {
        Self {
            entry: entry.into(),
            folder: folder.as_ref().to_owned(),
            environment: Vec::new(),
            playing: Vec::new(),
        }
    }

    /// Sets an environment variable of the processes.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Returns the command that plays `role`, for tests that start it in a way of their own.
    ///
    /// # Errors
    ///
    /// What the operating system says if the program or the folder cannot be found.
    pub fn command(&self, role: &str) -> io::Result<Command> {
        let log = File::options().create(true).append(true).open(self.folder.join("stderr"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--exact", &self.entry, "--ignored", "--nocapture"])
            .env(ROLE, role)
            .env(FOLDER, &self.folder)
            .env("RUST_BACKTRACE", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(log);
        Ok(command)
    }

    /// Starts a process that plays `role`.
    ///
    /// # Errors
    ///
    /// What the operating system says if the process cannot be started.
    pub fn start(&mut self, role: &str) -> io::Result<()> {
        let child = self.command(role)?.spawn()?;
        self.playing.push((role.to_owned(), child));
        Ok(())
    }

    /// Tells the process id of the member that plays `role`, for signals.
    pub fn id(&self, role: &str) -> Option<u32> {
        self.playing.iter().find(|(playing, _)| playing == role).map(|(_, child)| child.id())
    }

    /// Checks that every member is still at work.
    ///
    /// # Errors
    ///
    /// [`Broken`] if one ended by itself, with what the crew wrote.
    pub fn check(&mut self) -> Result<(), Broken> {
        (0..self.playing.len()).try_for_each(|place| self.check_one(place))
    }

    fn check_one(&mut self, place: usize) -> Result<(), Broken> {
        let Some((role, child)) = self.playing.get_mut(place) else {
            return Err(Broken::new("there is nobody to kill"));
        };
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let role = role.clone();
                Err(Broken::new(format!("{role} ended by itself ({status}): {}", self.said())))
            }
        }
    }

    /// Kills (SIGKILL) whoever plays `role`, if somebody still does.
    ///
    /// # Errors
    ///
    /// What the operating system says if the process cannot be killed.
    pub fn kill(&mut self, role: &str) -> io::Result<()> {
        let leaving = self.playing.extract_if(.., |(playing, _)| playing == role);
        leaving.collect::<Vec<_>>().into_iter().try_for_each(|(_, mut child)| end(&mut child))
    }

    /// Starts those again who ended by themselves, where that is part of the test; returns how many.
    ///
    /// # Errors
    ///
    /// What the operating system says if a process cannot be started.
    pub fn revive(&mut self) -> io::Result<u32> {
        let mut ended = Vec::new();
        for (role, child) in &mut self.playing {
            if child.try_wait()?.is_some() {
                ended.push(role.clone());
            }
        }
        for role in &ended {
            self.kill(role)?;
            self.start(role)?;
        }
        Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
    }

    /// Kills (SIGKILL) a member `kills` times, each time another one by chance after a pause by chance, and starts it
    /// again.
    ///
    /// # Errors
    ///
    /// [`Broken`] if a member ended by itself, with what it wrote; or if a process cannot be killed or started.
    pub fn kill_at_random(&mut self, kills: u32, pause: Range<Duration>) -> Result<(), Broken> {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_micros(fastrand::u64(
                micros(pause.start)..micros(pause.end).max(micros(pause.start).saturating_add(1)),
            )));
            let victim = fastrand::usize(0..self.playing.len().max(1));
            self.check_one(victim)?;
            let (role, mut child) = self.playing.swap_remove(victim);
            end(&mut child)?;
            self.start(&role)?;
        }
        Ok(())
    }

    /// Kills every member.
    ///
    /// # Errors
    ///
    /// What the operating system says if a process cannot be killed.
    pub fn kill_all(&mut self) -> io::Result<()> {
        self.playing.drain(..).try_for_each(|(_, mut child)| end(&mut child))
    }

    /// Starts a process that plays `role`, and waits until it has ended well.
    ///
    /// # Errors
    ///
    /// [`Broken`] if it fails or is not done within `limit`, with what the crew wrote.
    pub fn finish(&mut self, role: &str, limit: Duration) -> Result<(), Broken> {
        self.start(role)?;
        match self.playing.pop() {
            Some((role, child)) => self.wait(&role, child, Instant::now() + limit),
            None => Err(Broken::new(format!("{role} was not started"))),
        }
    }

    /// Waits until every member has ended well, as those do that were told to.
    ///
    /// # Errors
    ///
    /// [`Broken`] if one fails or is not done within `limit`, with what the crew wrote.
    pub fn wait_for_all(&mut self, limit: Duration) -> Result<(), Broken> {
        let deadline = Instant::now() + limit;
        while let Some((role, child)) = self.playing.pop() {
            self.wait(&role, child, deadline)?;
        }
        Ok(())
    }

    fn wait(&self, role: &str, mut child: Child, deadline: Instant) -> Result<(), Broken> {
        loop {
            let ended: Option<ExitStatus> = child.try_wait()?;
            match ended {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Broken::new(format!("{role} failed ({status}): {}", self.said())));
                }
                None if Instant::now() > deadline => {
                    end(&mut child)?;
                    return Err(Broken::new(format!("{role} was not done in time: {}", self.said())));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Returns what the processes have written to standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.kill_all();
    }
}

fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(|_| ())
}
