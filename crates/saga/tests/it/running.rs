//! `Engine::run`: what workers find and finish by themselves.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::Shutdown;
use pumasi_saga::store::{MemoryStore, Query, SagaStore, Status};
use pumasi_saga::{
    Cx, Definition, Engine, EngineOptions, ErrorKind, Outcome, Policy, Saga, SagaHandle, Step,
};
use tokio::sync::{Notify, Semaphore};

const LEASE: Duration = Duration::from_millis(300);

/// What holds a step up, and tells that it is there.
struct Gate {
    inside: Notify,
    open: Semaphore,
}

impl Gate {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self { inside: Notify::new(), open: Semaphore::new(open) })
    }
}

struct Pass;

impl Step<Arc<Gate>> for Pass {
    type In = (u64,);
    type Out = u64;
    type Error = &'static str;

    async fn run(&self, cx: &Cx<Arc<Gate>>, (key,): (u64,)) -> Outcome<u64, &'static str> {
        if key == 2 && cx.attempt() == 1 {
            return Outcome::Unknown("once");
        }
        cx.app().inside.notify_one();
        match cx.app().open.acquire().await {
            Ok(permit) => {
                permit.forget();
                Outcome::Done(key)
            }
            Err(_) => Outcome::Unknown("closed"),
        }
    }
}

fn definition() -> Definition<u64, Arc<Gate>> {
    let patient = Policy::new().with_timeout(Duration::from_mins(1));
    Saga::<u64, Arc<Gate>>::new("gated", 1).step(Pass).policy(patient).build().unwrap()
}

fn engine(store: &MemoryStore, gate: &Arc<Gate>) -> SagaHandle<u64, Arc<Gate>> {
    let options = EngineOptions::new()
        .with_lease(LEASE)
        .with_poll(Duration::from_millis(20))
        .with_patience(Duration::from_millis(50));
    Engine::with_options(store.clone(), Arc::clone(gate), options).register(definition()).unwrap()
}

async fn until(handle: &SagaHandle<u64, Arc<Gate>>, key: u64, status: Status) {
    let reached = async {
        while handle.view(&key).await.unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the saga comes to it in time");
}

#[test]
fn a_worker_takes_over_what_a_dead_one_left_and_retries_what_is_due() {
    let store = MemoryStore::new();
    let (never, open) = (Gate::new(0), Gate::new(10));
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    doomed.block_on(async {
        let handle = engine(&store, &never);
        let starting = handle.clone();
        tokio::spawn(async move { starting.start(&1).await });
        never.inside.notified().await;
        handle.start(&2).await.unwrap();
    });
    // As a process that is killed: nothing of it goes on, and nothing is said.
    doomed.shutdown_background();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (handle, shutdown) = (engine(&store, &open), Shutdown::new());
        let running = tokio::spawn({
            let (engine, shutdown) = (handle.engine().clone(), shutdown.clone());
            async move { engine.run(&shutdown).await }
        });
        until(&handle, 1, Status::Completed).await;
        until(&handle, 2, Status::Completed).await;
        let taken = handle.snapshot(&1).await.unwrap().history;
        assert!(taken.iter().any(|entry| entry.what == "taken_over"), "{taken:?}");
        shutdown.trigger();
        running.await.unwrap().unwrap();
    });
}

#[tokio::test]
async fn a_shutdown_drains_what_calls_drive_and_gives_back_what_does_not_end() {
    for is_patient in [true, false] {
        let (store, gate) = (MemoryStore::new(), Gate::new(0));
        let limit = if is_patient { Duration::from_mins(1) } else { Duration::from_millis(50) };
        // whoever would have to wait for the lease to end would wait for long
        let options = EngineOptions::new().with_lease(Duration::from_mins(5)).with_drain_limit(limit);
        let engine = Engine::with_options(store.clone(), Arc::clone(&gate), options);
        let handle = engine.register(definition()).unwrap();
        let shutdown = Shutdown::new();
        let calling = tokio::spawn({
            let handle = handle.clone();
            async move { handle.start(&1).await }
        });
        gate.inside.notified().await;
        let running = tokio::spawn({
            let (engine, shutdown) = (engine.clone(), shutdown.clone());
            async move { engine.run(&shutdown).await }
        });
        shutdown.trigger();
        if is_patient {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!running.is_finished(), "it waits for the call");
            gate.open.add_permits(1);
            assert_eq!(calling.await.unwrap().unwrap().status, Status::Completed);
        } else {
            assert_eq!(calling.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        }
        running.await.unwrap().unwrap();
        let held = store.query(&Query::new().with_holder(engine.worker())).await.unwrap();
        assert!(held.is_empty(), "{held:?}");
        if !is_patient {
            let other = self::engine(&store, &Gate::new(1));
            assert_eq!(other.engine().run_due().await.unwrap(), 1, "another goes on with it at once");
            while other.view(&1).await.unwrap().status != Status::Completed {
                tokio::time::sleep(Duration::from_millis(10)).await;
                other.engine().run_due().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_shutdown_lets_what_is_under_way_end_and_gives_the_lease_back() {
    let store = MemoryStore::new();
    let gate = Gate::new(0);
    let (handle, shutdown) = (engine(&store, &gate), Shutdown::new());
    let client = engine(&store, &Gate::new(0));
    // Left by another process's endpoint, so that the worker has to find it.
    client.start(&2).await.unwrap();
    let running = tokio::spawn({
        let (engine, shutdown) = (handle.engine().clone(), shutdown.clone());
        async move { engine.run(&shutdown).await }
    });
    gate.inside.notified().await;
    shutdown.trigger();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!running.is_finished(), "it waits for the step");
    gate.open.add_permits(1);
    running.await.unwrap().unwrap();
    assert_eq!(handle.view(&2).await.unwrap().status, Status::Completed);
    let held = store.query(&Query::new().with_holder(handle.engine().worker())).await.unwrap();
    assert!(held.is_empty(), "{held:?}");
}
