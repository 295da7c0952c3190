//! What is measured of every request, and said of those that failed.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use metrics::{Unit, describe_histogram, histogram};

use crate::problem::Problem;

/// Named as OpenTelemetry's conventions for HTTP name it, in Prometheus' letters.
const DURATION: &str = "http_server_request_duration_seconds";

/// The longest address, and the most of headers: in bytes, and their number.
const LONGEST_ADDRESS: usize = 16 * 1024;
const LARGEST_HEADERS: usize = 64 * 1024;
pub(crate) const MOST_HEADERS: usize = 100;

/// Refuses an address or headers that are longer than any client's need be: beyond some more the server closes the connection without
/// a word.
pub async fn bounded(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if address > LONGEST_ADDRESS {
        let detail = format!("the address is longer than {LONGEST_ADDRESS} bytes");
        return Problem::new(StatusCode::URI_TOO_LONG, "too_large", detail).into_response();
    }
    let headers = request.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > LARGEST_HEADERS || headers.len() > MOST_HEADERS {
        let detail =
            format!("there are more than {MOST_HEADERS} header fields, or {LARGEST_HEADERS} bytes of them");
        return Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", detail)
            .into_response();
    }
    next.run(request).await
}

/// Measures a request by method, route and status, none of which a client can make up, and logs one that the service failed at.
pub async fn watched(request: Request, next: Next) -> Response {
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str).to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let (status, took) = (response.status(), begun.elapsed());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // What is down tells of itself.
        tracing::warn!(method, route, status = status.as_u16(), ?took, "a request was put off");
    } else if status.is_server_error() {
        tracing::error!(method, route, status = status.as_u16(), ?took, "a request failed");
    }
    let status = status.as_str().to_owned();
    histogram!(DURATION, "method" => method, "route" => route, "status" => status).record(took);
    response
}

/// Describes the measurement.
pub(crate) fn describe() {
    describe_histogram!(DURATION, Unit::Seconds, "how long requests took until their answer began");
}

fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_one() {
        assert_eq!(known(&Method::DELETE), "DELETE");
        assert_eq!(known(&Method::from_bytes(b"BREW").unwrap()), "other");
    }
}
