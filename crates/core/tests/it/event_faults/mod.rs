//! The SQLite bus while its processes are killed, its disk is full, its file is damaged and its clock jumps.
//!
//! `PUMASI_FAULT_KILLS` sets how many processes are killed (default 20, some 10 seconds).

mod child;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pumasi_core::event::{EventBus, Page, SqliteBus, Subscription};
use sqlx::{Connection, Row, SqliteConnection};

fn kills() -> u32 {
    std::env::var("PUMASI_FAULT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

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
    Started(command(role, folder).spawn().unwrap())
}

fn command(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "event_faults::plays_its_role_as_a_child", "--ignored", "--nocapture"])
        .env("PUMASI_FAULT_ROLE", role)
        .env("PUMASI_FAULT_FOLDER", folder)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(std::fs::File::options().create(true).append(true).open(folder.join("stderr")).unwrap());
    command
}

/// Not a test: the other end of [`start`].
#[test]
#[ignore = "started by the fault tests with a role"]
fn plays_its_role_as_a_child() {
    if let (Ok(role), Ok(folder)) = (std::env::var("PUMASI_FAULT_ROLE"), std::env::var("PUMASI_FAULT_FOLDER"))
    {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(child::play(&role, Path::new(&folder)));
    }
}

/// Key and version of an event.
type Name = (String, u64);

#[test]
fn nothing_acknowledged_is_lost_and_no_effect_doubled_when_two_processes_are_killed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let kills = kills();
    let begun = Instant::now();
    let mut workers = [start("worker-0", folder.path()), start("worker-1", folder.path())];
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(fastrand::u64(30..600)));
        let victim = fastrand::usize(0..2);
        let said = || std::fs::read_to_string(folder.path().join("stderr")).unwrap();
        assert!(workers[victim].0.try_wait().unwrap().is_none(), "a worker ended by itself: {}", said());
        workers[victim].kill();
        workers[victim] = start(&format!("worker-{victim}"), folder.path());
    }
    for worker in &mut workers {
        worker.kill();
    }
    let mut finisher = start("finisher", folder.path());
    let deadline = Instant::now() + Duration::from_mins(2);
    let ended = loop {
        if let Some(status) = finisher.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "what was left was not worked off");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(ended.success());
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
