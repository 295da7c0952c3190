//! Serving HTTP until it is told to stop, and what every service's answers have in common.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use std::{env, io};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use axum_server::Handle;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

use crate::auth::Keys;
use crate::client::Proxies;
use crate::hosts::OwnHosts;
use crate::language;
use crate::problem::{Problem, fallbacks};
use crate::rate::{self, Refusals};
use crate::requests;

/// The variable with the origins (`https://example.org`, several by comma) whose pages may use the API.
pub const ORIGINS: &str = "PUMASI_CORS_ORIGINS";

/// What the environment says of what stands around a service.
#[derive(Clone, Debug)]
pub struct Surroundings {
    proxies: Proxies,
    origins: Vec<HeaderValue>,
}

impl Surroundings {
    /// Reads it, before the service begins with anything.
    ///
    /// # Errors
    ///
    /// If an origin is none, or the number of proxies.
    pub fn from_env() -> Result<Self, String> {
        let origins = origins(&env::var(ORIGINS).unwrap_or_default())?;
        Ok(Self { proxies: Proxies::from_env()?, origins })
    }

    /// Under which names the service answers with these keys.
    pub(crate) fn own_hosts(&self, keys: &Keys) -> OwnHosts {
        if keys.hands_out() { OwnHosts::with_origins(&self.origins) } else { OwnHosts::any() }
    }
}

/// Puts around a service what stands around all: problems where no route answers, each in the [language](language::in_language) that is
/// asked for, a limit to who is [refused](Refusals) again and
/// again, clients that are [known](crate::client::Client) by their addresses, [measurements and a log](requests::watched), and pages of
/// other origins let in as far as [`ORIGINS`] names them.
pub fn with_common_layers<S>(router: Router<S>, surroundings: Surroundings) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let Surroundings { proxies, origins } = surroundings;
    let router = fallbacks(router)
        .layer(middleware::from_fn_with_state(Refusals::default(), rate::slow_down_refused))
        .layer(middleware::from_fn_with_state(proxies, Proxies::know_client))
        .layer(middleware::from_fn(requests::bounded))
        .layer(middleware::from_fn(language::in_language))
        .layer(middleware::from_fn(requests::watched))
        .layer(TraceLayer::new_for_http().on_failure(()));
    if origins.is_empty() { router } else { router.layer(open_to(origins)) }
}

fn origins(text: &str) -> Result<Vec<HeaderValue>, String> {
    let origin = |text: &str| {
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
            matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
        });
        let value = HeaderValue::from_str(text).ok().filter(|_| is_origin);
        value.ok_or_else(|| format!("{ORIGINS}: `{text}` is no origin like https://example.org"))
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(origin).collect()
}

/// Lets the pages of these origins use the API.
///
/// Nobody is known by a cookie, so that no other page can act for whoever looks at it: tokens travel in `Authorization`, which
/// a browser adds to no request by itself.
fn open_to(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("share-key"),
        ])
        .expose_headers([header::ETAG, header::LINK, header::RETRY_AFTER])
        .max_age(Duration::from_hours(1))
}

/// Gives a request as long as this: whose body has not come to its end by then gets a 408, and any other a 503.
///
/// What the service began is given up with the request, as it is when the client goes.
pub async fn in_time(longest: Duration, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let has_come = Arc::new(AtomicBool::new(body.is_end_stream()));
    let ended = Arc::clone(&has_come);
    let end = stream::poll_fn(move |_| {
        ended.store(true, Ordering::Relaxed);
        Poll::Ready(None::<Result<Bytes, axum::Error>>)
    });
    let body =
        if body.is_end_stream() { body } else { Body::from_stream(body.into_data_stream().chain(end)) };
    if let Ok(answer) = tokio::time::timeout(longest, next.run(Request::from_parts(parts, body))).await {
        return answer;
    }
    let (status, what) = if has_come.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "no answer was ready")
    } else {
        (StatusCode::REQUEST_TIMEOUT, "the body did not come to its end")
    };
    tracing::warn!(status = status.as_u16(), after = ?longest, "{what}");
    Problem::new(status, "timeout", format!("{what} within {} seconds", longest.as_secs_f32()))
        .into_response()
}

/// How long requests that are under way may go on after the signal.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take for the header of a request.
const FOR_A_HEADER: Duration = Duration::from_secs(10);

/// Serves until `stop`, then finishes what is under way within ten seconds: a client that never ends its request keeps
/// nobody from stopping. One that does not end the header of its request within ten seconds is left.
///
/// # Errors
///
/// If the socket fails.
pub async fn until(
    stop: impl Future<Output = ()> + Send + 'static,
    listener: TcpListener,
    router: Router,
) -> io::Result<()> {
    let handle = Handle::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.listening().await;
        stopping.graceful_shutdown(Some(DRAIN));
    });
    let mut server = axum_server::from_tcp(listener.into_std()?)?.handle(handle);
    // More than are let in, so that those who send too many are told.
    server.http_builder().http1().header_read_timeout(FOR_A_HEADER).max_headers(4 * requests::MOST_HEADERS);
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::to_bytes;
    use axum::routing::post;
    use futures_util::FutureExt as _;

    use super::*;

    async fn asked(handler: Router, body: Body) -> (Response, Duration) {
        let longest = Duration::from_millis(1_500);
        let router = handler
            .layer(middleware::from_fn(|request, next| crate::body::limited(64, request, next)))
            .layer(middleware::from_fn(move |request, next| in_time(longest, request, next)));
        let (begun, request) = (tokio::time::Instant::now(), Request::post("/").body(body).unwrap());
        let mut router = router.into_service::<Body>();
        let answer = tower_service::Service::call(&mut router, request).await.unwrap();
        (answer, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_told_as_a_problem() {
        let said =
            |text: &'static str| stream::iter([Ok::<_, io::Error>(Bytes::from_static(text.as_bytes()))]);
        let echo = || Router::new().route("/", post(|body: String| async { body }));
        let stuck = || Router::new().route("/", post(pending::<()>));
        let never_ends = Body::from_stream(said("half").chain(pending().into_stream()));
        for (router, body, status, detail) in [
            (echo(), never_ends, 408, "the body did not come to its end within 1.5 seconds"),
            (stuck(), Body::from("all"), 503, "no answer was ready within 1.5 seconds"),
            (stuck(), Body::from_stream(said("all")), 503, "no answer was ready within 1.5 seconds"),
            (stuck(), Body::empty(), 503, "no answer was ready within 1.5 seconds"),
        ] {
            let (answer, took) = asked(router, body).await;
            assert_eq!((answer.status().as_u16(), took.as_millis()), (status, 1_500));
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
            let problem = to_bytes(answer.into_body(), 1_000).await.unwrap();
            let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
            assert_eq!((&problem["status"], &problem["detail"]), (&status.into(), &detail.into()));
            assert!(!problem["hint"].as_str().unwrap().is_empty(), "{problem}");
        }
        let (answer, _) = asked(echo(), Body::from_stream(said("all"))).await;
        assert_eq!(to_bytes(answer.into_body(), 1_000).await.unwrap(), "all");
    }
}
