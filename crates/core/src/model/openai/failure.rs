//! What servers say when they fail, and what it means.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::answer::whole_number;
use super::own_words::OwnWords;
use super::retry_after::span;
use super::secrets::Secrets;
use crate::http::{self, LONGEST_WAIT, identifier, name_with};
use crate::{Error, ErrorKind, Retry};

/// What a server's error body says, whichever shape it has.
///
/// | shape | server |
/// |---|---|
/// | `{"error": {"message", "type", "code", "param"}}` | OpenAI, vLLM, llama.cpp; Azure adds `innererror` |
/// | `{"error": "…"}` | Ollama's own endpoints, proxies |
/// | `[{"error": {"code", "message", "status", "details"}}]` | Gemini |
/// | `{"object": "error", "message", "type", "code"}` | older vLLM |
/// | `{"detail": "…"}`, `{"detail": [{"loc", "msg", "type"}]}` | FastAPI, before vLLM's own handlers |
/// | `{"statusCode", "message"}` | Azure's gateway |
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    /// Free text; it may quote the prompt or the key, so it never goes into an error's message.
    pub(super) message: String,
    /// The names in `type`, `code`, `status`, `innererror.code` and `details[].reason`.
    pub(super) names: Vec<String>,
    param: Option<String>,
    /// A numeric `code`: the status, where HTTP's does not tell it.
    status: Option<u16>,
    retry_delay: Option<Duration>,
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerError")
            .field("names", &self.names)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl ServerError {
    /// Reads an error body; `None` if it is not one.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let body = match body {
            Value::Array(items) => items.first()?,
            body => body,
        };
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        let lists = || ["choices", "data"].iter().filter_map(|name| body.get(*name));
        let is_named = body.get("object").and_then(Value::as_str) == Some("error");
        if lists().any(|list| !empty(list) || list.is_array()) {
            // Gateways write fields of an error beside a good answer, or its last chunk: only one that says something counts.
            return match body.get("error") {
                Some(Value::String(message)) if !message.is_empty() => Some(Self::of_text(message)),
                Some(error @ Value::Object(_)) => Some(Self::of_object(error)).filter(Self::says_something),
                _ if lists().all(empty) => {
                    Some(Self::of_object(body)).filter(|error| is_named || error.status.is_some())
                }
                _ => None,
            };
        }
        let told = |name: &str| body.get(name).filter(|value| !value.is_null());
        match told("error") {
            Some(Value::String(message)) => return Some(Self::of_text(message)),
            Some(error @ Value::Object(_)) => return Some(Self::of_object(error)),
            _ => {}
        }
        if let Some(detail) = told("detail") {
            return Some(Self::of_text(detail.as_str().unwrap_or_default()));
        }
        let is_error = is_named
            || body.get("statusCode").is_some()
            || (body.get("message").is_some_and(Value::is_string) && body.get("choices").is_none());
        is_error.then(|| Self::of_object(body))
    }

    fn of_text(message: &str) -> Self {
        Self { message: message.to_owned(), ..Self::default() }
    }

    fn of_object(error: &Value) -> Self {
        let mut this = Self::of_text(error.get("message").and_then(Value::as_str).unwrap_or_default());
        let inner = error.get("innererror").and_then(|inner| inner.get("code"));
        for name in [error.get("type"), error.get("code"), error.get("status"), inner].into_iter().flatten() {
            this.name(name);
        }
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            if let Some(reason) = detail.get("reason") {
                this.name(reason);
            }
            if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str).and_then(span) {
                this.retry_delay = Some(delay.min(LONGEST_WAIT));
            }
        }
        let param = error.get("param").and_then(Value::as_str);
        this.param = param.and_then(|param| name_with(param, b"[]/"));
        this.status = [error.get("code"), error.get("statusCode"), error.get("status")]
            .into_iter()
            .flatten()
            .find_map(|code| whole_number(code).or_else(|| code.as_str()?.parse().ok()))
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (400..=599).contains(code));
        this
    }

    fn says_something(&self) -> bool {
        !self.message.is_empty() || !self.names.is_empty() || self.status.is_some()
    }

    fn name(&mut self, name: &Value) {
        if self.names.len() < NAMES
            && let Some(name) = name.as_str().and_then(identifier)
            && !self.names.contains(&name)
        {
            self.names.push(name);
        }
    }

    fn is(&self, names: &[&str]) -> bool {
        self.names.iter().any(|own| names.iter().any(|name| own.eq_ignore_ascii_case(name)))
    }

    /// Decides what the failure is.
    fn classify(&self, http: u16) -> (ErrorKind, Retry) {
        let status = if http < 400 { self.implied_status() } else { http };
        let message = self.message.to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
        if self.is(&QUOTA_NAMES) || status == 402 {
            return (ErrorKind::BudgetExhausted, Retry::Never);
        }
        if status == 429 {
            // More than a minute's whole allowance in one request: waiting does not help.
            let never = says(&["request too large"]);
            return (ErrorKind::RateLimited, if never { Retry::Never } else { Retry::Now });
        }
        if self.is(&FILTER_NAMES) || says(&["content management policy"]) {
            return (ErrorKind::Refused, Retry::Never);
        }
        if status == 413 || self.is(&CONTEXT_NAMES) || says(&CONTEXT_PHRASES) {
            return (ErrorKind::ContextTooLong, Retry::Never);
        }
        if self.is(&["API_KEY_INVALID", "invalid_api_key"]) {
            return (ErrorKind::Unauthorized, Retry::Never);
        }
        match status {
            401 | 403 => (ErrorKind::Unauthorized, Retry::Never),
            404 | 410 => (ErrorKind::NotFound, Retry::Never),
            408 => (ErrorKind::Timeout, Retry::Now),
            // A lock that another request held: OpenAI's own clients retry it.
            409 | 425 | 499 => (ErrorKind::Unavailable, Retry::Now),
            501 | 505 => (ErrorKind::Unsupported, Retry::Never),
            _ if says(&["does not support"]) => (ErrorKind::Unsupported, Retry::Never),
            400..=499 => (ErrorKind::InvalidInput, Retry::Never),
            500..=599 => (ErrorKind::Unavailable, Retry::Now),
            _ => (ErrorKind::Protocol, Retry::Never),
        }
    }

    /// The status that an error within a served answer would have had.
    fn implied_status(&self) -> u16 {
        if let Some(status) = self.status {
            return status;
        }
        let named = [
            (
                &["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "tokens", "requests"][..],
                429,
            ),
            (&["invalid_request_error", "BadRequestError", "INVALID_ARGUMENT", "FAILED_PRECONDITION"], 400),
            (&["authentication_error", "UNAUTHENTICATED", "PERMISSION_DENIED"], 401),
            (&["not_found_error", "NotFoundError", "NOT_FOUND", "model_not_found"], 404),
        ];
        named.into_iter().find(|(names, _)| self.is(names)).map_or(500, |(_, status)| status)
    }
}

