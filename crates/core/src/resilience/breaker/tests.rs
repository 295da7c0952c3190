use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::time::ManualClock;

const OPEN: Duration = Duration::from_secs(5);

fn breaker() -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::new("test", Duration::from_secs(1))
        .with_minimum_throughput(5)
        .with_open_for(Backoff::new(OPEN, Duration::from_secs(20)).with_jitter(Jitter::None))
        .with_clock(Arc::new(clock.clone()));
    (breaker, clock)
}

fn record(breaker: &CircuitBreaker, verdict: Verdict) {
    breaker.try_acquire().unwrap().record(verdict);
}

fn half_open() -> (CircuitBreaker, ManualClock) {
    let (breaker, clock) = breaker();
    breaker.trip();
    clock.advance(OPEN);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    (breaker, clock)
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_opens_it_although_the_deadline_is_the_callers() {
    let breaker = CircuitBreaker::new("black hole", Duration::from_millis(2)).with_minimum_throughput(5);
    let reached = AtomicU32::new(0);
    for _ in 0..60 {
        let call = breaker.call(async {
            reached.fetch_add(1, Ordering::SeqCst);
            pending::<Result<(), Error>>().await
        });
        let _outcome = tokio::time::timeout(Duration::from_millis(5), call).await;
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(reached.load(Ordering::SeqCst), 5, "the minimum, and not one more");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_opens_it_even_if_nobody_ever_gives_up() {
    let breaker = CircuitBreaker::new("black hole", Duration::from_millis(200)).with_minimum_throughput(5);
    for _ in 0..5 {
        let breaker = breaker.clone();
        tokio::spawn(async move { breaker.call(pending::<Result<(), Error>>()).await });
    }
    tokio::time::sleep(Duration::from_millis(199)).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_callers_at_once_only_the_probes_are_let_through() {
    for probes in [1, 3, 10] {
        let (breaker, clock) = breaker();
        let breaker = breaker.with_probes(NonZeroU32::new(probes).unwrap());
        breaker.trip();
        clock.advance(OPEN);
        let reached = Arc::new(AtomicU32::new(0));
        let (open, gate) = tokio::sync::watch::channel(false);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let (breaker, reached, mut gate) = (breaker.clone(), Arc::clone(&reached), gate.clone());
            tasks.spawn(async move {
                let call = async {
                    reached.fetch_add(1, Ordering::SeqCst);
                    let _opened = gate.wait_for(|open| *open).await;
                    Ok::<_, Error>(())
                };
                breaker.call(call).await.is_ok()
            });
        }
        // all but the probes are turned away while the probes still run
        for _ in 0..200 - probes {
            assert!(!tasks.join_next().await.unwrap().unwrap());
        }
        open.send(true).unwrap();
        while let Some(done) = tasks.join_next().await {
            assert!(done.unwrap());
        }
        assert_eq!(reached.load(Ordering::SeqCst), probes);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}

#[test]
fn a_dropped_probe_gives_its_place_to_the_next_caller() {
    let (breaker, _clock) = half_open();
    for _ in 0..50 {
        let probes: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
        assert!(breaker.try_acquire().is_err());
        drop(probes);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
    (0..3).for_each(|_| record(&breaker, Verdict::Success));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_hangs_has_failed_when_its_lease_ends() {
    let (breaker, clock) = half_open();
    let hung: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    clock.advance(Duration::from_millis(400));
    let error = breaker.try_acquire().unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_millis(600)), "until the lease ends");
    clock.advance(Duration::from_millis(600));
    assert_eq!(breaker.state(), BreakerState::Open);
    // what it reports at last says nothing any more
    clock.advance(OPEN * 2);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    for permit in hung {
        permit.record(Verdict::Failure);
    }
    assert_eq!(breaker.counts(), BreakerCounts::default());
    (0..3).for_each(|_| record(&breaker, Verdict::Success));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn it_opens_at_the_failure_rate_and_not_before_the_minimum() {
    let (breaker, _clock) = breaker();
    (0..4).for_each(|_| record(&breaker, Verdict::Failure));
    assert_eq!(breaker.state(), BreakerState::Closed, "four calls say little");
    record(&breaker, Verdict::Success);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn it_stays_closed_beneath_the_rate() {
    let (breaker, _clock) = breaker();
    for number in 0..1_000 {
        record(&breaker, if number % 5 > 2 { Verdict::Failure } else { Verdict::Success });
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
    assert_eq!(breaker.counts(), BreakerCounts { calls: 100, failed: 40, slow: 0 });
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let (breaker, clock) = breaker();
    for _ in 0..5 {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(1));
        permit.record(Verdict::Success);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn calls_that_are_given_up_early_say_nothing() {
    let (breaker, clock) = breaker();
    for _ in 0..100 {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_millis(999));
        drop(permit); // the half of a hedge that lost
    }
    assert_eq!((breaker.state(), breaker.counts().calls), (BreakerState::Closed, 0));
}

#[test]
fn dropped_calls_count_as_it_was_told() {
    for (dropped, age, state) in [
        (Dropped::Failure, 10, BreakerState::Open),
        (Dropped::ByAge, 10, BreakerState::Closed),
        (Dropped::ByAge, 1_000, BreakerState::Open),
        (Dropped::Neutral, 1_000, BreakerState::Closed),
    ] {
        let (breaker, clock) = breaker();
        let breaker = breaker.with_dropped(dropped);
        for _ in 0..5 {
            let permit = breaker.try_acquire();
            clock.advance(Duration::from_millis(age));
            drop(permit);
        }
        assert_eq!(breaker.state(), state, "{dropped:?} after {age} ms");
    }
}

#[test]
fn a_call_that_panics_has_failed() {
    let (breaker, _clock) = breaker();
    for _ in 0..5 {
        let call = std::panic::AssertUnwindSafe(|| {
            let _permit = breaker.try_acquire().unwrap();
            panic!("the caller's own fault, as far as anyone can tell")
        });
        assert!(std::panic::catch_unwind(call).is_err());
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn each_failed_recovery_keeps_it_open_longer_and_a_good_one_forgets_that() {
    let (breaker, clock) = breaker();
    breaker.trip();
    for seconds in [5, 10, 20, 20] {
        let error = breaker.check().unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::CircuitOpen, Retry::After(Duration::from_secs(seconds)))
        );
        clock.advance(Duration::from_millis(seconds * 1_000 - 1));
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(Duration::from_millis(1));
        // two of three cannot be saved by the third
        (0..2).for_each(|_| record(&breaker, Verdict::Failure));
        assert_eq!(breaker.state(), BreakerState::Open);
    }
    clock.advance(Duration::from_secs(20));
    (0..3).for_each(|_| record(&breaker, Verdict::Success));
    breaker.trip();
    assert_eq!(breaker.check().unwrap_err().retry(), Retry::After(OPEN));
}

#[test]
fn what_began_before_the_change_is_not_counted_after_it() {
    let (breaker, clock) = breaker();
    let old: Vec<_> = (0..100).map(|_| breaker.try_acquire().unwrap()).collect();
    breaker.trip();
    clock.advance(OPEN);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    for permit in old {
        permit.record(Verdict::Failure);
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[test]
fn a_slow_call_that_fails_in_the_end_counts_once_as_both() {
    let (breaker, clock) = breaker();
    let permit = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(2));
    assert_eq!(breaker.counts(), BreakerCounts { calls: 1, failed: 0, slow: 1 });
    permit.record(Verdict::Failure);
    assert_eq!(breaker.counts(), BreakerCounts { calls: 1, failed: 1, slow: 1 });
}

#[test]
fn a_minimum_beyond_the_window_is_the_window() {
    let (breaker, _clock) = breaker();
    let breaker =
        breaker.with_window(BreakerWindow::Calls(NonZeroU32::new(4).unwrap())).with_minimum_throughput(1_000);
    (0..4).for_each(|_| record(&breaker, Verdict::Failure));
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn a_window_of_time_forgets() {
    let (breaker, clock) = breaker();
    let breaker = breaker.with_window(BreakerWindow::Time(Duration::from_secs(10)));
    (0..4).for_each(|_| record(&breaker, Verdict::Failure));
    clock.advance(Duration::from_secs(11));
    record(&breaker, Verdict::Failure);
    assert_eq!((breaker.state(), breaker.counts().calls), (BreakerState::Closed, 1));
}

#[tokio::test]
async fn answers_are_no_failures_and_local_limits_say_nothing() {
    let (breaker, _clock) = breaker();
    for kind in [ErrorKind::NotFound, ErrorKind::InvalidInput, ErrorKind::Refused, ErrorKind::Overloaded] {
        for _ in 0..5 {
            let outcome = breaker.call(async { Err::<(), _>(Error::new(kind, "no")) }).await;
            assert_eq!(outcome.unwrap_err().kind(), kind);
        }
    }
    assert_eq!(breaker.counts(), BreakerCounts { calls: 15, failed: 0, slow: 0 });
}

#[tokio::test]
async fn an_own_error_type_is_judged_by_a_closure() {
    type AnyError = Box<dyn std::error::Error + Send + Sync>;
    let (breaker, _clock) = breaker();
    for _ in 0..5 {
        let outcome = breaker
            .call_if(async { Err::<(), AnyError>("busy".into()) }, |outcome| {
                if outcome.is_err() { Verdict::Failure } else { Verdict::Success }
            })
            .await;
        assert_eq!(outcome.unwrap_err().to_string(), "busy");
    }
    let outcome = breaker.call_if(async { Ok::<_, AnyError>(()) }, |_| Verdict::Success).await;
    assert_eq!(outcome.unwrap_err().to_string(), "the circuit to test is open");
}

#[test]
fn an_open_time_beyond_the_clock_ends_in_a_day() {
    let (breaker, clock) = breaker();
    let breaker = breaker.with_open_for(Backoff::constant(Duration::MAX));
    breaker.trip();
    clock.advance(Duration::from_hours(24));
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.reset();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn half_open_it_lets_nobody_through_who_leaves_probing_to_others() {
    let (breaker, clock) = half_open();
    let error = breaker.try_acquire_closed().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    let breaker = breaker.with_probes(NonZeroU32::MIN);
    breaker.trip();
    clock.advance(OPEN);
    breaker.try_acquire().unwrap().record(Verdict::Success);
    breaker.try_acquire_closed().unwrap().record(Verdict::Success);
    assert_eq!(breaker.counts().calls, 1);
}

#[test]
fn the_gauge_of_a_breaker_is_there_before_it_has_ever_changed() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        let (breaker, _) = breaker();
        assert!(recorder.handle().render().contains("pumasi_breaker_state{name=\"test\"} 0\n"));
        breaker.trip();
        assert!(recorder.handle().render().contains("pumasi_breaker_state{name=\"test\"} 2\n"));
    });
}
