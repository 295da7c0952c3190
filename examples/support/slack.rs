//! A small Slack on the loopback, for demonstrations and tests: `chat.postMessage` and `conversations.replies`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The token that it takes.
pub const TOKEN: &str = "xoxb-not-a-real-token";

/// How many posts are kept, at least.
const KEPT: usize = 5_000;

/// What goes wrong with one call of `chat.postMessage`.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It is turned away, and may come back after so many seconds.
    RateLimited(u64),
    /// It is turned away for an error of Slack's own.
    Refused,
    /// It is refused under this name: `invalid_auth`, `not_in_channel`.
    Denied(&'static str),
    /// The message is taken, and the answer says that something broke.
    TakenAndFailed,
    /// The message is taken, and the answer takes so long.
    TakenAndSlow(Duration),
    /// The message is taken after so long; one that is given up before is not.
    Slow(Duration),
    /// The message is taken once [`FakeSlack::let_go`] says so; one that is given up before is not.
    Held,
}

/// A message that was posted.
#[derive(Clone, Debug)]
pub struct Post {
    /// The channel.
    pub channel: String,
    /// The thread that it answers.
    pub thread: Option<String>,
    /// Its own time.
    pub ts: String,
    /// The text.
    pub text: String,
    metadata: Value,
}

#[derive(Debug, Default)]
struct Inside {
    posts: Vec<Post>,
    faults: VecDeque<Fault>,
    /// The name under which every post is refused that meets no fault of its own.
    refusal: Option<&'static str>,
    posted: u64,
    calls: usize,
    lets_go: bool,
    lookups: usize,
}

#[derive(Debug, Default)]
struct Shared {
    inside: Mutex<Inside>,
    changed: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what is held is let go.
    async fn held(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().lets_go {
                return;
            }
            changed.await;
        }
    }
}

/// It runs until it is dropped.
#[derive(Debug)]
pub struct FakeSlack {
    shared: Arc<Shared>,
    url: String,
    task: JoinHandle<()>,
}

impl FakeSlack {
    /// Starts one on a free port of the loopback.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/api/chat.postMessage", post(post_message))
            .route("/api/conversations.replies", get(replies))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the stand-in for Slack ended: {error}");
            }
        });
        Ok(Self { shared, url, task })
    }

    /// The base URL of its API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the next posts go wrong, one each.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.extend(faults);
    }

    /// Refuses every further post under this name (`not_in_channel`), or takes them again.
    pub fn refuse(&self, name: Option<&'static str>) {
        self.shared.lock().refusal = name;
    }

    /// Tells whether posts are refused.
    pub fn refuses(&self) -> bool {
        self.shared.lock().refusal.is_some()
    }

    /// Takes what is held, and holds nothing more.
    pub fn let_go(&self) {
        self.shared.lock().lets_go = true;
        self.shared.changed.notify_waiters();
    }

    /// How often it was asked to post, whatever became of it.
    pub fn calls(&self) -> usize {
        self.shared.lock().calls
    }

    /// What was posted so far; of very many, the last ones.
    pub fn posts(&self) -> Vec<Post> {
        self.shared.lock().posts.clone()
    }

    /// How often a thread was looked through.
    pub fn lookups(&self) -> usize {
        self.shared.lock().lookups
    }

    /// Waits until there are `count` posts.
    pub async fn wait_for(&self, count: usize) -> Vec<Post> {
        loop {
            let changed = self.shared.changed.notified();
            let posts = self.posts();
            if posts.len() >= count {
                return posts;
            }
            changed.await;
        }
    }
}

impl Drop for FakeSlack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn post_message(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    if !knows(&headers) {
        return refused("invalid_auth");
    }
    let fault = {
        let mut inside = shared.lock();
        inside.calls += 1;
        let refusal = inside.refusal.map(Fault::Denied);
        inside.faults.pop_front().or(refusal)
    };
    match fault {
        Some(Fault::RateLimited(seconds)) => {
            return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())])
                .into_response();
        }
        Some(Fault::Refused) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Denied(name)) => return refused(name),
        Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
        Some(Fault::Held) => shared.held().await,
        _ => {}
    }
    let text = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(channel), Some(words)) = (text("channel"), text("text").filter(|words| !words.is_empty()))
    else {
        return refused("no_text");
    };
    let ts = {
        let mut inside = shared.lock();
        inside.posted += 1;
        let ts = format!("1767225700.{:06}", inside.posted);
        if inside.posts.len() >= 2 * KEPT {
            inside.posts.drain(..KEPT);
        }
        inside.posts.push(Post {
            channel: channel.clone(),
            thread: text("thread_ts"),
            ts: ts.clone(),
            text: words,
            metadata: message.get("metadata").cloned().unwrap_or_default(),
        });
        ts
    };
    shared.changed.notify_waiters();
    match fault {
        Some(Fault::TakenAndFailed) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Fault::TakenAndSlow(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    Json(json!({"ok": true, "channel": channel, "ts": ts})).into_response()
}

async fn replies(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    if !knows(&headers) {
        return refused("invalid_auth");
    }
    let mut inside = shared.lock();
    inside.lookups += 1;
    let is_asked =
        |post: &&Post| asked.get("channel") == Some(&post.channel) && asked.get("ts") == post.thread.as_ref();
    let messages: Vec<Value> = inside
        .posts
        .iter()
        .filter(is_asked)
        .map(|post| json!({"ts": post.ts, "text": post.text, "metadata": post.metadata}))
        .collect();
    Json(json!({"ok": true, "messages": messages, "has_more": false})).into_response()
}

fn knows(headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == format!("Bearer {TOKEN}").as_bytes())
}

fn refused(error: &str) -> Response {
    Json(json!({"ok": false, "error": error})).into_response()
}
