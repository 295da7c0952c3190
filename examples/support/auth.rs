//! Who asks: bearer tokens (JWT), signed and checked with one key.

use std::env;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, ToSchema};
use uuid::Uuid;

use crate::problem::Problem;

/// The variable that holds the key.
pub const KEY: &str = "PUMASI_TOKEN_KEY";
/// The shortest key, in bytes: as long as what HMAC-SHA-256 makes (RFC 7518, 3.2).
const SHORTEST: usize = 32;
/// The longest name of a caller, in characters.
const LONGEST_NAME: usize = 100;

/// Makes a secret that nobody can guess: 244 random bits.
pub fn random_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Checks the name of a person, and returns it without white space around it.
///
/// # Errors
///
/// If it is empty, longer than 100 characters or holds a control character.
pub fn name(text: &str) -> Result<&str, Problem> {
    let name = text.trim();
    if name.is_empty() || text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("a name is a line of 1 to {LONGEST_NAME} characters")));
    }
    Ok(name)
}

/// What the tokens of one service are signed and checked with: services that share a key do not take each other's tokens.
#[derive(Clone)]
pub struct Keys {
    service: Arc<str>,
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
    hands_out: bool,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Arc<str>,
    role: Arc<str>,
    aud: Arc<str>,
    exp: u64,
}

impl Keys {
    /// Takes the key of the environment ([`KEY`]), or makes one up that is gone with the process.
    ///
    /// # Errors
    ///
    /// If the key is too short.
    pub fn from_env(service: &str) -> Result<Self, String> {
        if let Some(key) = env::var(KEY).ok().filter(|key| !key.is_empty()) {
            return Self::new(&key, service);
        }
        tracing::warn!("{KEY} is not set: for development, where whoever asks for a token gets one");
        Self::from_random(service)
    }

    /// Makes a key up.
    pub(crate) fn from_random(service: &str) -> Result<Self, String> {
        Ok(Self { hands_out: true, ..Self::new(&random_secret(), service)? })
    }

    /// Takes a key of at least 32 bytes, and the name of the service, which stands in its tokens as the audience.
    ///
    /// # Errors
    ///
    /// If it is shorter.
    pub fn new(secret: &str, service: &str) -> Result<Self, String> {
        if secret.len() < SHORTEST {
            return Err(format!("{KEY} has to have at least {SHORTEST} bytes"));
        }
        let secret = secret.as_bytes();
        let (sign, check) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[service]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        Ok(Self { service: service.into(), sign, check, validation, hands_out: false })
    }

    /// Tells whether the service hands out tokens itself: where the key was made up, so that nobody else can sign.
    pub const fn hands_out(&self) -> bool {
        self.hands_out
    }

    /// Hands out no tokens, however the key came to be.
    #[must_use]
    pub fn without_handing_out(self) -> Self {
        Self { hands_out: false, ..self }
    }

    /// Signs a token for `name` in `role`.
    ///
    /// # Errors
    ///
    /// If the name is empty, longer than 100 characters or holds a control character.
    pub fn issue(&self, name: &str, role: &str, lifetime: Duration) -> Result<String, Problem> {
        let name = self::name(name)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (aud, exp) = (Arc::clone(&self.service), (now + lifetime).as_secs());
        let claims = Claims { sub: name.into(), role: role.into(), aud, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(|error| {
            tracing::error!(error = %error, "a token could not be signed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "other", "a token could not be signed")
        })
    }

    /// Hands out a token, in development: where the key is known to others, they sign.
    ///
    /// # Errors
    ///
    /// A 403 where the service [does not](Self::hands_out); else as [`issue`](Self::issue).
    pub fn hand_out(&self, name: &str, role: &str, lifetime: Duration) -> Result<Token, Problem> {
        if !self.hands_out {
            let detail = format!("tokens come from whoever holds the key: {} token", self.service);
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        Ok(Token { token: self.issue(name, role, lifetime)? })
    }

    /// Shows a token on the terminal where the key was made up, so that nobody else can sign one: for development.
    ///
    /// Where standard error is no terminal its lines are kept as logs, which a token must not come into: then the service says
    /// that nobody has one.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub fn offer(&self, name: &str, role: &str, lifetime: Duration) -> Result<(), String> {
        if !self.hands_out {
            return Ok(());
        }
        if std::io::stderr().is_terminal() {
            let token = self.issue(name, role, lifetime).map_err(|problem| problem.detail)?;
            eprintln!("{role} token: {token}");
        } else {
            tracing::warn!(role, "nobody has a token: set {KEY}, and whoever holds it signs them");
        }
        Ok(())
    }

    fn caller(&self, token: &str) -> Option<Caller> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.check, &self.validation);
        let Claims { sub, role, .. } = claims.ok()?.claims;
        (!sub.is_empty()).then_some(Caller { name: sub, role })
    }
}

