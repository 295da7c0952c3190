//! A member of a group.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::super::{Delivery, Envelope, Lag, Reason, Receipt, Settlement, Subscriber};
use super::error::Failure;
use super::store::{Claim, Taken};
use super::writer::{Answer, Work};
use super::{Shared, store, unexpected, writer};
use crate::Result;
use crate::error::JsonFault;
use crate::time::{Timestamp, after};

pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) lease: Duration,
    pub(super) subs: BTreeMap<String, i64>,
    pub(super) list: Arc<[i64]>,
    /// Which of them a fetch begins with, in turn, so that a busy topic leaves the others some of it.
    pub(super) turn: AtomicUsize,
    pub(super) topics: BTreeMap<i64, Arc<str>>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSubscriber")
            .field("path", &self.shared.path)
            .field("topics", &self.subs.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Member {
    fn claim(&self, receipt: &Receipt) -> Option<Claim> {
        Some(Claim {
            sub: *self.subs.get(&*receipt.topic)?,
            key: receipt.key.to_string(),
            seq: i64::try_from(receipt.position).ok()?,
            fence: i64::try_from(receipt.fence).ok()?,
            attempt: receipt.attempt,
        })
    }

    fn receipt(&self, claim: &Claim) -> Option<Receipt> {
        Some(Receipt {
            topic: Arc::clone(self.topics.get(&claim.sub)?),
            key: claim.key.as_str().into(),
            position: u128::try_from(claim.seq).ok()?,
            fence: u64::try_from(claim.fence).ok()?,
            attempt: claim.attempt,
        })
    }

    /// Puts an event aside that this program cannot read, so that it does not hold up its lane for ever.
    async fn put_aside(&self, claim: Claim, fault: JsonFault) {
        let position = claim.seq;
        tracing::error!(position, "a stored event cannot be read by this program, and is put aside");
        let reason = Reason::new("unreadable", format!("this program cannot read the event: {fault}"));
        let settlement = Settlement::DeadLetter { reason };
        if let Err(error) = self.shared.ask(Work::Settle { claim, settlement }).await {
            // It comes back when its lease ends.
            tracing::warn!(position, error = %error, "an unreadable event could not be put aside");
        }
    }

    /// Looks without writing, so that an idle member costs no lock.
    async fn next_at(&self) -> Result<Option<Timestamp>> {
        let mut reader = self.shared.reader.lock().await;
        let latest = self.shared.clock.now().saturating_add(writer::TOLERANCE);
        let next = async {
            // What waits for a clock that was put right is for the writer to mend.
            if store::is_ahead(&mut reader, &self.list, latest).await? {
                return Ok(Some(Timestamp::MIN));
            }
            store::peek(&mut reader, &self.list).await
        };
        next.await.map_err(|failure: Failure| failure.during("looking for events", &self.shared.path))
    }

    async fn take(&self, max: NonZeroUsize) -> Result<Vec<Delivery>> {
        let mut subs = self.list.to_vec();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % subs.len().max(1);
        subs.rotate_left(first);
        let work = Work::Fetch { subs: subs.into(), max: max.get(), lease: self.lease };
        match self.shared.ask(work).await? {
            Answer::Fetched(mut handout) => {
                let mut deliveries = Vec::with_capacity(handout.taken().len());
                let mut unreadable = Vec::new();
                for Taken { claim, body, .. } in handout.taken() {
                    match serde_json::from_str::<Envelope>(body) {
                        Ok(event) => {
                            let receipt = self.receipt(claim);
                            deliveries.extend(receipt.map(|receipt| Delivery::new(Arc::new(event), receipt)));
                        }
                        Err(error) => unreadable.push((claim.clone(), JsonFault::from(&error))),
                    }
                }
                for (claim, fault) in unreadable {
                    // Whoever leaves while this is asked gives back the rest, of which the writer hears later.
                    handout.leave_out(&claim);
                    self.put_aside(claim, fault).await;
                }
                handout.take();
                Ok(deliveries)
            }
            _ => Err(unexpected()),
        }
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let clock = &self.shared.clock;
        let deadline = after(clock.instant(), wait);
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let next = self.next_at().await?;
            if next.is_some_and(|next| next <= clock.now()) {
                let taken = self.take(max).await?;
                if !taken.is_empty() {
                    return Ok(taken);
                }
            }
            let left = deadline.saturating_duration_since(clock.instant());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let due = next.map_or(Duration::MAX, |next| next.saturating_since(clock.now()));
            let pause = left.min(due.max(Duration::from_millis(1))).min(self.shared.poll);
            tokio::select! {
                () = changed => {}
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        let (mut claims, mut claimed, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for receipt in receipts {
            match self.claim(receipt) {
                Some(claim) => {
                    claims.push(claim);
                    claimed.push(receipt);
                }
                None => lost.push(receipt.clone()),
            }
        }
        let Answer::Renewed(standing) = self.shared.ask(Work::Renew { claims, lease: self.lease }).await?
        else {
            return Err(unexpected());
        };
        let fallen = claimed.into_iter().enumerate().filter(|(place, _)| !standing.contains(place));
        lost.extend(fallen.map(|(_, receipt)| receipt.clone()));
        Ok(lost)
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let Some(claim) = self.claim(receipt) else { return Err(crate::event::delivery::stale(receipt)) };
        match self.shared.ask(Work::Settle { claim, settlement }).await? {
            Answer::Settled(true) => Ok(()),
            Answer::Settled(false) => Err(crate::event::delivery::stale(receipt)),
            _ => Err(unexpected()),
        }
    }

    async fn lag(&self) -> Result<Lag> {
        let mut reader = self.shared.reader.lock().await;
        store::lag(&mut reader, &self.list)
            .await
            .map_err(|failure| failure.during("measuring the lag", &self.shared.path))
    }
}
