//! The laws of [`IdempotencyStore`], in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::pace::{Pace, paced};
use super::{Broken, Kept, Verdict, holds};
use crate::idempotency::{
    Begun, Claim, Fingerprint, IdempotencyKey, IdempotencyStore, IdempotentRequest, Response,
};
use crate::lock::FencingToken;

/// A store of requests under examination.
#[async_trait]
pub trait IdempotencyHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same requests, as another process would have it.
    async fn open(&self) -> Arc<dyn IdempotencyStore>;

    /// Lets time pass for leases and times to live: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Cuts the store off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`IdempotencyStore`](crate::idempotency::IdempotencyStore), in a module of the given name,
/// each on a harness of its own made by the expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::conformance::idempotency::IdempotencyHarness;
/// use pumasi_core::idempotency::{IdempotencyStore, MemoryIdempotency};
/// use pumasi_core::time::ManualClock;
///
/// struct Memory(ManualClock, MemoryIdempotency);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         let store = MemoryIdempotency::new().with_clock(Arc::new(clock.clone()));
///         Self(clock, store)
///     }
/// }
///
/// #[async_trait]
/// impl IdempotencyHarness for Memory {
///     async fn open(&self) -> Arc<dyn IdempotencyStore> {
///         Arc::new(self.1.clone())
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
/// }
///
/// pumasi_core::idempotency_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! idempotency_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::idempotency],
            law_01_one_execution,
            law_02_replay,
            law_03_one_request_per_key,
            law_04_takeover,
            law_05_fencing,
            law_06_abandoning,
            law_07_time_to_live,
            law_08_ids_apart,
            law_09_cancellation,
            law_10_never_a_silent_answer,
        );
    };
}

/// Long enough for a loaded machine to do some calls within it, as time really passes for some stores.
const LEASE: Duration = Duration::from_millis(800);
const LONG: Duration = Duration::from_mins(1);

/// One law's view: its keys have a random prefix, so that laws can share one server.
struct Subject {
    store: Arc<dyn IdempotencyStore>,
    prefix: String,
}

impl Subject {
    async fn open(harness: &dyn IdempotencyHarness) -> Self {
        Self { store: harness.open().await, prefix: format!("law-{:016x}-", fastrand::u64(..)) }
    }

    fn request(&self, principal: &str, key: &str, body: &str) -> Result<IdempotentRequest, Broken> {
        let key = IdempotencyKey::new(&format!("{}{key}", self.prefix))?;
        Ok(IdempotentRequest::new(principal, &key, Fingerprint::of(&[body.as_bytes()])))
    }

    fn claim(&self, key: &str, lease: Duration) -> Result<Claim, Broken> {
        Ok(Claim::new(&self.request("user-7", key, "body")?, lease, LONG))
    }

    fn other(&self, key: &str) -> Result<Claim, Broken> {
        Ok(Claim::new(&self.request("user-7", key, "another body")?, LONG, LONG))
    }

    async fn execute(&self, claim: &Claim) -> Result<FencingToken, Broken> {
        match self.store.begin(claim).await? {
            Begun::Execute(token) => Ok(token),
            begun => Err(Broken::new(format!("a free request was not to be executed: {begun:?}"))),
        }
    }

    async fn expect(&self, claim: &Claim, expected: &Begun, when: &str) -> Result<(), Broken> {
        let begun = self.store.begin(claim).await?;
        // not shown on failure: responses are equal or not
        holds!(begun == *expected, "{when}: expected {expected:?}, got {begun:?}");
        Ok(())
    }

    async fn complete(
        &self,
        claim: &Claim,
        token: FencingToken,
        response: &Response,
    ) -> Result<bool, Broken> {
        Ok(self.store.complete(claim.id, token, response, LONG).await?)
    }
}

async fn pass(harness: &dyn IdempotencyHarness, pace: &Pace, time: Duration) {
    pace.passes(time);
    harness.pass(time).await;
}

fn response() -> Response {
    let every_byte: Vec<u8> = (0..=255).collect();
    Response::new(201, every_byte)
        .with_header("content-type", "application/octet-stream")
        .with_header("x", "줄\n바꿈")
}

