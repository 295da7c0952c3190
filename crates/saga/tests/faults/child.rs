//! A worker process: it takes sagas, makes eight commits of each, and writes down what was acknowledged.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pumasi_core::ErrorKind;
use pumasi_core::conformance::process::Part;
use pumasi_core::event::{Envelope, State};
use pumasi_saga::capacity::{Capacity, CapacityStore, SqliteCapacity};
use pumasi_saga::store::{
    Commit, Head, Known, Lease, NewSignal, SagaId, SagaStore, SqliteStore, Status, Stored, WorkerId,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// The file of the URL of a PostgreSQL schema, where the store is not SQLite.
pub(crate) const POSTGRES: &str = "PUMASI_FAULT_POSTGRES";
pub(crate) const SAGA: &str = "registration";
/// How many commits a saga has.
pub(crate) const LAST: u64 = 8;
/// How many places there are.
pub(crate) const PLACES: u64 = 40;
pub(crate) const LEASE: Duration = Duration::from_millis(400);
const HOUR: Duration = Duration::from_hours(1);

/// The key of saga `n` of those that no worker drives.
pub(crate) fn key(n: usize) -> String {
    format!("\"{n}\"")
}

/// A commit of such a saga, the same however often it is made.
pub(crate) fn commit(n: usize, version: u64, worker: WorkerId) -> Commit {
    Commit {
        head: Head {
            id: SagaId::of(SAGA, &key(n)),
            saga: SAGA.into(),
            definition: 1,
            key: key(n).into(),
            status: Status::Running,
            step: format!("단계-{version}").into(),
            due: None,
            reason: None,
        },
        worker,
        lease: if version == 1 { Lease::Take(1) } else { Lease::Held(1) },
        expected: version - 1,
        version,
        token: n as u64 * 100 + version,
        record: format!("[{n}.{version}]").into_bytes(),
        replaces: false,
        holds: true,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}

pub(crate) async fn open_sqlite(folder: &Path) -> (Arc<dyn SagaStore>, Arc<dyn CapacityStore>) {
    let store = SqliteStore::open(folder.join("sagas.db")).await.unwrap();
    let options = SqliteConnectOptions::new()
        .filename(folder.join("places.db"))
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(20))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let places = pumasi_core::database::open_sqlite(SqlitePoolOptions::new(), options).await.unwrap();
    let places = SqliteCapacity::new(places);
    places.migrate().await.unwrap();
    (Arc::new(store), Arc::new(places))
}

pub(crate) async fn open(folder: &Path) -> (Arc<dyn SagaStore>, Arc<dyn CapacityStore>) {
    #[cfg(feature = "postgres")]
    if let Ok(schema) = std::env::var(POSTGRES) {
        use pumasi_core::conformance::Server;
        use pumasi_saga::capacity::PostgresCapacity;
        use pumasi_saga::store::PostgresStore;
        use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

        let options: PgConnectOptions = Server::Postgres.url("a worker").unwrap().parse().unwrap();
        let options = options.options([("search_path", schema.as_str())]);
        let pool = PgPoolOptions::new().max_connections(6).connect_lazy_with(options);
        let (store, places) = (PostgresStore::new(pool.clone()), PostgresCapacity::new(pool));
        store.migrate().await.unwrap();
        places.migrate().await.unwrap();
        return (Arc::new(store), Arc::new(places));
    }
    open_sqlite(folder).await
}

struct Worker {
    store: Arc<dyn SagaStore>,
    places: Capacity,
    id: WorkerId,
    acks: Mutex<File>,
}

impl Worker {
    /// Writes down what was acknowledged; one write, so that a kill does not tear it.
    fn ack(&self, line: &str) {
        self.acks.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Repeats a commit until its fate is known; `false` if the saga is somebody else's.
    async fn commit(&self, commit: &Commit) -> bool {
        loop {
            match self.store.commit(vec![commit.clone()]).await.pop().unwrap() {
                Ok(_) => {
                    let (head, version) = (&commit.head, commit.version);
                    self.ack(&format!("commit {} {version} {}\n", head.id, commit.token));
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Conflict && !error.retry().is_retryable() => {
                    self.ack(&format!("lost {} {}\n", commit.head.id, commit.version));
                    return false;
                }
                Err(error) if error.retry().is_retryable() => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("a commit failed: {error:?}"),
            }
        }
    }

    /// What a saga does beside its commits, before the one of this version; whatever is repeated must be safe.
    async fn effect(&self, id: SagaId, version: u64) {
        while let Err(error) = self.try_effect(id, version).await {
            assert!(error.retry().is_retryable(), "an effect failed: {error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_effect(&self, id: SagaId, version: u64) -> pumasi_saga::Result<()> {
        let holder = id.to_string();
        match version {
            2 => self.places.hold(holder, HOUR).await.map(|hold| match hold {
                Some(hold) => self.ack(&format!("hold {id} {}\n", hold.ticket)),
                None => self.ack(&format!("full {id} 0\n")),
            }),
            3 => match self.places.confirm(holder).await {
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                confirmed => confirmed.map(|hold| self.ack(&format!("confirm {id} {}\n", hold.ticket))),
            },
            // Every third gives its place back.
            6 if id.as_bytes()[0].is_multiple_of(3) => {
                self.places.release(holder).await.map(|_| self.ack(&format!("release {id} 0\n")))
            }
            5 => {
                let signal =
                    NewSignal { saga: id, name: "paid".into(), id: "p".into(), payload: b"{}".to_vec() };
                self.store.deliver(signal).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn drive(&self, mut saga: Stored) {
        for version in saga.version + 1..=LAST {
            self.effect(saga.head.id, version).await;
            let consumed = if version == 5 {
                // The signal may have come before a crash, and its number is the store's.
                let Ok(Some(now)) = self.store.load(saga.head.id).await else { return };
                now.signals.iter().map(|signal| signal.seq).collect()
            } else {
                Vec::new()
            };
            let record = format!("[{version}:{}]", consumed.len());
            let commit = self.next(&saga, version, consumed, record.into_bytes());
            if !self.commit(&commit).await {
                return;
            }
            saga.head = commit.head;
        }
    }

    fn next(&self, saga: &Stored, version: u64, consumed: Vec<u64>, record: Vec<u8>) -> Commit {
        let last = version == LAST;
        let mut event = Envelope::new("registrations", saga.head.id.to_string(), State::Updated, version);
        event.payload = version.into();
        Commit {
            head: Head {
                status: if last { Status::Completed } else { Status::Running },
                step: format!("step-{version}").into(),
                ..saga.head.clone()
            },
            worker: self.id,
            lease: Lease::Held(saga.epoch),
            expected: version - 1,
            version,
            token: fastrand::u64(..),
            record,
            replaces: false,
            holds: !last,
            forgets: false,
            consumed,
            events: vec![event],
        }
    }

    async fn create(&self, key: String) -> Option<Stored> {
        let id = SagaId::of(SAGA, &key);
        let mut event = Envelope::new("registrations", id.to_string(), State::Created, 1);
        event.payload = 1.into();
        let head = Head {
            id,
            saga: SAGA.into(),
            definition: 1,
            key: key.into(),
            status: Status::Running,
            step: "step-1".into(),
            due: None,
            reason: None,
        };
        let commit = Commit {
            head,
            worker: self.id,
            lease: Lease::Take(1),
            expected: 0,
            version: 1,
            token: fastrand::u64(..),
            record: b"[1:0]".to_vec(),
            replaces: false,
            holds: true,
            forgets: false,
            consumed: Vec::new(),
            events: vec![event],
        };
        if !self.commit(&commit).await {
            return None;
        }
        self.store.load(id).await.ok().flatten()
    }
}

/// Plays a part: `worker-…` goes on until it is killed, `finisher` until nothing is left to do.
#[test]
#[ignore = "started by the fault tests with a part"]
fn plays_its_part() {
    let Some(part) = Part::given() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, places) = open(&part.folder).await;
        let acks = part.folder.join(format!("acks-{}", std::process::id()));
        let acks = Mutex::new(File::options().create(true).append(true).open(acks).unwrap());
        let places = Capacity::new(places, "race");
        places.open(PLACES).await.unwrap();
        let worker = Arc::new(Worker { store, places, id: WorkerId::random(), acks });
        let renewing = Arc::clone(&worker);
        let mut renewed = Instant::now();
        worker.store.renew(worker.id, LEASE).await.unwrap();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LEASE / 4).await;
                let asked = Instant::now();
                let done = renewing.store.renew(renewing.id, LEASE).await;
                if renewed.elapsed() > LEASE {
                    renewing.ack(&format!("late {} 0\n", SagaId::of(SAGA, "")));
                }
                if done.is_ok() {
                    renewed = asked;
                }
            }
        });
        let finishes = part.role == "finisher";
        let known = [Known { saga: SAGA.into(), versions: vec![1] }];
        let mut created = 0;
        loop {
            let mut sagas = worker
                .store
                .claim(worker.id, &known, NonZeroUsize::MIN.saturating_add(7))
                .await
                .unwrap_or_default();
            if finishes && sagas.is_empty() {
                let census = worker.store.census().await.unwrap();
                if census.count(Status::Running) == 0 {
                    break;
                }
                tokio::time::sleep(LEASE / 4).await;
            }
            while !finishes && sagas.len() < 8 {
                created += 1;
                let key = format!("\"{}-{created}\"", std::process::id());
                sagas.extend(worker.create(key).await);
            }
            join_all(sagas.into_iter().map(|saga| worker.drive(saga))).await;
        }
    });
}
