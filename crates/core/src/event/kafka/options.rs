//! How a bus on Kafka is opened.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::KafkaBus;
use crate::Result;
use crate::time::{Clock, SystemClock};

/// How a [`KafkaBus`] is opened.
///
/// ```no_run
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::num::{NonZeroU16, NonZeroU32};
/// use std::time::Duration;
/// use pumasi_core::event::KafkaBusOptions;
///
/// let bus = KafkaBusOptions::new("broker-1:9092,broker-2:9092")
///     .with_prefix("staging.")
///     .with_create_topics(NonZeroU32::new(12).unwrap(), NonZeroU16::new(3).unwrap())
///     .with_group_instance("worker-1")
///     .with_session_timeout(Duration::from_secs(30))
///     .with_property("security.protocol", "sasl_ssl")
///     .with_property("sasl.password", std::env::var("KAFKA_PASSWORD").unwrap())
///     .open()
///     .await?;
/// # let _ = bus;
/// # Ok::<(), pumasi_core::Error>(()) });
/// ```
#[derive(Clone)]
pub struct KafkaBusOptions {
    brokers: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) prefix: String,
    pub(super) create: Option<Layout>,
    pub(super) window: u32,
    pub(super) read_ahead: usize,
    pub(super) request: Duration,
    pub(super) publish: Duration,
    session: Duration,
    instance: Option<String>,
    pub(super) replay_poll: Duration,
    properties: BTreeMap<String, String>,
}

/// How topics are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) partitions: NonZeroU32,
    pub(super) replication: NonZeroU16,
}

