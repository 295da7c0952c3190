//! An engine that is looked after: what it holds, how far it lags, and whether it has lost its documents.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::resilience::{BreakerState, within};
use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::{Engine, EngineState};
use crate::engine::Status;
use crate::fallback::{Answer, Backend, Gap};
use crate::page::{Page, Total};
use crate::query::Query;
use crate::{Error, ErrorKind, Result};

/// How long a look at an engine is good for: when it is looked at again, and for how long empty pages are believed after one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Watched {
    pub(super) engine: Engine,
    primary: bool,
    /// An index that holds less than this share of what is expected has lost documents.
    wiped_below: f64,
    seen: Mutex<Seen>,
    looking: AtomicBool,
    /// Held by who looks before an empty page is believed, so that one look does for all that wait for it.
    believing: tokio::sync::Mutex<()>,
    others: std::sync::OnceLock<Vec<Weak<Watched>>>,
}

/// What the looks at an engine have shown.
#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    status: Option<Status>,
    /// The most that this generation of the index has known, deleted documents included.
    most: u64,
    wiped: bool,
    /// Whether what it holds was declared right, whatever others hold.
    trusted: bool,
    /// The first and the newest of the looks in a row that showed it behind the others.
    behind: Option<(Instant, Instant)>,
    /// When a look last said that an empty page can be believed.
    believed: Option<Instant>,
}

impl Seen {
    /// How much the index should know.
    fn expected(&mut self, status: &Status, others: Option<u64>) -> u64 {
        if self.status.as_ref().is_some_and(|before| before.generation != status.generation) {
            self.most = 0;
        }
        let others = others.filter(|_| !self.trusted);
        let own = match (status.deleted, others) {
            // no delete makes this less
            (Some(_), _) => self.most,
            // its documents may become fewer by deletes: only that they are all gone tells anything, where nobody else does
            (None, None) => self.most.min(1),
            (None, Some(_)) => 0,
        };
        self.most = self.most.max(status.known());
        own.max(others.unwrap_or_default())
    }
}

impl Watched {
    pub(super) fn new(engine: Engine, primary: bool, wiped_below: f64) -> Self {
        Self {
            engine,
            primary,
            wiped_below,
            seen: Mutex::default(),
            looking: AtomicBool::new(false),
            believing: tokio::sync::Mutex::default(),
            others: std::sync::OnceLock::new(),
        }
    }

    /// Lets the engines know of one another.
    pub(super) fn introduce(all: &[Arc<Self>]) {
        for one in all {
            let others = all.iter().filter(|other| !Arc::ptr_eq(one, other)).map(Arc::downgrade).collect();
            let _first = one.others.set(others);
        }
    }

    pub(super) fn name(&self) -> &str {
        self.engine.name()
    }

    pub(super) fn state(&self, circuit: Option<BreakerState>) -> EngineState {
        let (documents, wiped) =
            self.seen(|seen| (seen.status.as_ref().map(|status| status.documents), seen.wiped));
        EngineState { engine: self.name().to_owned(), circuit, documents, lag: self.lag(), wiped }
    }

