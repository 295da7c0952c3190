//! A leaderboard kept from events, and built anew from them.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use pumasi_core::event::{
    Delivery, Envelope, EventBus, Handler, Settlement, State, Subscriber, Subscription,
};
use pumasi_core::resilience::RetryPolicy;

use super::board::Leaderboard;
use super::member::MemberId;
use super::record::Record;
use crate::{ErrorKind, Result};

/// How many events are read at a time.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);
/// How long a fetch waits before the rebuild asks whether it has caught up.
const WAIT: Duration = Duration::from_millis(250);
const LEASE: Duration = Duration::from_mins(2);

type ToRecords<M> = Arc<dyn Fn(&Envelope) -> Result<Vec<Record<M>>> + Send + Sync>;

/// Feeds a leaderboard from the events of a topic, as the handler of a [`Consumer`](pumasi_core::event::Consumer), and
/// builds it anew from them.
///
/// An event of something that was [deleted](State::Deleted) takes its records back, where the board [keeps
/// records](super::Board::keeping_records); `to_records` tells which they were.
///
/// Whether a record is late is decided by when its event occurred alone, so that a feed that was down for an hour, and a rebuild
/// months later, decide alike: what was published in time counts in its window, even if that was over and looked at by then.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::event::{Envelope, EventBus, MemoryBus, State};
/// use pumasi_search::leaderboard::{Board, BoardFeed, Direction, Leaderboard, MemoryBoards, Metric, Record, Rules};
///
/// let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst);
/// let board: Leaderboard<u64> = Leaderboard::new(MemoryBoards::new(), Board::new("distance", rules)?);
/// // The payload is the record itself; of events in another form `BoardFeed::new` takes a function.
/// let feed = BoardFeed::of_records(board.clone(), "runs");
///
/// let bus = MemoryBus::new();
/// let run = Record::new(42_u64, "run-7", "2026-11-23T06:30:00+09:00".parse()?).with("distance_m", 5_000);
/// bus.publish(&[Envelope::new("runs", "42", State::Created, 1).with_payload(&run)?]).await?;
///
/// // Usually: Consumer::new(bus, feed.subscription("distance"), feed).run(shutdown)
/// let rebuilt = feed.rebuild(&bus).await?;
/// assert_eq!((rebuilt.events, board.current()?.top(9).await?.total), (1, 1));
/// # Ok::<(), pumasi_search::Error>(()) }).unwrap();
/// ```
pub struct BoardFeed<M> {
    leaderboard: Leaderboard<M>,
    topic: String,
    to_records: ToRecords<M>,
}

/// What a rebuild did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BoardRebuilt {
    /// Events that were read from the topic.
    pub events: u64,
    /// Events among them that have no records in the right form; they are logged with the reason.
    pub refused: u64,
}

impl<M> Clone for BoardFeed<M> {
    fn clone(&self) -> Self {
        Self {
            leaderboard: self.leaderboard.clone(),
            topic: self.topic.clone(),
            to_records: Arc::clone(&self.to_records),
        }
    }
}

