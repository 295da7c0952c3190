//! Views, counted once a person, item and window: refreshing the page inflates nothing.
//!
//! A [`ViewCounter`] decides who has seen what in which window, and turns it into a mark that tells nobody who it was; a
//! [`ViewStore`] keeps marks and totals:
//!
//! | store | feature | memory |
//! |---|---|---|
//! | [`MemoryViews`] | – | the marks of the current window and the one before, up to a limit |
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

use std::fmt;
use std::net::IpAddr;
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
/// 1. **Once.** Of many that come with the same item, window and mark, at the same time or later, one counts.
/// 2. **Exact.** An item's total is the number of the different marks that counted, in all windows.
/// 3. **Windows.** A mark counts again in another window.
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

    /// Deletes the marks of the windows before this one, where the store does not do so by itself; returns how many. To be
    /// called once a window.
    ///
    /// # Errors
    ///
    /// As [`see`](Self::see).
    async fn clean_up(&self, before: ViewWindow) -> Result<u64> {
        let _ = before;
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

            async fn clean_up(&self, before: ViewWindow) -> Result<u64> {
                (**self).clean_up(before).await
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

    /// Deletes the marks of windows that are over, where the store does not do so by itself; returns how many. To be called
    /// once a window.
    ///
    /// # Errors
    ///
    /// As [`ViewStore::clean_up`].
    pub async fn clean_up(&self) -> Result<u64> {
        self.store.clean_up(self.window()).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use pumasi_core::time::ManualClock;

    const KEY: &[u8] = b"a key of 16 bytes";

    #[test]
    fn a_short_key_is_refused() {
        for key in [&b""[..], b"fifteen bytes.."] {
            let refused = ViewCounter::new(MemoryViews::new(), key).map_err(|error| error.kind());
            assert_eq!(refused.err(), Some(ErrorKind::InvalidInput));
        }
    }

    fn anonymous(address: &str, agent: &'static str) -> Viewer<'static> {
        Viewer::Anonymous { address: address.parse().unwrap(), agent }
    }

    #[tokio::test]
    async fn a_viewer_counts_once_an_hour() {
        let clock = ManualClock::new();
        let views = ViewCounter::new(MemoryViews::new(), KEY).unwrap().with_clock(Arc::new(clock.clone()));
        let mut totals = Vec::new();
        for _ in 0..7 {
            totals.push(views.see("글 1", anonymous("203.0.113.7", "Firefox")).await.unwrap().total);
            clock.advance(Duration::from_mins(20));
        }
        assert_eq!(totals, [1, 1, 1, 2, 2, 2, 3]);
        assert_eq!(views.totals(&["글 1", "글 2"]).await.unwrap(), [3, 0]);
    }

    #[tokio::test]
    async fn viewers_are_told_apart_and_robots_are_not_counted() {
        let views =
            ViewCounter::new(MemoryViews::new(), KEY).unwrap().with_clock(Arc::new(ManualClock::new()));
        for (viewer, counted) in [
            (anonymous("203.0.113.7", "Firefox"), true),
            (anonymous("203.0.113.7", "Safari"), true),
            (anonymous("::ffff:203.0.113.7", "Safari"), false),
            (anonymous("2001:db8:1:2:aaaa::1", "Safari"), true),
            (anonymous("2001:db8:1:2:bbbb::9", "Safari"), false),
            (anonymous("2001:db8:1:3::1", "Safari"), true),
            (anonymous("203.0.113.8", "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)"), false),
            (anonymous("203.0.113.8", ""), false),
            (Viewer::Member("민지"), true),
            (Viewer::Member("민지"), false),
        ] {
            let seen = views.see("post", viewer).await.unwrap();
            assert_eq!(seen.counted, counted, "{viewer:?}");
        }
        let strict = views.clone().with_robots(|viewer| matches!(viewer, Viewer::Anonymous { .. }));
        assert!(!strict.see("other", anonymous("203.0.113.7", "Firefox")).await.unwrap().counted);
    }

    #[test]
    fn robots_are_known_by_what_they_really_call_themselves_and_people_are_not_taken_for_them() {
        for (agent, is_robot) in [
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            ("Mozilla/5.0 (compatible; Yeti/1.1; +http://naver.me/spd)", true),
            ("Mozilla/5.0 (compatible; Daum/4.1; +http://cs.daum.net/faq/15/4118.html?faqId=28966)", true),
            ("Mozilla/5.0 (compatible; Daumoa/4.0)", true),
            ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", true),
            ("WhatsApp/2.23.20.0", true),
            ("Go-http-client/2.0", true),
            ("okhttp/4.12.0", true),
            ("axios/1.6.0", true),
            ("Apache-HttpClient/4.5.13 (Java/17.0.1)", true),
            ("Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)", true),
            ("Mediapartners-Google", true),
            ("ia_archiver", true),
            ("curl/8.5.0", true),
            (
                "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 KAKAOTALK 10.4.5",
                false,
            ),
            ("Mozilla/5.0 (Linux; Android 14) NAVER(inapp; search; 1000; 12.4.0)", false),
            ("Mozilla/5.0 (Linux; Android 14) DaumApps/7.0 DaumDevice/mobile", false),
        ] {
            assert_eq!(calls_itself_a_robot(&anonymous("203.0.113.8", agent)), is_robot, "{agent}");
        }
    }

    #[test]
    fn marks_of_one_viewer_have_nothing_in_common() {
        let views = ViewCounter::new(MemoryViews::new(), KEY).unwrap();
        let other = ViewCounter::new(MemoryViews::new(), b"another key of 16 bytes").unwrap();
        let viewer = Viewer::Member("민지");
        let window = |number| ViewWindow::new(number, Duration::ZERO);
        let marks = [
            views.mark("a", window(1), viewer),
            views.mark("a", window(2), viewer),
            views.mark("b", window(1), viewer),
            other.mark("a", window(1), viewer),
        ];
        let different: std::collections::HashSet<_> = marks.iter().collect();
        assert_eq!(different.len(), 4);
        assert_eq!(views.mark("a", window(1), viewer), marks[0]);
        let shown = format!("{viewer:?} {views:?}");
        assert!(!shown.contains("민지") && !shown.contains("key"), "{shown}");
    }
}
