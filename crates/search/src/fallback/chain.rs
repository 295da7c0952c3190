//! Backends in their order, each asked when the one before it fails, is spared or takes long.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Either, select};
use pumasi_core::resilience::{BreakerPermit, BreakerState, RetryBudget, Retryable, Verdict, within};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result, Retry};

use super::tier::Tier;
use super::{Answer, Cause, Served};

pub(super) struct Chain<Q, T> {
    pub(super) name: Arc<str>,
    pub(super) tiers: Vec<Arc<Tier<Q, T>>>,
    pub(super) budget: RetryBudget,
    pub(super) clock: Arc<dyn Clock>,
    /// How far behind the writes the first backend's answer may be and still be fresh.
    pub(super) fresh_within: Duration,
}

/// An answer and whose it is.
struct Reply<T> {
    answer: Answer<T>,
    tier: usize,
}

/// What one request has met with on its way.
struct Way<'a, Q, T> {
    request: &'a Q,
    deadline: Instant,
    met: Mutex<Met<T>>,
}

struct Met<T> {
    /// Why the first backend's whole answer is not what is served.
    cause: Option<Cause>,
    failures: Vec<(Arc<str>, ErrorKind)>,
    /// An answer in part, in case that nobody has a whole one; of the earliest backend.
    partial: Option<Reply<T>>,
}

impl<Q, T> Way<'_, Q, T> {
    fn met<R>(&self, with: impl FnOnce(&mut Met<T>) -> R) -> R {
        with(&mut self.met.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, tier: usize, cause: Cause) {
        if tier == 0 {
            self.met(|met| met.cause = met.cause.take().or(Some(cause)));
        }
    }
}

/// An error as this chain reads it: what is about the request is an answer, and everything else is a reason to ask another.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Retryable for Failure {
    fn retry(&self) -> Retry {
        self.0.retry()
    }

    fn verdict(&self) -> Verdict {
        match self.0.kind() {
            ErrorKind::InvalidInput | ErrorKind::Conflict | ErrorKind::Refused => Verdict::Success,
            ErrorKind::Unsupported
            | ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Cancelled
            | ErrorKind::BudgetExhausted => Verdict::Neutral,
            _ => Verdict::Failure,
        }
    }
}

