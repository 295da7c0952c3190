//! The faults, how each is made, and what is asked of whoever is under it.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::ErrorKind;
use pumasi_core::cache::RedisCache;
use pumasi_search::PageCache;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::engines::{Names, Rows, Wire};
use crate::load::{Sample, What, open_loop, percentile, settled};
use crate::proxy::{Fault, Proxy};
use crate::subject::{Ask, DEADLINE, How, Kind, PROBE};
use crate::{AFTER, BEFORE, Options, subject_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Engine(Fault),
    /// Refused and well again, each for so many milliseconds.
    Flap(u64),
    Names(u8),
    /// Connections that are kept alive are closed, once.
    Cut,
    Redis(Fault),
    Both(Fault),
    Kill,
    /// Calls that are dropped at random, beside the load.
    Cancel,
}

/// How soon the other backend has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    /// Within 100 ms, or 20 requests.
    Fast,
    /// Within the hedge's delay and 100 ms.
    Hedged,
    /// It does not have to: the primary still answers in part of the cases.
    Free,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    action: Action,
    switch: Switch,
    /// Whether it is part of the short form: one of each number.
    pub(crate) short: bool,
    /// Whether the controls are put under it.
    pub(crate) control: bool,
}

pub(crate) fn all() -> Vec<Case> {
    use Switch::{Fast, Free, Hedged};
    let variant = |name, action, switch| Case { name, action, switch, short: false, control: false };
    let case = |name, action, switch| Case { short: true, ..variant(name, action, switch) };
    let control = |name, action, switch| Case { control: true, ..case(name, action, switch) };
    let engine = Action::Engine;
    vec![
        control("F1 refused", engine(Fault::Refused), Fast),
        control("F2 accepts, never answers", engine(Fault::Silent), Hedged),
        case("F3 black hole", engine(Fault::Hole), Hedged),
        variant("F4 50 ms late", engine(Fault::Slow(50)), Free),
        case("F4 500 ms late", engine(Fault::Slow(500)), Hedged),
        variant("F4 5 s late", engine(Fault::Slow(5_000)), Hedged),
        variant("F4 a byte a second", engine(Fault::Drip), Hedged),
        case("F5 503 always", engine(Fault::Failing(100)), Fast),
        variant("F5 503 half of the time", engine(Fault::Failing(50)), Free),
        variant("F5 503 for one in ten", engine(Fault::Failing(10)), Free),
        case("F6 429", engine(Fault::Limited(false)), Fast),
        variant("F6 429 with retry-after", engine(Fault::Limited(true)), Fast),
        variant("F7 malformed JSON", engine(Fault::Malformed), Fast),
        case("F7 truncated body", engine(Fault::Truncated), Fast),
        variant("F7 wrong length", engine(Fault::WrongLength), Fast),
        variant("F7 HTML with 200", engine(Fault::Html), Fast),
        variant("F8 timed_out", engine(Fault::TimedOut), Fast),
        case("F8 failed shards", engine(Fault::Shards), Fast),
        case("F9 wiped index", engine(Fault::Wiped), Fast),
        case("F10 reset in mid-body", engine(Fault::Reset), Fast),
        case("F11 flaps every 200 ms", Action::Flap(200), Free),
        variant("F11 flaps every second", Action::Flap(1_000), Free),
        variant("F11 flaps every 5 s", Action::Flap(5_000), Free),
        case("F12 name not known", Action::Names(1), Fast),
        variant("F12 names come late", Action::Names(2), Hedged),
        case("F13 idle connections closed", Action::Cut, Free),
        variant("F14 cache refused", Action::Redis(Fault::Refused), Free),
        case("F14 cache silent", Action::Redis(Fault::Silent), Free),
        variant("F14 cache slow", Action::Redis(Fault::Slow(200)), Free),
        case("F15 both refused", Action::Both(Fault::Refused), Free),
        case("F15 both silent", Action::Both(Fault::Silent), Free),
        case("F16 killed and started again", Action::Kill, Fast),
        case("cancellation storm", Action::Cancel, Free),
    ]
}

