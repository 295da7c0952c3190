//! Circuit breakers beside each other: what each does with a callee that hangs, and what a healthy call costs; as JSON.
//!
//! `cargo run --release -p benches --features breakers --bin breakers`
//!
//! | | question |
//! |---|---|
//! | A | a callee that never answers, the caller's deadline of 5 ms outside the breaker, 60 calls: how many reach it? |
//! | B | half open, 200 callers at once: how many are let through? |
//! | C | the probe is dropped as soon as it is made: is the next one let through? |
//! | D | the probe hangs for ever: is another one let through within 200 ms? |
//!
//! Every breaker is told to open at five failures, and the ones that know slow calls, at half of the calls slower than 2 ms.
//! Ends with exit code 1 when ours misses its bars: A at most 5, B at most 1, C and D yes, and a healthy call through
//! breaker, deadline and budget within 300 ns of CPU time.

use std::future::Future;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use benches::cpu;
use failsafe::futures::CircuitBreaker as _;
use failsafe::{backoff, failure_policy};
use futures_util::TryFutureExt;
use pumasi_core::resilience::{Backoff, BreakerWindow, CircuitBreaker, RetryBudget, Timeout};
use pumasi_core::{Error, ErrorKind};
use recloser::{AsyncRecloser, Recloser};
use serde_json::{Value, json};
use tower::{ServiceExt, service_fn};
use tower_resilience::circuitbreaker::CircuitBreakerLayer;

const SLOW: Duration = Duration::from_millis(2);
const DEADLINE: Duration = Duration::from_millis(5);
const OPEN_FOR: Duration = Duration::from_millis(50);
const CALLS: u32 = 200_000;

type Call = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A breaker as something that makes calls; what it makes of the outcome is told by which calls it lets through.
type Contender = Arc<dyn Fn(Call) -> Call + Send + Sync>;

fn failed() -> Error {
    Error::new(ErrorKind::Unavailable, "down")
}

fn ours() -> CircuitBreaker {
    CircuitBreaker::new("bench", SLOW)
        .with_window(BreakerWindow::Calls(NonZeroU32::MIN.saturating_add(4)))
        .with_minimum_throughput(5)
        .with_probes(NonZeroU32::MIN)
        .with_open_for(Backoff::constant(OPEN_FOR))
        .with_probe_lease(Duration::from_millis(100))
}

fn failsafe() -> impl failsafe::futures::CircuitBreaker + Clone {
    let policy = failure_policy::consecutive_failures(5, backoff::constant(OPEN_FOR));
    failsafe::Config::new().failure_policy(policy).build()
}

fn recloser() -> AsyncRecloser {
    let breaker =
        Recloser::custom().error_rate(0.5).closed_len(5).half_open_len(1).open_wait(OPEN_FOR).build();
    AsyncRecloser::from(breaker)
}

fn tower_layer() -> CircuitBreakerLayer {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(5)
        .minimum_number_of_calls(5)
        .slow_call_duration_threshold(SLOW)
        .slow_call_rate_threshold(0.5)
        .wait_duration_in_open(OPEN_FOR)
        .permitted_calls_in_half_open(1)
        .build()
        .expect("a valid configuration")
}

/// Makes a breaker that is closed and has counted nothing.
type Make = fn() -> Contender;

