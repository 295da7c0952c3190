//! Lists that are read page by page: each begins after what the page before ended with.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, RawQuery};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;
use crate::query::{bad, limit, next_page, url_encoded};

/// Which page of a list is asked for; the header `Link` with `rel="next"` leads from one to the next.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// What the page before ended with, as its link has it.
    after: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u16>,
}

/// A page that was asked for, its limit checked.
#[derive(Clone, Debug)]
pub struct Paging {
    path: String,
    raw: Option<String>,
    after: Option<String>,
    limit: usize,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let asked = Query::<PageQuery>::from_request_parts(parts, state).await;
        let Query(asked) = asked.map_err(|error: QueryRejection| bad(error.body_text()))?;
        let Ok(RawQuery(raw)) = RawQuery::from_request_parts(parts, state).await;
        let path = parts.uri.path().to_owned();
        Ok(Self { path, raw, limit: limit(asked.limit)?, after: asked.after })
    }
}

impl Paging {
    /// Where the page before ended.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The number that the page before ended with.
    ///
    /// # Errors
    ///
    /// A 400 if it is no number.
    pub fn after_number(&self) -> Result<Option<i64>, Problem> {
        let Some(after) = self.after() else { return Ok(None) };
        let number = after.parse().ok().filter(|number| *number >= 0 && !after.starts_with('+'));
        number.map(Some).ok_or_else(|| bad("`after` is a number that a page ended with"))
    }

    /// The identifier that the page before ended with; what no identifier is like stands after all or before all.
    ///
    /// # Errors
    ///
    /// A 400 if there is a NUL in it, which PostgreSQL does not take.
    pub fn after_id(&self) -> Result<Option<&str>, Problem> {
        match self.after() {
            Some(after) if after.contains('\0') => Err(bad("`after` is what a page ended with")),
            after => Ok(after),
        }
    }

    /// The moment, in microseconds, and the identifier that the page before ended with, with a comma between.
    ///
    /// # Errors
    ///
    /// A 400 if it is no such thing.
    pub fn after_moment(&self) -> Result<Option<(i64, &str)>, Problem> {
        let Some(after) = self.after_id()? else { return Ok(None) };
        let position = after.split_once(',').and_then(|(at, id)| Some((at.parse().ok()?, id)));
        position.map(Some).ok_or_else(|| bad("`after` is what a page's link has"))
    }

    /// How many rows the page has at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many rows to read: one more than the page has, to know whether there is another page.
    pub fn rows(&self) -> usize {
        self.limit.saturating_add(1)
    }

    /// The page of these [`rows`](Self::rows), and what leads to the next one: `key` is what a row is found again by.
    pub fn page<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> (HeaderMap, Json<Vec<T>>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more).map(key);
        let link = last.map(|last| next_page(&self.path, self.raw.as_deref(), &url_encoded(&last)));
        (link.unwrap_or_default(), Json(rows))
    }

    /// As [`page`](Self::page), of rows of which something else is shown.
    pub fn page_of<T, V>(
        &self,
        rows: Vec<T>,
        key: impl Fn(&T) -> String,
        view: impl Fn(T) -> V,
    ) -> (HeaderMap, Json<Vec<V>>) {
        let (link, Json(rows)) = self.page(rows, key);
        (link, Json(rows.into_iter().map(view).collect()))
    }
}
