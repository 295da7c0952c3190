//! The laws of [`TransactionalStore`], in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::pace::{Pace, paced};
use super::{Broken, Kept, Verdict, holds};
use crate::idempotency::{
    Concurrent, Fingerprint, Idempotency, IdempotencyKey, IdempotencyStore as _, IdempotentRequest, Making,
    Once, Outcome, Response, TransactionalStore,
};
use crate::{Error, ErrorKind, Result};

/// A store of requests whose transactions hold rows of a user's, too.
#[async_trait]
pub trait OnceHarness: Send + Sync + 'static {
    /// The store.
    type Store: TransactionalStore + Clone + 'static;

    /// Opens the store: every call gives another handle to the same requests, as another process would have it.
    async fn open(&self) -> Self::Store;

    /// Writes a row with this text in a transaction.
    async fn write(
        connection: &mut <Self::Store as TransactionalStore>::Connection,
        text: &str,
    ) -> Result<()>;

    /// Counts the rows with this text, those of transactions that have committed.
    async fn written(&self, text: &str) -> Result<u64>;

    /// Cuts the store off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`TransactionalStore`](crate::idempotency::TransactionalStore), in a module of the given name,
/// each on a harness of its own made by the expression.
#[macro_export]
macro_rules! once_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::once],
            law_01_together,
            law_02_once,
            law_03_refusals_leave_nothing,
            law_04_fencing,
            law_05_cancellation,
            law_06_never_a_silent_answer,
        );
    };
}

/// How long a dropped request may be blocked.
const LEASE: Duration = Duration::from_secs(1);
/// How long one of several equal requests waits for the first.
const PATIENCE: Duration = Duration::from_mins(1);

type Connection<H> = <<H as OnceHarness>::Store as TransactionalStore>::Connection;

/// One law's view: its keys and texts have a random prefix, so that laws can share one server.
struct Subject<S> {
    once: Once<S>,
    prefix: String,
}

impl<S: TransactionalStore + Clone + 'static> Subject<S> {
    async fn open<H: OnceHarness<Store = S>>(harness: &H) -> Self {
        let once = Once::new(harness.open().await).with_concurrent(Concurrent::Wait(PATIENCE));
        Self { once, prefix: format!("law-{:016x}", fastrand::u64(..)) }
    }

    fn text(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn request(&self, name: &str) -> Result<IdempotentRequest, Broken> {
        let key = IdempotencyKey::new(&self.text(name))?;
        Ok(IdempotentRequest::new("user-7", &key, Fingerprint::of(&[b"body"])))
    }

    /// Writes a text, and answers with it, or refuses after that.
    fn writing<H: OnceHarness<Store = S>>(
        &self,
        name: &str,
        refuses: bool,
    ) -> impl for<'c> FnOnce(&'c mut Connection<H>) -> Making<'c> + Send + use<H, S> {
        let text = self.text(name);
        move |connection| {
            Box::pin(async move {
                H::write(connection, &text).await?;
                if refuses {
                    return Err(Error::new(ErrorKind::Refused, "it is refused after it was written"));
                }
                Ok(Response::new(201, text))
            })
        }
    }
}

/// Law 1: what was written and its answer hold both, or neither does.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_together<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    for (name, keyed) in [("keyed", true), ("without a key", false)] {
        let text = subject.text(name);
        if keyed {
            let answer = subject.once.run(&subject.request(name)?, subject.writing::<H>(name, false)).await?;
            holds!(!answer.replayed && answer.response.status() == 201, "a new request was not carried out");
            let elsewhere = Once::new(harness.open().await);
            let again = elsewhere.run(&subject.request(name)?, subject.writing::<H>(name, false)).await?;
            holds!(again.replayed && again.response == answer.response, "another handle answers otherwise");
        } else {
            subject.once.run_without_key(subject.writing::<H>(name, false)).await?;
        }
        holds!(harness.written(&text).await? == 1, "it was not written once, {name}");
    }
    let (store, name) = (subject.once.store(), "dropped");
    let (idempotency, request) = (Idempotency::new(store.clone()), subject.request(name)?);
    let Outcome::Execute(execution) = idempotency.begin(&request).await? else {
        return Err(Broken::new("a new request is not to be executed"));
    };
    let mut transaction = store.transaction().await?;
    H::write(&mut transaction, &subject.text(name)).await?;
    store.complete_in(&mut transaction, &execution, &Response::new(201, "dropped")).await?;
    drop(transaction);
    execution.abandon().await?;
    holds!(harness.written(&subject.text(name)).await? == 0, "a dropped transaction was kept");
    let answer = subject.once.run(&request, subject.writing::<H>(name, false)).await?;
    holds!(!answer.replayed, "the answer of a dropped transaction was kept");
    Ok(Kept::Whole)
}

