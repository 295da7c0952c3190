use super::*;
use crate::fallback::{AnswerCache, CacheKey};

/// Drops calls at random moments while the backends change at random, and looks for what was left behind.
///
/// `PUMASI_CANCELLATIONS` sets how many (default 100,000).
#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_at_random_leave_no_permit_and_no_task_behind() {
    let number =
        std::env::var("PUMASI_CANCELLATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(100_000);
    let world = World::new();
    let (engine, database) = world.backends();
    let cached =
        AnswerCache::memory(64, |request: &u32| CacheKey::of(request.to_string())).with_max_age(millis(50));
    let fallbacks = [
        world.builder(&engine, &database).build().unwrap(),
        world.builder(&engine, &database).cache(cached).build().unwrap(),
    ];
    let mut random = fastrand::Rng::with_seed(5);
    let (mut done, mut answered) = (0_u32, 0_u32);
    while done < number {
        if done.is_multiple_of(1_000) {
            engine.set(match random.u8(..4) {
                0 => Mode::Hanging,
                1 => Mode::Failing(ErrorKind::Unavailable, random.u64(..10)),
                _ => Mode::Well(random.u64(..10)),
            });
        }
        let calls = (0..50).map(|_| {
            let (fallback, cut) = (&fallbacks[random.usize(..2)], random.u64(..30));
            let request = random.u32(..100);
            async move { tokio::time::timeout(millis(cut), fallback.call(request)).await.is_ok() }
        });
        let calls: Vec<_> = calls.collect();
        let answers = futures_util::future::join_all(calls).await;
        answered += answers.into_iter().map(u32::from).sum::<u32>();
        done += 50;
    }
    assert!(answered > number / 10 && answered < number, "{answered} of {number}");

    engine.set(Mode::Well(5));
    tokio::time::sleep(Duration::from_mins(3)).await;
    for script in [&engine, &database] {
        assert_eq!(script.inner.running.load(Ordering::SeqCst), 0, "{}", script.inner.name);
        assert_eq!(script.inner.probing.load(Ordering::SeqCst), 0, "{}", script.inner.name);
    }
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    for fallback in &fallbacks {
        assert_eq!(fallback.inner.flights.in_flight(), 0);
        assert_eq!(state(fallback), BreakerState::Closed);
        assert!(fallback.call(1_000).await.unwrap().is_current());
    }
}