/// The servers and the proxies before them.
pub(crate) struct Place {
    pub(crate) engine: Proxy,
    database: Proxy,
    redis: Option<Proxy>,
    postgres: PgConnectOptions,
    stand_in: Option<Mutex<StandIn>>,
}

struct StandIn {
    port: u16,
    child: Child,
}

impl StandIn {
    fn start(port: u16) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program).args(["--serve", &port.to_string()]).spawn();
        Ok(Self { port, child: child.map_err(|error| error.to_string())? })
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.kill();
    }
}

fn address(url: &str, port: u16) -> Option<SocketAddr> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next()?.rsplit('@').next()?;
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    std::net::ToSocketAddrs::to_socket_addrs(&host).ok()?.next()
}

impl Place {
    pub(crate) async fn build(opensearch: bool) -> Result<Self, String> {
        let url = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
        let server =
            url("PUMASI_POSTGRES_URL").ok_or("PUMASI_POSTGRES_URL is not set: it is the fallback")?;
        let postgres: PgConnectOptions = server.parse().map_err(|_| "PUMASI_POSTGRES_URL is no URL")?;
        let upstream = address(&server, 5432).ok_or("PUMASI_POSTGRES_URL has no address")?;
        let database = Proxy::before(upstream, false).await;
        let redis = match url("PUMASI_REDIS_URL").and_then(|url| address(&url, 6379)) {
            Some(upstream) => Some(Proxy::before(upstream, false).await),
            None => None,
        };
        let (engine, stand_in) = if opensearch {
            let server = url("PUMASI_OPENSEARCH_URL").ok_or("PUMASI_OPENSEARCH_URL is not set")?;
            let upstream = address(&server, 9200).ok_or("PUMASI_OPENSEARCH_URL has no address")?;
            (Proxy::before(upstream, true).await, None)
        } else {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let free = free.map_err(|error| error.to_string())?;
            let stand_in = StandIn::start(free.port())?;
            (Proxy::before(free, true).await, Some(Mutex::new(stand_in)))
        };
        let place = Self { engine, database, redis, postgres, stand_in };
        if opensearch {
            let wire = Wire::new(place.engine.port, &Names::default());
            wire.fill().await.map_err(|error| error.to_string())?;
        } else {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Rows::new(place.pool()).fill().await.map_err(|error| error.to_string())?;
        Ok(place)
    }

    pub(crate) fn pool(&self) -> PgPool {
        let behind = self.postgres.clone().host("127.0.0.1").port(self.database.port);
        PgPoolOptions::new().max_connections(16).min_connections(4).connect_lazy_with(behind)
    }

    pub(crate) fn can(&self, case: &Case) -> bool {
        let lacks = match case.action {
            Action::Kill if self.stand_in.is_none() => "the shared server is not killed",
            Action::Redis(_) if self.redis.is_none() => "PUMASI_REDIS_URL is not set",
            _ => return true,
        };
        eprintln!("skipped: {}: {lacks}", case.name);
        false
    }

    fn stand_in(&self, with: impl FnOnce(&mut StandIn)) {
        if let Some(stand_in) = &self.stand_in {
            with(&mut stand_in.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        }
    }

    /// Makes the fault for `time` and mends it.
    async fn suffer(&self, action: Action, time: Duration, names: &Names, ask: &Ask) {
        match action {
            Action::Engine(fault) => {
                self.engine.set(fault);
                tokio::time::sleep(time).await;
                self.engine.set(Fault::None);
            }
            Action::Flap(period) => {
                let ends = tokio::time::Instant::now() + time;
                while tokio::time::Instant::now() < ends {
                    self.engine.set(Fault::Refused);
                    tokio::time::sleep(Duration::from_millis(period)).await;
                    self.engine.set(Fault::None);
                    tokio::time::sleep(Duration::from_millis(period)).await;
                }
            }
            Action::Names(mode) => {
                names.set(mode);
                self.engine.cut();
                tokio::time::sleep(time).await;
                names.set(0);
            }
            Action::Cut => {
                self.engine.cut();
                tokio::time::sleep(time).await;
            }
            Action::Redis(fault) => {
                if let Some(redis) = &self.redis {
                    redis.set(fault);
                    tokio::time::sleep(time).await;
                    redis.set(Fault::None);
                    redis.cut();
                }
            }
            Action::Both(fault) => {
                self.engine.set(fault);
                self.database.set(fault);
                tokio::time::sleep(time).await;
                self.engine.set(Fault::None);
                self.database.set(Fault::None);
                self.database.cut();
            }
            Action::Kill => {
                self.stand_in(StandIn::kill);
                tokio::time::sleep(time).await;
                self.stand_in(|stand_in| {
                    if let Ok(new) = StandIn::start(stand_in.port) {
                        *stand_in = new;
                    }
                });
            }
            Action::Cancel => {
                let ends = tokio::time::Instant::now() + time;
                while tokio::time::Instant::now() < ends {
                    for _ in 0..10 {
                        let call = ask(fastrand::u64(..crate::engines::TAGS));
                        let cut = Duration::from_micros(fastrand::u64(..5_000));
                        tokio::spawn(async move { tokio::time::timeout(cut, call).await.is_ok() });
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// What was measured of one subject under one fault.
pub(crate) struct Run {
    pub(crate) kind: Kind,
    name: &'static str,
    cached: bool,
    requests: usize,
    failed: usize,
    late: usize,
    lies: usize,
    p99: f64,
    bound: f64,
    switch: Option<(f64, usize)>,
    recovery: Option<f64>,
    stays: usize,
    reached: u64,
    tasks: (usize, usize),
    missed: Vec<&'static str>,
}

impl Run {
    pub(crate) fn kept(&self) -> bool {
        self.missed.is_empty()
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "subject": self.kind.name(), "fault": self.name, "cache": self.cached, "requests": self.requests,
            "failed": self.failed, "late": self.late, "unflagged_partial": self.lies,
            "p99_ms": round(self.p99), "bound_ms": round(self.bound),
            "switch_ms": self.switch.map(|(ms, _)| round(ms)), "switch_requests": self.switch.map(|(_, number)| number),
            "recovery_ms": self.recovery.map(round), "stays_on_primary": self.stays, "reached_primary": self.reached,
            "tasks_before": self.tasks.0, "tasks_after": self.tasks.1, "missed": self.missed,
        })
    }
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
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
    let (subject, names, rows) = subject_of(kind, place, cache);

    // what the fallback needs by itself: asked beside, so that it meets with what the machine does at that moment
    let alone: Ask = Arc::new(move |tag| {
        let rows = rows.clone();
        Box::pin(async move {
            let page =
                pumasi_search::SearchEngine::search(&rows, &crate::engines::query(tag), DEADLINE).await?;
            let ids = page.ids().into_iter().map(str::to_owned).collect();
            Ok(crate::subject::Got { ids, served: How::Flagged })
        })
    });
    let _warm = open_loop(&alone, options.rate, Duration::from_millis(200), expected).await;
    let _warm = open_loop(&subject.ask, options.rate, Duration::from_millis(1_000), expected).await;

    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let fault = match case.action {
        Action::Flap(period) => Duration::from_secs(options.seconds).max(Duration::from_millis(period * 2)),
        _ => Duration::from_secs(options.seconds),
    };
    let whole = BEFORE + fault + AFTER;
    let reached_before = place.engine.requests.load(SeqCst);
    let suffering = tokio::spawn({
        let (place, names, ask, action) =
            (Arc::clone(place), names.clone(), Arc::clone(&subject.ask), case.action);
        let search = subject.search.clone();
        async move {
            tokio::time::sleep(BEFORE).await;
            let delay = search.and_then(|search| search.hedge_delay("engine"));
            let before = place.engine.requests.load(SeqCst);
            place.suffer(action, fault, &names, &ask).await;
            (delay, place.engine.requests.load(SeqCst) - before)
        }
    });
    let (samples, beside) = tokio::join!(
        open_loop(&subject.ask, options.rate, whole, expected),
        open_loop(&alone, options.rate, whole, expected)
    );
    let (delay, reached) =
        suffering.await.unwrap_or((None, place.engine.requests.load(SeqCst) - reached_before));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let after = tasks();

    // without a hedge the bar is that of the longest one
    let longest = Duration::from_millis(50);
    let delay = delay.map_or(longest, |delay| delay.min(longest)).as_secs_f64() * 1e3;
    let in_fault = |sample: &&Sample| sample.at >= BEFORE && sample.at < BEFORE + fault;
    let fallback_p99 = percentile(&beside.iter().filter(in_fault).collect::<Vec<_>>(), 0.99);
    let bound = 1.25_f64.mul_add(fallback_p99, delay);
    judge(kind, case, cached, &samples, fault, (delay, bound), reached, (before, after))
}

#[allow(clippy::too_many_arguments, reason = "what was measured")]
fn judge(
    kind: Kind,
    case: &Case,
    cached: bool,
    samples: &[Sample],
    fault: Duration,
    (delay, bound): (f64, f64),
    reached: u64,
    tasks: (usize, usize),
) -> Run {
    let (from, to) = (BEFORE, BEFORE + fault);
    let both = matches!(case.action, Action::Both(_));
    let during: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= from && sample.at < to).collect();
    let after: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= to).collect();
    let typed = |sample: &Sample| {
        both && sample.at + DEADLINE >= from
            && matches!(sample.what, What::Failed(ErrorKind::Unavailable | ErrorKind::Timeout))
    };
    let failed =
        samples.iter().filter(|sample| matches!(sample.what, What::Failed(_)) && !typed(sample)).count();
    // with both gone, an answer in part is the best there is
    let lies = samples.iter().filter(|sample| sample.what == What::Lie).count();
    let late = samples.iter().filter(|sample| sample.took > DEADLINE + Duration::from_millis(50)).count();
    // what the cache answered says nothing of who was asked
    let asked: Vec<&Sample> =
        during.iter().copied().filter(|sample| sample.what != What::Right(How::Cached)).collect();
    let switch = settled(&asked, from, 99, |sample| sample.what != What::Right(How::Fresh))
        .map(|(time, number)| (time.as_secs_f64() * 1e3, number));
    // the hedge takes one in twenty to the other backend when all is well
    let recovery =
        settled(&after, to, 95, |sample| matches!(sample.what, What::Right(How::Fresh | How::Cached)))
            .map(|(time, _)| time.as_secs_f64() * 1e3);
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
        bar(p99 <= bound, "p99");
    }
    match (case.switch, switch) {
        (Switch::Free, _) => {}
        (Switch::Fast, Some((ms, requests))) => bar(ms <= 100.0 || requests <= 20, "switch"),
        (Switch::Hedged, Some((ms, _))) => bar(ms <= delay + 100.0, "switch"),
        (_, None) => bar(false, "switch"),
    }
    let flaps = matches!(case.action, Action::Flap(_));
    if flaps {
        bar(stays as u64 <= 1 + fault.as_secs() / 10 + 1, "oscillation");
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
        bound,
        switch,
        recovery,
        stays,
        reached,
        tasks,
        missed,
    }
}

/// The worst run of each subject and fault.
pub(crate) fn table(runs: &[Run]) -> String {
    let mut text = String::from(
        "\n| subject | fault | failed | unflagged | p99 ms (bound) | switch ms (requests) | recovery ms | tasks | missed |\n\
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
            "| {} | {} | {} of {} | {} | {:.0} ({:.0}) | {} ({}) | {} | {}→{} | {} |",
            run.kind.name(),
            run.name,
            worst.failed,
            worst.requests,
            worst.lies,
            worst.p99,
            worst.bound,
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