    /// Asks the engine how it stands, within `limit`, and judges it.
    pub(super) async fn look(&self, limit: Duration) -> Result<Status> {
        let status = within(&SystemClock, limit, self.engine.status()).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, format!("{} did not say how it stands", self.name())))
        })?;
        let others = self.others().filter_map(|other| other.documents()).max();
        let wiped = self.seen(|seen| {
            let expected = seen.expected(&status, others);
            seen.at = Some(SystemClock.instant());
            #[expect(clippy::cast_precision_loss, reason = "a share of documents")]
            let wiped = (status.known() as f64) < expected as f64 * self.wiped_below;
            if wiped && !seen.wiped {
                let (engine, documents) = (self.name(), status.documents);
                tracing::error!(engine, documents, expected, "the index has lost documents");
            }
            seen.wiped = wiped;
            seen.status = Some(status.clone());
            wiped
        });
        let (lag, now) = (self.lag(), SystemClock.instant());
        self.seen(|seen| {
            let first = seen.behind.map_or(now, |(first, _)| first);
            seen.behind = lag.filter(|lag| !lag.is_zero()).map(|_| (first, now));
        });
        metrics::gauge!("pumasi_search_documents", "engine" => self.name().to_owned())
            .set(u32::try_from(status.documents).map_or(f64::MAX, f64::from));
        if let Some(lag) = lag {
            metrics::gauge!("pumasi_search_lag_seconds", "engine" => self.name().to_owned())
                .set(lag.as_secs_f64());
        }
        if wiped { Err(self.lost()) } else { Ok(status) }
    }

    fn others(&self) -> impl Iterator<Item = Arc<Self>> {
        self.others.get().into_iter().flatten().filter_map(Weak::upgrade)
    }

    /// Takes what the engine holds now as right.
    pub(super) async fn trust(&self, limit: Duration) -> Result<()> {
        self.seen(|seen| {
            seen.trusted = true;
            seen.most = 0;
        });
        self.look(limit).await.map(drop)
    }

    fn documents(&self) -> Option<u64> {
        self.seen(|seen| seen.status.as_ref().map(|status| status.documents))
    }

    pub(super) fn applied(&self) -> Option<Timestamp> {
        self.seen(|seen| seen.status.as_ref().and_then(|status| status.applied))
    }

    pub(super) fn lag(&self) -> Option<Duration> {
        let newest = self.others().filter_map(|other| other.applied()).chain(self.applied()).max()?;
        Some(newest.saturating_since(self.applied()?))
    }

    /// How far it lags, if two looks in a row showed it behind: another engine may have a change a moment earlier.
    fn late(&self) -> Option<Duration> {
        let behind = self.seen(|seen| seen.behind);
        let known = behind.is_some_and(|(first, last)| last.saturating_duration_since(first) >= LOOK_EVERY);
        self.lag().filter(|_| known)
    }

    /// How many of the primary's deletes this one has not had, if both say how many they know.
    fn missed_deletes(&self) -> Option<u64> {
        let primary = self.others().find(|other| other.primary)?;
        let (theirs, wiped) = primary.seen(|seen| (seen.status.clone(), seen.wiped));
        let (theirs, ours) = (theirs.filter(|_| !wiped)?, self.seen(|seen| seen.status.clone())?);
        let missed = theirs.deleted?.checked_sub(ours.deleted?)?;
        Some(missed.min(ours.documents.checked_sub(theirs.documents)?)).filter(|missed| *missed > 0)
    }

    fn lost(&self) -> Error {
        Error::new(ErrorKind::Unavailable, format!("the index of {} has lost documents", self.name()))
    }

    /// Looks again in the background, if the last look is old.
    fn look_later(self: &Arc<Self>) {
        let due = self.seen(|seen| {
            seen.at.is_none_or(|at| SystemClock.instant().saturating_duration_since(at) >= LOOK_EVERY)
        });
        if !due || self.looking.swap(true, Ordering::SeqCst) {
            return;
        }
        let leave = Looking(Arc::downgrade(self));
        tokio::spawn(async move {
            if let Some(watched) = leave.0.upgrade() {
                // what could not be looked at is asked all the same, and has then its own error
                let _outcome = watched.look(LOOK_EVERY).await;
                watched.seen(|seen| seen.at = Some(SystemClock.instant()));
            }
        });
    }

    fn seen<R>(&self, with: impl FnOnce(&mut Seen) -> R) -> R {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An empty page of an index that may have been emptied is believed only after a look, which is then good for other pages too.
    async fn believe(&self, page: &Page, query: &Query, left: Duration) -> Result<()> {
        let empty = page.hits.is_empty()
            && query.after.is_none()
            && query.limit > 0
            && matches!(page.total, Total::Exact(0) | Total::Unknown);
        if !empty {
            return Ok(());
        }
        let _one = self.believing.lock().await;
        let now = SystemClock.instant();
        if self.seen(|seen| {
            !seen.wiped && seen.believed.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY)
        }) {
            return Ok(());
        }
        // a wiped index is told from an empty one by what the others hold
        let others = self.others().filter(|other| other.documents().is_none());
        let looks = others.map(|other| async move { other.look(left / 4).await.is_ok() });
        futures_util::future::join_all(looks).await;
        self.look(left).await?;
        self.seen(|seen| seen.believed = Some(SystemClock.instant()));
        Ok(())
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("engine", &self.name()).finish_non_exhaustive()
    }
}

struct Looking(Weak<Watched>);

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(watched) = self.0.upgrade() {
            watched.looking.store(false, Ordering::SeqCst);
        }
    }
}

/// A watched engine as a backend of the fallback.
#[derive(Debug)]
pub(super) struct EngineBackend(pub(super) Arc<Watched>);

#[async_trait]
impl Backend<Query, Arc<Page>> for EngineBackend {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn call(&self, query: Query, left: Duration) -> Result<Answer<Arc<Page>>> {
        let watched = &self.0;
        // the others are looked at too, so that it is known what is expected of this one while they are not asked
        watched.look_later();
        for other in watched.others() {
            other.look_later();
        }
        if watched.seen(|seen| seen.wiped) {
            return Err(watched.lost());
        }
        let mut page = watched.engine.search(&query, left).await?;
        watched.believe(&page, &query, left).await?;
        if watched.primary && query.after.as_ref().is_none_or(|after| after.engine == page.engine) {
            // its order is the one that the others' is measured by
            page.gaps.retain(|gap| *gap != Gap::Ranking);
        }
        let mut answer = Answer::new(()).with_gaps(page.gaps.iter().cloned());
        if !watched.primary && query.rank.needs_scores() && !page.gaps.contains(&Gap::Ranking) {
            answer = answer.with_gap(Gap::Ranking);
        }
        if let Some(missed) = watched.missed_deletes().filter(|_| !watched.primary) {
            answer = answer.with_gap(Gap::Deletes(missed));
        }
        answer.lag = if watched.primary { watched.late() } else { watched.lag() };
        Ok(answer.map(|()| Arc::new(page)))
    }

    /// Whether it has its documents, and finds one.
    async fn probe(&self, sample: Query, left: Duration) -> Result<()> {
        self.0.look(left).await?;
        let page = self.0.engine.search(&sample, left).await?;
        if Answer::new(()).with_gaps(page.gaps).is_partial() {
            return Err(Error::new(ErrorKind::Unavailable, format!("{} answers in part only", self.name())));
        }
        Ok(())
    }
}
