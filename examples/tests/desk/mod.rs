//! A service in a process of its own, and people who ask it something.
#![allow(dead_code, unused_imports, unused_macros, reason = "each program of tests uses what it needs")]

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use support::auth::{self, Keys};
use support::child::Running;
use support::language::Language;
use support::servers;
use tokio::net::TcpListener;

/// What tokens are signed and checked with.
pub(crate) const KEY: &str = "a key of the tests, of more than 32 bytes";

/// Starts a service with its data at a place and more arguments; `configure` adds to its environment.
pub(crate) fn start(
    service: &str,
    data: &Path,
    arguments: &[&str],
    configure: impl FnOnce(&mut Command),
) -> Running {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
        if !arguments.contains(&"--requests-per-second") {
            command.args(["--requests-per-second", "5000"]);
        }
        command.env(auth::KEY, KEY);
        configure(command);
    };
    Running::start(service, serve).unwrap()
}

/// Signs a token that a service takes.
pub(crate) fn token(service: &str, name: &str, role: &str) -> String {
    Keys::new(KEY, service).unwrap().issue(name, role, Duration::from_mins(10)).unwrap()
}

/// A client that takes up no connection that a service closes at the same moment, as it does after ten seconds without a request.
fn patient() -> ClientBuilder {
    Client::builder().pool_idle_timeout(Duration::from_secs(3))
}

/// A client that asks as somebody.
pub(crate) fn client(service: &str, name: &str, role: &str) -> Client {
    let bearer = format!("Bearer {}", token(service, name, role)).parse().unwrap();
    patient().default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)])).build().unwrap()
}

