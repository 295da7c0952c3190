//! How a client is configured.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::dialect::Dialect;
use super::secrets::Secrets;
use super::transport::Transport;
use super::{OpenAiCompatible, OpenAiEmbedder};
use crate::http;
use crate::model::{ModelCapabilities, Price};
use crate::resilience::{RateLimit, RetryPolicy};
use crate::{Error, ErrorKind, Result};

/// A key that is never shown: neither by `Debug`, nor in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key; white space around it, as files and environments leave it, is taken off.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

impl<T: AsRef<str>> From<T> for ApiKey {
    fn from(key: T) -> Self {
        Self::new(key)
    }
}

/// Which way calls take.
#[derive(Clone, Debug, Default)]
enum Proxy {
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    None,
    All(Secret),
}

/// An address that may hold credentials.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Configures an [`OpenAiCompatible`] or an [`OpenAiEmbedder`]; nothing fails before it is built.
///
/// | setting | default |
/// |---|---|
/// | [dialect](Self::with_dialect) | [`Dialect::OpenAi`] |
/// | [whole call](Self::with_timeout), retries and waits included | 5 min; a request's own timeout goes before it |
/// | [connecting](Self::with_connect_timeout) | 10 s |
/// | [silence](Self::with_idle_timeout) of the server, before or within its answer | 2 min |
/// | [retries](Self::with_retry_policy) | 2, with backoff, and never before `Retry-After` |
/// | [rate limit](Self::with_rate_limit) | none |
/// | [proxy](Self::with_proxy) | what the environment says |
/// | [size of an answer](Self::with_max_response_bytes) | 16 MiB |
///
/// # Secrets
///
/// Whatever a server echoes, no error, no answer's `model` or `finish_reason` and no `Debug` shows the key, a password in the base
/// URL, or any eight bytes of them in a row. The same holds for the values of custom headers and of the base URL's query, and for
/// its user name, where they are at least eight bytes long; but not for what is known to be public: `api-version` and other
/// names that end in `version` or `beta`, `Accept`, `Content-Type`, `User-Agent`, `Referer`, `X-Title`, `alt`, `deployment`, and
/// whatever is the model's name. What a [client of one's own](Self::with_client) adds to requests is not known here.
///
/// Nor does an error repeat what people wrote: of a server's own words only codes are taken (at most 64 letters, digits, `_`, `.`,
/// `-` and `:`), and of those none with a word of the request's texts, other than the words that errors are named by.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches")]
pub struct OpenAiBuilder {
    dialect: Dialect,
    model: String,
    base_url: Option<Secret>,
    api_version: Option<String>,
    key: Option<ApiKey>,
    bearer: bool,
    headers: Vec<(String, String)>,
    parameters: Map<String, Value>,
    capabilities: Option<ModelCapabilities>,
    context_tokens: Option<u32>,
    timeout: Duration,
    connect_timeout: Duration,
    idle_timeout: Duration,
    policy: Option<RetryPolicy>,
    limit: Option<RateLimit>,
    proxy: Proxy,
    client: Option<reqwest::Client>,
    max_response_bytes: usize,
    stream_usage: bool,
    server_messages: bool,
    shortened: bool,
    price: Option<Price>,
}

impl OpenAiBuilder {
    pub(super) fn new(dialect: Dialect, model: String) -> Self {
        Self {
            dialect,
            model,
            base_url: None,
            api_version: (dialect == Dialect::Azure).then(|| Self::AZURE_API_VERSION.to_owned()),
            key: None,
            bearer: false,
            headers: Vec::new(),
            parameters: Map::new(),
            capabilities: None,
            context_tokens: None,
            timeout: Duration::from_mins(5),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(2),
            policy: None,
            limit: None,
            proxy: Proxy::Environment,
            client: None,
            max_response_bytes: 16 << 20,
            stream_usage: true,
            server_messages: false,
            shortened: false,
            price: None,
        }
    }

    /// The version of Azure's interface that is asked for by default.
    pub const AZURE_API_VERSION: &'static str = "2024-10-21";

