use proptest::prelude::*;

use super::*;
use crate::time::ManualClock;

fn limit(requests: u32, tokens: u64) -> (RateLimit, ManualClock) {
    let clock = ManualClock::new();
    let limit = RateLimit::per_minute("test", NonZeroU32::new(requests).unwrap())
        .with_tokens_per_minute(NonZeroU64::new(tokens).unwrap())
        .with_clock(Arc::new(clock.clone()));
    (limit, clock)
}

/// Somebody who waits until he may pass.
async fn in_line(limit: &RateLimit) -> tokio::task::JoinHandle<Result<(), Error>> {
    let limit = limit.clone();
    let waiter = tokio::spawn(async move { limit.acquire(0).await.map(drop) });
    tokio::task::yield_now().await;
    waiter
}

#[test]
fn requests_beyond_the_limit_are_told_when_to_come_back() {
    let (limit, clock) = limit(2, 1_000);
    let _first = limit.try_acquire(1).unwrap();
    let _second = limit.try_acquire(1).unwrap();
    let error = limit.try_acquire(1).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::After(Duration::from_secs(30))));
    clock.advance(Duration::from_secs(30));
    let _third = limit.try_acquire(1).unwrap();
}

#[test]
fn nonsense_for_a_usage_delays_by_no_more_than_a_burst() {
    let (limit, clock) = limit(1_000, 600);
    limit.try_acquire(100).unwrap().reconcile(u64::MAX);
    assert_eq!(limit.try_acquire(500).unwrap_err().retry(), Retry::After(Duration::from_mins(1)));
    clock.advance(Duration::from_mins(1));
    let _again = limit.try_acquire(500).unwrap();
}

#[test]
fn what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() {
    let (limit, clock) = limit(1_000, 600);
    limit.try_acquire(600).unwrap().reconcile(100);
    limit.try_acquire(500).unwrap().reconcile(800);
    // 300 tokens in debt, at ten a second
    let error = limit.try_acquire(1).unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_millis(30_100)));
    clock.advance(Duration::from_millis(30_100));
    limit.try_acquire(1).unwrap().refund();
    limit.try_acquire(1).unwrap().refund();
}

#[test]
fn a_call_larger_than_the_burst_is_refused_instead_of_waiting_for_ever() {
    let (limit, _clock) = limit(10, 600);
    let error = limit.try_acquire(601).unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::InvalidInput, Retry::Never));
}

#[test]
fn a_pause_holds_everybody_back() {
    let (limit, clock) = limit(10, 600);
    limit.pause(Duration::from_secs(20));
    limit.pause(Duration::from_secs(5));
    assert_eq!(limit.try_acquire(1).unwrap_err().retry(), Retry::After(Duration::from_secs(20)));
    clock.advance(Duration::from_secs(20));
    let _passed = limit.try_acquire(1).unwrap();
    limit.pause(Duration::MAX);
    assert!(limit.try_acquire(1).is_err());
}

