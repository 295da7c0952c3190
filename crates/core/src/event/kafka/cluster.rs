//! The clients that all groups of a bus share: the producer, and one that only asks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer, PurgeConfig};

use super::error::{failed, failed_with, moves, passes, purged, too_slow};
use super::options::KafkaBusOptions;
use super::record::Outgoing;
use crate::{Error, ErrorKind, Result, Retry};

/// Carries librdkafka's log lines, which name brokers, topics and groups, into `tracing`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logs;

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Logs {}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// An error that belongs to no call: a broker that went away, and that the client goes on trying to reach.
pub(super) fn log_error(error: &KafkaError, reason: &str) {
    let code = error.rdkafka_error_code();
    tracing::warn!(target: "librdkafka", ?code, "{reason}");
}

/// The first offset of a partition, and the one that its next record will have.
pub(super) type Ends = (i64, i64);

/// How long a producer that was given up may take to say so of each record.
const PURGING: Duration = Duration::from_secs(5);

/// The producer that all calls share until one of them gives it up.
struct Producing {
    generation: u64,
    client: FutureProducer<Logs>,
}

pub(super) struct Cluster {
    pub(super) options: KafkaBusOptions,
    producer: RwLock<Producing>,
    asking: BaseConsumer<Logs>,
    /// Topics that are known to be there.
    known: Mutex<HashSet<String>>,
}

impl Cluster {
    /// Makes the clients, and asks the cluster for its brokers to see that it is there.
    pub(super) async fn connect(options: KafkaBusOptions) -> Result<Arc<Self>> {
        let made = |error: KafkaError| failed("opening the bus", &error);
        let client = FutureProducer::from_config_and_context(&options.producer(), Logs).map_err(made)?;
        let producer = RwLock::new(Producing { generation: 0, client });
        let asking = BaseConsumer::from_config_and_context(&options.asking(), Logs).map_err(made)?;
        let cluster = Arc::new(Self { options, producer, asking, known: Mutex::default() });
        cluster.ping("opening the bus").await?;
        Ok(cluster)
    }

    /// Asks the cluster for its brokers.
    pub(super) async fn ping(self: &Arc<Self>, what: &'static str) -> Result<()> {
        // The list of topics can be long; one that is not there is answered with the brokers alone.
        self.ask(what, |asking, limit| asking.fetch_metadata(Some("pumasi"), limit)).await.map(drop)
    }

    /// Runs a request that blocks, apart from the runtime's threads.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        what: &'static str,
        request: impl FnOnce(&BaseConsumer<Logs>, Duration) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T> {
        let cluster = Arc::clone(self);
        blocking(what, move || cluster.ask_here(what, request)).await
    }

    /// As [`ask`](Self::ask), on this thread.
    pub(super) fn ask_here<T>(
        &self,
        what: &'static str,
        request: impl FnOnce(&BaseConsumer<Logs>, Duration) -> Result<T, KafkaError>,
    ) -> Result<T> {
        let answer = request(&self.asking, self.options.request).map_err(|error| failed(what, &error));
        // Serves what the client has to log.
        while self.asking.poll(Duration::ZERO).is_some() {}
        answer
    }

    /// Returns the partitions of a topic (by its name on the brokers); `NotFound` if there is no such topic.
    pub(super) fn partitions_here(&self, topic: &str) -> Result<Vec<i32>> {
        let what = "looking for a topic";
        let metadata = self.ask_here(what, |asking, limit| asking.fetch_metadata(Some(topic), limit))?;
        let missing = || failed_with(what, RDKafkaErrorCode::UnknownTopicOrPartition);
        let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(missing)?;
        if let Some(code) = found.error() {
            return Err(failed_with(what, code.into()));
        }
        if found.partitions().is_empty() || found.partitions().iter().any(|partition| partition.leader() < 0)
        {
            return Err(failed_with(what, RDKafkaErrorCode::LeaderNotAvailable));
        }
        Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
    }

