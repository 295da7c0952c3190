use super::*;
use crate::fallback::{AnswerCache, CacheKey, Cause, Served};

#[tokio::test(start_paused = true)]
async fn a_well_primary_is_all_that_is_asked() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    for _ in 0..100 {
        let Served::Fresh { value, backend } = fallback.call(1).await.unwrap() else { panic!("fresh") };
        assert_eq!((value.by.as_str(), &*backend), ("engine", "engine"));
    }
    assert_eq!((engine.calls(), database.calls(), engine.probes()), (100, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn it_starts_while_the_primary_is_down_and_says_why_another_answered() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Failing(ErrorKind::Unavailable, 0));
    let fallback = world.builder(&engine, &database).build().unwrap();
    let began = Instant::now();
    let Served::Degraded { value, backend, gaps, cause: Cause::Failed(error), .. } =
        fallback.call(1).await.unwrap()
    else {
        panic!("degraded")
    };
    assert_eq!((value.by.as_str(), &*backend, gaps.len()), ("database", "database", 0));
    assert_eq!((error.kind(), began.elapsed()), (ErrorKind::Unavailable, millis(5)));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_panics_has_failed_and_costs_nobody_an_answer() {
    for cached in [false, true] {
        let world = World::new();
        let (engine, database) = world.backends();
        engine.set(Mode::Panicking);
        let mut builder = world.builder(&engine, &database);
        if cached {
            builder =
                builder.cache(AnswerCache::memory(10, |request: &u32| CacheKey::of(request.to_string())));
        }
        let fallback = builder.build().unwrap();
        for request in 0..20 {
            let served = fallback.call(request).await.unwrap();
            assert_eq!(served.backend(), Some("database"), "{request}");
        }
        assert_eq!(state(&fallback), BreakerState::Open);
        engine.set(Mode::Well(5));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(fallback.call(99).await.unwrap().is_current());

        for script in [&engine, &database] {
            script.set(Mode::Panicking);
        }
        assert_eq!(fallback.call(100).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_hang_is_answered_after_the_hedge_and_the_eleventh_at_once() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    for _ in 0..300 {
        let _fresh = fallback.call(1).await.unwrap();
    }
    engine.set(Mode::Hanging);
    // ten failures of the last twenty open it
    for number in 0..20 {
        let began = Instant::now();
        let served = fallback.call(1).await.unwrap();
        assert!(matches!(served, Served::Degraded { .. }));
        // the live p95 is the 5 ms that the engine takes, and the least that is waited 10
        let hedged = matches!(served.cause(), Some(Cause::Slow { .. }));
        assert_eq!(hedged, number < 10, "{number}");
        assert_eq!(began.elapsed(), millis(if hedged { 15 } else { 5 }), "{number}");
    }
    assert_eq!(engine.calls(), 310);
}

#[tokio::test(start_paused = true)]
async fn in_a_crowd_too_a_hang_costs_no_more_than_the_hedges_delay() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).extra_calls(0.0).build().unwrap();
    for _ in 0..300 {
        let _fresh = fallback.call(1).await.unwrap();
    }
    engine.set(Mode::Hanging);
    // more than the budget has hedges for
    let began = Instant::now();
    let calls = (0..200).map(|request| fallback.call(request));
    let calls = futures_util::future::join_all(calls).await;
    assert!(calls.into_iter().all(|served| served.unwrap().backend() == Some("database")));
    assert_eq!(began.elapsed(), millis(15));
}

#[tokio::test(start_paused = true)]
async fn with_the_budget_used_up_nobody_waits_longer_than_for_a_slow_call() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Hanging);
    let fallback = world.builder(&engine, &database).without_breaker().extra_calls(0.0).build().unwrap();
    for number in 0..30 {
        let began = Instant::now();
        let served = fallback.call(1).await.unwrap();
        assert!(matches!(served, Served::Degraded { cause: Cause::Slow { .. }, .. }));
        assert!(began.elapsed() <= millis(105), "{number}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_of_a_well_primary_stay_within_five_percent() {
    let world = World::new();
    let (engine, database) = world.backends();
    let fallback = world.builder(&engine, &database).build().unwrap();
    let random = fastrand::Rng::with_seed(11);
    let mut random = random;
    // a long tail: the slowest fifth takes up to ten times as long, so that a naive p95 of equal values would hedge more
    for _ in 0..4_000 {
        let took = if random.u32(..5) == 0 { random.u64(10..50) } else { 5 };
        engine.set(Mode::Well(took));
        let _served = fallback.call(1).await.unwrap();
    }
    let share = f64::from(database.calls()) / 4_000.0;
    assert!(share <= 0.06, "{share}");
    assert_eq!(state(&fallback), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_part_is_served_only_if_nobody_has_a_whole_one() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Partial);
    let fallback = world.builder(&engine, &database).build().unwrap();
    let served = fallback.call(1).await.unwrap();
    assert!(matches!(served.cause(), Some(Cause::Incomplete)));
    assert_eq!(served.backend(), Some("database"));

    for mode in [Mode::Failing(ErrorKind::Unavailable, 0), Mode::Hanging] {
        database.set(mode);
        let Served::Degraded { backend, gaps, cause, .. } = fallback.call(1).await.unwrap() else {
            panic!("degraded")
        };
        assert_eq!((&*backend, gaps, cause.as_str()), ("engine", vec![Gap::TimedOut], "incomplete"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_request_is_said_at_once_and_asked_of_nobody_else() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Failing(ErrorKind::InvalidInput, 1));
    let fallback = world.builder(&engine, &database).build().unwrap();
    for _ in 0..30 {
        assert_eq!(fallback.call(1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!((database.calls(), state(&fallback)), (0, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_the_primary_cannot_do_is_asked_of_the_next_and_not_held_against_it() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Failing(ErrorKind::Unsupported, 1));
    let fallback = world.builder(&engine, &database).build().unwrap();
    for _ in 0..30 {
        assert_eq!(fallback.call(1).await.unwrap().backend(), Some("database"));
    }
    assert_eq!((database.calls(), state(&fallback)), (30, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_answers_when_two_are_gone_and_is_asked_whatever_its_health() {
    let world = World::new();
    let (engine, database) = world.backends();
    let index = Script::new("index", Mode::Well(1), &world);
    let fallback = world.builder(&engine, &database).last_resort(index.clone()).build().unwrap();
    engine.set(Mode::Hanging);
    database.set(Mode::Failing(ErrorKind::Storage, 0));
    for _ in 0..50 {
        let served = fallback.call(1).await.unwrap();
        assert_eq!(served.backend(), Some("index"));
    }
    index.set(Mode::Failing(ErrorKind::Storage, 0));
    for _ in 0..50 {
        assert_eq!(fallback.call(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    index.set(Mode::Well(1));
    assert_eq!(fallback.call(1).await.unwrap().backend(), Some("index"));
}

#[tokio::test(start_paused = true)]
async fn when_everybody_hangs_the_deadline_ends_it_with_a_typed_error() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Hanging);
    database.set(Mode::Hanging);
    let fallback = world.builder(&engine, &database).deadline(millis(250)).build().unwrap();
    for _ in 0..20 {
        let began = Instant::now();
        let error = fallback.call(1).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (ErrorKind::Timeout, millis(250)));
    }
    // and without a hedge it is no different
    let fallback = world.builder(&engine, &database).deadline(millis(250)).without_hedge().build().unwrap();
    assert_eq!(fallback.call(1).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn the_last_one_is_tried_again_from_the_budget_and_no_further() {
    let world = World::new();
    let (engine, database) = world.backends();
    engine.set(Mode::Failing(ErrorKind::Storage, 0));
    database.set(Mode::Failing(ErrorKind::Unavailable, 0));
    let fallback = world.builder(&engine, &database).build().unwrap();
    for _ in 0..100 {
        let error = fallback.call(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("database: unavailable"), "{error}");
    }
    // 5 % of 100, and one a second over the ten of its window
    assert!((100..=116).contains(&database.calls()), "{}", database.calls());
}

#[tokio::test(start_paused = true)]
async fn without_a_primary_it_is_not_built() {
    let error = Fallback::<u32, Value>::builder("test").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
