//! A fallback as a layer of tower.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use pumasi_core::{Error, Result};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, Backend, Fallback, FallbackBuilder, Served};

/// A service of tower as a backend: its answers are whole, its errors become [`Error`]s by `error`.
///
/// Each call is made on a clone, which is waited for until it is ready.
#[derive(Clone)]
pub struct ServiceBackend<S, M> {
    name: Arc<str>,
    service: S,
    error: M,
}

impl<S, M> ServiceBackend<S, M> {
    /// Makes a backend of a service.
    pub fn new(name: impl Into<Arc<str>>, service: S, error: M) -> Self {
        Self { name: name.into(), service, error }
    }
}

impl<S, M> fmt::Debug for ServiceBackend<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBackend").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl<Q, S, M> Backend<Q, S::Response> for ServiceBackend<S, M>
where
    Q: Clone + Send + Sync + 'static,
    S: Service<Q> + Clone + Send + Sync,
    S::Response: Send + 'static,
    S::Future: Send,
    M: Fn(S::Error) -> Error + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, request: Q, _left: Duration) -> Result<Answer<S::Response>> {
        let mut service = self.service.clone();
        poll_fn(|context| service.poll_ready(context)).await.map_err(&self.error)?;
        service.call(request).await.map(Answer::new).map_err(&self.error)
    }
}

/// Puts a [`Fallback`] around a service, which becomes its primary; the others are in the builder.
///
/// ```
/// use pumasi_core::{Error, ErrorKind};
/// use pumasi_search::fallback::{Answer, Fallback, FallbackLayer, FnBackend};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let database = FnBackend::new("database", |id: u32, _left| async move { Ok(Answer::new(format!("runner {id}"))) });
/// let layer = FallbackLayer::new(
///     Fallback::builder("runners").fallback(database),
///     "engine",
///     |error: std::io::Error| Error::new(ErrorKind::Unavailable, "the engine failed").with_source(error),
/// );
/// let service = ServiceBuilder::new()
///     .layer(layer)
///     .service(service_fn(|_: u32| async { Err::<String, _>(std::io::Error::other("connection refused")) }));
///
/// let served = service.oneshot(7).await?;
/// assert_eq!((served.as_str(), served.split().1.as_str()), ("degraded", "runner 7"));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct FallbackLayer<Q, T, M> {
    builder: FallbackBuilder<Q, T>,
    name: Arc<str>,
    error: M,
}

impl<Q, T, M> FallbackLayer<Q, T, M> {
    /// Makes the layer from a builder without a primary, the name of the service as a backend, and what its errors mean.
    pub fn new(builder: FallbackBuilder<Q, T>, name: impl Into<Arc<str>>, error: M) -> Self {
        Self { builder, name: name.into(), error }
    }
}

impl<Q, T, M: Clone> Clone for FallbackLayer<Q, T, M> {
    fn clone(&self) -> Self {
        Self { builder: self.builder.clone(), name: Arc::clone(&self.name), error: self.error.clone() }
    }
}

impl<Q, T, M> fmt::Debug for FallbackLayer<Q, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("name", &self.name)
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

impl<Q, S, M> Layer<S> for FallbackLayer<Q, S::Response, M>
where
    Q: Clone + Send + Sync + 'static,
    S: Service<Q> + Clone + Send + Sync + 'static,
    S::Response: Clone + Send + Sync + 'static,
    S::Future: Send,
    M: Fn(S::Error) -> Error + Clone + Send + Sync + 'static,
{
    type Service = FallbackService<Q, S::Response>;

    fn layer(&self, service: S) -> Self::Service {
        let primary = ServiceBackend::new(Arc::clone(&self.name), service, self.error.clone());
        FallbackService { fallback: self.builder.clone().assemble(Arc::new(primary)) }
    }
}

/// A [`Fallback`] as a service: always ready, because it has its own ways with backends that are not.
pub struct FallbackService<Q, T> {
    fallback: Fallback<Q, T>,
}

impl<Q, T> FallbackService<Q, T> {
    /// Makes a service of a fallback.
    pub const fn new(fallback: Fallback<Q, T>) -> Self {
        Self { fallback }
    }
}

impl<Q, T> Service<Q> for FallbackService<Q, T>
where
    Q: Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    type Response = Served<T>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Served<T>>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let fallback = self.fallback.clone();
        Box::pin(async move { fallback.call(request).await })
    }
}

impl<Q, T> Clone for FallbackService<Q, T> {
    fn clone(&self) -> Self {
        Self { fallback: self.fallback.clone() }
    }
}

impl<Q, T> fmt::Debug for FallbackService<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackService").field("fallback", &self.fallback).finish()
    }
}
