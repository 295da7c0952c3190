//! What happens to posts, told to whoever listens.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::event::{Consumer, Delivery, EventBus, Start, State, Subscription, handler_fn};
use pumasi_llm_parse::extract::{Extraction, Result};
use pumasi_llm_parse::task::{ExtractTasks, Post, Task, TaskEvent, TaskPipeline};
use serde::Serialize;
use tokio::sync::broadcast::Sender;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The post is safe, and waits.
    Accepted,
    /// Its tasks are being looked for; told again with every attempt.
    Started,
    /// Its tasks are known.
    Extracted,
    /// They could not be found.
    Failed,
    /// It was deleted.
    Withdrawn,
    /// News were missed: everything should be asked for anew.
    Missed,
}

impl Stage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Started => "started",
            Self::Extracted => "extracted",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Missed => "missed",
        }
    }
}

/// The data of an event, as JSON. Never a post's text.
#[derive(Clone, Debug, Serialize)]
pub(super) struct News {
    #[serde(skip)]
    pub(super) stage: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// How many tasks were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<usize>,
    /// The kind of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How often the post was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
}

impl News {
    fn of(stage: Stage, post_id: &str) -> Self {
        Self { post_id: Some(post_id.to_owned()), ..Self::empty(stage) }
    }

    const fn empty(stage: Stage) -> Self {
        Self { stage, post_id: None, version: None, tasks: None, reason: None, attempts: None }
    }

    pub(super) const fn missed() -> Self {
        Self::empty(Stage::Missed)
    }

    /// What an event of the bus tells; `None` for a deletion that was accepted, which its outcome follows.
    fn from_event(delivery: &Delivery) -> Option<Self> {
        let event = &delivery.event;
        let news = |stage| Self { version: Some(event.version), ..Self::of(stage, &event.key) };
        if event.topic == TaskPipeline::POSTS {
            return (event.state != State::Deleted).then(|| news(Stage::Accepted));
        }
        Some(match event.payload().ok()? {
            TaskEvent::TasksExtracted { tasks, .. } => {
                Self { tasks: Some(tasks.len()), ..news(Stage::Extracted) }
            }
            TaskEvent::ExtractionFailed { failure } => {
                Self { reason: Some(failure.reason), attempts: Some(failure.attempts), ..news(Stage::Failed) }
            }
            TaskEvent::TasksWithdrawn => news(Stage::Withdrawn),
            _ => return None,
        })
    }
}

/// The group of this process: those that share a bus each hear everything. One that was killed and begins again is the same one, so
/// that it leaves no group behind for which the bus would keep events.
pub(super) fn group(listening: SocketAddr) -> String {
    let told =
        std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    let host: String = told.unwrap_or_default().chars().filter(plain).take(100).collect();
    format!("page-{host}-{}", listening.port())
}

/// Follows the bus.
pub(super) fn watch(bus: Arc<dyn EventBus>, group: String, listeners: Sender<News>) -> Consumer {
    let topics = [TaskPipeline::POSTS, TaskPipeline::TASKS];
    let subscription = Subscription::new(group, topics).with_start(Start::Latest);
    let tell = handler_fn(move |delivery: Delivery| {
        let listeners = listeners.clone();
        async move {
            if let Some(news) = News::from_event(&delivery) {
                // Nobody listening is no error.
                let _ = listeners.send(news);
            }
            Ok(())
        }
    });
    Consumer::new(bus, subscription, tell)
}

/// Tells of every attempt at a post before it makes it.
#[derive(Debug)]
pub(super) struct Told<E> {
    inner: E,
    listeners: Sender<News>,
}

impl<E> Told<E> {
    pub(super) fn new(inner: E, listeners: Sender<News>) -> Self {
        Self { inner, listeners }
    }
}

#[async_trait]
impl<E: ExtractTasks> ExtractTasks for Told<E> {
    fn version(&self) -> &str {
        self.inner.version()
    }

    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>> {
        let _ = self.listeners.send(News::of(Stage::Started, &post.id));
        self.inner.extract_tasks(post).await
    }
}
