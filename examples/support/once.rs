//! Requests that make something, and make it once however often they are sent.
//!
//! A client names a request by the header `Idempotency-Key`; [`Keyed`] is that name with what is asked for. Where rows in a
//! service's own tables, with events in the outbox beside them, are all that is made, [`Once`] makes them in one transaction with
//! the answer. Where something else is (an event on a bus, places of a saga), it is [named](Keyed::name) after the request, so that
//! making it again changes nothing.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use pumasi_core::event::EventId;
#[cfg(feature = "postgres")]
use pumasi_core::idempotency::PostgresIdempotency;
use pumasi_core::idempotency::{
    self, Concurrent, Fingerprint, IdempotencyKey, IdempotentRequest, Making, SqliteIdempotency,
    TransactionalStore,
};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{Connection, Database};
use crate::problem::Problem;
use crate::query::bad;

/// How long one of several equal requests waits for the first.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a request whose process died keeps its key: its transaction is gone, and whoever sends it again waits for that.
const LEASE: Duration = Duration::from_secs(3);
/// How often old answers are forgotten, at most.
const CLEANED_EVERY: Duration = Duration::from_hours(1);

/// A request that makes something, by the client's key, or without one.
#[derive(Clone, Debug, Default)]
pub struct Keyed(Option<IdempotentRequest>);

impl Keyed {
    /// Reads the key of a caller's request to do this.
    ///
    /// # Errors
    ///
    /// A 400 if there are several keys, or one that is no string of 1 to 255 characters.
    pub fn of(
        headers: &HeaderMap,
        caller: &str,
        what: &str,
        body: &impl Serialize,
    ) -> std::result::Result<Self, Problem> {
        let mut keys = headers.get_all(IdempotencyKey::HEADER).iter();
        let (first, more) = (keys.next(), keys.next());
        if more.is_some() {
            return Err(bad("Idempotency-Key must be given once"));
        }
        let key = match first.map(|key| key.to_str().map(IdempotencyKey::from_header)) {
            None => return Ok(Self(None)),
            Some(Ok(key)) => key.map_err(|error| bad(error.message()))?,
            Some(Err(_)) => return Err(bad("Idempotency-Key must be 1 to 255 visible ASCII characters")),
        };
        let body = serde_json::to_vec(body).map_err(|_| bad("the body cannot be read"))?;
        let fingerprint = Fingerprint::of(&[what.as_bytes(), &body]);
        Ok(Self(Some(IdempotentRequest::new(caller, &key, fingerprint))))
    }

    /// Names what the request makes, alike whenever it is sent again under its key; without one by chance.
    pub fn name(&self, scope: &str) -> EventId {
        let Some(request) = &self.0 else { return EventId::random() };
        let mut id = String::new();
        for byte in request.id().as_bytes() {
            let _ = write!(id, "{byte:02x}");
        }
        EventId::named(scope, &id)
    }
}

impl From<IdempotentRequest> for Keyed {
    fn from(request: IdempotentRequest) -> Self {
        Self(Some(request))
    }
}

/// Refuses a request under a key under which another one was made, as [`Once`] does: 422, as `draft-ietf-httpapi-idempotency-key-header`
/// says. One that is still at work is a 409.
pub fn used_for_another() -> Problem {
    Problem::invalid("the idempotency key was used for another request")
}

/// What a request made.
#[derive(Clone, Copy, Debug)]
pub struct Made<T> {
    /// What it is.
    pub value: T,
    /// Whether it was made now, and not when the same request came before.
    pub is_new: bool,
}

/// Makes rows of a service's tables once for each request. Clones share it.
#[derive(Clone, Debug)]
pub struct Once {
    stores: Stores,
    /// When old answers were last forgotten here.
    cleaned: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug)]
enum Stores {
    Sqlite(idempotency::Once<SqliteIdempotency>),
    #[cfg(feature = "postgres")]
    Postgres(idempotency::Once<PostgresIdempotency>),
}

