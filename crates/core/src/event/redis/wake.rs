//! Wakes waiting fetches: a connection of its own listens for the topics on which something became available.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use redis::Client;
use tokio::sync::{Notify, watch};

/// How long to wait before listening again when the connection broke.
const PAUSE: Duration = Duration::from_millis(500);

/// The members of this process, by topic.
#[derive(Default)]
pub(super) struct Wakes {
    waiting: Mutex<HashMap<String, Vec<Weak<Notify>>>>,
}

impl Wakes {
    pub(super) fn register<'a>(&self, topics: impl Iterator<Item = &'a str>, member: &Arc<Notify>) {
        let mut waiting = self.lock();
        for topic in topics {
            let members = waiting.entry(topic.to_owned()).or_default();
            members.retain(|member| member.strong_count() > 0);
            members.push(Arc::downgrade(member));
        }
    }

    fn wake(&self, topic: &str) {
        for member in self.lock().get(topic).into_iter().flatten().filter_map(Weak::upgrade) {
            member.notify_waiters();
        }
    }

    /// Messages may have been missed.
    fn wake_all(&self) {
        for member in self.lock().values().flatten().filter_map(Weak::upgrade) {
            member.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Weak<Notify>>>> {
        // Every change of the map is complete before anything in it can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for ever; `tried` becomes true when the first attempt to listen has succeeded or failed.
    pub(super) async fn listen(
        self: Arc<Self>,
        client: Client,
        channel: String,
        timeout: Duration,
        tried: watch::Sender<bool>,
    ) {
        loop {
            let begin = async {
                let mut listener = client.get_async_pubsub().await?;
                listener.subscribe(&channel).await?;
                Ok::<_, redis::RedisError>(listener)
            };
            let listener = tokio::time::timeout(timeout, begin).await;
            tried.send_replace(true);
            match listener {
                Ok(Ok(listener)) => {
                    let mut messages = listener.into_on_message();
                    self.wake_all();
                    while let Some(message) = messages.next().await {
                        if let Ok(topic) = std::str::from_utf8(message.get_payload_bytes()) {
                            self.wake(topic);
                        }
                    }
                    tracing::debug!("the connection that wakes fetches broke; they poll until it is back");
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::debug!("nothing wakes fetches for now; they poll");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
