//! One run of a job: what the work is told, and what the history keeps.

use crate::event::Reason;
use crate::time::Timestamp;

/// What a job's work is told about the run that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The job's name.
    pub job: String,
    /// When it was due by the schedule; together with the name it identifies the run, however late or often it is begun.
    pub due: Timestamp,
    /// Counts the times that it was begun, from 1.
    pub attempt: u32,
    /// Greater than those of all runs of the job that were begun before.
    pub fence: u64,
}

impl Run {
    /// Makes what a run's work is told; for stores.
    pub fn new(job: impl Into<String>, due: Timestamp, attempt: u32, fence: u64) -> Self {
        Self { job: job.into(), due, attempt, fence }
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunStatus {
    /// It is due, or waits for its next attempt.
    Waiting,
    /// A node works on it, or its lease has ended and nobody has noticed yet.
    Running,
    /// It was done.
    Done,
    /// It was given up.
    Failed,
    /// It was missed, and the rule was to leave it out.
    Skipped,
}

impl RunStatus {
    /// Names the status in `snake_case`, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Tells whether nothing will happen to the run any more.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Skipped)
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn from_stored(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Skipped]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A run as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunRecord {
    /// The job's name.
    pub job: String,
    /// When it was due; of several that were skipped together, the last.
    pub due: Timestamp,
    /// How far it has come.
    pub status: RunStatus,
    /// Before when it is not begun.
    pub available: Timestamp,
    /// How often it was begun.
    pub attempts: u32,
    /// The fence of the last attempt; 0 if there was none.
    pub fence: u64,
    /// Until when the attempt that runs is trusted.
    pub lease_until: Option<Timestamp>,
    /// When the last attempt began.
    pub started: Option<Timestamp>,
    /// When it was done, given up or skipped.
    pub ended: Option<Timestamp>,
    /// How many due times this record stands for: 1, or as many as were skipped together.
    pub times: u64,
    /// Why the last attempt failed, or the run was given up.
    pub reason: Option<Reason>,
}

impl RunRecord {
    /// Makes the record of a run that waits and was not begun yet; for stores.
    pub fn waiting(job: impl Into<String>, due: Timestamp, available: Timestamp) -> Self {
        Self {
            job: job.into(),
            due,
            status: RunStatus::Waiting,
            available,
            attempts: 0,
            fence: 0,
            lease_until: None,
            started: None,
            ended: None,
            times: 1,
            reason: None,
        }
    }
}
