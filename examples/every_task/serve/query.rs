//! What a list is asked for by, and where its next page begins.

use axum::extract::{FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use support::problem::Problem;
use utoipa::IntoParams;

/// The rows of a page that does not say how many it wants.
const USUAL: u16 = 100;
const MOST: u16 = 500;

/// A page of posts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Only posts after this identifier.
    pub(super) after: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u16>,
}

/// A page of tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterQuery {
    /// A filter as JSON, e.g. `{"exists": {"field": "timing.due"}}`.
    pub(super) filter: Option<String>,
    /// Only tasks after this cursor: a post's identifier and a task's order, `0199….3`.
    pub(super) after: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u16>,
}

pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_input", detail)
}

/// A query of which every parameter is known; the refusal names those that there are.
pub(super) struct Known<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Known<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| bad(error.body_text()))
    }
}

/// Refuses parameters where a path takes none.
pub(super) async fn none_elsewhere(request: Request, next: Next) -> Response {
    let lists = request.method() == Method::GET && matches!(request.uri().path(), "/posts" | "/tasks");
    match request.uri().query() {
        Some(query) if !lists && !query.is_empty() => {
            let name = query.split(['=', '&']).next().unwrap_or_default();
            bad(format!("unknown parameter `{name}`: this path takes no query parameters")).into_response()
        }
        _ => next.run(request).await,
    }
}

/// How many rows a page may have.
pub(super) fn limit(wanted: Option<u16>) -> Result<usize, Problem> {
    match wanted.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(usize::from(limit)),
        other => Err(bad(format!("the limit must be 1 to {MOST}, not {other}"))),
    }
}

/// A place in the list of all tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) post_id: String,
    pub(super) order: u32,
}

impl Cursor {
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let place = text.rsplit_once('.').and_then(|(post_id, order)| {
            (!post_id.is_empty()).then_some(Self { post_id: post_id.to_owned(), order: order.parse().ok()? })
        });
        place.ok_or_else(|| bad("`after` is a post's identifier, a dot and a task's order"))
    }

    /// The text that [`Self::read`] takes.
    pub(super) fn write(&self) -> String {
        format!("{}.{}", self.post_id, self.order)
    }
}

/// The header that leads to the page after `last` (RFC 8288), asked for as this one was.
pub(super) fn next_page(path: &str, raw: Option<&str>, last: &str) -> HeaderMap {
    let mut query = String::new();
    for pair in raw.unwrap_or_default().split('&') {
        if !pair.is_empty() && !pair.starts_with("after=") {
            query.push_str(pair);
            query.push('&');
        }
    }
    let value = HeaderValue::try_from(format!("<{path}?{query}after={last}>; rel=\"next\""));
    value.into_iter().map(|value| (header::LINK, value)).collect()
}
