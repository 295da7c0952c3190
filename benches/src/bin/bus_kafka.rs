//! What the `Consumer` costs on Kafka, beside a bare loop over `rdkafka`'s `StreamConsumer`, with empty handlers.
//!
//! Both read the same topic, in the same run, from the beginning to the end, and stop when everything is committed. The bare
//! loop decodes each envelope and waits for a commit after every `concurrency` events, so that no more than these are handled
//! and not yet covered by a commit that succeeded. The `Consumer` has up to 512 more, which it takes ahead because the handlers
//! are quick. The bare loop does not count attempts, keeps no order across a restart but the partition's, and drops no doubles.
//!
//! Prints JSON: of each side the seconds on the wall and the CPU seconds of this process in every round, and the ratio of
//! their medians. Each side goes first in every other round.
//!
//! ```console
//! PUMASI_KAFKA_URL=127.0.0.1:9092 cargo run --release -p benches --features kafka --bin bus_kafka -- [events] [keys] [concurrency] [runs]
//! ```

use std::error::Error;
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, EventId, KafkaBus, KafkaBusOptions, Shutdown, State,
    Subscription, handler_fn,
};
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

const PARTITIONS: u32 = 4;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let url = std::env::var("PUMASI_KAFKA_URL")?;
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |default: usize| arguments.next().unwrap_or(Ok(default));
    let (events, keys, concurrency, runs) = (next(100_000)?, next(1_000)?, next(256)?, next(3)?);
    let prefix = format!("bench-{}.", EventId::random());
    let layout = NonZeroU32::new(PARTITIONS).ok_or("no partitions")?;
    let options = KafkaBusOptions::new(&url).with_prefix(&prefix).with_create_topics(layout, NonZeroU16::MIN);
    let bus = options.open().await?;
    fill(&bus, events, keys).await?;

    let (mut bare, mut ours) = (Rounds::default(), Rounds::default());
    for run in 0..runs {
        for side in [run % 2, 1 - run % 2] {
            let begun = cpu();
            if side == 0 {
                let (topic, group) = (format!("{prefix}posts"), format!("{prefix}bare-{run}"));
                bare.push(bare_loop(&url, &topic, &group, events, concurrency).await?, begun);
            } else {
                ours.push(consumer(&bus, &format!("ours-{run}"), events, concurrency).await?, begun);
            }
        }
    }
    let (bare_s, ours_s) = (median(&bare.wall), median(&ours.wall));
    let (bare_cpu, ours_cpu) = (median(&bare.cpu), median(&ours.cpu));
    let report = json!({
        "events": events, "keys": keys, "partitions": PARTITIONS, "concurrency": concurrency, "runs": runs,
        "bare_seconds": bare.wall, "consumer_seconds": ours.wall, "ratio": ours_s / bare_s,
        "bare_events_per_second": events as f64 / bare_s, "consumer_events_per_second": events as f64 / ours_s,
        "bare_cpu_seconds": bare.cpu, "consumer_cpu_seconds": ours.cpu, "cpu_ratio": ours_cpu / bare_cpu,
    });
    println!("{report}");
    Ok(())
}

/// What the rounds of one side took, in seconds.
#[derive(Default)]
struct Rounds {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, wall: f64, begun: f64) {
        self.wall.push(wall);
        self.cpu.push(cpu() - begun);
    }
}

/// The CPU seconds of this process, with all of its threads.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn fill(bus: &KafkaBus, events: usize, keys: usize) -> Outcome<()> {
    let all: Vec<usize> = (0..events).collect();
    for batch in all.chunks(1_000) {
        let batch = batch.iter().map(|number| {
            let (key, version) = (format!("post-{}", number % keys), (number / keys) as u64);
            Envelope::new("posts", key, State::Updated, version)
                .with_payload(&json!({"body": "매일 아침 20분 걷기"}))
        });
        bus.publish(&batch.collect::<Result<Vec<_>, _>>()?).await?;
    }
    Ok(())
}

/// Reads everything and commits after every `batch` events; returns the seconds.
async fn bare_loop(url: &str, topic: &str, group: &str, events: usize, batch: usize) -> Outcome<f64> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", url)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()?;
    let begun = Instant::now();
    consumer.subscribe(&[topic])?;
    let mut next = [0_i64; PARTITIONS as usize];
    for count in 1..=events {
        let message = consumer.recv().await?;
        let event: Envelope = serde_json::from_slice(message.payload().unwrap_or_default())?;
        std::hint::black_box(event);
        next[usize::try_from(message.partition())?] = message.offset() + 1;
        if count % batch == 0 || count == events {
            let mut offsets = TopicPartitionList::new();
            for (partition, offset) in (0..).zip(next).filter(|(_, offset)| *offset > 0) {
                offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
            }
            consumer.commit(&offsets, CommitMode::Sync)?;
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Lets the runner read everything; returns the seconds until the last acknowledgement.
async fn consumer(bus: &KafkaBus, group: &str, events: usize, concurrency: usize) -> Outcome<f64> {
    let (shutdown, seen) = (Shutdown::new(), Arc::new(AtomicUsize::new(0)));
    let (ended, counted) = (shutdown.clone(), Arc::clone(&seen));
    let handler = handler_fn(move |delivery: Delivery| {
        std::hint::black_box(delivery);
        if counted.fetch_add(1, Ordering::Relaxed) + 1 == events {
            ended.trigger();
        }
        async { Ok(()) }
    });
    let concurrency = NonZeroUsize::new(concurrency).ok_or("no concurrency")?;
    let runner = Consumer::new(bus.clone(), Subscription::new(group, ["posts"]), handler)
        .with_concurrency(concurrency);
    let begun = Instant::now();
    let stats = runner.run(shutdown).await?;
    let seconds = begun.elapsed().as_secs_f64();
    if (stats.handled, seen.load(Ordering::Relaxed)) != (events as u64, events) {
        return Err(format!("not everything was handled once: {stats:?}").into());
    }
    Ok(seconds)
}
