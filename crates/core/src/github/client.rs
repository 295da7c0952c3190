//! Reading GitHub's REST API.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Account, Commit, Repository, User};
use crate::http;
use crate::resilience::RetryPolicy;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result, Retry};

/// The most bytes of a page that are read: a hundred commits whose messages are as long as git takes them are fewer.
const MAX_BYTES: usize = 16 << 20;
/// The rows of a page: as many as GitHub gives.
const PAGE: usize = 100;
/// How long to wait where a limit is told without its end
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).
const UNTOLD: Duration = Duration::from_mins(1);

/// A token for GitHub's API; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct GithubToken(String);

impl GithubToken {
    /// Wraps a token; white space around it, as files and environments leave it, is taken off.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(token.as_ref().trim().to_owned())
    }
}

impl fmt::Debug for GithubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GithubToken([redacted])")
    }
}

impl<T: AsRef<str>> From<T> for GithubToken {
    fn from(token: T) -> Self {
        Self::new(token)
    }
}

/// How much of an account is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many repositories: those that were pushed to last.
    pub repositories: usize,
    /// Of each at most so many of the account's own commits: the newest.
    pub commits: usize,
}

impl Default for Limits {
    /// 30 repositories with 100 commits each: 32 requests of the 5,000 that a token has an hour.
    fn default() -> Self {
        Self { repositories: 30, commits: 100 }
    }
}

/// Reads what GitHub's REST API tells of an account (<https://docs.github.com/en/rest>, version 2022-11-28).
///
/// One request follows the other, as GitHub asks of its users. Pages are followed by the `Link` header, and only to where the
/// client was made for, so that the token goes nowhere else. Reading is repeated where that may help:
///
/// | what happens | kind | |
/// |---|---|---|
/// | 403 or 429 with a limit that is used up | `RateLimited` | after `Retry-After`, or when `X-RateLimit-Reset` says |
/// | 5xx, no connection, one that broke | `Unavailable` | tried three times |
/// | no answer in time | `Timeout` | tried three times |
/// | 401, 403 | `Unauthorized` | the token is not good, or not for this |
/// | 404 | `NotFound` | no such account or repository, or none that the token may see |
/// | a redirect, no JSON, a page elsewhere | `Protocol` | |
///
/// A wait of up to a minute is waited here, a longer one is the caller's ([`Retry::After`]). Errors name the call and the host,
/// never the token, the address's query or a text.
///
/// ```no_run
/// use pumasi_core::github::{GithubClient, Limits};
///
/// # async fn read() -> Result<(), Box<dyn std::error::Error>> {
/// let github = GithubClient::new(std::env::var("GITHUB_TOKEN")?)?;
/// let account = github.account("octocat", Limits::default()).await?;
/// println!("{} repositories", account.repositories.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct GithubClient {
    base: Url,
    host: String,
    authorization: HeaderValue,
    http: reqwest::Client,
    timeout: Duration,
    policy: RetryPolicy,
}

impl GithubClient {
    /// Where GitHub's API is.
    pub const BASE_URL: &str = "https://api.github.com";

    /// Makes a client of GitHub's own API: 20 seconds a request, and three attempts at each within two minutes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the token is empty or has characters that no header may have.
    pub fn new(token: impl Into<GithubToken>) -> Result<Self> {
        Self::at(Self::BASE_URL, token)
    }

    /// Makes a client of an API at another address: GitHub Enterprise's (`https://host/api/v3`), or what stands in for GitHub
    /// in a test.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address is no URL of http or https, or as [`new`](Self::new).
    pub fn at(base_url: &str, token: impl Into<GithubToken>) -> Result<Self> {
        let base = http::address(base_url, "the base URL of GitHub's API")?;
        let token = token.into().0;
        if token.is_empty() {
            return Err(invalid("the token for GitHub is empty"));
        }
        let authorization = http::secret(&format!("Bearer {token}"), "the token for GitHub")?;
        Ok(Self {
            host: http::host(&base),
            base,
            authorization,
            http: http::build_client(http::client_builder(Duration::from_secs(5)))?,
            timeout: Duration::from_secs(20),
            policy: RetryPolicy::new("github").with_deadline(Duration::from_mins(2)),
        })
    }

    /// Sets how long one request may take (default 20 seconds).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how often, and for how long, a request is repeated (default 3 attempts within two minutes).
    #[must_use]
    pub fn with_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the HTTP client, with a proxy or certificates of its own. It must follow no redirect.
    #[must_use]
    pub fn with_http_client(mut self, client: reqwest::Client) -> Self {
        self.http = client;
        self
    }

