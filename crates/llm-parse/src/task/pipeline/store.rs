//! Where the tasks of posts are kept.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::event::EventId;
use pumasi_core::model::Usage;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::TaskQuery;
use crate::task::{Post, Task};

/// How far a post is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskState {
    /// Accepted; its tasks are not known yet.
    Pending,
    /// Its tasks are known.
    Extracted,
    /// Its tasks could not be found; [`TaskRecord::failure`] says why.
    Failed,
    /// It was deleted; text and tasks are gone, and those who listen are about to be told.
    Withdrawing,
    /// It was deleted; text and tasks are gone.
    Withdrawn,
}

impl TaskState {
    /// Names the state in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Extracted => "extracted",
            Self::Failed => "failed",
            Self::Withdrawing => "withdrawing",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Tells whether the post's version is done with: extracted, failed or withdrawn.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Extracted | Self::Failed | Self::Withdrawn)
    }

    /// Tells whether the post was deleted.
    pub const fn is_deleted(self) -> bool {
        matches!(self, Self::Withdrawing | Self::Withdrawn)
    }
}

/// Why the tasks of a post could not be found. Never holds what the post says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The kind of the error, in `snake_case`: an [`ExtractErrorKind`](crate::extract::ExtractErrorKind), `panic`, or
    /// `attempts` where every attempt ended with the process.
    pub reason: String,
    /// What was tried, as [`ExtractError::explanation`](crate::extract::ExtractError::explanation) says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// How many calls of the model the last try made.
    #[serde(default)]
    pub calls: u32,
    /// Whether trying again may help: `never`, `now`, or `after 20s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// What all tries at this version used.
    pub usage: Usage,
}

/// What is known of one post at one version. `Debug` shows no text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The post's identifier.
    pub post_id: String,
    /// The post's version.
    pub version: u64,
    /// How often its extraction was begun anew by [`TaskPipeline::retry`](super::TaskPipeline::retry).
    pub round: u32,
    /// The event that the result follows from.
    pub cause: EventId,
    /// How far it is.
    pub state: TaskState,
    /// When the post was first accepted, whatever was changed since; `None` if that is not known, or it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posted_at: Option<Timestamp>,
    /// How many attempts at the tasks were begun in this round.
    #[serde(default)]
    pub attempts: u32,
    /// How many of them do not count, because the model's side was at fault.
    #[serde(default)]
    pub spared: u32,
    /// In which hand-out of its event the last of them was begun, as the bus counts. One that was given back unharmed comes
    /// under the same number, and goes on with the same attempt.
    #[serde(default)]
    pub hand_out: u32,
    /// The post; `None` once it is deleted.
    pub post: Option<Post>,
    /// Its tasks, if they are known.
    pub tasks: Vec<Task>,
    /// Which prompt or rule set found them.
    pub extractor: Option<String>,
    /// Why they are not known.
    pub failure: Option<TaskFailure>,
    /// The tokens that all attempts at this version took, in every round, as far as they came to an end.
    pub usage: Usage,
}

