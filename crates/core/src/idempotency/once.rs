//! Effects and their answers in one transaction.

use std::fmt;
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Answer, Concurrent, Execution, Idempotency, IdempotencyStore, IdempotentRequest, Reply, Response,
};
use crate::Result;
use crate::time::Clock;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::{Error, ErrorKind};

/// What [`Once::run`] is given to do within its transaction.
pub type Making<'c> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'c>>;

/// A store whose table stands beside your own, so that one transaction holds the effect of a request and its answer.
///
/// What every backend guarantees beside what [`IdempotencyStore`] does; each number has a law of that number in
/// `conformance::once` (feature `conformance`):
///
/// 1. **Together.** Once [`commit`](Self::commit) has answered `Ok`, what was written on the connection holds, and the answer
///    is replayed. Of a transaction that is dropped neither holds.
/// 2. **Once.** Of any number of [runs](Once::run) of one request at once, one writes, and all that wait for it answer alike.
/// 3. **Refusals leave nothing.** Where what is to be done fails, nothing of it holds, and the request is free at once.
/// 4. **Fencing.** [`complete_in`](Self::complete_in) is refused with `Conflict` once another execution has taken the
///    request over, also if that has not ended yet.
/// 5. **Cancellation.** A run whose future is dropped has happened wholly or not at all, and the request is answered by the next.
/// 6. **Never a silent answer.** Where the database cannot be asked nothing is made, also without a key.
#[async_trait]
pub trait TransactionalStore: IdempotencyStore {
    /// A connection within a transaction.
    type Connection: Send;
    /// A transaction; dropping it rolls back.
    type Transaction: DerefMut<Target = Self::Connection> + Send;

    /// Begins a transaction that writes.
    ///
    /// # Errors
    /// As [`begin`](IdempotencyStore::begin).
    async fn transaction(&self) -> Result<Self::Transaction>;

    /// Stores the answer in a transaction: it is there if that commits, and only then.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if another execution has taken the request over. As the calls otherwise.
    async fn complete_in(
        &self,
        connection: &mut Self::Connection,
        execution: &Execution,
        response: &Response,
    ) -> Result<()>;

    /// Ends a transaction so that all of it holds.
    ///
    /// # Errors
    /// As [`begin`](IdempotencyStore::begin); whether it holds is then not known, and the request, made again, tells.
    async fn commit(&self, transaction: Self::Transaction) -> Result<()>;
}

/// Carries requests out exactly once: what they write and what they are answered stands in one transaction.
///
/// What is written may be rows of your own and events of an [outbox](crate::event::OutboxStore) in the same database. A process
/// that dies leaves all of it or nothing; a caller that hangs up drops the run, which leaves all of it or nothing, too.
///
/// | setting | default |
/// |---|---|
/// | lease: how long a request whose process died is blocked | 30 seconds, renewed while it runs |
/// | time to live of a key and its answer | 24 hours |
/// | a second request while the first is at work | [`Concurrent::Conflict`] |
///
/// Clones share the store. Its table is made by the store's own `migrate`, and what has passed its time is deleted by its
/// `clean_up`.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::event::{Envelope, SqliteOutbox, State};
/// use pumasi_core::idempotency::{
///     Fingerprint, IdempotencyKey, IdempotentRequest, Once, Response, SqliteIdempotency,
/// };
/// # use sqlx::sqlite::SqliteConnectOptions;
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = SqliteConnectOptions::new().filename(folder.path().join("races.db")).create_if_missing(true);
/// # let pool = sqlx::SqlitePool::connect_with(file).await?;
/// # sqlx::raw_sql("CREATE TABLE runners (name TEXT)").execute(&pool).await?;
///
/// let (keys, outbox) = (SqliteIdempotency::new(pool.clone()), SqliteOutbox::new(pool.clone()));
/// keys.migrate().await?;
/// outbox.migrate().await?;
/// let once = Once::new(keys);
///
/// let key = IdempotencyKey::from_header("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"")?;
/// let request = IdempotentRequest::new("user-7", &key, Fingerprint::of(&[b"POST", b"/registrations", b"{}"]));
/// for attempt in 0..3 {
///     let outbox = outbox.clone();
///     let answer = once
///         .run(&request, |transaction| {
///             Box::pin(async move {
///                 sqlx::query("INSERT INTO runners VALUES ('Haneul')").execute(&mut *transaction).await?;
///                 let told = Envelope::new("registrations", "user-7", State::Created, 1);
///                 outbox.publish_in(transaction, &[told]).await?;
///                 Ok(Response::new(201, "registered"))
///             })
///         })
///         .await?;
///     assert_eq!((answer.response.status(), answer.replayed), (201, attempt > 0));
/// }
/// let runners: i64 = sqlx::query_scalar("SELECT count(*) FROM runners").fetch_one(&pool).await?;
/// assert_eq!(runners, 1);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Once<S> {
    store: S,
    idempotency: Idempotency,
}

impl<S: TransactionalStore + Clone + 'static> Once<S> {
    /// Makes it on a store.
    pub fn new(store: S) -> Self {
        Self { idempotency: Idempotency::new(store.clone()), store }
    }

    /// Sets how long a request whose process died is blocked; see [`Idempotency::with_lease`].
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.idempotency = self.idempotency.with_lease(lease);
        self
    }

    /// Sets how long a key and its answer are remembered; see [`Idempotency::with_ttl`].
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.idempotency = self.idempotency.with_ttl(ttl);
        self
    }

    /// Sets what becomes of a second request while the first is at work; see [`Idempotency::with_concurrent`].
    #[must_use]
    pub fn with_concurrent(mut self, concurrent: Concurrent) -> Self {
        self.idempotency = self.idempotency.with_concurrent(concurrent);
        self
    }

    /// Sets the clock by which waiting and the holder's side of the lease are counted; see [`Idempotency::with_clock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.idempotency = self.idempotency.with_clock(clock);
        self
    }

    /// Returns the store, to migrate it and to clean it up.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Does what a request asks for, and stores its answer with that; or replays the answer.
    ///
    /// What `make` answers with `Err` is rolled back and not remembered: the request may be made again.
    ///
    /// # Errors
    /// `make`'s own; [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if another one is at work, or took over;
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the key was used for another request; the store's.
    pub async fn run<F>(&self, request: &IdempotentRequest, make: F) -> Result<Answer>
    where
        F: for<'c> FnOnce(&'c mut S::Connection) -> Making<'c> + Send,
    {
        let work = |execution: Arc<Execution>| async move {
            let mut transaction = self.store.transaction().await?;
            let response = make(&mut transaction).await?;
            self.store.complete_in(&mut transaction, &execution, &response).await?;
            self.store.commit(transaction).await?;
            Ok(Reply::Stored(response))
        };
        self.idempotency.run(request, work).await
    }

    /// Does what a request without a key asks for, in one transaction as well; nothing of the request is remembered.
    ///
    /// # Errors
    /// `make`'s own; the store's.
    pub async fn run_without_key<F>(&self, make: F) -> Result<Response>
    where
        F: for<'c> FnOnce(&'c mut S::Connection) -> Making<'c> + Send,
    {
        let mut transaction = self.store.transaction().await?;
        let response = make(&mut transaction).await?;
        self.store.commit(transaction).await?;
        Ok(response)
    }
}

impl<S: fmt::Debug> fmt::Debug for Once<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn taken_over() -> Error {
    let message = "a request was taken over by another execution before its answer could be stored";
    Error::new(ErrorKind::Conflict, message)
}
