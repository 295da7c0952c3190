use pumasi_core::cache::{Fault, FlakyCache, MemoryCache};

use super::*;
use crate::fallback::{AnswerCache, CacheKey, Cause, Served};

fn key(request: &u32) -> CacheKey {
    CacheKey::of(request.to_string()).with_tag(format!("tag{}", request % 2))
}

fn memory() -> AnswerCache<u32, Value> {
    AnswerCache::memory(100, key)
}

fn shared() -> (AnswerCache<u32, Value>, FlakyCache<Arc<MemoryCache>>) {
    let flaky = FlakyCache::new(Arc::new(MemoryCache::new(1 << 20)));
    (AnswerCache::shared(Arc::new(flaky.clone()), "test", key), flaky)
}

fn caches() -> [AnswerCache<u32, Value>; 2] {
    [memory(), shared().0]
}

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_is_kept_and_called_cached_until_its_bound() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let cache = cache.with_max_age(Duration::from_secs(30));
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let first = fallback.call(1).await.unwrap().split().1;
        tokio::time::sleep(Duration::from_secs(29)).await;
        let Served::Cached { value, age } = fallback.call(1).await.unwrap() else { panic!("cached") };
        assert_eq!((value, age), (first, millis(29_005)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
        assert_eq!(engine.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_counts_from_the_question() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let cache = cache.with_max_age(Duration::from_secs(1));
        // what it says is of its beginning
        engine.set(Mode::Well(40));
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let asked = Instant::now();
        assert_eq!(fallback.call(1).await.unwrap().as_str(), "fresh");
        tokio::time::sleep_until(asked + millis(990)).await;
        assert_eq!(fallback.call(1).await.unwrap().as_str(), "cached");
        tokio::time::sleep_until(asked + millis(1_010)).await;
        assert_eq!(fallback.call(1).await.unwrap().as_str(), "fresh");
    }
}

#[tokio::test(start_paused = true)]
async fn a_degraded_answer_is_not_kept() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        for mode in [Mode::Failing(ErrorKind::Unavailable, 0), Mode::Partial] {
            engine.set(mode);
            assert!(matches!(fallback.call(1).await.unwrap(), Served::Degraded { .. }));
        }
        engine.set(Mode::Well(5));
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_served_when_nobody_answers_and_an_error_when_it_is_too_old() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let cache = cache.with_max_age(Duration::from_secs(30)).with_stale_if_error(Duration::from_mins(10));
        let fallback = world.builder(&engine, &database).cache(cache).deadline(millis(250)).build().unwrap();
        let _kept = fallback.call(1).await.unwrap();
        for mode in [Mode::Failing(ErrorKind::Unavailable, 0), Mode::Hanging] {
            engine.set(mode);
            database.set(mode);
            tokio::time::sleep(Duration::from_mins(1)).await;
            let began = Instant::now();
            let Served::Stale { age, cause: Cause::Failed(_), .. } = fallback.call(1).await.unwrap() else {
                panic!("stale")
            };
            assert!(age >= Duration::from_mins(1) && began.elapsed() <= millis(250));
        }
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert_eq!(fallback.call(1).await.unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_fetched_anew_an_old_answer_is_served_at_once() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let cache =
            cache.with_max_age(Duration::from_secs(1)).with_stale_while_revalidate(Duration::from_secs(10));
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let _kept = fallback.call(1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        let served = fallback.call(1).await.unwrap();
        assert!(matches!(served, Served::Stale { cause: Cause::Revalidating, .. }));
        assert_eq!(began.elapsed(), Duration::ZERO);
        tokio::time::sleep(millis(10)).await;
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Cached { .. }));
        assert_eq!(engine.calls(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_makes_old_what_it_touches_and_nothing_else() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        for request in [1, 2] {
            let _kept = fallback.call(request).await.unwrap();
        }
        fallback.invalidate(["tag1"]).await.unwrap();
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
        assert!(matches!(fallback.call(2).await.unwrap(), Served::Cached { .. }));
        fallback.invalidate_all().await.unwrap();
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
        assert!(matches!(fallback.call(2).await.unwrap(), Served::Fresh { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_being_fetched_during_a_write_is_not_called_cached() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        engine.set(Mode::Well(40));
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let fetching = tokio::spawn({
            let fallback = fallback.clone();
            async move { fallback.call(1).await }
        });
        tokio::time::sleep(millis(20)).await;
        world.version.store(1, Ordering::SeqCst);
        fallback.invalidate_all().await.unwrap();
        // whoever comes after the write does not join the call from before it
        let (after, before) = tokio::join!(fallback.call(1), fetching);
        assert_eq!(before.unwrap().unwrap().split().1.version, 0);
        assert_eq!(after.unwrap().split().1.version, 1);
        let Served::Cached { value, .. } = fallback.call(1).await.unwrap() else { panic!("cached") };
        assert_eq!(value.version, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn equal_requests_are_one_call() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let all = (0..50).map(|_| fallback.call(1));
        for served in futures_util::future::join_all(all).await {
            let _fresh = served.unwrap();
        }
        assert_eq!(engine.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fails_or_hangs_costs_little_and_its_error_is_no_miss() {
    for fault in [Fault::Down, Fault::Hanging, Fault::ReadOnly] {
        let world = World::new();
        let (engine, database) = world.backends();
        let (cache, flaky) = shared();
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        flaky.set_fault(fault);
        for number in 0..20 {
            let began = Instant::now();
            assert!(matches!(fallback.call(number).await.unwrap(), Served::Fresh { .. }));
            let most = if number < 5 { 45 } else { 5 };
            assert!(
                fault == Fault::ReadOnly || began.elapsed() <= millis(most),
                "{number}: {:?}",
                began.elapsed()
            );
        }
        // equal requests are one call although nothing can be kept
        let calls = engine.calls();
        for served in futures_util::future::join_all((0..50).map(|_| fallback.call(99))).await {
            let _fresh = served.unwrap();
        }
        assert_eq!(engine.calls(), calls + 1);
        flaky.set_fault(Fault::None);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let _kept = fallback.call(7).await.unwrap();
        assert!(matches!(fallback.call(7).await.unwrap(), Served::Cached { .. }), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_makes_no_old_answer_young() {
    for cache in caches() {
        let world = World::new();
        let (engine, database) = world.backends();
        let cache = cache.with_max_age(Duration::from_secs(30));
        let fallback = world.builder(&engine, &database).cache(cache).build().unwrap();
        let _kept = fallback.call(1).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.clock.set(-3_600_000);
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Cached { .. }));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
        world.clock.set(7_200_000);
        assert!(matches!(fallback.call(1).await.unwrap(), Served::Fresh { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_the_future_is_of_unknown_age() {
    let world = World::new();
    let (engine, database) = world.backends();
    let (cache, _) = shared();
    let ahead = world.builder(&engine, &database).cache(cache.clone());
    world.clock.set(60_000);
    let _kept = ahead.build().unwrap().call(1).await.unwrap();
    world.clock.set(-60_000);
    let here = world.builder(&engine, &database).cache(cache).build().unwrap();
    assert!(matches!(here.call(1).await.unwrap(), Served::Fresh { .. }));
}

#[tokio::test(start_paused = true)]
async fn where_a_shared_cache_fails_nobody_is_answered_by_a_call_from_before_a_write() {
    for fault in [Fault::Down, Fault::Hanging, Fault::ReadOnly] {
        let world = World::new();
        let (engine, database) = world.backends();
        let (cache, flaky) = shared();
        let fallback = world.builder(&engine, &database).longest_hedge_delay(millis(90)).cache(cache).build();
        let fallback = fallback.unwrap();
        let _kept = fallback.call(3).await.unwrap();
        engine.set(Mode::Well(80));
        flaky.set_fault(fault);
        let fetching = tokio::spawn({
            let fallback = fallback.clone();
            async move { fallback.call(1).await }
        });
        tokio::time::sleep(millis(30)).await;
        world.version.store(1, Ordering::SeqCst);
        assert!(fallback.invalidate_all().await.is_err());
        let (after, before) = tokio::join!(fallback.call(1), fetching);
        assert_eq!(before.unwrap().unwrap().split().1.version, 0);
        assert_eq!(after.unwrap().split().1.version, 1, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_was_ahead_for_a_while_spoils_the_cache_for_no_longer() {
    let world = World::new();
    let (engine, database) = world.backends();
    let (cache, _) = shared();
    let right = Wall { set_by: Arc::default(), ..world.clock.clone() };
    let one = world.builder(&engine, &database).cache(cache.clone()).build().unwrap();
    let two = world.builder(&engine, &database).clock(Arc::new(right)).cache(cache).build().unwrap();
    let _kept = one.call(1).await.unwrap();
    world.clock.set(86_400_000);
    let _kept = one.call(2).await.unwrap();
    world.clock.set(-86_400_000);
    for (request, asked) in [(3, [&one, &two]), (4, [&two, &one]), (2, [&one, &two])] {
        let [first, second] = asked;
        assert_eq!(first.call(request).await.unwrap().as_str(), "fresh");
        assert_eq!(second.call(request).await.unwrap().as_str(), "cached", "{request}");
    }
    for script in [&engine, &database] {
        script.set(Mode::Failing(ErrorKind::Unavailable, 0));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    let Served::Stale { age, .. } = one.call(4).await.unwrap() else { panic!("stale") };
    assert!(age >= Duration::from_mins(1) && age < Duration::from_mins(2), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_while_the_clock_was_ahead_is_not_young_when_that_day_comes() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).cache(memory()).build().unwrap();
    world.clock.set(86_400_000);
    let _kept = fallback.call(1).await.unwrap();
    world.clock.set(-86_400_000);
    let _other = fallback.call(2).await.unwrap();
    tokio::time::sleep(Duration::from_hours(24) + Duration::from_secs(10)).await;
    assert_eq!(fallback.call(1).await.unwrap().as_str(), "fresh");
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_by_a_clock_that_was_ahead_from_its_start_is_not_young_to_others_later() {
    let world = World::new();
    let (engine, database) = world.backends();
    let (cache, _) = shared();
    let right = Wall { set_by: Arc::default(), ..world.clock.clone() };
    world.clock.set(60_000);
    let ahead = world.builder(&engine, &database).cache(cache.clone()).build().unwrap();
    let two = world.builder(&engine, &database).clock(Arc::new(right)).cache(cache).build().unwrap();
    let _kept = ahead.call(1).await.unwrap();
    world.clock.set(-60_000);
    tokio::time::sleep(Duration::from_secs(65)).await;
    assert_eq!(two.call(1).await.unwrap().as_str(), "fresh");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(two.call(1).await.unwrap().as_str(), "cached");
}
