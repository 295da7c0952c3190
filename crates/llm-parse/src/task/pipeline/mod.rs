//! Posts in, tasks out, over events: nothing lost, nothing doubled.
//!
//! # Why nothing is lost or doubled
//!
//! For each event about a post the handler does, in this order: (1) find the tasks, (2) put them into the store under
//! the post's version, (3) publish the outcome under an id derived from the event, (4) acknowledge. A process that is
//! killed
//!
//! - before 2, leaves nothing behind: the event comes back, and the model is asked again;
//! - between 2 and 3, comes back to a stored result, asks no model, and publishes;
//! - between 3 and 4, comes back, publishes the same id, and the bus drops the double.
//!
//! Two workers on one event (a lease that ran out) agree, because the store keeps the first result of a version and both
//! publish what stands. What the store has of a later version makes an event stale: it is acknowledged and nothing else.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use pumasi_core::event::{
    Actor, Consumer, Delivery, Envelope, EventBus, EventId, Handler, State, Subscription,
};
use pumasi_core::{Error, ErrorKind, Result, Retry};
use serde::{Deserialize, Serialize};

pub use memory::MemoryTaskStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteTaskStore;
pub use store::{TaskFailure, TaskQuery, TaskRecord, TaskState, TaskStore};

use super::{ExtractTasks, Post, Task};
use crate::extract::{ExtractError, Extraction};

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
}

impl TaskPipeline {
    /// The topic on which posts arrive: key is the post's id, the payload the post.
    pub const POSTS: &str = "posts";
    /// The topic on which [`TaskEvent`]s are published: key is the post's id.
    pub const TASKS: &str = "tasks";
    /// The group under which the pipeline reads.
    pub const GROUP: &str = "task-extraction";

    /// Makes a pipeline with five attempts for a post.
    pub fn new(bus: Arc<dyn EventBus>, store: Arc<dyn TaskStore>, extractor: Arc<dyn ExtractTasks>) -> Self {
        Self { bus, store, extractor, max_attempts: 5 }
    }

    /// Sets after how many attempts a post has failed (at least 1).
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Makes the consumer that works through the posts; set its lanes and limits, then run it.
    ///
    /// It has one attempt more than the pipeline: a post that ends the process every time is then recorded as failed by
    /// an attempt that does not touch it.
    pub fn consumer(&self) -> Consumer {
        Consumer::new(Arc::clone(&self.bus), Subscription::new(Self::GROUP, [Self::POSTS]), self.clone())
            .with_max_attempts(self.max_attempts.saturating_add(1))
    }

    /// Accepts a new or changed post: once this returns, it is neither lost nor worked on twice.
    ///
    /// `version` is the post's own count of changes, from 1. The event's id derives from post and version, so that a
    /// submission that is repeated changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` if the store has a later version, or another text under this one. Otherwise those of store and bus; the
    /// post may then be accepted or not, and can be submitted again.
    pub async fn submit(&self, post: Post, version: u64, actor: Option<Actor>) -> Result<EventId> {
        let state = if version <= 1 { State::Created } else { State::Updated };
        let event = Self::event(&post.id, state, version, 0).with_payload(&post)?;
        event.check()?;
        let standing = self.store.put(TaskRecord::pending(post.clone(), version, 0, event.id)).await?;
        if standing.version != version || standing.post.as_ref() != Some(&post) {
            let message = format!(
                "version {} of post {} stands; version {version} came late",
                standing.version, post.id
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.publish(event, actor).await
    }

    /// Accepts that a post was deleted; `version` must be above that of the post.
    ///
    /// # Errors
    ///
    /// Those of the bus.
    pub async fn withdraw(&self, post_id: &str, version: u64, actor: Option<Actor>) -> Result<EventId> {
        let event = Self::event(post_id, State::Deleted, version, 0);
        event.check()?;
        self.publish(event, actor).await
    }

    /// Begins the extraction of a failed post anew.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such post, `Conflict` if it has not failed, and those of store and bus.
    pub async fn retry(&self, post_id: &str, actor: Option<Actor>) -> Result<EventId> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("there is no post {post_id}"));
        let record = self.store.get(post_id).await?.ok_or_else(unknown)?;
        let (TaskState::Failed, Some(post)) = (record.state, record.post) else {
            return Err(Error::new(ErrorKind::Conflict, format!("post {post_id} has not failed")));
        };
        let round = record.round.saturating_add(1);
        let event = Self::event(post_id, State::Updated, record.version, round).with_payload(&post)?;
        self.store.put(TaskRecord::pending(post, record.version, round, event.id)).await?;
        self.publish(event, actor).await
    }

    /// Publishes once more whatever is pending in the store; for the start of a service that was killed between storing
    /// and publishing. The bus drops what it already has. Returns how many posts were pending.
    ///
    /// # Errors
    ///
    /// Those of store and bus.
    pub async fn recover(&self) -> Result<usize> {
        let mut count = 0;
        let mut query = TaskQuery::in_state(TaskState::Pending);
        loop {
            let page = self.store.list(&query).await?;
            let Some(last) = page.last() else { return Ok(count) };
            query = TaskQuery::in_state(TaskState::Pending).after(last.post_id.clone());
            for record in page {
                let Some(post) = &record.post else { continue };
                let state = if record.version <= 1 { State::Created } else { State::Updated };
                let event =
                    Self::event(&record.post_id, state, record.version, record.round).with_payload(post)?;
                self.publish(event, None).await?;
                count += 1;
            }
        }
    }

