//! Workers are killed, and what they acknowledged is there, once, in order.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use pumasi_core::conformance::process::{Crew, kills};
use pumasi_core::event::Outcome;
use pumasi_saga::capacity::{CapacityStore, Ticket};
use pumasi_saga::store::{Query, SagaId, SagaStore, Status};

use crate::child::{LAST, LEASE, PLACES, open_sqlite};

/// Kills workers until enough of them died, lets a finisher end what was begun, and checks the books.
fn kill_and_finish(crew: Crew, folder: &Path, kills: u32) {
    let mut crew = crew;
    for role in ["worker-0", "worker-1"] {
        crew.start(role).unwrap();
    }
    crew.kill_at_random(kills, Duration::from_millis(80)..Duration::from_millis(500)).unwrap();
    until_enough(&mut crew, folder);
    crew.kill_all().unwrap();
    crew.finish("finisher", Duration::from_mins(4)).unwrap();
}

/// Waits until something was acknowledged: a busy machine starts the workers slowly.
fn until_enough(crew: &mut Crew, folder: &Path) {
    let begun = Instant::now();
    while noted(folder, "commit ") < 50 && begun.elapsed() < Duration::from_mins(1) {
        crew.check().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops workers (SIGSTOP) for longer than their lease while the other one goes on, wakes them (SIGCONT), and checks the books.
fn stop_and_finish(crew: Crew, folder: &Path, stops: u32) {
    let mut crew = crew;
    let roles = ["worker-0", "worker-1"];
    for role in roles {
        crew.start(role).unwrap();
    }
    until_enough(&mut crew, folder);
    let begun = Instant::now();
    for stop in 0.. {
        // On a busy machine the other one may not have come to what the one that stands still holds.
        let is_enough = noted(folder, "lost ") > 0 || begun.elapsed() > Duration::from_mins(2);
        if stop >= stops && is_enough {
            break;
        }
        let id = crew.id(roles[stop as usize % 2]).unwrap().to_string();
        let signal = |name: &str| {
            let sent = std::process::Command::new("kill").args([name, &id]).status().unwrap();
            assert!(sent.success(), "{name} of {id}: {}", crew.said());
        };
        signal("-STOP");
        std::thread::sleep(LEASE * 3);
        let before = noted(folder, "lost ");
        signal("-CONT");
        // A busy machine takes its time until the zombie writes.
        for _ in 0..50 {
            std::thread::sleep(LEASE / 4);
            if noted(folder, "lost ") > before {
                break;
            }
        }
    }
    crew.kill_all().unwrap();
    crew.finish("finisher", Duration::from_mins(4)).unwrap();
}

/// How often workers have written this down so far.
fn noted(folder: &Path, what: &str) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let acks =
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("acks-")));
    acks.map(|path| std::fs::read_to_string(path).unwrap().matches(what).count()).sum()
}

struct Acks {
    /// Workers stood still past their leases: they were stopped, or the machine was too busy to renew them.
    zombies: bool,
    /// How many commits were refused, because the saga had gone to another worker.
    lost: usize,
    commits: HashMap<(SagaId, u64), u64>,
    tickets: HashMap<SagaId, u64>,
    confirmed: HashMap<SagaId, u64>,
    released: Vec<SagaId>,
}

impl Acks {
    fn read(folder: &Path, zombies: bool) -> Self {
        let mut acks = Self {
            zombies,
            lost: 0,
            commits: HashMap::new(),
            tickets: HashMap::new(),
            confirmed: HashMap::new(),
            released: Vec::new(),
        };
        let mut twice = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            if !file.file_name().to_string_lossy().starts_with("acks-") {
                continue;
            }
            for line in std::fs::read_to_string(file.path()).unwrap().lines() {
                let words: Vec<&str> = line.split(' ').collect();
                let id: SagaId = words[1].parse().unwrap();
                let number: u64 = words[2].parse().unwrap();
                match words[0] {
                    "commit" => {
                        let other = acks.commits.insert((id, number), words[3].parse().unwrap());
                        assert!(other.is_none(), "version {number} of saga {id} was acknowledged twice");
                    }
                    "hold" => {
                        let other = acks.tickets.insert(id, number);
                        twice.extend(other.filter(|other| *other != number).map(|_| id));
                    }
                    "confirm" => drop(acks.confirmed.insert(id, number)),
                    "lost" => acks.lost += 1,
                    "late" => acks.zombies = true,
                    "release" => acks.released.push(id),
                    _ => {}
                }
            }
        }
        // What a zombie asks for outside the store nobody fences.
        assert!(twice.is_empty() || acks.zombies, "{twice:?} were granted two tickets");
        acks
    }
}

