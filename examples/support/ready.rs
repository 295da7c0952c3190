//! Whether a service can do its work, and which dependency keeps it from that.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use futures_util::future::join_all;
use pumasi_core::event::{EventBus, Page, Shutdown};
use pumasi_core::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;

/// How long a dependency may take to answer: less than a load balancer waits.
const PATIENCE: Duration = Duration::from_secs(2);

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// What a service depends on, by name.
#[derive(Clone)]
pub struct Ready {
    shutdown: Shutdown,
    checks: Vec<(&'static str, Check)>,
}

/// How each dependency is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// By name: `up`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    dependencies: BTreeMap<&'static str, &'static str>,
}

impl Ready {
    /// Is ready until the service is told to stop.
    pub const fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, checks: Vec::new() }
    }

    /// Adds a dependency, and how it is asked.
    #[must_use]
    pub fn with<F, E>(mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Error> + 'static,
    {
        self.checks.push((
            name,
            Arc::new(move || {
                let asked = check();
                Box::pin(async move { asked.await.map_err(Into::into) })
            }),
        ));
        self
    }

    /// Adds a bus.
    #[must_use]
    pub fn with_bus(self, bus: Arc<dyn EventBus>) -> Self {
        self.with("events", move || {
            let bus = Arc::clone(&bus);
            async move { bus.dead_letters("readiness", Page::default()).await.map(drop) }
        })
    }

    /// Asks all of them.
    ///
    /// # Errors
    ///
    /// A 503 that names those that are down, or says that the service is stopping.
    pub async fn check(&self) -> std::result::Result<Json<Readiness>, Problem> {
        let unavailable = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        if self.shutdown.is_triggered() {
            return Err(unavailable("the service is stopping".to_owned()));
        }
        let asked = self.checks.iter().map(|(name, check)| async move {
            let answer = tokio::time::timeout(PATIENCE, check()).await;
            let is_up = match answer {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(dependency = name, error = &error as &dyn std::error::Error, "not ready");
                    false
                }
                Err(_) => {
                    tracing::warn!(dependency = name, after = ?PATIENCE, "not ready: no answer");
                    false
                }
            };
            (*name, is_up)
        });
        let (up, down): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(|(_, is_up)| *is_up);
        if down.is_empty() {
            return Ok(Json(Readiness {
                dependencies: up.into_iter().map(|(name, _)| (name, "up")).collect(),
            }));
        }
        let down: Vec<&'static str> = down.into_iter().map(|(name, _)| name).collect();
        Err(unavailable(format!("down: {}", down.join(", "))).with_down(down))
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn what_is_down_or_does_not_answer_is_named() {
        let shutdown = Shutdown::new();
        let ready = Ready::new(shutdown.clone()).with("store", || async { Ok::<(), Error>(()) });
        assert!(ready.check().await.is_ok());
        let ready = ready
            .with("events", || async { Err::<(), _>(Error::new(ErrorKind::Unavailable, "no broker")) })
            .with("cache", std::future::pending::<Result<()>>);
        let problem = ready.check().await.unwrap_err();
        assert_eq!((problem.status, problem.detail.as_str()), (503, "down: events, cache"));
        assert_eq!(problem.down, ["events", "cache"]);
        shutdown.trigger();
        assert!(ready.check().await.unwrap_err().detail.contains("stopping"));
    }
}
