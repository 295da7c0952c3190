//! What the consumer on the Redis bus costs beside a bare loop on the same server, in the same run.
//!
//! `PUMASI_REDIS_URL=redis://host:port cargo run --release -p benches --features redis --bin bus_redis -- [EVENTS [KEYS [BATCH [ROUNDS]]]]`
//!
//! Both sides handle EVENTS (100,000) small events of KEYS (1,000) keys with a handler that does nothing, on the same
//! server with its `appendfsync`. The events were published before; publishing is not timed.
//!
//! - **bare**: one task that reads up to BATCH (256) events with `XREADGROUP`, parses each into an `Envelope`, handles
//!   them one after the other, and acknowledges them with one `XACK`. At least once, acknowledged after the work, in the
//!   stream's order because there is one reader. It has no order per key among several readers, no delayed retry, no
//!   fence against a former owner, no dead letters.
//! - **bus**: `Consumer` on `RedisBus` with BATCH lanes at once, which has all of these.
//!
//! Prints JSON: for each side the fastest of ROUNDS (5) alternating rounds in seconds on the wall, with the CPU seconds of
//! this process and of the server, the ratio bus / bare of each, and of the rounds' ratios on the wall the median.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, EventId, RedisBus, RedisBusOptions, Shutdown, State,
    Subscription, handler_fn,
};
use redis::aio::MultiplexedConnection;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy)]
struct Load {
    events: u64,
    keys: u64,
    batch: usize,
}

/// What one side took.
#[derive(Clone, Copy)]
struct Taken {
    wall: f64,
    client: f64,
    server: f64,
}

impl Taken {
    const NONE: Self = Self { wall: f64::MAX, client: f64::MAX, server: f64::MAX };

    fn min(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            client: self.client.min(other.client),
            server: self.server.min(other.server),
        }
    }

    fn json(self) -> Value {
        json!({"wall_s": self.wall, "client_cpu_s": self.client, "server_cpu_s": self.server})
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let Ok(url) = std::env::var("PUMASI_REDIS_URL") else {
        writeln!(out, "PUMASI_REDIS_URL is not set: nothing measured")?;
        return Ok(());
    };
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let mut number = |default| numbers.next().unwrap_or(Ok(default));
    let load = Load { events: number(100_000)?, keys: number(1_000)?, batch: usize::try_from(number(256)?)? };
    let rounds = number(5)?;
    let mut connection = redis::Client::open(url.as_str())?.get_multiplexed_async_connection().await?;
    connection.set_response_timeout(Duration::from_secs(60));
    let (mut bare, mut bus) = (Taken::NONE, Taken::NONE);
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let prefix = format!("bench-{}", EventId::random());
        let events = || (0..load.events).map(|number| event(number, load.keys));
        // Each side goes first in every other round.
        let (mut of_bare, mut of_bus) = (Taken::NONE, Taken::NONE);
        for side in [round % 2, 1 - round % 2] {
            if side == 0 {
                of_bare = run_bare(&mut connection, &prefix, load, events()).await?;
            } else {
                of_bus = run_bus(&mut connection, &url, &prefix, load, events()).await?;
            }
        }
        ratios.push(of_bus.wall / of_bare.wall);
        (bare, bus) = (bare.min(of_bare), bus.min(of_bus));
        delete(&mut connection, &prefix).await?;
    }
    ratios.sort_by(f64::total_cmp);
    let config: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("appendfsync").query_async(&mut connection).await?;
    let report = json!({
        "events": load.events, "keys": load.keys, "batch": load.batch, "rounds": rounds,
        "appendfsync": config.get(1),
        "bare": bare.json(), "bus": bus.json(),
        "ratio": {
            "wall": bus.wall / bare.wall,
            "wall_median": ratios.get(ratios.len() / 2),
            "client_cpu": bus.client / bare.client,
            "server_cpu": bus.server / bare.server,
            "cpu": (bus.client + bus.server) / (bare.client + bare.server),
        },
    });
    writeln!(out, "{report:#}")?;
    Ok(())
}

fn event(number: u64, keys: u64) -> Envelope {
    Envelope::new("posts", format!("post-{}", number % keys), State::Updated, number / keys + 1)
        .with_id(EventId::named("bench", &number.to_string()))
        .with_payload(&json!({"title": "러닝 3개월째", "likes": number % 100}))
        .unwrap_or_else(|_| unreachable!("a JSON value is JSON"))
}