async fn check_sagas(store: &dyn SagaStore, acks: &Acks) {
    let mut query = Query::new();
    let mut sagas = Vec::new();
    loop {
        let page = store.query(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        query = query.with_after(last.head.id);
        sagas.extend(page);
    }
    let expected: String = (1..=LAST)
        .map(|version| format!("[{version}:{}]", u8::from(version == 5)))
        .collect::<Vec<_>>()
        .concat();
    let mut taken_over = 0;
    for saga in &sagas {
        let id = saga.head.id;
        assert_eq!(saga.head.status, Status::Completed, "{id}");
        let saga = store.load(id).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(saga.log.clone()).unwrap(), expected, "log of {id}");
        // A zombie may deliver the signal again that the heir has consumed.
        assert!(saga.version == LAST && saga.signals.len() <= usize::from(acks.zombies), "{id}: {saga:?}");
        taken_over += u32::from(saga.epoch > 1);
    }
    let ids: std::collections::HashSet<SagaId> = sagas.iter().map(|saga| saga.head.id).collect();
    for (id, version) in acks.commits.keys() {
        assert!(
            ids.contains(id),
            "version {version} of saga {id} was acknowledged, and there is no such saga"
        );
    }
    assert!(acks.commits.len() > sagas.len(), "nothing was acknowledged");
    assert!(taken_over > 0, "no saga of a killed worker was taken over");

    let mut events: HashMap<String, Vec<u64>> = HashMap::new();
    let outbox = store.outbox();
    loop {
        let limit = NonZeroUsize::MIN.saturating_add(999);
        let claim = outbox.claim(limit, Duration::from_mins(1)).await.unwrap();
        if claim.events.is_empty() {
            break;
        }
        for claimed in &claim.events {
            let event = claimed.event.as_ref().unwrap();
            events.entry(event.key.clone()).or_default().push(event.payload.as_u64().unwrap());
        }
        let outcome = Outcome { relayed: (0..claim.events.len()).collect(), ..Outcome::default() };
        outbox.complete(&claim, &outcome).await.unwrap();
    }
    assert_eq!(events.len(), sagas.len(), "sagas with events");
    for (id, versions) in events {
        assert_eq!(versions, (1..=LAST).collect::<Vec<u64>>(), "events of {id}");
    }
    println!("{} sagas, {} acknowledged commits, {taken_over} taken over", sagas.len(), acks.commits.len());
}

async fn check_places(places: &dyn CapacityStore, acks: &Acks) {
    let holds = places.holds("race", Ticket::ZERO, usize::MAX >> 1).await.unwrap();
    assert!(holds.len() as u64 <= PLACES, "{} places are taken of {PLACES}", holds.len());
    let mut tickets: Vec<u64> = acks.tickets.values().copied().collect();
    tickets.sort_unstable();
    let count = tickets.len();
    tickets.dedup();
    assert_eq!(tickets.len(), count, "a ticket was granted to two");
    for (id, ticket) in &acks.confirmed {
        if !acks.released.contains(id) && id.as_bytes()[0] % 3 != 0 {
            let hold = holds.iter().find(|hold| *hold.holder == *id.to_string());
            assert_eq!(hold.map(|hold| hold.ticket.number()), Some(*ticket), "the place that {id} confirmed");
        }
    }
    assert!(!acks.confirmed.is_empty(), "no place was confirmed");
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

#[test]
fn nothing_acknowledged_is_lost_in_sqlite_when_workers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    kill_and_finish(Crew::new("child::plays_its_part", folder.path()), folder.path(), kills(12));
    block_on(async {
        let acks = Acks::read(folder.path(), false);
        let (store, places) = open_sqlite(folder.path()).await;
        check_sagas(&*store, &acks).await;
        check_places(&*places, &acks).await;
    });
}

#[cfg(feature = "postgres")]
#[test]
fn nothing_acknowledged_is_lost_in_postgres_when_workers_are_killed() {
    use crate::child::POSTGRES;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_saga::capacity::PostgresCapacity;
    use pumasi_saga::store::PostgresStore;

    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let Some(schema) = PostgresSchema::new("killing workers on PostgreSQL").await else { return };
        let crew =
            Crew::new("child::plays_its_part", folder.path()).with_environment(POSTGRES, schema.name());
        let path = folder.path().to_owned();
        tokio::task::spawn_blocking(move || kill_and_finish(crew, &path, kills(12))).await.unwrap();
        let acks = Acks::read(folder.path(), false);
        check_sagas(&PostgresStore::new(schema.pool.clone()), &acks).await;
        check_places(&PostgresCapacity::new(schema.pool.clone()), &acks).await;
    });
}

#[test]
fn a_zombie_is_refused_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    stop_and_finish(Crew::new("child::plays_its_part", folder.path()), folder.path(), stops());
    block_on(async {
        let acks = Acks::read(folder.path(), true);
        assert!(acks.lost > 0, "no zombie tried to write");
        let (store, _) = open_sqlite(folder.path()).await;
        check_sagas(&*store, &acks).await;
    });
}

#[cfg(feature = "postgres")]
#[test]
fn a_zombie_is_refused_by_postgres() {
    use crate::child::POSTGRES;
    use pumasi_core::conformance::PostgresSchema;
    use pumasi_saga::store::PostgresStore;

    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let Some(schema) = PostgresSchema::new("zombies on PostgreSQL").await else { return };
        let crew =
            Crew::new("child::plays_its_part", folder.path()).with_environment(POSTGRES, schema.name());
        let path = folder.path().to_owned();
        tokio::task::spawn_blocking(move || stop_and_finish(crew, &path, stops())).await.unwrap();
        let acks = Acks::read(folder.path(), true);
        assert!(acks.lost > 0, "no zombie tried to write");
        check_sagas(&PostgresStore::new(schema.pool.clone()), &acks).await;
    });
}

/// A stop takes four leases.
fn stops() -> u32 {
    kills(4).min(60)
}
