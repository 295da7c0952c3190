//! The Redis bus while its server is killed, its connections are cut and its processes are killed.
//!
//! The server is the test's own (`appendfsync always`), started from the program `redis-server`. `PUMASI_FAULT_KILLS`
//! sets how many processes are killed (default 20; half as many servers, five times as many cuts).

mod child;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, Part, kills};
use pumasi_core::event::{EventBus, Page, Shutdown};

use self::server::Server;

/// How many events are acknowledged at least.
const ENOUGH: usize = 200;

/// A server of events, one of effects, and two processes that publish and handle.
struct Stage {
    folder: tempfile::TempDir,
    events: Server,
    effects: Server,
    workers: Crew,
    begun: Instant,
}

impl Stage {
    fn set(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let events = Server::start(test, &folder.path().join("events"))?;
        let effects = Server::start(test, &folder.path().join("effects"))?;
        let mut workers = Crew::new("redis_faults::plays_its_part_as_a_child", folder.path())
            .with_environment("PUMASI_FAULT_EVENTS", events.url())
            .with_environment("PUMASI_FAULT_EFFECTS", effects.url());
        for worker in ["0", "1"] {
            workers.start(worker).unwrap();
        }
        Some(Self { folder, events, effects, workers, begun: Instant::now() })
    }

    /// Stops, works off what is left, and checks that nothing is lost, doubled or out of order.
    fn check(mut self, what: &str) {
        self.workers.check().unwrap();
        // A busy machine starts them slowly; they go on until enough has happened to tell anything.
        let acknowledged =
            || (0..2).map(|worker| child::acknowledged(self.folder.path(), worker).len()).sum::<usize>();
        let patience = Instant::now();
        while acknowledged() <= ENOUGH && patience.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::write(self.folder.path().join("enough"), "").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dead = runtime.block_on(self.finish());
        self.workers.kill_all().unwrap();
        let lines: Vec<String> = self.effects.ask(&["LRANGE", "effects", "0", "-1"]);
        let mut order: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut done = BTreeSet::new();
        for line in &lines {
            let (key, version) = child::name(line);
            order.entry(key.clone()).or_default().push(version);
            assert!(done.insert((key, version)), "an effect is there twice");
        }
        for (key, versions) in &order {
            assert!(versions.is_sorted(), "the order of {key} was not kept: {versions:?}");
        }
        let mut acknowledged = 0;
        for worker in 0..2 {
            for name in child::acknowledged(self.folder.path(), worker) {
                acknowledged += 1;
                assert!(
                    done.contains(&name) != dead.contains(&name),
                    "{name:?} was acknowledged and is lost"
                );
            }
        }
        // What was stored and not acknowledged was done as well, without gaps.
        for key in order.keys() {
            let all: BTreeSet<u64> =
                done.union(&dead).filter(|(k, _)| k == key).map(|(_, version)| *version).collect();
            assert!(all.iter().copied().eq(1..=all.len() as u64), "{key} has gaps: {all:?}");
        }
        let violations: Option<u64> = self.effects.ask(&["GET", "violations"]);
        assert_eq!(
            violations, None,
            "events were handed out again after their acknowledgement had been reported"
        );
        assert!(acknowledged > ENOUGH, "too little happened to tell anything: {acknowledged}");
        let doubles: Option<u64> = self.effects.ask(&["GET", "doubles"]);
        println!(
            "redis bus: {what}, {acknowledged} events acknowledged, {} effects, {} dead letters, {} attempts repeated \
             after their effect; 0 lost, 0 doubled, order kept ({:.1} s)",
            done.len(),
            dead.len(),
            doubles.unwrap_or(0),
            self.begun.elapsed().as_secs_f64(),
        );
    }

    /// Joins in until nothing is left, and returns the dead letters.
    async fn finish(&mut self) -> BTreeSet<(String, u64)> {
        let bus = child::open(&self.events.url()).await;
        let shutdown = Shutdown::new();
        let consumer = tokio::spawn(child::consumer(&bus, &self.effects.url()).await.run(shutdown.clone()));
        let member = bus.subscribe(&child::subscription()).await.unwrap();
        // A worker may be in the middle of its last batch.
        tokio::time::sleep(Duration::from_secs(1)).await;
        // However much many kills have left, some of it must go within a minute.
        let (mut left, mut deadline) = (u64::MAX, Instant::now());
        loop {
            let unsettled = member.lag().await.unwrap().unsettled;
            if unsettled == 0 {
                break;
            }
            if unsettled < left {
                (left, deadline) = (unsettled, Instant::now() + Duration::from_mins(1));
            }
            assert!(Instant::now() < deadline, "what was left was not worked off: {left}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        shutdown.trigger();
        consumer.await.unwrap().unwrap();
        let page = Page { after: 0, limit: NonZeroUsize::new(1_000_000).unwrap() };
        let mut dead = BTreeSet::new();
        for letter in bus.dead_letters(child::GROUP, page).await.unwrap() {
            assert!(child::is_poison(letter.event.version), "put aside without reason: {letter:?}");
            assert!(dead.insert((letter.event.key, letter.event.version)), "put aside twice");
        }
        dead
    }
}

/// Not a test: what the [`Crew`]'s processes run.
#[test]
#[ignore = "started by the fault tests with a part"]
fn plays_its_part_as_a_child() {
    let read = |name: &str| std::env::var(format!("PUMASI_FAULT_{name}"));
    if let (Some(part), Ok(events), Ok(effects)) = (Part::given(), read("EVENTS"), read("EFFECTS")) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(child::work(part.role.parse().unwrap(), &part.folder, &events, &effects));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed_under_load() {
    let Some(mut stage) = Stage::set("the Redis bus whose server is killed") else { return };
    let kills = (kills(20) / 2).max(1);
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(fastrand::u64(100..700)));
        stage.events.kill();
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..100)));
        stage.events.restart();
        stage.workers.check().unwrap();
    }
    stage.check(&format!("server killed {kills} times"));
}

#[test]
fn nothing_is_lost_doubled_or_overtaken_when_connections_are_cut() {
    let Some(mut stage) = Stage::set("the Redis bus whose connections are cut") else { return };
    let mut cut = 0_u64;
    for _ in 0..kills(20) * 5 {
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..60)));
        for kind in ["normal", "pubsub"] {
            cut += stage.events.ask::<u64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
        }
    }
    stage.workers.check().unwrap();
    stage.check(&format!("{cut} connections cut"));
}

#[test]
fn nothing_is_lost_doubled_or_overtaken_when_members_are_killed_again_and_again() {
    let Some(mut stage) = Stage::set("the Redis bus whose members are killed") else { return };
    let kills = kills(20);
    stage.workers.kill_at_random(kills, Duration::from_millis(50)..Duration::from_millis(600)).unwrap();
    stage.check(&format!("{kills} processes killed"));
}
