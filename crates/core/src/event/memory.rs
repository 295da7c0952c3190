//! The bus in memory: the reference of the laws, and the bus of tests and of services that may forget.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::window::Window;
use super::{
    BusCapabilities, DeadLetter, Delivery, Envelope, EventBus, EventId, Lag, Page, Published, Receipt,
    Settlement, Start, Subscriber, Subscription,
};
use crate::Result;
use crate::time::{self, Clock, SystemClock, Timestamp};

/// How many events of one lane a fetch hands out at most.
const RUN: usize = 32;

/// Keeps events in the process's memory.
///
/// It keeps every law but durability, and so stands in for a real bus in tests. What groups have not settled stays
/// without limit; of what is published, the last [`retained`](Self::with_retained) events of a topic stay for groups
/// that begin later, and the ids of twice as many for recognising doubles.
///
/// Clones share the same bus.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::event::{Envelope, EventBus, MemoryBus, Settlement, State, Subscription};
///
/// let bus = MemoryBus::new();
/// let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await?;
/// bus.publish(&[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
///
/// for delivery in member.fetch(NonZeroUsize::MIN, Duration::ZERO).await? {
///     assert_eq!(delivery.event.key, "post-7");
///     member.settle(&delivery.receipt, Settlement::Ack).await?;
/// }
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<Log>,
    changed: Notify,
    clock: Arc<dyn Clock>,
    retained: usize,
}

impl MemoryBus {
    /// The events of a topic that are kept for later groups, unless set otherwise.
    pub const DEFAULT_RETAINED: usize = 10_000;

    /// Makes an empty bus on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Makes an empty bus on `clock`, by which leases and delays are measured.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: Notify::new(),
                clock,
                retained: Self::DEFAULT_RETAINED,
            }),
        }
    }

    /// Makes an empty bus on `clock` that keeps the last `retained` events of each topic for groups that begin later,
    /// and remembers twice as many ids; the default is [10,000](Self::DEFAULT_RETAINED).
    pub fn with_retained(clock: Arc<dyn Clock>, retained: usize) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), clock, retained }) }
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").field("retained", &self.shared.retained).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        // Every change of the state is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Log {
    last: u64,
    topics: HashMap<String, VecDeque<Entry>>,
    known: Window,
    groups: HashMap<String, Group>,
    /// Of all groups: one that is forgotten and comes again must not take old receipts for its own.
    last_fence: u64,
}

#[derive(Clone)]
struct Entry {
    position: u64,
    at: Timestamp,
    event: Arc<Envelope>,
}

type LaneId = (Arc<str>, Arc<str>);

#[derive(Default)]
struct Group {
    topics: HashSet<String>,
    lanes: HashMap<LaneId, Lane>,
    /// The lanes by when they may be handed out, then by their oldest event.
    order: BTreeSet<(Instant, u64, LaneId)>,
    done: Window,
    dead: BTreeMap<u64, (u64, DeadLetter)>,
    last_dead: u64,
}

/// The unsettled events of one topic and key, in order.
struct Lane {
    rows: VecDeque<Row>,
    /// How many of the first rows may bear a fence: no more are looked at when one is settled.
    run: usize,
    /// When the lane may be handed out: the end of a delay, or of a lease.
    available: Instant,
    /// Under which its lane stands in the group's order.
    rank: u64,
    fence: u64,
}

struct Row {
    position: u64,
    event: Arc<Envelope>,
    attempts: u32,
    /// The fence under which it is handed out; 0 if it is not.
    fence: u64,
}

impl Group {
    fn push(&mut self, position: u64, event: &Arc<Envelope>, now: Instant) {
        if self.done.contains(event.id) {
            return;
        }
        let id: LaneId = (event.topic.as_str().into(), event.key.as_str().into());
        let row = Row { position, event: Arc::clone(event), attempts: 0, fence: 0 };
        let lane = self.lanes.entry(id.clone()).or_insert_with(|| Lane {
            rows: VecDeque::new(),
            run: 0,
            available: now,
            rank: position,
            fence: 0,
        });
        if lane.rows.is_empty() {
            self.order.insert((lane.available, lane.rank, id));
        }
        let at = lane.rows.partition_point(|row| row.position < position);
        lane.run += usize::from(at < lane.run);
        lane.rows.insert(at, row);
    }

