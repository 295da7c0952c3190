//! Where the tasks of posts are kept.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::event::EventId;
use pumasi_core::model::Usage;
use serde::{Deserialize, Serialize};

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
            Self::Withdrawn => "withdrawn",
        }
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
    /// What the last try used.
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
    /// The post; `None` once it is withdrawn.
    pub post: Option<Post>,
    /// Its tasks, if they are known.
    pub tasks: Vec<Task>,
    /// Which prompt or rule set found them.
    pub extractor: Option<String>,
    /// Why they are not known.
    pub failure: Option<TaskFailure>,
    /// The tokens that the result took.
    pub usage: Usage,
}

impl TaskRecord {
    /// Makes the record of a post that was just accepted.
    pub fn pending(post: Post, version: u64, round: u32, cause: EventId) -> Self {
        Self {
            post_id: post.id.clone(),
            version,
            round,
            cause,
            state: TaskState::Pending,
            post: Some(post),
            tasks: Vec::new(),
            extractor: None,
            failure: None,
            usage: Usage::default(),
        }
    }

    /// Makes the record of a post that was deleted.
    pub fn withdrawn(post_id: impl Into<String>, version: u64, cause: EventId) -> Self {
        Self {
            post_id: post_id.into(),
            version,
            round: 0,
            cause,
            state: TaskState::Withdrawn,
            post: None,
            tasks: Vec::new(),
            extractor: None,
            failure: None,
            usage: Usage::default(),
        }
    }

    /// Tells whether `self` may take the place of `standing`: a later version or round may, and a result may take the
    /// place of the same round's pending record; nothing else may.
    pub fn replaces(&self, standing: &Self) -> bool {
        let (new, old) = ((self.version, self.round), (standing.version, standing.round));
        new > old || (new == old && standing.state == TaskState::Pending && self.state != TaskState::Pending)
    }
}

impl fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRecord")
            .field("post_id", &self.post_id)
            .field("version", &self.version)
            .field("round", &self.round)
            .field("state", &self.state)
            .field("tasks", &self.tasks.len())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// Which records are wanted, in the order of the posts' identifiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskQuery {
    /// Only records in this state; all but withdrawn ones if `None`.
    pub state: Option<TaskState>,
    /// Only posts after this identifier.
    pub after: Option<String>,
    /// At most this many; 100 if `None`.
    pub limit: Option<NonZeroUsize>,
}

impl TaskQuery {
    /// Asks for the records in `state`.
    pub fn in_state(state: TaskState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    /// Asks for the posts after `post_id`.
    #[must_use]
    pub fn after(mut self, post_id: impl Into<String>) -> Self {
        self.after = Some(post_id.into());
        self
    }

    /// Asks for at most `limit` records.
    #[must_use]
    pub fn with_limit(mut self, limit: NonZeroUsize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.map_or(100, NonZeroUsize::get)
    }
}

/// Keeps the tasks of posts.
///
/// What every implementation guarantees:
///
/// 1. **One winner.** [`put`](Self::put) is atomic: of any number of records for one post, put in any order by any number
///    of callers, the one that stands is the one that [replaces](TaskRecord::replaces) all others, and of equals the first.
/// 2. **Durability.** What `put` returned as standing stands after a restart (of a durable store).
/// 3. **Forgetting.** A withdrawn record holds neither the post nor its tasks.
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
