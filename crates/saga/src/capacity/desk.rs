//! Where applicants ask: requests that arrive together are carried out together.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Answer, CapacityStore, Hold, Places, Request, Ticket};
use crate::{Error, ErrorKind, Result};

/// How many requests wait before callers have to.
const QUEUE: usize = 16_384;
/// For how long a place is held that is kept in the same transaction.
const AT_ONCE: Duration = Duration::from_mins(1);

/// One pool of places, first come, first served.
///
/// Whatever is asked while a transaction is under way shares the next one: a thousand applicants of one hot race cost a few
/// locks of its row instead of a thousand. The order in which requests arrive here is the order of their tickets; between
/// several processes it is the order in which their transactions come to the row.
///
/// Clones ask at the same desk. A call whose future is dropped was carried out or not; a hold of nobody ends by itself.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use pumasi_saga::capacity::{Capacity, MemoryCapacity};
///
/// let race = Capacity::new(MemoryCapacity::new(), "seoul-marathon");
/// race.open(1).await?;
/// let quarter = Duration::from_mins(15);
/// let held = race.hold("참가자-7", quarter).await?.expect("a place is free");
/// assert_eq!(held.ticket.number(), 1);
/// assert!(race.hold("참가자-8", quarter).await?.is_none()); // full
/// assert_eq!(race.hold("참가자-7", quarter).await?, Some(held)); // the same place, not prolonged
///
/// race.confirm("참가자-7").await?;
/// assert_eq!(race.places().await?.confirmed, 1);
/// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Capacity {
    store: Arc<dyn CapacityStore>,
    pool: Arc<str>,
    batch: NonZeroUsize,
    queue: mpsc::Sender<Asked>,
}

struct Asked {
    /// What is asked, in one transaction and one after the other: something, and what follows if it is granted.
    request: Request,
    then: Option<Request>,
    reply: oneshot::Sender<Result<Answered>>,
}

/// What an applicant is told.
struct Answered {
    answer: Answer,
    /// Whether the place was kept for good before this was asked.
    was_kept: bool,
}

impl Capacity {
    /// Of how many callers the requests share a transaction at most.
    const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

    /// Opens a desk for `pool`, which [`open`](Self::open) makes if it is new.
    ///
    /// Must be called within a tokio runtime, on which it works until the last clone is dropped.
    pub fn new(store: impl CapacityStore + 'static, pool: impl Into<Arc<str>>) -> Self {
        Self::with_batch(store, pool, Self::BATCH)
    }

    /// Opens a desk that carries out what at most `batch` callers ask for in a transaction (default 1,024):
    /// [`take`](Self::take) and [`take_once`](Self::take_once) are two requests each.
    pub fn with_batch(
        store: impl CapacityStore + 'static,
        pool: impl Into<Arc<str>>,
        batch: NonZeroUsize,
    ) -> Self {
        let (store, pool): (Arc<dyn CapacityStore>, Arc<str>) = (Arc::new(store), pool.into());
        let (queue, incoming) = mpsc::channel(QUEUE);
        tokio::spawn(work(Arc::clone(&store), Arc::clone(&pool), batch, incoming));
        Self { store, pool, batch, queue }
    }

    /// Makes the pool with so many places, or changes how many it has.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::open`].
    pub async fn open(&self, places: u64) -> Result<()> {
        self.store.open(&self.pool, places).await
    }