    fn take(
        &mut self,
        max: usize,
        topics: &[String],
        now: Instant,
        lease: Duration,
        last_fence: &mut u64,
    ) -> Vec<Delivery> {
        let chosen: Vec<(Instant, u64, LaneId)> = self
            .order
            .iter()
            .take_while(|(available, ..)| *available <= now)
            .filter(|(.., (topic, _))| topics.iter().any(|wanted| **wanted == **topic))
            .take(max)
            .cloned()
            .collect();
        // Each lane gives one event, and what is left of `max` goes to longer runs.
        let mut spare = max - chosen.len();
        let mut deliveries = Vec::new();
        for (available, rank, id) in chosen {
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            self.order.remove(&(available, rank, id.clone()));
            *last_fence += 1;
            let fence = *last_fence;
            let run = (1 + spare).min(RUN).min(lane.rows.len());
            spare -= run.saturating_sub(1);
            for (index, row) in lane.rows.iter_mut().take(lane.run.max(run)).enumerate() {
                if index >= run {
                    row.fence = 0;
                    continue;
                }
                row.fence = fence;
                let attempt = row.attempts.saturating_add(1);
                if index == 0 {
                    row.attempts = attempt;
                }
                let receipt = Receipt {
                    topic: Arc::clone(&id.0),
                    key: Arc::clone(&id.1),
                    position: row.position.into(),
                    fence,
                    attempt,
                };
                deliveries.push(Delivery::new(Arc::clone(&row.event), receipt));
            }
            (lane.run, lane.fence) = (run, fence);
            lane.available = time::after(now, lease);
            lane.rank = lane.rows.front().map_or(rank, |row| row.position);
            self.order.insert((lane.available, lane.rank, id));
        }
        deliveries
    }

    /// Finds the row that the receipt claims, if the claim still stands.
    fn claimed(&self, receipt: &Receipt) -> Option<(LaneId, usize)> {
        let id = (Arc::clone(&receipt.topic), Arc::clone(&receipt.key));
        let lane = self.lanes.get(&id)?;
        let index = lane.rows.binary_search_by_key(&receipt.position, |row| row.position.into()).ok()?;
        let row = lane.rows.get(index)?;
        (receipt.fence != 0 && row.fence == receipt.fence && lane.fence == receipt.fence)
            .then_some((id, index))
    }

    fn settle(
        &mut self,
        receipt: &Receipt,
        settlement: Settlement,
        now: Instant,
        at: Timestamp,
        window: usize,
    ) -> bool {
        let Some((id, index)) = self.claimed(receipt) else { return false };
        let Some(lane) = self.lanes.get_mut(&id) else { return false };
        self.order.remove(&(lane.available, lane.rank, id.clone()));
        let removed = match &settlement {
            Settlement::Ack | Settlement::DeadLetter { .. } => lane.rows.remove(index),
            Settlement::Retry { after, .. } => {
                give_back(lane, index, receipt.attempt, time::after(now, *after));
                None
            }
            Settlement::Release => {
                give_back(lane, index, receipt.attempt.saturating_sub(1), now);
                None
            }
        };
        if let Some(row) = removed {
            lane.run = lane.run.saturating_sub(1);
            let next =
                lane.rows.iter_mut().take(lane.run).enumerate().find(|(_, row)| row.fence == receipt.fence);
            match next {
                None => {
                    lane.available = now;
                    lane.fence = 0;
                }
                // The next of the run begins now, unless it stood before what was settled, and so had begun.
                Some((place, next)) if place >= index => next.attempts = next.attempts.saturating_add(1),
                Some(_) => {}
            }
            match settlement {
                Settlement::DeadLetter { reason } => {
                    self.last_dead += 1;
                    let event = Envelope::clone(&row.event);
                    let letter = DeadLetter::new(self.last_dead, event, reason, receipt.attempt, at);
                    self.dead.insert(self.last_dead, (row.position, letter));
                }
                _ => {
                    self.done.insert(row.event.id, window);
                }
            }
        }
        match lane.rows.front() {
            Some(front) => {
                lane.rank = front.position;
                self.order.insert((lane.available, lane.rank, id));
            }
            None => {
                self.lanes.remove(&id);
            }
        }
        true
    }
}

fn give_back(lane: &mut Lane, index: usize, attempts: u32, available: Instant) {
    for row in lane.rows.iter_mut().take(lane.run) {
        row.fence = 0;
    }
    lane.run = 0;
    if let Some(row) = lane.rows.get_mut(index) {
        row.attempts = attempts;
    }
    lane.fence = 0;
    lane.available = available;
}

