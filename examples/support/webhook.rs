//! Signed webhooks, as Standard Webhooks has them: `webhook-id`, `webhook-timestamp` and `webhook-signature`, which is `v1,` and the
//! HMAC-SHA-256 of `id.timestamp.body` in base64 (<https://github.com/standard-webhooks/standard-webhooks>).

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::problem::Problem;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// What a secret begins with whose key is the rest, in base64.
const IN_BASE64: &str = "whsec_";
/// How many bytes a key has at least.
const SHORTEST: usize = 24;
/// What whoever sends a webhook that is refused can do next.
const HINT: &str = "sign the webhook with the secret agreed on (Standard Webhooks), just before it is sent";
/// How far sender and receiver may be apart, in seconds: what is older may be a replay.
const TOLERANCE: u64 = 300;

/// What sender and receiver share.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// Takes the secret: the key is what `whsec_` and base64 stand for, as Standard Webhooks writes secrets, and any other text itself.
    ///
    /// # Errors
    ///
    /// If what follows `whsec_` is no base64, or the key is shorter than 24 bytes.
    pub fn new(secret: &str) -> Result<Self, String> {
        let key = match secret.strip_prefix(IN_BASE64) {
            Some(text) => {
                let lenient =
                    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
                let decoded = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(text);
                // The reason would repeat a part of the secret.
                decoded.map_err(|_| {
                    format!("what follows {IN_BASE64} in the secret of a webhook is no base64")
                })?
            }
            None => secret.as_bytes().to_vec(),
        };
        let short = || format!("the secret of a webhook has to have at least {SHORTEST} bytes");
        if key.len() < SHORTEST {
            return Err(short());
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| short())
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
        let refused =
            |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).with_hint(HINT);
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
        // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(headers[SIGNATURE], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_bad_secret_is_told_without_repeating_it() {
        for (secret, told) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZI!2LaLaSw", "base64"),
            ("whsec_c2hvcnQ=", "24 bytes"),
            ("whsec_", "24 bytes"),
            ("too short", "24 bytes"),
        ] {
            let error = Secret::new(secret).unwrap_err();
            let text = secret.trim_start_matches(IN_BASE64);
            assert!(error.contains(told) && (text.is_empty() || !error.contains(text)), "{error}");
        }
        let padded = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA==").unwrap();
        let bare = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA").unwrap();
        assert!(bare.verify(&padded.sign("a", 1, b""), b"", 1).is_ok());
    }

    #[test]
    fn a_refusal_hints_at_the_signature_in_both_languages() {
        let secret = Secret::new("a secret of at least 24 bytes").unwrap();
        assert_eq!(secret.verify(&HeaderMap::new(), b"{}", 1_000).unwrap_err().hint, HINT);
        assert!(crate::language::Language::korean(HINT).is_some());
    }
}
