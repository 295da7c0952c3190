//! Views, counted once a person, item and window: refreshing the page inflates nothing.
//!
//! A [`ViewCounter`] decides who has seen what in which window, and turns it into a mark that tells nobody who it was; a
//! [`ViewStore`] keeps marks and totals:
//!
//! | store | feature | memory |
//! |---|---|---|
//! | [`MemoryViews`] | – | the marks of a window until a minute after it, up to a limit |
//! | `SqliteViews` | `sqlite` (default) | a row a viewer in the file, until [`clean_up`](ViewStore::clean_up) |
//! | `RedisViews` | `redis` | 8 bytes a viewer of an item while it has up to 512 a window, some 50 beyond; gone when the window is over |
//! | `PostgresViews` | `postgres` | a row a viewer, until [`clean_up`](ViewStore::clean_up) |

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use pumasi_core::time::{Clock, SystemClock};
use sha2::Sha256;

pub use memory::MemoryViews;
#[cfg(feature = "postgres")]
pub use postgres::PostgresViews;
#[cfg(feature = "redis")]
pub use redis::RedisViews;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteViews;

use crate::reactions::check_id;
use crate::{Error, ErrorKind, Result};

/// For how long stores that drop marks by themselves keep them after their window, for processes whose clock lags.
const LAG: Duration = Duration::from_mins(1);

/// How far ahead a window begins that only a wrong clock can have seen views in.
const FAR_AHEAD: Duration = Duration::from_hours(24);

/// The shortest key of a [`ViewCounter`], in bytes.
const SHORTEST_KEY: usize = 16;

/// Who looks at an item.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Viewer<'a> {
    /// A person who is known by an id.
    Member(&'a str),
    /// Somebody who is known by nothing but the address, and what the browser calls itself: several people behind one address
    /// with the same browser are one viewer.
    Anonymous {
        /// The address. Of version 6 the first 64 bits count, which is what a household or a phone is given.
        address: IpAddr,
        /// The `User-Agent` header; empty if there is none.
        agent: &'a str,
    },
}

/// Leaves out who it is.
impl fmt::Debug for Viewer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member(_) => "Member",
            Self::Anonymous { .. } => "Anonymous",
        })
    }
}

/// A viewer of an item in a window, as a keyed hash that tells nobody who it was and is another one in every window and for
/// every item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(i64);

impl Mark {
    /// Makes a mark of a number, for tests of stores.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// A stretch of time in which a viewer counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ViewWindow {
    /// The number of the window since 1970.
    pub number: i64,
    /// For how long from now on its marks are needed.
    pub remaining: Duration,
}

impl ViewWindow {
    /// Makes a window, for tests of stores.
    pub const fn new(number: i64, remaining: Duration) -> Self {
        Self { number, remaining }
    }
}

/// What became of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Seen {
    /// Whether it counted.
    pub counted: bool,
    /// How often the item has been seen, this time included if it counted.
    pub total: u64,
}

impl Seen {
    /// Makes an answer, for stores.
    pub const fn new(counted: bool, total: u64) -> Self {
        Self { counted, total }
    }
}

/// Keeps marks for a window, and totals.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::views`):
///
/// 1. **Once.** Of many that come with the same item, window and mark, at the same time or later, one counts, whatever other windows
///    are looked at meanwhile; until the window is over, when nobody comes with it any more.
/// 2. **Exact.** An item's total is the number of the different marks that counted, in all windows.
/// 3. **Windows.** A mark counts again in another window. That goes for one that somebody's clock had run ahead to, too, once what
///    that left was [cleaned up](Self::clean_up).
/// 4. **Forgotten.** After [`forget`](Self::forget) the item was never seen: who had seen it counts again, in the same window too.
///    A view that comes at the same time is forgotten with its mark, or both stand.
#[async_trait]
pub trait ViewStore: fmt::Debug + Send + Sync {
    /// Counts a view, unless its mark has counted in this window.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the item's id is empty, longer than 512 bytes or holds a NUL; `Storage`, `Unavailable` or `Timeout`
    /// if the store failed: repeating the call is safe.
    async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen>;

