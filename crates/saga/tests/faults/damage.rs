//! Files that are cut or damaged: what was committed before is there, or the damage is told; nothing is invented.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::{Envelope, State};
use pumasi_saga::store::{Commit, Query, SagaId, SagaStore, SqliteStore, Status, Stored, WorkerId};
use sqlx::Connection as _;

use crate::child::{SAGA, key};

const LEASE: Duration = Duration::from_hours(1);

/// How many of the cuts or flips are made: all of them with `PUMASI_FAULT_FULL`.
fn stride(full: usize, short: usize) -> usize {
    if std::env::var_os("PUMASI_FAULT_FULL").is_some() { full } else { short }
}

fn id(n: usize) -> SagaId {
    SagaId::of(SAGA, &key(n))
}

fn commit(n: usize, version: u64, worker: WorkerId) -> Commit {
    let mut event = Envelope::new("registrations", key(n), State::Updated, version);
    event.payload = version.into();
    Commit { token: fastrand::u64(..), events: vec![event], ..crate::child::commit(n, version, worker) }
}

/// What a saga is, without moments.
type Known = (u64, u64, String, Vec<u8>);

fn known(saga: &Stored) -> Known {
    (saga.version, saga.epoch, saga.head.step.to_string(), saga.log.clone())
}

/// What saga `n` was after its commit of `version`.
fn was(n: usize, version: u64) -> Known {
    let log = (1..=version).map(|version| format!("[{n}.{version}]")).collect::<Vec<_>>().concat();
    (version, 1, format!("단계-{version}"), log.into_bytes())
}

async fn commit_all(store: &dyn SagaStore, sagas: usize, version: u64, worker: WorkerId) {
    let commits = (0..sagas).map(|n| commit(n, version, worker)).collect();
    for answer in store.commit(commits).await {
        answer.unwrap();
    }
}

/// A store's files as they are while it works.
struct Files(HashMap<&'static str, Vec<u8>>);

impl Files {
    const NAMES: [&str; 2] = ["sagas.db", "sagas.db-wal"];

    fn take(folder: &Path) -> Self {
        let read = |name| std::fs::read(folder.join(name)).unwrap_or_default();
        Self(Self::NAMES.into_iter().map(|name| (name, read(name))).collect())
    }

    fn put(&self, folder: &Path) -> PathBuf {
        for (name, bytes) in &self.0 {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        folder.join("sagas.db")
    }
}

/// Opens the files and reads every saga; the error, if the store tells of one.
async fn read(path: &Path, sagas: usize) -> Result<Vec<Option<Known>>, pumasi_saga::Error> {
    let store = SqliteStore::open(path).await?;
    let mut found = Vec::with_capacity(sagas);
    for n in 0..sagas {
        found.push(store.load(id(n)).await?.as_ref().map(known));
    }
    Ok(found)
}

/// What was written last, cut at every byte: all of it is there, or nothing of it.
#[test]
fn a_log_that_is_cut_anywhere_gives_the_commits_before() {
    const SAGAS: usize = 3;
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let worker = WorkerId::random();
        let store = SqliteStore::open(folder.path().join("sagas.db")).await.unwrap();
        store.renew(worker, LEASE).await.unwrap();
        for version in 1..=2 {
            commit_all(&store, SAGAS, version, worker).await;
        }
        let before = Files::take(folder.path());
        commit_all(&store, SAGAS, 3, worker).await;
        let after = Files::take(folder.path());
        let (from, to) = (before.0["sagas.db-wal"].len(), after.0["sagas.db-wal"].len());
        assert!(from < to, "the last commit wrote nothing");
        drop(store);

        let mut cuts: Vec<usize> = (from..to).step_by(stride(1, 97)).collect();
        cuts.extend([from + 1, from + 23, from + 24, from + 25, to - 1, to]);
        for cut in cuts {
            let mut files = Files(after.0.clone());
            files.0.get_mut("sagas.db-wal").unwrap().truncate(cut);
            // A folder of its own: the store before may still be closing.
            let elsewhere = tempfile::tempdir().unwrap();
            let found = read(&files.put(elsewhere.path()), SAGAS).await.unwrap();
            let version = if cut == to { 3 } else { 2 };
            let expected: Vec<_> = (0..SAGAS).map(|n| Some(was(n, version))).collect();
            assert_eq!(found, expected, "after {cut} of {to} bytes");
        }
    });
}

