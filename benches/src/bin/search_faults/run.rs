//! A run of one subject under one fault: what is measured, and what is asked of it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::cache::RedisCache;
use pumasi_core::resilience::BreakerState;
use pumasi_search::{PageCache, Search, SearchEngine as _};
use serde_json::{Value, json};

use crate::engines::{Names, Rows, Wire, query};
use crate::faults::{Action, Case, Place, Switch};
use crate::load::{Pulse, Sample, What, open_loop, percentile, settled};
use crate::subject::{Ask, DEADLINE, Got, How, Kind, PROBE};
use crate::{AFTER, BEFORE, Options, STARTS};

/// What was measured.
pub(crate) struct Run {
    pub(crate) kind: Kind,
    name: &'static str,
    cached: bool,
    requests: usize,
    failed: usize,
    late: usize,
    lies: usize,
    p99: f64,
    bounds: Bounds,
    switch: Option<(f64, usize)>,
    recovery: Option<f64>,
    stays: usize,
    tasks: (usize, usize),
    missed: Vec<&'static str>,
    beside: Beside,
}

/// What the p99 in the fault may be: the hedge's delay and a quarter more than the p99 of the fallback alone.
#[derive(Clone, Copy)]
struct Bounds {
    delay: f64,
    /// As the fallback was before the fault: the bar.
    healthy: f64,
    /// As it was, asked by itself, in the same seconds: what the machine and the requests that came over to it made of it.
    same_seconds: f64,
}

/// What helps to read a run.
struct Beside {
    /// The moments, in milliseconds from the beginning, at which the primary's circuit changed.
    circuit: Vec<(u64, &'static str)>,
    /// What share of the answers was the primary's before the fault, in percent.
    primary_before: usize,
    /// How many requests reached the primary in the fault.
    reached: u64,
    /// When the first request failed and when the last, in milliseconds from the beginning, and what the first one was told.
    failures: Option<(u64, u64, String)>,
    /// How many of the requests to the fallback alone failed.
    fallback_failed: usize,
    /// For how long, in milliseconds, a thread, the runtime of the requests and that of the proxies stood still.
    still: [u64; 3],
}

impl Run {
    pub(crate) fn kept(&self) -> bool {
        self.missed.is_empty()
    }

