//! The thread that polls a group's consumer, apart from all work: heartbeats, assignments, records, answers to commits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::cluster::{log, log_error};
use super::error::failed;
use super::group::{Group, WayBack, thread};
use super::partition::{Partition, PartitionId};
use super::record::{self, Read};
use super::state::position;
use crate::{Error, ErrorKind, Result};

/// How long a poll waits, and so how soon the thread notices that it is to end.
const POLL: Duration = Duration::from_millis(50);
/// How many records are sorted in at once.
const BATCH: usize = 500;
/// How many times as many unsettled events are read while none may be handed out.
const STUCK: usize = 10;
/// How long leaving the group may take.
const LEAVING: Duration = Duration::from_secs(2);
/// How long to wait before something is tried again without which a partition cannot be worked on.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// What librdkafka calls back.
#[derive(Default)]
pub(super) struct MemberContext {
    back: WayBack,
}

impl MemberContext {
    pub(super) fn attach(&self, group: Weak<Group>) {
        self.back.attach(group);
    }

    pub(super) fn group(&self) -> Weak<Group> {
        self.back.weak()
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let group = self.back.group();
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let cooperative = !matches!(consumer.rebalance_protocol(), RebalanceProtocol::Eager);
        let done = if assigned {
            let begin = group.as_ref().and_then(|group| group.assigned(list));
            let list = begin.as_ref().unwrap_or(list);
            if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
        } else {
            if let Some(group) = &group {
                group.revoked(list, consumer.assignment_lost());
            }
            if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            tracing::error!(error = %failed("changing the assignment", &error), assigned, "a rebalance failed");
        }
        if let Some(group) = group {
            let kind = if assigned { "assigned" } else { "revoked" };
            metrics::counter!("pumasi_event_kafka_rebalances_total", "group" => group.name.clone(), "kind" => kind)
                .increment(1);
            group.lock().joined = assigned;
            group.changed.notify_waiters();
        }
    }
}

impl Partition {
    /// Notes that reading came to an offset: what was unsettled before it and did not come is gone from the broker, by age,
    /// size or compaction. Returns how many events that were.
    fn pass(&mut self, offset: i64) -> usize {
        let mut missing = 0;
        while let Some(first) = self.unread.first().copied()
            && first <= offset
        {
            self.unread.remove(&first);
            if first < offset {
                self.progress.settle(first);
                self.dirty = true;
                missing += 1;
            }
        }
        missing
    }
}

/// Looking for replays, once at a time and in a thread of its own: a broker that is slow to answer must not hold up the poll.
#[derive(Default)]
struct Looking(Arc<AtomicBool>);

impl Looking {
    fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs the look; however it ends, also by a panic or because there is no thread for it, the next one may begin.
    fn apart(&self, look: impl FnOnce() + Send + 'static) -> Result<()> {
        struct End(Arc<AtomicBool>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        self.0.store(true, Ordering::Relaxed);
        let end = End(Arc::clone(&self.0));
        thread("replays", move || {
            let _end = end;
            look();
        })
    }
}

/// A record on its way from the consumer into the lanes.
pub(super) struct Incoming {
    partition: PartitionId,
    offset: i64,
    read: Read,
}

impl Group {
    /// Polls until the group is left.
    pub(super) fn run(self: Arc<Self>) {
        let mut topic: (String, Arc<str>) = (String::new(), "".into());
        let mut replays_at = Instant::now() + self.cluster.options.replay_poll;
        let looking = Looking::default();
        let mut markers_at = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let (mut wait, mut idle) = (POLL, false);
            for _ in 0..BATCH {
                match self.consumer.poll(wait) {
                    Some(Ok(message)) => self.push(&message, &mut topic),
                    Some(Err(error)) => self.trouble(&error),
                    None => {
                        idle = true;
                        break;
                    }
                }
                wait = Duration::ZERO;
            }
            self.deliver();
            if idle && Instant::now() >= markers_at {
                self.pass_markers();
                markers_at = Instant::now() + PAUSE;
            }
            self.throttle();
            self.tick();
            if Instant::now() >= replays_at && !looking.is_under_way() {
                self.look_for_replays(&looking);
                replays_at = Instant::now() + self.cluster.options.replay_poll;
            }
        }
        let last = self.commit_here(None, |_, last, _| last.clone());
        if let Err(error) = last {
            tracing::warn!(group = %self.name, error = %failed("committing", &error), "the last commit failed");
        }
        self.leave();
        self.left.trigger();
    }

