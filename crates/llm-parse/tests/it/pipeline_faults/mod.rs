//! The whole way from post to tasks on SQLite, in two processes that are killed again and again.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

mod service;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pumasi_core::event::{Envelope, EventBus, Page, Settlement, SqliteBus, Subscription};
use pumasi_llm_parse::task::{
    RuleTaskExtractor, SqliteTaskStore, TaskEvent, TaskPipeline, TaskState, TaskStore,
};

use service::{Change, POSTS, SERVICES};

/// A process that does not outlive its test.
struct Started(Child);

impl Started {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this test program again as one that plays `role` on the files in `folder`.
fn start(role: &str, folder: &Path) -> Started {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("stderr")).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pipeline_faults::plays_its_role_as_a_child", "--ignored", "--nocapture"])
        .env("PUMASI_FAULT_ROLE", role)
        .env("PUMASI_FAULT_FOLDER", folder)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Started(child.unwrap())
}

/// Not a test: the other end of [`start`].
#[test]
#[ignore = "started by the fault test with a role"]
fn plays_its_role_as_a_child() {
    if let (Ok(role), Ok(folder)) = (std::env::var("PUMASI_FAULT_ROLE"), std::env::var("PUMASI_FAULT_FOLDER"))
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(service::play(&role, Path::new(&folder)));
    }
}

#[test]
fn every_accepted_post_has_its_tasks_once_when_two_services_are_killed_again_and_again() {
    let kills = std::env::var("PUMASI_FAULT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir().unwrap();
    let said = || std::fs::read_to_string(folder.path().join("stderr")).unwrap();
    let begun = Instant::now();
    let mut services: Vec<_> =
        (0..SERVICES).map(|service| start(&format!("service-{service}"), folder.path())).collect();
    let mut seed = std::process::id() | 1;
    for _ in 0..kills {
        // Xorshift (Marsaglia 2003): when and whom to kill need not be the same twice.
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        std::thread::sleep(Duration::from_millis(u64::from(30 + seed % 570)));
        let victim = seed as usize / 1024 % SERVICES;
        let service = services.get_mut(victim).unwrap();
        assert!(service.0.try_wait().unwrap().is_none(), "a service ended by itself: {}", said());
        service.kill();
        *service = start(&format!("service-{victim}"), folder.path());
    }
    services.iter_mut().for_each(Started::kill);
    let mut finisher = start("finisher", folder.path());
    let deadline = Instant::now() + Duration::from_mins(2);
    while finisher.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "what was left was not worked off: {}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(finisher.0.wait().unwrap().success(), "{}", said());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check(folder.path(), kills, begun));
}

async fn published(bus: &SqliteBus) -> Vec<Envelope> {
    let member = bus.subscribe(&Subscription::new("check", [TaskPipeline::TASKS])).await.unwrap();
    let mut all = Vec::new();
    loop {
        let taken = member.fetch(NonZeroUsize::new(100).unwrap(), Duration::ZERO).await.unwrap();
        if taken.is_empty() {
            return all;
        }
        for delivery in taken {
            all.push(Envelope::clone(&delivery.event));
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
}

async fn check(folder: &Path, kills: u32, begun: Instant) {
    let bus = SqliteBus::open(folder.join("events.db")).await.unwrap();
    let store = SqliteTaskStore::open(folder.join("tasks.db")).await.unwrap();
    bus.verify().await.unwrap();
    assert!(bus.dead_letters(TaskPipeline::GROUP, Page::default()).await.unwrap().is_empty());

    let events = published(&bus).await;
    let mut by_post: BTreeMap<&str, Vec<(u64, TaskEvent)>> = BTreeMap::new();
    for event in &events {
        by_post.entry(&event.key).or_default().push((event.version, event.payload().unwrap()));
    }
    let (mut accepted, mut extracted, mut failed, mut withdrawn) = (0, 0, 0, 0);
    for service in 0..SERVICES {
        let versions = service::accepted(folder, service);
        accepted += versions.len();
        for place in 0..POSTS {
            let post_id = service::post_id(service, place);
            let Some(last) = versions.iter().filter(|(post, _)| *post == post_id).map(|(_, v)| *v).max()
            else {
                continue;
            };
            let outcomes = by_post.get(post_id.as_str()).unwrap();
            assert!(
                outcomes.is_sorted_by(|(one, _), (other, _)| one < other),
                "{post_id} was announced twice or out of order"
            );
            // The store knows the last accepted version, or one more whose acceptance a kill kept from being noted.
            let record = store.get(&post_id).await.unwrap().unwrap();
            assert!(record.version == last || record.version == last + 1, "{record:?} after version {last}");
            let (version, outcome) = outcomes.last().unwrap();
            assert_eq!(*version, record.version, "the last version of {post_id} was not announced");
            for (version, outcome) in outcomes {
                let change = service::change(&post_id, *version);
                match (outcome, &change) {
                    (TaskEvent::TasksExtracted { tasks, .. }, Change::Text(post)) => {
                        assert_eq!(
                            *tasks,
                            RuleTaskExtractor::new().tasks(post),
                            "{post_id} version {version}"
                        );
                        assert!(!tasks.is_empty());
                        extracted += 1;
                    }
                    (TaskEvent::ExtractionFailed { failure }, Change::Refused(_)) => {
                        assert_eq!(failure.reason, "refused");
                        failed += 1;
                    }
                    (TaskEvent::TasksWithdrawn, Change::Deleted) => withdrawn += 1,
                    (outcome, _) => panic!("{post_id} version {version} ended as {outcome:?}"),
                }
            }
            match outcome {
                TaskEvent::TasksExtracted { tasks, .. } => {
                    assert_eq!((record.state, &record.tasks), (TaskState::Extracted, tasks));
                }
                TaskEvent::TasksWithdrawn => {
                    assert_eq!(record.state, TaskState::Withdrawn);
                    assert!(
                        record.post.is_none() && record.tasks.is_empty(),
                        "a deleted post leaves nothing"
                    );
                }
                _ => assert_eq!(record.state, TaskState::Failed),
            }
        }
    }
    assert!(accepted > kills as usize && extracted > 0 && failed > 0 && withdrawn > 0, "too little happened");
    println!(
        "pipeline: {kills} services killed, {accepted} changes accepted, {} outcomes announced ({extracted} \
         extracted, {failed} failed, {withdrawn} withdrawn, the rest overtaken); 0 lost, 0 doubled ({:.1} s)",
        events.len(),
        begun.elapsed().as_secs_f64(),
    );
}
