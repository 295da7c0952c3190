//! How often one caller may ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::auth::Caller;
use crate::client::Client;
use crate::problem::Problem;

/// How many callers are remembered before those are forgotten who have been quiet.
const REMEMBERED: usize = 10_000;

/// So many requests a second from each caller, and as many at once; who has no token is known by the address.
#[derive(Clone, Debug)]
pub struct Rate {
    callers: Arc<DefaultKeyedRateLimiter<Arc<str>>>,
    clock: DefaultClock,
}

impl Rate {
    /// Allows so many a second.
    pub fn per_second(requests: NonZeroU32) -> Self {
        Self::new(Quota::per_second(requests))
    }

    fn new(quota: Quota) -> Self {
        Self { callers: Arc::new(DefaultKeyedRateLimiter::keyed(quota)), clock: DefaultClock::default() }
    }

    /// Counts a request; the error is for how long to wait.
    fn check(&self, name: &Arc<str>) -> Result<(), Duration> {
        if self.callers.len() > REMEMBERED {
            self.callers.retain_recent();
        }
        self.callers.check_key(name).map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }
}

/// Answers 429 to whoever asks too often. Stands behind [`identify`](crate::auth::identify).
pub async fn limited(State(rate): State<Rate>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let name = match (extensions.get::<Caller>(), extensions.get::<Client>()) {
        (Some(caller), _) => Arc::clone(caller.name()),
        // No name is a line of its own.
        (None, Some(client)) => Arc::from(format!("\n{}", client.network())),
        (None, None) => Arc::from("\n"),
    };
    match rate.check(&name) {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::too_many(wait).into_response(),
    }
}

/// How many refusals (401) a client is told of: thirty at once, and one a second after that.
#[derive(Clone, Debug)]
pub struct Refusals(Rate);

impl Default for Refusals {
    fn default() -> Self {
        let burst = NonZeroU32::MIN.saturating_add(29);
        Self(Rate::new(Quota::per_second(NonZeroU32::MIN).allow_burst(burst)))
    }
}

/// Answers 429 to whoever goes on trying tokens or signatures: by the address, since nobody is known by what is refused.
pub async fn slow_down_refused(State(refusals): State<Refusals>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Client>().map(|client| client.network().to_string());
    let response = next.run(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    match refusals.0.check(&Arc::from(address.unwrap_or_default())) {
        Ok(()) => response,
        Err(wait) => Problem::too_many(wait).into_response(),
    }
}
