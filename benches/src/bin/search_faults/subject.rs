//! Who is put to the test: ours, ours without one of its parts, and what a service builds with each of the peers.

use std::sync::Arc;
use std::time::Duration;

use failsafe::futures::CircuitBreaker as _;
use failsafe::{backoff, failure_policy};
use futures_util::TryFutureExt;
use futures_util::future::BoxFuture;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::fallback::Served;
use pumasi_search::{Page, PageCache, Query, Search, SearchEngine};
use recloser::{AsyncRecloser, Recloser};
use tower::{ServiceExt, service_fn};
use tower_resilience::circuitbreaker::CircuitBreakerLayer;

use crate::engines::{Rows, Wire, query};

pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
pub(crate) const PROBE: Duration = Duration::from_secs(1);

/// What a user got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) ids: Vec<String>,
    pub(crate) served: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Said to be the primary's, whole and of now.
    Fresh,
    /// Said to be that, a short while ago.
    Cached,
    /// Said to be something less.
    Flagged,
}

pub(crate) type Ask = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<Got>> + Send + Sync>;

/// A subject, and its hedge's delay if it has one.
pub(crate) struct Subject {
    pub(crate) ask: Ask,
    pub(crate) search: Option<Search>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    NoBreaker,
    NoHedge,
    NoFallback,
    Failsafe,
    Recloser,
    TowerResilience,
}

impl Kind {
    pub(crate) const CONTROLS: [Self; 3] = [Self::NoBreaker, Self::NoHedge, Self::NoFallback];
    pub(crate) const PEERS: [Self; 3] = [Self::Failsafe, Self::Recloser, Self::TowerResilience];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "pumasi",
            Self::NoBreaker => "pumasi without breaker",
            Self::NoHedge => "pumasi without hedge",
            Self::NoFallback => "pumasi without fallback",
            Self::Failsafe => "failsafe",
            Self::Recloser => "recloser",
            Self::TowerResilience => "tower-resilience",
        }
    }

    pub(crate) fn build(self, engine: Wire, database: Rows, cache: Option<PageCache>) -> Subject {
        match self {
            Self::Ours | Self::NoBreaker | Self::NoHedge | Self::NoFallback => {
                let mut builder = Search::builder("faults").primary(engine).deadline(DEADLINE);
                if self != Self::NoFallback {
                    builder = builder.fallback(database);
                }
                if let Some(cache) = cache {
                    builder = builder.cache(cache);
                }
                let search = builder
                    .tune(|fallback| match self {
                        Self::NoBreaker => fallback.without_breaker(),
                        Self::NoHedge => fallback.without_hedge(),
                        _ => fallback,
                    })
                    .build()
                    .expect("a search");
                let asked = search.clone();
                let ask: Ask = Arc::new(move |tag| {
                    let search = asked.clone();
                    Box::pin(async move {
                        let served = search.search(query(tag)).await?;
                        let how = match &served {
                            Served::Fresh { .. } => How::Fresh,
                            Served::Cached { .. } => How::Cached,
                            Served::Stale { .. } | Served::Degraded { .. } => How::Flagged,
                        };
                        Ok(got(&served.split().1, how))
                    })
                });
                Subject { ask, search: Some(search) }
            }
            Self::Failsafe => {
                let policy = failure_policy::consecutive_failures(5, backoff::constant(PROBE));
                let breaker = failsafe::Config::new().failure_policy(policy).build();
                usual(engine, database, move |call| {
                    let breaker = breaker.clone();
                    Box::pin(async move { breaker.call(call).await.map_err(|_| down()) })
                })
            }
            Self::Recloser => {
                let breaker = Recloser::custom()
                    .error_rate(0.5)
                    .closed_len(10)
                    .half_open_len(1)
                    .open_wait(PROBE)
                    .build();
                let breaker = AsyncRecloser::from(breaker);
                usual(engine, database, move |call| {
                    let breaker = breaker.clone();
                    Box::pin(async move { breaker.call(call).await.map_err(|_| down()) })
                })
            }
            Self::TowerResilience => {
                let layer = CircuitBreakerLayer::builder()
                    .failure_rate_threshold(0.5)
                    .sliding_window_size(20)
                    .minimum_number_of_calls(5)
                    .slow_call_duration_threshold(Duration::from_millis(100))
                    .slow_call_rate_threshold(0.5)
                    .wait_duration_in_open(PROBE)
                    .permitted_calls_in_half_open(1)
                    .build()
                    .expect("a valid configuration");
                let service = layer.layer_fn(service_fn(made));
                usual(engine, database, move |call| {
                    let outcome = service.clone().oneshot(call);
                    Box::pin(outcome.map_err(|_| down()))
                })
            }
        }
    }
}

type Call = BoxFuture<'static, Result<Page>>;

fn made(call: Call) -> Call {
    call
}

fn down() -> Error {
    Error::new(ErrorKind::Unavailable, "the primary failed or its circuit is open")
}

/// The usual service: the primary behind a breaker and within half of the deadline, and the database if that fails.
fn usual(engine: Wire, database: Rows, guarded: impl Fn(Call) -> Call + Send + Sync + 'static) -> Subject {
    let ask: Ask = Arc::new(move |tag| {
        let (engine, database) = (engine.clone(), database.clone());
        let call: Call = Box::pin(async move { engine.search(&query(tag), DEADLINE).await });
        let first = guarded(call);
        Box::pin(async move {
            if let Ok(Ok(page)) = tokio::time::timeout(DEADLINE / 2, first).await {
                return Ok(got(&page, How::Fresh));
            }
            let query: Query = query(tag);
            let second = tokio::time::timeout(DEADLINE / 2, database.search(&query, DEADLINE / 2)).await;
            Ok(got(&second.map_err(|_| down())??, How::Flagged))
        })
    });
    Subject { ask, search: None }
}

fn got(page: &Page, served: How) -> Got {
    Got { ids: page.ids().into_iter().map(str::to_owned).collect(), served }
}
