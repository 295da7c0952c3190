//! Request bodies with a limit of which the client hears, and the texts in them.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::problem::Problem;

/// How many times the limit is read before the connection is given up.
const PATIENCE: usize = 16;

/// Checks a text that people read, and returns it trimmed: not empty, not too long, no control characters but line breaks.
///
/// # Errors
///
/// A 422 that says what it may be; `what` names the text.
pub fn text<'a>(what: &str, text: &'a str, longest: usize) -> Result<&'a str, Problem> {
    let text = text.trim();
    let is_odd = |character: char| character.is_control() && character != '\n';
    if text.is_empty() || text.chars().count() > longest || text.chars().any(is_odd) {
        let detail = format!("{what} has 1 to {longest} characters, none of them a control character");
        return Err(Problem::invalid(detail));
    }
    Ok(text)
}

/// Reads a request's body before its handler runs, and answers 413 to one over `limit` bytes.
///
/// A server that answers before it has read the body closes the connection under a client that still writes, which then
/// sees a broken pipe instead of the answer. So the rest is read and dropped first, up to 16 times the limit.
pub async fn limited(limit: usize, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (mut body, mut kept, mut size) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else {
            return Problem::new(StatusCode::BAD_REQUEST, "invalid_input", "the body ended early")
                .into_response();
        };
        size += piece.len();
        if size <= limit {
            kept.extend_from_slice(&piece);
        } else if size > limit.saturating_mul(PATIENCE) {
            break;
        }
    }
    if size > limit {
        let detail = format!("the body is over {limit} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).into_response();
    }
    next.run(Request::from_parts(parts, Body::from(kept))).await
}

/// A body that is a JSON object, each of whose fields stands there once: `serde` would take an array of its fields as well.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Object<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<Box<RawValue>>::from_request(request, state).await {
            Ok(Json(body)) if body.get().starts_with('{') => serde_json::from_str(body.get())
                .map(Self)
                .map_err(|error| Problem::invalid(error.to_string())),
            Ok(_) => Err(Problem::invalid("the body is not a JSON object")),
            Err(error) => Err(Problem::new(error.status(), "invalid_input", error.body_text())),
        }
    }
}
