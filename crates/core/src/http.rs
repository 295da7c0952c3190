//! What every HTTP client of this crate does alike: errors that show no address, bounded bodies, `Retry-After`.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, Url};

use crate::time::Timestamp;
use crate::{Error, ErrorKind};

/// The longest wait that is believed; a server that names more is taken to mean this.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The longest name that is repeated in a message.
#[cfg(any(feature = "openai", feature = "slack"))]
const NAME_BYTES: usize = 64;

/// Reads `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = header(headers, "retry-after")?;
    let delay = if let Ok(seconds) = value.parse::<f64>() {
        span(seconds)?
    } else {
        // The server's own clock, where it tells it, keeps a difference between the clocks out of the wait.
        let now = header(headers, "date").and_then(http_date).unwrap_or(now);
        http_date(value)?.saturating_since(now)
    };
    Some(delay.min(LONGEST_WAIT))
}

/// Makes a wait of seconds; one that is too long to express is as long as waits are, one that is none is `None`.
pub(crate) fn span(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Reads the address of a server, which may be secret, and so is not shown; the error names it as `what`. It loses its fragment.
///
/// # Errors
///
/// `InvalidInput` if it is no URL of http or https.
pub(crate) fn address(text: &str, what: &str) -> crate::Result<Url> {
    let invalid = |why| Error::new(ErrorKind::InvalidInput, format!("{what} is {why}"));
    let mut url = Url::parse(text.trim()).map_err(|source| invalid("no URL").with_source(source))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("not one of http or https"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Makes the value of a header that is a secret; the error names it as `what`, and never shows it.
///
/// # Errors
///
/// `InvalidInput` if it has characters that no header may have.
pub(crate) fn secret(value: &str, what: &str) -> crate::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, format!("{what} has characters that no header may have"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a header that is text, without the white space around it.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn http_date(text: &str) -> Option<Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = parser.parse_timestamp(text).ok()?;
    Some(Timestamp::from_micros(date.as_microsecond()))
}

/// Takes a code that is safe to repeat: short, of letters, digits, `_`, `.`, `-` and `:`, with a letter at least.
#[cfg(any(feature = "openai", feature = "slack"))]
pub(crate) fn identifier(name: &str) -> Option<String> {
    name_with(name, b"")
}

/// Takes a name as [`identifier`] does, which may have these signs too.
#[cfg(any(feature = "openai", feature = "slack"))]
pub(crate) fn name_with(name: &str, signs: &[u8]) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:".contains(&byte) || signs.contains(&byte);
    let named = name.bytes().any(|byte| byte.is_ascii_alphabetic());
    (named && name.len() <= NAME_BYTES && name.bytes().all(fits)).then(|| name.to_owned())
}

/// Names a server without its path, query or credentials.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Makes the error of a call that did not get through; `what` names the call and the host.
pub(crate) fn unreached(what: &str, source: reqwest::Error) -> Error {
    // The address may hold a key in its query.
    let source = source.without_url();
    let (kind, how) = if source.is_timeout() {
        (ErrorKind::Timeout, "was not answered in time")
    } else if source.is_connect() {
        (ErrorKind::Unavailable, "could not connect")
    } else if source.is_redirect() {
        (ErrorKind::Protocol, "was redirected too often")
    } else if source.is_builder() {
        (ErrorKind::InvalidInput, "could not be written as a request")
    } else {
        (ErrorKind::Unavailable, "broke off")
    };
    Error::new(kind, format!("{what} {how}")).with_source(source)
}

/// Begins an HTTP client as this crate's clients are: without redirects, which would carry a key elsewhere.
pub(crate) fn client_builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("pumasi-core/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
}

/// Makes the client that was begun.
///
/// # Errors
///
/// `InvalidInput` if the settings cannot be used together.
pub(crate) fn build_client(builder: reqwest::ClientBuilder) -> crate::Result<reqwest::Client> {
    builder.build().map_err(|source| {
        Error::new(ErrorKind::InvalidInput, "an HTTP client cannot be made of these settings")
            .with_source(source.without_url())
    })
}

/// Reads at most about `max` bytes of a body, and whatever of it came before it broke off.
pub(crate) async fn first_bytes(mut response: Response, max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < max
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    body
}
