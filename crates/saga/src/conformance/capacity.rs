//! The laws of [`CapacityStore`] and of [`Capacity`] on it, in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::capacity::{Answer, Capacity, CapacityStore, Hold, Request, Ticket};

/// A hold that outlasts every law.
const LONG: Duration = Duration::from_hours(1);
/// A hold that ends within a law; long enough that a busy machine makes its calls within a part of it.
const SHORT: Duration = Duration::from_millis(1500);
/// The pool of the laws that need one.
const POOL: &str = "서울-marathon";

/// A store of places under examination.
#[async_trait]
pub trait CapacityHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same places, as another process would have it.
    async fn open(&self) -> Arc<dyn CapacityStore>;

    /// Lets time pass for holds: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Tells whether what a handle did is there for one that is opened after it was dropped (default: it is).
    fn is_durable(&self) -> bool {
        true
    }
}

/// Makes one `#[test]` per law of [`CapacityStore`], in a module of the given name, each on a harness of its own made by the
/// expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::time::ManualClock;
/// use pumasi_saga::capacity::{CapacityStore, MemoryCapacity};
/// use pumasi_saga::conformance::capacity::CapacityHarness;
///
/// struct Memory(ManualClock, MemoryCapacity);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         Self(clock.clone(), MemoryCapacity::new().with_clock(Arc::new(clock)))
///     }
/// }
///
/// #[async_trait]
/// impl CapacityHarness for Memory {
///     async fn open(&self) -> Arc<dyn CapacityStore> {
///         Arc::new(self.1.clone())
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
/// }
///
/// pumasi_saga::capacity_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! capacity_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance::capacity],
            law_01_never_over_granted,
            law_01_a_smaller_pool_takes_nothing_away,
            law_02_first_come_first_served,
            law_03_repeating_is_safe,
            law_04_holds_end,
            law_05_confirmed_is_kept,
            law_06_released_once,
            law_07_in_order_each_for_itself,
            law_08_pools_are_apart,
            law_09_durable,
        );
    };
}

fn hold(who: &str, ttl: Duration) -> Request {
    Request::Hold { holder: who.into(), ttl }
}

fn confirm(who: &str) -> Request {
    Request::Confirm { holder: who.into() }
}

fn release(who: &str) -> Request {
    Request::Release { holder: who.into() }
}

fn granted(answer: Answer) -> Result<Hold, Broken> {
    match answer {
        Answer::Granted(hold) => Ok(hold),
        other => Err(Broken::new(format!("a place was not granted: {other:?}"))),
    }
}

async fn one(store: &dyn CapacityStore, request: Request) -> Result<Answer, Broken> {
    match store.apply(POOL, &[request]).await?.pop() {
        Some(answer) => Ok(answer?),
        None => Err(Broken::new("a request was not answered")),
    }
}

async fn opened(harness: &dyn CapacityHarness, places: u64) -> Result<Arc<dyn CapacityStore>, Broken> {
    let store = harness.open().await;
    store.open(POOL, places).await?;
    Ok(store)
}

/// Checks what the store lists against what it counts.
async fn agree(store: &dyn CapacityStore) -> Result<Vec<Hold>, Broken> {
    let (mut all, mut after) = (Vec::new(), Ticket::ZERO);
    loop {
        let page = store.holds(POOL, after, 7).await?;
        let Some(last) = page.last() else { break };
        holds!(last.ticket > after, "a page of holds does not go on");
        after = last.ticket;
        all.extend(page);
    }
    let places = store.places(POOL).await?;
    let confirmed = all.iter().filter(|hold| hold.is_confirmed()).count() as u64;
    same!(places.confirmed, confirmed, "confirmed places, counted and listed");
    same!(places.held, all.len() as u64 - confirmed, "held places, counted and listed");
    Ok(all)
}

