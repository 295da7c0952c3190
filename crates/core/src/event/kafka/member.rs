//! One member of a group.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use tokio::time::Instant;

use super::cluster::blocking;
use super::dead::{Letter, LetterState, Place};
use super::error::{failed, too_slow};
use super::group::{Group, Handout, settled};
use super::partition::PartitionId;
use super::progress::Progress;
use super::state::place;
use crate::event::delivery::stale;
use crate::event::{Delivery, Lag, Reason, Receipt, Settlement, Start, Subscriber};
use crate::{Error, ErrorKind, Result};

/// How long a fetch that may not wait reads on towards the end that the broker named. Ends that a transaction left are never
/// reached, because its marks are no events.
const CATCH_UP: Duration = Duration::from_secs(2);

/// The members' common hold on a group: when the last one is dropped, the group is left.
pub(super) struct Handle {
    pub(super) group: Arc<Group>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.group.stop.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Member {
    pub(super) handle: Arc<Handle>,
    pub(super) topics: Vec<Arc<str>>,
    pub(super) lease: Duration,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSubscriber")
            .field("group", &self.handle.group.name)
            .field("topics", &self.topics)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// Turns what was handed out into deliveries, and puts aside what cannot be read.
    async fn deliveries(&self, handout: Handout) -> Result<Vec<Delivery>> {
        let group = &self.handle.group;
        let (mut replayed, mut unreadable) = (Vec::new(), HashMap::new());
        {
            let state = group.lock();
            if state.replays.is_empty() && state.unreadable.is_empty() {
                return Ok(handout.take().into_iter().map(|taken| taken.delivery).collect());
            }
            for (receipt, head) in handout.receipts() {
                let key = (Arc::clone(&receipt.topic), receipt.position);
                if head && let Some(replay) = state.replays.get(&key) {
                    replayed.push((
                        replay.place.clone(),
                        Letter { attempts: receipt.attempt, ..replay.letter.clone() },
                    ));
                    if let Some(reason) = replay.fault() {
                        unreadable.insert(key, reason);
                    }
                } else if let Some(record) = state.unreadable.get(&key) {
                    let fault = &record.fault;
                    let reason =
                        Reason::new("unreadable", format!("this program cannot read the event: {fault}"));
                    unreadable.insert(key, reason);
                }
            }
        }
        for (place, letter) in replayed {
            group.dead.write(&place, Some(&letter)).await?;
        }
        let mut deliveries = Vec::new();
        for taken in handout.take() {
            let delivery = taken.delivery;
            let key = (Arc::clone(&delivery.receipt.topic), delivery.receipt.position);
            let Some(reason) = unreadable.remove(&key) else {
                deliveries.push(delivery);
                continue;
            };
            tracing::error!(group = %group.name, position = key.1, "a record cannot be read by this program, and is put aside");
            if let Err(error) = self.settle(&delivery.receipt, Settlement::DeadLetter { reason }).await {
                // It comes back when its lease ends.
                tracing::warn!(group = %group.name, %error, "an unreadable record could not be put aside");
            }
        }
        Ok(deliveries)
    }

    /// Waits until everything is read that the partitions of this process held when it was called.
    async fn look(&self) -> Result<()> {
        let what = "looking for events";
        let group = &self.handle.group;
        let deadline = Instant::now() + group.cluster.options.request;
        self.until(deadline, |group| group.lock().joined)
            .await
            .then_some(())
            .ok_or_else(|| too_slow(what))?;
        let owned: Vec<(PartitionId, Arc<str>)> = {
            let state = group.lock();
            let id = |(topic, number)| (Arc::clone(topic), number);
            state.partitions.iter().map(|(of, partition)| (id(of), Arc::clone(&partition.full))).collect()
        };
        let cluster = Arc::clone(&group.cluster);
        let asked: Vec<_> = owned.iter().map(|((_, number), full)| (Arc::clone(full), *number)).collect();
        let ends = blocking(what, move || cluster.watermarks_here(asked)).await?;
        self.until(Instant::now() + CATCH_UP, |group| {
            let state = group.lock();
            owned.iter().all(|(id, full)| {
                let Some(partition) = state.partitions.get(&id.0, id.1) else { return true };
                let (low, high) = ends.get(&(Arc::clone(full), id.1)).copied().unwrap_or_default();
                partition.paused || low == high || partition.read >= high
            })
        })
        .await;
        Ok(())
    }

    /// Waits until a condition holds, and tells whether it does.
    async fn until(&self, deadline: Instant, holds: impl Fn(&Group) -> bool) -> bool {
        let group = &self.handle.group;
        loop {
            let mut changed = std::pin::pin!(group.changed.notified());
            changed.as_mut().enable();
            if holds(group) {
                return true;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => return holds(group),
            }
        }
    }
}

/// Puts an event aside whose settlement has begun: first the letter is written, then the event counts as done.
async fn put_aside(group: &Arc<Group>, receipt: &Receipt, reason: Reason) -> Result<()> {
    let key = (Arc::clone(&receipt.topic), receipt.position);
    let mut letter = {
        let mut state = group.lock();
        let event = state.lanes.event(receipt).ok_or_else(|| stale(receipt))?;
        let raw = state.replays.get(&key).and_then(|replay| replay.letter.raw.clone());
        let at = group.cluster.options.clock.now();
        let mut event = (*event).clone();
        if raw.is_some() || state.unreadable.contains_key(&key) {
            // It is in the record itself, which is kept whole.
            event.payload = serde_json::Value::Null;
        }
        let mut letter =
            Letter { state: LetterState::Dead, event, raw, reason, attempts: receipt.attempt, at };
        if let Some(unreadable) = state.unreadable.get(&key) {
            letter.keep(&unreadable.value);
        }
        letter
    };
    let mut written = group.dead.write(&where_is(receipt), Some(&letter)).await;
    if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidInput) {
        // With the reason, or in base64, it is larger than the broker takes. Its place tells where it stands.
        tracing::error!(group = %group.name, position = key.1, "an event is put aside without its payload, which is too large");
        letter.outline();
        written = group.dead.write(&where_is(receipt), Some(&letter)).await;
    }
    if let Err(error) = written {
        group.lock().lanes.abort(receipt);
        return Err(error);
    }
    if group.lock().replays.contains_key(&key) {
        return finish_replay(group, receipt).await;
    }
    group.settle(receipt, true).await?;
    group.lock().unreadable.remove(&key);
    Ok(())
}

