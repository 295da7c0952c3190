//! What does a step cost in memory, where nothing waits for a disk, and what a commit in a file?
//!
//! `cargo bench -p benches --features saga --bench saga`

use std::time::Duration;

use benches::eight_steps::{Orders, STEPS, commit, definition};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pumasi_saga::store::{MemoryStore, SagaStore, SqliteStore, Status, WorkerId};
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Sagas of which nothing is kept once they have ended, driven in the caller's own task.
fn sagas(fail: usize) -> SagaHandle<u64, Orders> {
    let options = EngineOptions::new().with_retention(Duration::ZERO).inline();
    let engine = Engine::with_options(MemoryStore::new(), Orders { fail }, options);
    engine.register(definition().expect("a definition")).expect("an engine that knows it")
}

fn steps(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("a saga of eight steps in memory");
    group.throughput(Throughput::Elements(STEPS));
    for (name, fail, end) in
        [("forward", 0, Status::Completed), ("undone from the last step", 8, Status::Compensated)]
    {
        let handle = sagas(fail);
        let mut key = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                key += 1;
                let view = runtime.block_on(handle.start(&key)).expect("a saga");
                assert_eq!(view.status, end);
            });
        });
    }
    group.finish();
}

fn commits(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store = runtime.block_on(SqliteStore::open(folder.path().join("sagas.db"))).expect("a store");
    let worker = WorkerId::random();
    runtime.block_on(store.renew(worker, Duration::from_hours(24))).expect("a lease");
    let mut group = c.benchmark_group("commits of different sagas in SQLite, synced");
    group.sample_size(10);
    let mut key = 0;
    for together in [1_u64, 64, 512] {
        group.throughput(Throughput::Elements(together));
        group.bench_function(BenchmarkId::from_parameter(together), |b| {
            b.iter(|| {
                let commits = (0..together).map(|_| {
                    key += 1;
                    commit(&key.to_string(), 1, worker)
                });
                let answers = runtime.block_on(store.commit(commits.collect()));
                assert!(answers.iter().all(Result::is_ok), "a commit was refused");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps, commits);
criterion_main!(benches);