/// Prints a token for a service that is signed with the key of the environment.
///
/// # Errors
///
/// If there is none, or the name is none.
pub fn print_token(service: &str, name: &str, role: &str, lifetime: Duration) -> Result<(), String> {
    let keys = Keys::from_env(service)?;
    if keys.hands_out() {
        return Err(format!("{KEY} is not set: the service would not know the token"));
    }
    let token = keys.issue(name, role, lifetime).map_err(|problem| problem.detail)?;
    crate::say!("{token}");
    Ok(())
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("hands_out", &self.hands_out).finish_non_exhaustive()
    }
}

/// A token that is handed out: as an answer a 201 that no cache keeps (RFC 6750, 5.3).
#[derive(Serialize, ToSchema)]
pub struct Token {
    token: String,
}

impl IntoResponse for Token {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Who asks. A handler that takes one answers 401 to whoever has no token.
#[derive(Clone, Debug)]
pub struct Caller {
    name: Arc<str>,
    role: Arc<str>,
}

impl Caller {
    /// Returns the name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Tells whether the caller has this role.
    pub fn is(&self, role: &str) -> bool {
        &*self.role == role
    }

    /// Lets only this role pass.
    ///
    /// # Errors
    ///
    /// A 403 that names the role.
    pub fn require(&self, role: &str) -> Result<(), Problem> {
        if self.is(role) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", format!("this takes the role {role}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| refused("this takes a token: Authorization: Bearer …"))
    }
}

/// Finds out who asks, and answers 401 to a token that is forged, expired or no token at all.
pub async fn identify(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    if let Some(token) = bearer(request.headers()) {
        let Some(caller) = token.and_then(|token| keys.caller(token)) else {
            return refused("the token is not valid here, or not any more");
        };
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// The token of a request that has the header: nothing in it if the header is of another kind.
///
/// A page cannot send that header with a WebSocket, and offers the token as a protocol there: `bearer.` and the token.
fn bearer(headers: &HeaderMap) -> Option<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
        return offered.split(',').find_map(|protocol| protocol.trim().strip_prefix("bearer.")).map(Some);
    };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    Some(scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()))
}

fn refused(detail: &str) -> Response {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Tells the OpenAPI document of the scheme `bearer`.
#[derive(Clone, Copy, Debug)]
pub struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a key of at least thirty-two bytes";

    #[test]
    fn a_token_comes_in_a_header_of_its_own_or_as_an_offered_protocol() {
        let of = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        let written = HeaderMap::from_iter([(
            header::AUTHORIZATION,
            HeaderValue::from_bytes("Bearer 한".as_bytes()).unwrap(),
        )]);
        for (headers, token) in [
            (of("authorization", "Bearer a.b.c"), Some(Some("a.b.c"))),
            (of("authorization", "Basic a"), Some(None)),
            (written, Some(None)),
            (of("sec-websocket-protocol", "room, bearer.a.b.c"), Some(Some("a.b.c"))),
            (of("sec-websocket-protocol", "room"), None),
            (HeaderMap::new(), None),
        ] {
            assert_eq!(bearer(&headers), token, "{headers:?}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_time_and_its_key() {
        let keys = Keys::new(SECRET, "races").unwrap();
        let token = keys.issue(" 민수 ", "runner", Duration::from_mins(1)).unwrap();
        let caller = keys.caller(&token).unwrap();
        assert_eq!((&**caller.name(), caller.is("runner")), ("민수", true));
        assert_eq!(caller.require("organiser").unwrap_err().status, 403);
        assert!(Keys::new(&random_secret(), "races").unwrap().caller(&token).is_none());

        let elsewhere = Keys::new(SECRET, "coach").unwrap();
        assert!(elsewhere.caller(&token).is_none(), "another service has the key, too");

        let claims = Claims { sub: "민수".into(), role: "runner".into(), aud: "races".into(), exp: 1_000 };
        let expired = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &keys.sign).unwrap();
        assert!(keys.caller(&expired).is_none());
        let other = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &keys.sign).unwrap();
        assert!(keys.caller(&other).is_none());
        for name in ["", " ", "a\nb", &"가".repeat(101)] {
            assert!(keys.issue(name, "runner", Duration::from_mins(1)).is_err());
        }
        assert!(Keys::new("short", "races").is_err());
    }
}
