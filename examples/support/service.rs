//! The process of a service, from where it listens to where it has stopped, and what stands around its routes.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use metrics_exporter_prometheus::PrometheusHandle;
use pumasi_core::event::Shutdown;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::{self, Caller, Keys};
use crate::hosts::OwnHosts;
use crate::openapi::Queries;
use crate::page::Page;
use crate::rate::{self, Rate};
use crate::ready::Ready;
use crate::serve::Surroundings;
use crate::{body, machines, openapi, print, serve, telemetry};

type Failed = Box<dyn Error + Send + Sync>;

/// A service that is being started: whom it knows, what tells it to stop, and what it works on meanwhile.
#[derive(Debug)]
pub struct Host {
    name: &'static str,
    listener: TcpListener,
    metrics: PrometheusHandle,
    parts: Vec<JoinHandle<Result<(), Failed>>>,
    /// What stands around it.
    pub surroundings: Surroundings,
    /// What its tokens are signed and checked with.
    pub keys: Keys,
    /// What tells it to stop.
    pub shutdown: Shutdown,
}

impl Host {
    /// Takes the key of the environment, the address and the metrics of the process.
    ///
    /// # Errors
    ///
    /// As [`Surroundings::from_env`]; if the key is too short, the address is taken, or metrics are collected already.
    pub async fn start(name: &'static str, listen: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let surroundings = Surroundings::from_env()?;
        let keys = Keys::from_env(name)?;
        let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
        let (metrics, shutdown) = (telemetry::metrics()?, Shutdown::new());
        Ok(Self { name, listener, metrics, parts: Vec::new(), surroundings, keys, shutdown })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Readiness until the service is told to stop.
    pub fn ready(&self) -> Ready {
        Ready::new(self.shutdown.clone())
    }

    /// What [machines] ask of it.
    pub fn machines<S: Clone + Send + Sync + 'static>(&self, ready: Ready) -> OpenApiRouter<S> {
        machines::router(ready, self.metrics.clone())
    }