/// Runs `put-aside` beside a service whose events are in its folder, and returns what it prints.
pub(crate) fn put_aside(service: &str, data: &Path, more: &[&str]) -> String {
    let mut command = Command::new(support::child::example(service).unwrap());
    for variable in [servers::POSTGRES, servers::REDIS, servers::KAFKA, servers::OPENSEARCH] {
        command.env_remove(variable);
    }
    let done = command.args(["put-aside", "--data"]).arg(data).args(more).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// Serves what stands in for somebody else's server, and returns its address.
pub(crate) async fn stand_in(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A server of a model that always answers the same, and counts.
pub(crate) async fn model() -> (String, Arc<AtomicUsize>) {
    model_with_status(Arc::new(AtomicUsize::new(200))).await
}

/// The same with a status other than 200 as long as that is set; with 0 it never answers.
pub(crate) async fn model_with_status(status: Arc<AtomicUsize>) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let status = status.load(Ordering::Relaxed);
        async move {
            if status == 0 {
                std::future::pending::<()>().await;
            }
            let chunk = |delta: Value, reason: Value| json!({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
            let (words, end) = (
                chunk(json!({"content": "무릎뼈 둘레가 아프면 달리기를 사흘 쉽니다. [1]"}), Value::Null),
                chunk(json!({}), json!("stop")),
            );
            let body = format!("data: {words}\n\ndata: {end}\n\ndata: [DONE]\n\n");
            let status = axum::http::StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap();
            (status, [(axum::http::header::CONTENT_TYPE, "text/event-stream")], body)
        }
    };
    let router = Router::new().route("/v1/chat/completions", axum::routing::post(answer));
    let url = format!("{}/v1", stand_in(router).await);
    (url, asked)
}

/// Asks again until the answer is as wanted, for up to a minute.
pub(crate) async fn until(client: &Client, url: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = client.get(url).send().await.unwrap().json().await.unwrap_or_default();
        if is_wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{url}: {answer}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// All pages of a list, by their links: how many rows each has, and the rows.
pub(crate) async fn pages(client: &Client, service: &Running, first: &str) -> (Vec<usize>, Vec<Value>) {
    let (mut sizes, mut rows, mut next) = (Vec::new(), Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let answer = client.get(service.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        next = answer.headers().get("link").map(|link| {
            let (target, rest) = link.to_str().unwrap().strip_prefix('<').unwrap().split_once('>').unwrap();
            assert_eq!(rest, "; rel=\"next\"");
            target.to_owned()
        });
        let page: Vec<Value> = answer.json().await.unwrap();
        sizes.push(page.len());
        rows.extend(page);
    }
    (sizes, rows)
}

/// Waits until a service that was told to has ended, for up to half a minute.
pub(crate) async fn ended(service: &mut Running) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = service.ended().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it goes on: {}", service.logs());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// What a request is answered with; a refusal is a problem, for which there are Korean words.
pub(crate) async fn answered(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let kind = answer.headers().get("content-type").cloned();
    let value: Value = answer.json().await.unwrap_or_default();
    if !status.is_success() {
        assert_eq!(kind.unwrap(), "application/problem+json", "{url}");
        let detail = value.get("detail").and_then(Value::as_str).unwrap();
        // What is wrong within the service is told by its kind.
        let is_told = status.is_server_error() || Language::korean(detail).is_some();
        assert!(is_told, "{url}: there are no Korean words for `{detail}`");
    }
    (status, value)
}

/// Who asks.
pub(crate) trait Asks: Copy {
    /// The name and the role; `None` of whoever has no token.
    fn who(&self) -> Option<(&str, &str)>;
}

/// Makes a type that is a [`Desk`], for what the tests of one service ask besides.
macro_rules! is_a_desk {
    ($name:ident) => {
        struct $name(Desk);

        impl std::ops::Deref for $name {
            type Target = Desk;

            fn deref(&self) -> &Desk {
                &self.0
            }
        }

        impl std::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut Desk {
                &mut self.0
            }
        }
    };
}
pub(crate) use is_a_desk;

/// A service, and what it is asked.
pub(crate) struct Desk {
    name: &'static str,
    pub(crate) service: Running,
    pub(crate) client: Client,
}

impl Desk {
    /// As [`start`].
    pub(crate) fn start(
        name: &'static str,
        data: &Path,
        arguments: &[&str],
        configure: impl FnOnce(&mut Command),
    ) -> Self {
        Self { name, service: start(name, data, arguments, configure), client: patient().build().unwrap() }
    }

    /// As [`pages`], for somebody.
    pub(crate) async fn pages(&self, first: &str, who: impl Asks) -> (Vec<usize>, Vec<Value>) {
        let client = who.who().map_or_else(Client::new, |(name, role)| client(self.name, name, role));
        pages(&client, &self.service, first).await
    }

    pub(crate) fn request(&self, method: Method, path: &str, who: impl Asks) -> RequestBuilder {
        let request = self.client.request(method, self.service.url(path));
        let token = who.who().map(|(name, role)| token(self.name, name, role));
        token.into_iter().fold(request, RequestBuilder::bearer_auth)
    }

    /// Sends a request, under an idempotency key if there is one.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        who: impl Asks,
        key: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let request = self.request(method, path, who);
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        body.into_iter().fold(request, |request, body| request.json(&body)).send().await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        who: impl Asks,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let request = self.request(method, path, who);
        answered(body.into_iter().fold(request, |request, body| request.json(&body))).await
    }

    pub(crate) async fn get(&self, path: &str, who: impl Asks) -> Value {
        let (status, value) = self.ask(Method::GET, path, who, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    pub(crate) async fn post(&self, path: &str, who: impl Asks, body: Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, who, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {value}");
        value
    }

    /// Asks again until the answer is as wanted, for up to a minute.
    pub(crate) async fn until(
        &self,
        path: &str,
        who: impl Asks,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let answer = self.get(path, who).await;
            if is_wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path}: {answer}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Reads the metrics again until they tell all that is wanted, for up to a minute.
    pub(crate) async fn metrics(&self, wanted: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let answer = self.client.get(self.service.url("/metrics")).send().await.unwrap();
            let metrics = answer.text().await.unwrap();
            if wanted.iter().all(|wanted| metrics.contains(wanted)) {
                return metrics;
            }
            assert!(Instant::now() < deadline, "{wanted:?} is not in {metrics}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}
