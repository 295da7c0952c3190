//! What stands in a request's address: identifiers, pages, and nothing that nobody knows.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The rows of a page that does not say how many it wants.
const USUAL: u16 = 100;
const MOST: u16 = 500;

/// Refuses an address.
pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_input", detail)
}

/// A path's identifier; what is no UTF-8 names nothing.
#[derive(Clone, Debug)]
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        named(Path::from_request_parts(parts, state).await, |id: &String| id.contains('\0')).map(Self)
    }
}

/// A path's two identifiers.
#[derive(Clone, Debug)]
pub struct Ids(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let holds_nul = |(one, two): &(String, String)| one.contains('\0') || two.contains('\0');
        named(Path::from_request_parts(parts, state).await, holds_nul).map(|(one, two)| Self(one, two))
    }
}

/// What a path names; a NUL is in no name, and PostgreSQL takes none.
fn named<T>(path: Result<Path<T>, PathRejection>, holds_nul: impl Fn(&T) -> bool) -> Result<T, Problem> {
    match path {
        Ok(Path(named)) if holds_nul(&named) => Err(Problem::not_found("thing")),
        Ok(Path(named)) => Ok(named),
        Err(error) => Err(Problem::new(error.status(), "invalid_input", error.body_text())),
    }
}

/// A query of which every parameter is known; the refusal names those that there are.
#[derive(Clone, Copy, Debug)]
pub struct Known<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Known<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| bad(error.body_text()))
    }
}

/// How many rows a page may have: 1 to 500, by default 100.
///
/// # Errors
///
/// A 400 that says so.
pub fn limit(wanted: Option<u16>) -> Result<usize, Problem> {
    match wanted.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(usize::from(limit)),
        other => Err(bad(format!("the limit must be 1 to {MOST}, not {other}"))),
    }
}

/// The header that leads to the page after `last` (RFC 8288), asked for as this one was.
pub(crate) fn next_page(path: &str, raw: Option<&str>, last: &str) -> HeaderMap {
    let mut query = String::new();
    for pair in raw.unwrap_or_default().split('&') {
        if !pair.is_empty() && !is_after(pair) {
            query.push_str(pair);
            query.push('&');
        }
    }
    let value = HeaderValue::try_from(format!("<{path}?{query}after={last}>; rel=\"next\""));
    value.into_iter().map(|value| (header::LINK, value)).collect()
}

/// Whether a pair of a query is the parameter `after`, whose name may be written with escapes.
fn is_after(pair: &str) -> bool {
    let address = Uri::try_from(format!("/?{pair}")).ok();
    let pairs = address.and_then(|address| Query::<Vec<(String, String)>>::try_from_uri(&address).ok());
    pairs.is_some_and(|Query(pairs)| pairs.iter().any(|(name, _)| name == "after"))
}

/// Writes an identifier as it stands in an address.
pub fn url_encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_as_this_one_was() {
        for (raw, query) in [
            (None, "?after=c"),
            (Some("limit=2&after=b&q=%ED%95%9C"), "?limit=2&q=%ED%95%9C&after=c"),
            (Some("%61fter=b&limit=2&&after"), "?limit=2&after=c"),
            (Some("afterwards=b&q=after%3Db"), "?afterwards=b&q=after%3Db&after=c"),
        ] {
            let link = next_page("/rows", raw, "c");
            assert_eq!(link[header::LINK], format!("</rows{query}>; rel=\"next\""), "{raw:?}");
        }
    }
}