/// How many names of an error are kept.
const NAMES: usize = 6;

const QUOTA_NAMES: [&str; 4] =
    ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"];
const FILTER_NAMES: [&str; 4] =
    ["content_filter", "ResponsibleAIPolicyViolation", "content_policy_violation", "PROHIBITED_CONTENT"];
const CONTEXT_NAMES: [&str; 3] =
    ["context_length_exceeded", "exceed_context_size_error", "string_above_max_length"];
/// What servers that have no code for it write, in lower case: vLLM and OpenAI; llama.cpp; Gemini; Ollama; gateways.
const CONTEXT_PHRASES: [&str; 9] = [
    "maximum context length",
    "available context size",
    "is too large to process",
    "exceeds the maximum number of tokens",
    "exceeds the context length",
    "context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
];

/// The circumstances of a failed call, as its error tells them.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// What was asked for.
    pub(super) operation: &'static str,
    /// Who was asked: a host, without path, query or credentials.
    pub(super) host: &'a str,
    /// The body of the request, of whose texts no word is repeated.
    pub(super) sent: &'a [u8],
    /// What is never repeated, whatever the server echoes.
    pub(super) secrets: &'a Secrets,
    /// Whether the server's own words are kept as the error's source.
    pub(super) with_message: bool,
}

impl Call<'_> {
    /// Makes the error of an answer with this status and body.
    pub(super) fn failed(
        &self,
        status: u16,
        body: Option<&ServerError>,
        asked_delay: Option<Duration>,
        should_retry: Option<bool>,
    ) -> Error {
        let nothing = ServerError::default();
        let body_error = body.unwrap_or(&nothing);
        let (kind, mut retry) = body_error.classify(status);
        // A server may call off a retry, but not order one of what cannot succeed.
        if should_retry == Some(false) {
            retry = Retry::Never;
        }
        if let (Retry::Now, Some(delay)) = (retry, asked_delay.or(body_error.retry_delay)) {
            retry = Retry::After(delay);
        }
        let own = OwnWords::of(self.sent);
        let may_tell = |name: &str| self.is_harmless(name) && !own.are_in(name);
        let names: Vec<&str> =
            body_error.names.iter().map(String::as_str).filter(|name| may_tell(name)).collect();
        let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let param = body_error.param.as_ref().filter(|param| may_tell(param));
        let param = param.map(|param| format!(" on {param}")).unwrap_or_default();
        let why = match kind {
            ErrorKind::ContextTooLong => ": the messages do not fit the model's context window",
            _ => "",
        };
        let message =
            format!("{} at {} failed with status {status}{names}{param}{why}", self.operation, self.host);
        let error = Error::new(kind, message).with_retry(retry);
        if self.with_message && !body_error.message.is_empty() {
            return error.with_source(ServerMessage::new(&body_error.message, self.secrets));
        }
        error
    }

    /// Tells whether a name that the server wrote has nothing of a secret: neither all of it nor a good part.
    pub(super) fn is_harmless(&self, name: &str) -> bool {
        !self.secrets.are_in(name)
    }

    /// Tells whether a name that the server wrote may be repeated where it is no model's: it has nothing of a secret, and no
    /// word of the request's texts.
    pub(super) fn may_tell(&self, name: &str) -> bool {
        self.is_harmless(name) && !OwnWords::of(self.sent).are_in(name)
    }

    /// Makes an error of `kind` about this call.
    pub(super) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{} at {} {what}", self.operation, self.host))
    }

    /// Makes the error of an answer that broke off: the same call may well succeed.
    pub(super) fn broke_off(&self, what: &str) -> Error {
        self.error(ErrorKind::Unavailable, what).with_retry(Retry::Now)
    }

    /// Makes the error of a call that did not get through.
    pub(super) fn unreached(&self, source: reqwest::Error) -> Error {
        http::unreached(&format!("{} at {}", self.operation, self.host), source)
    }
}