impl<M> fmt::Debug for BoardFeed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoardFeed")
            .field("leaderboard", &self.leaderboard)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl<M: MemberId> BoardFeed<M> {
    /// Makes a feed from the events of `topic`; `to_records` tells which records an event stands for, perhaps none.
    pub fn new(
        leaderboard: Leaderboard<M>,
        topic: impl Into<String>,
        to_records: impl Fn(&Envelope) -> Result<Vec<Record<M>>> + Send + Sync + 'static,
    ) -> Self {
        Self { leaderboard, topic: topic.into(), to_records: Arc::new(to_records) }
    }

    /// Makes a feed from events whose payload is one [`Record`].
    pub fn of_records(leaderboard: Leaderboard<M>, topic: impl Into<String>) -> Self
    where
        M: serde::de::DeserializeOwned,
    {
        Self::new(leaderboard, topic, |event| Ok(vec![event.payload()?]))
    }

    /// Returns the subscription by which a consumer feeds it, from the earliest event on.
    pub fn subscription(&self, group: impl Into<String>) -> Subscription {
        Subscription::new(group, [&self.topic])
    }

    async fn count(&self, into: &Leaderboard<M>, event: &Envelope) -> Result<()> {
        let records = (self.to_records)(event)?;
        if event.state == State::Deleted && into.board().keeps_records() {
            for record in &records {
                let (member, source) = (record.member(), record.source());
                into.withdraw_received(member, source, record.at(), event.occurred_at).await?;
            }
            return Ok(());
        }
        into.submit_received(&records, event.occurred_at).await.map(drop)
    }

    /// Builds the board anew from the start of the topic, while the old one goes on serving, and puts it in its place; what was
    /// published meanwhile is counted after that.
    ///
    /// The rules may be others than before. The consumer that feeds the board may run meanwhile. What was kept by
    /// [`snapshot`](Leaderboard::snapshot) goes with the old board; the windows are built anew. One rebuild of a board at a time,
    /// which reads the topic as the group `pumasi.rebuild.` and the board's name.
    ///
    /// # Errors
    ///
    /// The bus's or the store's error that did not pass with a few retries; before the exchange the old board goes on serving.
    pub async fn rebuild(&self, bus: &dyn EventBus) -> Result<BoardRebuilt> {
        let group = format!("pumasi.rebuild.{}", self.leaderboard.board().name());
        bus.forget_group(&group).await?;
        let aside = self.leaderboard.aside();
        // What an earlier rebuild has left.
        aside.replace(&aside.aside()).await?;
        let done = self.fill_and_replace(bus, &group, &aside).await;
        // A group that nobody reads any more would keep the topic's events for ever.
        if let Err(error) = bus.forget_group(&group).await {
            tracing::warn!(error = %error, %group, "the group of a rebuild could not be forgotten");
        }
        done
    }

    async fn fill_and_replace(
        &self,
        bus: &dyn EventBus,
        group: &str,
        aside: &Leaderboard<M>,
    ) -> Result<BoardRebuilt> {
        let member = bus.subscribe(&self.subscription(group).with_lease(LEASE)).await?;
        let mut rebuilt = BoardRebuilt::default();
        self.drain(&*member, aside, &mut rebuilt).await?;
        self.leaderboard.replace(aside).await?;
        self.drain(&*member, &self.leaderboard, &mut rebuilt).await?;
        Ok(rebuilt)
    }

    /// Counts what there is until nothing is left.
    async fn drain(
        &self,
        member: &dyn Subscriber,
        into: &Leaderboard<M>,
        rebuilt: &mut BoardRebuilt,
    ) -> Result<()> {
        let retry = &RetryPolicy::new("board rebuild");
        loop {
            let taken = retry.run(|_| member.fetch(BATCH, WAIT)).await?;
            if taken.is_empty() {
                if retry.run(|_| member.lag()).await?.unsettled == 0 {
                    return Ok(());
                }
                continue;
            }
            rebuilt.events += taken.len() as u64;
            for delivery in &taken {
                match retry.run(|_| self.count(into, &delivery.event)).await {
                    Err(error) if error.kind() == ErrorKind::InvalidInput => {
                        rebuilt.refused += 1;
                        let id = delivery.event.id;
                        tracing::warn!(error = %error, event = %id, "an event cannot be counted");
                    }
                    counted => counted?,
                }
            }
            let settle = |delivery| ack(retry, member, delivery);
            try_join_all(taken.iter().map(settle)).await?;
        }
    }
}

async fn ack(retry: &RetryPolicy, member: &dyn Subscriber, delivery: &Delivery) -> Result<()> {
    retry.run(|_| member.settle(&delivery.receipt, Settlement::Ack)).await
}

#[async_trait]
impl<M: MemberId> Handler for BoardFeed<M> {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        self.count(&self.leaderboard, &delivery.event).await
    }
}
