//! What the user writes: the work on one event.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Delivery;
use crate::{Error, ErrorKind, Result, Retry};

/// Handles one event at a time; the [`Consumer`](super::Consumer) calls it.
///
/// What it returns decides what becomes of the event:
///
/// - `Ok(())`: the work is durable, the event is acknowledged;
/// - an error whose [retry class](crate::Retry) allows it: the event comes back after a delay, up to the consumer's
///   attempts;
/// - any other error: the event becomes a dead letter with the error's kind and message, so these must not hold what a
///   person wrote.
///
/// An event may arrive more than once (the process can die between the work and the acknowledgement). Make the work
/// idempotent: record the event's id in the transaction of its effect, or derive what you write from it.
///
/// The future is dropped when the lease is lost, when the handler's time limit is over or when the consumer's drain ends;
/// what it had begun must be safe to begin again.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Does the work of one event.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; its retry class decides between another attempt and a dead letter.
    async fn handle(&self, delivery: &Delivery) -> Result<()>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<H: Handler + ?Sized> Handler for $pointer {
            async fn handle(&self, delivery: &Delivery) -> Result<()> {
                (**self).handle(delivery).await
            }
        }
    )+};
}

forward!(&H, Box<H>, Arc<H>);

/// Lets a failure of the store that effects are kept in pass: a login that is refused, a table that is not there yet and a file
/// that cannot be opened say nothing against the event.
pub(crate) fn passing(error: Error) -> Error {
    let of_the_store =
        matches!(error.kind(), ErrorKind::Storage | ErrorKind::Unavailable | ErrorKind::Unauthorized);
    if of_the_store && !error.retry().is_retryable() {
        return error.with_retry(Retry::After(Duration::from_secs(1)));
    }
    error
}

/// A [`Handler`] made of a closure; see [`handler_fn`].
#[derive(Clone, Copy)]
pub struct HandlerFn<F>(F);

impl<F> fmt::Debug for HandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFn")
    }
}

/// Makes a [`Handler`] of an async closure over the delivery.
///
/// ```
/// use pumasi_core::event::{Delivery, handler_fn};
///
/// let handler = handler_fn(|delivery: Delivery| async move {
///     println!("{} changed", delivery.event.key);
///     Ok(())
/// });
/// # let _ = handler;
/// ```
pub fn handler_fn<F, W>(work: F) -> HandlerFn<F>
where
    F: Fn(Delivery) -> W + Send + Sync,
    W: Future<Output = Result<()>> + Send,
{
    HandlerFn(work)
}

#[async_trait]
impl<F, W> Handler for HandlerFn<F>
where
    F: Fn(Delivery) -> W + Send + Sync,
    W: Future<Output = Result<()>> + Send,
{
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        (self.0)(delivery.clone()).await
    }
}
