//! Views on a Redis server.

use std::fmt;
use std::sync::Arc;

use ::redis::{Script, cmd};
use async_trait::async_trait;
use pumasi_core::redis_link::RedisLink;
use pumasi_core::time::{Clock, SystemClock};

use super::{LAG, Mark, Seen, ViewStore, ViewWindow};
use crate::Result;
use crate::reactions::check_id;

/// Keeps views on a Redis server (4 or newer): the marks of an item in a window are a set that goes by itself, the totals one hash.
///
/// No cluster: marks and totals are not in one slot. Clones share the connection.
///
/// ```
/// use pumasi_search::views::RedisViews;
///
/// let views = RedisViews::open("redis://127.0.0.1:6379")?.with_prefix("posts:view:");
/// # let _ = views;
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisViews {
    link: RedisLink,
    prefix: Arc<str>,
    see: Arc<Script>,
    forget: Arc<Script>,
}

impl RedisViews {
    /// Makes a store on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::new(RedisLink::open(url)?))
    }

    /// Makes a store on the server of `link`.
    pub fn new(link: RedisLink) -> Self {
        let script = |lua| Arc::new(Script::new(lua));
        Self {
            link,
            prefix: "pumasi:view:".into(),
            see: script(include_str!("lua/see.lua")),
            forget: script(include_str!("lua/forget.lua")),
        }
    }

    /// Sets what every key begins with on the server (default `pumasi:view:`).
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    fn totals_key(&self) -> String {
        format!("{}totals", self.prefix)
    }
}

impl fmt::Debug for RedisViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisViews")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ViewStore for RedisViews {
    async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen> {
        check_id("an item", item)?;
        let (number, mark) = (window.number.to_string(), mark.number().to_string());
        let kept = (window.remaining + LAG).as_millis().to_string();
        let now = SystemClock.now().as_micros().div_euclid(1_000).to_string();
        let arguments = [&*self.prefix, item, &number, &mark, &kept, &now].map(str::as_bytes);
        let (counted, total): (bool, u64) =
            self.link.run("counting a view", &self.see, &[], &arguments).await?;
        Ok(Seen { counted, total })
    }

    async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = cmd("HMGET");
        get.arg(self.totals_key()).arg(items);
        let totals: Vec<Option<u64>> = self.link.query("reading views", &get).await?;
        Ok(totals.into_iter().map(Option::unwrap_or_default).collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        let arguments = [&*self.prefix, item].map(str::as_bytes);
        self.link.run::<u64>("forgetting views", &self.forget, &[], &arguments).await.map(drop)
    }
}
