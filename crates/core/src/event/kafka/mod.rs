//! The bus on Kafka.

mod cluster;
mod dead;
mod error;
mod group;
mod handover;
mod lanes;
mod member;
mod options;
mod partition;
mod progress;
mod reader;
mod record;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use tokio::sync::Mutex;

use self::cluster::{Cluster, blocking};
use self::dead::DeadLetters;
use self::error::failed;
use self::group::{Group, thread};
use self::member::{Handle, Member};
pub use self::options::KafkaBusOptions;
use self::reader::MemberContext;
use super::envelope::check_name;
use super::{
    BusCapabilities, DeadLetter, Envelope, EventBus, EventId, Page, Published, Start, Subscriber,
    Subscription,
};
use crate::Result;

/// Carries events on a Kafka cluster.
///
/// - **Published for good.** `publish` returns when all in-sync replicas have every event (`acks=all`, an idempotent
///   producer). Its future may be dropped: the batch is sent to its end. A batch is not atomic: if it fails half-way, repeat
///   it with the same ids. What is stored of it then are, of each partition, the first ones and no others, so that a batch
///   which is repeated keeps its order also where the brokers were away for a while; an event that the brokers refuse (for
///   its size) is left out.
/// - **Lanes and partitions.** An event's key decides its partition (the hash of the Java clients), so a lane lives in one
///   partition, and so do events with the same id, if they have the same key. When the number of a topic's partitions is
///   changed, keys move: events of one key from before and after the change are then in two partitions, which different
///   members may work on at the same time, and which do not see each other's doubles. Change it when the group has no lag.
/// - **Acknowledged by commits.** The members of a group in this process share one consumer. What they settle is covered by
///   a commit before `settle` returns; whatever is settled while one is on its way shares the next. The committed offset
///   stands at the oldest unsettled event. Which later ones are settled, and the attempts that the unsettled ones have used,
///   stand in the metadata of the commit (at most 4,096 bytes, the brokers' default of `offset.metadata.max.bytes`; do not
///   lower it), so that neither a restart nor a rebalance repeats what is done, and an event that kills its process is counted.
/// - **Attempts are committed before** an event is handed out. With every commit goes the first attempt of the events that come
///   next, so that handing them out waits for no commit of its own. When the process is killed, an event that was next in
///   line can so have one attempt counted that it never had, once; a group that is left in order counts exactly.
/// - **Polled apart from work.** A thread of its own polls the consumer: a handler may take as long as it likes, without the
///   member being expelled or other partitions waiting. The lanes of one partition do not wait for each other either.
/// - **Read ahead, within bounds.** Of a partition, up to [5,000](KafkaBusOptions::with_read_ahead) unsettled events are in
///   memory (50,000 while all of them wait behind others); then reading it pauses (gauge `pumasi_event_kafka_paused_partitions`). From 500 to 1,024, depending
///   on how far apart they lie, are handed out or waiting for another attempt at a time; further ones follow when some of
///   these are settled. That is what surely fits into the metadata, with up to 127 attempts each where they are many. Where
///   more keys fail at once, give the topic more partitions.
/// - **Doubles.** An id that is among the last [10,000](KafkaBusOptions::with_window) of its partition is dropped by the
///   subscribers (counter `pumasi_event_kafka_doubles_total`), not by the brokers. When a partition comes to a process, as many
///   records before the committed offset are read again, so the window needs no store of its own.
/// - **Rebalances** are cooperative: partitions that stay are worked on meanwhile. What is in flight of one that goes is
///   lost to this member: what was settled is committed first, `renew` reports the rest, `settle` says `Conflict`, and the
///   next member gets it again, with the attempt counted. [Static members](KafkaBusOptions::with_group_instance) restart
///   without one.
/// - **Delays** (retries, leases) live in the memory of the process that holds the partition, by its
///   [clock](KafkaBusOptions::with_clock). When the partition moves or the process ends, the event comes back at once.
/// - **Where a group begins** is committed when it first subscribes to a topic. The brokers forget the offsets of a group
///   without members after `offsets.retention.minutes` (7 days, unless set otherwise); it then begins anew.
/// - **Dead letters** of a group are in a compacted topic `<group>.dead-letters` of one partition, which the bus makes. A
///   replay is written there as well, and so survives restarts; another process notices it within a
///   [second](KafkaBusOptions::with_replay_poll). A record that is no envelope is put aside with the reason `unreadable`, and
///   keeps its bytes there for a program that can read it.
/// - **What the brokers delete** by age or size before the group has settled it is gone; it is logged as an error.
///   So is a log that ends before what the group has settled; it is then read from its end.
/// - **A fetch that may not wait** asks the brokers where its partitions end and reads up to there, so that it returns what
///   was published before; that costs round trips. One that waits does not ask.
///
/// A lane is kept in order as long as one process has its partition. A process that is cut off from the brokers goes on for
/// up to the [session timeout](KafkaBusOptions::with_session_timeout) while another one may have its partitions already: its
/// settlements are refused, but effects need the event's id or version as their guard, as on every bus.
///
/// Clones share the connections. A group is left when its last subscriber is dropped, by a thread that a process which ends at once
/// does not wait for: [`close`](Subscriber::close) does, and a consumer calls it.
///
/// ```no_run
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::event::{Envelope, EventBus, KafkaBus, Settlement, State, Subscription};
///
/// let bus = KafkaBus::open("localhost:9092").await?;
/// bus.publish(&[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
///
/// let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await?;
/// for delivery in member.fetch(NonZeroUsize::new(100).unwrap(), Duration::from_secs(5)).await? {
///     println!("{} is at version {}", delivery.event.key, delivery.event.version);
///     member.settle(&delivery.receipt, Settlement::Ack).await?;
/// }
/// # Ok::<(), pumasi_core::Error>(()) });
/// ```
#[derive(Clone)]
pub struct KafkaBus {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Arc<Cluster>,
    groups: Mutex<HashMap<String, Known>>,
}