impl Once {
    /// Opens it beside a service's tables; a file counts time by `clock`, a server by its own.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn open(database: &Database, clock: Arc<dyn Clock>) -> Result<Self> {
        let stores = match database {
            Database::Sqlite(pool) => {
                let store = SqliteIdempotency::new(pool.clone()).with_clock(clock);
                store.migrate().await?;
                Stores::Sqlite(patient(idempotency::Once::new(store)))
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let store = PostgresIdempotency::new(pool.clone());
                store.migrate().await?;
                Stores::Postgres(patient(idempotency::Once::new(store)))
            }
        };
        Ok(Self { stores, cleaned: Arc::default() })
    }

    /// Makes something in one transaction with the note that this request made it. Sent again it is what it was then.
    ///
    /// # Errors
    ///
    /// `make`'s own, and nothing is made then; `Conflict` while the same request is at work, `InvalidInput` if its key was used for
    /// another one.
    pub async fn run<T: Serialize + DeserializeOwned + 'static>(
        &self,
        keyed: &Keyed,
        make: impl for<'c> FnOnce(Connection<'c>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    ) -> Result<Made<T>> {
        self.keep_clean();
        match &self.stores {
            Stores::Sqlite(once) => carried_out(once, keyed, noting(make)).await,
            #[cfg(feature = "postgres")]
            Stores::Postgres(once) => carried_out(once, keyed, noting(make)).await,
        }
    }

    /// Has the answers of a day ago forgotten, in the background, if that was not done within the hour.
    fn keep_clean(&self) {
        let mut cleaned = self.cleaned.lock().unwrap_or_else(PoisonError::into_inner);
        if cleaned.is_some_and(|cleaned| cleaned.elapsed() < CLEANED_EVERY) {
            return;
        }
        *cleaned = Some(Instant::now());
        let stores = self.stores.clone();
        tokio::spawn(async move {
            if let Err(error) = stores.clean_up().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "old answers could not be forgotten"
                );
            }
        });
    }
}

impl Stores {
    async fn clean_up(&self) -> Result<()> {
        loop {
            let forgotten = match self {
                Self::Sqlite(once) => once.store().clean_up(1_000).await?,
                #[cfg(feature = "postgres")]
                Self::Postgres(once) => once.store().clean_up(1_000).await?,
            };
            if forgotten == 0 {
                return Ok(());
            }
        }
    }
}

/// One that is sent again while it is at work is answered with it.
fn patient<S: TransactionalStore + Clone + 'static>(once: idempotency::Once<S>) -> idempotency::Once<S> {
    once.with_lease(LEASE).with_concurrent(Concurrent::Wait(PATIENCE))
}

async fn carried_out<T: DeserializeOwned, S: TransactionalStore + Clone + 'static>(
    once: &idempotency::Once<S>,
    keyed: &Keyed,
    make: impl for<'c> FnOnce(&'c mut S::Connection) -> Making<'c> + Send,
) -> Result<Made<T>> {
    let (made, is_new) = match &keyed.0 {
        Some(request) => {
            let answer = once.run(request, make).await?;
            (answer.response, !answer.replayed)
        }
        None => (once.run_without_key(make).await?, true),
    };
    let value = serde_json::from_slice(made.body());
    let value = value.map_err(|_| Error::new(ErrorKind::Storage, "what a request made cannot be read"))?;
    Ok(Made { value, is_new })
}

/// Makes something on a connection of one engine, and writes down what.
fn noting<C, T: Serialize + 'static>(
    make: impl for<'c> FnOnce(Connection<'c>) -> BoxFuture<'c, Result<T>> + Send + 'static,
) -> impl for<'c> FnOnce(&'c mut C) -> Making<'c> + Send
where
    C: Send + 'static,
    for<'c> Connection<'c>: From<&'c mut C>,
{
    move |open| Box::pin(async move { noted(&make(Connection::from(open)).await?) })
}

fn noted(made: &impl Serialize) -> Result<idempotency::Response> {
    let made = serde_json::to_vec(made)
        .map_err(|_| Error::new(ErrorKind::Other, "what was made cannot be written as JSON"))?;
    Ok(idempotency::Response::new(201, made))
}