fn contenders() -> [(&'static str, Make); 4] {
    [
        ("pumasi", || {
            let breaker = ours();
            Arc::new(move |call| {
                let breaker = breaker.clone();
                Box::pin(async move { breaker.call(call).await })
            })
        }),
        ("failsafe", || {
            let breaker = failsafe();
            Arc::new(move |call| {
                let breaker = breaker.clone();
                Box::pin(async move { breaker.call(call).await.map_err(|_| failed()) })
            })
        }),
        ("recloser", || {
            let breaker = recloser();
            Arc::new(move |call| {
                let breaker = breaker.clone();
                Box::pin(async move { breaker.call(call).await.map_err(|_| failed()) })
            })
        }),
        ("tower-resilience", || {
            let service = tower_layer().layer_fn(service_fn(made));
            Arc::new(move |call| {
                let outcome = service.clone().oneshot(call);
                Box::pin(outcome.map_err(|_| failed()))
            })
        }),
    ]
}

fn made(call: Call) -> Call {
    call
}

/// A call that counts that it was made, and then does as it is told.
fn counted(
    reached: &Arc<AtomicUsize>,
    then: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Call {
    let reached = Arc::clone(reached);
    Box::pin(async move {
        reached.fetch_add(1, SeqCst);
        then.await
    })
}

/// Opens the breaker by failures and waits until it is half open.
async fn half_open(breaker: &Contender) {
    for _ in 0..20 {
        let _failed = breaker(Box::pin(async { Err(failed()) })).await;
    }
    tokio::time::sleep(OPEN_FOR * 2).await;
}

async fn black_hole(breaker: Contender) -> usize {
    let reached = Arc::default();
    for _ in 0..60 {
        let _cut = tokio::time::timeout(DEADLINE, breaker(counted(&reached, std::future::pending()))).await;
    }
    reached.load(SeqCst)
}

async fn stampede(breaker: Contender) -> usize {
    half_open(&breaker).await;
    let reached = Arc::default();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let slow = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(())
            };
            tokio::spawn(breaker(counted(&reached, slow)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let at_once = reached.load(SeqCst);
    for call in calls {
        let _outcome = call.await;
    }
    at_once
}

async fn dropped_probe(breaker: Contender) -> bool {
    half_open(&breaker).await;
    let reached = Arc::default();
    let _cut = tokio::time::timeout(Duration::ZERO, breaker(counted(&reached, std::future::pending()))).await;
    breaker(counted(&reached, async { Ok(()) })).await.is_ok()
}

async fn hanging_probe(breaker: Contender) -> bool {
    half_open(&breaker).await;
    let reached = Arc::default();
    let probe = tokio::spawn(breaker(counted(&reached, std::future::pending())));
    let mut through = false;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        through |= breaker(counted(&reached, async { Ok(()) })).await.is_ok();
    }
    probe.abort();
    through
}

/// Nanoseconds of CPU time for one call, the least of seven rounds.
async fn nanos<Fut: Future>(mut call: impl FnMut() -> Fut) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..7 {
        let before = cpu();
        for _ in 0..CALLS {
            std::hint::black_box(call().await);
        }
        best = best.min((cpu() - before).as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    best.round()
}

fn ready() -> std::future::Ready<Result<(), Error>> {
    std::future::ready(Ok(()))
}

async fn costs() -> (Value, f64) {
    let (breaker, deadline, budget) =
        (ours(), Timeout::new("bench", Duration::from_secs(1)), RetryBudget::new(0.05, 1.0));
    let (failsafe, recloser) = (failsafe(), recloser());
    let plain = service_fn(|()| ready());
    let tower = tower_layer().layer_fn(plain);
    let whole = nanos(|| {
        budget.deposit();
        deadline.run(breaker.call(ready()))
    })
    .await;
    let costs = json!({
        "pumasi: breaker + deadline + budget": whole,
        "pumasi: breaker": nanos(|| breaker.call(ready())).await,
        "failsafe": nanos(|| failsafe.call(ready())).await,
        "failsafe + tokio's timeout": nanos(|| tokio::time::timeout(DEADLINE, failsafe.call(ready()))).await,
        "recloser": nanos(|| recloser.call(ready())).await,
        "recloser + tokio's timeout": nanos(|| tokio::time::timeout(DEADLINE, recloser.call(ready()))).await,
        "tower, a plain service": nanos(|| plain.oneshot(())).await,
        "tower-resilience": nanos(|| tower.clone().oneshot(())).await,
        "tower-resilience + tokio's timeout": nanos(|| tokio::time::timeout(DEADLINE, tower.clone().oneshot(()))).await,
    });
    (costs, whole)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut behaviour = serde_json::Map::new();
    let mut kept = true;
    for (name, make) in contenders() {
        let (a, b) = (black_hole(make()).await, stampede(make()).await);
        let (c, d) = (dropped_probe(make()).await, hanging_probe(make()).await);
        if name == "pumasi" {
            kept = a <= 5 && b <= 1 && c && d;
        }
        behaviour.insert(name.to_owned(), json!({ "A": a, "B": b, "C": c, "D": d }));
    }
    let (nanos_a_call, whole) = costs().await;
    let report =
        json!({ "behaviour": behaviour, "nanos_a_call": nanos_a_call, "kept": kept && whole <= 300.0 });
    println!("{report:#}");
    if kept && whole <= 300.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
