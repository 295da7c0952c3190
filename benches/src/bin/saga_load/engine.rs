//! Sagas of eight sequential steps, each of which can be undone, through the engine.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use benches::eight_steps::{Orders, STEPS, definition};
use pumasi_saga::store::{SagaStore, Status};
use pumasi_saga::{Engine, EngineOptions};

use crate::Options;

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
    let definition = definition().map_err(told)?;
    let handle = Arc::new(engine.register(definition).map_err(told)?);
    let fails = u64::try_from(fail).is_ok_and(|fail| (1..=STEPS).contains(&fail));
    let expected = if fails { Status::Compensated } else { Status::Completed };
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