/// Law 1: whoever asks, through however many handles, no more is granted than there is.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_never_over_granted(harness: &dyn CapacityHarness) -> Verdict {
    const PLACES: usize = 37;
    let first = opened(harness, PLACES as u64).await?;
    let mut desks = Vec::new();
    for _ in 0..4 {
        desks.push(Capacity::new(harness.open().await, POOL));
    }
    let asking = desks
        .iter()
        .enumerate()
        .flat_map(|(d, desk)| (0..40).map(move |n| desk.hold(format!("desk {d} applicant {n}"), LONG)));
    let answers = join_all(asking).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut tickets: Vec<u64> = answers.iter().flatten().map(|hold| hold.ticket.number()).collect();
    same!(tickets.len(), PLACES, "places granted to 160 applicants");
    tickets.sort_unstable();
    tickets.dedup();
    same!(tickets.len(), PLACES, "tickets among them");
    same!(agree(&*first).await?.len(), PLACES, "places listed");
    same!(first.places(POOL).await?.free(), 0, "free places of a full pool");

    // Some give back while others ask.
    let holders: Vec<&Hold> = answers.iter().flatten().take(10).collect();
    let back = holders.iter().zip(desks.iter().cycle()).map(|(hold, desk)| desk.release_hold(hold));
    let more = desks
        .iter()
        .enumerate()
        .flat_map(|(d, desk)| (0..10).map(move |n| desk.hold(format!("desk {d} late applicant {n}"), LONG)));
    let (back, more) = futures_util::future::join(join_all(back), join_all(more)).await;
    holds!(
        back.into_iter().collect::<Result<Vec<_>, _>>()?.iter().all(|freed| *freed),
        "a place was not given back"
    );
    let late = more.into_iter().collect::<Result<Vec<_>, _>>()?.iter().flatten().count();
    holds!(late <= 10, "ten places were given back, and {late} granted");
    same!(agree(&*first).await?.len(), PLACES - 10 + late, "places listed after some were given back");
    Ok(Kept::Whole)
}

/// Law 1: a pool that is made smaller than what is taken grants nothing and takes nothing away.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_a_smaller_pool_takes_nothing_away(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 3).await?;
    store.apply(POOL, &[hold("a", LONG), hold("b", LONG), hold("c", LONG)]).await?;
    store.open(POOL, 1).await?;
    same!(agree(&*store).await?.len(), 3, "places taken after the pool was made smaller");
    same!(one(&*store, hold("d", LONG)).await?, Answer::Full, "asking a pool that is over full");
    same!(one(&*store, release("a")).await?, Answer::Released, "giving back in a pool that is over full");
    same!(one(&*store, release("b")).await?, Answer::Released, "giving back in a pool that is over full");
    same!(one(&*store, hold("d", LONG)).await?, Answer::Full, "asking a pool that is just full");
    granted(one(&*store, confirm("c")).await?)?;
    store.open(POOL, 2).await?;
    granted(one(&*store, hold("d", LONG)).await?)?;
    Ok(Kept::Whole)
}

/// Law 2: tickets have the order of the grants.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_first_come_first_served(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 3).await?;
    let answers = store.apply(POOL, &[hold("c", LONG), hold("a", LONG)]).await?;
    for (answer, ticket) in answers.into_iter().zip(1..) {
        same!(granted(answer?)?.ticket, Ticket::new(ticket), "ticket");
    }
    same!(granted(one(&*store, hold("b", LONG)).await?)?.ticket, Ticket::new(3), "ticket");
    same!(one(&*store, hold("d", LONG)).await?, Answer::Full, "the fourth who asks for three places");
    one(&*store, release("a")).await?;
    same!(granted(one(&*store, hold("a", LONG)).await?)?.ticket, Ticket::new(4), "ticket of who comes again");
    let order: Vec<Arc<str>> = agree(&*store).await?.into_iter().map(|hold| hold.holder).collect();
    same!(order, ["c", "b", "a"].map(Arc::from).to_vec(), "order of the list");
    same!(store.places(POOL).await?.last, Ticket::new(4), "last ticket");
    Ok(Kept::Whole)
}

