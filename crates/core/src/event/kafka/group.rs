//! A group as this process sees it: its partitions, what of them is unsettled, and the commits that make it last.
//!
//! Whatever is decided on an event (claimed, done, given back) is first written down in the progress of its partition, then
//! waits for a commit that covers it, and only then takes effect. One commit is on its way at a time; what is decided
//! meanwhile shares the next one.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::{Notify, oneshot};

use super::cluster::Cluster;
use super::dead::{DeadLetters, Replay};
use super::error::{expelled, failed, failed_with, passes};
use super::lanes::Taken;
use super::partition::PartitionId;
use super::progress::CLAIMS;
use super::reader::{Incoming, MemberContext};
use super::state::{End, Flight, State, Waiter, Work, position};
use crate::event::delivery::stale;
use crate::event::{Receipt, Shutdown};
use crate::{Error, ErrorKind, Result};

/// How long a commit waits before it is sent again, where the group is being shared out anew.
const AGAIN: Duration = Duration::from_millis(50);
/// How often a last commit is sent at most.
const TRIES: usize = 20;
/// How long to wait before looking again whether a commit has ended.
const SHORTLY: Duration = Duration::from_millis(2);
/// How long a commit waits for company at most, and how often it looks whether it has come.
///
/// What a fetch handed out is often done within a moment; without company the first to be done would be committed alone, and
/// the others a whole commit later.
const GATHER_LIMIT: Duration = Duration::from_millis(4);
const GLANCE: Duration = Duration::from_micros(250);
/// How long progress that nobody waits for may stay uncommitted.
const LAZY: Duration = Duration::from_secs(1);

pub(super) struct Group {
    /// The group's name, as subscriptions say it.
    pub(super) name: String,
    pub(super) cluster: Arc<Cluster>,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) consumer: BaseConsumer<MemberContext>,
    commits: mpsc::Sender<()>,
    state: Mutex<State>,
    /// Records that were read and not yet sorted in.
    pub(super) inbox: Mutex<Vec<Incoming>>,
    pub(super) changed: Notify,
    pub(super) stop: AtomicBool,
    /// Triggered when the group was left in order.
    pub(super) left: Shutdown,
}

/// Says that a settlement is committed, or why it is not.
pub(super) type Answer = oneshot::Receiver<Result<()>>;

/// What a fetch was handed, until somebody takes it: dropped before, it goes back with its attempt unused.
pub(super) struct Handout {
    taken: Vec<Taken>,
    group: Weak<Group>,
}

impl Handout {
    pub(super) fn take(mut self) -> Vec<Taken> {
        std::mem::take(&mut self.taken)
    }

    pub(super) fn receipts(&self) -> impl Iterator<Item = (&Receipt, bool)> {
        self.taken.iter().map(|taken| (&taken.delivery.receipt, taken.head))
    }
}

/// What is to be told to those who waited for a commit.
#[derive(Default)]
struct Answers {
    claimed: Vec<(oneshot::Sender<Result<Handout>>, Result<Handout>)>,
    settled: Vec<(oneshot::Sender<Result<()>>, Result<()>)>,
}

impl Drop for Handout {
    fn drop(&mut self) {
        if let (false, Some(group)) = (self.taken.is_empty(), self.group.upgrade()) {
            group.lock().untake(&self.taken, group.now());
            group.changed.notify_waiters();
        }
    }
}

