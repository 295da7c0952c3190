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

/// How long a node has to be waited for in vain to count as failed when the call is given up: callers end some at once.
const HEARD: Duration = Duration::from_millis(10);

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
    state: Mutex<State>,
}

/// How a node stands.
#[derive(Default)]
struct State {
    /// How often it failed in a row.
    failures: u32,
    /// Until when it is left alone.
    until: Option<Instant>,
    /// Whether a call tries it out.
    trying: bool,
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
        self.state.lock().map_or(true, |state| state.until.is_none_or(|until| until <= now))
    }

    fn failed(&self) {
        if let Ok(mut state) = self.state.lock() {
            let now = Instant::now();
            // calls that failed together are one failure
            if !state.trying && state.until.is_some_and(|until| until > now) {
                return;
            }
            state.trying = false;
            state.failures = state.failures.saturating_add(1);
            let wait = SHORTEST.saturating_mul(1 << state.failures.saturating_sub(1).min(10)).min(LONGEST);
            state.until = now.checked_add(wait);
        }
    }

    /// Lets this call try a node out that was left alone for long enough, and others leave it alone meanwhile.
    fn try_out(&self) {
        if let Ok(mut state) = self.state.lock()
            && state.failures > 0
        {
            state.trying = true;
            state.until = Instant::now().checked_add(SHORTEST);
        }
    }

    fn answered(&self) {
        if let Ok(mut state) = self.state.lock() {
            *state = State::default();
        }
    }

    fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// A node while it is asked: a call that is given up, by its caller or for the time, is a failure too.
struct Asked<'a> {
    node: &'a Node,
    since: Instant,
    open: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.open && self.since.elapsed() >= HEARD {
            self.node.failed();
        }
    }
}

impl Nodes {
    pub(super) fn new(client: Client, urls: &[String]) -> Result<Self> {
        let parse = |url: &String| {
            let url = url.parse::<Url>().ok().filter(|url| !url.cannot_be_a_base());
            let url = url.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a node's address is no URL"))?;
            Ok(Node { url, state: Mutex::default() })
        };
        let nodes: Vec<Node> = urls.iter().map(parse).collect::<Result<_>>()?;
        if nodes.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a cluster has no node"));
        }
        Ok(Self { client, nodes, next: AtomicUsize::new(0) })
    }

    /// Calls one node after the other until one answers or time is up, each for its share of the time that is left; every call may
    /// be made twice, since writes carry their versions.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Body,
        time_left: Duration,
    ) -> Result<(StatusCode, Json)> {
        let ends = Instant::now().checked_add(time_left);
        let mut last = Error::new(ErrorKind::Timeout, "the search cluster was not answered in time");
        for (node, alive) in self.in_turn() {
            let left = ends.map_or(time_left, |ends| ends.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            if alive > 0 {
                node.try_out();
            }
            let mut asked = Asked { node, since: Instant::now(), open: true };
            let share = left / u32::try_from(alive).unwrap_or(u32::MAX).max(1);
            let outcome =
                tokio::time::timeout(share, self.ask(node, method.clone(), path, body, share)).await;
            asked.open = false;
            let outcome = outcome.unwrap_or_else(|_| {
                let what = format!("the search node {} did not answer in time", node.name());
                Err(Error::new(ErrorKind::Timeout, what))
            });
            match outcome {
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

    /// The nodes that are alive, from the next in turn on, each with how many of them are still to come, itself included; the dead
    /// ones behind them, since the last one is never given up.
    fn in_turn(&self) -> impl Iterator<Item = (&Node, usize)> {
        let (now, from) = (Instant::now(), self.next.fetch_add(1, Ordering::Relaxed));
        let turn = move || self.nodes.iter().cycle().skip(from % self.nodes.len()).take(self.nodes.len());
        let alive: Vec<&Node> = turn().filter(|node| node.is_alive(now)).collect();
        let count = alive.len();
        let alive = alive.into_iter().enumerate().map(move |(place, node)| (node, count - place));
        alive.chain(turn().filter(move |node| !node.is_alive(now)).map(|node| (node, 0)))
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