/// Law 3: who asks again is told what it has.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_repeating_is_safe(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 2).await?;
    let first = granted(one(&*store, hold("a", LONG)).await?)?;
    same!(granted(one(&*store, hold("a", LONG * 2)).await?)?, first, "what is held, asked for again");
    let answers = store.apply(POOL, &[hold("b", LONG), hold("b", LONG)]).await?;
    let both = answers.into_iter().map(|answer| granted(answer?)).collect::<Result<Vec<_>, Broken>>()?;
    same!(both.first(), both.last(), "two holds of one holder in one call");
    same!(one(&*store, hold("c", LONG)).await?, Answer::Full, "the third who asks for two places");
    let confirmed = granted(one(&*store, confirm("a")).await?)?;
    same!(confirmed.ticket, first.ticket, "ticket after confirming");
    same!(granted(one(&*store, hold("a", SHORT)).await?)?, confirmed, "what is confirmed, asked for again");
    same!(agree(&*store).await?.len(), 2, "places taken");
    Ok(Kept::Whole)
}

/// Law 4: a hold that was not confirmed in its time is over, and its place is the next one's.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_holds_end(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 2).await?;
    let short = granted(one(&*store, hold("a", SHORT)).await?)?;
    granted(one(&*store, hold("b", LONG)).await?)?;
    same!(one(&*store, hold("c", LONG)).await?, Answer::Full, "asking a full pool");
    harness.pass(SHORT * 2).await;
    same!(agree(&*store).await?.len(), 1, "places taken after one hold ended");
    same!(store.places(POOL).await?.free(), 1, "free places after one hold ended");
    let late = store.apply(POOL, &[confirm("a")]).await?;
    let refused = late.into_iter().find_map(Result::err).map(|error| error.kind());
    same!(refused, Some(ErrorKind::Conflict), "confirming what is over");
    granted(one(&*store, hold("c", LONG)).await?)?;
    let release = Request::ReleaseTicket { holder: "a".into(), ticket: short.ticket };
    same!(one(&*store, release).await?, Answer::NothingHeld, "releasing what is over");
    same!(one(&*store, hold("a", LONG)).await?, Answer::Full, "asking again after the place went on");
    same!(agree(&*store).await?.len(), 2, "places taken");
    Ok(Kept::Whole)
}

/// Law 5: what is confirmed stays, however much time passes.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_confirmed_is_kept(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 1).await?;
    let held = granted(one(&*store, hold("a", SHORT)).await?)?;
    holds!(held.until().is_some() && !held.is_confirmed(), "a place was confirmed by holding it");
    let confirmed = granted(one(&*store, confirm("a")).await?)?;
    holds!(confirmed.is_confirmed(), "a confirmed place says that it is not");
    same!(granted(one(&*store, confirm("a")).await?)?, confirmed, "confirming again");
    harness.pass(SHORT * 2).await;
    same!(one(&*store, hold("b", LONG)).await?, Answer::Full, "asking for a confirmed place");
    same!(agree(&*store).await?, vec![confirmed], "what is taken");
    let never = store.apply(POOL, &[confirm("b")]).await?;
    let refused = never.into_iter().find_map(Result::err).map(|error| error.kind());
    same!(refused, Some(ErrorKind::Conflict), "confirming what was never held");
    Ok(Kept::Whole)
}

/// Law 6: a release frees what is meant, once.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_released_once(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 1).await?;
    same!(one(&*store, release("a")).await?, Answer::NothingHeld, "releasing what was never held");
    let first = granted(one(&*store, hold("a", LONG)).await?)?;
    let again = Request::ReleaseTicket { holder: "a".into(), ticket: first.ticket };
    same!(one(&*store, again.clone()).await?, Answer::Released, "releasing by ticket");
    same!(one(&*store, again.clone()).await?, Answer::NothingHeld, "releasing twice");
    granted(one(&*store, hold("a", LONG)).await?)?;
    same!(one(&*store, again).await?, Answer::NothingHeld, "releasing an earlier ticket");
    same!(agree(&*store).await?.len(), 1, "places taken after a late release");
    granted(one(&*store, confirm("a")).await?)?;
    same!(one(&*store, release("a")).await?, Answer::Released, "releasing what is confirmed");
    granted(one(&*store, hold("b", LONG)).await?)?;
    Ok(Kept::Whole)
}

