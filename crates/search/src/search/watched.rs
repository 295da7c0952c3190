//! An engine that is looked after: what it holds, how far it lags, and whether it has lost its documents.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::resilience::{BreakerState, within};
use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::owed::Owed;
use super::seen::{Compared, Newest, Seen, Trouble};
use super::{Engine, EngineState};
use crate::engine::{AHEAD, Change, Status};
use crate::fallback::{Answer, AnswerCache, Backend, Gap};
use crate::page::{Page, Total};
use crate::query::Query;
use crate::{Error, ErrorKind, Result};

/// How long a look at an engine is good for: when it is looked at again, and for how long empty pages are believed after one.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is later than what is allowed is so by this at least.
const SOON: Duration = Duration::from_millis(1);

/// An engine that knows a smaller share of what another holds lacks documents, where it lacks more than a few.
const WHOLE_FROM: f64 = 0.99;
const FEW: u64 = 10;

pub(super) struct Watched {
    pub(super) engine: Engine,
    newest: Arc<Newest>,
    primary: bool,
    /// How far it may lag.
    fresh_within: Duration,
    /// An index that holds less than this share of what is expected has lost documents.
    wiped_below: f64,
    seen: Mutex<Seen>,
    owed: Mutex<Owed>,
    looking: AtomicBool,
    /// Held by who looks before an empty page is believed, so that one look does for all that wait for it.
    believing: tokio::sync::Mutex<()>,
    others: std::sync::OnceLock<Vec<Weak<Watched>>>,
    kept: std::sync::OnceLock<Kept>,
}

/// The primary's pages that are kept, for as long as nothing is known against them.
pub(super) struct Kept {
    cache: Option<AnswerCache<Query, Arc<Page>>>,
    /// Whether something is, so that they were made old.
    withdrawn: AtomicBool,
}

impl Kept {
    pub(super) fn new(cache: Option<AnswerCache<Query, Arc<Page>>>) -> Self {
        Self { cache, withdrawn: AtomicBool::new(false) }
    }
}

impl Watched {
    pub(super) fn new(
        engine: Engine,
        newest: &Arc<Newest>,
        primary: bool,
        wiped_below: f64,
        fresh_within: Duration,
    ) -> Self {
        Self {
            engine,
            newest: Arc::clone(newest),
            primary,
            fresh_within,
            wiped_below,
            seen: Mutex::default(),
            owed: Mutex::default(),
            looking: AtomicBool::new(false),
            believing: tokio::sync::Mutex::default(),
            others: std::sync::OnceLock::new(),
            kept: std::sync::OnceLock::new(),
        }
    }

    /// Says where pages of this engine are kept.
    pub(super) fn keeps(&self, kept: Kept) {
        let _first = self.kept.set(kept);
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
        self.judge(self.ask(limit).await?).await
    }

