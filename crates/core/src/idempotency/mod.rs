//! Requests that are made twice and carried out once: idempotency keys for HTTP handlers.
//!
//! | item | what it is | feature |
//! |---|---|---|
//! | [`Idempotency`] | carries a request out, or replays what the first one was answered | `runtime` |
//! | [`IdempotencyKey`], [`Fingerprint`], [`IdempotentRequest`] | which request this is, whose, and with what in it | `runtime` |
//! | [`IdempotencyStore`] | the seam; its documentation is the contract | `runtime` |
//! | [`Once`], [`TransactionalStore`] | carries a request out in one transaction with its answer | `runtime` |
//! | [`MemoryIdempotency`] | the reference, for one process and for tests | `runtime` |
//! | `RedisIdempotency` | in one Redis server | `redis` |
//! | `SqliteIdempotency`, `PostgresIdempotency` | in a table, where the answer can be stored in the transaction of the effect | `sqlite`, `postgres` |
//!
//! The client sends a key of its own making with a request that changes something
//! ([`Idempotency-Key`](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)), and the same key again
//! when it got no answer:
//!
//! | what comes | what is answered |
//! |---|---|
//! | a new key | the handler's answer, stored if it is [final](Reply::Final) |
//! | the same key and request again | the stored answer |
//! | the same while the first is still at work | [`ErrorKind::Conflict`] (409), or the first one's answer after [waiting](Concurrent::Wait) |
//! | the same key with another request | [`ErrorKind::InvalidInput`] (422) |
//! | the same after a crash or an answer that was not final | the handler runs again, under a greater [token](Execution::token) |
//!
//! That is Stripe's behaviour but for one thing: answers of the class 5xx are not stored here unless the handler says so, as
//! they mostly tell of the server and not of the request.
//!
//! # How often the effect happens
//!
//! Once, if the answer is stored in the same transaction as the effect: a crash leaves both or neither. [`Once`] does that on
//! the SQL stores. Otherwise a crash between the two makes the handler run again; then either the effect itself is idempotent
//! (it is keyed by the request's key), or what it changes compares the [token](Execution::token).
//!
//! ```
//! use pumasi_core::idempotency::{
//!     Fingerprint, Idempotency, IdempotencyKey, IdempotentRequest, MemoryIdempotency, Reply, Response,
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let idempotency = Idempotency::new(MemoryIdempotency::new());
//! let body = br#"{"race": "seoul-2026"}"#;
//! let request = IdempotentRequest::new(
//!     "user-7",
//!     &IdempotencyKey::from_header("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")?,
//!     Fingerprint::of(&[b"POST", b"/registrations", body]),
//! );
//! for attempt in 0..2 {
//!     let answer = idempotency
//!         .run(&request, |_execution| async { Ok(Reply::Final(Response::new(201, "registered"))) })
//!         .await?;
//!     assert_eq!((answer.response.status(), answer.replayed), (201, attempt == 1));
//! }
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! In a handler of axum, with [`Once`]:
//!
//! ```text
//! async fn register(State(app): State<App>, user: User, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
//!     let Some(key) = headers.get(IdempotencyKey::HEADER) else { return StatusCode::BAD_REQUEST.into_response() };
//!     let key = match key.to_str().map(IdempotencyKey::from_header) { Ok(Ok(key)) => key, _ => return bad_request() };
//!     let request = IdempotentRequest::new(&user.id, &key, Fingerprint::of(&[b"POST", b"/registrations", &body]));
//!     let work = app.once.run(&request, |transaction| Box::pin(async move { register(transaction, &body).await }));
//!     match work.await { Ok(answer) => into_http(answer.response), … by ErrorKind: Conflict 409, InvalidInput 422 }
//! }
//! ```

