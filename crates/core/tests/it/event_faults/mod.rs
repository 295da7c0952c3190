//! The SQLite bus while its processes are killed, its disk is full, its file is damaged and its clock jumps.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

mod child;
#[cfg(target_os = "linux")]
mod disk;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{EventBus, Page, SqliteBus, Subscription};
use sqlx::{Connection, Row, SqliteConnection};

const ENTRY: &str = "event_faults::plays_its_part_as_a_child";

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the fault tests with a part"]
fn plays_its_part_as_a_child() {
    if let Some(part) = Part::given() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(child::play(&part.role, &part.folder));
    }
}

/// Waits until `done` says so.
#[cfg(target_os = "linux")]
async fn within<F: Future<Output = bool>>(limit: Duration, what: &str, done: impl Fn() -> F) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Key and version of an event.
type Name = (String, u64);

#[test]
fn nothing_acknowledged_is_lost_and_no_effect_doubled_when_two_processes_are_killed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let kills = kills(20);
    let begun = Instant::now();
    let mut crew = Crew::new(ENTRY, folder.path());
    crew.start("worker-0").unwrap();
    crew.start("worker-1").unwrap();
    crew.kill_at_random(kills, Duration::from_millis(30)..Duration::from_millis(600)).unwrap();
    // A busy machine starts them slowly; they go on until enough has happened to tell anything.
    let acknowledged =
        || (0..2).map(|worker| child::acknowledged(folder.path(), worker).len()).sum::<usize>();
    let patience = Instant::now();
    while acknowledged() <= kills as usize && patience.elapsed() < Duration::from_mins(1) {
        crew.check().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    crew.kill_all().unwrap();
    crew.finish("finisher", Duration::from_mins(2)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check(folder.path(), kills, begun));
}

async fn check(folder: &Path, kills: u32, begun: Instant) {
    let mut effects = SqliteConnection::connect(child::url(folder).as_str()).await.unwrap();
    let rows = sqlx::query("SELECT key, version, runs FROM effect ORDER BY n")
        .fetch_all(&mut effects)
        .await
        .unwrap();
    let mut order: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut done: BTreeSet<Name> = BTreeSet::new();
    let mut repeated = 0;
    for row in &rows {
        let (key, version): (String, u64) = (row.get(0), row.get::<i64, _>(1).try_into().unwrap());
        repeated += row.get::<i64, _>(2) - 1;
        order.entry(key.clone()).or_default().push(version);
        assert!(done.insert((key, version)), "an effect is there twice");
    }
    for (key, versions) in &order {
        assert!(versions.is_sorted(), "the order of {key} was not kept: {versions:?}");
    }
    let bus = SqliteBus::open(folder.join("events.db")).await.unwrap();
    bus.verify().await.unwrap();
    let page = Page { after: 0, limit: NonZeroUsize::new(1_000_000).unwrap() };
    let mut dead = BTreeSet::new();
    for letter in bus.dead_letters(child::GROUP, page).await.unwrap() {
        assert!(child::is_poison(letter.event.version), "put aside without reason: {letter:?}");
        assert_eq!(letter.reason.kind, "invalid_input");
        assert!(dead.insert((letter.event.key, letter.event.version)), "put aside twice");
    }
    let mut acknowledged = 0;
    for worker in 0..2 {
        for (key, version) in child::acknowledged(folder, worker) {
            acknowledged += 1;
            let name = (key, version);
            assert!(done.contains(&name) != dead.contains(&name), "{name:?} was acknowledged and is lost");
        }
    }
    // What was stored and not acknowledged was done as well, without gaps.
    for key in order.keys() {
        let all: Vec<u64> =
            done.union(&dead).filter(|(k, _)| k == key).map(|(_, version)| *version).collect();
        assert!(all.iter().copied().eq(1..=all.len() as u64), "{key} has gaps: {all:?}");
    }
    let violations: i64 =
        sqlx::query("SELECT count(*) FROM violation").fetch_one(&mut effects).await.unwrap().get(0);
    assert_eq!(violations, 0, "events were handed out again after their acknowledgement had been reported");
    let member = bus.subscribe(&Subscription::new(child::GROUP, [child::TOPIC])).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    assert!(acknowledged > u64::from(kills), "too little happened to tell anything: {acknowledged}");
    println!(
        "sqlite bus: {kills} processes killed, {acknowledged} events acknowledged, {} effects, {} dead letters, \
         {repeated} attempts repeated after their effect; 0 lost, 0 doubled, order kept ({:.1} s)",
        done.len(),
        dead.len(),
        begun.elapsed().as_secs_f64(),
    );
}
