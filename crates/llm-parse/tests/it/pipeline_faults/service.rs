//! The services that are killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{
    Consumer, EventBus, Shutdown, SqliteBus, SqliteBusOptions, Subscriber, Subscription,
};
use pumasi_core::resilience::Backoff;
use pumasi_llm_parse::extract::{ExtractError, ExtractErrorKind, Extraction};
use pumasi_llm_parse::task::{
    ExtractTasks, Post, PostKind, RuleTaskExtractor, SqliteTaskStore, Task, TaskPipeline,
};

pub(super) const SERVICES: usize = 2;
pub(super) const POSTS: usize = 3;

pub(super) fn post_id(service: usize, place: usize) -> String {
    format!("post-{service}-{place}")
}

/// What happens to a post at one of its versions; the same whenever it is asked.
pub(super) enum Change {
    Text(Post),
    /// A text that the model declines.
    Refused(Post),
    Deleted,
}

pub(super) fn change(post_id: &str, version: u64) -> Change {
    let post = |body: String| Post::new(post_id, PostKind::Question, body);
    match version % 6 {
        0 => Change::Deleted,
        4 => Change::Refused(post("REFUSE: 이 글은 거절됩니다.".to_owned())),
        1 | 3 => Change::Text(post(format!("매일 {version}쪽씩 책을 읽고 싶습니다."))),
        _ => Change::Text(post(format!("I want to learn {version} Spanish words every day."))),
    }
}

/// The changes of which a service was told that they are accepted.
pub(super) fn accepted(folder: &Path, service: usize) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(folder.join(format!("accepted-{service}"))).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(post, version)| (post.to_owned(), version.parse().unwrap())).collect()
}

/// A model that takes its time, fails now and then, and declines some texts.
#[derive(Debug, Default)]
struct Moody {
    calls: AtomicU64,
}

#[async_trait]
impl ExtractTasks for Moody {
    fn version(&self) -> &'static str {
        "moody"
    }

    async fn extract_tasks(&self, post: &Post) -> pumasi_llm_parse::extract::Result<Extraction<Vec<Task>>> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(call * 7 % 40)).await;
        if call % 9 == 8 {
            return Err(ExtractError::new(ExtractErrorKind::RateLimited, "not so fast"));
        }
        assert!(call % 31 != 30, "a panic now and then");
        if post.body.starts_with("REFUSE") {
            return Err(ExtractError::new(ExtractErrorKind::Refused, "no"));
        }
        RuleTaskExtractor::new().extract_tasks(post).await
    }
}

fn subscription() -> Subscription {
    Subscription::new(TaskPipeline::GROUP, [TaskPipeline::POSTS]).with_lease(Duration::from_millis(600))
}

pub(super) async fn play(role: &str, folder: &Path) {
    let options = SqliteBusOptions::new(folder.join("events.db")).with_poll(Duration::from_millis(10));
    let bus = options.open().await.unwrap();
    let store = Arc::new(SqliteTaskStore::open(folder.join("tasks.db")).await.unwrap());
    let pipeline =
        TaskPipeline::new(Arc::new(bus.clone()), store, Arc::new(Moody::default())).with_max_attempts(500);
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), subscription(), pipeline.clone())
        .with_max_attempts(u32::MAX)
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)));
    let consumer = tokio::spawn(consumer.run(shutdown.clone()));
    pipeline.recover().await.unwrap();
    if let Some(service) = role.strip_prefix("service-") {
        submit(&pipeline, service.parse().unwrap(), folder).await;
    }
    finish(&bus).await;
    shutdown.trigger();
    consumer.await.unwrap().unwrap();
}

async fn finish(bus: &SqliteBus) {
    let member: Arc<dyn Subscriber> = bus.subscribe(&subscription()).await.unwrap();
    while member.lag().await.unwrap().unsettled > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Creates, changes and deletes posts until it is killed.
async fn submit(pipeline: &TaskPipeline, service: usize, folder: &Path) {
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("accepted-{service}")))
        .unwrap();
    let before = accepted(folder, service);
    let last = |post: &str| before.iter().filter(|(id, _)| id == post).map(|(_, version)| *version).max();
    let mut posts: Vec<(String, u64)> = (0..POSTS)
        .map(|place| post_id(service, place))
        .map(|post| (post.clone(), last(&post).unwrap_or(0)))
        .collect();
    // A line that the last kill cut in two ends here.
    log.write_all(b"\n").unwrap();
    loop {
        for (post, version) in &mut posts {
            *version += 1;
            let done = match change(post, *version) {
                Change::Text(text) | Change::Refused(text) => pipeline.submit(text, *version, None).await,
                Change::Deleted => pipeline.withdraw(post, *version, None).await,
            };
            done.unwrap();
            log.write_all(format!("{post} {version}\n").as_bytes()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
