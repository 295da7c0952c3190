use super::*;
use crate::fallback::Served;

/// Makes a request every 10 ms of `time`; returns how many were fresh and the moments at which the source changed.
async fn load(fallback: &Fallback<u32, Value>, time: Duration) -> (u32, Vec<Duration>) {
    let (began, mut fresh, mut changes, mut last) = (Instant::now(), 0, Vec::new(), None);
    while began.elapsed() < time {
        let at = Instant::now();
        let served = fallback.call(1).await.unwrap();
        let is_fresh = matches!(served, Served::Fresh { .. });
        fresh += u32::from(is_fresh);
        if last.is_some_and(|last| last != is_fresh) {
            changes.push(began.elapsed());
        }
        last = Some(is_fresh);
        tokio::time::sleep_until(at + millis(10)).await;
    }
    (fresh, changes)
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_spared_is_tried_in_the_background_and_never_with_a_users_request() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    engine.set(Mode::Failing(ErrorKind::Unavailable, 1));
    let _opened = load(&fallback, millis(100)).await;
    let calls = engine.calls();
    assert_eq!(calls, 5, "the minimum");
    let (fresh, _) = load(&fallback, Duration::from_secs(30)).await;
    assert_eq!((fresh, engine.calls()), (0, calls));
    assert!((29..=38).contains(&engine.probes()), "about one a second: {}", engine.probes());

    engine.set(Mode::Well(5));
    let (_, changes) = load(&fallback, Duration::from_secs(5)).await;
    assert_eq!(changes.len(), 1);
    assert!(changes[0] <= millis(1_100), "back within a probe's pause: {:?}", changes[0]);
    assert_eq!(engine.inner.most_probing.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_without_any_requests() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    engine.set(Mode::Hanging);
    let _opened = load(&fallback, millis(500)).await;
    engine.set(Mode::Well(5));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(state(&fallback), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_has_failed_when_its_lease_is_over() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    engine.set(Mode::Hanging);
    let _opened = load(&fallback, Duration::from_secs(20)).await;
    // a pause of at most one second and a lease of half a second
    assert!((13..=17).contains(&engine.probes()), "{}", engine.probes());
    assert!(engine.inner.running.load(Ordering::SeqCst) == 0);
    engine.set(Mode::Well(5));
    let (_, changes) = load(&fallback, Duration::from_secs(3)).await;
    assert!(changes[0] <= millis(1_600), "{changes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_prober_whose_runtime_is_gone_is_followed_by_another() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    engine.set(Mode::Failing(ErrorKind::Unavailable, 0));
    let other = fallback.clone();
    // a runtime that ends with the prober in it
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async move {
            for _ in 0..10 {
                let _degraded = other.call(1).await.unwrap();
            }
        });
    })
    .join()
    .unwrap();
    assert_ne!(state(&fallback), BreakerState::Closed);
    engine.set(Mode::Well(5));
    let (_, changes) = load(&fallback, Duration::from_secs(3)).await;
    assert_eq!(changes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_comes_and_goes_is_let_in_once_and_then_only_when_it_stays() {
    for period in [200, 1_000, 5_000] {
        let world = World::new();
        let (engine, database) = world.backends();
        let fallback = world.builder(&engine, &database).build().unwrap();
        let flapping = tokio::spawn({
            let engine = engine.clone();
            async move {
                loop {
                    engine.set(Mode::Failing(ErrorKind::Unavailable, 1));
                    tokio::time::sleep(millis(period)).await;
                    engine.set(Mode::Well(5));
                    tokio::time::sleep(millis(period)).await;
                }
            }
        });
        let (_, changes) = load(&fallback, Duration::from_mins(1)).await;
        flapping.abort();
        // single failures of a backend that is let in are answered by the other one, so only longer stays are counted
        let mut stays =
            changes.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > millis(100)).count();
        stays = stays.div_ceil(2);
        assert!(stays <= 6, "{period} ms: {changes:?}");

        engine.set(Mode::Well(5));
        let (_, changes) = load(&fallback, Duration::from_secs(90)).await;
        assert!(changes.len() <= 1, "{period} ms: {changes:?}");
        assert_eq!(state(&fallback), BreakerState::Closed, "{period} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_failed_half_of_its_calls_is_back_within_a_pause_and_a_second() {
    for seconds in 2..12 {
        let world = World::new();
        let (engine, database) = world.backends();
        let fallback = world.builder(&engine, &database).build().unwrap();
        engine.set(Mode::Half);
        let (_, changes) = load(&fallback, Duration::from_secs(seconds)).await;
        let stays = changes.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > millis(200)).count();
        assert!(stays <= 4, "{seconds} s: {changes:?}");
        engine.set(Mode::Well(5));
        let (_, changes) = load(&fallback, Duration::from_secs(5)).await;
        let back = changes.last().copied().unwrap_or_default();
        assert!(back <= Duration::from_secs(2), "{seconds} s: {changes:?}");
        assert_eq!(state(&fallback), BreakerState::Closed, "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_learns_of_trouble_by_another_way_can_say_so() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    fallback.trip("engine", &1);
    assert_eq!(fallback.call(1).await.unwrap().cause().unwrap().as_str(), "circuit_open");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(fallback.call(1).await.unwrap().is_current());
}

#[tokio::test(start_paused = true)]
async fn it_is_tried_too_when_a_success_is_what_makes_enough_calls_to_open() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    engine.set(Mode::Failing(ErrorKind::Unavailable, 0));
    for _ in 0..4 {
        let _degraded = fallback.call(1).await.unwrap();
    }
    engine.set(Mode::Well(5));
    assert_eq!(fallback.call(1).await.unwrap().as_str(), "fresh");
    assert_ne!(state(&fallback), BreakerState::Closed);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(state(&fallback), BreakerState::Closed, "without another request");
}

/// A primary that was tried out a moment ago and is well from now on.
async fn spared_and_just_well_again(engine: &Script, fallback: &Fallback<u32, Value>) {
    engine.set(Mode::Failing(ErrorKind::Unavailable, 1));
    let _opened = load(fallback, millis(100)).await;
    let probes = engine.probes();
    while engine.probes() == probes {
        tokio::time::sleep(millis(1)).await;
    }
    tokio::time::sleep(millis(5)).await;
    engine.set(Mode::Well(5));
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_fallback_stalls_is_answered_by_a_primary_that_is_well_again() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    spared_and_just_well_again(&engine, &fallback).await;
    database.set(Mode::Hanging);
    let began = Instant::now();
    let calls = futures_util::future::join_all((0..50).map(|request| fallback.call(request))).await;
    assert!(calls.into_iter().all(|served| served.unwrap().as_str() == "fresh"));
    assert!(began.elapsed() <= millis(300), "{:?}", began.elapsed());
    assert_eq!(engine.inner.most_probing.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_primary_is_tried_before_its_turn_once_its_fallback_fails_and_at_most_four_times_a_pause() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    spared_and_just_well_again(&engine, &fallback).await;
    database.set(Mode::Failing(ErrorKind::Unavailable, 1));
    assert_eq!(fallback.call(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    tokio::time::sleep(millis(300)).await;
    assert_eq!(fallback.call(1).await.unwrap().as_str(), "fresh");

    // long enough for its next failure to be none of a backend that flaps, which is tried more often
    tokio::time::sleep(Duration::from_secs(11)).await;
    engine.set(Mode::Failing(ErrorKind::Unavailable, 1));
    let probes = engine.probes();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        fallback.call(1).await.unwrap_err();
        tokio::time::sleep(millis(10)).await;
    }
    assert!(engine.probes() - probes <= 45, "{} probes", engine.probes() - probes);
}
