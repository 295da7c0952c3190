//! Whether a request comes from Slack, and which redelivery it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, ErrorKind, Result};

/// The header with the time at which Slack signed, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";
/// The header with the signature: `v0=` and 64 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";
/// The header with the number of the redelivery; the first delivery has none.
pub const RETRY_NUM_HEADER: &str = "x-slack-retry-num";
/// The header with the reason for the redelivery.
pub const RETRY_REASON_HEADER: &str = "x-slack-retry-reason";

/// The secret with which Slack signs what it sends to an app; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// Wraps a secret; white space around it, as files and environments leave it, is taken off.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(secret.as_ref().trim().to_owned())
    }

    /// Signs a body as Slack does, for tests and for what stands in for Slack: `v0=` and the hexadecimal HMAC-SHA256 over
    /// `v0:TIMESTAMP:BODY`.
    ///
    /// ```
    /// use pumasi_core::slack::SigningSecret;
    /// use pumasi_core::time::Timestamp;
    ///
    /// let signature = SigningSecret::new("secret").sign(Timestamp::from_micros(1_767_225_600_000_000), b"{}");
    /// assert!(signature.starts_with("v0=") && signature.len() == 67);
    /// ```
    pub fn sign(&self, at: Timestamp, body: &[u8]) -> String {
        let seconds = at.as_micros().div_euclid(1_000_000).to_string();
        let digest = self.mac(&seconds, body).finalize().into_bytes();
        format!("v0={digest:x}")
    }

    fn mac(&self, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "RFC 2104 takes keys of any length, and so does this type")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("any length is a key");
        for part in [b"v0:", timestamp.as_bytes(), b":", body] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}

impl<T: AsRef<str>> From<T> for SigningSecret {
    fn from(secret: T) -> Self {
        Self::new(secret)
    }
}

/// What Slack says in a request's headers, as far as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackHeaders<'a> {
    /// When it was signed ([`TIMESTAMP_HEADER`]).
    pub timestamp: Option<&'a str>,
    /// The signature ([`SIGNATURE_HEADER`]).
    pub signature: Option<&'a str>,
    /// Which redelivery this is ([`RETRY_NUM_HEADER`]).
    pub retry_num: Option<&'a str>,
    /// Why it is sent again ([`RETRY_REASON_HEADER`]).
    pub retry_reason: Option<&'a str>,
}

impl<'a> SlackHeaders<'a> {
    /// Reads the headers by a function from a lower-case name to a value: with `http`'s map,
    /// `|name| headers.get(name)?.to_str().ok()`.
    pub fn read(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            timestamp: header(TIMESTAMP_HEADER),
            signature: header(SIGNATURE_HEADER),
            retry_num: header(RETRY_NUM_HEADER),
            retry_reason: header(RETRY_REASON_HEADER),
        }
    }

    /// Tells which redelivery this is; `None` for a first delivery.
    ///
    /// ```
    /// use pumasi_core::slack::{RetryReason, SlackHeaders};
    ///
    /// let headers = SlackHeaders::read(|name| match name {
    ///     "x-slack-retry-num" => Some("1"),
    ///     "x-slack-retry-reason" => Some("http_timeout"),
    ///     _ => None,
    /// });
    /// let retry = headers.retry();
    /// assert_eq!(retry.map(|retry| (retry.number, retry.reason)), Some((1, RetryReason::HttpTimeout)));
    /// ```
    pub fn retry(&self) -> Option<SlackRetry> {
        let number = self.retry_num?.trim().parse().ok()?;
        Some(SlackRetry { number, reason: RetryReason::read(self.retry_reason.unwrap_or_default().trim()) })
    }
}

/// A redelivery: Slack got no answer, or not the right one, and sends the event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackRetry {
    /// The number of the redelivery, from 1.
    pub number: u32,
    /// What went wrong with the delivery before.
    pub reason: RetryReason,
}

/// Why Slack sends an event again; the names of *The Events API*, "Retries".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// No answer within 3 seconds.
    HttpTimeout,
    /// Too many redirects.
    TooManyRedirects,
    /// The server could not be reached.
    ConnectionFailed,
    /// The certificate could not be trusted.
    SslError,
    /// An answer with a status other than 2xx.
    HttpError,
    /// Slack did not know.
    UnknownError,
    /// A reason that this crate does not know, or none.
    Other,
}

