//! Whether a service can do its work, and which dependency keeps it from that.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};
use pumasi_core::cache::Cache;
use pumasi_core::event::{EventBus, Shutdown};
use pumasi_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::problem::Problem;

/// How long a dependency may take to answer: less than a load balancer waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// After how long a question without an answer is given up, and the dependency asked again.
const LONGEST: Duration = Duration::from_secs(15);
/// How long an answer counts, for whoever asks meanwhile.
const FRESH: Duration = Duration::from_secs(1);

type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;
type Asked = Shared<BoxFuture<'static, Answer>>;

#[derive(Clone)]
struct Answer {
    at: Instant,
    is_up: bool,
}

/// What a service depends on, by name.
///
/// Each dependency is asked once at a time and at most once a second, however many want to know.
#[derive(Clone)]
pub struct Ready {
    shutdown: Shutdown,
    dependencies: Vec<Arc<Dependency>>,
}

struct Dependency {
    name: &'static str,
    /// The service goes on without it.
    is_spare: bool,
    ask: Ask,
    asked: Mutex<Option<Asked>>,
}

impl Dependency {
    async fn is_up(self: Arc<Self>) -> bool {
        let asked = self.asked();
        if let Ok(answer) = tokio::time::timeout(PATIENCE, asked).await {
            return answer.is_up;
        }
        tracing::warn!(dependency = self.name, after = ?PATIENCE, "down: no answer");
        false
    }

    /// The question that is under way, or was answered just now; or else a new one.
    fn asked(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Polled, because whoever waited for it may have gone before it came to its end.
        let good = |asked: &&Asked| {
            Asked::clone(asked).now_or_never().is_none_or(|answer| answer.at.elapsed() < FRESH)
        };
        if let Some(asked) = asked.as_ref().filter(good) {
            return asked.clone();
        }
        let (name, question) = (self.name, (self.ask)());
        // In a task of its own: it goes on to its end when whoever asked has gone, so that no other is begun meanwhile.
        let answer = tokio::spawn(async move {
            let answer = tokio::time::timeout(LONGEST, question).await;
            let answer = answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "no answer")));
            if let Err(error) = &answer {
                tracing::warn!(dependency = name, error = error as &dyn std::error::Error, "down");
            }
            Answer { at: Instant::now(), is_up: answer.is_ok() }
        });
        let answer = async { answer.await.unwrap_or(Answer { at: Instant::now(), is_up: false }) };
        asked.insert(answer.boxed().shared()).clone()
    }
}

/// How long a call that failed tells that its callee is down: no call is made to learn more.
const TELLING: Duration = Duration::from_mins(10);

/// How something is by the last call of it: a model, whose calls cost money.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Option<(Instant, Error)>>>);

impl Health {
    /// Fails with what the last call failed with, if that was the callee's fault and not long ago.
    ///
    /// # Errors
    ///
    /// That error.
    pub fn check(&self) -> Result<()> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((at, error)) if at.elapsed() < TELLING => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Takes note of a call's end.
    pub fn note<T>(&self, answer: &Result<T>) {
        use ErrorKind::{
            BudgetExhausted, NotFound, Overloaded, RateLimited, Timeout, Unauthorized, Unavailable,
        };
        let failed = match answer {
            Ok(_) => None,
            Err(error) => match error.kind() {
                Timeout | RateLimited | Unavailable | Overloaded | Unauthorized | NotFound
                | BudgetExhausted => Some((Instant::now(), error.clone())),
                // It is there, and did not like the question.
                _ => None,
            },
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.check()).finish()
    }
}

/// How each dependency is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `degraded` where something is down that the service goes on without.
    status: &'static str,
    /// By name: `up`, or `down`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    dependencies: BTreeMap<&'static str, &'static str>,
    /// The dependencies that are down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    down: Vec<&'static str>,
}