    /// Its routes, with what [machines] ask.
    pub fn router<S: Clone + Send + Sync + 'static>(
        &self,
        routes: Routes<S>,
        ready: Ready,
        limits: Limits,
        page: Page,
    ) -> Router<S> {
        let routes = routes.with_machines(self.machines(ready));
        routes.within(limits, self.keys.clone(), page, self.surroundings.clone())
    }

    /// Does a part of the service's work, and stops the service when the part ends, in whatever way: what nobody would work on
    /// must not be accepted.
    pub fn works_on<T, E: Into<Failed>>(
        &mut self,
        part: impl Future<Output = Result<T, E>> + Send + 'static,
    ) {
        let stops = Stops(self.shutdown.clone());
        self.parts.push(tokio::spawn(async move {
            let _stops = stops;
            let ended = part.await.map(drop).map_err(Into::into);
            if let Err(error) = &ended {
                tracing::error!(error = &**error as &dyn Error, "a part of the service has failed");
            }
            ended
        }));
    }

    /// Does beside that what the service can do without until it is told to stop, when it ends by itself.
    pub fn also(&mut self, chore: impl Future<Output = ()> + Send + 'static) {
        self.parts.push(tokio::spawn(async move {
            chore.await;
            Ok(())
        }));
    }

    /// Serves until the process is asked to stop, or a part of its work has ended; then finishes what is under way.
    ///
    /// # Errors
    ///
    /// If the socket fails, and as the first part that failed.
    pub async fn serve(self, router: Router) -> Result<(), Box<dyn Error>> {
        let address = self.address()?;
        tracing::info!(%address, "listening");
        print::address(self.name, address);
        let shutdown = self.shutdown;
        let stop = async move {
            tokio::select! {
                () = telemetry::stop_signal() => shutdown.trigger(),
                () = shutdown.triggered() => {}
            }
        };
        serve::until(stop, self.listener, router).await?;
        for part in self.parts {
            part.await?.map_err(|error| error as Box<dyn Error>)?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

struct Stops(Shutdown);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// How much a request may be, how long it may take, and how often one caller may ask.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    body: usize,
    larger: Option<(&'static str, usize)>,
    time: Duration,
    requests_per_second: NonZeroU32,
}

impl Limits {
    /// Bodies of at most so many bytes, read and answered within 30 seconds.
    pub const fn new(body: usize, requests_per_second: NonZeroU32) -> Self {
        Self { body, larger: None, time: Duration::from_secs(30), requests_per_second }
    }

    /// Sets how long a request may take.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// Lets those in a role send larger bodies.
    #[must_use]
    pub const fn with_body_of(self, role: &'static str, body: usize) -> Self {
        Self { larger: Some((role, body)), ..self }
    }

    fn body_of(&self, caller: Option<&Caller>) -> usize {
        let larger = self.larger.filter(|(role, _)| caller.is_some_and(|caller| caller.is(role)));
        larger.map_or(self.body, |(_, body)| body)
    }

    fn around<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        let limited = move |request: Request, next: Next| async move {
            let longest = self.body_of(request.extensions().get());
            body::limited(longest, request, next).await
        };
        router
            // `limited` is the limit.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn(limited))
            .layer(middleware::from_fn(move |request, next| serve::in_time(self.time, request, next)))
    }
}

/// The routes of a service, by what stands around them: who asks is known, how often and how much is bounded, and no parameter is
/// taken that an operation does not declare.
pub struct Routes<S> {
    people: OpenApiRouter<S>,
    endless: OpenApiRouter<S>,
    machines: OpenApiRouter<S>,
    foreign: OpenApiRouter<S>,
}

impl<S> std::fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// The routes of people, whose document tells of the service.
    pub fn new(people: OpenApiRouter<S>) -> Self {
        let [endless, machines, foreign] = [(), (), ()].map(|()| OpenApiRouter::new());
        Self { people, endless, machines, foreign }
    }

    /// Adds routes that stay open as long as whoever asks: no limit of time stands over them.
    #[must_use]
    pub fn with_endless(self, routes: OpenApiRouter<S>) -> Self {
        Self { endless: self.endless.merge(routes), ..self }
    }

    /// Adds routes of those who are known by no token and are not told to come back later.
    #[must_use]
    pub fn with_machines(self, routes: OpenApiRouter<S>) -> Self {
        Self { machines: self.machines.merge(routes), ..self }
    }

    /// Adds what somebody else's machines call, at an address with whatever parameters they were given.
    #[must_use]
    pub fn with_foreign(self, routes: OpenApiRouter<S>) -> Self {
        Self { foreign: self.foreign.merge(routes), ..self }
    }

    /// Puts around them what belongs there, and beside them the page and the OpenAPI document.
    pub fn within(self, limits: Limits, keys: Keys, page: Page, surroundings: Surroundings) -> Router<S> {
        let (people, mut document) = self.people.split_for_parts();
        let (endless, more) = self.endless.split_for_parts();
        document.merge(more);
        openapi::tell_rate(&mut document);
        let [machines, foreign] = [self.machines, self.foreign].map(|routes| {
            let (routes, more) = routes.split_for_parts();
            document.merge(more);
            routes
        });
        let rate = Rate::per_second(limits.requests_per_second);
        let own_hosts = surroundings.own_hosts(&keys);
        let router = limits
            .around(people)
            .merge(endless)
            .layer(middleware::from_fn_with_state(rate, rate::limited))
            .layer(middleware::from_fn_with_state(keys, auth::identify))
            .layer(middleware::from_fn_with_state(own_hosts, OwnHosts::only))
            .merge(limits.around(machines))
            .layer(middleware::from_fn_with_state(Queries::of(&document), Queries::only_where_declared))
            .merge(limits.around(foreign))
            .merge(page.router())
            .merge(openapi::router(document));
        serve::with_common_layers(router, surroundings)
    }
}