    pub(crate) fn json(&self) -> Value {
        let Beside { circuit, primary_before, reached, failures, fallback_failed, still } = &self.beside;
        let failures = failures.as_ref();
        json!({
            "subject": self.kind.name(), "fault": self.name, "cache": self.cached, "requests": self.requests,
            "failed": self.failed, "late": self.late, "unflagged_partial": self.lies,
            "p99_ms": round(self.p99), "bound_ms": round(self.bounds.healthy),
            "bound_by_same_seconds_ms": round(self.bounds.same_seconds), "hedge_delay_ms": round(self.bounds.delay),
            "switch_ms": self.switch.map(|(ms, _)| round(ms)), "switch_requests": self.switch.map(|(_, number)| number),
            "recovery_ms": self.recovery.map(round), "stays_on_primary": self.stays, "reached_primary": reached,
            "tasks_before": self.tasks.0, "tasks_after": self.tasks.1, "missed": self.missed,
            "primary_before_percent": primary_before, "circuit": circuit,
            "failed_from_to_ms": failures.map(|(first, last, _)| [first, last]), "first_error": failures.map(|(.., error)| error),
            "fallback_alone_failed": fallback_failed,
            "stood_still_ms": { "machine": still[0], "requests": still[1], "proxies": still[2] },
        })
    }
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The fallback by itself, on connections of its own, so that it meets with what the machine does at that moment and with nothing else.
fn alone(rows: Rows) -> Ask {
    Arc::new(move |tag| {
        let rows = rows.clone();
        Box::pin(async move {
            let page = rows.search(&query(tag), DEADLINE).await?;
            Ok(Got { ids: page.ids().into_iter().map(str::to_owned).collect(), served: How::Flagged })
        })
    })
}

/// Notes how the primary's circuit changes, until `time` is over.
async fn circuit(search: Option<Search>, time: Duration) -> Vec<(u64, &'static str)> {
    let (began, mut last, mut changes) = (Instant::now(), BreakerState::Closed, Vec::new());
    let Some(search) = search else { return changes };
    while began.elapsed() < time {
        let state = search.engines().into_iter().find_map(|engine| engine.circuit).unwrap_or(last);
        if state != last {
            changes.push((millis(began.elapsed()), state.as_str()));
            last = state;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    changes
}

pub(crate) async fn run(
    kind: Kind,
    case: &Case,
    repeat: u32,
    options: &Options,
    place: &Arc<Place>,
    expected: &Arc<Vec<Vec<String>>>,
) -> Run {
    let cached = repeat % 2 == 1 || matches!(case.action, Action::Redis(_));
    let cache = cached.then(|| match (&place.redis, case.action) {
        (Some(redis), Action::Redis(_)) => {
            let url = format!("redis://127.0.0.1:{}", redis.port);
            let cache = RedisCache::open(&url).expect("a cache").with_prefix("search_faults:");
            PageCache::shared(Arc::new(cache), "faults").with_max_age(Duration::from_millis(500))
        }
        _ => PageCache::memory(1_000).with_max_age(Duration::from_millis(500)),
    });
    let names = Names::default();
    let rows = Rows::new(place.pool());
    // a pool that nobody has asked yet opens its connections when the fault comes
    let ask = |tag| {
        let rows = &rows;
        async move { rows.search(&query(tag), DEADLINE).await.is_ok() }
    };
    let _warm = futures_util::future::join_all((0..64).map(ask)).await;
    let subject = kind.build(Wire::new(place.engine.port, &names), rows, cache);
    let alone = alone(Rows::new(place.pool()));
    let _warm = open_loop(&alone, options.rate, Duration::from_millis(500), expected).await;
    let _warm = open_loop(&subject.ask, options.rate, Duration::from_millis(1_000), expected).await;

    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let fault = match case.action {
        Action::Flap(period) => Duration::from_secs(options.seconds).max(Duration::from_millis(period * 2)),
        _ => Duration::from_secs(options.seconds),
    };
    let starts = if case.action == Action::Kill { STARTS } else { Duration::ZERO };
    let whole = BEFORE + fault + starts + AFTER;
    let (thread, runtime) = (Pulse::of_a_thread(), Pulse::of_the_runtime());
    let _earlier = place.pulse.longest();
    let suffering = tokio::spawn({
        let (place, names, ask, action) =
            (Arc::clone(place), names.clone(), Arc::clone(&subject.ask), case.action);
        let search = subject.search.clone();
        let began = Instant::now();
        async move {
            tokio::time::sleep(BEFORE).await;
            let delay = search.and_then(|search| search.hedge_delay("engine"));
            let before = place.engine.requests.load(SeqCst);
            place.suffer(action, fault, &names, &ask).await;
            (delay, place.engine.requests.load(SeqCst) - before, began.elapsed())
        }
    });
    let (samples, apart, changes) = tokio::join!(
        open_loop(&subject.ask, options.rate, whole, expected),
        open_loop(&alone, options.rate, whole, expected),
        tokio::spawn(circuit(subject.search.clone(), whole)),
    );
    let (delay, reached, mended) = suffering.await.expect("the fault was made");
    let still = [thread.longest(), runtime.longest(), place.pulse.longest()];
    drop((thread, runtime));
    tokio::time::sleep(Duration::from_millis(1_200)).await;

    // without a hedge the bar is that of the longest one
    let longest = Duration::from_millis(50);
    let delay = delay.map_or(longest, |delay| delay.min(longest)).as_secs_f64() * 1e3;
    let bound = |from: Duration, to: Duration| {
        let within: Vec<&Sample> =
            apart.iter().filter(|sample| sample.at >= from && sample.at < to).collect();
        1.25_f64.mul_add(percentile(&within, 0.99), delay)
    };
    let bounds =
        Bounds { delay, healthy: bound(Duration::ZERO, BEFORE), same_seconds: bound(BEFORE, mended) };
    let beside = Beside {
        circuit: changes.unwrap_or_default(),
        primary_before: 0,
        reached,
        failures: None,
        fallback_failed: apart.iter().filter(|sample| matches!(sample.what, What::Failed(..))).count(),
        still,
    };
    judge(kind, case, cached, &samples, mended, bounds, (before, tasks()), beside)
}

#[allow(clippy::too_many_arguments, reason = "what was measured")]
fn judge(
    kind: Kind,
    case: &Case,
    cached: bool,
    samples: &[Sample],
    to: Duration,
    bounds: Bounds,
    tasks: (usize, usize),
    mut beside: Beside,
) -> Run {
    let from = BEFORE;
    let both = matches!(case.action, Action::Both(_));
    let during: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= from && sample.at < to).collect();
    let after: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= to).collect();
    let typed = |sample: &Sample| {
        both && sample.at + DEADLINE >= from
            && matches!(sample.what, What::Failed(ErrorKind::Unavailable | ErrorKind::Timeout, _))
    };
    let failures: Vec<(u64, &String)> = samples
        .iter()
        .filter(|sample| !typed(sample))
        .filter_map(|sample| match &sample.what {
            What::Failed(_, error) => Some((millis(sample.at), error)),
            _ => None,
        })
        .collect();
    let failed = failures.len();
    if let (Some((first, error)), Some((last, _))) = (failures.first(), failures.last()) {
        beside.failures = Some((*first, *last, (*error).clone()));
    }
    // with both gone, an answer in part is the best there is
    let lies = samples.iter().filter(|sample| sample.what == What::Lie).count();
    let late = samples.iter().filter(|sample| sample.took > DEADLINE + Duration::from_millis(50)).count();
    // what the cache answered says nothing of who was asked
    let asked: Vec<&Sample> =
        during.iter().copied().filter(|sample| sample.what != What::Right(How::Cached)).collect();
    let switch = settled(&asked, from, 99, |sample| sample.what != What::Right(How::Fresh))
        .map(|(time, number)| (time.as_secs_f64() * 1e3, number));
    // a primary that is slower than the hedge waits is overtaken when all is well, too: it is back when it answers as often as before,
    // but for one in twenty, and its circuit is closed for good
    let primary = |sample: &Sample| matches!(sample.what, What::Right(How::Fresh | How::Cached));
    let ahead: Vec<&Sample> = samples.iter().filter(|sample| sample.at < from).collect();
    beside.primary_before = ahead.iter().filter(|sample| primary(sample)).count() * 100 / ahead.len().max(1);
    let let_in = match beside.circuit.last() {
        None => Some(Duration::ZERO),
        Some((at, state)) => (*state == "closed").then(|| Duration::from_millis(*at).saturating_sub(to)),
    };
    let recovery = settled(&after, to, beside.primary_before * 95 / 100, primary)
        .zip(let_in)
        .map(|((time, _), let_in)| time.max(let_in).as_secs_f64() * 1e3);
    let mut stays = 0;
    let mut row = 0;
    for sample in &asked {
        row = if sample.what == What::Right(How::Fresh) { row + 1 } else { 0 };
        stays += usize::from(row == 20);
    }
    let p99 = percentile(&during, 0.99);
    let mut missed = Vec::new();
    let mut bar = |kept: bool, name| {
        if !kept {
            missed.push(name);
        }
    };
    bar(failed == 0, "failed");
    bar(late == 0, "deadline");
    bar(lies == 0, "unflagged");
    if !both && case.switch != Switch::Free {
        bar(p99 <= bounds.healthy, "p99");
    }
    match (case.switch, switch) {
        (Switch::Free, _) => {}
        (Switch::Fast, Some((ms, requests))) => bar(ms <= 100.0 || requests <= 20, "switch"),
        (Switch::Hedged, Some((ms, _))) => bar(ms <= bounds.delay + 100.0, "switch"),
        (_, None) => bar(false, "switch"),
    }
    if matches!(case.action, Action::Flap(_)) {
        bar(stays as u64 <= 1 + (to - from).as_secs() / 10 + 1, "oscillation");
    } else {
        let within = (PROBE + Duration::from_secs(1)).as_secs_f64() * 1e3;
        bar(recovery.is_some_and(|ms| ms <= within), "recovery");
    }
    bar(tasks.1 <= tasks.0 + tasks.0 / 20 + 16, "tasks");
    Run {
        kind,
        name: case.name,
        cached,
        requests: samples.len(),
        failed,
        late,
        lies,
        p99,
        bounds,
        switch,
        recovery,
        stays,
        tasks,
        missed,
        beside,
    }
}

/// The worst run of each subject and fault.
pub(crate) fn table(runs: &[Run]) -> String {
    let mut text = String::from(
        "\n| subject | fault | failed | unflagged | p99 ms (bound; by the same seconds) | switch ms (requests) | recovery ms | tasks | missed |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let mut shown: Vec<(Kind, &str)> = Vec::new();
    for run in runs {
        if shown.contains(&(run.kind, run.name)) {
            continue;
        }
        shown.push((run.kind, run.name));
        let same = || runs.iter().filter(|other| other.kind == run.kind && other.name == run.name);
        let worst = same().max_by(|a, b| {
            (a.failed + a.lies, a.missed.len())
                .cmp(&(b.failed + b.lies, b.missed.len()))
                .then(a.p99.total_cmp(&b.p99))
        });
        let Some(worst) = worst else { continue };
        let number = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"));
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {:.0} ({:.0}; {:.0}) | {} ({}) | {} | {}→{} | {} |",
            run.kind.name(),
            run.name,
            worst.failed,
            worst.requests,
            worst.lies,
            worst.p99,
            worst.bounds.healthy,
            worst.bounds.same_seconds,
            number(worst.switch.map(|(ms, _)| ms)),
            worst.switch.map_or_else(|| "–".to_owned(), |(_, requests)| requests.to_string()),
            number(worst.recovery),
            worst.tasks.0,
            worst.tasks.1,
            worst.missed.join(", "),
        );
    }
    text
}
