//! One member of a group: takes events, waits for them, renews and settles.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::sync::{Notify, oneshot};

use super::Shared;
use super::error::Failure;
use super::script::{self, FETCH, GIVE_BACK, LAG, RENEW};
use super::settler::Settler;
use crate::error::JsonFault;
use crate::event::{Delivery, Envelope, Lag, Reason, Receipt, Settlement, Subscriber, Subscription};
use crate::{Error, ErrorKind, Result};

/// How many events one fetch hands out at most, whatever it is asked for.
const MOST: usize = 1024;
/// How many fetches without an answer are remembered, to take back what they may have leased.
const LOST: usize = 16;

pub(super) struct Member {
    inner: Arc<Inner>,
    changed: Arc<Notify>,
}

struct Inner {
    shared: Arc<Shared>,
    group: Arc<str>,
    topics: Vec<Arc<str>>,
    lease: Duration,
    settler: Settler,
    /// Fences of fetches whose answers did not arrive.
    lost: Mutex<Vec<u64>>,
    /// Which topic is asked first, so that none starves behind another.
    turn: AtomicUsize,
    runtime: tokio::runtime::Handle,
}

/// What one look at the server brought.
#[derive(Default)]
struct Look {
    deliveries: Vec<Delivery>,
    /// How many events were put aside because this program cannot read them.
    unreadable: usize,
    /// When the next event is due, if one waits.
    due: Option<Duration>,
}

/// What a fetch leased, until somebody takes it: dropped before, it goes back.
struct Handout {
    look: Look,
    fence: u64,
    inner: Arc<Inner>,
}

impl Handout {
    fn take(mut self) -> Look {
        std::mem::take(&mut self.look)
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        let lanes: HashSet<(Arc<str>, Arc<str>)> = self
            .look
            .deliveries
            .drain(..)
            .map(|delivery| (delivery.receipt.topic, delivery.receipt.key))
            .collect();
        if lanes.is_empty() {
            return;
        }
        let (inner, fence) = (Arc::clone(&self.inner), self.fence);
        self.inner.runtime.spawn(async move {
            let mut call = inner.shared.call(&GIVE_BACK);
            call.arg(&*inner.group).arg(inner.shared.now()).arg(fence);
            for (topic, key) in &lanes {
                call.arg(&**topic).arg(&**key);
            }
            if inner.shared.link.call_patiently(&call).await.is_err() {
                // The leases end by themselves.
                tracing::debug!(lanes = lanes.len(), "a fetch that nobody received could not be given back");
            }
        });
    }
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, subscription: &Subscription) -> Self {
        let group: Arc<str> = subscription.group().into();
        let changed = Arc::new(Notify::new());
        shared.wakes.register(subscription.topics().iter().map(String::as_str), &changed);
        let settler = Settler::start(Arc::clone(&shared), Arc::clone(&group));
        let inner = Inner {
            group,
            topics: subscription.topics().iter().map(|topic| topic.as_str().into()).collect(),
            lease: subscription.lease(),
            settler,
            lost: Mutex::default(),
            turn: AtomicUsize::new(0),
            runtime: tokio::runtime::Handle::current(),
            shared,
        };
        Self { inner: Arc::new(inner), changed }
    }

    /// Looks once, in a task that ends whether or not somebody waits for it.
    async fn look(&self, max: usize) -> Result<Look> {
        let inner = Arc::clone(&self.inner);
        let (reply, answer) = oneshot::channel();
        self.inner.runtime.spawn(async move {
            // Whoever is not there any more drops what is sent, and it goes back.
            let _ = reply.send(inner.look(max).await);
        });
        match answer.await {
            Ok(handout) => handout.map(Handout::take),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the bus's task has ended with its runtime")),
        }
    }
}

impl Inner {
    async fn look(self: Arc<Self>, max: usize) -> Result<Handout> {
        let fence = fastrand::u64(1..);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.topics.len().max(1);
        let (before, first) = self.topics.split_at(turn);
        let topics: Vec<&Arc<str>> = first.iter().chain(before).collect();
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        let mut call = self.shared.call(&FETCH);
        call.arg(&*self.group)
            .arg(self.shared.now())
            .arg(micros(self.lease))
            .arg(max.min(MOST))
            .arg(fence)
            .arg(lost.len())
            .arg(&lost);
        for topic in &topics {
            call.arg(&***topic);
        }
        let answer = self.shared.link.call(&call).await.and_then(|answer| read(answer, fence, &topics));
        let read = match answer {
            Ok(read) => read,
            Err(failure) => {
                if failure.is_uncertain() {
                    let mut open = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                    open.extend(lost.into_iter().chain([fence]));
                    let excess = open.len().saturating_sub(LOST);
                    open.drain(..excess);
                }
                return Err(self.shared.error(failure, FETCH.what));
            }
        };
        let look = Look { deliveries: read.deliveries, unreadable: read.unreadable.len(), due: read.due };
        let handout = Handout { look, fence, inner: Arc::clone(&self) };
        for (receipt, fault) in read.unreadable {
            self.put_aside(&receipt, fault).await;
        }
        Ok(handout)
    }

