//! Lists that are read page by page: each begins after what the page before ended with.

use axum::Json;
use axum::extract::{FromRequestParts, RawQuery};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::query::{Known, bad, limit, next_page, url_encoded};

/// Makes the query of a list that is read page by page: its own parameters, and which page.
#[macro_export]
macro_rules! paged {
    ($(#[$about:meta])* $visible:vis struct $name:ident { $($(#[$of:meta])* $seen:vis $field:ident: $type:ty),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        $visible struct $name {
            $($(#[$of])* $seen $field: $type,)*
            /// What the page before ended with, as its link has it.
            after: Option<String>,
            /// At most this many; 100 if left out.
            #[param(minimum = 1, maximum = 500, default = 100)]
            limit: Option<u16>,
        }

        impl $crate::paging::Paged for $name {
            fn take_page(&mut self) -> (Option<String>, Option<u16>) {
                (self.after.take(), self.limit)
            }
        }
    };
}

/// A query of which a page is a part: [`paged!`](crate::paged) makes them.
pub trait Paged: DeserializeOwned + Send {
    /// Takes out what the page before ended with, and how many rows are wanted.
    fn take_page(&mut self) -> (Option<String>, Option<u16>);
}

paged! {
    /// Which page of a list is asked for; the header `Link` with `rel="next"` leads to the next page.
    pub struct PageQuery {}
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
        PageOf::<PageQuery>::from_request_parts(parts, state).await.map(|PageOf(paging, _)| paging)
    }
}

/// A page that was asked for, and what else the query says.
#[derive(Clone, Debug)]
pub struct PageOf<Q>(pub Paging, pub Q);

impl<Q: Paged, S: Send + Sync> FromRequestParts<S> for PageOf<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Known(mut query) = Known::<Q>::from_request_parts(parts, state).await?;
        let Ok(RawQuery(raw)) = RawQuery::from_request_parts(parts, state).await;
        let (after, wanted) = query.take_page();
        let path = parts.uri.path().to_owned();
        Ok(Self(Paging { path, raw, after, limit: limit(wanted)? }, query))
    }
}

/// Refuses what no page ended with.
fn bad_cursor() -> Problem {
    let mut problem = bad("`after` is what a page's link has");
    problem.hint = "begin again without `after`, and follow the header `Link` from page to page".into();
    problem
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
        self.after_as(|after| after.parse().ok().filter(|number| *number >= 0 && !after.starts_with('+')))
    }

    /// The identifier that the page before ended with; what no identifier is like stands after all or before all.
    ///
    /// # Errors
    ///
    /// A 400 if there is a NUL in it, which PostgreSQL does not take.
    pub fn after_id(&self) -> Result<Option<&str>, Problem> {
        match self.after() {
            Some(after) if after.contains('\0') => Err(bad_cursor()),
            after => Ok(after),
        }
    }

    /// What the page before ended with, as `read` understands it.
    ///
    /// # Errors
    ///
    /// A 400 if it does not, or there is a NUL.
    pub fn after_as<'a, T>(&'a self, read: impl FnOnce(&'a str) -> Option<T>) -> Result<Option<T>, Problem> {
        self.after_id()?.map(|after| read(after).ok_or_else(bad_cursor)).transpose()
    }

    /// The moment, in microseconds, and the identifier that the page before ended with, with a comma between.
    ///
    /// # Errors
    ///
    /// A 400 if it is no such thing.
    pub fn after_moment(&self) -> Result<Option<(i64, &str)>, Problem> {
        self.after_as(|after| {
            let (at, id) = after.split_once(',')?;
            Some((at.parse().ok()?, id))
        })
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
        (self.link(last.as_deref()), Json(rows))
    }

    /// What leads to the page behind `last`, if there is one.
    pub fn link(&self, last: Option<&str>) -> HeaderMap {
        last.map(|last| next_page(&self.path, self.raw.as_deref(), &url_encoded(last))).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::http::header;
    use axum::middleware;
    use axum::routing::get;
    use serde_json::{Value, json};

    use super::*;
    use crate::language::in_language;

    paged! {
        /// Rows of a test.
        struct RowsQuery {
            /// From which on.
            from: f64,
        }
    }

    async fn rows(PageOf(paging, query): PageOf<RowsQuery>) -> Result<(HeaderMap, Json<Vec<i64>>), Problem> {
        let after = paging.after_moment()?.map_or(0, |(at, _)| at);
        let rows = (1..=5_u8).filter(|row| i64::from(*row) > after && f64::from(*row) >= query.from);
        let rows = rows.take(paging.rows()).map(i64::from);
        Ok(paging.page(rows.collect(), |row| format!("{row},가")))
    }

    async fn asked(query: &str) -> (u16, Option<String>, Value) {
        let router = Router::new().route("/rows", get(rows)).layer(middleware::from_fn(in_language));
        let request = Request::get(format!("/rows?{query}")).header(header::ACCEPT_LANGUAGE, "ko");
        let request = request.body(Body::empty()).unwrap();
        let answer = tower_service::Service::call(&mut router.into_service::<Body>(), request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let link = parts.headers.get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        let body = to_bytes(body, 10_000).await.unwrap();
        (parts.status.as_u16(), link, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_page_leads_to_the_next_one_with_all_that_was_asked_for() {
        let (status, link, rows) = asked("limit=2&from=1.5").await;
        assert_eq!((status, rows), (200, json!([2, 3])));
        assert_eq!(link.unwrap(), "</rows?limit=2&from=1.5&after=3%2C%EA%B0%80>; rel=\"next\"");
        let (_, link, rows) = asked("limit=2&from=1.5&after=3%2C%EA%B0%80").await;
        assert_eq!((link, rows), (None, json!([4, 5])));
    }

    #[tokio::test]
    async fn what_is_no_page_is_refused_with_a_hint_in_the_readers_words() {
        for after in ["x", "x,a", "1", "1,%00"] {
            let (status, _, problem) = asked(&format!("from=1&after={after}")).await;
            assert_eq!(
                (status, problem["detail"].as_str()),
                (400, Some("`after`에는 앞 페이지의 Link에 있던 값을 적습니다"))
            );
            assert!(problem["hint"].as_str().unwrap().contains("처음부터 다시"), "{problem}");
        }
        for query in ["from=1&limit=0", "from=1&limit=501", "from=x", "", "from=1&color=red"] {
            assert_eq!(asked(query).await.0, 400, "{query}");
        }
        let (_, _, problem) = asked("from=1&color=red").await;
        assert!(problem["detail"].as_str().unwrap().contains("`from`, `after`, `limit`"), "{problem}");
    }
}