    /// Reads an account: who it is, its repositories, and its own commits to each.
    ///
    /// # Errors
    ///
    /// As the table of [`GithubClient`] says; `InvalidInput` if `login` is the name of no account.
    pub async fn account(&self, login: &str, limits: Limits) -> Result<Account> {
        let user = self.user(login).await?;
        let repositories = self.repositories(&user.login, limits.repositories).await?;
        let mut commits = BTreeMap::new();
        for repository in repositories.iter().filter(|repository| !repository.private) {
            let found = self.commits(&repository.full_name, &user.login, limits.commits).await?;
            commits.insert(repository.full_name.clone(), found);
        }
        Ok(Account::new(user, repositories, commits))
    }

    /// Reads who an account belongs to (`GET /users/{login}`).
    ///
    /// # Errors
    ///
    /// As [`account`](Self::account).
    pub async fn user(&self, login: &str) -> Result<User> {
        let url = self.url(&["users", checked_login(login)?]);
        let (_, user) = self.get("GET /users", &url, false).await?;
        user.ok_or_else(|| self.unreadable("GET /users"))
    }

    /// Lists an account's own public repositories, those that were pushed to last first (`GET /users/{login}/repos`).
    ///
    /// # Errors
    ///
    /// As [`account`](Self::account).
    pub async fn repositories(&self, login: &str, most: usize) -> Result<Vec<Repository>> {
        let mut url = self.url(&["users", checked_login(login)?, "repos"]);
        url.query_pairs_mut().append_pair("type", "owner").append_pair("sort", "pushed");
        self.pages("GET /users/repos", url, most).await
    }

    /// Lists the commits of `author` to a repository, the newest first (`GET /repos/{owner}/{repo}/commits`). A repository
    /// without any commit has none.
    ///
    /// # Errors
    ///
    /// As [`account`](Self::account); `InvalidInput` also if `full_name` is not an owner, a slash and a name.
    pub async fn commits(&self, full_name: &str, author: &str, most: usize) -> Result<Vec<Commit>> {
        let (owner, name) = checked_name(full_name)?;
        let mut url = self.url(&["repos", owner, name, "commits"]);
        url.query_pairs_mut().append_pair("author", checked_login(author)?);
        self.pages("GET /repos/commits", url, most).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // An address with a host takes segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        call: &'static str,
        mut url: Url,
        most: usize,
    ) -> Result<Vec<T>> {
        let mut rows: Vec<T> = Vec::new();
        if most == 0 {
            return Ok(rows);
        }
        url.query_pairs_mut().append_pair("per_page", &most.min(PAGE).to_string());
        // However few rows a page has, and wherever pages lead, even round in a circle.
        let mut seen = HashSet::new();
        while seen.len() < most && seen.insert(url.clone()) {
            let (next, page) = self.get::<Vec<T>>(call, &url, true).await?;
            rows.extend(page.unwrap_or_default());
            match next {
                Some(next) if rows.len() < most => url = self.page(call, &next)?,
                _ => break,
            }
        }
        rows.truncate(most);
        Ok(rows)
    }

    /// The address of a page, if it is where the client was made for.
    fn page(&self, call: &'static str, link: &str) -> Result<Url> {
        let page = Url::parse(link).ok().filter(|page| {
            page.origin() == self.base.origin() && page.username().is_empty() && page.password().is_none()
        });
        page.ok_or_else(|| {
            let message = format!("{call} at {}: the next page is elsewhere", self.host);
            Error::new(ErrorKind::Protocol, message)
        })
    }

    /// Reads one page, and where the next one is. Nothing is read of what `may_be_empty` and is.
    async fn get<T: DeserializeOwned>(
        &self,
        call: &'static str,
        url: &Url,
        may_be_empty: bool,
    ) -> Result<(Option<String>, Option<T>)> {
        self.policy
            .run(|_| async {
                let what = format!("{call} at {}", self.host);
                let request = self
                    .http
                    .get(url.clone())
                    .header(AUTHORIZATION, self.authorization.clone())
                    .header(ACCEPT, "application/vnd.github+json")
                    .header("x-github-api-version", "2022-11-28")
                    .timeout(self.timeout);
                let response = request.send().await.map_err(|source| http::unreached(&what, source))?;
                if may_be_empty && response.status() == reqwest::StatusCode::CONFLICT {
                    // "Git Repository is empty."
                    return Ok((None, None));
                }
                let response = succeeded(&what, response).await?;
                let next = next_page(response.headers());
                let body = whole(&what, response).await?;
                let value = serde_json::from_slice(&body).map_err(|_| self.unreadable(call))?;
                Ok((next, Some(value)))
            })
            .await
    }