async fn run_bare(
    connection: &mut MultiplexedConnection,
    prefix: &str,
    load: Load,
    events: impl Iterator<Item = Envelope>,
) -> Result<Taken, Failure> {
    let stream = format!("{{{prefix}}}:bare");
    let events: Vec<String> = events.map(|event| serde_json::to_string(&event)).collect::<Result<_, _>>()?;
    for part in events.chunks(1000) {
        let mut pipeline = redis::pipe();
        for body in part {
            pipeline.cmd("XADD").arg(&stream).arg("*").arg("e").arg(body).ignore();
        }
        pipeline.exec_async(connection).await?;
    }
    let () = redis::cmd("XGROUP").arg(&["CREATE", &stream, "readers", "0"]).query_async(connection).await?;
    let meter = Meter::start(connection).await?;
    let mut handled = 0;
    while handled < load.events {
        let reply: redis::streams::StreamReadReply = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "readers", "one", "COUNT", &load.batch.to_string(), "STREAMS", &stream, ">"])
            .query_async(connection)
            .await?;
        let mut acknowledge = redis::cmd("XACK");
        acknowledge.arg(&stream).arg("readers");
        for entry in reply.keys.into_iter().flat_map(|key| key.ids) {
            let body: Vec<u8> = entry.get("e").ok_or("an entry without its field")?;
            std::hint::black_box(serde_json::from_slice::<Envelope>(&body)?);
            acknowledge.arg(entry.id);
            handled += 1;
        }
        let () = acknowledge.query_async(connection).await?;
    }
    meter.stop(connection).await
}

async fn run_bus(
    connection: &mut MultiplexedConnection,
    url: &str,
    prefix: &str,
    load: Load,
    events: impl Iterator<Item = Envelope>,
) -> Result<Taken, Failure> {
    let options = RedisBusOptions::new(url).with_prefix(prefix).with_timeout(Duration::from_secs(30));
    let bus: RedisBus = options.open().await?;
    let events: Vec<Envelope> = events.collect();
    for part in events.chunks(1000) {
        bus.publish(part).await?;
    }
    let subscription = Subscription::new("readers", ["posts"]);
    let member = bus.subscribe(&subscription).await?;
    let (shutdown, left) = (Shutdown::new(), Arc::new(AtomicU64::new(load.events)));
    let done = shutdown.clone();
    let handler = handler_fn(move |delivery: Delivery| {
        std::hint::black_box(&delivery);
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            done.trigger();
        }
        async { Ok(()) }
    });
    let lanes = NonZeroUsize::new(load.batch).ok_or("a batch of none")?;
    let consumer = Consumer::new(bus, subscription, handler).with_concurrency(lanes);
    let meter = Meter::start(connection).await?;
    let stats = consumer.run(shutdown).await?;
    let taken = meter.stop(connection).await?;
    let lag = member.lag().await?;
    if stats.handled != load.events || lag.unsettled != 0 {
        return Err(format!("not everything was handled once: {stats:?}, {lag:?}").into());
    }
    Ok(taken)
}

async fn delete(connection: &mut MultiplexedConnection, prefix: &str) -> Result<(), Failure> {
    let keys: Vec<Vec<u8>> =
        redis::cmd("KEYS").arg(format!("{{{prefix}}}:*")).query_async(connection).await?;
    let () = redis::cmd("DEL").arg(keys).query_async(connection).await?;
    Ok(())
}

struct Meter {
    begun: Instant,
    client: f64,
    server: f64,
}

impl Meter {
    async fn start(connection: &mut MultiplexedConnection) -> Result<Self, Failure> {
        let server = server_cpu(connection).await?;
        Ok(Self { client: client_cpu(), server, begun: Instant::now() })
    }

    async fn stop(self, connection: &mut MultiplexedConnection) -> Result<Taken, Failure> {
        let wall = self.begun.elapsed().as_secs_f64();
        let client = client_cpu() - self.client;
        let server = server_cpu(connection).await? - self.server;
        Ok(Taken { wall, client, server })
    }
}

fn client_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}

async fn server_cpu(connection: &mut MultiplexedConnection) -> Result<f64, Failure> {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(connection).await?;
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    Ok(field("used_cpu_sys:") + field("used_cpu_user:"))
}