    /// Sets which server is spoken to.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets the base of the server's addresses, for example `http://localhost:8080/v1`.
    ///
    /// Without a path `/v1` is added, with `/chat/completions` at its end that is taken off, and a query is kept. The values
    /// of the query are [secrets](Self#secrets); the path is none.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(Secret(url.into()));
        self
    }

    /// Sets the version of Azure's interface (default [`AZURE_API_VERSION`](Self::AZURE_API_VERSION)).
    #[must_use]
    pub fn with_api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = Some(version.into());
        self
    }

    /// Sets the key; servers on one's own machine need none.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets a token that goes into the `Authorization` header, whatever the dialect: for Entra ID on Azure.
    #[must_use]
    pub fn with_bearer_token(mut self, token: impl Into<ApiKey>) -> Self {
        self.key = Some(token.into());
        self.bearer = true;
        self
    }

    /// Sets the organisation that pays (`OpenAI-Organization`).
    #[must_use]
    pub fn with_organization(self, organization: impl Into<String>) -> Self {
        self.with_header("openai-organization", organization)
    }

    /// Sets the project that pays (`OpenAI-Project`).
    #[must_use]
    pub fn with_project(self, project: impl Into<String>) -> Self {
        self.with_header("openai-project", project)
    }

    /// Adds a header to every request. Its value is a [secret](Self#secrets).
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a field to the body of every request, in place of what would be there: `reasoning_effort`, `top_p`,
    /// `chat_template_kwargs` …
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    /// Sets what the model can be asked for, where the dialect does not know better.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: ModelCapabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Sets the size of the context window, in tokens. With the feature `tokens` it is known for OpenAI's models.
    #[must_use]
    pub fn with_context_tokens(mut self, tokens: u32) -> Self {
        self.context_tokens = Some(tokens);
        self
    }

    /// Sets how long a whole call may take, retries and waits included, where the request does not say.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long connecting may take; no effect on a [client of one's own](Self::with_client).
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the server may be silent, before or within its answer.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how failed calls are made again. The deadline in it is replaced by the call's own.
    ///
    /// An error that ends the attempts keeps its retry class: whoever stands further out with a queue may come back to it.
    /// [`RetryPolicy::never`] leaves retrying to others altogether.
    #[must_use]
    pub fn with_retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets a limit of requests and tokens per minute; clients of the same account should share one.
    ///
    /// Every attempt counts. A call's tokens are estimated before it (from its size and the longest answer allowed), and
    /// corrected by the usage that the server reports. A server that answers 429 all the same, or says
    /// so within an answer or a stream, pauses the limit for the time it states, in a header or in the error, or else for a second.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sends calls through the proxy at `url`, which may hold its user name and password.
    #[must_use]
    pub fn with_proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Proxy::All(Secret(url.into()));
        self
    }

    /// Sends calls directly, whatever the environment says of proxies.
    #[must_use]
    pub fn without_proxy(mut self) -> Self {
        self.proxy = Proxy::None;
        self
    }

    /// Uses a `reqwest` client of one's own: with certificates, proxies or a pool that this builder has no setting for.
    ///
    /// Its redirect policy is its owner's matter; the client made here follows none, so that no key is carried elsewhere.
    #[must_use]
    pub fn with_client(mut self, client: reqwest::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Sets the most bytes an answer may have, whole or streamed.
    #[must_use]
    pub fn with_max_response_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.max_response_bytes = bytes.get();
        self
    }

    /// Does not ask for the usage of a stream, for servers that refuse `stream_options`.
    #[must_use]
    pub fn without_stream_usage(mut self) -> Self {
        self.stream_usage = false;
        self
    }

    /// Keeps the server's own words as the source of its errors, for finding out what is wrong with a request.
    ///
    /// They may quote the prompt, which is why they are left out by default. [Secrets](Self#secrets) are taken out of them.
    #[must_use]
    pub fn with_server_messages(mut self) -> Self {
        self.server_messages = true;
        self
    }

    /// Sets what tokens cost, so that what calls have cost is [counted](OpenAiCompatible#metrics); without a price it is not.
    ///
    /// [`CostTable::published`](crate::model::CostTable::published) knows list prices.
    #[must_use]
    pub fn with_price(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// Asks the server to shorten embeddings to the embedder's dimensions (text-embedding-3 and later).
    #[must_use]
    pub fn with_shortened_embeddings(mut self) -> Self {
        self.shortened = true;
        self
    }

    /// Makes the chat client.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an address, a header, the key or the proxy cannot be used, or the model's name is empty.
    pub fn build(self) -> Result<OpenAiCompatible> {
        let url = self.endpoint("chat/completions")?;
        let capabilities = self.known_capabilities();
        let (parameters, stream_usage) = (self.parameters.clone(), self.stream_usage);
        let (model, transport) = self.transport(url)?;
        Ok(OpenAiCompatible { model, capabilities, parameters, stream_usage, transport: Arc::new(transport) })
    }

    /// Makes an embedder of vectors with this many dimensions.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_embedder(self, dimensions: NonZeroUsize) -> Result<OpenAiEmbedder> {
        let url = self.endpoint("embeddings")?;
        let (parameters, shortened) = (self.parameters.clone(), self.shortened);
        let (model, transport) = self.transport(url)?;
        Ok(OpenAiEmbedder::new(model, dimensions.get(), parameters, shortened, transport))
    }

    fn known_capabilities(&self) -> ModelCapabilities {
        let mut capabilities = self.capabilities.unwrap_or_else(|| self.dialect.capabilities());
        capabilities.context_tokens = self.context_tokens.or(capabilities.context_tokens);
        #[cfg(feature = "tokens")]
        if self.dialect == Dialect::OpenAi && capabilities.context_tokens.is_none() {
            capabilities.context_tokens = crate::model::TokenCounter::context_of(&self.model);
        }
        capabilities
    }

    fn transport(self, url: Url) -> Result<(String, Transport)> {
        let headers = self.header_map()?;
        let client = self.http_client()?;
        let policy = self.policy.unwrap_or_else(|| RetryPolicy::new(self.dialect.provider()));
        let secrets = Secrets::of(&client, &url, &headers, self.key.as_ref(), &self.model);
        let transport = Transport {
            client,
            host: http::host(&url),
            url,
            headers,
            secrets,
            dialect: self.dialect,
            policy,
            limit: self.limit,
            timeout: self.timeout,
            idle_timeout: self.idle_timeout,
            max_response_bytes: self.max_response_bytes,
            server_messages: self.server_messages,
            price: self.price,
        };
        Ok((self.model, transport))
    }

    fn endpoint(&self, operation: &str) -> Result<Url> {
        if self.model.is_empty() {
            return Err(invalid("the name of a model is empty"));
        }
        let base = self.base_url.as_ref().map(|url| url.0.trim()).or(self.dialect.default_base_url());
        let base =
            base.ok_or_else(|| invalid("this kind of server has no base URL by default: one is needed"))?;
        let mut url = http::address(base, "the base URL")?;
        let path = url.path().trim_end_matches('/').to_owned();
        let path = ["/chat/completions", "/embeddings"]
            .iter()
            .find_map(|end| path.strip_suffix(end))
            .unwrap_or(&path);
        let is_azure = self.dialect == Dialect::Azure;
        if is_azure && !path.contains("/openai/v1") {
            // A deployment is named in the path; one that the base names already stays.
            let base = path.strip_suffix("/openai").unwrap_or(path).to_owned();
            let named = base.contains("/openai/deployments/");
            url.set_path(&base);
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty();
                if !named {
                    segments.extend(["openai", "deployments", &self.model]);
                }
                segments.extend(operation.split('/'));
            }
            if !url.query_pairs().any(|(name, _)| name == "api-version") {
                let version = self.api_version.as_deref().unwrap_or(Self::AZURE_API_VERSION);
                url.query_pairs_mut().append_pair("api-version", version);
            }
        } else {
            let base = if path.is_empty() { "/v1" } else { path };
            url.set_path(&format!("{base}/{operation}"));
        }
        Ok(url)
    }

    fn header_map(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        if let Some(key) = self.key.as_ref().filter(|key| !key.0.is_empty()) {
            let (name, prefix) =
                if self.bearer { Dialect::OpenAi.key_header() } else { self.dialect.key_header() };
            let value = http::secret(&format!("{prefix}{}", key.0), "the API key")?;
            headers.insert(name, value);
        }
        for (name, value) in &self.headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid("a header's name has characters that no header may have"))?;
            let value = http::secret(value, &format!("the value of the header {key}"))?;
            headers.insert(key, value);
        }
        Ok(headers)
    }

    fn http_client(&self) -> Result<reqwest::Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let mut builder = http::client_builder(self.connect_timeout);
        match &self.proxy {
            Proxy::Environment => {}
            Proxy::None => builder = builder.no_proxy(),
            Proxy::All(url) => {
                let proxy =
                    reqwest::Proxy::all(&url.0).map_err(|_| invalid("the proxy's URL is not valid"))?;
                builder = builder.proxy(proxy);
            }
        }
        http::build_client(builder)
    }
}

