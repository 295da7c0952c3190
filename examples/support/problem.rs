//! Errors as problem details (RFC 9457), in the language of whoever asks.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use pumasi_core::{Error, ErrorKind, Retry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::language::Language;

/// An error as the client sees it: `detail` and `hint` in the [`Language`] of whoever asks, the rest the same for all.
///
/// It has no `type`, so that `title` is the status's own phrase; programs tell problems apart by `kind`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What the status is called.
    #[schema(value_type = String, example = "Not Found")]
    pub title: &'static str,
    /// The kind of the error, for programs.
    #[schema(value_type = String, example = "not_found")]
    pub kind: Box<str>,
    /// What went wrong with this request.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(value_type = Option<String>)]
    pub hint: Cow<'static, str>,
    /// The dependencies that are down, where that is what went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    pub down: Vec<&'static str>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    /// Makes a problem.
    pub fn new(status: StatusCode, kind: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error"),
            kind: kind.into().into_boxed_str(),
            detail: detail.into(),
            hint: hint(status).into(),
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

    /// Tells what to do in other words than those for all problems of the status.
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = hint.into();
        self
    }

    /// Tells when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(seconds(after));
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
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests in a short time")
            .with_retry_after(after)
    }
}

impl Problem {
    /// The same in a language. What there are no words for is said as the kind of problem is, and quoted where it is about what was
    /// sent.
    fn said_in(mut self, language: Language) -> Self {
        if language == Language::Korean {
            self.detail = Language::korean(&self.detail).unwrap_or_else(|| {
                let kind = language.say(&self.kind);
                if self.status < 500 { format!("{kind} ({})", self.detail) } else { kind.into_owned() }
            });
            self.hint = language.say(&self.hint).into_owned().into();
        }
        self
    }
}

/// What whoever asked can do next.
fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            "correct what the detail names; /openapi.json has the form of each request"
        }
        StatusCode::UNAUTHORIZED => "send `Authorization: Bearer …` with a token that is still good",
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
        StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "shorten the address, or the header that is too long"
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "send a Content-Type that /openapi.json names for this path",
        StatusCode::TOO_MANY_REQUESTS => "wait as many seconds as Retry-After says",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "send it again, after as many seconds as Retry-After says if it is there; /readyz names what is down"
        }
        StatusCode::MISDIRECTED_REQUEST => {
            "ask at the address that the service listens on; a name of your own goes into PUMASI_CORS_ORIGINS, or set PUMASI_TOKEN_KEY"
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
            Retry::After(after) => Some(seconds(after)),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        Self { retry_after, ..Self::new(status, error.kind().as_str(), error.message().to_owned()) }
    }
}

/// Returns how many whole seconds to wait, one at least.
fn seconds(after: Duration) -> u32 {
    u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self.said_in(Language::spoken()))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::middleware;
    use axum::routing::get;

    use super::*;
    use crate::language::in_language;

    async fn asked(language: &str, problem: fn() -> Problem) -> (Response, serde_json::Value) {
        let router = Router::new().route("/", get(move || async move { problem() }));
        let router = fallbacks(router).layer(middleware::from_fn(in_language));
        let request =
            Request::get("/").header(header::ACCEPT_LANGUAGE, language).body(Body::empty()).unwrap();
        let answer = tower_service::Service::call(&mut router.into_service::<Body>(), request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_problem_is_told_in_the_language_of_whoever_asks() {
        let problem = || Problem::not_found("race");
        for (wanted, language, detail, hint) in [
            ("ko-KR,ko;q=0.9,en;q=0.8", "ko", "찾으시는 대회가 없습니다", "목록"),
            ("en-GB", "en", "there is no such race", "list"),
            ("fr", "en", "there is no such race", "list"),
        ] {
            let (answer, told) = asked(wanted, problem).await;
            assert_eq!((&told["detail"], &told["kind"]), (&detail.into(), &"not_found".into()));
            assert_eq!(
                (&told["title"], told.get("type")),
                (&"Not Found".into(), None),
                "of no type of its own"
            );
            assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
            let header = |name| answer.headers()[name].to_str().unwrap();
            assert_eq!((header("content-language"), header("vary")), (language, "accept-language"));
            assert_eq!(header("content-type"), "application/problem+json");
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        }
    }

    #[tokio::test]
    async fn what_there_are_no_korean_words_for_is_told_as_its_kind() {
        let (_, told) = asked("ko", || Problem::invalid("a klaxon is not a trumpet")).await;
        assert_eq!(told["detail"], "보내신 내용에 맞지 않는 것이 있습니다 (a klaxon is not a trumpet)");
        let (answer, told) = asked("ko", || Error::new(ErrorKind::Storage, "the drum burst").into()).await;
        assert_eq!(told["detail"], "저장소를 쓸 수 없습니다");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let (answer, told) = asked("ko", || Problem::too_many(Duration::from_secs(3))).await;
        assert_eq!(
            (told["detail"].as_str().unwrap(), &answer.headers()["retry-after"]),
            ("짧은 시간에 너무 많이 요청하셨습니다", &"3".parse().unwrap())
        );
    }

    #[test]
    fn every_hint_and_every_kind_has_korean_words() {
        for status in (100..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let hint = hint(status);
            assert!(hint.is_empty() || Language::korean(hint).is_some(), "{hint}");
        }
        let kinds = [
            ErrorKind::InvalidInput,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
            ErrorKind::Unauthorized,
            ErrorKind::Timeout,
            ErrorKind::RateLimited,
            ErrorKind::Unavailable,
            ErrorKind::Overloaded,
            ErrorKind::CircuitOpen,
            ErrorKind::Cancelled,
            ErrorKind::ContextTooLong,
            ErrorKind::Refused,
            ErrorKind::BudgetExhausted,
            ErrorKind::Protocol,
            ErrorKind::Unsupported,
            ErrorKind::Storage,
            ErrorKind::Other,
        ];
        for kind in kinds {
            assert!(Language::korean(kind.as_str()).is_some(), "{kind}");
        }
    }
}
