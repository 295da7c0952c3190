//! Signed webhooks, as Standard Webhooks has them: `webhook-id`, `webhook-timestamp` and `webhook-signature`, which is `v1,` and the
//! HMAC-SHA-256 of `id.timestamp.body` in base64 (<https://github.com/standard-webhooks/standard-webhooks>).

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::problem::Problem;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// How far sender and receiver may be apart, in seconds: what is older may be a replay.
const TOLERANCE: u64 = 300;

/// What sender and receiver share.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// Takes the secret.
    ///
    /// # Errors
    ///
    /// If it is shorter than 24 bytes.
    pub fn new(secret: &str) -> Result<Self, String> {
        let short = || "the secret of a webhook has to have at least 24 bytes".to_owned();
        if secret.len() < 24 {
            return Err(short());
        }
        Hmac::new_from_slice(secret.as_bytes()).map(Self).map_err(|_| short())
    }

    fn of(&self, id: &str, at: &str, body: &[u8]) -> Hmac<Sha256> {
        [id.as_bytes(), b".", at.as_bytes(), b".", body].into_iter().fold(self.0.clone(), Hmac::chain_update)
    }

    /// Signs what is sent under `id`, `at` so many seconds after 1970.
    pub fn sign(&self, id: &str, at: u64, body: &[u8]) -> HeaderMap {
        let at = at.to_string();
        let signature = format!("v1,{}", STANDARD.encode(self.of(id, &at, body).finalize().into_bytes()));
        let header =
            |name: &'static str, value: &str| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?));
        [(ID, id), (TIMESTAMP, at.as_str()), (SIGNATURE, &signature)]
            .into_iter()
            .filter_map(|(name, value)| header(name, value))
            .collect()
    }

    /// Checks what came, and returns its id: the same however often it is sent.
    ///
    /// # Errors
    ///
    /// A 401 if a header is missing, if it was signed otherwise, or more than five minutes from `now`.
    pub fn verify<'a>(&self, headers: &'a HeaderMap, body: &[u8], now: u64) -> Result<&'a str, Problem> {
        let refused = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(at), Some(signatures)) = (header(ID), header(TIMESTAMP), header(SIGNATURE))
        else {
            return Err(refused("webhook-id, webhook-timestamp or webhook-signature is missing"));
        };
        if id.is_empty() || !at.parse::<u64>().is_ok_and(|at| at.abs_diff(now) <= TOLERANCE) {
            return Err(refused("the webhook was signed too long ago, or for another time"));
        }
        let is_signed =
            signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
                // compared in constant time
                STANDARD
                    .decode(signature)
                    .is_ok_and(|signature| self.of(id, at, body).verify_slice(&signature).is_ok())
            });
        if is_signed { Ok(id) } else { Err(refused("the webhook's signature is wrong")) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_now_with_the_secret_passes() {
        let secret = Secret::new("a secret of at least 24 bytes").unwrap();
        let headers = secret.sign("evt-1", 1_000, b"{}");
        assert_eq!(secret.verify(&headers, b"{}", 1_299).unwrap(), "evt-1");
        assert!(secret.verify(&headers, b"{ }", 1_000).is_err());
        assert!(secret.verify(&headers, b"{}", 1_301).is_err());
        assert!(secret.verify(&HeaderMap::new(), b"{}", 1_000).is_err());
        let other = Secret::new("another secret of 24 bytes").unwrap();
        assert!(other.verify(&headers, b"{}", 1_000).is_err());
        let mut forged = headers;
        forged.insert(ID, HeaderValue::from_static("evt-2"));
        assert!(secret.verify(&forged, b"{}", 1_000).is_err());
    }

    #[test]
    fn the_example_of_the_specification_is_signed_alike() {
        // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, with its key as bytes
        let secret = Secret(
            Hmac::new_from_slice(&STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()).unwrap(),
        );
        let headers = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(headers[SIGNATURE], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