/// Law 1: of many equal requests at once one is executed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_one_execution(harness: &dyn IdempotencyHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    for round in 0..10 {
        let claim = subject.claim(&format!("race-{round}"), LONG)?;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = harness.open().await;
            tasks.spawn(async move { store.begin(&claim).await });
        }
        let (mut executed, mut running) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            match done.map_err(|error| Broken::new(format!("an attempt failed: {error}")))?? {
                Begun::Execute(_) => executed += 1,
                Begun::Running => running += 1,
                begun => return Err(Broken::new(format!("a request at work is not {begun:?}"))),
            }
        }
        holds!((executed, running) == (1, 7), "{executed} of 8 equal requests were executed");
        subject.expect(&claim, &Begun::Running, "while the first is at work").await?;
    }
    Ok(Kept::Whole)
}

/// Law 2: a stored answer is given again as it was.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_replay(harness: &dyn IdempotencyHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let large = Response::new(200, vec![b'\n'; 200_000]);
        for (name, response) in [("all", response()), ("empty", Response::new(204, "")), ("large", large)] {
            let claim = subject.claim(name, lease)?;
            let token = subject.execute(&claim).await?;
            holds!(subject.complete(&claim, token, &response).await?, "an answer was not stored");
            holds!(
                subject.complete(&claim, token, &response).await?,
                "storing the same answer again was refused"
            );
            let another = Response::new(500, "another");
            holds!(!subject.complete(&claim, token, &another).await?, "a stored answer was replaced");
            let finished = Begun::Finished(response);
            subject.expect(&claim, &finished, name).await?;
            let elsewhere = harness.open().await.begin(&claim).await?;
            holds!(elsewhere == finished, "another handle does not know the answer");
            holds!(!subject.store.abandon(claim.id, token).await?, "what is completed was abandoned");
            holds!(!subject.store.renew(claim.id, token, LONG).await?, "what is completed was renewed");
            subject.expect(&claim, &finished, "after it was abandoned in vain").await?;
        }
        pass(harness, pace, lease).await;
        let claim = subject.claim("all", lease)?;
        subject.expect(&claim, &Begun::Finished(response()), "after the lease of its execution").await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 3: a key stands for one request.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_one_request_per_key(harness: &dyn IdempotencyHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let (claim, other) = (subject.claim("a", lease)?, subject.other("a")?);
        subject.execute(&claim).await?;
        subject.expect(&other, &Begun::OtherRequest, "while the first is at work").await?;
        pass(harness, pace, lease).await;
        subject.expect(&other, &Begun::OtherRequest, "after the first one's lease").await?;
        let token = subject.execute(&claim).await?;
        holds!(subject.store.abandon(claim.id, token).await?, "it could not be abandoned");
        subject.expect(&other, &Begun::OtherRequest, "after the first was abandoned").await?;
        let token = subject.execute(&claim).await?;
        holds!(subject.complete(&claim, token, &response()).await?, "an answer was not stored");
        subject.expect(&other, &Begun::OtherRequest, "after the first was completed").await?;
        subject.expect(&claim, &Begun::Finished(response()), "after another request").await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 4: what nobody works on any longer is executed again.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_takeover(harness: &dyn IdempotencyHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let (dead, alive) = (subject.claim("dead", lease)?, subject.claim("alive", lease)?);
        let first = subject.execute(&dead).await?;
        let own = subject.execute(&alive).await?;
        for _ in 0..3 {
            pass(harness, pace, lease / 2).await;
            holds!(subject.store.renew(alive.id, own, lease).await?, "a lease that lasts was not renewed");
            subject.expect(&alive, &Begun::Running, "while it is renewed").await?;
        }
        holds!(subject.execute(&dead).await? > first, "the token did not grow");
        subject.expect(&dead, &Begun::Running, "after it was taken over").await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 5: an older execution changes nothing.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_fencing(harness: &dyn IdempotencyHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let claim = subject.claim("a", lease)?;
        let mut last = subject.execute(&claim).await?;
        for round in 0..10 {
            if round == 5 {
                pass(harness, pace, lease).await;
            } else {
                holds!(subject.store.abandon(claim.id, last).await?, "it could not be abandoned");
            }
            let next = subject.execute(&claim).await?;
            holds!(next > last, "the token did not grow: {last}, {next}");
            holds!(
                !subject.complete(&claim, last, &response()).await?,
                "an older execution stored its answer"
            );
            holds!(!subject.store.renew(claim.id, last, LONG).await?, "an older execution renewed the lease");
            holds!(!subject.store.abandon(claim.id, last).await?, "an older execution abandoned the request");
            subject.expect(&claim, &Begun::Running, "after an older execution's attempts").await?;
            last = next;
        }
        holds!(
            subject.complete(&claim, last, &response()).await?,
            "the last execution could not store its answer"
        );
        Ok(Kept::Whole)
    })
    .await
}