#[tokio::test(start_paused = true)]
async fn callers_are_served_in_order_at_the_rate() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(60).unwrap())
        .with_request_burst(NonZeroU32::MIN)
        .with_clock(Arc::new(SystemClock));
    let began = tokio::time::Instant::now();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..5_u64 {
        let (limit, order) = (limit.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            limit.acquire(0).await.unwrap().reconcile(0);
            order.lock().unwrap().push((number, began.elapsed().as_secs()));
        });
        tokio::task::yield_now().await;
    }
    while tasks.join_next().await.is_some() {}
    assert_eq!(*order.lock().unwrap(), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_gives_back_what_it_reserved() {
    let limit =
        RateLimit::per_minute("test", NonZeroU32::new(1).unwrap()).with_max_wait(Duration::from_mins(10));
    let _first = limit.acquire(0).await.unwrap();
    for _ in 0..5 {
        assert!(tokio::time::timeout(Duration::from_millis(1), limit.acquire(0)).await.is_err());
    }
    let began = tokio::time::Instant::now();
    let _second = limit.acquire(0).await.unwrap();
    assert!(began.elapsed() <= Duration::from_mins(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_those_in_line_too() {
    let limit =
        RateLimit::per_minute("test", NonZeroU32::new(60).unwrap()).with_request_burst(NonZeroU32::MIN);
    let _first = limit.acquire(0).await.unwrap();
    let began = tokio::time::Instant::now();
    let waiter = in_line(&limit).await;
    limit.pause(Duration::from_secs(30));
    waiter.await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_goes_on_beyond_the_longest_wait_turns_those_in_line_away() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(60).unwrap())
        .with_request_burst(NonZeroU32::MIN)
        .with_max_wait(Duration::from_secs(10));
    let _first = limit.acquire(0).await.unwrap();
    let began = tokio::time::Instant::now();
    let waiter = in_line(&limit).await;
    limit.pause(Duration::from_secs(30));
    let error = waiter.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(30)));
    assert!(began.elapsed().is_zero(), "at once, not when it would have been its turn");
    tokio::time::sleep(Duration::from_secs(30)).await;
    limit.try_acquire(0).expect("what was reserved came back").refund();
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_shortens_the_wait_of_those_in_line_in_their_order() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(6_000).unwrap())
        .with_tokens_per_minute(NonZeroU64::new(60_000).unwrap());
    let first = limit.acquire(60_000).await.unwrap();
    let began = tokio::time::Instant::now();
    let passed = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for (name, tokens) in [("big", 30_000), ("leaves", 20_000), ("small", 5_000)] {
        let (limit, passed) = (limit.clone(), Arc::clone(&passed));
        tasks.spawn(async move {
            let limit = limit.acquire(tokens);
            if name == "leaves" {
                assert!(tokio::time::timeout(Duration::from_millis(100), limit).await.is_err());
                return;
            }
            drop(limit.await.unwrap());
            passed.lock().unwrap().push((name, began.elapsed().as_secs()));
        });
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.reconcile(40_000);
    while tasks.join_next().await.is_some() {}
    // 20,000 came back, and 1,000 a second: the big one needs ten seconds, and the small one five more.
    assert_eq!(*passed.lock().unwrap(), [("big", 10), ("small", 15)]);
}

#[tokio::test(start_paused = true)]
async fn callers_whose_estimates_are_too_high_do_not_keep_each_other_out() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(6_000).unwrap())
        .with_tokens_per_minute(NonZeroU64::new(60_000).unwrap());
    let began = tokio::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let limit = limit.clone();
        tasks.spawn(async move {
            let reservation = limit.acquire(10_000).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            reservation.reconcile(500);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_who_is_not_asked_again_holds_up_nobody_behind_it() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(60).unwrap())
        .with_request_burst(NonZeroU32::MIN)
        .with_clock(Arc::new(SystemClock));
    let _first = limit.acquire(0).await.unwrap();
    let began = tokio::time::Instant::now();
    let _forgotten = std::future::poll_fn(|context| {
        let mut forgotten = Box::pin(limit.acquire(0));
        assert!(forgotten.as_mut().poll(context).is_pending());
        Poll::Ready(forgotten)
    })
    .await;
    let _second = limit.acquire(0).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_others_debts_hold_up_is_turned_away_before_it_waits_too_long() {
    let limit = RateLimit::per_minute("test", NonZeroU32::new(6_000).unwrap())
        .with_tokens_per_minute(NonZeroU64::new(60_000).unwrap());
    let first = limit.acquire(60_000).await.unwrap();
    let began = tokio::time::Instant::now();
    let waiting = limit.clone();
    let waiter = tokio::spawn(async move { waiting.acquire(30_000).await.map(drop) });
    tokio::task::yield_now().await;
    first.reconcile(110_000);
    let error = waiter.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Overloaded, 30));
}

proptest! {
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a few hundred steps")]
    fn no_span_of_time_lets_more_through_than_burst_and_rate(
        steps in prop::collection::vec((0_u64..9_000, 0_u64..400, 0_u64..500), 1..150),
    ) {
        let (limit, clock) = limit(30, 600);
        let (mut at, mut passed) = (0_u64, Vec::new());
        for (pause, estimate, used) in steps {
            at += pause;
            clock.advance(Duration::from_millis(pause));
            if let Ok(reservation) = limit.try_acquire(estimate) {
                // never used beyond the estimate here: a debt is only paid afterwards
                let used = used.min(estimate);
                reservation.reconcile(used);
                passed.push((at, used));
            }
        }
        for (first, (from, _)) in passed.iter().enumerate() {
            let (mut requests, mut tokens) = (0.0, 0.0);
            for (moment, used) in &passed[first..] {
                let seconds = (moment - from) as f64 / 1_000.0;
                requests += 1.0;
                tokens += *used as f64;
                prop_assert!(requests <= 30.0 + 0.5 * seconds + 1e-6);
                prop_assert!(tokens <= 600.0 + 10.0 * seconds + 1e-6);
            }
        }
    }
}
