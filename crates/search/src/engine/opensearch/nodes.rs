//! Several nodes, of which some may be dead.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value as Json;

use crate::{Error, ErrorKind, Result};

/// How long a node that failed once is left alone; twice as long each time again, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(500);

/// The longest time a node is left alone.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest answer that is read, in bytes.
const LARGEST: usize = 256 << 20;

/// A body on its way.
pub(super) enum Body {
    None,
    Json(Json),
    /// Lines of JSON, for `_bulk`.
    Lines(String),
}

struct Node {
    url: Url,
    /// How often it failed in a row, and until when it is left alone.
    state: Mutex<(u32, Option<Instant>)>,
}

/// The nodes of a cluster, asked in turn; one that fails is left alone for a while.
pub(super) struct Nodes {
    client: Client,
    nodes: Vec<Node>,
    next: AtomicUsize,
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes").field("count", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl Node {
    fn is_alive(&self, now: Instant) -> bool {
        self.state.lock().map_or(true, |state| state.1.is_none_or(|until| until <= now))
    }

    fn failed(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.0 = state.0.saturating_add(1);
            let wait = SHORTEST.saturating_mul(1 << state.0.saturating_sub(1).min(10)).min(LONGEST);
            state.1 = Instant::now().checked_add(wait);
        }
    }

    fn answered(&self) {
        if let Ok(mut state) = self.state.lock() {
            *state = (0, None);
        }
    }

    fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl Nodes {
    pub(super) fn new(client: Client, urls: &[String]) -> Result<Self> {
        let parse = |url: &String| {
            let url = url.parse::<Url>().ok().filter(|url| !url.cannot_be_a_base());
            let url = url.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a node's address is no URL"))?;
            Ok(Node { url, state: Mutex::new((0, None)) })
        };
        let nodes: Vec<Node> = urls.iter().map(parse).collect::<Result<_>>()?;
        if nodes.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a cluster has no node"));
        }
        Ok(Self { client, nodes, next: AtomicUsize::new(0) })
    }

    /// Calls one node after the other until one answers or time is up; every call may be made twice, since writes carry their
    /// versions.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Body,
        time_left: Duration,
    ) -> Result<(StatusCode, Json)> {
        let ends = Instant::now().checked_add(time_left);
        let mut last = Error::new(ErrorKind::Timeout, "the search cluster was not answered in time");
        for node in self.in_turn() {
            let left = ends.map_or(time_left, |ends| ends.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            match self.ask(node, method.clone(), path, body, left).await {
                Ok((status, json)) if !is_down(status) => {
                    node.answered();
                    return Ok((status, json));
                }
                Ok((status, _)) => {
                    node.failed();
                    let what = format!("the search node {} answered {}", node.name(), status.as_u16());
                    last = Error::new(ErrorKind::Unavailable, what);
                }
                Err(error) => {
                    node.failed();
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// The nodes that are alive, from the next in turn on; the dead ones behind them, since the last one is never given up.
    fn in_turn(&self) -> impl Iterator<Item = &Node> {
        let (now, from) = (Instant::now(), self.next.fetch_add(1, Ordering::Relaxed));
        let turn = move || self.nodes.iter().cycle().skip(from % self.nodes.len()).take(self.nodes.len());
        turn().filter(move |node| node.is_alive(now)).chain(turn().filter(move |node| !node.is_alive(now)))
    }

    async fn ask(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: &Body,
        time_left: Duration,
    ) -> Result<(StatusCode, Json)> {
        let broken = |what: &str, error: reqwest::Error| {
            // the address may hold a password
            let error = error.without_url();
            let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
            Error::new(kind, format!("the search node {} {what}", node.name())).with_source(error)
        };
        let url = node
            .url
            .join(path)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "an index has no proper name"))?;
        let request = self.client.request(method, url).timeout(time_left);
        let request = match body {
            Body::None => request,
            Body::Json(json) => request.json(json),
            Body::Lines(lines) => request.header("content-type", "application/x-ndjson").body(lines.clone()),
        };
        let mut response = request.send().await.map_err(|error| broken("could not be asked", error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| broken("broke its answer off", error))?
        {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    "an answer of the search cluster is longer than 256 MB",
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        if is_down(status) {
            return Ok((status, Json::Null));
        }
        let json = serde_json::from_slice(&bytes).map_err(|_| {
            let what = format!("the search node {} answered no JSON", node.name());
            Error::new(ErrorKind::Unavailable, what)
        })?;
        Ok((status, json))
    }
}

/// Tells whether an answer means that the node, or a proxy before it, cannot serve.
fn is_down(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}
