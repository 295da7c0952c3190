//! Who brings notices to people: another service, which may be slow, or not there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pumasi_core::event::EventId;
use pumasi_core::{Error, ErrorKind, Result};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde_json::json;
use support::webhook::Secret;

use crate::store::Social;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A service that takes signed webhooks (Standard Webhooks). It gets a notice at least once, each time under the same id.
#[derive(Clone)]
pub(crate) struct Partner {
    url: Url,
    secret: Secret,
    client: Client,
    patience: Duration,
}

impl Partner {
    /// The partner at `PUMASI_NOTIFY_URL`, with the secret in `PUMASI_NOTIFY_SECRET`.
    pub(crate) fn from_env() -> Result<Option<Self>> {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let Some(url) = set("PUMASI_NOTIFY_URL") else { return Ok(None) };
        let secret = set("PUMASI_NOTIFY_SECRET").unwrap_or_default();
        Self::at(&url, &secret, PATIENCE).map(Some)
    }

    pub(crate) fn at(url: &str, secret: &str, patience: Duration) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| invalid("PUMASI_NOTIFY_URL is no URL of http or https".to_owned()))?;
        let secret = Secret::new(secret).map_err(|said| invalid(format!("PUMASI_NOTIFY_SECRET: {said}")))?;
        let client =
            Client::builder().redirect(Policy::none()).connect_timeout(Duration::from_secs(2)).build();
        let client = client.map_err(|_| invalid("no HTTP client can be made".to_owned()))?;
        Ok(Self { url, secret, client, patience })
    }

    /// Hands a notice over. What the partner refuses for good is an error that says never to try again.
    pub(crate) async fn tell(&self, id: EventId, social: &Social) -> Result<()> {
        let body = json!({"id": id, "to": social.owner, "kind": social.kind, "from": social.person, "resume": social.resume});
        let body = body.to_string();
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.secret.sign(&id.to_string(), at, body.as_bytes()))
            .header("content-type", "application/json")
            .timeout(self.patience)
            .body(body);
        let unavailable = |message| Error::new(ErrorKind::Unavailable, message);
        // The address may hold a secret, and is not told.
        let answer = request.send().await.map_err(|error| {
            unavailable("the partner for notices did not answer").with_source(error.without_url())
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if is_final(status) {
            let message = format!("the partner refuses this notice for good: status {}", status.as_u16());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Err(unavailable("the partner for notices turned a notice away"))
    }
}

/// Tells whether an answer is of this notice alone, and would be the same again. A secret that the partner does not know, or no right to
/// tell it anything, is of how the service is set up: notices wait until that is mended.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 408 | 425 | 429)
}