    /// Tells how often items were seen, each in its place.
    ///
    /// # Errors
    ///
    /// As [`see`](Self::see).
    async fn totals(&self, items: &[&str]) -> Result<Vec<u64>>;

    /// Forgets an item that is no more.
    ///
    /// # Errors
    ///
    /// As [`see`](Self::see).
    async fn forget(&self, item: &str) -> Result<()>;

    /// Deletes the marks of all windows but these, where the store does not do so by itself; returns how many. To be called once a
    /// window.
    ///
    /// # Errors
    ///
    /// As [`see`](Self::see).
    async fn clean_up(&self, kept: RangeInclusive<i64>) -> Result<u64> {
        let _ = kept;
        Ok(0)
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: ViewStore + ?Sized> ViewStore for $pointer {
            async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen> {
                (**self).see(item, window, mark).await
            }

            async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
                (**self).totals(items).await
            }

            async fn forget(&self, item: &str) -> Result<()> {
                (**self).forget(item).await
            }

            async fn clean_up(&self, kept: RangeInclusive<i64>) -> Result<u64> {
                (**self).clean_up(kept).await
            }
        }
    )+};
}

forward!(Box<S>, Arc<S>);

type IsRobot = Arc<dyn Fn(&Viewer<'_>) -> bool + Send + Sync>;

/// Counts how often items are seen: once a person, item and window (default an hour).
///
/// Windows follow one another without overlap: somebody who looks at 10:59 and again at 11:01 counts twice.
///
/// **Anonymous.** Stores get a hash (HMAC-SHA-256) of viewer, item and window under your key. Without the key nobody can try
/// addresses out, and marks of one viewer in two windows or for two items have nothing in common. Change the key when you
/// like; viewers of the current window count once more then. All processes of a service use the same key.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_search::views::{MemoryViews, ViewCounter, Viewer};
///
/// let views = ViewCounter::new(MemoryViews::new(), b"a long random secret of this service")?;
/// let reader = Viewer::Anonymous { address: "203.0.113.7".parse().unwrap(), agent: "Firefox" };
/// assert_eq!(views.see("post-1", reader).await?.total, 1);
/// assert_eq!(views.see("post-1", reader).await?.total, 1); // the page was loaded again
/// assert_eq!(views.see("post-1", Viewer::Member("민지")).await?.total, 2);
/// # Ok::<(), pumasi_search::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ViewCounter {
    store: Arc<dyn ViewStore>,
    mac: Hmac<Sha256>,
    window: Duration,
    is_robot: IsRobot,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ViewCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewCounter")
            .field("store", &self.store)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl ViewCounter {
    /// Makes a counter; `key` is a secret of at least 16 random bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a shorter key.
    pub fn new(store: impl ViewStore + 'static, key: &[u8]) -> Result<Self> {
        let mac = Hmac::new_from_slice(key).ok().filter(|_| key.len() >= SHORTEST_KEY);
        let short = || Error::new(ErrorKind::InvalidInput, "the key of views is shorter than 16 bytes");
        Ok(Self {
            store: Arc::new(store),
            mac: mac.ok_or_else(short)?,
            window: Duration::from_hours(1),
            is_robot: Arc::new(calls_itself_a_robot),
            clock: Arc::new(SystemClock),
        })
    }

    /// Sets for how long a viewer of an item counts once (default an hour; at least a second).
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window.max(Duration::from_secs(1));
        self
    }

    /// Sets who is not counted (default: who [calls itself a robot](calls_itself_a_robot)).
    #[must_use]
    pub fn with_robots(mut self, is_robot: impl Fn(&Viewer<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.is_robot = Arc::new(is_robot);
        self
    }

    /// Sets the clock by which windows follow one another (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Counts that somebody looks at an item, unless they have in this window, or are a robot.
    ///
    /// # Errors
    ///
    /// As [`ViewStore::see`].
    pub async fn see(&self, item: &str, viewer: Viewer<'_>) -> Result<Seen> {
        check_id("an item", item)?;
        if (self.is_robot)(&viewer) {
            let total = self.store.totals(&[item]).await?;
            return Ok(Seen { counted: false, total: total.first().copied().unwrap_or(0) });
        }
        let window = self.window();
        self.store.see(item, window, self.mark(item, window, viewer)).await
    }

    /// Tells how often items were seen, each in its place.
    ///
    /// # Errors
    ///
    /// As [`ViewStore::totals`].
    pub async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
        self.store.totals(items).await
    }

    /// Deletes the marks of windows that are over, where the store does not do so by itself; returns how many. To be called once a
    /// window.
    ///
    /// Those of windows that begin more than a day from now go, too: a clock that ran ahead has left them. A process whose own clock lags
    /// by less than a day deletes none that others need.
    ///
    /// # Errors
    ///
    /// As [`ViewStore::clean_up`].
    pub async fn clean_up(&self) -> Result<u64> {
        let now = self.window().number;
        let ahead = FAR_AHEAD.as_micros().div_ceil(self.window.as_micros().max(1));
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        self.store.clean_up(now..=now.saturating_add(ahead)).await
    }

    fn window(&self) -> ViewWindow {
        let now = self.clock.now().as_micros();
        let length = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        let passed = now.rem_euclid(length);
        let remaining = Duration::from_micros(u64::try_from(length - passed).unwrap_or(0));
        ViewWindow { number: now.div_euclid(length), remaining }
    }

    fn mark(&self, item: &str, window: ViewWindow, viewer: Viewer<'_>) -> Mark {
        let mut mac = self.mac.clone();
        // Each part is of known length, or is told its length, so that no two viewers make the same bytes.
        mac.update(&window.number.to_be_bytes());
        mac.update(&(item.len() as u64).to_be_bytes());
        mac.update(item.as_bytes());
        match viewer {
            Viewer::Member(id) => {
                mac.update(b"m");
                mac.update(id.as_bytes());
            }
            Viewer::Anonymous { address, agent } => {
                match address.to_canonical() {
                    IpAddr::V4(address) => {
                        mac.update(b"4");
                        mac.update(&address.octets());
                    }
                    IpAddr::V6(address) => {
                        mac.update(b"6");
                        mac.update(&address.octets()[..8]);
                    }
                }
                mac.update(agent.as_bytes());
            }
        }
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        Mark(hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first)))
    }
}

