//! Serving HTTP until it is told to stop, and what every service's answers have in common.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use std::{env, io};

use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::{Router, middleware};
use axum_server::Handle;
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use tower_http::trace::TraceLayer;

use crate::client::Proxies;
use crate::problem::fallbacks;
use crate::rate::{self, Refusals};
use crate::requests;

/// The variable with the origins (`https://example.org`, several by comma) whose pages may use the API.
pub const ORIGINS: &str = "PUMASI_CORS_ORIGINS";

/// Puts around a service what stands around all: problems where no route answers, a limit to who is [refused](Refusals) again and
/// again, clients that are [known](crate::client::Client) by their addresses, [measurements and a log](requests::watched), and pages of
/// other origins let in as far as [`ORIGINS`] names them.
///
/// # Errors
///
/// If an origin is none, or the number of proxies.
pub fn with_common_layers<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Result<Router<S>, String> {
    let router = fallbacks(router)
        .layer(middleware::from_fn_with_state(Refusals::default(), rate::slow_down_refused))
        .layer(middleware::from_fn_with_state(Proxies::from_env()?, Proxies::know_client))
        .layer(middleware::from_fn(requests::watched))
        .layer(TraceLayer::new_for_http().on_failure(()));
    let origins = origins(&env::var(ORIGINS).unwrap_or_default())?;
    Ok(if origins.is_empty() { router } else { router.layer(open_to(origins)) })
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
    server.http_builder().http1().header_read_timeout(FOR_A_HEADER);
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
}