mod execution;
mod memory;
mod once;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod response;
mod runner;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::execution::Execution;
pub use self::memory::MemoryIdempotency;
pub use self::once::{Making, Once, TransactionalStore};
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresIdempotency;
#[cfg(feature = "redis")]
pub use self::redis::RedisIdempotency;
pub use self::request::{Fingerprint, IdempotencyKey, IdempotentRequest, RequestId};
pub use self::response::Response;
pub use self::runner::{Answer, Concurrent, Idempotency, Outcome, Reply};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteIdempotency;
#[cfg(doc)]
use crate::ErrorKind;
use crate::Result;
use crate::lock::FencingToken;

/// A request that wants to be carried out, and for how long it may take without a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// Which request: whose, and under which key.
    pub id: RequestId,
    /// What is in it.
    pub fingerprint: Fingerprint,
    /// How long it is the only one without being renewed.
    pub lease: Duration,
    /// How long the key is remembered if it is never completed.
    pub ttl: Duration,
}

impl Claim {
    /// Makes the claim of a request.
    pub fn new(request: &IdempotentRequest, lease: Duration, ttl: Duration) -> Self {
        Self { id: request.id(), fingerprint: request.fingerprint(), lease, ttl: ttl.max(lease) }
    }
}

/// What a store knows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// It is yours to carry out, under this token.
    Execute(FencingToken),
    /// Another one carries it out.
    Running,
    /// It was answered so.
    Finished(Response),
    /// The key was used for a request with something else in it.
    OtherRequest,
}

/// Remembers requests and their answers.
///
/// What every backend guarantees; each number has a law of that number in `conformance::idempotency` (feature
/// `conformance`):
///
/// 1. **One execution.** Of any number of [`begin`](Self::begin) calls for one id at once, one answers [`Begun::Execute`], and
///    the others [`Begun::Running`] until it is completed, abandoned or its lease has ended.
/// 2. **Replay.** Once [`complete`](Self::complete) has answered `true`, `begin` answers [`Begun::Finished`] with exactly that
///    response until its time to live has passed. Completing again with the same response is `true` again.
/// 3. **One request per key.** Another fingerprint is [`Begun::OtherRequest`] for as long as the key is remembered, whatever
///    became of the first.
/// 4. **Takeover.** What was begun and neither completed nor renewed is [`Begun::Execute`] again once its lease has passed, and
///    not before.
/// 5. **Fencing.** Each execution of an id has a greater token than the one before. With an older token nothing can be
///    completed, renewed or abandoned, and the call says so by `false`.
/// 6. **Abandoning** makes the request free to be executed at once.
/// 7. **Time to live.** What has passed its time is forgotten, and the key is new.
/// 8. **Ids apart.** Requests of different principals or keys do not touch.
/// 9. **Cancellation.** A dropped `complete` has stored the whole response or nothing.
/// 10. **Never a silent answer.** A backend that cannot be asked neither executes nor completes.
#[async_trait]
pub trait IdempotencyStore: fmt::Debug + Send + Sync {
    /// Takes the request if it is new or free, and otherwise tells what is known of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] if the backend cannot be asked, [`ErrorKind::Storage`] if it failed.
    async fn begin(&self, claim: &Claim) -> Result<Begun>;

    /// Begins the lease anew; `false` if the token is no longer the request's, or it is completed.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool>;

    /// Stores the response for `ttl`; `false` if the token is no longer the request's, or another response is stored.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    async fn complete(
        &self,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool>;

    /// Gives the request up for another to execute; `false` if the token is no longer the request's, or it is completed.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: IdempotencyStore + ?Sized> IdempotencyStore for $pointer {
            async fn begin(&self, claim: &Claim) -> Result<Begun> {
                (**self).begin(claim).await
            }

            async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool> {
                (**self).renew(id, token, lease).await
            }

            async fn complete(
                &self,
                id: RequestId,
                token: FencingToken,
                response: &Response,
                ttl: Duration,
            ) -> Result<bool> {
                (**self).complete(id, token, response, ttl).await
            }

            async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool> {
                (**self).abandon(id, token).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);