impl RetryReason {
    fn read(name: &str) -> Self {
        match name {
            "http_timeout" => Self::HttpTimeout,
            "too_many_redirects" => Self::TooManyRedirects,
            "connection_failed" => Self::ConnectionFailed,
            "ssl_error" => Self::SslError,
            "http_error" => Self::HttpError,
            "unknown_error" => Self::UnknownError,
            _ => Self::Other,
        }
    }

    /// Names the reason as Slack does; `other` if it is not one of Slack's.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpTimeout => "http_timeout",
            Self::TooManyRedirects => "too_many_redirects",
            Self::ConnectionFailed => "connection_failed",
            Self::SslError => "ssl_error",
            Self::HttpError => "http_error",
            Self::UnknownError => "unknown_error",
            Self::Other => "other",
        }
    }
}

/// Tells Slack's requests from forged and from replayed ones, as *Verifying requests from Slack* prescribes.
///
/// The signature is compared in constant time, with every secret: how long it takes does not tell which one fits, or how
/// much of it. What is older than five minutes, or as much in the future, is refused, so that a request that somebody
/// overheard cannot be sent again later; within that time the bus drops the double by its `event_id`.
///
/// While a secret is rotated, give both, the new one and the [old one](Self::with_secret).
#[derive(Clone, Debug)]
pub struct SignatureVerifier {
    secrets: Vec<SigningSecret>,
    tolerance: Duration,
    clock: Arc<dyn Clock>,
}

impl SignatureVerifier {
    /// Makes a verifier that knows one secret.
    pub fn new(secret: impl Into<SigningSecret>) -> Self {
        let tolerance = Duration::from_mins(5);
        Self { secrets: vec![secret.into()], tolerance, clock: Arc::new(SystemClock) }
    }

    /// Adds a secret that is also good.
    #[must_use]
    pub fn with_secret(mut self, secret: impl Into<SigningSecret>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// Sets how far a request's time may be from this machine's, either way (default 5 minutes).
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets the clock (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks that a request is Slack's and new; `body` is what came, byte by byte, before anything parsed it.
    ///
    /// # Errors
    ///
    /// `Unauthorized`: a header is missing or malformed, the time is too far away, or the signature is not one of these
    /// secrets'. An empty secret, which anybody could sign with, verifies nothing.
    pub fn verify(&self, headers: &SlackHeaders<'_>, body: &[u8]) -> Result<()> {
        let timestamp = headers.timestamp.ok_or_else(|| refused("has no timestamp"))?.trim();
        let signature = headers.signature.ok_or_else(|| refused("has no signature"))?.trim();
        // Digits only: what is signed is the text, and `+1` or `01` must not stand for another one.
        let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: i64 = timestamp
            .parse()
            .ok()
            .filter(|_| is_number)
            .ok_or_else(|| refused("has a timestamp that is no number of seconds"))?;
        let now = self.clock.now();
        let at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        if now.saturating_since(at).max(at.saturating_since(now)) > self.tolerance {
            return Err(refused("was signed too long ago, or in the future"));
        }
        let digest = signature
            .strip_prefix("v0=")
            .and_then(digest)
            .ok_or_else(|| refused("has a signature that is not of version 0"))?;
        let mut fits = false;
        for secret in &self.secrets {
            // Every secret is tried, and each comparison takes the same time whatever it finds.
            fits |= secret.mac(timestamp, body).verify_slice(&digest).is_ok() & !secret.0.is_empty();
        }
        if fits { Ok(()) } else { Err(refused("has a signature that is not of any secret known here")) }
    }
}

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::Unauthorized, format!("a request to the Slack endpoint {what}"))
}