    /// Holds a place for `ttl`; `None` if there is none left.
    ///
    /// Who holds or has confirmed one already is given that, as it was. So a step that is repeated holds one place.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::apply`].
    pub async fn hold(&self, holder: impl Into<Arc<str>>, ttl: Duration) -> Result<Option<Hold>> {
        match self.ask(Request::Hold { holder: holder.into(), ttl }).await? {
            Answer::Granted(hold) => Ok(Some(hold)),
            Answer::Full => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Takes a place for good, where nothing has to be paid or checked first; `None` if there is none left.
    ///
    /// It is held and confirmed in one transaction: whatever dies meanwhile, the place is taken or free. Who has one is given that.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use pumasi_saga::capacity::{Capacity, MemoryCapacity};
    ///
    /// let coupons = Capacity::new(MemoryCapacity::new(), "umbrella-coupons");
    /// coupons.open(1).await?;
    /// let taken = coupons.take("민지").await?.expect("one is left");
    /// assert!(taken.is_confirmed());
    /// assert_eq!(coupons.take("민지").await?, Some(taken)); // the same one
    /// assert!(coupons.take("Jane").await?.is_none());
    /// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::apply`].
    pub async fn take(&self, holder: impl Into<Arc<str>>) -> Result<Option<Hold>> {
        Ok(self.take_once(holder).await?.map(|(hold, _)| hold))
    }

    /// Takes a place as [`take`](Self::take) does, and tells whether it was taken now: `false` of one that the holder had kept before.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::apply`].
    pub async fn take_once(&self, holder: impl Into<Arc<str>>) -> Result<Option<(Hold, bool)>> {
        let holder = holder.into();
        let then = Request::Confirm { holder: Arc::clone(&holder) };
        let told = self.ask_both(Request::Hold { holder, ttl: AT_ONCE }, Some(then)).await?;
        match told.answer {
            Answer::Granted(hold) => Ok(Some((hold, !told.was_kept))),
            Answer::Full => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Keeps the place that `holder` holds for good; confirming twice is confirming once.
    ///
    /// # Errors
    ///
    /// `Conflict` if the hold is over or was released: what was paid for it has to be paid back. Otherwise as
    /// [`CapacityStore::apply`].
    pub async fn confirm(&self, holder: impl Into<Arc<str>>) -> Result<Hold> {
        match self.ask(Request::Confirm { holder: holder.into() }).await? {
            Answer::Granted(hold) => Ok(hold),
            _ => Err(unexpected()),
        }
    }

    /// Gives back whatever `holder` has; tells whether it had anything.
    ///
    /// A compensation that does not know whether the hold came about calls this: to release nothing is no error.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::apply`].
    pub async fn release(&self, holder: impl Into<Arc<str>>) -> Result<bool> {
        self.ask(Request::Release { holder: holder.into() }).await.and_then(released)
    }

    /// Gives back what was granted as `hold`, and nothing that its holder was granted later.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::apply`].
    pub async fn release_hold(&self, hold: &Hold) -> Result<bool> {
        let request = Request::ReleaseTicket { holder: Arc::clone(&hold.holder), ticket: hold.ticket };
        self.ask(request).await.and_then(released)
    }

    /// Counts the places.
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::places`].
    pub async fn places(&self) -> Result<Places> {
        self.store.places(&self.pool).await
    }

    /// Lists what is held and confirmed, as [`CapacityStore::holds`].
    ///
    /// # Errors
    ///
    /// As [`CapacityStore::holds`].
    pub async fn holds(&self, after: Ticket, limit: usize) -> Result<Vec<Hold>> {
        self.store.holds(&self.pool, after, limit).await
    }

    async fn ask(&self, request: Request) -> Result<Answer> {
        Ok(self.ask_both(request, None).await?.answer)
    }

    async fn ask_both(&self, request: Request, then: Option<Request>) -> Result<Answered> {
        let gone = || Error::new(ErrorKind::Unavailable, "the desk of places has ended with its runtime");
        let (reply, answer) = oneshot::channel();
        self.queue.send(Asked { request, then, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as the answer comes")]
fn released(answer: Answer) -> Result<bool> {
    match answer {
        Answer::Released => Ok(true),
        Answer::NothingHeld => Ok(false),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Protocol, "the store of places answered another question")
}

async fn work(
    store: Arc<dyn CapacityStore>,
    pool: Arc<str>,
    batch: NonZeroUsize,
    mut incoming: mpsc::Receiver<Asked>,
) {
    let mut asked = Vec::with_capacity(batch.get().min(1024));
    while incoming.recv_many(&mut asked, batch.get()).await > 0 {
        // Who has gone is not served.
        asked.retain(|asked| !asked.reply.is_closed());
        let (mut requests, mut replies) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()));
        for Asked { request, then, reply } in asked.drain(..) {
            replies.push((reply, then.is_some()));
            requests.push(request);
            requests.extend(then);
        }
        if requests.is_empty() {
            continue;
        }
        match store.apply(&pool, &requests).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (reply, has_both) in replies {
                    let first = answers.next().unwrap_or_else(|| Err(unexpected()));
                    let then = if has_both { answers.next() } else { None };
                    let was_kept = matches!(&first, Ok(Answer::Granted(hold)) if hold.is_confirmed());
                    // What was not granted has nothing that follows.
                    let answer = match (first, then) {
                        (Ok(Answer::Granted(_)), Some(then)) => then,
                        (first, _) => first,
                    };
                    let _ = reply.send(answer.map(|answer| Answered { answer, was_kept }));
                }
            }
            Err(error) => {
                for (reply, _) in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capacity")
            .field("store", &self.store)
            .field("pool", &self.pool)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use pumasi_core::time::ManualClock;

    use super::super::MemoryCapacity;
    use super::*;

    #[tokio::test]
    async fn what_is_taken_at_once_is_kept_and_nobody_takes_two() {
        let clock = ManualClock::new();
        let store = MemoryCapacity::new().with_clock(Arc::new(clock.clone()));
        let coupons = Capacity::new(store, "coupons");
        coupons.open(10).await.unwrap();
        let held = coupons.hold("person 3", Duration::from_secs(1)).await.unwrap().unwrap();
        // Some in one transaction and some apart, each asking twice.
        let taken =
            join_all((0..40).map(|number| coupons.take_once(format!("person {}", number % 20)))).await;
        let taken: Vec<(Hold, bool)> = taken.into_iter().filter_map(|taken| taken.unwrap()).collect();
        assert_eq!(taken.iter().filter(|(_, is_new)| *is_new).count(), 10);
        let taken: Vec<Hold> = taken.into_iter().map(|(hold, _)| hold).collect();
        assert!(taken.iter().all(Hold::is_confirmed));
        let mut tickets: Vec<u64> = taken.iter().map(|hold| hold.ticket.number()).collect();
        tickets.sort_unstable();
        assert_eq!(tickets, (1..=10).flat_map(|ticket| [ticket, ticket]).collect::<Vec<_>>());
        clock.advance(Duration::from_hours(1));
        let places = coupons.places().await.unwrap();
        assert_eq!((places.held, places.confirmed, places.free()), (0, 10, 0));
        // A place that was held is that which is taken.
        assert_eq!(coupons.take("person 3").await.unwrap().unwrap().ticket, held.ticket);
        assert!(!coupons.take_once("person 3").await.unwrap().unwrap().1);
        assert_eq!(coupons.take("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(coupons.take("person 19").await.unwrap().is_none());
    }
}
