//! How often one caller may ask.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::auth::Caller;
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
        let callers = Arc::new(DefaultKeyedRateLimiter::keyed(Quota::per_second(requests)));
        Self { callers, clock: DefaultClock::default() }
    }
}

/// Answers 429 to whoever asks too often. Stands behind [`identify`](crate::auth::identify).
pub async fn limited(State(rate): State<Rate>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let name = match (extensions.get::<Caller>(), extensions.get::<ConnectInfo<SocketAddr>>()) {
        (Some(caller), _) => Arc::clone(caller.name()),
        // No name is a line of its own.
        (None, Some(ConnectInfo(address))) => Arc::from(format!("\n{}", address.ip())),
        (None, None) => Arc::from("\n"),
    };
    if rate.callers.len() > REMEMBERED {
        rate.callers.retain_recent();
    }
    match rate.callers.check_key(&name) {
        Ok(()) => next.run(request).await,
        Err(not_yet) => Problem::too_many(not_yet.wait_time_from(rate.clock.now())).into_response(),
    }
}