    /// Gives the partitions back, so that others need not wait until the session has timed out. A static member keeps them.
    fn leave(&self) {
        self.consumer.unsubscribe();
        let until = Instant::now() + LEAVING;
        // The revocation is called back from a poll; the request follows it.
        while !self.lock().partitions.is_empty() && Instant::now() < until {
            let _ = self.consumer.poll(POLL);
        }
        let _ = self.consumer.poll(POLL);
    }

    fn push(&self, message: &BorrowedMessage<'_>, topic: &mut (String, Arc<str>)) {
        if topic.0 != message.topic() {
            *topic = (message.topic().to_owned(), self.short(message.topic()));
        }
        let read = record::read(&topic.1, message);
        let partition = (Arc::clone(&topic.1), message.partition());
        let incoming = Incoming { partition, offset: message.offset(), read };
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push(incoming);
    }

    fn trouble(&self, error: &KafkaError) {
        let code = error.rdkafka_error_code();
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
            || matches!(
                code,
                Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed)
            );
        if fatal {
            let error = failed("reading", error).with_retry(crate::Retry::Never);
            tracing::error!(group = %self.name, %error, "the group cannot go on");
            self.lock().ended = Some(error);
            self.changed.notify_waiters();
        } else {
            tracing::debug!(group = %self.name, ?code, "the consumer reported an error");
        }
    }

    /// Sorts what was read into the lanes.
    pub(super) fn deliver(&self) {
        let batch = std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.is_empty() {
            return;
        }
        let now = self.now();
        let window = usize::try_from(self.cluster.options.window).unwrap_or(usize::MAX);
        let (mut doubles, mut missing) = (0, 0_usize);
        {
            let mut state = self.lock();
            let state = &mut *state;
            for Incoming { partition: id, offset, read } in batch {
                let Some(partition) = state.partitions.get_mut(&id.0, id.1) else { continue };
                if offset < partition.read {
                    continue;
                }
                partition.read = offset + 1;
                missing += partition.pass(offset);
                let event = match &read {
                    Read::Event(event) => event,
                    Read::Unreadable(unreadable) => &unreadable.event,
                };
                let new = partition.window.insert(event.id, window);
                let attempts = if offset < partition.begin {
                    None
                } else if offset < partition.known {
                    partition.progress.attempts(offset)
                } else {
                    doubles += u64::from(!new);
                    partition.progress.read(offset, new);
                    partition.dirty |= !new;
                    new.then_some(0)
                };
                let Some(attempts) = attempts else { continue };
                let place = position(id.1, offset);
                let event = match read {
                    Read::Event(event) => event,
                    Read::Unreadable(unreadable) => {
                        let event = Arc::clone(&unreadable.event);
                        state.unreadable.insert((Arc::clone(&id.0), place), unreadable);
                        event
                    }
                };
                state.lanes.push(&id.0, place, event, attempts, now);
            }
        }
        if doubles > 0 {
            metrics::counter!("pumasi_event_kafka_doubles_total", "group" => self.name.clone())
                .increment(doubles);
        }
        if missing > 0 {
            tracing::error!(group = %self.name, missing, "the broker deleted events that were not settled");
        }
        self.changed.notify_waiters();
    }

    /// Goes on behind what is no record: the marks that transactions end with, and what was aborted. Everything that the
    /// consumer has given was sorted in.
    fn pass_markers(&self) {
        let Ok(positions) = self.consumer.position() else { return };
        let mut passed = false;
        {
            let mut state = self.lock();
            for element in positions.elements() {
                let Offset::Offset(next) = element.offset() else { continue };
                let topic = self.short(element.topic());
                let Some(partition) = state.partitions.get_mut(&topic, element.partition()) else { continue };
                if partition.read < next {
                    partition.read = next;
                    partition.pass(next - 1);
                    partition.progress.read(next - 1, false);
                    partition.dirty = true;
                    passed = true;
                }
            }
        }
        if passed {
            self.changed.notify_waiters();
        }
    }

    /// Stops and resumes reading by how much is unsettled.
    fn throttle(&self) {
        let now = self.cluster.options.clock.instant();
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let paused = {
            let mut state = self.lock();
            // While all that is there waits for something, what may be handed out lies further on.
            let stuck = if state.lanes.is_ready(now) { 1 } else { STUCK };
            let limit = self.cluster.options.read_ahead.saturating_mul(stuck);
            for ((_, number), partition) in state.partitions.iter_mut() {
                let full = partition.progress.unsettled() >= limit;
                let low = partition.progress.unsettled() <= limit / 2;
                if full && !partition.paused {
                    partition.paused = true;
                    pause.add_partition(&partition.full, number);
                } else if low && partition.paused {
                    partition.paused = false;
                    resume.add_partition(&partition.full, number);
                }
            }
            state.partitions.iter().filter(|(_, partition)| partition.paused).count()
        };
        for (list, done) in [(&pause, self.consumer.pause(&pause)), (&resume, self.consumer.resume(&resume))]
        {
            if list.count() == 0 {
                continue;
            }
            if let Err(error) = done {
                tracing::warn!(group = %self.name, error = %failed("pausing", &error), "a partition was not paused");
            }
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!("pumasi_event_kafka_paused_partitions", "group" => self.name.clone())
                .set(paused as f64);
        }
        self.nudge(&resume);
    }

    /// Has the broker of each partition asked for something.
    ///
    /// librdkafka does not wake the thread of a broker when one of its partitions resumes: with nothing else to do it sleeps
    /// for up to a second before it fetches again. An answer from the broker wakes it.
    fn nudge(&self, resumed: &TopicPartitionList) {
        let until = Instant::now() + POLL;
        for partition in resumed.elements() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Without an answer it wakes by itself, later.
            let _ = self.consumer.fetch_watermarks(partition.topic(), partition.partition(), left);
        }
    }

    fn look_for_replays(self: &Arc<Self>, looking: &Looking) {
        let group = Arc::clone(self);
        let started = looking.apart(move || match group.dead.replays_here() {
            Ok(replays) => group.sort_in(replays),
            Err(error) => tracing::debug!(group = %group.name, %error, "replays could not be looked for"),
        });
        if let Err(error) = started {
            tracing::warn!(group = %self.name, %error, "replays could not be looked for");
        }
    }

    /// Subscribes the consumer to these topics in place of those before.
    pub(super) fn listen(&self, topics: &[Arc<str>]) -> Result<()> {
        let full: Vec<Arc<str>> = topics.iter().map(|topic| self.full(topic)).collect();
        let names: Vec<&str> = full.iter().map(|topic| &**topic).collect();
        self.consumer.subscribe(&names).map_err(|_| {
            Error::new(ErrorKind::Other, format!("the group {} could not subscribe to its topics", self.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_panics_does_not_end_the_looking() {
        let looking = Looking::default();
        for _ in 0..2 {
            assert!(!looking.is_under_way());
            looking.apart(|| std::panic::resume_unwind(Box::new("a look that fails"))).unwrap();
            let begun = Instant::now();
            while looking.is_under_way() {
                assert!(begun.elapsed() < Duration::from_secs(30), "it is under way for ever");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