impl Group {
    /// Makes the group, and starts the thread that waits for the answers to its commits: the client tells them to nobody else
    /// (librdkafka reports a commit that it was not asked to wait for only to a callback that the Rust client does not set).
    pub(super) fn start(
        cluster: Arc<Cluster>,
        name: &str,
        consumer: BaseConsumer<MemberContext>,
        dead: Arc<DeadLetters>,
    ) -> Result<Arc<Self>> {
        let (commits, asked) = mpsc::channel();
        let group = Arc::new(Self {
            name: name.to_owned(),
            cluster,
            dead,
            consumer,
            commits,
            state: Mutex::default(),
            inbox: Mutex::default(),
            changed: Notify::new(),
            stop: AtomicBool::new(false),
            left: Shutdown::new(),
        });
        let back = Arc::downgrade(&group);
        group.consumer.context().attach(Weak::clone(&back));
        thread("commit", move || {
            let (mut company, mut took) = (0, Duration::ZERO);
            while let (Ok(()), Some(group)) = (asked.recv(), back.upgrade()) {
                group.await_company(company, took);
                let Some(list) = group.gather() else { continue };
                let begun = Instant::now();
                let result = group.consumer.commit(&list, CommitMode::Sync);
                took = begun.elapsed();
                company = group.committed(&result, &list) / 2;
            }
        })?;
        Ok(group)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by which leases and delays run.
    pub(super) fn now(&self) -> Instant {
        self.cluster.options.clock.instant()
    }

    /// Takes events, and returns them when their claims are committed; `None` if there is nothing to take now.
    pub(super) async fn take(
        self: &Arc<Self>,
        max: usize,
        topics: &[Arc<str>],
        lease: Duration,
    ) -> Result<Option<Handout>> {
        let answer = {
            let mut state = self.lock();
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            let now = self.now();
            state.demand = state.demand.max(max.min(CLAIMS * state.partitions.len()));
            let taken = state.take(max, topics, now, lease, true);
            if !taken.is_empty() {
                return Ok(Some(Handout { taken, group: Arc::downgrade(self) }));
            }
            let taken = state.take(max, topics, now, lease, false);
            if taken.is_empty() {
                return Ok(None);
            }
            let (reply, answer) = oneshot::channel();
            self.enqueue(&mut state, Work::Claim { taken, reply });
            answer
        };
        answer.await.unwrap_or_else(|_| Err(closed("fetching"))).map(Some)
    }

    /// Begins to settle an event as done or released, and writes that down; the answer comes when it is committed. `None` if it
    /// is a replayed one, which is written down elsewhere.
    pub(super) fn begin_settling(&self, receipt: &Receipt, done: bool) -> Result<Option<Answer>> {
        let mut state = self.lock();
        if state.begin(receipt)? {
            return Ok(None);
        }
        self.write_down(&mut state, receipt, done).map(Some)
    }

    /// Settles an event as done or released; returns when that is committed.
    ///
    /// The claim must stand, and its settlement have [begun](State::begin).
    pub(super) async fn settle(&self, receipt: &Receipt, done: bool) -> Result<()> {
        let answer = self.write_down(&mut self.lock(), receipt, done)?;
        settled(answer).await
    }

    fn write_down(&self, state: &mut State, receipt: &Receipt, done: bool) -> Result<Answer> {
        let at = state.partitions.at(&receipt.topic, receipt.position);
        let Some((partition, offset)) = at else { return Err(stale(receipt)) };
        partition.dirty = true;
        let end = if done {
            let Some(attempts) = partition.progress.settle(offset) else {
                state.lanes.abort(receipt);
                return Err(stale(receipt));
            };
            End::Done { attempts, begun: state.begin_next(receipt) }
        } else {
            partition.progress.set_attempts(offset, receipt.attempt.saturating_sub(1));
            End::Released
        };
        let (reply, answer) = oneshot::channel();
        self.enqueue(state, Work::Settle { receipt: receipt.clone(), end, reply });
        Ok(answer)
    }

    /// Returns when what is written down by now is committed.
    pub(super) async fn flush(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(&mut self.lock(), Work::Flush { reply });
        answer.await.unwrap_or_else(|_| Err(closed("committing")))
    }

    fn enqueue(&self, state: &mut State, work: Work) {
        state.waiting.push(Waiter { since: Instant::now(), work });
        self.pump(state);
    }

    /// Asks for the next commit, unless one is on its way.
    fn pump(&self, state: &mut State) {
        if state.flying.is_some() || state.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        state.again = None;
        state.lazy = None;
        state.flying = Some(Flight::default());
        // The other end lives as long as this group does.
        let _ = self.commits.send(());
    }

    /// Lets others join the commit that was asked for: as many as `company`, half of those whom the last one let go, unless they
    /// take longer to come than they would have to wait for half of another commit.
    fn await_company(&self, company: usize, took: Duration) {
        let until = Instant::now() + (took / 2).min(GATHER_LIMIT);
        while self.lock().waiting.len() < company && Instant::now() < until {
            std::thread::sleep(GLANCE);
        }
    }

    /// Takes what waits into the commit that was asked for; `None` if there is nothing to commit.
    fn gather(&self) -> Option<TopicPartitionList> {
        let mut state = self.lock();
        let ahead = state.look_ahead(self.now());
        let list = state.offsets(None);
        let waiters = std::mem::take(&mut state.waiting);
        if list.count() == 0 {
            state.flying = None;
            let answers = self.conclude(&mut state, waiters, &Ok(()));
            drop(state);
            self.tell(answers);
            return None;
        }
        state.flying = Some(Flight { waiters, ahead });
        Some(list)
    }

    /// Marks partitions as not committed.
    fn soil(&self, state: &mut State, list: &TopicPartitionList) {
        for element in list.elements() {
            let topic = self.short(element.topic());
            if let Some(partition) = state.partitions.get_mut(&topic, element.partition()) {
                partition.dirty = true;
            }
        }
    }

    /// Takes the answer to a commit; returns how many had waited for it.
    fn committed(&self, result: &Result<(), KafkaError>, list: &TopicPartitionList) -> usize {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Flight { waiters, ahead } = state.flying.take().unwrap_or_default();
        let count = waiters.len();
        for (lane, position) in ahead {
            if let Some(topic) = state.lanes.ahead(lane, position, result.is_ok())
                && result.is_err()
                && let Some((partition, offset)) = state.partitions.at(topic, position)
            {
                partition.set_attempts(offset, 0);
            }
        }
        if let Err(error) = result {
            self.soil(state, list);
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            tracing::debug!(group = %self.name, ?code, "a commit was turned away");
            if passes(code) {
                state.again = Some(Instant::now() + AGAIN);
                let newer = std::mem::replace(&mut state.waiting, waiters);
                state.waiting.extend(newer);
                return count;
            }
        }
        let answers = self.conclude(state, waiters, result);
        if !state.waiting.is_empty() {
            self.pump(state);
        }
        drop(guard);
        self.tell(answers);
        count
    }

    /// Lets what waited for a commit take effect, or takes it back; who waited is to be told when the state is free again.
    fn conclude(&self, state: &mut State, waiters: Vec<Waiter>, result: &Result<(), KafkaError>) -> Answers {
        let now = self.now();
        let mut answers = Answers { settled: Vec::with_capacity(waiters.len()), ..Answers::default() };
        for Waiter { work, .. } in waiters {
            match work {
                Work::Claim { taken, reply } => {
                    let answer = match result {
                        Ok(()) => Ok(Handout { taken, group: self.consumer.context().group() }),
                        Err(error) => {
                            state.untake(&taken, now);
                            Err(self.refused("fetching", error))
                        }
                    };
                    answers.claimed.push((reply, answer));
                }
                Work::Settle { receipt, end, reply } => {
                    let answer = match result {
                        Ok(()) => {
                            match end {
                                End::Done { .. } => state.lanes.finish(&receipt, now),
                                End::Released => {
                                    state.lanes.give_back(&receipt, receipt.attempt.saturating_sub(1), now);
                                }
                            }
                            Ok(())
                        }
                        Err(error) => Err(self.undo(state, &receipt, &end, error)),
                    };
                    answers.settled.push((reply, answer));
                }
                Work::Flush { reply } => {
                    let answer = match result {
                        Ok(()) => Ok(()),
                        Err(error) => Err(self.refused("committing", error)),
                    };
                    answers.settled.push((reply, answer));
                }
            }
        }
        answers
    }

    /// Tells those who waited for a commit what became of it. The state must not be locked: whoever is told wants it next.
    fn tell(&self, answers: Answers) {
        for (reply, answer) in answers.settled {
            let _ = reply.send(answer);
        }
        for (reply, answer) in answers.claimed {
            // If nobody waits any more it is dropped, and so goes back.
            let _ = reply.send(answer);
        }
        self.changed.notify_waiters();
    }

    fn undo(&self, state: &mut State, receipt: &Receipt, end: &End, error: &KafkaError) -> Error {
        let at = state.partitions.at(&receipt.topic, receipt.position);
        let Some((partition, offset)) = at else { return stale(receipt) };
        match end {
            End::Done { attempts, begun } => {
                partition.progress.unsettle(offset, *attempts);
                if let Some(begun) = *begun {
                    state.set_attempts(&receipt.topic, begun.position, begun.attempts.saturating_sub(1));
                    state.lanes.unbegin(receipt, begun);
                }
            }
            End::Released => partition.progress.set_attempts(offset, receipt.attempt),
        }
        state.lanes.abort(receipt);
        let code = error.rdkafka_error_code();
        if code.is_some_and(expelled) { stale(receipt) } else { self.refused("settling", error) }
    }

    fn refused(&self, what: &str, error: &KafkaError) -> Error {
        match error.rdkafka_error_code() {
            // The partitions come back, to this member or another one: asking again is right.
            Some(code) if expelled(code) && code != RDKafkaErrorCode::FencedInstanceId => {
                failed_with(what, RDKafkaErrorCode::RebalanceInProgress)
            }
            _ => failed(what, error),
        }
    }

    /// Does what is due: commits that were turned away, and progress that nobody waits for.
    pub(super) fn tick(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let limit = self.cluster.options.request;
        let mut answers = None;
        if state.again.is_some() && state.waiting.iter().any(|waiter| now - waiter.since > limit) {
            let (late, rest) = std::mem::take(&mut state.waiting)
                .into_iter()
                .partition(|waiter: &Waiter| now - waiter.since > limit);
            state.waiting = rest;
            let slow = Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut));
            answers = Some(self.conclude(&mut state, late, &slow));
        }
        let dirty = state.partitions.iter().any(|(_, partition)| partition.dirty);
        if dirty && state.lazy.is_none() {
            state.lazy = Some(now + LAZY);
        }
        if !state.waiting.is_empty() || (dirty && state.lazy.is_some_and(|lazy| lazy <= now)) {
            self.pump(&mut state);
        }
        drop(state);
        if let Some(answers) = answers {
            self.tell(answers);
        }
    }

    /// Commits what has changed in these partitions (in all of them, if none are named), waits for the answer, and does
    /// `then` before any other commit is sent; blocks. `then` is told how many of those who wait the commit covers: the first
    /// ones, as others may have come meanwhile.
    ///
    /// The commit on its way ends first: it is older, and must not reach the brokers after this one.
    pub(super) fn commit_here<T>(
        &self,
        only: Option<&[PartitionId]>,
        then: impl FnOnce(&mut State, &Result<(), KafkaError>, usize) -> T,
    ) -> T {
        let (list, covered) = loop {
            let mut state = self.lock();
            if state.flying.is_none() {
                state.flying = Some(Flight::default());
                state.look_back();
                break (state.offsets(only), state.waiting.len());
            }
            drop(state);
            std::thread::sleep(SHORTLY);
        };
        let mut result = Ok(());
        for _ in 0..TRIES {
            if list.count() > 0 {
                result = self.consumer.commit(&list, CommitMode::Sync);
            }
            if result.is_ok() || !result.as_ref().is_err_and(is_passing) {
                break;
            }
            std::thread::sleep(AGAIN);
        }
        let mut state = self.lock();
        let done = then(&mut state, &result, covered);
        state.flying = None;
        if !state.waiting.is_empty() {
            self.pump(&mut state);
        }
        done
    }

    /// Gives replayed dead letters of this process's partitions to their lanes, and takes back those that are done elsewhere.
    pub(super) fn sort_in(&self, replays: Vec<Replay>) {
        let now = self.now();
        let mut state = self.lock();
        let state = &mut *state;
        let mut current = HashMap::new();
        for replay in replays {
            let place = &replay.place;
            let key = (Arc::clone(&place.topic), position(place.partition, place.offset));
            if state.partitions.get(&place.topic, place.partition).is_some() {
                current.insert(key, replay);
            }
        }
        let lanes = &mut state.lanes;
        state.replays.retain(|key, old| {
            let keep = current.contains_key(key) || lanes.is_busy(&key.0, &old.event.key, key.1);
            if !keep {
                lanes.retain(|topic, position| (topic, position) == (&key.0, key.1));
            }
            keep
        });
        for (key, replay) in current {
            if state.replays.contains_key(&key) {
                continue;
            }
            state.lanes.push(&key.0, key.1, Arc::clone(&replay.event), replay.letter.attempts, now);
            state.replays.insert(key, replay);
        }
        self.changed.notify_waiters();
    }

    /// The name of a topic as envelopes have it.
    pub(super) fn short(&self, full: &str) -> Arc<str> {
        full.strip_prefix(self.cluster.options.prefix.as_str()).unwrap_or(full).into()
    }

    pub(super) fn full(&self, topic: &str) -> Arc<str> {
        format!("{}{topic}", self.cluster.options.prefix).into()
    }
}

/// Waits for the end of a settlement.
pub(super) async fn settled(answer: Answer) -> Result<()> {
    answer.await.unwrap_or_else(|_| Err(closed("settling")))
}

fn is_passing(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(passes)
}

/// The error of whoever waited for a group that was left.
fn closed(what: &str) -> Error {
    Error::new(ErrorKind::Cancelled, format!("the group was left while {what}"))
}

/// Starts a thread of the bus.
pub(super) fn thread(role: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(format!("pumasi-{role}")).spawn(work);
    started.map(drop).map_err(|error| {
        Error::new(ErrorKind::Other, format!("the thread to {role} could not be started")).with_source(error)
    })
}

/// A way back from librdkafka's callbacks to the group.
#[derive(Default)]
pub(super) struct WayBack(OnceLock<Weak<Group>>);

impl WayBack {
    pub(super) fn attach(&self, group: Weak<Group>) {
        // It is attached once, before anything is subscribed to.
        let _ = self.0.set(group);
    }

    pub(super) fn weak(&self) -> Weak<Group> {
        self.0.get().cloned().unwrap_or_default()
    }

    pub(super) fn group(&self) -> Option<Arc<Group>> {
        self.weak().upgrade()
    }
}