/// Whatever bit flips, in the log or in the file: each saga is what it was after some commit, or the damage is told.
#[test]
fn a_flipped_bit_invents_nothing() {
    const SAGAS: usize = 12;
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let worker = WorkerId::random();
        let store = SqliteStore::open(folder.path().join("sagas.db")).await.unwrap();
        store.renew(worker, LEASE).await.unwrap();
        for version in 1..=3 {
            commit_all(&store, SAGAS, version, worker).await;
        }
        // Into the tables, and a little more into the journal.
        store.census().await.unwrap();
        commit_all(&store, SAGAS, 4, worker).await;
        let in_log = Files::take(folder.path());
        drop(store);
        // Two connections that close at once may each leave the log to the other: it is written back by one of its own.
        let path = folder.path().join("sagas.db");
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_mins(1));
        let mut alone = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut alone).await.unwrap();
        let closed = Files::take(folder.path());
        assert!(closed.0["sagas.db-wal"].is_empty(), "the log was not written back");
        alone.close().await.unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut told, mut unharmed, mut earlier) = (0, 0, 0);
        for (files, name) in [(&in_log, "sagas.db-wal"), (&closed, "sagas.db")] {
            for _ in 0..stride(4000, 250) {
                let mut damaged = Files(files.0.clone());
                let bytes = damaged.0.get_mut(name).unwrap();
                let place = random.usize(..bytes.len());
                bytes[place] ^= 1 << random.u32(..8);
                let elsewhere = tempfile::tempdir().unwrap();
                let path = damaged.put(elsewhere.path());
                let Ok(store) = SqliteStore::open(&path).await else {
                    told += 1;
                    continue;
                };
                for n in 0..SAGAS {
                    match store.load(id(n)).await {
                        Err(_) => told += 1,
                        // A damaged index does not find it, and a look at the whole file says so.
                        Ok(None) if name == "sagas.db" => {
                            let verdict = store.verify().await;
                            assert!(
                                verdict.is_err(),
                                "{name}, byte {place}: saga {n} is gone without a word"
                            );
                            told += 1;
                        }
                        Ok(None) => earlier += 1,
                        Ok(Some(saga)) => {
                            let found = known(&saga);
                            assert_eq!(found, was(n, saga.version), "{name}, byte {place}");
                            assert!(saga.head.saga.as_ref() == SAGA && saga.head.status == Status::Running);
                            if saga.version == 4 { unharmed += 1 } else { earlier += 1 }
                        }
                    }
                }
                if let Ok(list) = store.query(&Query::new()).await {
                    for summary in list.iter().filter(|summary| summary.head.status != Status::Parked) {
                        let n = (0..SAGAS).find(|n| id(*n) == summary.head.id).expect("a saga was invented");
                        assert_eq!(*summary.head.step, was(n, summary.version).2, "{name}, byte {place}");
                    }
                }
            }
        }
        println!("{unharmed} sagas unharmed, {earlier} as after an earlier commit, {told} told as damaged");
        assert!(told > 0 && unharmed > 0 && earlier > 0, "{told} {unharmed} {earlier}");
    });
}

/// Writes until the disk is full: what was refused is not there, what was answered is.
#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let Some(disk) = SmallDisk::mount() else {
        pumasi_core::conformance::skip("a full disk", "a small tmpfs cannot be mounted here");
        return;
    };
    block_on(async {
        let worker = WorkerId::random();
        let path = disk.0.join("sagas.db");
        let store = SqliteStore::open(&path).await.unwrap();
        store.renew(worker, LEASE).await.unwrap();
        let (mut stored, mut refused) = (Vec::new(), 0);
        for n in 0..10_000 {
            let mut first = commit(n, 1, worker);
            first.record = vec![b'x'; 9_000];
            match store.commit(vec![first]).await.pop().unwrap() {
                Ok(_) => stored.push(n),
                Err(error) => {
                    assert_eq!(error.kind(), pumasi_saga::ErrorKind::Storage, "{error:?}");
                    refused += 1;
                    if refused == 20 {
                        break;
                    }
                }
            }
        }
        assert!(refused == 20 && stored.len() > 20, "{refused} refused, {} stored", stored.len());
        drop(store);
        let store: Arc<dyn SagaStore> = Arc::new(SqliteStore::open(&path).await.unwrap());
        for n in &stored {
            assert_eq!(store.load(id(*n)).await.unwrap().unwrap().log.len(), 9_000, "saga {n}");
        }
        for n in stored.last().unwrap() + 1..stored.last().unwrap() + 20 {
            assert!(store.load(id(n)).await.unwrap().is_none(), "saga {n} was refused and is there");
        }
    });
}

/// A tmpfs of 1 MiB.
struct SmallDisk(PathBuf, #[expect(dead_code, reason = "it goes with this")] tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path, folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}
