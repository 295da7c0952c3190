//! What follows from runs, and how far it is behind: each event of a run waits for the boards and for the achievements until they have it.
//! What was put aside waits, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::event::{Delivery, Envelope, Handler, Shutdown};
use pumasi_core::time::{Clock, Timestamp};
use support::database::{Connection, Database};
use support::outbox::Outbox;
use support::{on, within};

/// What follows from runs.
pub(crate) const BOARDS: &str = "boards";
pub(crate) const ACHIEVEMENTS: &str = "achievements";
pub(crate) const ALL: [&str; 2] = [BOARDS, ACHIEVEMENTS];

/// How often it is measured how far they are behind.
const EVERY: Duration = Duration::from_secs(2);

/// How far something is behind the runs.
#[derive(Clone, Copy)]
pub(crate) struct Lag {
    /// How many events of runs it does not have yet.
    pub(crate) waiting: u64,
    /// How old the oldest of them is.
    pub(crate) behind: Duration,
}

/// The events that wait; clones share them.
#[derive(Clone)]
pub(crate) struct Followed {
    database: Database,
    clock: Arc<dyn Clock>,
    measured: Arc<Mutex<BTreeMap<String, Waiting>>>,
}

/// How many events wait, and since when the oldest of them has.
#[derive(Clone, Copy)]
struct Waiting {
    count: u64,
    oldest: Option<Timestamp>,
    measured: Instant,
}

impl Followed {
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, measured: Arc::default() }
    }

    /// Announces what happened to a run, within the transaction in which it did.
    pub(crate) async fn announce(
        mut connection: Connection<'_>,
        outbox: &Outbox,
        event: Envelope,
    ) -> Result<()> {
        let insert = "INSERT INTO waiting_events (follower, event, at) VALUES ($1, $2, $3)";
        for follower in ALL {
            within!(&mut connection, open => sqlx::query(insert)
                .bind(follower)
                .bind(event.id.to_string())
                .bind(event.occurred_at.as_micros())
                .execute(&mut **open)
                .await
                .map(drop))
            .map_err(|error| failed("noting what waits", error))?;
        }
        outbox.write(connection, &[event]).await
    }

    /// Measures how far a follower is behind.
    pub(crate) async fn lag(&self, follower: &str) -> Result<Lag> {
        let query = "SELECT count(*), min(at) FROM waiting_events WHERE follower = $1";
        let (waiting, oldest): (i64, Option<i64>) =
            on!(&self.database, pool => sqlx::query_as(query).bind(follower).fetch_one(pool).await)
                .map_err(|error| failed("reading what waits", error))?;
        let waiting = Waiting {
            count: u64::try_from(waiting).unwrap_or(0),
            oldest: oldest.map(Timestamp::from_micros),
            measured: self.clock.instant(),
        };
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.insert(follower.to_owned(), waiting);
        Ok(self.lag_of(waiting))
    }

    /// Tells how far a follower is behind by what was measured last, without asking anybody; `None` if that was too long ago, or
    /// never.
    pub(crate) fn known_lag(&self, follower: &str) -> Option<Lag> {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = measured.get(follower)?;
        let age = self.clock.instant().saturating_duration_since(waiting.measured);
        (age < EVERY * 5).then(|| self.lag_of(*waiting))
    }

    fn lag_of(&self, waiting: Waiting) -> Lag {
        let behind =
            waiting.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().saturating_since(oldest));
        Lag { waiting: waiting.count, behind }
    }

    /// Notes what the handler has done.
    pub(crate) fn by<H>(&self, follower: &'static str, handler: H) -> Following<H> {
        Following { follower, handler, database: self.database.clone() }
    }

    /// Measures how far all are behind until the shutdown, also while nobody asks.
    pub(crate) async fn measure(self, shutdown: Shutdown) {
        loop {
            for follower in ALL {
                match self.lag(follower).await {
                    Ok(lag) => {
                        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                        metrics::gauge!("club_waiting_events", "follower" => follower)
                            .set(lag.waiting as f64);
                        metrics::gauge!("club_lag_seconds", "follower" => follower)
                            .set(lag.behind.as_secs_f64());
                    }
                    Err(error) => {
                        tracing::warn!(
                            follower,
                            error = &error as &dyn std::error::Error,
                            "the lag is not known"
                        );
                    }
                }
            }
            if tokio::time::timeout(EVERY, shutdown.triggered()).await.is_ok() {
                return;
            }
        }
    }
}

/// A handler of events of runs, which do not wait for it any more once it has handled them.
pub(crate) struct Following<H> {
    follower: &'static str,
    handler: H,
    database: Database,
}

#[async_trait]
impl<H: Handler> Handler for Following<H> {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        self.handler.handle(delivery).await?;
        let delete = "DELETE FROM waiting_events WHERE follower = $1 AND event = $2";
        let event = delivery.event.id.to_string();
        on!(&self.database, pool => {
            sqlx::query(delete).bind(self.follower).bind(event).execute(pool).await.map(drop)
        })
        .map_err(|error| failed("noting what was followed", error))
    }
}
