//! Posts in, tasks out, over events: nothing lost, nothing doubled.
//!
//! # Why nothing is lost or doubled
//!
//! A change is put into the store first, then published: what a kill keeps from being published is published by
//! [`TaskPipeline::recover`] at the next start, and what a broken bus or a call dropped in the middle keeps from it by
//! [`TaskPipeline::keep_recovering`] meanwhile. For each event about a post the handler then does, in this order: (1) count
//! the attempt in the store, (2) find the tasks, (3) put them into the store under the post's version, (4) publish the
//! outcome under an id derived from the event, (5) acknowledge. A process that is killed
//!
//! - before 3, leaves no more than the count: the event comes back, and the model is asked again;
//! - between 3 and 4, comes back to a stored result, asks no model, and publishes;
//! - between 4 and 5, comes back, publishes the same id, and the bus drops the double.
//!
//! A store or a bus that fails is never the post's fault: the event comes back, later and later, until it could be worked
//! on, and only attempts at the tasks count towards the limit after which the post has failed. An attempt that was broken
//! off because the service was asked to stop counts once, however often that happens. A model that is down, or turns calls
//! away, is not the post's fault either: what used no tokens is tried again for a [day](TaskPipeline::with_patience) before
//! it counts.
//!
//! Two workers on one event (a lease that ran out) agree, because the store keeps the first result of a version and both
//! publish what stands. What the store has of a later version makes an event stale: it is acknowledged and nothing else.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod recovery;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use pumasi_core::event::{
    Actor, Consumer, Delivery, Envelope, EventBus, EventId, Handler, State, Subscription,
};
use pumasi_core::model::Usage;
use pumasi_core::time::{Clock as _, SystemClock};
use pumasi_core::{Error, ErrorKind, Result, Retry};
use serde::{Deserialize, Serialize};

pub use memory::MemoryTaskStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresTaskStore;
pub use query::{TaskOrder, TaskPlace, TaskQuery};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteTaskStore;
pub use store::{TaskFailure, TaskRecord, TaskState, TaskStore};

use self::recovery::{Debt, Owed};
use super::{ExtractTasks, Post, Task};
use crate::extract::{ExtractError, ExtractErrorKind, Extraction};

/// What the pipeline publishes, under the post's id and version, on [`TaskPipeline::TASKS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskEvent {
    /// The tasks of this version of the post are these, and replace all earlier ones.
    TasksExtracted {
        /// The tasks.
        tasks: Vec<Task>,
        /// Which prompt or rule set found them.
        extractor: String,
    },
    /// The post was deleted: its tasks are void.
    TasksWithdrawn,
    /// The tasks of this version could not be found.
    ExtractionFailed {
        /// Why, how often it was tried, and what it used.
        failure: TaskFailure,
    },
}

/// The header that tells a retry apart from the event it repeats.
const ROUND: &str = "pumasi-round";

/// Listens to posts and keeps their tasks: created or updated, extract and replace; deleted, withdraw.
///
/// ```
/// use std::sync::Arc;
/// use pumasi_core::event::{MemoryBus, Shutdown};
/// use pumasi_llm_parse::task::{MemoryTaskStore, Post, PostKind, RuleTaskExtractor, TaskPipeline, TaskState, TaskStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = Arc::new(MemoryTaskStore::new());
/// let pipeline = TaskPipeline::new(Arc::new(MemoryBus::new()), store.clone(), Arc::new(RuleTaskExtractor::new()));
/// let shutdown = Shutdown::new();
/// let worker = tokio::spawn(pipeline.consumer().run(shutdown.clone()));
///
/// let post = Post::new("p1", PostKind::Question, "스페인어를 배우고 싶습니다.");
/// pipeline.submit(post, 1, None).await?;
/// while store.get("p1").await?.is_none_or(|record| record.state == TaskState::Pending) {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(store.get("p1").await?.unwrap().tasks[0].title, "스페인어를 배우기");
///
/// shutdown.trigger();
/// worker.await.unwrap()?;
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct TaskPipeline {
    bus: Arc<dyn EventBus>,
    store: Arc<dyn TaskStore>,
    extractor: Arc<dyn ExtractTasks>,
    max_attempts: u32,
    patience: Duration,
    /// The changes whose call came to no end, shared by all clones.
    owed: Arc<Owed>,
}

impl TaskPipeline {
    /// The topic on which posts arrive: key is the post's id, the payload the post.
    pub const POSTS: &str = "posts";
    /// The topic on which [`TaskEvent`]s are published: key is the post's id.
    pub const TASKS: &str = "tasks";
    /// The group under which the pipeline reads.
    pub const GROUP: &str = "task-extraction";

