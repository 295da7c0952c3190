//! Whoever can answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::{Error, ErrorKind, Result};

use super::Answer;

/// Answers requests of type `Q` with values of type `T`.
///
/// 1. **Time.** [`call`](Self::call) is told how long its caller will wait. It is dropped at the latest then, and often
///    before, when another backend was faster: a dropped call must leave nothing behind.
/// 2. **Whole or told.** An answer that may lack something says so in its [gaps](Answer::gaps).
/// 3. **Errors.** [`InvalidInput`](ErrorKind::InvalidInput), [`Conflict`](ErrorKind::Conflict) and
///    [`Refused`](ErrorKind::Refused) are about the request: the caller gets them, and nobody else is asked. Anything else is
///    about the backend, and the next one is asked; [`Unsupported`](ErrorKind::Unsupported) without blaming this one. A panic is a
///    failure of the backend too.
/// 4. **Probes.** [`probe`](Self::probe) is called in the background, at most one at a time, and only while the circuit to the
///    backend is not closed.
#[async_trait]
pub trait Backend<Q, T>: fmt::Debug + Send + Sync
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Names the backend in answers, errors and metrics.
    fn name(&self) -> &str;

    /// Answers a request within the time that is left.
    ///
    /// # Errors
    /// By kind as above.
    async fn call(&self, request: Q, left: Duration) -> Result<Answer<T>>;

    /// Finds out whether the backend is well again.
    ///
    /// By default it answers a copy of a request that was turned away; nobody waits for that answer. A backend with a cheaper
    /// or a sharper test overrides it.
    ///
    /// # Errors
    /// Any, if it is not.
    async fn probe(&self, sample: Q, left: Duration) -> Result<()> {
        let answer = self.call(sample, left).await?;
        if answer.is_partial() {
            return Err(Error::new(ErrorKind::Unavailable, format!("{} answers in part only", self.name())));
        }
        Ok(())
    }
}

#[async_trait]
impl<Q, T, B> Backend<Q, T> for Arc<B>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
    B: Backend<Q, T> + ?Sized,
{
    fn name(&self) -> &str {
        (**self).name()
    }

    async fn call(&self, request: Q, left: Duration) -> Result<Answer<T>> {
        (**self).call(request, left).await
    }

    async fn probe(&self, sample: Q, left: Duration) -> Result<()> {
        (**self).probe(sample, left).await
    }
}

/// A backend made of an async function.
///
/// ```
/// use pumasi_core::Error;
/// use pumasi_search::fallback::{Answer, FnBackend};
///
/// let database = FnBackend::new("database", |id: u64, _left| async move {
///     Ok::<_, Error>(Answer::new(format!("runner {id}")))
/// });
/// # let _ = database;
/// ```
pub struct FnBackend<F, Fut> {
    name: Arc<str>,
    call: F,
    future: PhantomData<fn() -> Fut>,
}

impl<F, Fut> FnBackend<F, Fut> {
    /// Makes a backend of a function that gets the request and the time that is left.
    pub fn new<Q>(name: impl Into<Arc<str>>, call: F) -> Self
    where
        F: Fn(Q, Duration) -> Fut,
    {
        Self { name: name.into(), call, future: PhantomData }
    }
}

impl<F, Fut> fmt::Debug for FnBackend<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnBackend").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl<Q, T, F, Fut> Backend<Q, T> for FnBackend<F, Fut>
where
    Q: Clone + Send + Sync + 'static,
    T: Send + 'static,
    F: Fn(Q, Duration) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Answer<T>>> + Send,
{
    fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, request: Q, left: Duration) -> Result<Answer<T>> {
        (self.call)(request, left).await
    }
}
