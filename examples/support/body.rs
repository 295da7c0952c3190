//! Request bodies with a limit of which the client hears.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;

use crate::problem::Problem;

/// How many times the limit is read before the connection is given up.
const PATIENCE: usize = 16;

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