/// Reads 64 hexadecimal digits.
fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    /// The example of *Verifying requests from Slack*.
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const SECONDS: i64 = 1_531_420_618;

    #[derive(Debug)]
    struct At(i64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0 * 1_000_000)
        }

        fn instant(&self) -> std::time::Instant {
            std::time::Instant::now()
        }

        fn sleep(&self, _: Duration) -> crate::time::Sleep {
            Box::pin(async {})
        }
    }

    fn verify_at(seconds: i64, timestamp: &str, signature: &str, body: &str) -> Result<()> {
        let headers = SlackHeaders {
            timestamp: Some(timestamp),
            signature: Some(signature),
            ..SlackHeaders::default()
        };
        SignatureVerifier::new(SECRET).with_clock(Arc::new(At(seconds))).verify(&headers, body.as_bytes())
    }

    #[test]
    fn the_example_of_slacks_documentation_verifies() {
        verify_at(SECONDS, "1531420618", SIGNATURE, BODY).unwrap();
        let signed = SigningSecret::new(SECRET)
            .sign(Timestamp::from_micros(SECONDS * 1_000_000 + 999_999), BODY.as_bytes());
        assert_eq!(signed, SIGNATURE);
    }

    #[test]
    fn bodies_in_korean_and_empty_ones_are_signed_as_python_signs_them() {
        // hmac.new(secret, b"v0:1767225600:" + body, hashlib.sha256).hexdigest()
        let body = r#"{"type":"event_callback","event":{"text":"하프 마라톤은 어떻게 준비하나요?"}}"#;
        for (body, digest) in [
            (body, "a31dffa2823881b8d25d98ae58c4dafbaf6351f9d534f7e46692027bde9890ff"),
            ("", "f5483b88c405a74900fed7a2833b75fe308f67605d18cf33a06cb013ba4150f8"),
        ] {
            let signed = SigningSecret::new(SECRET).sign(ManualClock::START, body.as_bytes());
            assert_eq!(signed, format!("v0={digest}"));
            verify_at(1_767_225_600, "1767225600", &signed, body).unwrap();
        }
    }

    #[test]
    fn five_minutes_are_allowed_either_way_and_not_a_second_more() {
        for (now, allowed) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            let verified = verify_at(SECONDS + now, "1531420618", SIGNATURE, BODY);
            assert_eq!(verified.is_ok(), allowed, "{now}");
        }
    }

    #[test]
    fn whatever_was_changed_is_refused() {
        let other = "v0=b2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        for (timestamp, signature, body) in [
            ("1531420619", SIGNATURE, BODY),
            ("1531420618", SIGNATURE, "token=1"),
            ("1531420618", other, BODY),
            ("1531420618", &SIGNATURE[3..], BODY),
            ("1531420618", &SIGNATURE[..66], BODY),
            ("1531420618", &SIGNATURE.replace("v0", "v1"), BODY),
            ("1531420618", "v0=한2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", BODY),
            ("1531420618", "", BODY),
            ("+1531420618", SIGNATURE, BODY),
            ("01531420618", SIGNATURE, BODY),
            ("9223372036854775807", SIGNATURE, BODY),
            ("99999999999999999999", SIGNATURE, BODY),
            ("-1", SIGNATURE, BODY),
            ("", SIGNATURE, BODY),
        ] {
            let error = verify_at(SECONDS, timestamp, signature, body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{timestamp} {signature}");
            assert!(!format!("{error:?}").contains(SECRET));
        }
        let verifier = SignatureVerifier::new(SECRET).with_clock(Arc::new(At(SECONDS)));
        assert!(verifier.verify(&SlackHeaders::default(), BODY.as_bytes()).is_err());
    }

    #[test]
    fn while_a_secret_is_rotated_both_are_good_and_an_empty_one_never_is() {
        let headers = SlackHeaders {
            timestamp: Some("1531420618"),
            signature: Some(SIGNATURE),
            ..SlackHeaders::default()
        };
        let clock = || Arc::new(At(SECONDS));
        let rotating = SignatureVerifier::new("the new one").with_secret(SECRET).with_clock(clock());
        rotating.verify(&headers, BODY.as_bytes()).unwrap();
        let rotated = SignatureVerifier::new("the new one").with_clock(clock());
        assert!(rotated.verify(&headers, BODY.as_bytes()).is_err());

        let signed = SigningSecret::new("").sign(clock().now(), b"x");
        let headers = SlackHeaders { signature: Some(&signed), ..headers };
        assert!(SignatureVerifier::new(" ").with_clock(clock()).verify(&headers, b"x").is_err());
        assert!(!format!("{rotating:?}").contains(SECRET));
    }

    #[test]
    fn retry_headers_are_read_as_slack_writes_them() {
        let read = |number: &'static str, reason: &'static str| {
            SlackHeaders { retry_num: Some(number), retry_reason: Some(reason), ..SlackHeaders::default() }
                .retry()
        };
        for reason in [
            "http_timeout",
            "too_many_redirects",
            "connection_failed",
            "ssl_error",
            "http_error",
            "unknown_error",
        ] {
            let retry = read("3", reason).unwrap();
            assert_eq!((retry.number, retry.reason.as_str()), (3, reason));
        }
        assert_eq!(read("2", "a new one").unwrap().reason, RetryReason::Other);
        assert_eq!(read("x", "http_timeout"), None);
        assert_eq!(SlackHeaders::default().retry(), None);
    }
}