/// Law 2: equal requests at once write once, and answer alike.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_once<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    for round in 0..3 {
        let name = format!("round {round}");
        let request = &subject.request(&name)?;
        let running = (0..8).map(|_| subject.once.run(request, subject.writing::<H>(&name, false)));
        let mut executed = 0;
        for answer in join_all(running).await {
            let answer = answer?;
            executed += usize::from(!answer.replayed);
            holds!(
                answer.response.body() == subject.text(&name).as_bytes(),
                "equal requests answer otherwise"
            );
        }
        holds!(executed == 1, "{executed} of 8 equal requests were executed");
        holds!(harness.written(&subject.text(&name)).await? == 1, "equal requests wrote more than once");
    }
    Ok(Kept::Whole)
}

/// Law 3: where it is refused after it was written, nothing holds, and the request may be made again.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_refusals_leave_nothing<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    let (name, request) = ("refused", subject.request("refused")?);
    for attempt in 0..3 {
        let refused = subject.once.run(&request, subject.writing::<H>(name, true)).await;
        let kind = refused.err().map(|error| error.kind());
        holds!(kind == Some(ErrorKind::Refused), "attempt {attempt} was told {kind:?}");
        holds!(
            subject.once.run_without_key(subject.writing::<H>(name, true)).await.is_err(),
            "it was not refused"
        );
        holds!(harness.written(&subject.text(name)).await? == 0, "what was refused is there");
    }
    let answer = subject.once.run(&request, subject.writing::<H>(name, false)).await?;
    holds!(!answer.replayed, "a refusal was remembered");
    holds!(harness.written(&subject.text(name)).await? == 1, "it was not written once");
    Ok(Kept::Whole)
}

/// Law 4: an execution that another one took over stores no answer.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_fencing<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    let (store, request) = (subject.once.store(), subject.request("late")?);
    let idempotency = Idempotency::new(store.clone());
    let begin = async || match idempotency.begin(&request).await? {
        Outcome::Execute(execution) => Ok(Arc::new(execution)),
        Outcome::Replay(_) => Err(Broken::new("a request that nobody answered is answered")),
    };
    let late = begin().await?;
    holds!(store.abandon(late.id(), late.token()).await?, "it could not be taken over");
    let next = begin().await?;
    for ended in [false, true] {
        let mut transaction = store.transaction().await?;
        H::write(&mut transaction, &subject.text("late")).await?;
        let stored = store.complete_in(&mut transaction, &late, &Response::new(201, "late")).await;
        let kind = stored.err().map(|error| error.kind());
        holds!(kind == Some(ErrorKind::Conflict), "an older execution stored its answer ({kind:?})");
        drop(transaction);
        if !ended {
            let mut transaction = store.transaction().await?;
            H::write(&mut transaction, &subject.text("next")).await?;
            store.complete_in(&mut transaction, &next, &Response::new(201, "next")).await?;
            store.commit(transaction).await?;
        }
    }
    let written =
        (harness.written(&subject.text("late")).await?, harness.written(&subject.text("next")).await?);
    holds!(written == (0, 1), "of both executions {written:?} is there");
    Ok(Kept::Whole)
}

/// Law 5: a dropped run is whole or nothing.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_cancellation<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    for polls in 1..12 {
        paced(LEASE, async |pace| dropped_after(harness, subject, polls, pace).await).await?;
    }
    Ok(Kept::Whole)
}

async fn dropped_after<H: OnceHarness>(
    harness: &H,
    subject: &Subject<H::Store>,
    polls: u32,
    pace: &Pace,
) -> Verdict {
    // What is dropped while it is being claimed is free when its lease is over.
    let once = subject.once.clone().with_lease(pace.unit());
    pace.passes(pace.unit());
    let name = &format!("{polls} polls, {:?}", pace.unit());
    let request = subject.request(name)?;
    {
        let mut running = Box::pin(once.run(&request, subject.writing::<H>(name, false)));
        for _ in 0..polls {
            if (&mut running).now_or_never().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let answer = once.run(&request, subject.writing::<H>(name, false)).await?;
    let written = harness.written(&subject.text(name)).await?;
    holds!(written == 1, "after {polls} polls it was written {written} times");
    holds!(answer.response.body() == subject.text(name).as_bytes(), "it answers otherwise");
    Ok(Kept::Whole)
}

/// Law 6: where the database cannot be asked nothing is made.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_06_never_a_silent_answer<H: OnceHarness>(harness: &H) -> Verdict {
    let subject = &Subject::open(harness).await;
    let request = subject.request("a")?;
    subject.once.run(&request, subject.writing::<H>("a", false)).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    let again = subject.once.run(&request, subject.writing::<H>("a", false)).await;
    holds!(again.is_err(), "a lost store knew an answer");
    let without = subject.once.run_without_key(subject.writing::<H>("b", false)).await;
    holds!(without.is_err(), "something was made in a lost database");
    Ok(Kept::Whole)
}