    fn event(post_id: &str, state: State, version: u64, round: u32) -> Envelope {
        let event = Envelope::new(Self::POSTS, post_id, state, version);
        let what = if state == State::Deleted { "deleted" } else { "post" };
        let event =
            event.with_id(EventId::named("pumasi-posts", &format!("{what}/{version}/{round}/{post_id}")));
        if round == 0 { event } else { event.with_header(ROUND, round.to_string()) }
    }

    async fn publish(&self, mut event: Envelope, actor: Option<Actor>) -> Result<EventId> {
        event.actor = actor;
        self.bus.publish(std::slice::from_ref(&event)).await?;
        Ok(event.id)
    }

    /// Publishes what stands in the store about `event`'s post.
    async fn announce(&self, event: &Envelope, record: &TaskRecord) -> Result<()> {
        let (name, state, outcome) = match record.state {
            TaskState::Pending => return Ok(()),
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
        self.bus.publish(&[outcome]).await?;
        Ok(())
    }

    async fn extract(&self, event: &Envelope, attempt: u32, round: u32) -> Result<TaskRecord> {
        let post: Post = event.payload()?;
        if post.id != event.key {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("event {} carries another post's text", event.id),
            ));
        }
        let mut record = TaskRecord::pending(post, event.version, round, event.id);
        if attempt > self.max_attempts {
            record.state = TaskState::Failed;
            record.failure = Some(TaskFailure {
                reason: "attempts".to_owned(),
                message: None,
                attempts: self.max_attempts,
                calls: 0,
                retry: None,
                usage: record.usage,
            });
            return Ok(record);
        }
        let Some(post) = &record.post else { return Ok(record) };
        match AssertUnwindSafe(self.extractor.extract_tasks(post)).catch_unwind().await {
            Ok(Ok(found)) => succeeded(&mut record, found),
            Ok(Err(error)) if error.retry().is_retryable() && attempt < self.max_attempts => {
                return Err(again(&error));
            }
            Ok(Err(error)) => failed(&mut record, error.kind().as_str(), attempt, Some(&error)),
            Err(_) if attempt < self.max_attempts => {
                return Err(Error::new(ErrorKind::Other, "the extractor panicked").with_retry(Retry::Now));
            }
            Err(_) => failed(&mut record, "panic", attempt, None),
        }
        Ok(record)
    }
}

impl fmt::Debug for TaskPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskPipeline")
            .field("bus", &self.bus)
            .field("store", &self.store)
            .field("extractor", &self.extractor.version())
            .field("max_attempts", &self.max_attempts)
            .finish()
    }
}

#[async_trait]
impl Handler for TaskPipeline {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &*delivery.event;
        let round = event.headers.get(ROUND).and_then(|round| round.parse().ok()).unwrap_or(0);
        if let Some(standing) = self.store.get(&event.key).await? {
            let (seen, known) = ((event.version, round), (standing.version, standing.round));
            if seen < known {
                return Ok(()); // a later version or round is there: this one is stale
            }
            if seen == known && standing.state != TaskState::Pending {
                return self.announce(event, &standing).await; // done before, perhaps not announced
            }
        }
        let record = if event.state == State::Deleted {
            TaskRecord::withdrawn(&event.key, event.version, event.id)
        } else {
            self.extract(event, delivery.attempt, round).await?
        };
        let mine = (record.version, record.round);
        let standing = self.store.put(record).await?;
        if (standing.version, standing.round) != mine {
            return Ok(()); // overtaken while at work
        }
        metrics::counter!("pumasi_task_posts_total", "outcome" => standing.state.as_str()).increment(1);
        self.announce(event, &standing).await
    }
}

fn succeeded(record: &mut TaskRecord, found: Extraction<Vec<Task>>) {
    record.state = TaskState::Extracted;
    record.usage = found.usage;
    record.extractor = Some(found.version);
    record.tasks = found.value;
}

fn failed(record: &mut TaskRecord, reason: &str, attempts: u32, error: Option<&ExtractError>) {
    let usage = error.map(ExtractError::usage).unwrap_or_default();
    record.state = TaskState::Failed;
    record.usage = usage;
    record.failure = Some(TaskFailure {
        reason: reason.to_owned(),
        message: error.map(ExtractError::explanation),
        attempts,
        calls: error.map_or(0, |error| {
            let calls = error.attempts().iter().filter(|attempt| attempt.is_call()).count();
            u32::try_from(calls).unwrap_or(u32::MAX)
        }),
        retry: error.map(|error| error.retry().to_string()),
        usage,
    });
}

/// The bus's view of a failed attempt: its kind and when to come back, nothing of its text.
fn again(error: &ExtractError) -> Error {
    Error::new(ErrorKind::Other, format!("the extraction failed ({})", error.kind()))
        .with_retry(error.retry())
}

#[cfg(test)]
mod tests;