impl Ready {
    /// Is ready until the service is told to stop.
    pub const fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, dependencies: Vec::new() }
    }

    /// Adds a dependency, and how it is asked.
    #[must_use]
    pub fn with<F, E>(self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Error> + 'static,
    {
        self.and(name, false, ask)
    }

    /// Adds a dependency that the service goes on without, if with less.
    #[must_use]
    pub fn with_spare<F, E>(self, name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Error> + 'static,
    {
        self.and(name, true, ask)
    }

    fn and<F, E>(
        mut self,
        name: &'static str,
        is_spare: bool,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Error> + 'static,
    {
        let ask: Ask = Box::new(move || {
            let asked = ask();
            async move { asked.await.map_err(Into::into) }.boxed()
        });
        self.dependencies.push(Arc::new(Dependency { name, is_spare, ask, asked: Mutex::default() }));
        self
    }

    /// Adds a bus.
    #[must_use]
    pub fn with_bus(self, bus: Arc<dyn EventBus>) -> Self {
        self.with("events", move || {
            let bus = Arc::clone(&bus);
            async move { bus.ping().await }
        })
    }

    /// Adds a cache, which is asked for what nobody keeps there; a service goes on without it.
    #[must_use]
    pub fn with_cache(self, cache: Arc<dyn Cache>) -> Self {
        self.with_spare("cache", move || {
            let cache = Arc::clone(&cache);
            async move { cache.get("readiness").await.map(drop) }
        })
    }

    /// Adds what only the last call tells of, and what the service goes on without.
    #[must_use]
    pub fn with_last_call(self, name: &'static str, health: Health) -> Self {
        self.with_spare(name, move || std::future::ready(health.check()))
    }

    /// Adds a model, if there is one: what needs it waits, and everything else goes on.
    #[must_use]
    pub fn with_model(self, health: Option<Health>) -> Self {
        match health {
            Some(health) => self.with_last_call("model", health),
            None => self,
        }
    }

    /// Asks all of them.
    ///
    /// # Errors
    ///
    /// A 503 that names those that are down, if the service cannot go on without one of them, or says that the service is
    /// stopping.
    pub async fn check(&self) -> std::result::Result<Json<Readiness>, Problem> {
        let unavailable = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        if self.shutdown.is_triggered() {
            return Err(unavailable("the service is stopping".to_owned()));
        }
        let asked = self
            .dependencies
            .iter()
            .map(|dependency| async move { (dependency, Arc::clone(dependency).is_up().await) });
        let asked = join_all(asked).await;
        let down = || asked.iter().filter(|(_, is_up)| !is_up).map(|(dependency, _)| dependency);
        let names: Vec<&'static str> = down().map(|dependency| dependency.name).collect();
        if down().any(|dependency| !dependency.is_spare) {
            return Err(unavailable(format!("down: {}", names.join(", "))).with_down(names));
        }
        let word = |is_up| if is_up { "up" } else { "down" };
        Ok(Json(Readiness {
            status: if names.is_empty() { "ready" } else { "degraded" },
            dependencies: asked.iter().map(|(dependency, is_up)| (dependency.name, word(*is_up))).collect(),
            down: names,
        }))
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.dependencies.iter().map(|dependency| dependency.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
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

    #[tokio::test(start_paused = true)]
    async fn what_a_service_goes_on_without_leaves_it_ready_and_is_named() {
        let gone = || async { Err::<(), _>(Error::new(ErrorKind::Unavailable, "no server")) };
        let ready = Ready::new(Shutdown::new()).with("store", || async { Ok::<(), Error>(()) });
        let whole = serde_json::to_value(&ready.check().await.unwrap().0).unwrap();
        assert_eq!(whole, serde_json::json!({"status": "ready", "dependencies": {"store": "up"}}));
        let ready = ready.with_spare("model", gone);
        let degraded = serde_json::to_value(&ready.check().await.unwrap().0).unwrap();
        let dependencies = serde_json::json!({"store": "up", "model": "down"});
        assert_eq!(
            degraded,
            serde_json::json!({"status": "degraded", "dependencies": dependencies, "down": ["model"]})
        );
        assert_eq!(ready.with("events", gone).check().await.unwrap_err().down, ["model", "events"]);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_while_a_question_is_under_way_or_just_after_begins_no_other() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let ready = Ready::new(Shutdown::new()).with("events", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok::<(), Error>(())
            }
        });
        for _ in 0..2 {
            let answers = join_all((0..20).map(|_| ready.check())).await;
            assert!(answers.iter().all(std::result::Result::is_err), "none has answered within two seconds");
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        for _ in 0..20 {
            assert!(ready.check().await.is_ok());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        tokio::time::sleep(FRESH).await;
        assert!(ready.check().await.is_err());
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        // Nobody waited for that one to its end, and it tells nothing any more.
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(ready.check().await.is_err());
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
