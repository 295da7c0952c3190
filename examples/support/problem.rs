//! Errors as problem details (RFC 9457).

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use pumasi_core::{Error, ErrorKind, Retry};
use serde::Serialize;
use utoipa::ToSchema;

/// An error as the client sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of the error.
    pub title: String,
    /// What went wrong with this request.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(value_type = Option<String>)]
    pub hint: &'static str,
    /// The dependencies that are down, where that is what went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    pub down: Vec<&'static str>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// Makes a problem.
    pub fn new(status: StatusCode, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: title.into(),
            detail: detail.into(),
            hint: hint(status),
            down: Vec::new(),
            retry_after: None,
        }
    }

    /// Names the dependencies that are down.
    #[must_use]
    pub fn with_down(mut self, down: Vec<&'static str>) -> Self {
        self.down = down;
        self
    }

    /// Tells that something does not exist.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// Tells that the request breaks a rule.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", detail)
    }

    /// Tells that somebody asks too often, and when to come back.
    pub fn too_many(after: Duration) -> Self {
        let retry_after = Some(after.as_secs().max(1));
        Self {
            retry_after,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests in a short time")
        }
    }
}

/// What whoever asked can do next.
fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            "correct what the detail names; /openapi.json has the form of each request"
        }
        StatusCode::UNAUTHORIZED => {
            "send `Authorization: Bearer …` with a token that is still good; a webhook is signed with the secret agreed on"
        }
        StatusCode::FORBIDDEN => "ask somebody who has the right to do this",
        StatusCode::NOT_FOUND => "it may be deleted, or never was: ask for the list",
        StatusCode::METHOD_NOT_ALLOWED => "/openapi.json has the methods of each path",
        StatusCode::REQUEST_TIMEOUT => "send the whole request at once, or less of it",
        StatusCode::CONFLICT => "look how it stands now, and decide anew",
        StatusCode::PRECONDITION_FAILED => {
            "read it again: what stands now has another ETag, and your change is yours to make anew"
        }
        StatusCode::PRECONDITION_REQUIRED => "read it first, and send its ETag back in If-Match",
        StatusCode::PAYLOAD_TOO_LARGE => "send less at once",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "send a Content-Type that /openapi.json names for this path",
        StatusCode::TOO_MANY_REQUESTS => "wait as many seconds as Retry-After says",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "send it again, after as many seconds as Retry-After says if it is there; /readyz names what is down"
        }
        status if status.is_server_error() => "tell whoever runs the service: its log says more",
        _ => "",
    }
}

/// Answers with problems where no route does.
pub fn fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.fallback(|| async { Problem::not_found("page") }).method_not_allowed_fallback(|| async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes other methods")
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            kind if error.retry().is_retryable() || kind == ErrorKind::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
        }
        let retry_after = match error.retry() {
            Retry::After(after) => Some(after.as_secs().max(1)),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        Self { retry_after, ..Self::new(status, error.kind().as_str(), error.message().to_owned()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
