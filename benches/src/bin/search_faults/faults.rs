//! The faults, and how each is made.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::engines::{Names, Rows, Wire};
use crate::load::Pulse;
use crate::proxy::{Fault, Proxy};
use crate::subject::Ask;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
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
pub(crate) enum Switch {
    /// Within 100 ms, or 20 requests.
    Fast,
    /// Within the hedge's delay and 100 ms.
    Hedged,
    /// It does not have to: the primary still answers in part of the cases.
    Free,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) action: Action,
    pub(crate) switch: Switch,
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
    pub(crate) redis: Option<Proxy>,
    /// How long the proxies stood still.
    pub(crate) pulse: Pulse,
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
        let pulse = Pulse::of_the_runtime();
        let place = Self { engine, database, redis, pulse, postgres, stand_in };
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

    /// Makes the fault for `time` and mends it: a server that was killed, until it answers again.
    pub(crate) async fn suffer(&self, action: Action, time: Duration, names: &Names, ask: &Ask) {
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
                self.engine.reaches().await;
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
