//! The laws of [`EventBus`], in the order of its numbered guarantees.

mod delivery;
mod group;
mod lease;
mod order;
mod settlement;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join;

use super::Broken;
use crate::event::{Delivery, Envelope, EventBus, Reason, Settlement, State, Subscriber, Subscription};

pub use delivery::*;
pub use group::*;
pub use lease::*;
pub use order::*;
pub use settlement::*;

/// One store, empty at first, that a law opens as often as it likes.
#[async_trait]
pub trait BusHarness: Send + Sync {
    /// Opens the store: every call gives a bus over the same events, as another process would see them.
    async fn open(&self) -> Arc<dyn EventBus>;

    /// Lets time pass for leases and delays: turns the clock that the bus was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Returns how long a fetch may take to find what is there; zero (the default) where the first look finds it.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns how long it may take until a group whose members are on two buses is shared out among them, in real time; zero
    /// (the default) where a member takes what is there.
    fn handover(&self) -> Duration {
        Duration::ZERO
    }
}

/// Makes one `#[test]` per law of [`EventBus`](crate::event::EventBus), in a module of the given name, each on a harness
/// of its own made by the expression.
#[macro_export]
macro_rules! bus_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::bus],
            law_01_publish_is_durable,
            law_01_a_batch_is_stored_whole_or_not_at_all,
            law_01_what_was_accepted_can_be_read,
            law_02_publish_is_idempotent,
            law_03_every_group_gets_every_event,
            law_03_what_comes_is_what_was_published,
            law_03_a_waiting_fetch_is_woken,
            law_04_an_event_has_one_holder,
            law_04_an_event_has_one_holder_on_two_buses,
            law_05_order_is_kept_within_a_lane,
            law_05_order_is_kept_within_a_lane_on_two_buses,
            law_05_a_held_lane_is_not_handed_out,
            law_06_what_is_not_settled_comes_back,
            law_07_acknowledged_is_done,
            law_08_a_retry_waits_and_only_its_lane,
            law_08_a_retry_may_be_ages_away,
            law_09_dead_letters_are_listed_and_replayed,
            law_09_a_replay_into_a_held_lane_disturbs_nobody,
            law_10_leases_are_fenced,
            law_10_leases_are_fenced_on_two_buses,
            law_10_a_renewed_lease_holds,
            law_11_a_release_gives_back_at_once,
            law_12_a_group_begins_where_it_first_said,
            law_13_a_dropped_fetch_leaves_nothing_behind,
            law_13_a_dropped_publish_is_whole,
            law_14_attempts_survive_their_member,
            law_14_settling_a_later_event_counts_no_attempt_of_those_before,
            law_15_a_forgotten_group_begins_anew,
            law_15_a_member_of_a_forgotten_group_touches_no_other,
            law_15_a_receipt_from_before_a_group_was_forgotten_is_refused,
            law_15_a_group_is_forgotten_before_its_first_event,
        );
    };
}

const LEASE: Duration = Duration::from_secs(10);
const MANY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Updated, version)
}

fn reason() -> Reason {
    Reason::new("unavailable", "the model did not answer")
}

fn subscription(group: &str) -> Subscription {
    Subscription::new(group, ["posts"]).with_lease(LEASE)
}

/// Which events these are: key and version.
fn names(deliveries: &[Delivery]) -> Vec<(String, u64)> {
    deliveries.iter().map(|delivery| (delivery.event.key.clone(), delivery.event.version)).collect()
}

fn name(key: &str, version: u64) -> (String, u64) {
    (key.to_owned(), version)
}

struct Table<'a, H: ?Sized> {
    harness: &'a H,
    bus: Arc<dyn EventBus>,
}

impl<'a, H: BusHarness + ?Sized> Table<'a, H> {
    async fn set(harness: &'a H) -> Self {
        Self { harness, bus: harness.open().await }
    }

    async fn join(&self, group: &str) -> Result<Arc<dyn Subscriber>, Broken> {
        Ok(self.bus.subscribe(&subscription(group)).await?)
    }

    async fn take(&self, member: &Arc<dyn Subscriber>) -> Result<Vec<Delivery>, Broken> {
        Ok(member.fetch(MANY, self.harness.patience()).await?)
    }

    async fn only(&self, member: &Arc<dyn Subscriber>) -> Result<Delivery, Broken> {
        let mut taken = self.take(member).await?;
        match (taken.pop(), taken.is_empty()) {
            (Some(delivery), true) => Ok(delivery),
            (last, _) => {
                let count = taken.len() + usize::from(last.is_some());
                Err(Broken::new(format!("expected one delivery, got {count}")))
            }
        }
    }

    /// Fetches and acknowledges until nothing is left, and tells what came, in order.
    async fn drain(&self, member: &Arc<dyn Subscriber>) -> Result<Vec<(String, u64)>, Broken> {
        let mut all = Vec::new();
        loop {
            let taken = self.take(member).await?;
            if taken.is_empty() {
                return Ok(all);
            }
            all.extend(names(&taken));
            for delivery in taken {
                member.settle(&delivery.receipt, Settlement::Ack).await?;
            }
        }
    }
}

/// Two buses on one store, as two processes have them, with a member of one group on each.
struct Pair {
    members: [Arc<dyn Subscriber>; 2],
    /// Until when they may be shared out; every look that found nothing before waits a moment.
    until: Instant,
}

impl Pair {
    async fn join<H: BusHarness + ?Sized>(
        first: &Table<'_, H>,
        second: &Table<'_, H>,
    ) -> Result<Self, Broken> {
        let members = [first.join("readers").await?, second.join("readers").await?];
        Ok(Self { members, until: Instant::now() + first.harness.handover() })
    }

    /// Lets both take events at the same time.
    async fn take(&self, max: NonZeroUsize, wait: Duration) -> Result<[Vec<Delivery>; 2], Broken> {
        let [left, right] = &self.members;
        let (one, other) = join(left.fetch(max, wait), right.fetch(max, wait)).await;
        let taken = |fetched: crate::Result<Vec<Delivery>>| match fetched {
            // The group is being shared out: nothing was handed out.
            Err(error) if error.retry().is_retryable() && Instant::now() < self.until => Ok(Vec::new()),
            fetched => fetched,
        };
        Ok([taken(one)?, taken(other)?])
    }

    /// Whether it is worth to look again.
    async fn goes_on(&self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(20))).await;
        !left.is_zero()
    }
}

async fn member_lag(member: &Arc<dyn Subscriber>) -> Result<u64, Broken> {
    Ok(member.lag().await?.unsettled)
}