/// A server's own words about a failure, kept only where the client was told to.
#[derive(Debug)]
struct ServerMessage(String);

impl ServerMessage {
    const LONGEST: usize = 500;

    fn new(message: &str, secrets: &Secrets) -> Self {
        let mut text = crate::model::cassette::scrub(&secrets.redact(message));
        text.truncate(text.floor_char_boundary(Self::LONGEST));
        Self(text)
    }
}

impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server says: {}", self.0)
    }
}

impl std::error::Error for ServerMessage {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::LazyLock;

    static CALL: LazyLock<Call<'_>> = LazyLock::new(|| {
        static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
            let mut secrets = Secrets::default();
            secrets.add("secret-key-1");
            secrets
        });
        Call { operation: "chat completion", host: "h", sent: b"{}", secrets: &SECRETS, with_message: false }
    });

    fn kind(status: u16, body: &Value) -> (ErrorKind, bool) {
        let error = CALL.failed(status, ServerError::read(body).as_ref(), None, None);
        (error.kind(), error.retry().is_retryable())
    }

    #[test]
    fn a_status_alone_says_what_it_is() {
        for (status, expected, retryable) in [
            (400, ErrorKind::InvalidInput, false),
            (401, ErrorKind::Unauthorized, false),
            (402, ErrorKind::BudgetExhausted, false),
            (403, ErrorKind::Unauthorized, false),
            (404, ErrorKind::NotFound, false),
            (408, ErrorKind::Timeout, true),
            (409, ErrorKind::Unavailable, true),
            (413, ErrorKind::ContextTooLong, false),
            (422, ErrorKind::InvalidInput, false),
            (429, ErrorKind::RateLimited, true),
            (500, ErrorKind::Unavailable, true),
            (501, ErrorKind::Unsupported, false),
            (502, ErrorKind::Unavailable, true),
            (503, ErrorKind::Unavailable, true),
            (504, ErrorKind::Unavailable, true),
            (529, ErrorKind::Unavailable, true),
        ] {
            assert_eq!(kind(status, &json!({"x": 1})), (expected, retryable), "{status}");
        }
    }

    #[test]
    fn names_and_phrases_come_before_the_status() {
        let error = |fields: Value| json!({ "error": fields });
        for (status, body, expected) in [
            (
                429,
                error(json!({"type": "insufficient_quota", "code": "insufficient_quota"})),
                ErrorKind::BudgetExhausted,
            ),
            (400, error(json!({"code": "context_length_exceeded"})), ErrorKind::ContextTooLong),
            (
                400,
                error(json!({"message": "This model's maximum context length is 8 tokens."})),
                ErrorKind::ContextTooLong,
            ),
            (500, error(json!({"type": "exceed_context_size_error"})), ErrorKind::ContextTooLong),
            (
                500,
                error(
                    json!({"code": 500, "type": "server_error", "message": "input (10002 tokens) is too large to process. increase the physical batch size"}),
                ),
                ErrorKind::ContextTooLong,
            ),
            (
                400,
                error(
                    json!({"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
                ),
                ErrorKind::Refused,
            ),
            (
                400,
                json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]),
                ErrorKind::Unauthorized,
            ),
            (
                400,
                error(json!({"message": "registry.ollama.ai/library/x does not support tools"})),
                ErrorKind::Unsupported,
            ),
            (200, error(json!({"code": 429, "message": "busy"})), ErrorKind::RateLimited),
            (200, error(json!({"type": "server_error"})), ErrorKind::Unavailable),
            (200, json!({"error": "oops"}), ErrorKind::Unavailable),
            (200, json!({"choices": [], "statusCode": 429, "message": "busy"}), ErrorKind::RateLimited),
            (
                200,
                json!({"choices": [], "object": "error", "message": "bad", "code": 400}),
                ErrorKind::InvalidInput,
            ),
            (200, json!({"choices": null, "statusCode": 401, "message": "no"}), ErrorKind::Unauthorized),
            (200, json!({"choices": [], "error": {"message": "bad"}}), ErrorKind::Unavailable),
            (
                200,
                json!({"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}),
                ErrorKind::InvalidInput,
            ),
        ] {
            assert_eq!(kind(status, &body).0, expected, "{status} {body}");
        }
        let too_large = error(
            json!({"message": "Request too large for gpt-4o on tokens per min", "code": "rate_limit_exceeded"}),
        );
        assert_eq!(kind(429, &too_large), (ErrorKind::RateLimited, false));
    }

    #[test]
    fn nothing_a_server_writes_reaches_the_message_but_names() {
        let body = json!({"error": {
            "message": "Incorrect API key secret-key-1: you said 비밀", "type": "x secret", "code": "secret-key-1", "param": "messages[0].content",
        }});
        let server = ServerError::read(&body);
        let error = CALL.failed(401, server.as_ref(), None, None);
        assert_eq!(error.message(), "chat completion at h failed with status 401 on messages[0].content");
        assert!(!format!("{error:?} {server:?}").contains("비밀"));
        let told = Call { with_message: true, ..*CALL }.failed(401, server.as_ref(), None, None);
        let source = std::error::Error::source(&told).unwrap().to_string();
        assert_eq!(source, "the server says: Incorrect API key [redacted]: you said 비밀");
    }

    #[test]
    fn a_key_does_not_come_back_under_any_name_of_an_error() {
        for field in ["type", "code", "status", "param"] {
            for echo in ["secret-key-1", "x.secret-key-1.x", "secret-ke", "ret-key-1"] {
                let body = json!({"error": {"message": "no", (field): echo}});
                let server = ServerError::read(&body);
                for status in [200, 400, 401] {
                    let error = CALL.failed(status, server.as_ref(), None, None);
                    let told = format!("{error} {error:?}");
                    assert!(!told.contains("secret") && !told.contains("key-1"), "{field}: {told}");
                }
            }
        }
        let named = ServerError::read(&json!({"error": {"type": "invalid_request_error", "param": "model"}}));
        let told = Call { secrets: &Secrets::default(), ..*CALL }
            .failed(400, named.as_ref(), None, None)
            .to_string();
        assert!(told.contains("(invalid_request_error) on model"), "no secret hides nothing: {told}");
    }

    #[test]
    fn the_delay_comes_from_the_header_or_else_from_the_body() {
        let body = json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "37s"}]}}]);
        let server = ServerError::read(&body);
        let error = CALL.failed(429, server.as_ref(), None, None);
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(37)));
        let error = CALL.failed(429, server.as_ref(), Some(Duration::from_secs(2)), Some(true));
        assert_eq!(error.retry(), Retry::After(Duration::from_secs(2)));
        assert_eq!(CALL.failed(500, None, None, Some(false)).retry(), Retry::Never);
        assert_eq!(CALL.failed(400, None, Some(Duration::ZERO), Some(true)).retry(), Retry::Never);
    }

    #[test]
    fn an_answer_is_no_error() {
        for body in [
            json!({"choices": [], "error": null}),
            json!({"choices": [], "detail": null}),
            json!({"choices": [{"index": 0}], "error": ""}),
            json!({"choices": [{"index": 0}], "error": {}, "detail": []}),
            json!({"data": [{"index": 0}], "error": {}}),
            json!({"choices": [{"index": 0}], "statusCode": 200, "message": "OK"}),
            json!({"choices": [{"index": 0}], "detail": "served from cache"}),
            json!({"choices": [{"index": 0}], "error": {"code": null, "message": null}}),
            json!({"choices": [{"index": 0}], "error": {"code": 0, "message": ""}}),
            json!({"choices": [{"index": 0}], "error": false}),
            json!({"data": []}),
            json!({"choices": [], "statusCode": 200, "usage": {"prompt_tokens": 1}}),
            json!({"choices": [], "detail": "served from cache", "message": "OK", "error": {}}),
            json!({"choices": [], "error": {"code": null, "message": ""}}),
            json!([]),
            json!("x"),
            json!(null),
        ] {
            assert_eq!(ServerError::read(&body), None, "{body}");
        }
    }
}