    fn unreadable(&self, call: &'static str) -> Error {
        let message = format!("{call} at {} was answered with something that is not an answer", self.host);
        Error::new(ErrorKind::Protocol, message)
    }
}

impl fmt::Debug for GithubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubClient")
            .field("host", &self.host)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

/// Turns down what is no success.
async fn succeeded(what: &str, response: Response) -> Result<Response> {
    let status = response.status().as_u16();
    if response.status().is_success() {
        return Ok(response);
    }
    let wait = limited(response.headers(), SystemTime::now().into());
    let is_limited = match status {
        429 => true,
        403 if wait.is_some() => true,
        // Some limits are told by words alone.
        403 => {
            let body = http::first_bytes(response, 4 << 10).await;
            let refusal = serde_json::from_slice::<Refusal>(&body);
            refusal.is_ok_and(|refusal| refusal.message.to_ascii_lowercase().contains("rate limit"))
        }
        _ => false,
    };
    let kind = match status {
        _ if is_limited => ErrorKind::RateLimited,
        401 | 403 => ErrorKind::Unauthorized,
        404 | 410 | 451 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        400..=499 => ErrorKind::InvalidInput,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    };
    let error = Error::new(kind, format!("{what} failed with status {status}"));
    Err(match wait {
        Some(wait) if error.retry().is_retryable() => error.with_retry(Retry::After(wait)),
        None if is_limited => error.with_retry(Retry::After(UNTOLD)),
        _ => error,
    })
}

/// How long to wait, where the answer says so or a limit is used up.
fn limited(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if let Some(wait) = http::retry_after(headers, now) {
        return Some(wait);
    }
    if http::header(headers, "x-ratelimit-remaining") != Some("0") {
        return None;
    }
    let reset: i64 = http::header(headers, "x-ratelimit-reset")?.parse().ok()?;
    let reset = Timestamp::from_micros(reset.saturating_mul(1_000_000));
    // GitHub's clock and ours may be a second apart.
    Some(reset.saturating_since(now).saturating_add(Duration::from_secs(1)).min(http::LONGEST_WAIT))
}

/// Reads a body to its end.
async fn whole(what: &str, mut response: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|source| http::unreached(what, source))? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_BYTES {
            let message = format!("{what} was answered with more than {MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::Protocol, message));
        }
    }
    Ok(body)
}

/// Reads where the next page is (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = http::header(headers, "link")?;
    links.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|one| matches!(one.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| target.to_owned())
    })
}

/// Takes the name of an account: letters, digits and hyphens, and the underscore that enterprises have.
fn checked_login(login: &str) -> Result<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=100).contains(&login.len()) && login.bytes().all(fits) {
        return Ok(login);
    }
    Err(invalid("the name of a GitHub account is 1 to 100 letters, digits and hyphens"))
}

fn checked_name(full_name: &str) -> Result<(&str, &str)> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name =
        |name: &str| (1..=100).contains(&name.len()) && name.bytes().all(fits) && !matches!(name, "." | "..");
    match full_name.split_once('/') {
        Some((owner, name)) if is_name(name) => Ok((checked_login(owner)?, name)),
        _ => Err(invalid("the full name of a repository is its owner, a slash and its name")),
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let of = |link: &str| next_page(&headers(&[("link", link)]));
        assert_eq!(
            of("<https://a.example/?page=1>; rel=\"prev\", <https://a.example/?page=3>; rel=\"next\"")
                .as_deref(),
            Some("https://a.example/?page=3")
        );
        for none in ["<https://a.example/?page=9>; rel=\"last\"", "next", "<x; rel=\"next\""] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_limit_is_waited_for_as_long_as_its_headers_say() {
        let now = Timestamp::from_micros(1_000_000_000);
        let wait = |pairs: &[(&'static str, &str)]| limited(&headers(pairs), now);
        assert_eq!(
            wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")]),
            Some(Duration::from_secs(31))
        );
        assert_eq!(
            wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "10"), ("retry-after", "7")]),
            Some(Duration::from_secs(7))
        );
        assert_eq!(wait(&[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1030")]), None);
        assert_eq!(wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "soon")]), None);
        let ages = i64::MAX.to_string();
        assert_eq!(
            wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &ages)]),
            Some(http::LONGEST_WAIT)
        );
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for bad in ["", "a/b", "..", "a?b", "a b", "가나", &"a".repeat(101)] {
            assert!(checked_login(bad).is_err(), "{bad}");
        }
        for bad in ["a", "a/..", "a/b/c", "/b", "a/", "a/b?c"] {
            assert!(checked_name(bad).is_err(), "{bad}");
        }
        assert_eq!(checked_name("nari/walks.rs").unwrap(), ("nari", "walks.rs"));
    }
}
