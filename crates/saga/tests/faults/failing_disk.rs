//! Every write and every sync of the embedded store fails in turn: nothing that was acknowledged is lost, what was refused is
//! told by a clear error, and the file is sound.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pumasi_core::conformance::process::{Crew, Part, is_full};
use pumasi_saga::ErrorKind;
use pumasi_saga::store::{Query, SagaId, SagaStore, SqliteStore, WorkerId};

use crate::child::{SAGA, commit, key};

const SAGAS: usize = 4;
const VERSIONS: usize = 5;

/// Commits while the disk fails, and writes down what was answered.
#[test]
#[ignore = "started by the test of the failing disk with a part"]
fn writes_on_a_failing_disk() {
    let Some(part) = Part::given() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = File::options().create(true).append(true).open(part.folder.join("answers")).unwrap();
    let answer = |line: String| (&answers).write_all(line.as_bytes()).unwrap();
    let clear = |kind| matches!(kind, ErrorKind::Storage | ErrorKind::Unavailable);
    runtime.block_on(async {
        let mut store = None;
        for _ in 0..3 {
            match SqliteStore::open(part.folder.join("sagas.db")).await {
                Ok(opened) => {
                    store = Some(opened);
                    break;
                }
                Err(error) => {
                    assert!(clear(error.kind()), "{error:?}");
                    answer("refused 0 0\n".to_owned());
                }
            }
        }
        let Some(store) = store else { return };
        let worker = WorkerId::from_bytes([7; 16]);
        for _ in 0..3 {
            if store.renew(worker, Duration::from_hours(1)).await.is_ok() {
                break;
            }
        }
        for version in 1..=VERSIONS as u64 {
            for n in 0..SAGAS {
                // As the engine does that does not know whether its commit was stored; it gives up in the end.
                for _ in 0..2 {
                    match store.commit(vec![commit(n, version, worker)]).await.pop().unwrap() {
                        Ok(_) => {
                            answer(format!("stored {n} {version}\n"));
                            break;
                        }
                        // The version before was never stored.
                        Err(error) if error.kind() == ErrorKind::Conflict => break,
                        Err(error) => {
                            assert!(clear(error.kind()), "{error:?}");
                            answer(format!("refused {n} {version}\n"));
                        }
                    }
                }
            }
            // Into the tables.
            let _ = store.census().await;
        }
    });
}

/// Builds the library that makes writes fail; `None`, after saying so, where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output();
    match built {
        Ok(output) if output.status.success() => Some(library),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            pumasi_core::conformance::skip("a failing disk", "there is no C compiler");
            None
        }
    }
}

/// What a run with the fault at call `at` answered, and how many calls there were.
fn run(shim: &Path, folder: &Path, errno: i32, at: usize, length: usize) -> (String, usize) {
    let count = folder.join("calls");
    let mut writer = Crew::new("failing_disk::writes_on_a_failing_disk", folder).command("writer").unwrap();
    let ended = writer
        .env("LD_PRELOAD", shim)
        .env("SHIM_FILE", "sagas.db")
        .env("SHIM_AT", at.to_string())
        .env("SHIM_FOR", length.to_string())
        .env("SHIM_ERRNO", errno.to_string())
        .env("SHIM_COUNT", &count)
        .status()
        .unwrap();
    let said = std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
    assert!(ended.success(), "call {at}: {said}");
    let answers = std::fs::read_to_string(folder.join("answers")).unwrap_or_default();
    (answers, std::fs::read_to_string(count).unwrap().parse().unwrap())
}

/// Holds what is in the file against what was answered.
async fn check(folder: &Path, answers: &str, what: &str) {
    let path = folder.join("sagas.db");
    let mut stored = [0; SAGAS];
    for line in answers.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["stored", n, version] = words[..] {
            stored[n.parse::<usize>().unwrap()] = version.parse::<u64>().unwrap();
        }
    }
    let store = SqliteStore::open(&path).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    store.verify().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    for (n, acknowledged) in (0..).zip(stored) {
        let found = store.load(SagaId::of(SAGA, &key(n))).await.unwrap();
        let version = found.as_ref().map_or(0, |saga| saga.version);
        // What was refused may be there; what was acknowledged is, and nothing beyond what was asked.
        assert!(version >= acknowledged, "{what}: saga {n} is at {version}, {acknowledged} was acknowledged");
        let log: Vec<u8> =
            (1..=version).flat_map(|version| format!("[{n}.{version}]").into_bytes()).collect();
        assert_eq!(found.map(|saga| saga.log).unwrap_or_default(), log, "{what}: saga {n}");
    }
    assert!(store.query(&Query::new()).await.unwrap().len() <= SAGAS, "{what}");
}

#[test]
fn every_write_may_fail_and_nothing_acknowledged_is_lost() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let tools = tempfile::tempdir().unwrap();
    let Some(shim) = shim(tools.path()) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calm = tempfile::tempdir().unwrap();
    let (answers, calls) = run(&shim, calm.path(), EIO, 0, 0);
    assert_eq!(answers.matches("stored").count(), SAGAS * VERSIONS, "{answers}");
    assert!(calls > 50, "the shim saw {calls} calls");
    let (mut runs, mut refused, mut recovered) = (0, 0, 0);
    for (errno, length) in [(EIO, 1), (EIO, usize::MAX >> 2), (ENOSPC, 3)] {
        for at in (1..=calls).step_by(if is_full() { 1 } else { 13 }) {
            let folder = tempfile::tempdir().unwrap();
            let (answers, _) = run(&shim, folder.path(), errno, at, length);
            let what = format!("error {errno} at call {at} of {calls}, {length} times");
            runtime.block_on(check(folder.path(), &answers, &what));
            runs += 1;
            refused += answers.matches("refused").count();
            recovered += usize::from(
                answers.contains("refused")
                    && answers.trim_end().ends_with(&format!("stored {} {VERSIONS}", SAGAS - 1)),
            );
        }
    }
    println!(
        "{runs} runs over {calls} writes and syncs: {refused} calls refused, {recovered} runs went on to their end"
    );
    assert!(refused > 0 && recovered > 0, "{refused} refused, {recovered} recovered");
}
