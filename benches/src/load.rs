//! Callers that never rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Tells how many calls a second are answered when so many callers call again as soon as they are answered; each call has a number
/// of its own.
pub async fn rate<F: Future<Output = ()> + Send + 'static>(
    in_flight: usize,
    time: Duration,
    call: impl Fn(u64) -> F + Clone + Send + 'static,
) -> f64 {
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (call, next, done) = (call.clone(), Arc::clone(&next), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    call(next.fetch_add(1, Relaxed)).await;
                    done.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a caller");
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let done = done.load(Relaxed) as f64;
    done / begun.elapsed().as_secs_f64()
}
