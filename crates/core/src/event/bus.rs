//! The seam: what a bus promises.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    DeadLetter, Delivery, Envelope, EventId, Lag, Page, Published, Receipt, Settlement, Subscription,
};
use crate::Result;

/// Carries events from publishers to groups of subscribers, and forgets none.
///
/// A *group* is one reader: every group gets every event of its topics, and the members of a group share them out. A
/// *lane* is what has one topic and one key; order is kept within a lane, and lanes do not wait for each other.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::bus`):
///
/// 1. **Durable publish.** When [`publish`](Self::publish) returns `Ok`, the events outlive the process, as far as
///    [`BusCapabilities::durable`] says. One call's events are kept all or none, where
///    [`BusCapabilities::atomic_batches`] says so.
/// 2. **Idempotent publish.** An id that the bus has is not stored again: whoever does not know whether a publish
///    succeeded repeats it. (For how long an id is remembered is the backend's setting.)
/// 3. **Fan-out.** Every group gets every event of its topics, from its start position on, whether or not a member is
///    there when it is published.
/// 4. **One holder.** Within a group an event is with at most one member whose lease runs.
/// 5. **Order.** Within a group and a lane, events are handed out in the order in which they were published; while a
///    member holds events of a lane, nobody is handed others of that lane. One fetch may hand out several, in order.
/// 6. **At least once.** An event that was handed out and not settled comes back when the lease ends.
/// 7. **Acknowledged is done.** After [`Settlement::Ack`] returned `Ok`, the group is never handed that event again,
///    nor another one with the same id.
/// 8. **Retry later.** After [`Settlement::Retry`] the event comes back, not before its delay has passed, with its
///    attempt counted; later events of its lane wait for it, and other lanes do not.
/// 9. **Dead letters.** After [`Settlement::DeadLetter`] the lane goes on; the event is listed with its reason, its
///    attempts and its trace until it is [replayed](Self::replay), which hands it to that group again.
/// 10. **Leases are fenced.** [`Subscriber::renew`] extends a lease. Once an event went to another member, the old receipt
///     is refused: `renew` reports it as lost, and `settle` fails with `Conflict` and changes nothing.
/// 11. **Release.** After [`Settlement::Release`] the event is available again at once, and the attempt does not count.
///     A retry or a release also gives back the later events of the lane that the same fetch handed out.
/// 12. **Start position.** Where a group begins is decided when it first subscribes to a topic, and is not moved by later
///     subscriptions.
/// 13. **Cancellation.** A `publish` whose future is dropped has stored all of its events or none. A `fetch` whose
///     future is dropped leaves no event behind with a lease: it is available again, its attempt unused, as soon as the
///     backend has noticed; a fetch that waits is handed it then, one that does not may come too early.
/// 14. **Attempts survive.** A delivery that was lost with its member is counted as an attempt.
/// 15. **Forgotten groups.** After [`forget_group`](Self::forget_group) a group holds nothing back, and begins anew when it
///     subscribes again.
///
/// A log with partitions (Kafka) fits behind it: the position is partition and offset, a member keeps what it has not
/// settled in memory, commits offsets up to the oldest unsettled event, and forgets nothing because what lies above that
/// offset is read again and recognised by its id.
#[async_trait]
pub trait EventBus: fmt::Debug + Send + Sync {
    /// Tells what this backend can do.
    fn capabilities(&self) -> BusCapabilities;

    /// Stores events, in order.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`], and then none is stored; `Storage`, `Unavailable` or
    /// `Timeout` if the store failed: repeat with the same ids.
    async fn publish(&self, events: &[Envelope]) -> Result<Published>;

    /// Becomes a member of a group.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the subscription breaks [`Subscription::check`]; `Storage` or `Unavailable` if the store failed.
    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>>;

    /// Lists what a group has put aside, oldest first.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; an unknown group has no dead letters.
    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>>;

    /// Hands dead letters to their group again, with their attempts counted anew; returns how many there were.
    ///
    /// A replayed event comes before the later events of its lane that are not handed out yet.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; ids that are not among the dead letters are passed over.
    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize>;

    /// Forgets a group that is not read any more, its position and its dead letters; tells whether there was one.
    ///
    /// A member that it still has is handed nothing any more, unless the group begins anew; what it holds it has lost.
    /// Kafka refuses to forget a group that has members.
    ///
    /// Otherwise a bus that keeps what a group has not settled keeps it for ever. The default does nothing, for backends
    /// whose groups go by themselves when nobody reads them.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn forget_group(&self, group: &str) -> Result<bool> {
        let _ = group;
        Ok(false)
    }

    /// Tells whether the bus answers now: for a service that is asked over and over whether it is ready.
    ///
    /// It changes nothing and costs one small request, whatever is stored. The default asks for the dead letters of a group
    /// that nobody has.
    ///
    /// # Errors
    ///
    /// `Storage`, `Unavailable` or `Timeout` if the bus cannot be reached.
    async fn ping(&self) -> Result<()> {
        self.dead_letters("ping", Page { after: 0, limit: NonZeroUsize::MIN }).await.map(drop)
    }
}

/// One member of a group, as [`EventBus::subscribe`] makes it.
#[async_trait]
pub trait Subscriber: fmt::Debug + Send + Sync {
    /// Takes up to `max` events, waiting up to `wait` for the first one; empty if there was none.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; nothing was handed out then.
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>>;

    /// Extends the leases of these receipts by the subscription's lease, from now; returns those that are lost.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; the leases run as before.
    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>>;

    /// Ends a delivery.
    ///
    /// # Errors
    ///
    /// `Conflict` if the receipt is no longer (or not) the current one; `Storage` or `Unavailable` if the store failed,
    /// and then the delivery is as it was before.
    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()>;

    /// Tells how far the group is behind on the subscription's topics.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn lag(&self) -> Result<Lag>;

    /// Leaves the group in order, if this is the last member that the process has in it: what is settled is written down, and
    /// other members are given its part at once, rather than when they notice that it is gone. Nothing is taken or settled
    /// afterwards.
    ///
    /// A [`Consumer`](super::Consumer) calls it when it ends. The default does nothing, for backends whose members hold
    /// nothing but leases.
    async fn close(&self) {}
}

/// What a backend can do; a law that it cannot keep is skipped, visibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusCapabilities {
    /// Events outlive the process (and, for a store that syncs, the machine's power).
    pub durable: bool,
    /// One call's events are stored all or none.
    pub atomic_batches: bool,
    /// Publishing an id again is recognised by the bus; otherwise only the subscribers drop the double.
    pub idempotent_publish: bool,
}

impl BusCapabilities {
    /// Declares nothing; set what holds.
    pub const fn none() -> Self {
        Self { durable: false, atomic_batches: false, idempotent_publish: false }
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<B: EventBus + ?Sized> EventBus for $pointer {
            fn capabilities(&self) -> BusCapabilities {
                (**self).capabilities()
            }

            async fn publish(&self, events: &[Envelope]) -> Result<Published> {
                (**self).publish(events).await
            }

            async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
                (**self).subscribe(subscription).await
            }

            async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
                (**self).dead_letters(group, page).await
            }

            async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
                (**self).replay(group, ids).await
            }

            async fn forget_group(&self, group: &str) -> Result<bool> {
                (**self).forget_group(group).await
            }

            async fn ping(&self) -> Result<()> {
                (**self).ping().await
            }
        }
    )+};
}

forward!(&B, Box<B>, Arc<B>);