/// Ends the delivery of a replayed event, of which everything is written: it is in no partition's progress.
async fn finish_replay(group: &Arc<Group>, receipt: &Receipt) -> Result<()> {
    let next = {
        let mut state = group.lock();
        let next = state.begin_next(receipt);
        state.lanes.finish(receipt, group.now());
        state.replays.remove(&(Arc::clone(&receipt.topic), receipt.position));
        next
    };
    group.changed.notify_waiters();
    match next {
        // It begins in any case; that its attempt is not committed yet is mended by the next commit.
        Some(_) => group.flush().await.or(Ok(())),
        None => Ok(()),
    }
}

/// Settles a replayed event, as done or released.
async fn settle_replay(group: &Arc<Group>, receipt: &Receipt, done: bool) -> Result<()> {
    let letter = group
        .lock()
        .replays
        .get(&(Arc::clone(&receipt.topic), receipt.position))
        .map(|replay| Letter { attempts: receipt.attempt.saturating_sub(1), ..replay.letter.clone() });
    let Some(letter) = letter else { return Err(stale(receipt)) };
    let written = group.dead.write(&where_is(receipt), (!done).then_some(&letter)).await;
    if let Err(error) = written {
        group.lock().lanes.abort(receipt);
        return Err(error);
    }
    if done {
        return finish_replay(group, receipt).await;
    }
    group.lock().lanes.give_back(receipt, letter.attempts, group.now());
    group.changed.notify_waiters();
    Ok(())
}

fn where_is(receipt: &Receipt) -> Place {
    let (partition, offset) = place(receipt.position);
    Place { topic: Arc::clone(&receipt.topic), partition, offset }
}