    /// Makes sure that topics (by their names on the brokers) are there, and makes those that are not where the options
    /// say so.
    pub(super) async fn ensure(self: &Arc<Self>, topics: &[String]) -> Result<()> {
        for topic in topics {
            if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(topic) {
                continue;
            }
            let (cluster, name) = (Arc::clone(self), topic.clone());
            let found = blocking("looking for a topic", move || cluster.partitions_here(&name)).await;
            match (found, self.options.create) {
                (Ok(_), _) => {}
                (Err(error), Some(layout)) if error.kind() == ErrorKind::NotFound => {
                    let partitions = i32::try_from(layout.partitions.get()).unwrap_or(i32::MAX);
                    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(self.replication()));
                    self.create(topic, new).await?;
                }
                (Err(error), _) => return Err(error),
            }
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.clone());
        }
        Ok(())
    }

    /// Makes sure that a topic is there that keeps the newest record of each key for ever, in one partition.
    pub(super) async fn ensure_compacted(self: &Arc<Self>, topic: &str) -> Result<()> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(topic) {
            return Ok(());
        }
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(self.replication()));
        self.create(topic, new.set("cleanup.policy", "compact")).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned());
        Ok(())
    }

    /// Replicas of a topic; −1 is the broker's default.
    fn replication(&self) -> i32 {
        self.options.create.map_or(-1, |layout| layout.replication.get().into())
    }

    async fn create(self: &Arc<Self>, topic: &str, new: NewTopic<'_>) -> Result<()> {
        let what = "creating a topic";
        let admin = AdminClient::from_config_and_context(&self.options.asking(), Logs)
            .map_err(|error| failed(what, &error))?;
        let limit = self.options.request;
        let asked = AdminOptions::new().request_timeout(Some(limit)).operation_timeout(Some(limit));
        let made = admin.create_topics([&new], &asked).await.map_err(|error| failed(what, &error))?;
        for outcome in made {
            match outcome {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                // The settings are at fault, or the cluster is not whole yet: not the event, which is kept until it can be published.
                Err((_, code)) => {
                    let error = failed_with(what, code);
                    let settings = error.kind() == ErrorKind::InvalidInput;
                    return Err(if settings { refused_topic(topic).with_source(error) } else { error });
                }
            }
        }
        // It is made when its partitions have leaders, which every broker learns in its own time.
        let deadline = Instant::now() + limit;
        loop {
            let (cluster, name) = (Arc::clone(self), topic.to_owned());
            match blocking(what, move || cluster.partitions_here(&name)).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Deletes a group (by its name on the brokers) with what it has committed and put aside; tells whether there was one.
    pub(super) async fn forget_group(self: &Arc<Self>, group: &str) -> Result<bool> {
        let what = "forgetting a group";
        let admin = AdminClient::from_config_and_context(&self.options.asking(), Logs)
            .map_err(|error| failed(what, &error))?;
        let limit = self.options.request;
        let asked = AdminOptions::new().request_timeout(Some(limit)).operation_timeout(Some(limit));
        let letters = format!("{group}.dead-letters");
        let mut known = false;
        let deadline = Instant::now() + limit;
        loop {
            let gone = admin.delete_groups(&[group], &asked).await.map_err(|error| failed(what, &error))?;
            match gone.into_iter().next() {
                Some(Ok(_)) => known = true,
                Some(Err((_, RDKafkaErrorCode::GroupIdNotFound))) | None => {}
                // Its last member is on its way out.
                Some(Err((_, code))) if code == RDKafkaErrorCode::NonEmptyGroup || passes(code) => {
                    if Instant::now() > deadline {
                        return Err(failed_with(what, code));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Some(Err((_, code))) => return Err(failed_with(what, code)),
            }
            break;
        }
        let gone = admin.delete_topics(&[&letters], &asked).await.map_err(|error| failed(what, &error))?;
        match gone.into_iter().next() {
            Some(Ok(_)) => known = true,
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)))
            | None => {}
            Some(Err((_, code))) => return Err(failed_with(what, code)),
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&letters);
        Ok(known)
    }

    /// Sends records, in order, and waits until all of them are acknowledged.
    ///
    /// It goes on when its future is dropped, so that a batch is not cut off.
    pub(super) async fn send(self: &Arc<Self>, records: Vec<Outgoing>) -> Result<()> {
        let cluster = Arc::clone(self);
        tokio::spawn(async move { cluster.deliver(records).await })
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "the runtime ended while publishing")))
    }

    /// Sends records until all are acknowledged, one is refused or the time is over.
    ///
    /// The client's own limit of time is a record's: it gives up the first ones of a batch and may send the rest when the broker
    /// is there again, before the batch is repeated. So this limit comes before it, and whoever reaches it gives up the
    /// producer with all that is in it. Of each partition the brokers then have a beginning of what was sent. Calls that had
    /// records in it as well send those again, on the next one.
    async fn deliver(self: &Arc<Self>, mut open: Vec<Outgoing>) -> Result<()> {
        let deadline = Instant::now() + self.options.publish;
        loop {
            let generation = self.current().generation;
            let (sent, mut first) = self.enqueue_all(&open, generation, deadline).await;
            let mut rest = open.split_off(sent.len());
            let (mut again, mut late) = (Vec::new(), false);
            for (record, acknowledgement) in open.into_iter().zip(sent) {
                let mut acknowledgement = acknowledgement;
                let left = deadline.saturating_duration_since(Instant::now());
                let mut outcome = tokio::time::timeout(left, &mut acknowledgement).await;
                if outcome.is_err() {
                    late = true;
                    self.abandon(generation);
                    outcome = tokio::time::timeout(PURGING, acknowledgement).await;
                }
                match outcome {
                    Ok(Ok(Ok(_))) => {}
                    Ok(Ok(Err((error, _)))) if !error.rdkafka_error_code().is_some_and(purged) => {
                        if first.is_ok() {
                            first = Err(failed("publishing", &error));
                        }
                    }
                    _ => again.push(record),
                }
            }
            first?;
            again.append(&mut rest);
            if again.is_empty() {
                return Ok(());
            }
            if late || Instant::now() >= deadline {
                return Err(failed_with("publishing", RDKafkaErrorCode::MessageTimedOut));
            }
            open = again;
        }
    }

    /// Hands records to the producer of this generation, in order, as many as it takes: none after one that it refuses, and
    /// none when it was given up, so that no lane has a gap.
    async fn enqueue_all(
        &self,
        records: &[Outgoing],
        generation: u64,
        deadline: Instant,
    ) -> (Vec<DeliveryFuture>, Result<()>) {
        let mut sent = Vec::with_capacity(records.len());
        let room = deadline.min(Instant::now() + self.options.request);
        'records: for record in records {
            let mut waiting =
                FutureRecord::<str, [u8]>::to(&record.topic).key(&record.key).headers(record.headers.clone());
            if !record.value.is_empty() {
                waiting = waiting.payload(&record.value);
            }
            loop {
                let outcome = {
                    // Held while it is handed over, so that nothing comes to a producer that was given up.
                    let producer = self.current();
                    if producer.generation != generation {
                        break 'records;
                    }
                    producer.client.send_result(waiting)
                };
                match outcome {
                    Ok(delivery) => {
                        sent.push(delivery);
                        break;
                    }
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                        if Instant::now() < room =>
                    {
                        waiting = again;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Err((error, _)) => return (sent, Err(failed("publishing", &error))),
                }
            }
        }
        (sent, Ok(()))
    }

    fn current(&self) -> RwLockReadGuard<'_, Producing> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new producer in the place of the one of this generation, and gives up what that one holds.
    fn abandon(&self, generation: u64) {
        if self.current().generation != generation {
            return;
        }
        let client = match FutureProducer::from_config_and_context(&self.options.producer(), Logs) {
            Ok(client) => client,
            Err(error) => {
                let error = failed("publishing", &error);
                tracing::error!(%error, "what could not be published in time cannot be given up");
                return;
            }
        };
        let old = {
            let mut producer = self.producer.write().unwrap_or_else(PoisonError::into_inner);
            if producer.generation != generation {
                return;
            }
            std::mem::replace(&mut *producer, Producing { generation: generation + 1, client })
        };
        tracing::warn!("no broker answered in time; what was being published is given up or sent again");
        tokio::task::spawn_blocking(move || {
            old.client.purge(PurgeConfig::default().queue().inflight());
            drop(old);
        });
    }

    /// Returns the first and the next offset of partitions (topics by their names on the brokers).
    pub(super) fn watermarks_here(
        &self,
        partitions: impl IntoIterator<Item = (Arc<str>, i32)>,
    ) -> Result<HashMap<(Arc<str>, i32), Ends>> {
        let mut found = HashMap::new();
        for (topic, partition) in partitions {
            let ends = match self.ends_here(&topic, partition) {
                // librdkafka may hold on to an answer of long ago that there is no such topic: it drops it only when what it
                // learnt before that is old (`metadata.max.age.ms`). Asked for the topic itself, it asks the brokers.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.partitions_here(&topic)?;
                    self.ends_here(&topic, partition)?
                }
                ends => ends?,
            };
            found.insert((topic, partition), ends);
        }
        Ok(found)
    }

    fn ends_here(&self, topic: &str, partition: i32) -> Result<Ends> {
        self.ask_here("asking for the ends of partitions", |asking, limit| {
            let begun = Instant::now();
            loop {
                match asking.fetch_watermarks(topic, partition, limit) {
                    // Of a topic that was made a moment ago, or moves, the client may ask a broker that does not lead it.
                    Err(error)
                        if error.rdkafka_error_code().is_some_and(moves) && begun.elapsed() < limit =>
                    {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    asked => return asked,
                }
            }
        })
    }
}

fn refused_topic(topic: &str) -> Error {
    let message = format!("the cluster refuses to make the topic {topic} with these partitions and replicas");
    Error::new(ErrorKind::Unavailable, message).with_retry(Retry::After(Duration::from_secs(1)))
}

/// Runs what blocks apart from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(too_slow(what).with_retry(Retry::Never)))
}
