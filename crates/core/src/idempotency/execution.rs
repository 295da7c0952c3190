//! A request that is being carried out.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{IdempotencyStore, RequestId, Response};
use crate::lock::{FencingToken, Leased, LockGuard};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

/// A request that is yours to carry out, until it is [completed](Self::complete), [abandoned](Self::abandon), dropped (which
/// abandons it in the background) or lost. Its lease is renewed meanwhile.
pub struct Execution {
    store: Arc<dyn IdempotencyStore>,
    id: RequestId,
    ttl: Duration,
    guard: LockGuard,
}

/// The lease on a request.
struct Running {
    store: Arc<dyn IdempotencyStore>,
    id: RequestId,
    name: String,
    token: FencingToken,
    lease: Duration,
}

#[async_trait]
impl Leased for Running {
    fn what(&self) -> &'static str {
        "idempotency key"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn renew(&self) -> Result<bool> {
        self.store.renew(self.id, self.token, self.lease).await
    }

    async fn release(&self) -> Result<bool> {
        self.store.abandon(self.id, self.token).await
    }
}

/// How often completing is tried, as the effect has happened by then.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

impl Execution {
    pub(super) fn new(
        store: Arc<dyn IdempotencyStore>,
        claim: &super::Claim,
        token: FencingToken,
        clock: Arc<dyn Clock>,
        began: Instant,
    ) -> Self {
        let running = Running {
            store: Arc::clone(&store),
            id: claim.id,
            name: claim.id.to_string(),
            token,
            lease: claim.lease,
        };
        let guard = LockGuard::new(Arc::new(running), token, clock, began, true);
        Self { store, id: claim.id, ttl: claim.ttl, guard }
    }

    /// Returns the fencing token, greater than that of every execution of this request before: for what the effect changes to
    /// compare.
    pub fn token(&self) -> FencingToken {
        self.guard.token()
    }

    /// Returns which request it is.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Returns for how long its answer is to be remembered.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Tells whether another one may be carrying the request out by now.
    pub fn is_lost(&self) -> bool {
        self.guard.is_lost()
    }

    /// Waits until another one may be carrying the request out.
    pub async fn lost(&self) {
        self.guard.lost().await;
    }

    /// Does `work` for as long as the request is yours; drops it when it is not.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it was lost before `work` ended; `work`'s own.
    pub async fn while_held<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.guard.while_held(work).await
    }

    /// Stores the response, to be replayed from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if another one has taken the request over: the effect may have happened twice. The store's,
    /// after some attempts; then the request can be executed again once its lease has passed.
    pub async fn complete(self, response: &Response) -> Result<()> {
        let mut attempt = 1;
        let completed = loop {
            match self.store.complete(self.id, self.token(), response, self.ttl).await {
                Err(error) if error.retry().is_retryable() && attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                outcome => break outcome,
            }
        };
        // kept or not, it is not to be abandoned: after an error it may be stored all the same
        self.guard.forget();
        if completed? {
            return Ok(());
        }
        let message = "a request was taken over by another execution before its answer could be stored";
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// Gives the request up, to be executed again at once.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it had been lost; the store's, and then it is free once its lease has passed.
    pub async fn abandon(self) -> Result<()> {
        self.guard.release().await
    }

    /// Leaves the request as the store has it: its answer was stored in the effect's own transaction.
    pub fn stored(self) {
        self.guard.forget();
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("id", &self.id)
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}
