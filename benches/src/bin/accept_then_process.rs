//! Accepting a job and processing it later, against processing it inside the request.
//!
//! `cargo run --release -p benches --features service --bin accept_then_process`
//!
//! Options: `--seconds N` of load (default 5), `--connections N` (default 500), `--rate N` of the open loop (default 6,600: a
//! little over ten times what the downstream allows), `--lanes N` of the consumer (default 96).
//!
//! Two services take the same jobs over HTTP. A job is one call of a downstream that takes 100 ms and serves 64 at a time,
//! so at most 640 a second, whatever stands before it:
//!
//! - **inside** makes the call within the request and answers when it is done;
//! - **accept** stores the job on the durable SQLite bus, answers when it is synced to the disk, and makes the call in a
//!   `Consumer`. It has more lanes than the downstream has places, so that fetching and acknowledging go on beside the
//!   calls; no more than 64 calls run at once all the same.
//!
//! Each service is a process of its own; the load comes from this one, over keep-alive connections on the loopback, in two
//! shapes:
//!
//! - **closed**: every connection sends its next job when the last one is answered. 500 connections are, by Little's law,
//!   what 761 requests a second of 608 ms are. By the same law a service that answers n times as many has a mean of 1/n: its
//!   99th percentile can be a twentieth only where it answers more than twenty times as many.
//! - **open**: jobs arrive at a fixed rate, and each one's latency counts from its arrival, also while all connections are
//!   busy. Jobs that arrived and were not even sent at the end are counted as turned away, and are in no percentile: what
//!   the slower side shows is better than what its users would see.
//!
//! The drain is measured from the end of the load until every accepted job is done, and held against what the downstream
//! allows: jobs / 640 a second, less the time of the load.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, EventId, Shutdown, SqliteBus, State as Change, Subscription,
    handler_fn,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

type Failed = Box<dyn Error + Send + Sync>;

const LATENCY: Duration = Duration::from_millis(100);
const PLACES: usize = 64;
/// Jobs a second that the downstream allows.
const ALLOWED: f64 = 640.0;

struct Options {
    seconds: u64,
    connections: usize,
    rate: u64,
    lanes: usize,
}

fn main() -> Result<ExitCode, Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", side, lanes] => {
            runtime.block_on(serve(side, lanes.parse()?))?;
            Ok(ExitCode::SUCCESS)
        }
        words => {
            let mut options = Options { seconds: 5, connections: 500, rate: 6_600, lanes: 96 };
            for pair in words.chunks(2) {
                match pair {
                    ["--seconds", number] => options.seconds = number.parse()?,
                    ["--connections", number] => options.connections = number.parse()?,
                    ["--rate", number] => options.rate = number.parse()?,
                    ["--lanes", number] => options.lanes = number.parse()?,
                    other => return Err(format!("unknown option {other:?}").into()),
                }
            }
            runtime.block_on(measure(&options))
        }
    }
}

// The services.

/// What takes 100 ms, and 64 at a time.
struct Downstream {
    places: Semaphore,
    done: AtomicU64,
}

impl Downstream {
    async fn call(&self) {
        let Ok(_place) = self.places.acquire().await else { return };
        tokio::time::sleep(LATENCY).await;
        self.done.fetch_add(1, Ordering::SeqCst);
    }
}

struct Service {
    downstream: Downstream,
    bus: SqliteBus,
}

async fn serve(side: &str, lanes: usize) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let bus = SqliteBus::open(folder.path().join("events.sqlite")).await?;
    let downstream = Downstream { places: Semaphore::new(PLACES), done: AtomicU64::new(0) };
    let service = Arc::new(Service { downstream, bus: bus.clone() });
    let jobs = if side == "accept" { post(accept) } else { post(inside) };
    let router = Router::new()
        .route("/jobs", jobs)
        .route(
            "/done",
            get(async |State(service): State<Arc<Service>>| {
                service.downstream.done.load(Ordering::SeqCst).to_string()
            }),
        )
        .with_state(Arc::clone(&service));

    let worker = Arc::clone(&service);
    let handler = handler_fn(move |_: Delivery| {
        let worker = Arc::clone(&worker);
        async move {
            worker.downstream.call().await;
            Ok(())
        }
    });
    let consumer = Consumer::new(bus, Subscription::new("workers", ["jobs"]), handler)
        .with_concurrency(lanes.try_into()?);
    let shutdown = Shutdown::new();
    let working = tokio::spawn(consumer.run(shutdown.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    // It ends when whoever started it closes its standard input.
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        _ = ended => {}
    }
    shutdown.trigger();
    working.await??;
    Ok(())
}

async fn inside(State(service): State<Arc<Service>>, Json(_job): Json<Value>) -> StatusCode {
    service.downstream.call().await;
    StatusCode::ACCEPTED
}