/// What the bus has of a group.
struct Known {
    dead: Arc<DeadLetters>,
    /// The members' hold on it, as long as there are any.
    handle: Weak<Handle>,
}

impl KafkaBus {
    /// Connects to the cluster of these brokers (`host:port`, several separated by commas) with the default
    /// [options](KafkaBusOptions).
    ///
    /// # Errors
    ///
    /// As [`KafkaBusOptions::open`].
    pub async fn open(brokers: impl Into<String>) -> Result<Self> {
        KafkaBusOptions::new(brokers).open().await
    }

    async fn connect(options: KafkaBusOptions) -> Result<Self> {
        let cluster = Cluster::connect(options).await?;
        Ok(Self { shared: Arc::new(Shared { cluster, groups: Mutex::default() }) })
    }
}

impl fmt::Debug for KafkaBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBus").field("options", &self.shared.cluster.options).finish_non_exhaustive()
    }
}

impl Shared {
    fn id(&self, group: &str) -> String {
        format!("{}{group}", self.cluster.options.prefix)
    }

    fn known<'a>(&self, groups: &'a mut HashMap<String, Known>, group: &str) -> &'a mut Known {
        groups.entry(group.to_owned()).or_insert_with(|| Known {
            dead: Arc::new(DeadLetters::new(Arc::clone(&self.cluster), &self.id(group))),
            handle: Weak::new(),
        })
    }

    /// Returns this process's hold on a group that listens to the subscription's topics.
    async fn join(&self, subscription: &Subscription) -> Result<Arc<Handle>> {
        let mut groups = self.groups.lock().await;
        let known = self.known(&mut groups, subscription.group());
        // One that is being left is not joined again.
        let running = known.handle.upgrade().filter(|handle| !handle.group.stop.load(Ordering::Relaxed));
        let handle = if let Some(handle) = &running {
            Arc::clone(handle)
        } else {
            let config = self.cluster.options.member(&self.id(subscription.group()));
            let consumer = BaseConsumer::from_config_and_context(&config, MemberContext::default())
                .map_err(|error| failed("subscribing", &error))?;
            let (cluster, dead) = (Arc::clone(&self.cluster), Arc::clone(&known.dead));
            Arc::new(Handle { group: Group::start(cluster, subscription.group(), consumer, dead)? })
        };
        let group = &handle.group;
        let new: Vec<(Arc<str>, Start)> = {
            let state = group.lock();
            let topics =
                subscription.topics().iter().filter(|topic| !state.starts.contains_key(topic.as_str()));
            topics.map(|topic| (topic.as_str().into(), subscription.start())).collect()
        };
        if new.is_empty() {
            return Ok(handle);
        }
        let (deciding, topics) = (Arc::clone(group), new.clone());
        blocking("subscribing", move || deciding.decide_here(topics)).await?;
        let all: Vec<Arc<str>> = {
            let mut state = group.lock();
            state.starts.extend(new);
            state.starts.keys().cloned().collect()
        };
        group.listen(&all)?;
        if running.is_none() {
            let polled = Arc::clone(group);
            thread("poll", move || polled.run())?;
            known.handle = Arc::downgrade(&handle);
        }
        Ok(handle)
    }
}

#[async_trait]
impl EventBus for KafkaBus {
    fn capabilities(&self) -> BusCapabilities {
        let mut capabilities = BusCapabilities::none();
        capabilities.durable = true;
        capabilities
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        events.iter().try_for_each(Envelope::check)?;
        let cluster = &self.shared.cluster;
        let prefix = &cluster.options.prefix;
        let records = events.iter().map(|event| record::write(prefix, event)).collect::<Result<Vec<_>>>()?;
        if cluster.options.create.is_some() {
            let mut topics: Vec<String> = records.iter().map(|record| record.topic.clone()).collect();
            topics.sort_unstable();
            topics.dedup();
            cluster.ensure(&topics).await?;
        }
        cluster.send(records).await?;
        Ok(Published::new(events.len(), 0))
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        subscription.check()?;
        let prefix = &self.shared.cluster.options.prefix;
        let full: Vec<String> =
            subscription.topics().iter().map(|topic| format!("{prefix}{topic}")).collect();
        self.shared.cluster.ensure(&full).await?;
        let handle = self.shared.join(subscription).await?;
        let topics = subscription.topics().iter().map(|topic| topic.as_str().into()).collect();
        Ok(Arc::new(Member { handle, topics, lease: subscription.lease() }))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        let dead = Arc::clone(&self.shared.known(&mut *self.shared.groups.lock().await, group).dead);
        dead.list(page).await
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        let (dead, handle) = {
            let mut groups = self.shared.groups.lock().await;
            let known = self.shared.known(&mut groups, group);
            (Arc::clone(&known.dead), known.handle.upgrade())
        };
        let replayed = dead.replay(ids).await?;
        if let (1.., Some(handle)) = (replayed, handle) {
            let group = Arc::clone(&handle.group);
            blocking("replaying", move || {
                let replays = group.dead.replays_here()?;
                group.sort_in(replays);
                Ok(())
            })
            .await?;
        }
        Ok(replayed)
    }

    /// Its members must have stopped, in every process.
    async fn forget_group(&self, group: &str) -> Result<bool> {
        check_name("group", group)?;
        self.shared.groups.lock().await.remove(group);
        self.shared.cluster.forget_group(&self.shared.id(group)).await
    }

    async fn ping(&self) -> Result<()> {
        self.shared.cluster.ping("asking for the brokers").await
    }
}
