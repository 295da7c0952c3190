use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::resilience::{Backoff, RetryPolicy};
use crate::time::ManualClock;
use crate::{Error, ErrorKind};

const DELAY: Duration = Duration::from_millis(50);

async fn answer(millis: u64, outcome: Result<&'static str, ErrorKind>) -> Result<&'static str, Error> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    outcome.map_err(|kind| Error::new(kind, format!("after {millis} ms")))
}

struct Case {
    first: (u64, Result<&'static str, ErrorKind>),
    second: (u64, Result<&'static str, ErrorKind>),
    /// The outcome, when it came, and how many second calls were made: of `run`, then of `race`.
    run: (Result<Contender, &'static str>, u64, u32),
    race: (Result<Contender, &'static str>, u64, u32),
}

fn cases() -> [Case; 12] {
    use Contender::{First, Second};
    use ErrorKind::{NotFound, Unavailable};
    [
        // the first is quick
        Case {
            first: (10, Ok("a")),
            second: (10, Ok("b")),
            run: (Ok(First), 10, 0),
            race: (Ok(First), 10, 0),
        },
        // the first takes long, and the second wins, or not
        Case {
            first: (500, Ok("a")),
            second: (10, Ok("b")),
            run: (Ok(Second), 60, 1),
            race: (Ok(Second), 60, 1),
        },
        Case {
            first: (55, Ok("a")),
            second: (10, Ok("b")),
            run: (Ok(First), 55, 1),
            race: (Ok(First), 55, 1),
        },
        // the first fails early
        Case {
            first: (10, Err(Unavailable)),
            second: (10, Ok("b")),
            run: (Err("after 10 ms"), 10, 0),
            race: (Ok(Second), 20, 1),
        },
        Case {
            first: (10, Err(Unavailable)),
            second: (20, Err(Unavailable)),
            run: (Err("after 10 ms"), 10, 0),
            race: (Err("after 10 ms"), 30, 1),
        },
        // the first answers "no", early or late
        Case {
            first: (10, Err(NotFound)),
            second: (10, Ok("b")),
            run: (Err("after 10 ms"), 10, 0),
            race: (Err("after 10 ms"), 10, 0),
        },
        Case {
            first: (60, Err(NotFound)),
            second: (90, Ok("b")),
            run: (Err("after 60 ms"), 60, 1),
            race: (Err("after 60 ms"), 60, 1),
        },
        // the second answers "no"
        Case {
            first: (200, Ok("a")),
            second: (10, Err(NotFound)),
            run: (Err("after 10 ms"), 60, 1),
            race: (Ok(First), 200, 1),
        },
        // one fails while the other runs
        Case {
            first: (60, Err(Unavailable)),
            second: (90, Ok("b")),
            run: (Ok(Second), 140, 1),
            race: (Ok(Second), 140, 1),
        },
        Case {
            first: (200, Ok("a")),
            second: (10, Err(Unavailable)),
            run: (Ok(First), 200, 1),
            race: (Ok(First), 200, 1),
        },
        // both fail, in either order
        Case {
            first: (60, Err(Unavailable)),
            second: (90, Err(Unavailable)),
            run: (Err("after 60 ms"), 140, 1),
            race: (Err("after 60 ms"), 140, 1),
        },
        Case {
            first: (300, Err(Unavailable)),
            second: (90, Err(Unavailable)),
            run: (Err("after 300 ms"), 300, 1),
            race: (Err("after 300 ms"), 300, 1),
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn every_row_of_the_table_holds() {
    use Contender::First;
    for (number, Case { first, second, run, race }) in cases().into_iter().enumerate() {
        let hedge = Hedge::after("test", DELAY);
        for (race, expected) in [(false, run), (true, race)] {
            let seconds = AtomicU32::new(0);
            let began = tokio::time::Instant::now();
            let ask_second = || {
                seconds.fetch_add(1, Ordering::SeqCst);
                answer(second.0, second.1)
            };
            let outcome = if race {
                hedge.race(answer(first.0, first.1), ask_second).await
            } else {
                hedge
                    .run(|contender| if contender == First { answer(first.0, first.1) } else { ask_second() })
                    .await
            };
            let outcome = outcome.map(|raced| {
                assert_eq!(raced.value, if raced.winner == First { "a" } else { "b" });
                raced.winner
            });
            let took = u64::try_from(began.elapsed().as_millis()).unwrap();
            let seconds = seconds.load(Ordering::SeqCst);
            match (outcome, expected.0) {
                (Ok(winner), Ok(expected)) => assert_eq!(winner, expected, "case {number}, race: {race}"),
                (Err(error), Err(expected)) => {
                    assert_eq!(error.to_string(), expected, "case {number}, race: {race}");
                }
                (outcome, _) => panic!("case {number}, race: {race}: {outcome:?}"),
            }
            assert_eq!((took, seconds), (expected.1, expected.2), "case {number}, race: {race}");
        }
    }
}

struct Flag(Arc<AtomicBool>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn the_one_that_lost_is_dropped() {
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&dropped));
    let first = async move {
        let _flag = flag;
        std::future::pending::<Result<u32, Error>>().await
    };
    let raced = Hedge::after("test", DELAY).race(first, || async { Ok(2) }).await.unwrap();
    assert_eq!(raced, Raced { value: 2, winner: Contender::Second });
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn retries_and_hedges_share_one_budget() {
    let budget = RetryBudget::new(0.1, 0.0).with_window(Duration::from_hours(1));
    let hedge = Hedge::after("test", DELAY).with_budget(budget.clone());
    let seconds = AtomicU32::new(0);
    for _ in 0..100 {
        let raced = hedge
            .run(|contender| {
                seconds.fetch_add(u32::from(contender == Contender::Second), Ordering::SeqCst);
                answer(500, Ok("late"))
            })
            .await
            .unwrap();
        assert_eq!(raced.value, "late");
    }
    assert_eq!(seconds.load(Ordering::SeqCst), 10);
    assert!(!budget.withdraw(), "nothing is left for a retry");
}

#[tokio::test(start_paused = true)]
async fn a_hedge_around_retries_of_the_same_budget_earns_once_a_call() {
    for millis in [10, 200] {
        let budget = RetryBudget::new(0.2, 0.0).with_window(Duration::from_hours(100));
        let policy = RetryPolicy::new("test")
            .with_backoff(Backoff::constant(Duration::from_millis(1)))
            .with_budget(budget.clone());
        let hedge = Hedge::after("test", DELAY).with_budget(budget);
        let calls = AtomicU32::new(0);
        for _ in 0..500 {
            let retried = |_| {
                policy.run(|_| {
                    calls.fetch_add(1, Ordering::SeqCst);
                    answer(millis, Err(ErrorKind::Unavailable))
                })
            };
            hedge.run(retried).await.unwrap_err();
        }
        assert_eq!(calls.load(Ordering::SeqCst), 600, "a fifth more than the calls that were wanted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_call_reaches_the_other_callee_whatever_the_budget() {
    let hedge = Hedge::after("test", DELAY).with_budget(RetryBudget::new(0.0, 0.0));
    for millis in [10, 80] {
        let raced =
            hedge.race(answer(millis, Err(ErrorKind::CircuitOpen)), || answer(5, Ok("b"))).await.unwrap();
        assert_eq!(raced.winner, Contender::Second);
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_learned_and_the_overtaken_count_too() {
    let hedge = Hedge::at_percentile("test", 0.95, Duration::from_secs(1));
    assert_eq!(hedge.delay(), Duration::from_secs(1));
    for number in 0..64 {
        hedge.run(|_| answer(10 + number % 4, Ok("quick"))).await.unwrap();
    }
    assert_eq!(hedge.delay(), Duration::from_millis(13));
    let raced = hedge.race(std::future::pending(), || answer(0, Ok("other"))).await.unwrap();
    assert_eq!(raced.winner, Contender::Second);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_turned_away_teach_no_delay_and_answers_of_every_kind_do() {
    use ErrorKind::{CircuitOpen, NotFound, Unavailable};
    let learned = async |first: (u64, Result<&'static str, ErrorKind>)| {
        let hedge = Hedge::at_percentile("test", 0.95, DELAY);
        for _ in 0..64 {
            let _ = hedge.run(|_| answer(first.0, first.1)).await;
            let _ = hedge.race(answer(first.0, first.1), || answer(5, Ok("b"))).await;
        }
        hedge.delay()
    };
    for failed in [(0, Err(CircuitOpen)), (3, Err(Unavailable)), (52, Err(Unavailable))] {
        assert_eq!(learned(failed).await, DELAY, "{failed:?}");
    }
    for answered in [(20, Ok("a")), (20, Err(NotFound))] {
        assert_eq!(learned(answered).await, Duration::from_millis(20), "{answered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_budget_used_up_another_callee_is_asked_after_the_time_for_that() {
    let hedge = Hedge::after("test", DELAY)
        .with_budget(RetryBudget::new(0.0, 0.0))
        .with_failover_after(Duration::from_millis(120));
    let began = tokio::time::Instant::now();
    let raced = hedge.race(answer(500, Ok("a")), || answer(10, Ok("b"))).await.unwrap();
    assert_eq!((raced.winner, began.elapsed()), (Contender::Second, Duration::from_millis(130)));

    let began = tokio::time::Instant::now();
    let raced = hedge.race(answer(100, Ok("a")), || answer(10, Ok("b"))).await.unwrap();
    assert_eq!((raced.winner, began.elapsed()), (Contender::First, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_grows_slow_does_not_teach_more_patience_than_the_longest_delay() {
    let hedge = Hedge::at_percentile("test", 0.95, DELAY).with_longest_delay(Duration::from_millis(80));
    for _ in 0..64 {
        hedge.race(answer(500, Ok("a")), || answer(500, Ok("b"))).await.unwrap();
    }
    assert_eq!(hedge.delay(), Duration::from_millis(80));
    assert_eq!(
        hedge.with_longest_delay(Duration::MAX).with_shortest_delay(Duration::from_mins(1)).delay(),
        Duration::from_mins(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_stopped_answering_costs_the_delay_and_no_budget() {
    let (longest, failover) = (DELAY, Duration::from_millis(120));
    let hedge = Hedge::at_percentile("test", 0.95, DELAY)
        .with_longest_delay(longest)
        .with_budget(RetryBudget::new(0.0, 0.0))
        .with_failover_after(failover);
    for _ in 0..64 {
        hedge.race(answer(10, Ok("a")), || answer(10, Ok("b"))).await.unwrap();
    }
    let ask = async || {
        let began = tokio::time::Instant::now();
        let raced = hedge.race(std::future::pending(), || answer(10, Ok("b"))).await.unwrap();
        assert_eq!(raced.winner, Contender::Second);
        began.elapsed().as_millis()
    };
    assert_eq!([ask().await, ask().await, ask().await, ask().await, ask().await], [130, 130, 130, 20, 20]);
    // one that answers again has to be waited for as before
    hedge.race(answer(10, Ok("a")), || answer(10, Ok("b"))).await.unwrap();
    assert_eq!(ask().await, 130);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_usually_takes_longer_than_is_waited_is_hedged_by_the_budget_only() {
    let hedge = Hedge::at_percentile("test", 0.95, DELAY)
        .with_longest_delay(DELAY)
        .with_budget(RetryBudget::new(0.0, 0.0))
        .with_failover_after(Duration::from_millis(120));
    for number in 0..64 {
        let raced = hedge.race(answer(80, Ok("a")), || answer(1, Ok("b"))).await.unwrap();
        assert_eq!(raced.winner, Contender::First, "{number}");
    }
}

#[tokio::test]
async fn the_second_call_is_not_late_by_what_timers_round_up_nor_before_answers_usually_come() {
    for (usual, due) in [(2_000, 9_001), (9_500, 9_500), (10_000, 10_000), (70_000, 50_000)] {
        let clock = ManualClock::new();
        let [usual, before] = [usual, due - 1].map(Duration::from_micros);
        let hedge = Hedge::at_percentile("search", 0.95, Duration::from_millis(50))
            .with_shortest_delay(Duration::from_millis(10))
            .with_longest_delay(Duration::from_millis(50))
            .with_clock(Arc::new(clock.clone()));
        for _ in 0..20 {
            let answer = async {
                clock.advance(usual);
                Ok::<_, Error>("a")
            };
            hedge.race(answer, || async { Ok("b") }).await.unwrap();
        }
        let asked = AtomicBool::new(false);
        let second = || async {
            asked.store(true, Ordering::SeqCst);
            Ok::<_, Error>("b")
        };
        let passing = async {
            for (passes, is_due) in [(before, false), (Duration::from_micros(1), true)] {
                clock.advance(passes);
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(asked.load(Ordering::SeqCst), is_due, "{usual:?} {passes:?}");
            }
        };
        let (raced, ()) = tokio::join!(hedge.race(std::future::pending(), second), passing);
        assert_eq!(raced.unwrap().value, "b");
    }
}
