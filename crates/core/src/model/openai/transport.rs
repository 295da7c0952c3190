//! Calls over HTTP: one attempt, and what a caller may wait for.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Response, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::answer::usage;
use super::dialect::Dialect;
use super::failure::{Call, ServerError};
use super::retry_after::{retry_after, should_retry, stated};
use super::secrets::Secrets;
use crate::http;
use crate::model::Price;
use crate::resilience::{RateLimit, RateReservation, RetryPolicy};
use crate::{Error, ErrorKind, Result, Retry};

/// The most bytes of an error's body that are read.
const ERROR_BYTES: usize = 64 << 10;

/// How long a limit is paused for a server that says that it is called too often, and not for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// How a client reaches one address.
pub(super) struct Transport {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) secrets: Secrets,
    pub(super) dialect: Dialect,
    pub(super) policy: RetryPolicy,
    pub(super) limit: Option<RateLimit>,
    pub(super) timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_response_bytes: usize,
    pub(super) server_messages: bool,
    pub(super) price: Option<Price>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("dialect", &self.dialect)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn call<'a>(&'a self, operation: &'static str, sent: &'a [u8]) -> Call<'a> {
        Call { operation, host: &self.host, sent, secrets: &self.secrets, with_message: self.server_messages }
    }

    /// Waits for the rate limit's leave to use an estimated `tokens`.
    pub(super) async fn reserve(&self, tokens: u64) -> Result<Option<RateReservation>> {
        match &self.limit {
            Some(limit) => limit.acquire(tokens).await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes one attempt, and returns an answer whose status says that it succeeded.
    pub(super) async fn send(&self, call: Call<'_>, body: Bytes) -> Result<Response> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = match tokio::time::timeout(self.idle_timeout, request.send()).await {
            Ok(sent) => sent.map_err(|source| call.unreached(source))?,
            Err(_) => return Err(silent(call, self.idle_timeout)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(
                call.error(ErrorKind::Protocol, &format!("was redirected with status {}", status.as_u16()))
            );
        }
        Err(self.refusal(call, response).await)
    }

    /// Makes an error of a failed answer, of whose body it reads no more than it needs.
    async fn refusal(&self, call: Call<'_>, response: Response) -> Error {
        let status = response.status().as_u16();
        let asked_delay = retry_after(response.headers(), SystemTime::now().into());
        let should_retry = should_retry(response.headers());
        // What cannot be read, or in time, is not needed: the status says enough.
        let read = http::first_bytes(response, ERROR_BYTES);
        let limit = self.idle_timeout.min(Duration::from_secs(5));
        let body = tokio::time::timeout(limit, read).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let server = ServerError::read(&body);
        let error = call.failed(status, server.as_ref(), asked_delay, should_retry);
        self.paused(error.with_known_usage(usage(body.get("usage"))))
    }

    /// Pauses the limit where a server says that it is called too often, however it says so.
    pub(super) fn paused(&self, error: Error) -> Error {
        if let (Some(limit), ErrorKind::RateLimited) = (&self.limit, error.kind()) {
            match error.retry() {
                Retry::After(delay) => limit.pause(delay),
                Retry::Now => limit.pause(PAUSE),
                // one call that is too large for any minute
                Retry::Never => {}
            }
        }
        error
    }

    /// Reads a whole answer as JSON.
    ///
    /// # Errors
    ///
    /// `Protocol` if it is too long, no JSON, or not UTF-8; what the server says if it is an error; `Timeout` if the server
    /// falls silent; `Unavailable` if it breaks off. Where no length was told, an answer that ends within its JSON broke off.
    pub(super) async fn json(&self, call: Call<'_>, response: Response) -> Result<Value> {
        let has_length = response.headers().contains_key(CONTENT_LENGTH);
        let asked_delay = stated(response.headers(), SystemTime::now().into());
        let mut body = Body::new(response, self.idle_timeout, self.max_response_bytes);
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next(call, None).await? {
            bytes.extend_from_slice(&chunk);
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|fault| {
            if fault.is_eof() && !has_length { call.broke_off(TOO_EARLY) } else { not_json(call, &bytes) }
        })?;
        match ServerError::read(&value) {
            Some(server) => {
                let error = call.failed(200, Some(&server), asked_delay, None);
                Err(self.paused(error.with_known_usage(usage(value.get("usage")))))
            }
            None => Ok(value),
        }
    }
}

pub(super) const NOT_UTF8: &str = "was answered with something that is not UTF-8";
pub(super) const NOT_JSON: &str = "was answered with something that is not JSON";
pub(super) const PAGE: &str = "was answered with a page instead of JSON";
pub(super) const TOO_EARLY: &str = "broke off before the answer was whole";
pub(super) const TOO_LONG: &str = "was answered with more bytes than the client takes";

/// Says what came instead of JSON, without repeating it.
fn not_json(call: Call<'_>, bytes: &[u8]) -> Error {
    let what = if std::str::from_utf8(bytes).is_err() {
        NOT_UTF8
    } else if bytes.trim_ascii_start().starts_with(b"<") {
        PAGE
    } else if bytes.trim_ascii().is_empty() {
        "was answered with nothing"
    } else {
        NOT_JSON
    };
    call.error(ErrorKind::Protocol, what)
}

fn silent(call: Call<'_>, idle: Duration) -> Error {
    call.error(ErrorKind::Timeout, &format!("was not answered for {idle:?}"))
}

/// The body of an answer, read within limits of silence and size.
pub(super) struct Body {
    response: Response,
    idle_timeout: Duration,
    left: usize,
}

impl Body {
    pub(super) fn new(response: Response, idle_timeout: Duration, max_bytes: usize) -> Self {
        Self { response, idle_timeout, left: max_bytes }
    }

    /// Reads the next bytes; `None` at the end.
    ///
    /// With a deadline, it is an error to reach it.
    pub(super) async fn next(&mut self, call: Call<'_>, deadline: Option<Instant>) -> Result<Option<Bytes>> {
        let silence = Instant::from_std(crate::time::after(Instant::now().into_std(), self.idle_timeout));
        let (until, is_deadline) = match deadline {
            Some(deadline) if deadline < silence => (deadline, true),
            _ => (silence, false),
        };
        let read = match tokio::time::timeout_at(until, self.response.chunk()).await {
            Ok(read) => read,
            Err(_) if is_deadline => {
                return Err(call.error(ErrorKind::Timeout, "did not end within the time allowed"));
            }
            Err(_) => return Err(silent(call, self.idle_timeout)),
        };
        let bytes = read.map_err(|source| call.broke_off(TOO_EARLY).with_source(source.without_url()))?;
        if let Some(bytes) = &bytes {
            self.left = self
                .left
                .checked_sub(bytes.len())
                .ok_or_else(|| call.error(ErrorKind::Protocol, TOO_LONG))?;
        }
        Ok(bytes)
    }
}