impl TaskRecord {
    /// Reads what a table keeps of it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn read(stored: &str) -> Result<Self> {
        serde_json::from_str(stored).map_err(|_| {
            pumasi_core::Error::new(pumasi_core::ErrorKind::Storage, "a task record in the table is damaged")
        })
    }

    /// Tells what a table keeps of it: the record, and its version.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn written(&self) -> Result<(String, i64)> {
        let invalid = |what| pumasi_core::Error::new(pumasi_core::ErrorKind::InvalidInput, what);
        let text =
            serde_json::to_string(self).map_err(|_| invalid("a task record cannot be written as JSON"))?;
        let version =
            i64::try_from(self.version).map_err(|_| invalid("the version of a post is above 2^63 - 1"))?;
        Ok((text, version))
    }

    /// Makes the record of a post that was just accepted.
    pub fn pending(post: Post, version: u64, round: u32, cause: EventId) -> Self {
        Self { round, post: Some(post.clone()), ..Self::bare(post.id, version, cause, TaskState::Pending) }
    }

    /// Makes the record of a post whose deletion was just accepted.
    pub fn withdrawing(post_id: impl Into<String>, version: u64, cause: EventId) -> Self {
        Self::bare(post_id.into(), version, cause, TaskState::Withdrawing)
    }

    /// Makes the record of a post that was deleted.
    pub fn withdrawn(post_id: impl Into<String>, version: u64, cause: EventId) -> Self {
        Self::bare(post_id.into(), version, cause, TaskState::Withdrawn)
    }

    fn bare(post_id: String, version: u64, cause: EventId, state: TaskState) -> Self {
        Self {
            post_id,
            version,
            round: 0,
            cause,
            state,
            posted_at: None,
            attempts: 0,
            spared: 0,
            hand_out: 0,
            post: None,
            tasks: Vec::new(),
            extractor: None,
            failure: None,
            usage: Usage::default(),
        }
    }

    /// Tells whether `self` may take the place of `standing`.
    ///
    /// A later version or round may. Within a round, a [settled](TaskState::is_settled) record may take the place of one
    /// that is not, and a pending one that of a pending one with fewer attempts, or with as many that used fewer tokens, or of which
    /// fewer are [spared](Self::spared). Nothing else may.
    pub fn replaces(&self, standing: &Self) -> bool {
        let (new, old) = ((self.version, self.round), (standing.version, standing.round));
        let both_pending = self.state == TaskState::Pending && standing.state == TaskState::Pending;
        new > old
            || (new == old && self.state.is_settled() && !standing.state.is_settled())
            || (new == old && both_pending && self.spent() > standing.spent())
    }

    /// When the post that this version is one of was first accepted, if it was not deleted since.
    pub(super) fn post_since(standing: Option<&Self>, now: Timestamp) -> Option<Timestamp> {
        match standing.filter(|standing| !standing.state.is_deleted()) {
            Some(standing) => standing.posted_at,
            None => Some(now),
        }
    }

    fn spent(&self) -> (u32, u64, u32) {
        (self.attempts, self.usage.total_tokens(), self.spared)
    }

    /// How many attempts count towards the limit.
    pub(super) fn counted(&self) -> u32 {
        self.attempts.saturating_sub(self.spared)
    }
}

impl fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRecord")
            .field("post_id", &self.post_id)
            .field("version", &self.version)
            .field("round", &self.round)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .field("tasks", &self.tasks.len())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// Keeps the tasks of posts.
///
/// What every implementation guarantees:
///
/// 1. **One winner.** [`put`](Self::put) is atomic: of any number of records for one post, put in any order by any number
///    of callers, the one that stands is the one that [replaces](TaskRecord::replaces) all others, and of equals the first.
/// 2. **Durability.** What `put` returned as standing stands after a restart (of a durable store).
/// 3. **Forgetting.** The record of a deleted post holds neither the post nor its tasks.
/// 4. **Pages.** [`list`](Self::list) has a total order of the bytes of identifiers, or of [places](TaskRecord::place): pages that
///    are asked for one [after](TaskQuery::newest_after) the other have each record that stays once.
#[async_trait]
pub trait TaskStore: fmt::Debug + Send + Sync {
    /// Stores `record` unless one stands that it does not replace; returns the one that stands then.
    ///
    /// # Errors
    ///
    /// `Storage` if the store fails.
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord>;

    /// Returns the record of a post.
    ///
    /// # Errors
    ///
    /// `Storage` if the store fails.
    async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>>;

    /// Returns a page of records.
    ///
    /// # Errors
    ///
    /// `Storage` if the store fails.
    async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: TaskStore + ?Sized> TaskStore for $pointer {
            async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
                (**self).put(record).await
            }

            async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>> {
                (**self).get(post_id).await
            }

            async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>> {
                (**self).list(query).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);