/// Tells whether somebody's browser says that it is a robot, or says nothing.
///
/// The words are those by which crawlers, link previews and libraries name themselves: Google's, Naver's, Daum's, KakaoTalk's,
/// Facebook's and WhatsApp's among them. A robot that does not say so is counted; who needs more, or whose own app calls itself
/// by its library (`okhttp`), brings a [rule of their own](ViewCounter::with_robots).
pub fn calls_itself_a_robot(viewer: &Viewer<'_>) -> bool {
    const WORDS: [&str; 33] = [
        "bot",
        "crawl",
        "spider",
        "slurp",
        "preview",
        "fetch",
        "scrap",
        "headless",
        "curl/",
        "wget/",
        "python",
        "java/",
        "yeti/",
        "daum/",
        "daumoa",
        "externalhit",
        "meta-external",
        "whatsapp/",
        "http-client",
        "httpclient",
        "okhttp",
        "axios/",
        "undici",
        "libwww",
        "guzzle",
        "reqwest",
        "postman",
        "inspectiontool",
        "mediapartners",
        "ia_archiver",
        "lighthouse",
        "embedly",
        "feedburner",
    ];
    match viewer {
        Viewer::Member(_) => false,
        Viewer::Anonymous { agent, .. } => {
            // The phones of CUBOT are none.
            let agent = agent.to_ascii_lowercase().replace("cubot", "");
            agent.is_empty() || WORDS.iter().any(|word| agent.contains(word))
        }
    }
}