impl<Q, T> Chain<Q, T>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Asks for an answer until `deadline`.
    pub(super) async fn ask(&self, request: &Q, deadline: Instant) -> Result<Served<T>> {
        let met = Met { cause: None, failures: Vec::new(), partial: None };
        let way = Way { request, deadline, met: Mutex::new(met) };
        let left = deadline.saturating_duration_since(self.clock.instant());
        let outcome = within(&*self.clock, left, self.from(0, &way)).await;
        match outcome {
            Some(Ok(reply)) => Ok(self.label(reply, &way)),
            Some(Err(Failure(error))) if Failure(error.clone()).verdict() == Verdict::Success => Err(error),
            failed => match way.met(|met| met.partial.take()) {
                Some(reply) => Ok(self.label(reply, &way)),
                None => Err(self.failure(failed.and_then(Result::err), &way)),
            },
        }
    }

    fn from<'a>(&'a self, index: usize, way: &'a Way<'a, Q, T>) -> BoxFuture<'a, Result<Reply<T>, Failure>> {
        Box::pin(async move {
            let Some(tier) = self.tiers.get(index) else {
                return Err(Failure(Error::new(ErrorKind::Unavailable, "there is nobody left to ask")));
            };
            if index + 1 == self.tiers.len() {
                return self.last(index, tier, way).await;
            }
            let Ok(permit) = tier.admit() else {
                tier.watch(way.request);
                way.note(index, Cause::CircuitOpen);
                return self.around(index, tier, way).await;
            };
            let began = self.clock.instant();
            // outside the call, so that it is known of a call that was given up why it was
            let permit = Mutex::new(Some(permit));
            let taken = || permit.lock().unwrap_or_else(PoisonError::into_inner).take();
            let first = async {
                let outcome = self.call(index, tier, way).await;
                if let Some(permit) = taken() {
                    Self::record(permit, &outcome);
                    // a success too may be the call that made enough of them to judge by
                    tier.watch(way.request);
                }
                outcome
            };
            let raced = tier.hedge.race(first, || self.from(index + 1, way)).await;
            if let Some(permit) = taken() {
                // overtaken, although it had as long as 95 of 100 calls take: if that happens to most of them, it is ill
                permit.record(Verdict::Failure);
                way.note(index, Cause::Slow { after: self.clock.instant().saturating_duration_since(began) });
                tier.watch(way.request);
            }
            raced.map(|raced| raced.value)
        })
    }

    /// Asks those behind a backend that is spared. While they do not answer, it is tried out before its turn, and asked as soon as
    /// it is let in again: no request should fail because it is not known yet that who could answer it is well.
    async fn around(
        &self,
        index: usize,
        tier: &Arc<Tier<Q, T>>,
        way: &Way<'_, Q, T>,
    ) -> Result<Reply<T>, Failure> {
        let mut onward = self.from(index + 1, way);
        if let Some(outcome) = within(&*self.clock, tier.slow_after, onward.as_mut()).await {
            if outcome.as_ref().is_err_and(|failure| failure.verdict() != Verdict::Success) {
                tier.hurry(way.request);
            }
            return outcome;
        }
        let back = pin!(async {
            let permit = tier.let_in(way.request).await;
            let outcome = self.call(index, tier, way).await;
            Self::record(permit, &outcome);
            tier.watch(way.request);
            outcome
        });
        match select(onward, back).await {
            Either::Left((Err(failure), back))
                if failure.verdict() != Verdict::Success && tier.state() == BreakerState::Closed =>
            {
                back.await.map_err(|_| failure)
            }
            Either::Right((Err(failure), onward)) if failure.verdict() != Verdict::Success => onward.await,
            Either::Left((outcome, _)) | Either::Right((outcome, _)) => outcome,
        }
    }

    fn record(permit: BreakerPermit, outcome: &Result<Reply<T>, Failure>) {
        permit.record(outcome.as_ref().map_or_else(Retryable::verdict, |_| Verdict::Success));
    }

    /// Asks the last one, whatever its health: there is nobody else. Once more from the budget, if it fails at once.
    async fn last(
        &self,
        index: usize,
        tier: &Arc<Tier<Q, T>>,
        way: &Way<'_, Q, T>,
    ) -> Result<Reply<T>, Failure> {
        if index == 0 {
            self.budget.deposit();
        }
        match self.call(index, tier, way).await {
            Err(failure) if failure.retry() == Retry::Now && self.budget.withdraw() => {
                self.call(index, tier, way).await
            }
            outcome => outcome,
        }
    }

    async fn call(
        &self,
        index: usize,
        tier: &Arc<Tier<Q, T>>,
        way: &Way<'_, Q, T>,
    ) -> Result<Reply<T>, Failure> {
        match tier.call(way.request.clone(), way.deadline).await {
            Ok(answer) if answer.is_partial() => {
                way.note(index, Cause::Incomplete);
                way.met(|met| {
                    met.failures.push((Arc::clone(&tier.label), ErrorKind::Unavailable));
                    if met.partial.as_ref().is_none_or(|kept| index < kept.tier) {
                        met.partial = Some(Reply { answer, tier: index });
                    }
                });
                let message = format!("{} answers in part only", tier.label);
                Err(Failure(Error::new(ErrorKind::Unavailable, message).with_retry(Retry::Never)))
            }
            Ok(answer) => Ok(Reply { answer, tier: index }),
            Err(error) => {
                way.met(|met| met.failures.push((Arc::clone(&tier.label), error.kind())));
                way.note(index, Cause::Failed(error.clone()));
                Err(Failure(error))
            }
        }
    }

    fn label(&self, reply: Reply<T>, way: &Way<'_, Q, T>) -> Served<T> {
        let Reply { answer: Answer { value, gaps, lag }, tier } = reply;
        let backend = self.tiers.get(tier).map_or_else(|| Arc::from(""), |tier| Arc::clone(&tier.label));
        let whole = tier == 0 && gaps.is_empty();
        if whole && lag.is_none_or(|lag| lag <= self.fresh_within) {
            return Served::Fresh { value, backend };
        }
        let own = if whole { Cause::Lagging } else { Cause::Incomplete };
        let cause = way.met(|met| met.cause.take()).filter(|_| tier > 0).unwrap_or(own);
        Served::Degraded { value, backend, gaps, lag, cause }
    }

    /// The error of a request that nobody answered: unavailable, whatever each of them had to say.
    fn failure(&self, last: Option<Failure>, way: &Way<'_, Q, T>) -> Error {
        let tried: Vec<String> =
            way.met(|met| met.failures.iter().map(|(label, kind)| format!("{label}: {kind}")).collect());
        let name = &self.name;
        match last {
            Some(Failure(error)) => {
                let message = format!("nobody could answer {name} ({})", tried.join(", "));
                Error::new(ErrorKind::Unavailable, message).with_source(error)
            }
            None if tried.is_empty() => {
                Error::new(ErrorKind::Timeout, format!("nobody answered {name} within its deadline"))
            }
            None => {
                let message = format!("nobody answered {name} within its deadline ({})", tried.join(", "));
                Error::new(ErrorKind::Timeout, message)
            }
        }
    }
}