    /// Makes a pipeline with five attempts for a post, and a day's patience with a model that is down.
    pub fn new(bus: Arc<dyn EventBus>, store: Arc<dyn TaskStore>, extractor: Arc<dyn ExtractTasks>) -> Self {
        let patience = Duration::from_hours(24);
        Self { bus, store, extractor, max_attempts: 5, patience, owed: Arc::default() }
    }

    /// Sets after how many attempts a post has failed (at least 1).
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets how long after its event a post is tried again without an attempt being counted where the model is at fault
    /// (default a day): it could not be reached, did not answer in time, turned the call away, or does not know the caller,
    /// and the attempt used no tokens. Afterwards such attempts count as all others do.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes the consumer that works through the posts; set its lanes and its pauses, then run it.
    ///
    /// It puts an event aside only if that is about no post. How often the tasks of a post are tried is counted in the
    /// store, so that a post that ends the process every time is recorded as failed by an attempt that does not touch it.
    pub fn consumer(&self) -> Consumer {
        Consumer::new(Arc::clone(&self.bus), Subscription::new(Self::GROUP, [Self::POSTS]), self.clone())
            .with_max_attempts(u32::MAX)
    }

    /// Accepts a new or changed post: once this returns, it is neither lost nor worked on twice.
    ///
    /// `version` is the post's own count of changes, from 1. The event's id derives from post and version, so that a
    /// submission that is repeated changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` if the store has a later version, or another text or a deletion under this one. Otherwise those of store
    /// and bus; the post may then be accepted or not, and can be submitted again. The same holds of a call that is dropped
    /// before its end. If the post stands in the store then, or comes to stand there, [`keep_recovering`](Self::keep_recovering)
    /// publishes it.
    pub async fn submit(&self, post: Post, version: u64, actor: Option<Actor>) -> Result<EventId> {
        let event = Self::accepted(&post, version, 0)?;
        event.check()?;
        let mut record = TaskRecord::pending(post.clone(), version, 0, event.id);
        let earlier = if version > 1 { self.store.get(&post.id).await? } else { None };
        record.posted_at = TaskRecord::post_since(earlier.as_ref(), SystemClock.now());
        let debt = self.owed.debt(&post.id, version, 0);
        let standing = self.store.put(record).await?;
        if standing.version != version || standing.post.as_ref() != Some(&post) {
            debt.paid();
            return Err(late(&standing, version));
        }
        self.publish(event, actor, debt).await
    }

    /// Accepts that a post was deleted: once this returns, its text and tasks are gone from the store.
    ///
    /// `version` must be above that of the post, and may be repeated.
    ///
    /// # Errors
    ///
    /// `Conflict` if the store has a later version, or a text under this one; otherwise as with [`submit`](Self::submit).
    pub async fn withdraw(&self, post_id: &str, version: u64, actor: Option<Actor>) -> Result<EventId> {
        let event = Self::event(post_id, State::Deleted, version, 0);
        event.check()?;
        let debt = self.owed.debt(post_id, version, 0);
        let standing = self.store.put(TaskRecord::withdrawing(post_id, version, event.id)).await?;
        if standing.version != version || !standing.state.is_deleted() {
            debt.paid();
            return Err(late(&standing, version));
        }
        self.publish(event, actor, debt).await
    }