    /// Puts an event aside that this program cannot read, so that it does not hold up its lane for ever.
    async fn put_aside(&self, receipt: &Receipt, fault: JsonFault) {
        let position = script::id(receipt.position);
        tracing::error!(position, "a stored event cannot be read by this program, and is put aside");
        let reason = Reason::new("unreadable", format!("this program cannot read the event: {fault}"));
        if let Err(error) = self.settler.settle(receipt, Settlement::DeadLetter { reason }).await {
            // It comes back when its lease ends.
            tracing::warn!(position, error = %error, "an unreadable event could not be put aside");
        }
    }
}

struct Read {
    deliveries: Vec<Delivery>,
    unreadable: Vec<(Receipt, JsonFault)>,
    due: Option<Duration>,
}

fn read(answer: Value, fence: u64, topics: &[&Arc<str>]) -> std::result::Result<Read, Failure> {
    let mut parts = script::list(answer)?.into_iter();
    let due = script::number(&parts.next().ok_or(Failure::Answer)?)?;
    let due = u64::try_from(due).ok().map(Duration::from_micros);
    let mut read = Read { deliveries: Vec::with_capacity(parts.len() / 3), unreadable: Vec::new(), due };
    while let Some(place) = parts.next() {
        let mut next = || parts.next().ok_or(Failure::Answer);
        let place = script::count(&place)?;
        let topic = place.checked_sub(1).and_then(|place| topics.get(place)).ok_or(Failure::Answer)?;
        for _ in 0..script::count(&next()?)? {
            let row = script::text(next()?)?;
            let (id, attempt) = row.split_once('/').unwrap_or((&row, "1"));
            let receipt = Receipt {
                topic: Arc::clone(topic),
                position: script::position(id)?,
                attempt: attempt.parse().map_err(|_| Failure::Answer)?,
                key: script::text(next()?)?.into(),
                fence,
            };
            let stored = script::bytes(next()?)?;
            match serde_json::from_slice::<Envelope>(stored.get(16..).unwrap_or_default()) {
                Ok(event) => read.deliveries.push(Delivery::new(Arc::new(event), receipt)),
                Err(error) => read.unreadable.push((receipt, JsonFault::from(&error))),
            }
        }
    }
    Ok(read)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSubscriber")
            .field("address", &self.inner.shared.link.redis.endpoint())
            .field("group", &self.inner.group)
            .field("topics", &self.inner.topics)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let clock = &self.inner.shared.clock;
        let deadline = crate::time::after(clock.instant(), wait);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // What becomes available from here on wakes this fetch, so nothing falls between looking and waiting.
            changed.as_mut().enable();
            let look = self.look(max.get()).await?;
            let left = deadline.saturating_duration_since(clock.instant());
            if !look.deliveries.is_empty() || left.is_zero() {
                return Ok(look.deliveries);
            }
            if look.unreadable > 0 {
                continue;
            }
            let due = look.due.map_or(left, |due| left.min(due.max(Duration::from_millis(1))));
            tokio::select! {
                () = changed => {}
                () = clock.sleep(due) => {}
                () = tokio::time::sleep(self.inner.shared.poll) => {}
            }
        }
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        if receipts.is_empty() {
            return Ok(Vec::new());
        }
        let shared = &self.inner.shared;
        let mut call = shared.call(&RENEW);
        call.arg(&*self.inner.group).arg(shared.now()).arg(micros(self.inner.lease));
        for receipt in receipts {
            call.arg(&*receipt.topic).arg(&*receipt.key).arg(script::id(receipt.position)).arg(receipt.fence);
        }
        let answer = shared.link.call_patiently(&call).await.and_then(script::bytes);
        let answer = answer.map_err(|failure| shared.error(failure, RENEW.what))?;
        if answer.len() != receipts.len() {
            return Err(shared.error(Failure::Answer, RENEW.what));
        }
        let lost = receipts.iter().zip(answer).filter(|(_, stands)| *stands != b'1');
        Ok(lost.map(|(receipt, _)| receipt.clone()).collect())
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        self.inner.settler.settle(receipt, settlement).await
    }

    async fn lag(&self) -> Result<Lag> {
        let shared = &self.inner.shared;
        let mut call = shared.call(&LAG);
        call.arg(&*self.inner.group);
        for topic in &self.inner.topics {
            call.arg(&**topic);
        }
        let read = |answer: Value| match script::list(answer)?.as_slice() {
            [unsettled, dead] => Ok(Lag::new(script::count(unsettled)? as u64, script::count(dead)? as u64)),
            _ => Err(Failure::Answer),
        };
        let answer = shared.link.call_patiently(&call).await.and_then(read);
        answer.map_err(|failure| shared.error(failure, LAG.what))
    }
}