#[async_trait]
impl EventBus for MemoryBus {
    fn capabilities(&self) -> BusCapabilities {
        let mut capabilities = BusCapabilities::none();
        capabilities.atomic_batches = true;
        capabilities.idempotent_publish = true;
        capabilities
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        events.iter().try_for_each(Envelope::check)?;
        let (now, at) = (self.shared.clock.instant(), self.shared.clock.now());
        let retained = self.shared.retained;
        let mut accepted = 0;
        {
            let mut log = self.shared.lock();
            for event in events {
                if !log.known.insert(event.id, retained.saturating_mul(2)) {
                    continue;
                }
                accepted += 1;
                log.last += 1;
                let position = log.last;
                let event = Arc::new(event.clone());
                for group in log.groups.values_mut() {
                    if group.topics.contains(&event.topic) {
                        group.push(position, &event, now);
                    }
                }
                let topic = log.topics.entry(event.topic.clone()).or_default();
                topic.push_back(Entry { position, at, event });
                while topic.len() > retained {
                    topic.pop_front();
                }
            }
        }
        self.shared.changed.notify_waiters();
        Ok(Published::new(accepted, events.len() - accepted))
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        subscription.check()?;
        let now = self.shared.clock.instant();
        let mut log = self.shared.lock();
        let log = &mut *log;
        let group = log.groups.entry(subscription.group().to_owned()).or_default();
        for topic in subscription.topics() {
            if !group.topics.insert(topic.clone()) {
                continue;
            }
            for entry in log.topics.get(topic).into_iter().flatten() {
                let wanted = match subscription.start() {
                    Start::Earliest => true,
                    Start::Latest => false,
                    Start::At(at) => entry.at >= at,
                };
                if wanted {
                    group.push(entry.position, &entry.event, now);
                }
            }
        }
        Ok(Arc::new(Member { shared: Arc::clone(&self.shared), subscription: subscription.clone() }))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        let log = self.shared.lock();
        Ok(log.groups.get(group).map_or_else(Vec::new, |group| {
            let after = page.after.saturating_add(1);
            group.dead.range(after..).take(page.limit.get()).map(|(_, (_, letter))| letter.clone()).collect()
        }))
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        let wanted: HashSet<EventId> = ids.iter().copied().collect();
        let now = self.shared.clock.instant();
        let replayed = {
            let mut log = self.shared.lock();
            let Some(group) = log.groups.get_mut(group) else { return Ok(0) };
            let letters: Vec<_> =
                group.dead.extract_if(.., |_, (_, letter)| wanted.contains(&letter.event.id)).collect();
            let count = letters.len();
            for (_, (position, letter)) in letters {
                group.push(position, &Arc::new(letter.event), now);
            }
            count
        };
        self.shared.changed.notify_waiters();
        Ok(replayed)
    }

    async fn forget_group(&self, group: &str) -> Result<bool> {
        Ok(self.shared.lock().groups.remove(group).is_some())
    }
}

struct Member {
    shared: Arc<Shared>,
    subscription: Subscription,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySubscriber").field("subscription", &self.subscription).finish_non_exhaustive()
    }
}

impl Member {
    /// Takes what is available, and tells when the next lane will be.
    fn try_take(&self, max: NonZeroUsize) -> (Vec<Delivery>, Option<Instant>) {
        let now = self.shared.clock.instant();
        let mut log = self.shared.lock();
        let log = &mut *log;
        let Some(group) = log.groups.get_mut(self.subscription.group()) else { return (Vec::new(), None) };
        let (topics, lease) = (self.subscription.topics(), self.subscription.lease());
        let taken = group.take(max.get(), topics, now, lease, &mut log.last_fence);
        let next = group.order.iter().map(|(available, ..)| *available).find(|available| *available > now);
        (taken, next)
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let deadline = time::after(self.shared.clock.instant(), wait);
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // Whoever publishes from here on wakes this fetch, so nothing falls between looking and waiting.
            changed.as_mut().enable();
            let (taken, next) = self.try_take(max);
            let now = self.shared.clock.instant();
            if !taken.is_empty() || now >= deadline {
                return Ok(taken);
            }
            let until = next.map_or(deadline, |next| next.min(deadline));
            let sleep = self.shared.clock.sleep_until(until);
            tokio::select! {
                () = changed => {}
                () = sleep => {}
            }
        }
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        let until = time::after(self.shared.clock.instant(), self.subscription.lease());
        let mut log = self.shared.lock();
        let Some(group) = log.groups.get_mut(self.subscription.group()) else {
            return Ok(receipts.to_vec());
        };
        let mut lost = Vec::new();
        for receipt in receipts {
            let Some((id, _)) = group.claimed(receipt) else {
                lost.push(receipt.clone());
                continue;
            };
            if let Some(lane) = group.lanes.get_mut(&id) {
                group.order.remove(&(lane.available, lane.rank, id.clone()));
                lane.available = until;
                group.order.insert((lane.available, lane.rank, id));
            }
        }
        Ok(lost)
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let (now, at) = (self.shared.clock.instant(), self.shared.clock.now());
        let window = self.shared.retained.saturating_mul(2);
        let settled = {
            let mut log = self.shared.lock();
            let group = log.groups.get_mut(self.subscription.group());
            group.is_some_and(|group| group.settle(receipt, settlement, now, at, window))
        };
        if !settled {
            return Err(super::delivery::stale(receipt));
        }
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn lag(&self) -> Result<Lag> {
        let log = self.shared.lock();
        Ok(log.groups.get(self.subscription.group()).map_or_else(Lag::default, |group| {
            let wanted = |topic: &str| self.subscription.topics().iter().any(|wanted| wanted == topic);
            let lanes = group.lanes.iter().filter(|((topic, _), _)| wanted(topic));
            let unsettled: usize = lanes.map(|(_, lane)| lane.rows.len()).sum();
            let dead = group.dead.values().filter(|(_, letter)| wanted(&letter.event.topic)).count();
            Lag::new(unsettled as u64, dead as u64)
        }))
    }
}
