//! The reference backend.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Begun, Claim, Fingerprint, IdempotencyStore, RequestId, Response};
use crate::Result;
use crate::lock::FencingToken;
use crate::time::{Clock, SystemClock, after};

/// Requests and answers in memory, gone with the process; clones share them.
#[derive(Clone)]
pub struct MemoryIdempotency {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    records: HashMap<RequestId, Record>,
    last: i64,
    /// How many records there are to be before the expired ones are looked for.
    purge_at: usize,
}

struct Record {
    fingerprint: Fingerprint,
    token: FencingToken,
    lease_until: Instant,
    expires: Instant,
    response: Option<Response>,
}

impl State {
    fn purge(&mut self, now: Instant) {
        if self.records.len() >= self.purge_at {
            self.records.retain(|_, record| now < record.expires);
            self.purge_at = (self.records.len() * 2).max(1024);
        }
    }

    /// The record of an execution that is still the request's.
    fn current(&mut self, id: RequestId, token: FencingToken, now: Instant) -> Option<&mut Record> {
        self.records.get_mut(&id).filter(|record| record.token == token && now < record.expires)
    }
}

impl MemoryIdempotency {
    /// Makes a store that knows no request.
    pub fn new() -> Self {
        Self { clock: Arc::new(SystemClock), state: Arc::default() }
    }

    /// Sets the clock that times are counted by (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryIdempotency {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl IdempotencyStore for MemoryIdempotency {
    async fn begin(&self, claim: &Claim) -> Result<Begun> {
        let now = self.clock.instant();
        let mut state = self.lock();
        if let Some(record) = state.records.get(&claim.id).filter(|record| now < record.expires) {
            if record.fingerprint != claim.fingerprint {
                return Ok(Begun::OtherRequest);
            }
            if let Some(response) = &record.response {
                return Ok(Begun::Finished(response.clone()));
            }
            if now < record.lease_until {
                return Ok(Begun::Running);
            }
        }
        state.purge(now);
        state.last += 1;
        let token = FencingToken::new(state.last);
        let record = Record {
            fingerprint: claim.fingerprint,
            token,
            lease_until: after(now, claim.lease),
            expires: after(now, claim.ttl),
            response: None,
        };
        state.records.insert(claim.id, record);
        Ok(Begun::Execute(token))
    }

    async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let open = state.current(id, token, now).filter(|record| record.response.is_none());
        let renewed = open.map(|record| {
            record.lease_until = after(now, lease);
            record.expires = record.expires.max(record.lease_until);
        });
        Ok(renewed.is_some())
    }

    async fn complete(
        &self,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let Some(record) = state.current(id, token, now) else { return Ok(false) };
        if record.response.as_ref().is_some_and(|stored| stored != response) {
            return Ok(false);
        }
        record.response = Some(response.clone());
        record.expires = after(now, ttl);
        Ok(true)
    }

    async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let open = state.current(id, token, now).filter(|record| record.response.is_none());
        Ok(open.map(|record| record.lease_until = now).is_some())
    }
}

impl fmt::Debug for MemoryIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryIdempotency")
            .field("records", &self.lock().records.len())
            .finish_non_exhaustive()
    }
}
