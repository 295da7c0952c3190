//! Posting by a bot's token.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{MessageMetadata, SlackMessage};
use crate::http;
use crate::resilience::RetryPolicy;
use crate::{Error, ErrorKind, Result, Retry};

/// The most bytes of an answer that are read: a page of a thread with long messages.
const MAX_BYTES: usize = 8 << 20;
/// How many messages of a thread are looked through at most.
const PAGES: usize = 10;

/// A bot's token (`xoxb-…`); never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SlackToken(String);

impl SlackToken {
    /// Wraps a token; white space around it, as files and environments leave it, is taken off.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(token.as_ref().trim().to_owned())
    }
}

impl fmt::Debug for SlackToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlackToken([redacted])")
    }
}

impl<T: AsRef<str>> From<T> for SlackToken {
    fn from(token: T) -> Self {
        Self::new(token)
    }
}

/// Posts messages to Slack's Web API with a bot's token.
///
/// Posting is not idempotent, and Slack has no key that would make it so. Therefore a post is tried again here only when
/// Slack surely did not take it: a 429, which says when to come back, or a connection that was not made. Whoever tries
/// again after any other error may post twice, unless it [looks](Self::find_reply) first.
///
/// | what happens | kind | was it posted? |
/// |---|---|---|
/// | 429, `ratelimited` | `RateLimited`, after Slack's `Retry-After` | no |
/// | no connection | `Unavailable`, the message says "could not connect" | no |
/// | 5xx, `internal_error`, `fatal_error`, `service_unavailable`, a connection that broke | `Unavailable` | perhaps |
/// | no answer in time, `request_timeout` | `Timeout` | perhaps |
/// | no JSON, a redirect | `Protocol` | perhaps |
/// | a token or a permission that is missing, as for every channel | `Unauthorized` | no |
/// | no such channel, thread or method, or a channel that the bot is not in | `NotFound` | no |
/// | anything else that Slack refuses | `InvalidInput` | no |
///
/// Errors name the method, the host and Slack's own name for the error; never the token or a text.
///
/// ```no_run
/// use pumasi_core::slack::{SlackClient, SlackMessage};
///
/// # async fn post() -> Result<(), Box<dyn std::error::Error>> {
/// let slack = SlackClient::new(std::env::var("SLACK_BOT_TOKEN")?)?;
/// let posted = slack.post("C0123456789", &SlackMessage::new("안녕하세요 :wave:")).await?;
/// slack.post(&posted.channel, &SlackMessage::new("An answer in its thread").in_thread(posted.ts)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SlackClient {
    base: Url,
    host: String,
    authorization: HeaderValue,
    http: reqwest::Client,
    has_own_http: bool,
    timeout: Duration,
    policy: RetryPolicy,
}

/// A message that Slack has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostedMessage {
    /// The channel's id.
    pub channel: String,
    /// The message's time, which is its identity within the channel.
    pub ts: String,
}

impl SlackClient {
    /// Where Slack's Web API is.
    pub const BASE_URL: &str = "https://slack.com/api";

    /// Makes a client of Slack's own API: 10 seconds a call, and three attempts within 30 seconds of what was surely not
    /// posted.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the token has characters that no header may have.
    pub fn new(token: impl Into<SlackToken>) -> Result<Self> {
        Self::at(Self::BASE_URL, token)
    }

    /// Makes a client of an API at another address: a gateway, or what stands in for Slack in a test.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address is no URL of http or https, or the token has characters that no header may have.
    pub fn at(base_url: &str, token: impl Into<SlackToken>) -> Result<Self> {
        let base = http::address(base_url, "the base URL of Slack's API")?;
        let authorization = http::secret(&format!("Bearer {}", token.into().0), "the Slack token")?;
        Ok(Self {
            host: http::host(&base),
            base,
            authorization,
            http: http_client()?,
            has_own_http: false,
            timeout: Duration::from_secs(10),
            policy: RetryPolicy::new("slack").with_deadline(Duration::from_secs(30)),
        })
    }

    /// Sets how long one call may take (default 10 seconds).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how often, and for how long, what was surely not done is tried again (default 3 attempts within 30 seconds).
    #[must_use]
    pub fn with_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the HTTP client, with a proxy or certificates of its own.
    #[must_use]
    pub fn with_http_client(mut self, client: reqwest::Client) -> Self {
        self.http = client;
        self.has_own_http = true;
        self
    }

    /// Posts a message to a channel, a person or a thread (*chat.postMessage*; scope `chat:write`).
    ///
    /// # Errors
    ///
    /// As the table of [`SlackClient`] says.
    pub async fn post(&self, channel: &str, message: &SlackMessage) -> Result<PostedMessage> {
        let body = message.body(Some(channel));
        let url = self.method("chat.postMessage");
        let posted: Posted = self.call("chat.postMessage", || json(&self.http, &url, body.clone())).await?;
        Ok(PostedMessage { channel: posted.channel.unwrap_or_else(|| channel.to_owned()), ts: posted.ts })
    }

