//! A replica made anew from the start of its topic.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use super::{Projection, Swapped, Target};
use crate::Result;
use crate::event::{Delivery, Envelope, EventBus, Settlement, Subscriber, Subscription};
use crate::resilience::RetryPolicy;

/// How many events are applied in one transaction.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);
/// How long a fetch waits before the rebuild asks whether it has caught up.
const WAIT: Duration = Duration::from_millis(250);
const LEASE: Duration = Duration::from_mins(2);

/// What a rebuild did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Events that were read from the topic.
    pub events: u64,
    /// Events among them that could not be applied; they are logged with the reason.
    pub refused: u64,
    /// Entities that were served before.
    pub entities_before: u64,
    /// Entities that are served now.
    pub entities_after: u64,
}

impl<T: DeserializeOwned> Projection<T> {
    /// Reads the topic from its start into a new generation, while the old one goes on serving, and swaps.
    ///
    /// The consumer that feeds the projection must run meanwhile, here or elsewhere: it writes what is published from now on
    /// to both generations, so that nothing falls between the end of the rebuild and the swap. Reads turn to the new
    /// generation at once.
    ///
    /// The topic must hold its whole history, or at least the newest event of every entity, as a compacted topic does. A
    /// rebuild that knows [too few](Self::with_min_rebuilt_percent) of the served entities is refused, and the old state goes
    /// on serving.
    ///
    /// It may be dropped at any time, and begun again; one that begins takes over from one that has not ended.
    ///
    /// # Errors
    ///
    /// `Conflict` if there were too few entities, or another rebuild took over; otherwise the bus's or the store's error that
    /// did not pass with a few retries. The old state goes on serving.
    pub async fn rebuild(&self, bus: &dyn EventBus) -> Result<Rebuilt> {
        let begun = self.store.begin_rebuild(&self.name).await?;
        let group = self.group_of(begun.generation);
        // One of this name may be there from before the store was made anew; it would go on where it was.
        let left =
            begun.abandoned.map(|abandoned| self.group_of(abandoned)).into_iter().chain([group.clone()]);
        let done = async {
            for left in left {
                bus.forget_group(&left).await?;
            }
            self.fill_and_swap(bus, begun.generation, &group).await
        };
        let done = done.await;
        // A group that nobody reads any more would keep the topic's events for ever.
        let forgotten = bus.forget_group(&group).await;
        match done {
            Ok(done) => {
                if let Err(error) = forgotten.map(|_| ()).and(self.clean_up().await) {
                    tracing::warn!(error = %error, projection = %self.name, "what a rebuild left could not be cleaned up");
                }
                Ok(done)
            }
            Err(error) => {
                if let Err(error) = self.store.abandon(&self.name, begun.generation).await {
                    tracing::warn!(error = %error, projection = %self.name, "a rebuild could not be given up");
                }
                Err(error)
            }
        }
    }

    fn group_of(&self, generation: u64) -> String {
        format!("{}.rebuild-{generation}", self.name)
    }

    async fn fill_and_swap(&self, bus: &dyn EventBus, generation: u64, group: &str) -> Result<Rebuilt> {
        let subscription = Subscription::new(group, [&*self.topic]).with_lease(LEASE);
        let member = bus.subscribe(&subscription).await?;
        let filled = self.fill(&*member, generation).await;
        member.close().await;
        let (events, refused) = filled?;
        let Swapped { before, after, .. } = self.store.swap(&self.name, generation, self.min_percent).await?;
        Ok(Rebuilt { events, refused, entities_before: before, entities_after: after })
    }

    /// Reads everything there is into a generation; returns how many events that were, and how many could not be applied.
    async fn fill(&self, member: &dyn Subscriber, generation: u64) -> Result<(u64, u64)> {
        let retry = RetryPolicy::new("projection rebuild");
        let (mut events, mut refused) = (0, 0);
        loop {
            let taken = retry.run(|_| member.fetch(BATCH, WAIT)).await?;
            if taken.is_empty() {
                let lag = retry.run(|_| member.lag()).await?;
                if lag.unsettled == 0 {
                    break;
                }
                continue;
            }
            events += taken.len() as u64;
            let mut good: Vec<Envelope> = Vec::with_capacity(taken.len());
            for delivery in &taken {
                match self.check(&delivery.event) {
                    Ok(()) => good.push(Envelope::clone(&delivery.event)),
                    Err(error) => {
                        refused += 1;
                        let id = delivery.event.id;
                        tracing::warn!(error = %error, event = %id, projection = %self.name, "an event cannot be applied");
                    }
                }
            }
            retry.run(|_| self.store.apply(&self.name, Target::Building(generation), &good)).await?;
            try_join_all(taken.iter().map(|delivery| ack(&retry, member, delivery))).await?;
        }
        Ok((events, refused))
    }
}

async fn ack(retry: &RetryPolicy, member: &dyn Subscriber, delivery: &Delivery) -> Result<()> {
    retry.run(|_| member.settle(&delivery.receipt, Settlement::Ack)).await
}
