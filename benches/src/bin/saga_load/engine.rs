//! Sagas of eight sequential steps, each of which can be undone, through the engine.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pumasi_saga::store::{SagaStore, Status};
use pumasi_saga::{Compensate, Cx, Engine, EngineOptions, Outcome, Saga, Step, Undo};
use serde::{Deserialize, Serialize};

use crate::Options;

/// What the steps are told: which of them fails, from 1; 0: none.
struct Orders {
    fail: usize,
}

struct Nth<const N: usize>;

struct UndoNth<const N: usize>;

#[derive(Serialize, Deserialize)]
struct Made<const N: usize>(usize);

impl<const N: usize> Step<Orders> for Nth<N> {
    type In = ();
    type Out = Made<N>;
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        format!("step_{N}").into()
    }

    async fn run(&self, cx: &Cx<Orders>, (): ()) -> Outcome<Made<N>, &'static str> {
        if cx.app().fail == N { Outcome::Failed("as ordered") } else { Outcome::Done(Made(N)) }
    }
}

impl<const N: usize> Compensate<Orders, Nth<N>> for UndoNth<N> {
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        format!("undo_{N}").into()
    }

    async fn undo(&self, _: &Cx<Orders>, _: Undo<Orders, Nth<N>>) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

/// Runs the sagas, so many at a time; returns how long each took.
pub(crate) async fn run(store: Arc<dyn SagaStore>, options: &Options) -> Result<Vec<Duration>, String> {
    let told = |error: pumasi_saga::Error| error.to_string();
    let Options { sagas, in_flight, fail_step: fail, .. } = *options;
    let mut engine_options =
        EngineOptions::new().with_in_flight(NonZeroUsize::new(in_flight).unwrap_or(NonZeroUsize::MIN));
    if let Some(retention) = options.retention {
        engine_options = engine_options.with_retention(retention);
    }
    let engine = Engine::with_options(store, Orders { fail }, engine_options);
    let definition = Saga::<u64, Orders>::new("load", 1)
        .step(Nth::<1>)
        .compensate(UndoNth::<1>)
        .step(Nth::<2>)
        .compensate(UndoNth::<2>)
        .step(Nth::<3>)
        .compensate(UndoNth::<3>)
        .step(Nth::<4>)
        .compensate(UndoNth::<4>)
        .step(Nth::<5>)
        .compensate(UndoNth::<5>)
        .step(Nth::<6>)
        .compensate(UndoNth::<6>)
        .step(Nth::<7>)
        .compensate(UndoNth::<7>)
        .step(Nth::<8>)
        .compensate(UndoNth::<8>)
        .build()
        .map_err(told)?;
    let handle = Arc::new(engine.register(definition).map_err(told)?);
    let expected = if (1..=8).contains(&fail) { Status::Compensated } else { Status::Completed };
    let next = Arc::new(AtomicU64::new(0));
    let sagas = u64::try_from(sagas).unwrap_or(u64::MAX);
    let players: Vec<_> = (0..in_flight)
        .map(|_| {
            let (handle, next) = (Arc::clone(&handle), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    if n >= sagas {
                        return Ok::<_, String>(latencies);
                    }
                    let begun = Instant::now();
                    let view = handle.start(&n).await.map_err(|error| error.to_string())?;
                    latencies.push(begun.elapsed());
                    if view.status != expected {
                        return Err(format!("saga {n} ended {}", view.status));
                    }
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for player in players {
        latencies.extend(player.await.map_err(|error| error.to_string())??);
    }
    Ok(latencies)
}