impl KafkaBusOptions {
    /// Makes the options for the cluster that the `brokers` (`host:port`, several separated by commas) belong to.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            clock: Arc::new(SystemClock),
            prefix: String::new(),
            create: None,
            window: 10_000,
            read_ahead: 5_000,
            request: Duration::from_secs(10),
            publish: Duration::from_secs(30),
            session: Duration::from_secs(45),
            instance: None,
            replay_poll: Duration::from_secs(1),
            properties: BTreeMap::new(),
        }
    }

    /// Sets the clock by which leases and delays are measured (default: the machine's). What waits for the network goes by
    /// the machine's clock in any case.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets what the names of topics and groups begin with on the brokers, to keep services that share a cluster apart
    /// (default: nothing). Envelopes and subscriptions do not show it.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes topics that are missing when something is published or subscribed to them, with so many partitions and
    /// replicas (default: topics are made by whoever runs the brokers).
    ///
    /// Topics of dead letters are always made by the bus, with one partition; their replicas follow this setting, or the
    /// broker's default.
    #[must_use]
    pub fn with_create_topics(mut self, partitions: NonZeroU32, replication: NonZeroU16) -> Self {
        self.create = Some(Layout { partitions, replication });
        self
    }

    /// Sets how many events of a partition are remembered by their ids to drop doubles (default 10,000; 0 for none).
    ///
    /// When a partition comes to this process, as many events before the committed offset are read again.
    #[must_use]
    pub fn with_window(mut self, ids: u32) -> Self {
        self.window = ids;
        self
    }

    /// Sets how many unsettled events of a partition are kept in memory before reading it pauses (default 5,000, at least 1);
    /// ten times as many while none of those that are there may be handed out, as behind one that fails.
    #[must_use]
    pub fn with_read_ahead(mut self, events: usize) -> Self {
        self.read_ahead = events.max(1);
        self
    }

    /// Sets how long a request may take (default 10 seconds, at least 1).
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request = timeout.max(Duration::from_secs(1));
        self
    }

    /// Sets how long publishing is tried before it fails (default 30 seconds).
    #[must_use]
    pub fn with_publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish = timeout;
        self
    }

    /// Sets after how much silence the brokers give this process's partitions to others (default 45 seconds).
    ///
    /// Silence is that of the process: heartbeats go on however long handlers take.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.session = timeout;
        self
    }

    /// Makes this process a static member of its groups, under a name of its own (`group.instance.id`): when it comes back
    /// within the session timeout it gets its partitions again, without the others noticing.
    #[must_use]
    pub fn with_group_instance(mut self, id: impl Into<String>) -> Self {
        self.instance = Some(id.into());
        self
    }

    /// Sets how often it is looked for dead letters that another process replays (default every second).
    #[must_use]
    pub fn with_replay_poll(mut self, period: Duration) -> Self {
        self.replay_poll = period.max(Duration::from_millis(10));
        self
    }

    /// Sets a property of librdkafka, for all of the bus's clients: TLS, SASL, buffers. `Debug` shows its name only.
    ///
    /// What the bus's guarantees rest on cannot be changed: acknowledgement by all replicas, idempotence, and commits by the
    /// bus alone.
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Connects to the cluster.
    ///
    /// Must be called within a tokio runtime, which must outlive the bus.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if librdkafka refuses a property; `Unavailable` or `Timeout` if no broker answers; `Unauthorized` if it
    /// does not let us in.
    pub async fn open(self) -> Result<KafkaBus> {
        KafkaBus::connect(self).await
    }

    /// In milliseconds.
    fn session(&self) -> u128 {
        self.session.as_millis().max(1)
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        let request = self.request.as_millis().to_string();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "pumasi")
            .set("socket.timeout.ms", &request)
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        let publish = self.publish.as_millis().clamp(1, 86_400_000);
        let request = self.request.as_millis().min(publish);
        if !self.properties.contains_key("linger.ms") {
            config.set("linger.ms", "1");
        }
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("request.timeout.ms", request.to_string())
            // Only should the bus not do so itself: the client gives up records one by one.
            .set("message.timeout.ms", (publish * 2 + 60_000).to_string())
            // As every client that follows the Java one, so that publishers in other languages meet on the same partitions.
            .set("partitioner", "murmur2_random");
        config
    }

    /// A client that only asks: metadata, watermarks, offsets by time.
    pub(super) fn asking(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("allow.auto.create.topics", "false")
            // Not needed to ask, but librdkafka compares it with the interval of polls.
            .set("session.timeout.ms", self.session().to_string());
        if !self.properties.contains_key("max.poll.interval.ms") {
            config.set("max.poll.interval.ms", self.session().max(300_000).to_string());
        }
        config
    }

    /// A client that reads what it is assigned by hand.
    pub(super) fn reading(&self, group: &str) -> ClientConfig {
        let mut config = self.asking();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest");
        config
    }

    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.reading(group);
        let session = self.session();
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("heartbeat.interval.ms", (session / 3).clamp(1, 3_000).to_string());
        if !self.properties.contains_key("queued.min.messages") {
            // What was read ahead of need is thrown away when a partition pauses.
            config.set("queued.min.messages", self.read_ahead.clamp(1, 10_000_000).to_string());
        }
        if !self.properties.contains_key("fetch.queue.backoff.ms") {
            // How soon it looks whether the queue has room again; librdkafka's second would leave quick handlers without work.
            config.set("fetch.queue.backoff.ms", "10");
        }
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        config
    }
}

impl fmt::Debug for KafkaBusOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBusOptions")
            .field("brokers", &self.brokers)
            .field("clock", &self.clock)
            .field("prefix", &self.prefix)
            .field("create", &self.create)
            .field("window", &self.window)
            .field("read_ahead", &self.read_ahead)
            .field("request", &self.request)
            .field("publish", &self.publish)
            .field("session", &self.session)
            .field("instance", &self.instance)
            .field("replay_poll", &self.replay_poll)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_properties_and_hides_their_values() {
        let options = KafkaBusOptions::new("localhost:9092").with_property("sasl.password", "비밀번호");
        let shown = format!("{options:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("비밀번호"), "{shown}");
    }

    #[test]
    fn what_the_guarantees_rest_on_cannot_be_changed() {
        let options = KafkaBusOptions::new("localhost:9092")
            .with_property("acks", "0")
            .with_property("enable.auto.commit", "true")
            .with_property("queue.buffering.max.messages", "7");
        let producer = options.producer();
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("queue.buffering.max.messages"), Some("7"));
        assert_eq!(options.member("readers").get("enable.auto.commit"), Some("false"));
    }
}
