//! The whole way from post to tasks on SQLite, in two processes that are killed again and again.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

mod service;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{Envelope, EventBus, Page, Settlement, SqliteBus, Subscription};
use pumasi_llm_parse::task::{
    RuleTaskExtractor, SqliteTaskStore, TaskEvent, TaskPipeline, TaskState, TaskStore,
};

use service::{Change, POSTS, SERVICES};

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the fault test with a part"]
fn plays_its_part_as_a_child() {
    if let Some(part) = Part::given() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(service::play(&part.role, &part.folder));
    }
}

#[test]
fn every_accepted_post_has_its_tasks_once_when_two_services_are_killed_again_and_again() {
    let kills = kills(20);
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut crew = Crew::new("pipeline_faults::plays_its_part_as_a_child", folder.path());
    for service in 0..SERVICES {
        crew.start(&format!("service-{service}")).unwrap();
    }
    crew.kill_at_random(kills, Duration::from_millis(30)..Duration::from_millis(600)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(enough(folder.path(), kills, &mut crew));
    crew.kill_all().unwrap();
    crew.finish("finisher", Duration::from_mins(2)).unwrap();
    runtime.block_on(check(folder.path(), kills, begun));
}

/// Waits until there is something of everything that is looked at: a busy machine starts the services slowly.
async fn enough(folder: &Path, kills: u32, crew: &mut Crew) {
    let bus = SqliteBus::open(folder.join("events.db")).await.unwrap();
    let (mut extracted, mut failed, mut withdrawn) = (false, false, false);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        for event in published(&bus, "enough").await {
            match event.payload().unwrap() {
                TaskEvent::TasksExtracted { .. } => extracted = true,
                TaskEvent::ExtractionFailed { .. } => failed = true,
                TaskEvent::TasksWithdrawn => withdrawn = true,
                _ => {}
            }
        }
        let accepted: usize = (0..SERVICES).map(|service| service::accepted(folder, service).len()).sum();
        if extracted && failed && withdrawn && accepted > kills as usize {
            return;
        }
        crew.check().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn published(bus: &SqliteBus, group: &str) -> Vec<Envelope> {
    let member = bus.subscribe(&Subscription::new(group, [TaskPipeline::TASKS])).await.unwrap();
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

    let events = published(&bus, "check").await;
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