/// Law 6: what is abandoned is free at once.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_abandoning(harness: &dyn IdempotencyHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let claim = subject.claim("a", LONG)?;
    let first = subject.execute(&claim).await?;
    holds!(subject.store.abandon(claim.id, first).await?, "it could not be abandoned");
    holds!(subject.execute(&claim).await? > first, "the token did not grow");
    Ok(Kept::Whole)
}

/// Law 7: what has passed its time is forgotten.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_time_to_live(harness: &dyn IdempotencyHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let (done, long) = (subject.claim("done", lease)?, subject.claim("long", lease)?);
        let token = subject.execute(&done).await?;
        holds!(subject.store.complete(done.id, token, &response(), lease).await?, "an answer was not stored");
        let kept = subject.execute(&long).await?;
        holds!(subject.complete(&long, kept, &response()).await?, "an answer was not stored");
        let crashed = Claim::new(&subject.request("user-7", "crashed", "body")?, lease, lease);
        subject.execute(&crashed).await?;
        subject.expect(&done, &Begun::Finished(response()), "before its time has passed").await?;
        pass(harness, pace, lease).await;
        let next = subject.execute(&subject.other("done")?).await?;
        holds!(next > token, "the token did not grow");
        holds!(
            !subject.complete(&done, token, &response()).await?,
            "a forgotten execution stored its answer"
        );
        subject.execute(&subject.other("crashed")?).await?;
        subject.expect(&long, &Begun::Finished(response()), "within its time").await?;
        // One that is at work for longer than its answer would be kept is still at work.
        let slow = Claim::new(&subject.request("user-7", "slow", "body")?, lease, lease);
        let token = subject.execute(&slow).await?;
        for _ in 0..3 {
            pass(harness, pace, lease / 2).await;
            holds!(subject.store.renew(slow.id, token, lease).await?, "an execution at work was forgotten");
        }
        subject.expect(&slow, &Begun::Running, "longer than its time to live").await?;
        holds!(subject.complete(&slow, token, &response()).await?, "its answer was not stored");
        Ok(Kept::Whole)
    })
    .await
}

/// Law 8: principals and keys are apart.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_ids_apart(harness: &dyn IdempotencyHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let mut claims = Vec::new();
    for (principal, key) in
        [("a", "b"), ("a", "B"), ("A", "b"), ("", "ab"), ("ab", "c"), ("가", "나"), ("가나", "다")]
    {
        let claim = Claim::new(&subject.request(principal, key, "body")?, LONG, LONG);
        claims.push((claim, subject.execute(&claim).await?));
    }
    for (number, (claim, token)) in (200..).zip(&claims) {
        let answer = Response::new(number, number.to_string());
        holds!(subject.complete(claim, *token, &answer).await?, "an answer was not stored");
    }
    for (number, (claim, _)) in (200..).zip(&claims) {
        let answer = Response::new(number, number.to_string());
        subject.expect(claim, &Begun::Finished(answer), "of several principals and keys").await?;
    }
    Ok(Kept::Whole)
}

/// Law 9: a dropped completion is whole or nothing.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_cancellation(harness: &dyn IdempotencyHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    for polls in 1..6 {
        let claim = subject.claim(&format!("a-{polls}"), LONG)?;
        let token = subject.execute(&claim).await?;
        {
            let response = response();
            let mut completing = subject.store.complete(claim.id, token, &response, LONG);
            for _ in 0..polls {
                if (&mut completing).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let begun = subject.store.begin(&claim).await?;
        holds!(
            begun == Begun::Running || begun == Begun::Finished(response()),
            "a dropped completion left {begun:?}"
        );
        holds!(subject.complete(&claim, token, &response()).await?, "completing again was refused");
        subject.expect(&claim, &Begun::Finished(response()), "after completing again").await?;
    }
    Ok(Kept::Whole)
}

/// Law 10: a store that cannot be asked has no answer.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_10_never_a_silent_answer(harness: &dyn IdempotencyHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let claim = subject.claim("a", LONG)?;
    let token = subject.execute(&claim).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    holds!(subject.store.begin(&claim).await.is_err(), "a lost store knew a request");
    holds!(
        subject.store.begin(&subject.claim("b", LONG)?).await.is_err(),
        "a lost store had a request executed"
    );
    holds!(subject.complete(&claim, token, &response()).await.is_err(), "a lost store stored an answer");
    holds!(subject.store.renew(claim.id, token, LONG).await.is_err(), "a lost store renewed a lease");
    holds!(subject.store.abandon(claim.id, token).await.is_err(), "a lost store gave a request up");
    Ok(Kept::Whole)
}