#[async_trait]
impl Subscriber for Member {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let group = &self.handle.group;
        let deadline = Instant::from_std(crate::time::after(Instant::now().into_std(), wait));
        // Whoever waits sees what comes in; whoever does not is to get what is there.
        let mut looked = !wait.is_zero();
        loop {
            let mut changed = std::pin::pin!(group.changed.notified());
            changed.as_mut().enable();
            if let Some(handout) = group.take(max.get(), &self.topics, self.lease).await? {
                let deliveries = self.deliveries(handout).await?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                continue;
            }
            if !std::mem::replace(&mut looked, true) {
                self.look().await?;
                continue;
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            let now = group.now();
            let due = group.lock().lanes.next_at(now);
            let due = due.map_or(wait, |due| due.saturating_duration_since(now));
            tokio::select! {
                () = changed => {}
                () = group.cluster.options.clock.sleep(due) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        let group = &self.handle.group;
        let until = group.now() + self.lease;
        let mut state = group.lock();
        Ok(receipts.iter().filter(|receipt| !state.lanes.renew(receipt, until)).cloned().collect())
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let group = &self.handle.group;
        let done = match settlement {
            Settlement::Ack => true,
            Settlement::Release => false,
            Settlement::Retry { after, .. } => {
                let mut state = group.lock();
                state.begin(receipt)?;
                // The attempt was committed before the event was handed out, and the delay ends with the process.
                state.lanes.give_back(receipt, receipt.attempt, crate::time::after(group.now(), after));
                drop(state);
                group.changed.notify_waiters();
                return Ok(());
            }
            Settlement::DeadLetter { reason } => {
                group.lock().begin(receipt)?;
                return apart(group, receipt, |group, receipt| async move {
                    put_aside(&group, &receipt, reason).await
                })
                .await;
            }
        };
        if let Some(answer) = group.begin_settling(receipt, done)? {
            return settled(answer).await;
        }
        apart(
            group,
            receipt,
            move |group, receipt| async move { settle_replay(&group, &receipt, done).await },
        )
        .await
    }

    async fn close(&self) {
        // Whoever else holds it goes on reading.
        if Arc::strong_count(&self.handle) > 1 {
            return;
        }
        let group = &self.handle.group;
        group.stop.store(true, Ordering::Relaxed);
        let limit = group.cluster.options.request;
        if tokio::time::timeout(limit, group.left.triggered()).await.is_err() {
            tracing::warn!(group = %group.name, "the group could not be left in order");
        }
    }

    async fn lag(&self) -> Result<Lag> {
        let group = Arc::clone(&self.handle.group);
        let topics = self.topics.clone();
        blocking("measuring the lag", move || group.lag_here(&topics)).await
    }
}

/// Runs what takes several steps to its end, also when nobody waits for it any more.
async fn apart<F>(
    group: &Arc<Group>,
    receipt: &Receipt,
    work: impl FnOnce(Arc<Group>, Receipt) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let work = work(Arc::clone(group), receipt.clone());
    let cut = |_| Err(Error::new(ErrorKind::Cancelled, "the runtime ended while settling"));
    tokio::spawn(work).await.unwrap_or_else(cut)
}

impl Group {
    /// Counts what the group has not settled; blocks.
    fn lag_here(&self, topics: &[Arc<str>]) -> Result<Lag> {
        let what = "measuring the lag";
        let mut unsettled = 0_u64;
        let mut elsewhere = TopicPartitionList::new();
        let mut partitions = Vec::new();
        for topic in topics {
            let full = self.full(topic);
            partitions.extend(
                self.cluster.partitions_here(&full)?.into_iter().map(|number| (Arc::clone(&full), number)),
            );
        }
        let ends = self.cluster.watermarks_here(partitions)?;
        {
            let state = self.lock();
            for ((full, number), (_, high)) in &ends {
                match state.partitions.get(&self.short(full), *number) {
                    Some(partition) => unsettled += open(&partition.progress, *high),
                    None => {
                        elsewhere.add_partition(full, *number);
                    }
                }
            }
        }
        if elsewhere.count() > 0 {
            let limit = self.cluster.options.request;
            let committed =
                self.consumer.committed_offsets(elsewhere, limit).map_err(|error| failed(what, &error))?;
            for element in committed.elements() {
                element.error().map_err(|error| failed(what, &error))?;
                let (low, high) =
                    ends.get(&(element.topic().into(), element.partition())).copied().unwrap_or_default();
                let progress = match element.offset() {
                    Offset::Offset(base) => Progress::restore(base, element.metadata()),
                    // It has not begun there: a partition that is new, or that nobody was given so far.
                    _ if self.lock().starts.get(&self.short(element.topic())) == Some(&Start::Latest) => {
                        continue;
                    }
                    _ => Progress::at(low),
                };
                unsettled += open(&progress, high);
            }
        }
        let (dead, replayed) = self.dead.count_here(topics)?;
        Ok(Lag::new(unsettled + replayed, dead))
    }
}

/// How many events are not settled in a partition that ends at `high`.
fn open(progress: &Progress, high: i64) -> u64 {
    let unread = u64::try_from(high - progress.next()).unwrap_or(0);
    progress.unsettled() as u64 + unread
}
