//! Carries requests out once.

use std::sync::Arc;
use std::time::Duration;

use super::{Begun, Claim, Execution, IdempotencyStore, IdempotentRequest, Response};
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result, Retry};

/// What becomes of a request that comes while the first one of its key is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concurrent {
    /// It is refused with [`ErrorKind::Conflict`], to be made again in a second.
    #[default]
    Conflict,
    /// It waits for the first one's answer for at most this long, and is refused then. If the first one ends without an
    /// answer, it is carried out instead.
    Wait(Duration),
}

/// What a handler answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// The request's answer for good: stored, and given again.
    Final(Response),
    /// An answer that says nothing of the next attempt: given, and not stored.
    Transient(Response),
    /// The answer, which the handler has stored in the transaction of its effect.
    Stored(Response),
}

impl Reply {
    /// Takes an answer for final unless its status speaks of the moment: 5xx, 408, 425 and 429.
    pub fn by_status(response: Response) -> Self {
        match response.status() {
            408 | 425 | 429 | 500.. => Self::Transient(response),
            _ => Self::Final(response),
        }
    }
}

/// An answer, and whether it was given before.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The answer.
    pub response: Response,
    /// It is the stored answer of an earlier request.
    pub replayed: bool,
}

/// What is to be done with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It is to be carried out.
    Execute(Execution),
    /// It was answered before, so.
    Replay(Response),
}

/// Carries requests out once, and replays their answers.
///
/// | setting | default |
/// |---|---|
/// | lease: how long a request whose process died is blocked | 30 seconds, renewed while it runs |
/// | time to live of a key and its answer | 24 hours |
/// | a second request while the first is at work | [`Concurrent::Conflict`] |
///
/// The metric is `pumasi_idempotency_requests_total{outcome}` (`executed`, `replayed`, `conflict`, `other_request`). Clones
/// share the store.
#[derive(Clone, Debug)]
pub struct Idempotency {
    store: Arc<dyn IdempotencyStore>,
    lease: Duration,
    ttl: Duration,
    concurrent: Concurrent,
    clock: Arc<dyn Clock>,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Idempotency {
    /// Makes it on a store.
    pub fn new(store: impl IdempotencyStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            lease: Duration::from_secs(30),
            ttl: Duration::from_hours(24),
            concurrent: Concurrent::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how long a request whose process died is blocked (default 30 seconds); at least 100 milliseconds.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(100), Duration::from_hours(24));
        self
    }

    /// Sets how long a key and its answer are remembered (default 24 hours); at least the lease, at most 10 years.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.min(Duration::from_hours(24 * 3650));
        self
    }

    /// Sets what becomes of a second request while the first is at work (default: it is refused).
    #[must_use]
    pub fn with_concurrent(mut self, concurrent: Concurrent) -> Self {
        self.concurrent = concurrent;
        self
    }

    /// Sets the clock by which waiting and the holder's side of the lease are counted (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Carries the request out by `handler`, or replays its answer.
    ///
    /// `handler` is given the [`Execution`] to read its token or to store its answer with the effect; it is dropped where the
    /// lease is lost. If it fails, panics or is dropped, the request is free to be executed again, so a client that hangs up
    /// must not drop it half-way: run it in a task of its own.
    ///
    /// # Errors
    /// The handler's own; [`ErrorKind::Conflict`] if another one is at work, or took over; [`ErrorKind::InvalidInput`] if the
    /// key was used for another request; the store's.
    pub async fn run<F, Fut>(&self, request: &IdempotentRequest, handler: F) -> Result<Answer>
    where
        F: FnOnce(Arc<Execution>) -> Fut,
        Fut: Future<Output = Result<Reply>>,
    {
        let execution = match self.begin(request).await? {
            Outcome::Replay(response) => return Ok(Answer { response, replayed: true }),
            Outcome::Execute(execution) => Arc::new(execution),
        };
        let reply = execution.while_held(handler(Arc::clone(&execution))).await;
        // The handler is done with it; where it has given a clone away, dropping the last one abandons or does nothing.
        let execution = Arc::into_inner(execution);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                if let Some(execution) = execution {
                    // if that fails, the request is free once its lease has passed
                    let _told = execution.abandon().await;
                }
                return Err(error);
            }
        };
        let response = match reply {
            Reply::Final(response) => {
                let kept = execution.ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "a handler kept the execution of its request")
                })?;
                kept.complete(&response).await?;
                response
            }
            Reply::Transient(response) => {
                if let Some(execution) = execution {
                    execution.abandon().await?;
                }
                response
            }
            Reply::Stored(response) => {
                if let Some(execution) = execution {
                    execution.stored();
                }
                response
            }
        };
        Ok(Answer { response, replayed: false })
    }

    /// Tells whether the request is to be carried out, or what it was answered.
    ///
    /// # Errors
    /// As [`run`](Self::run), but for the handler's.
    pub async fn begin(&self, request: &IdempotentRequest) -> Result<Outcome> {
        let claim = Claim::new(request, self.lease, self.ttl);
        let limit = match self.concurrent {
            Concurrent::Conflict => Duration::ZERO,
            Concurrent::Wait(limit) => limit,
        };
        let first = self.clock.instant();
        let mut pause = SHORTEST_PAUSE;
        loop {
            // read before the call: our lease must not outlast the store's
            let began = self.clock.instant();
            match self.store.begin(&claim).await? {
                Begun::Execute(token) => {
                    count("executed");
                    let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
                    return Ok(Outcome::Execute(Execution::new(store, &claim, token, clock, began)));
                }
                Begun::Finished(response) => {
                    count("replayed");
                    return Ok(Outcome::Replay(response));
                }
                Begun::OtherRequest => {
                    count("other_request");
                    let message = "the idempotency key was used for another request";
                    return Err(Error::new(ErrorKind::InvalidInput, message));
                }
                Begun::Running => {}
            }
            let left = limit.saturating_sub(self.clock.instant().saturating_duration_since(first));
            if left.is_zero() {
                count("conflict");
                let message = "a request with the same idempotency key is being carried out";
                let error = Error::new(ErrorKind::Conflict, message);
                return Err(error.with_retry(Retry::After(Duration::from_secs(1))));
            }
            self.clock.sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0).min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("pumasi_idempotency_requests_total", "outcome" => outcome).increment(1);
}