    /// Begins the extraction of a failed post anew.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such post, `Conflict` if it has not failed or was changed meanwhile, and those of store
    /// and bus.
    pub async fn retry(&self, post_id: &str, actor: Option<Actor>) -> Result<EventId> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("there is no post {post_id}"));
        let record = self.store.get(post_id).await?.ok_or_else(unknown)?;
        let (TaskState::Failed, Some(post)) = (record.state, record.post) else {
            return Err(Error::new(ErrorKind::Conflict, format!("post {post_id} has not failed")));
        };
        let round = record.round.saturating_add(1);
        let event = Self::event(post_id, State::Updated, record.version, round).with_payload(&post)?;
        let mut begun = TaskRecord::pending(post, record.version, round, event.id);
        (begun.usage, begun.posted_at) = (record.usage, record.posted_at);
        let debt = self.owed.debt(post_id, record.version, round);
        let standing = self.store.put(begun).await?;
        if (standing.version, standing.round) != (record.version, round) {
            debt.paid();
            return Err(late(&standing, record.version));
        }
        self.publish(event, actor, debt).await
    }

    /// The event of a post that was accepted.
    fn accepted(post: &Post, version: u64, round: u32) -> Result<Envelope> {
        let state = if version <= 1 { State::Created } else { State::Updated };
        Self::event(&post.id, state, version, round).with_payload(post)
    }

    fn event(post_id: &str, state: State, version: u64, round: u32) -> Envelope {
        let event = Envelope::new(Self::POSTS, post_id, state, version);
        let what = if state == State::Deleted { "deleted" } else { "post" };
        let event =
            event.with_id(EventId::named("pumasi-posts", &format!("{what}/{version}/{round}/{post_id}")));
        if round == 0 { event } else { event.with_header(ROUND, round.to_string()) }
    }

    async fn publish(&self, mut event: Envelope, actor: Option<Actor>, debt: Debt<'_>) -> Result<EventId> {
        event.actor = actor;
        self.bus.publish(std::slice::from_ref(&event)).await?;
        debt.paid();
        Ok(event.id)
    }

    /// Publishes what stands in the store about `event`'s post.
    async fn announce(&self, event: &Envelope, record: &TaskRecord) -> Result<()> {
        let (name, state, outcome) = match record.state {
            TaskState::Pending | TaskState::Withdrawing => return Ok(()),
            TaskState::Extracted => {
                let extractor = record.extractor.clone().unwrap_or_default();
                (
                    "tasks-extracted",
                    State::Updated,
                    TaskEvent::TasksExtracted { tasks: record.tasks.clone(), extractor },
                )
            }
            TaskState::Withdrawn => ("tasks-withdrawn", State::Deleted, TaskEvent::TasksWithdrawn),
            TaskState::Failed => {
                let Some(failure) = record.failure.clone() else { return Ok(()) };
                ("extraction-failed", State::Updated, TaskEvent::ExtractionFailed { failure })
            }
        };
        let outcome = Envelope::new(Self::TASKS, &record.post_id, state, record.version)
            .caused_by(event, name)
            .with_payload(&outcome)?;
        self.bus.publish(&[outcome]).await.map(|_| ()).map_err(later)
    }

    /// Looks for the tasks in an attempt that is counted already.
    async fn extract(&self, event: &Envelope, mut record: TaskRecord) -> Result<TaskRecord> {
        let Some(post) = &record.post else { return Ok(record) };
        let is_last = record.counted() >= self.max_attempts;
        let found = match AssertUnwindSafe(self.extractor.extract_tasks(post)).catch_unwind().await {
            Ok(found) => found,
            Err(_) if !is_last => {
                return Err(Error::new(ErrorKind::Other, "the extractor panicked").with_retry(Retry::Now));
            }
            Err(_) => {
                failed(&mut record, "panic", None);
                return Ok(record);
            }
        };
        let error = match found.map(|found| (found.incomplete, found)) {
            // tasks are known to be missing: to announce the rest as the post's would settle that
            Ok((Some(reason), found)) if !found.is_final() => {
                ExtractError::new(reason, "some tasks could not be asked about to the end")
                    .with_attempts(found.attempts)
            }
            Ok((_, found)) => {
                succeeded(&mut record, found);
                return Ok(record);
            }
            Err(error) => error,
        };
        let is_spared = is_of_the_model(&error) && self.has_patience(event);
        if !is_spared && (is_last || !error.retry().is_retryable()) {
            failed(&mut record, error.kind().as_str(), Some(&error));
            return Ok(record);
        }
        record.usage += error.usage();
        record.spared += u32::from(is_spared);
        // A store that fails here costs no more than the count of tokens, or one attempt.
        if let Err(error) = self.store.put(record).await {
            tracing::warn!(%error, "what an attempt used could not be written down");
        }
        Err(again(&error))
    }

    fn has_patience(&self, event: &Envelope) -> bool {
        let waited = SystemClock.now().as_micros().saturating_sub(event.occurred_at.as_micros());
        u128::try_from(waited.max(0)).is_ok_and(|waited| waited < self.patience.as_micros())
    }
}

