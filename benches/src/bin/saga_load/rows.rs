//! The stores alone: eight commits a saga through the seam, with records of the engine's size and no engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use benches::eight_steps::{STEPS, commit};
use pumasi_saga::store::{Commit, SagaStore, WorkerId};
use tokio::sync::{Mutex, mpsc, oneshot};

struct Asked {
    commit: Commit,
    done: oneshot::Sender<()>,
}

/// Runs `sagas` sagas, `in_flight` at a time; returns how long each took.
pub(crate) async fn run(store: Arc<dyn SagaStore>, sagas: usize, in_flight: usize) -> Vec<Duration> {
    let worker = WorkerId::random();
    store.renew(worker, Duration::from_hours(1)).await.expect("a lease");
    let capabilities = store.capabilities();
    let (asked, incoming) = mpsc::unbounded_channel::<Asked>();
    let incoming = Arc::new(Mutex::new(incoming));
    let lanes: Vec<_> = (0..capabilities.lanes.get())
        .map(|_| {
            let (store, incoming) = (Arc::clone(&store), Arc::clone(&incoming));
            tokio::spawn(async move {
                let mut batch = Vec::new();
                loop {
                    if incoming.lock().await.recv_many(&mut batch, capabilities.batch.get()).await == 0 {
                        return;
                    }
                    let (commits, replies): (Vec<Commit>, Vec<_>) =
                        batch.drain(..).map(|asked: Asked| (asked.commit, asked.done)).unzip();
                    for (answer, reply) in store.commit(commits).await.into_iter().zip(replies) {
                        answer.expect("a commit");
                        let _ = reply.send(());
                    }
                }
            })
        })
        .collect();
    let next = Arc::new(AtomicUsize::new(0));
    let players: Vec<_> = (0..in_flight)
        .map(|_| {
            let (asked, next, store) = (asked.clone(), Arc::clone(&next), Arc::clone(&store));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= sagas {
                        return latencies;
                    }
                    let begun = Instant::now();
                    let key = format!(r#"{{"participant":{n},"competition":"seoul"}}"#);
                    for version in 1..=STEPS {
                        let commit = commit(&key, version, worker);
                        if capabilities.batch.get() == 1 {
                            let answers = store.commit(vec![commit]).await;
                            assert!(answers.iter().all(Result::is_ok), "a commit");
                            continue;
                        }
                        let (done, answer) = oneshot::channel();
                        assert!(asked.send(Asked { commit, done }).is_ok(), "the lanes have ended");
                        answer.await.expect("an answer");
                    }
                    latencies.push(begun.elapsed());
                }
            })
        })
        .collect();
    drop(asked);
    let mut latencies = Vec::with_capacity(sagas);
    for player in players {
        latencies.extend(player.await.expect("a player"));
    }
    for lane in lanes {
        lane.await.expect("a lane");
    }
    latencies
}
