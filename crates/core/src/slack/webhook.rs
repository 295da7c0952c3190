//! Posting by an incoming webhook's address.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::SlackMessage;
use super::client::{Failure, http_client, json, send};
use crate::Result;
use crate::Retry;
use crate::http;
use crate::resilience::RetryPolicy;

/// Posts messages to the one channel that an incoming webhook leads to.
///
/// Its address is the secret: neither `Debug` nor an error shows more of it than the host. It can neither tell nor find
/// what it posted. What is tried again, and what errors mean, is as for [`SlackClient`](super::SlackClient); a webhook that
/// was withdrawn is `NotFound`.
///
/// ```no_run
/// use pumasi_core::slack::{SlackMessage, SlackWebhook};
///
/// # async fn post() -> Result<(), Box<dyn std::error::Error>> {
/// let webhook = SlackWebhook::new(std::env::var("SLACK_WEBHOOK_URL")?)?;
/// webhook.post(&SlackMessage::new("배포가 끝났습니다 :tada:")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SlackWebhook {
    url: Url,
    host: String,
    http: reqwest::Client,
    has_own_http: bool,
    timeout: Duration,
    policy: RetryPolicy,
}

impl SlackWebhook {
    /// Makes a client of the webhook at this address: 10 seconds a call, and three attempts within 30 seconds of what was
    /// surely not posted.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address is no URL of http or https.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        let url = http::address(url.as_ref(), "the address of a Slack webhook")?;
        Ok(Self {
            host: http::host(&url),
            url,
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

    /// Posts a message.
    ///
    /// # Errors
    ///
    /// As the table of [`SlackClient`](super::SlackClient) says.
    pub async fn post(&self, message: &SlackMessage) -> Result<()> {
        let what = format!("a Slack webhook at {}", self.host);
        let body = message.body(None);
        let attempt = |_| send(&what, json(&self.http, &self.url, body.clone()), self.timeout);
        let classify = |failure: &Failure| if failure.undone { failure.error.retry() } else { Retry::Never };
        // The body of a good answer says "ok", and nothing else.
        self.policy.run_if(attempt, classify).await.map(drop).map_err(|failure: Failure| failure.error)
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
}

impl fmt::Debug for SlackWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackWebhook")
            .field("host", &self.host)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