async fn accept(State(service): State<Arc<Service>>, Json(job): Json<Value>) -> StatusCode {
    let Some(id) = job["id"].as_str() else { return StatusCode::UNPROCESSABLE_ENTITY };
    let event = Envelope::new("jobs", id, Change::Created, 1).with_id(EventId::named("bench", id));
    let Ok(event) = event.with_payload(&job) else { return StatusCode::UNPROCESSABLE_ENTITY };
    match service.bus.publish(&[event]).await {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

// The load.

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(side: &str, lanes: usize) -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", side, &lanes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()? })
    }

    async fn done(&self) -> Result<u64, Failed> {
        let mut socket = TcpStream::connect(self.address).await?;
        socket.write_all(b"GET /done HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        Ok(answer.rsplit("\r\n").next().unwrap_or_default().parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Closing the standard input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What one side did under one load.
struct Figures {
    answered: u64,
    turned_away: u64,
    /// Until the last answer.
    load: Duration,
    latencies: Vec<u64>,
    drain: Duration,
}

impl Figures {
    fn per_second(&self) -> f64 {
        self.answered as f64 / self.load.as_secs_f64()
    }

    fn mean_ms(&self) -> f64 {
        self.latencies.iter().sum::<u64>() as f64 / self.latencies.len().max(1) as f64 / 1e3
    }

    fn quantile_ms(&self, q: f64) -> f64 {
        let at = ((self.latencies.len() as f64 - 1.0).max(0.0) * q).round() as usize;
        self.latencies.get(at).map_or(0.0, |micros| *micros as f64 / 1e3)
    }

    fn jobs_per_second(&self) -> f64 {
        self.answered as f64 / (self.load + self.drain).as_secs_f64()
    }

    /// The time from the end of the load that the downstream needs at least.
    fn least_drain(&self) -> f64 {
        (self.answered as f64 / ALLOWED - self.load.as_secs_f64()).max(0.0)
    }

    fn json(&self) -> Value {
        let round = |number: f64| (number * 1e3).round() / 1e3;
        json!({
            "accepted": self.answered, "turned_away": self.turned_away, "load_s": round(self.load.as_secs_f64()),
            "accepted_per_s": round(self.per_second()), "mean_ms": round(self.mean_ms()),
            "p50_ms": round(self.quantile_ms(0.5)), "p99_ms": round(self.quantile_ms(0.99)),
            "jobs_per_s": round(self.jobs_per_second()), "drain_s": round(self.drain.as_secs_f64()),
            "least_drain_s": round(self.least_drain()),
        })
    }
}

async fn measure(options: &Options) -> Result<ExitCode, Failed> {
    let mut passed = true;
    for (shape, rate) in [("closed", None), ("open", Some(options.rate))] {
        let mut sides = Vec::new();
        for side in ["inside", "accept"] {
            let service = Running::start(side, options.lanes)?;
            sides.push(load(&service, options, rate).await?);
        }
        let [inside, accept] = sides.as_slice() else { return Err("two sides".into()) };
        let throughput = accept.per_second() / inside.per_second();
        let p99 = accept.quantile_ms(0.99) / inside.quantile_ms(0.99);
        let jobs = accept.jobs_per_second() / ALLOWED;
        let drain = (accept.load + accept.drain).as_secs_f64() / (accept.answered as f64 / ALLOWED);
        let bars = json!({
            "accepted_ratio": {"measured": throughput, "bar": ">= 10", "pass": throughput >= 10.0},
            "p99_ratio": {"measured": p99, "bar": "<= 0.05", "pass": p99 <= 0.05},
            "jobs_of_what_the_downstream_allows": {"measured": jobs, "bar": ">= 0.95", "pass": jobs >= 0.95},
            "time_of_what_the_downstream_needs": {"measured": drain, "bar": "<= 1.05", "pass": drain <= 1.05},
        });
        passed &= bars.as_object().is_some_and(|bars| bars.values().all(|bar| bar["pass"] == true));
        let line = json!({"shape": shape, "connections": options.connections, "rate": rate,
            "inside": inside.json(), "accept": accept.json(), "bars": bars});
        writeln!(std::io::stdout(), "{line:#}")?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn load(service: &Running, options: &Options, rate: Option<u64>) -> Result<Figures, Failed> {
    let mut sockets = Vec::new();
    for _ in 0..options.connections {
        let socket = TcpStream::connect(service.address).await?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let begun = Instant::now();
    let end = begun + Duration::from_secs(options.seconds);
    let arrivals = Arc::new(AtomicU64::new(0));
    let mut connections = tokio::task::JoinSet::new();
    for socket in sockets {
        connections.spawn(connection(socket, begun, end, rate, Arc::clone(&arrivals)));
    }
    let mut latencies = Vec::new();
    while let Some(done) = connections.join_next().await {
        latencies.extend(done??);
    }
    let load = begun.elapsed();
    let answered = latencies.len() as u64;
    latencies.sort_unstable();
    while service.done().await? < answered {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let drain = begun.elapsed() - load;
    let arrived = rate.map_or(answered, |rate| rate * options.seconds);
    Ok(Figures { answered, turned_away: arrived.saturating_sub(answered), load, latencies, drain })
}

/// Sends jobs over one connection until the end; returns the latencies in microseconds.
async fn connection(
    mut socket: TcpStream,
    begun: Instant,
    end: Instant,
    rate: Option<u64>,
    arrivals: Arc<AtomicU64>,
) -> Result<Vec<u64>, Failed> {
    let (mut latencies, mut request, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let number = arrivals.fetch_add(1, Ordering::Relaxed);
        let arrival = match rate {
            Some(rate) => begun + Duration::from_nanos(number * 1_000_000_000 / rate),
            None => Instant::now(),
        };
        if arrival.max(Instant::now()) >= end {
            return Ok(latencies);
        }
        tokio::time::sleep_until(arrival.into()).await;
        request.clear();
        let body = format!(
            r#"{{"id":"job-{number}","channel":"C0123456789","user":"U0123456789","ts":"1767225600.{number:06}","text":"하프 마라톤은 어떻게 준비하나요? How do I prepare for a half marathon in eight weeks?"}}"#
        );
        write!(
            request,
            "POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        socket.write_all(&request).await?;
        answer.clear();
        while !answer.ends_with(b"\r\n\r\n") {
            if socket.read_buf(&mut answer).await? == 0 {
                return Err("the service closed a connection".into());
            }
        }
        if !answer.starts_with(b"HTTP/1.1 202") {
            return Err("a job was not accepted".into());
        }
        latencies.push(u64::try_from(arrival.elapsed().as_micros())?);
    }
}