    pub(super) async fn ask(&self, limit: Duration) -> Result<Status> {
        let source = self.newest.get();
        let status = within(&SystemClock, limit, self.engine.status()).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, format!("{} did not say how it stands", self.name())))
        })?;
        self.seen(|seen| seen.source = source);
        Ok(status)
    }

    /// Judges what the engine said of itself by what it said before, and by what the others hold.
    pub(super) async fn judge(&self, status: Status) -> Result<Status> {
        let others = self.held_by_others();
        let wiped = self.seen(|seen| {
            let expected = seen.expected(status.generation, status.deleted.is_some(), others);
            seen.remember(status.generation, status.known());
            let now = SystemClock.instant();
            seen.at = Some(now);
            seen.steps.saw(status.applied, now);
            let wiped = is_below(status.known(), self.wiped_below, expected);
            if wiped && !seen.wiped {
                let (engine, documents) = (self.name(), status.documents);
                tracing::error!(engine, documents, expected, "the index has lost documents");
            }
            seen.wiped = wiped;
            if seen.status.as_ref().is_some_and(|before| status.applied < before.applied) {
                // it has lost changes: what it had no need of tells no more how far it had come
                seen.needless = None;
            }
            seen.status = Some(status.clone());
            wiped
        });
        metrics::gauge!("pumasi_search_documents", "engine" => self.name().to_owned())
            .set(u32::try_from(status.documents).map_or(f64::MAX, f64::from));
        self.compare(true);
        // what this one holds says something of the others too, of one that is away above all
        self.others().for_each(|other| other.compare(false));
        self.withdraw().await;
        for other in self.others() {
            other.withdraw().await;
        }
        if wiped { Err(self.lost()) } else { Ok(status) }
    }

    /// Notes how it stands beside the others after a look: at itself, or at one of them.
    fn compare(&self, own: bool) {
        let (behind, lacks, now) = (self.behind(), self.lacks().is_some(), SystemClock.instant());
        let ahead = self.applied().and_then(|at| {
            let source = self.seen(|seen| seen.source.ahead_since(at));
            self.others().filter_map(|other| other.ahead_since(at)).chain(source).min()
        });
        self.seen(|seen| {
            let lags = behind.is_some_and(|behind| !behind.is_zero());
            seen.behind = Trouble::note(seen.behind, lags.then(|| ahead.unwrap_or(now)), own, now);
            seen.lacking = Trouble::note(seen.lacking, lacks.then_some(now), own, now);
        });
        self.tell_lag();
    }

    fn tell_lag(&self) {
        if let Some(lag) = self.lag() {
            metrics::gauge!("pumasi_search_lag_seconds", "engine" => self.name().to_owned())
                .set(lag.as_secs_f64());
        }
    }

    /// Makes the pages old that are kept of it, once something is known against them: some of them may be of the time before it was.
    async fn withdraw(&self) {
        let Some(kept) = self.kept.get() else { return };
        let late = self.late().is_some_and(|lag| lag > self.fresh_within);
        let against = late || self.missing().is_some() || self.seen(|seen| seen.wiped);
        if against
            && !kept.withdrawn.load(Ordering::SeqCst)
            && let Some(cache) = &kept.cache
            && let Err(error) = cache.outdate_all().await
        {
            let engine = self.name();
            tracing::warn!(engine, kind = %error.kind(), %error, "pages that lack documents may stay cached until their bound");
            return;
        }
        kept.withdrawn.store(against, Ordering::SeqCst);
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

    fn ahead_since(&self, applied: Timestamp) -> Option<Instant> {
        self.seen(|seen| seen.steps.ahead_since(applied))
    }

    fn held_by_others(&self) -> Option<u64> {
        self.others().filter_map(|other| other.documents()).max()
    }

    pub(super) fn applied(&self) -> Option<Timestamp> {
        self.seen(|seen| seen.status.as_ref().and_then(|status| status.applied))
    }

    /// How far in the future the newest change is that it has or was given.
    pub(super) fn ahead(&self) -> Duration {
        let newest = self.applied().max(self.seen(|seen| seen.given));
        newest.map_or(Duration::ZERO, |newest| newest.saturating_since(SystemClock.now()))
    }

    pub(super) fn lag(&self) -> Option<Duration> {
        self.behind().max(self.unknown())
    }

    /// How far the newest change that it applied is behind the newest of all.
    fn behind(&self) -> Option<Duration> {
        let latest = SystemClock.now().saturating_add(AHEAD);
        let source = self.seen(|seen| seen.source);
        let all =
            self.others().filter_map(|other| other.applied()).chain(self.applied()).chain(source.last());
        let newest = all.filter(|at| *at <= latest).max()?;
        let (applied, owed) = (self.applied()?, self.owed(|owed| owed.oldest(SystemClock.instant())));
        let needless = self.seen(|seen| seen.needless).filter(|at| *at <= latest);
        let applied = needless.map_or(applied, |needless| needless.max(applied));
        // the newest of its changes may have overtaken others
        let behind = newest.saturating_since(owed.map_or(applied, |owed| owed.min(applied)));
        // however close the moments are, the source has been waiting for it for so long
        let waited = source.ahead_since(applied).filter(|_| !behind.is_zero());
        Some(behind.max(waited.map_or(Duration::ZERO, elapsed)))
    }

    /// For how long it is not known to have what its source has, where it is compared and that is too long.
    fn unknown(&self) -> Option<Duration> {
        self.unknown_since(self.seen(|seen| seen.compared))
    }

    fn unknown_since(&self, compared: Option<Compared>) -> Option<Duration> {
        match compared? {
            // it may lack what is older, too
            Compared::Asked(at) => Some(elapsed(at).saturating_add(self.fresh_within).saturating_add(SOON)),
            Compared::Was(at) => Some(elapsed(at)).filter(|unknown| *unknown > self.fresh_within),
        }
    }

    /// How far its pages are told to lag.
    fn told_lag(&self) -> Option<Duration> {
        if self.primary { self.late() } else { self.lag() }
    }

    /// From now on its pages are fresh only while it is known to have what its source has.
    pub(super) fn is_compared(&self) {
        let now = SystemClock.instant();
        self.seen(|seen| seen.compared = seen.compared.or(Some(Compared::Asked(now))));
    }

    /// It has what its source had then.
    pub(super) fn was_compared(&self, at: Instant) {
        self.seen(|seen| seen.compared = Some(Compared::Was(at)));
        self.tell_lag();
    }

    /// Notes what became of changes that the engine was given: whether they are to come again.
    pub(super) fn was_given<'a>(&self, outcomes: impl Iterator<Item = (&'a Change, bool)> + Clone) {
        let newest = outcomes.clone().filter_map(|(change, _)| change.at()).max();
        self.seen(|seen| seen.given = seen.given.max(newest));
        self.owed(|owed| owed.note(outcomes, SystemClock.instant()));
    }

    /// Notes that the engine has no need of a change of that moment: it does not lag behind it.
    pub(super) fn has_no_need_of(&self, at: Timestamp) {
        self.seen(|seen| seen.needless = seen.needless.max(Some(at)));
    }

    fn owed<R>(&self, with: impl FnOnce(&mut Owed) -> R) -> R {
        with(&mut self.owed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far it lags, if that lasts.
    fn late(&self) -> Option<Duration> {
        let lasts = self.seen(|seen| seen.behind).is_some_and(Trouble::lasts);
        lasts.then(|| self.behind()).flatten().max(self.unknown())
    }

    /// How many documents of another engine it cannot hold, deleted ones included, if those are more than a few changes.
    pub(super) fn lacks(&self) -> Option<u64> {
        let others = self.held_by_others()?;
        let status = self.seen(|seen| seen.status.clone().filter(|_| !seen.trusted))?;
        let lacks = others.checked_sub(status.deleted.map(|_| status.known())?)?;
        (lacks > FEW && is_below(status.known(), WHOLE_FROM, others)).then_some(lacks)
    }

    /// How many documents it lacks, if that lasts.
    fn missing(&self) -> Option<u64> {
        let lasts = self.seen(|seen| seen.lacking).is_some_and(Trouble::lasts);
        lasts.then(|| self.lacks()).flatten()
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

    /// Leave to look again, if the last look is old and nobody else looks.
    fn leave_to_look(self: &Arc<Self>) -> Option<Looking> {
        let due = self.seen(|seen| {
            seen.at.is_none_or(|at| SystemClock.instant().saturating_duration_since(at) >= LOOK_EVERY)
        });
        (due && !self.looking.swap(true, Ordering::SeqCst)).then(|| Looking(Arc::downgrade(self)))
    }

    /// Looks again in the background, if the last look is old; and once more, where it takes a second look to tell.
    pub(super) fn look_later(self: &Arc<Self>) {
        let Some(leave) = self.leave_to_look() else { return };
        let watched = Arc::downgrade(self);
        tokio::spawn(async move {
            leave.look(LOOK_EVERY).await;
            let Some(watched) = watched.upgrade() else { return };
            let unsure = watched.others().chain([Arc::clone(&watched)]).filter(|one| one.is_unsure());
            let unsure: Vec<Weak<Self>> = unsure.map(|one| Arc::downgrade(&one)).collect();
            if !unsure.is_empty() {
                SystemClock.sleep(LOOK_EVERY).await;
                unsure.iter().filter_map(Weak::upgrade).for_each(|one| one.look_later());
            }
        });
    }

    /// Whether something is wrong that may be over at the next look.
    fn is_unsure(&self) -> bool {
        let troubles = self.seen(|seen| [seen.behind, seen.lacking]);
        troubles.into_iter().flatten().any(|trouble| !trouble.lasts())
    }

    /// Whether it may be too far behind, or lack documents, to be asked again.
    fn is_in_doubt(&self) -> bool {
        let lags = self.primary && self.behind().is_some_and(|behind| behind > self.fresh_within);
        let (behind, lacking) = self.seen(|seen| (seen.behind.filter(|_| lags), seen.lacking));
        [behind, lacking].into_iter().flatten().any(|trouble| !trouble.lasts())
    }

    /// Looks again, if the last look is old.
    pub(super) async fn refresh(self: &Arc<Self>, limit: Duration) {
        if let Some(leave) = self.leave_to_look() {
            leave.look(limit).await;
        }
    }

    fn seen<R>(&self, with: impl FnOnce(&mut Seen) -> R) -> R {
        with(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether the index knew so little when it made the page that it must have lost documents.
    fn is_of_a_rest(&self, page: &Page) -> bool {
        let (Some(known), others) = (page.known, self.held_by_others()) else { return false };
        self.seen(|seen| {
            let expected = seen.expected(page.generation, true, others);
            // a search of the index before may end after a switch
            if page.generation >= seen.generation {
                seen.remember(page.generation, known);
            }
            is_below(known, self.wiped_below, expected)
        })
    }

    /// A page of an index that must have lost documents, and an empty one of an index that may have, is believed only after a look.
    /// That is then good for other empty pages too.
    async fn believe(&self, page: &Page, query: &Query, left: Duration) -> Result<()> {
        let rest = self.is_of_a_rest(page);
        let counted_none = page.total == Total::Exact(0);
        let empty =
            page.hits.is_empty() && (counted_none || (query.limit > 0 && page.total == Total::Unknown));
        if !rest && !empty {
            return Ok(());
        }
        let _one = self.believing.lock().await;
        let now = SystemClock.instant();
        let believed = self.seen(|seen| {
            !seen.wiped && seen.believed.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY)
        });
        if believed && !rest {
            return Ok(());
        }
        if rest && self.seen(|seen| seen.wiped) {
            return Err(self.lost());
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

fn elapsed(since: Instant) -> Duration {
    SystemClock.instant().saturating_duration_since(since)
}

#[expect(clippy::cast_precision_loss, reason = "a share of documents")]
fn is_below(known: u64, share: f64, expected: u64) -> bool {
    (known as f64) < expected as f64 * share
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("engine", &self.name()).finish_non_exhaustive()
    }
}

/// Leave to look, which one has at a time.
struct Looking(Weak<Watched>);

impl Looking {
    async fn look(self, limit: Duration) {
        if let Some(watched) = self.0.upgrade() {
            // what could not be looked at is asked all the same, and has then its own error
            let _outcome = watched.look(limit).await;
            watched.seen(|seen| seen.at = Some(SystemClock.instant()));
        }
    }
}

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
        if watched.seen(|seen| seen.wiped) {
            return Err(watched.lost());
        }
        // what comes to the engine while it searches may lack in the page
        let (lag, compared) = (watched.told_lag(), watched.seen(|seen| seen.compared));
        let (lacked, undeleted) = (watched.missing(), watched.missed_deletes());
        let mut page = watched.engine.search(&query, left).await?;
        watched.believe(&page, &query, left).await?;
        if watched.primary && query.after.as_ref().is_none_or(|after| after.engine == page.engine) {
            // its order is the one that the others' is measured by
            page.gaps.retain(|gap| *gap != Gap::Ranking);
        }
        let refused = page.gaps.iter().find_map(|gap| match gap {
            Gap::Missing(documents) => Some(*documents),
            _ => None,
        });
        page.gaps.retain(|gap| !matches!(gap, Gap::Missing(_)));
        // what the primary refused, whoever wrote it was told of
        let missing = lacked.max(watched.missing()).max(refused.filter(|_| !watched.primary));
        page.gaps.extend(missing.map(Gap::Missing));
        let mut answer = Answer::new(()).with_gaps(page.gaps.iter().cloned());
        if !watched.primary && query.rank.needs_scores() && !page.gaps.contains(&Gap::Ranking) {
            answer = answer.with_gap(Gap::Ranking);
        }
        if let Some(missed) = undeleted.max(watched.missed_deletes()).filter(|_| !watched.primary) {
            answer = answer.with_gap(Gap::Deletes(missed));
        }
        answer.lag = lag.max(watched.unknown_since(compared)).max(watched.told_lag());
        Ok(answer.map(|()| Arc::new(page)))
    }

    /// Whether it has its documents, and finds one; and whether it is known how far it lags.
    async fn probe(&self, sample: Query, left: Duration) -> Result<()> {
        self.0.look(left).await?;
        if self.0.is_in_doubt() {
            let what = format!("it is not known yet whether {} has caught up", self.0.name());
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        let page = self.0.engine.search(&sample, left).await?;
        if Answer::new(()).with_gaps(page.gaps).is_partial() {
            return Err(Error::new(ErrorKind::Unavailable, format!("{} answers in part only", self.name())));
        }
        Ok(())
    }
}