impl fmt::Debug for OpenAiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let parameters: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
        f.debug_struct("OpenAiBuilder")
            .field("dialect", &self.dialect)
            .field("model", &self.model)
            .field("key", &self.key)
            .field("headers", &headers)
            .field("parameters", &parameters)
            .field("timeout", &self.timeout)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(dialect: Dialect, base: &str) -> String {
        let builder = OpenAiBuilder::new(dialect, "m 1".into()).with_base_url(base);
        builder.endpoint("chat/completions").unwrap().to_string()
    }

    #[test]
    fn addresses_are_joined_whatever_the_base_ends_with() {
        for (base, expected) in [
            ("http://h:8080", "http://h:8080/v1/chat/completions"),
            ("http://h/", "http://h/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("http://h/a/b", "http://h/a/b/chat/completions"),
            ("https://h/v1/chat/completions", "https://h/v1/chat/completions"),
            ("https://h/v1/embeddings/", "https://h/v1/chat/completions"),
            (" https://h/v1?key=k#x ", "https://h/v1/chat/completions?key=k"),
        ] {
            assert_eq!(endpoint(Dialect::Generic, base), expected, "{base}");
        }
        let gemini = OpenAiBuilder::new(Dialect::Gemini, "m".into()).endpoint("embeddings").unwrap();
        assert_eq!(gemini.as_str(), "https://generativelanguage.googleapis.com/v1beta/openai/embeddings");
    }

    #[test]
    fn azure_names_the_deployment_in_the_path_or_uses_the_new_interface() {
        let classic =
            "https://r.openai.azure.com/openai/deployments/m%201/chat/completions?api-version=2024-10-21";
        for base in ["https://r.openai.azure.com", "https://r.openai.azure.com/openai/"] {
            assert_eq!(endpoint(Dialect::Azure, base), classic, "{base}");
        }
        assert_eq!(
            endpoint(Dialect::Azure, "https://r.openai.azure.com/openai/deployments/d?api-version=x"),
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=x"
        );
        assert_eq!(
            endpoint(Dialect::Azure, "https://r.openai.azure.com/openai/v1/"),
            "https://r.openai.azure.com/openai/v1/chat/completions"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_it() {
        let builder = |key: &str| OpenAiBuilder::new(Dialect::OpenAi, "m".into()).with_api_key(key);
        for (builder, secret) in [
            (builder("line\nbreak-secret"), "secret"),
            (builder("k").with_base_url("not a url secret"), "secret"),
            (builder("k").with_base_url("ftp://secret/"), "secret"),
            (builder("k").with_header("x y", "v"), "x y"),
            (builder("k").with_header("x-y", "se\ncret"), "cret"),
            (builder("k").with_proxy("://secret"), "secret"),
            (OpenAiBuilder::new(Dialect::Generic, "m".into()), "secret"),
            (OpenAiBuilder::new(Dialect::OpenAi, String::new()), "secret"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = OpenAiBuilder::new(Dialect::OpenAi, "gpt-4o".into())
            .with_api_key(" sk-secret\n")
            .with_header("x-gateway", "secret-header")
            .with_base_url("https://user:secret@h/v1?key=secret")
            .with_proxy("http://user:secret@proxy:3128");
        let client = builder.clone().build().unwrap();
        let shown = format!("{builder:?} {client:?} {:?}", ApiKey::new("sk-secret"));
        assert!(!shown.contains("secret") && shown.contains("gpt-4o"), "{shown}");
    }
}