impl fmt::Debug for TaskPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskPipeline")
            .field("bus", &self.bus)
            .field("store", &self.store)
            .field("extractor", &self.extractor.version())
            .field("max_attempts", &self.max_attempts)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Handler for TaskPipeline {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &*delivery.event;
        let round = event.headers.get(ROUND).and_then(|round| round.parse().ok()).unwrap_or(0);
        let (mut attempts, mut spared, mut hand_out, mut usage) = (0, 0, 0, Usage::default());
        let standing = self.store.get(&event.key).await.map_err(later)?;
        let posted_at = TaskRecord::post_since(standing.as_ref(), event.occurred_at);
        if let Some(standing) = standing {
            let (seen, known) = ((event.version, round), (standing.version, standing.round));
            if seen < known {
                return Ok(()); // a later version or round is there: this one is stale
            }
            if seen == known && standing.state.is_settled() {
                return self.announce(event, &standing).await; // done before, perhaps not announced
            }
            if seen == known {
                (attempts, spared) = (standing.attempts, standing.spared);
                (hand_out, usage) = (standing.hand_out, standing.usage);
            }
        }
        let record = if event.state == State::Deleted {
            TaskRecord::withdrawn(&event.key, event.version, event.id)
        } else {
            let mut record = TaskRecord::pending(post_of(event)?, event.version, round, event.id);
            record.posted_at = posted_at;
            (record.attempts, record.spared) = (attempts, spared);
            (record.hand_out, record.usage) = (hand_out, usage);
            if delivery.attempt <= hand_out {
                self.extract(event, record).await? // the attempt that a stop of the service broke off
            } else if record.counted() >= self.max_attempts {
                failed(&mut record, "attempts", None);
                record
            } else {
                (record.attempts, record.hand_out) = (attempts + 1, delivery.attempt);
                let standing = self.store.put(record.clone()).await.map_err(later)?;
                if (standing.version, standing.round) != (record.version, record.round) {
                    return Ok(()); // overtaken before it began
                }
                if standing.state.is_settled() {
                    return self.announce(event, &standing).await; // another worker was faster
                }
                self.extract(event, record).await?
            }
        };
        let mine = (record.version, record.round);
        let standing = self.store.put(record).await.map_err(later)?;
        if (standing.version, standing.round) != mine {
            return Ok(()); // overtaken while at work
        }
        metrics::counter!("pumasi_task_posts_total", "outcome" => standing.state.as_str()).increment(1);
        self.announce(event, &standing).await
    }
}

fn post_of(event: &Envelope) -> Result<Post> {
    let post: Post = event.payload()?;
    if post.id != event.key {
        let message = format!("event {} carries another post's text", event.id);
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(post)
}

fn succeeded(record: &mut TaskRecord, found: Extraction<Vec<Task>>) {
    record.state = TaskState::Extracted;
    record.usage += found.usage;
    record.extractor = Some(found.version);
    record.tasks = found.value;
}

fn failed(record: &mut TaskRecord, reason: &str, error: Option<&ExtractError>) {
    record.state = TaskState::Failed;
    record.usage += error.map(ExtractError::usage).unwrap_or_default();
    record.failure = Some(TaskFailure {
        reason: reason.to_owned(),
        message: error.map(ExtractError::explanation),
        attempts: record.attempts,
        calls: error.map_or(0, |error| {
            let calls = error.attempts().iter().filter(|attempt| attempt.is_call()).count();
            u32::try_from(calls).unwrap_or(u32::MAX)
        }),
        retry: error.map(|error| error.retry().to_string()),
        usage: record.usage,
    });
}

fn late(standing: &TaskRecord, version: u64) -> Error {
    let message = format!(
        "version {} of post {} stands ({}); version {version} came late",
        standing.version,
        standing.post_id,
        standing.state.as_str()
    );
    Error::new(ErrorKind::Conflict, message)
}

/// A store or a bus that fails, even for good as long as nobody mends it, is not the post's fault: the event comes back.
fn later(error: Error) -> Error {
    let of_the_event = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported);
    if of_the_event || error.retry().is_retryable() {
        return error;
    }
    error.with_retry(Retry::After(Duration::from_secs(30)))
}

/// Tells whether it was the model's side that failed, before it cost anything: the same post may go through when that is
/// mended.
fn is_of_the_model(error: &ExtractError) -> bool {
    use ExtractErrorKind::{Overloaded, RateLimited, Timeout, Unauthorized, Unavailable};
    matches!(error.kind(), Timeout | RateLimited | Unavailable | Overloaded | Unauthorized)
        && error.usage().total_tokens() == 0
}

/// The bus's view of a failed attempt: its kind and when to come back, nothing of its text.
fn again(error: &ExtractError) -> Error {
    let retry = if error.retry().is_retryable() { error.retry() } else { Retry::Now };
    Error::new(ErrorKind::Other, format!("the extraction failed ({})", error.kind())).with_retry(retry)
}

#[cfg(test)]
mod tests;
