//! Answers as responses of `axum`.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use super::{CONTENT_TYPE, Resumed, SseStream};

/// Returns the id of the last event that a client has seen, if it says so.
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id")?.to_str().ok().filter(|id| !id.is_empty())
}

impl IntoResponse for SseStream {
    /// Sends the events as they come; proxies are asked neither to keep nor to gather them.
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE.as_str(), CONTENT_TYPE),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            ("x-accel-buffering", "no"),
        ];
        (headers, Body::from_stream(self.map(Ok::<_, Infallible>))).into_response()
    }
}

impl IntoResponse for Resumed {
    /// The rest of the events, `204 No Content`, or `404 Not Found`.
    fn into_response(self) -> Response {
        match self {
            Self::Stream(stream) => stream.into_response(),
            Self::Over => StatusCode::NO_CONTENT.into_response(),
            Self::Unknown => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