/// Law 7: the requests of one call are answered as if they came one after the other.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_in_order_each_for_itself(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 1).await?;
    let long = "x".repeat(513);
    let requests = [
        hold("a", LONG),
        hold("b", LONG),
        hold("", LONG),
        hold("nul\0", LONG),
        hold(&long, LONG),
        confirm("b"),
        release("a"),
        hold("b", LONG),
        confirm("b"),
        release("b"),
        hold("참가자 {7}: \"o'clock\"\\", LONG),
    ];
    let answers = store.apply(POOL, &requests).await?;
    let said: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Answer::Granted(hold)) => {
                format!("{}{}", hold.ticket, if hold.is_confirmed() { "!" } else { "" })
            }
            Ok(Answer::Full) => "full".to_owned(),
            Ok(Answer::Released) => "released".to_owned(),
            Ok(Answer::NothingHeld) => "nothing".to_owned(),
            Err(error) => error.kind().to_string(),
        })
        .collect();
    let expected = [
        "1",
        "full",
        "invalid_input",
        "invalid_input",
        "invalid_input",
        "conflict",
        "released",
        "2",
        "2!",
        "released",
        "3",
    ];
    same!(said, expected.map(str::to_owned).to_vec(), "answers");
    let left: Vec<Arc<str>> = agree(&*store).await?.into_iter().map(|hold| hold.holder).collect();
    same!(left, vec![Arc::from("참가자 {7}: \"o'clock\"\\")], "who is left");
    holds!(store.apply(POOL, &[]).await?.is_empty(), "nothing was asked, and something answered");
    Ok(Kept::Whole)
}

/// Law 8: pools do not see each other.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_pools_are_apart(harness: &dyn CapacityHarness) -> Verdict {
    let store = opened(harness, 1).await?;
    granted(one(&*store, hold("a", LONG)).await?)?;
    same!(
        store.apply("other", &[]).await.err().map(|error| error.kind()),
        Some(ErrorKind::NotFound),
        "asking a pool that is not there"
    );
    same!(
        store.places("other").await.err().map(|error| error.kind()),
        Some(ErrorKind::NotFound),
        "counting a pool that is not there"
    );
    same!(
        store.holds("other", Ticket::ZERO, 1).await.err().map(|error| error.kind()),
        Some(ErrorKind::NotFound),
        "listing a pool that is not there"
    );
    store.open("other", 2).await?;
    for answer in store.apply("other", &[hold("a", LONG), hold("b", LONG), confirm("a")]).await? {
        granted(answer?)?;
    }
    same!(agree(&*store).await?.len(), 1, "places taken in the first pool");
    same!(store.places("other").await?.confirmed, 1, "places confirmed in the other");
    let pools = ["other", "nowhere", POOL, "nul\0", "other"].map(str::to_owned);
    let (one, other) = (Some(store.places(POOL).await?), Some(store.places("other").await?));
    same!(
        store.places_of(&pools).await?,
        vec![other, None, one, None, other],
        "several pools, counted at once"
    );
    same!(store.places_of(&[]).await?, vec![], "no pools, counted at once");
    holds!(store.open("", 1).await.is_err(), "a pool without a name was opened");
    Ok(Kept::Whole)
}

/// Law 9: what was answered is there for who comes later.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_durable(harness: &dyn CapacityHarness) -> Verdict {
    if !harness.is_durable() {
        return Ok(Kept::Skipped("the store does not outlive its process"));
    }
    let store = opened(harness, 2).await?;
    let held = granted(one(&*store, hold("a", LONG)).await?)?;
    granted(one(&*store, hold("b", LONG)).await?)?;
    let confirmed = granted(one(&*store, confirm("b")).await?)?;
    drop(store);
    let store = harness.open().await;
    same!(agree(&*store).await?, vec![held, confirmed], "what is taken after opening again");
    same!(one(&*store, hold("c", LONG)).await?, Answer::Full, "asking a full pool after opening again");
    Ok(Kept::Whole)
}