    /// Looks in a thread for a message with this metadata (*conversations.replies*; a scope like `channels:history`), to
    /// learn whether a post whose outcome is not known was made.
    ///
    /// It looks through the thread's first 2,000 messages, from the oldest.
    ///
    /// # Errors
    ///
    /// As the table of [`SlackClient`] says.
    pub async fn find_reply(
        &self,
        channel: &str,
        thread: &str,
        metadata: &MessageMetadata,
    ) -> Result<Option<PostedMessage>> {
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut url = self.method("conversations.replies");
            url.query_pairs_mut()
                .append_pair("channel", channel)
                .append_pair("ts", thread)
                .append_pair("include_all_metadata", "true")
                .append_pair("limit", "200")
                .append_pair("cursor", &cursor);
            let page: Replies = self.call("conversations.replies", || self.http.get(url.clone())).await?;
            let is_it = |reply: &Reply| metadata.is_in(&reply.metadata);
            if let Some(reply) = page.messages.into_iter().find(is_it) {
                return Ok(Some(PostedMessage { channel: channel.to_owned(), ts: reply.ts }));
            }
            cursor = page.response_metadata.map(|metadata| metadata.next_cursor).unwrap_or_default();
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// Takes connections of its own, and makes one attempt a call, for whoever works on another runtime and tries again by
    /// itself.
    ///
    /// A client that was [set](Self::with_http_client) stays.
    pub(crate) fn detached(mut self) -> Result<Self> {
        if !self.has_own_http {
            self.http = http_client()?;
        }
        self.policy = RetryPolicy::never("slack");
        Ok(self)
    }

    fn method(&self, method: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{method}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T> {
        let what = format!("{method} at {}", self.host);
        let attempt = |_| async {
            let request = request().header(AUTHORIZATION, self.authorization.clone());
            let response = send(&what, request, self.timeout).await?;
            answer(&what, response).await.map_err(|error| Failure { undone: is_refusal(&error), error })
        };
        let classify = |failure: &Failure| if failure.undone { failure.error.retry() } else { Retry::Never };
        self.policy.run_if(attempt, classify).await.map_err(|failure| failure.error)
    }
}

impl fmt::Debug for SlackClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackClient")
            .field("host", &self.host)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Posted {
    ts: String,
    channel: Option<String>,
}

#[derive(Deserialize)]
struct Replies {
    #[serde(default)]
    messages: Vec<Reply>,
    response_metadata: Option<Cursor>,
}

#[derive(Deserialize)]
struct Reply {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct Outcome {
    ok: bool,
    error: Option<String>,
}

/// An error of one attempt, and whether the call surely had no effect.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) undone: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, undone: false }
    }
}

/// Makes one attempt, and returns an answer whose status says that it succeeded.
pub(super) async fn send(
    what: &str,
    request: RequestBuilder,
    timeout: Duration,
) -> std::result::Result<Response, Failure> {
    let response = request.timeout(timeout).send().await.map_err(|source| {
        let undone = source.is_connect() || source.is_builder();
        Failure { error: http::unreached(what, source), undone }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let asked = http::retry_after(response.headers(), SystemTime::now().into());
    // An incoming webhook says in the body what was wrong with the message.
    let body = http::first_bytes(response, 1 << 10).await;
    let name = std::str::from_utf8(&body).ok().map(str::trim).and_then(http::identifier);
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let (kind, undone) = match status.as_u16() {
        429 => (ErrorKind::RateLimited, true),
        401 | 403 => (ErrorKind::Unauthorized, true),
        404 | 410 => (ErrorKind::NotFound, true),
        408 => (ErrorKind::Timeout, false),
        400..=499 => (ErrorKind::InvalidInput, true),
        500..=599 => (ErrorKind::Unavailable, false),
        _ => (ErrorKind::Protocol, false),
    };
    let mut error = Error::new(kind, format!("{what} failed with status {}{name}", status.as_u16()));
    if let (true, Some(delay)) = (error.retry().is_retryable(), asked) {
        error = error.with_retry(Retry::After(delay));
    }
    Err(Failure { error, undone })
}

/// Reads what a method of the Web API answered: 200 with `ok: false` is an error as well.
async fn answer<T: DeserializeOwned>(what: &str, response: Response) -> Result<T> {
    let asked = http::retry_after(response.headers(), SystemTime::now().into());
    let body = http::first_bytes(response, MAX_BYTES).await;
    let unreadable = || {
        Error::new(ErrorKind::Protocol, format!("{what} was answered with something that is not an answer"))
    };
    let outcome: Outcome = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    if outcome.ok {
        return serde_json::from_slice(&body).map_err(|_| unreadable());
    }
    let name = outcome.error.as_deref().and_then(http::identifier).unwrap_or_default();
    let error = Error::new(kind_of(&name), format!("{what} was refused: {name}"));
    Err(match asked {
        Some(delay) if error.retry().is_retryable() => error.with_retry(Retry::After(delay)),
        _ => error,
    })
}

/// Sorts the names of the tables "Errors" on the pages of *chat.postMessage* and *conversations.replies*.
fn kind_of(name: &str) -> ErrorKind {
    match name {
        "ratelimited" | "rate_limited" => ErrorKind::RateLimited,
        "fatal_error" | "internal_error" | "service_unavailable" | "team_added_to_org" => {
            ErrorKind::Unavailable
        }
        "request_timeout" => ErrorKind::Timeout,
        "access_denied"
        | "account_inactive"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "invalid_auth"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "not_authed"
        | "org_login_required"
        | "restricted_action"
        | "team_access_not_granted"
        | "token_expired"
        | "token_revoked"
        | "two_factor_setup_required" => ErrorKind::Unauthorized,
        "channel_not_found" | "not_in_channel" | "thread_not_found" | "message_not_found"
        | "user_not_found" | "unknown_method" => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    }
}

/// Tells whether Slack itself said no: then nothing was done.
fn is_refusal(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol)
}

pub(super) fn http_client() -> Result<reqwest::Client> {
    http::build_client(http::client_builder(Duration::from_secs(5)))
}

/// Makes a request with a JSON body.
pub(super) fn json(http: &reqwest::Client, url: &Url, body: String) -> RequestBuilder {
    http.post(url.clone()).header(CONTENT_TYPE, "application/json; charset=utf-8").body(body)
}
