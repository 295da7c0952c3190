//! A leaderboard: what services ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::member::MemberId;
use super::period::{Period, Window};
use super::place::{Around, Listing, Movement, Place, percentile};
use super::record::{Record, Submitted, Withdrawn};
use super::store::{Board, BoardStore, OpenWindows};
use crate::Result;

/// The window that takes nothing, in which records that do not count are asked after.
const NONE: &str = "late";

/// How far ahead of when it was received a window may begin.
const AHEAD: Duration = Duration::from_hours(1);

/// What becomes of a record whose period is over, its [grace](Leaderboard::with_grace) included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Late {
    /// It does not count.
    #[default]
    Refuse,
    /// It counts in the period in which it came.
    CountNow,
}

/// Members who are ranked by what they did.
///
/// Records of a board with a [period](Self::with_period) are ranked within the window that they happened in. Once its
/// [grace](Self::with_grace) is over, a window takes only what had been received before: what is read late from a log counts
/// by when it was published, whoever has looked at the window meanwhile, so that a board fed late is the one fed in time. What
/// is announced and must not change is kept as a [snapshot](Self::snapshot_of). A window that begins more than an hour after a
/// record was received does not take it: a clock that is wrong, told as [`Early`](Submitted::Early).
///
/// Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_search::leaderboard::{Board, Direction, Leaderboard, MemoryBoards, Metric, Record, Rules};
///
/// let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst);
/// let board = Leaderboard::new(MemoryBoards::new(), Board::new("distance", rules)?);
/// let at = "2026-11-23T06:30:00+09:00".parse()?;
/// let run = |who: &str, source: &str, metres| Record::new(who.to_owned(), source, at).with("distance_m", metres);
/// board.submit(&[run("민지", "a", 5_000), run("Lee", "b", 12_000), run("민지", "a", 5_000)]).await?;
///
/// let around = board.current()?.around(&"민지".to_owned(), 5).await?.unwrap();
/// assert_eq!((around.place.rank, around.place.values[0], around.total), (2, 5_000, 2));
/// assert_eq!(around.before[0].member, "Lee");
/// # Ok::<(), pumasi_search::Error>(()) }).unwrap();
/// ```
pub struct Leaderboard<M> {
    store: Arc<dyn BoardStore<M>>,
    board: Board,
    period: Option<Period>,
    grace: Duration,
    late: Late,
    clock: Arc<dyn Clock>,
}

impl<M> Clone for Leaderboard<M> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            board: self.board.clone(),
            period: self.period.clone(),
            grace: self.grace,
            late: self.late,
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<M> fmt::Debug for Leaderboard<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaderboard")
            .field("board", &self.board.name())
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

impl<M: MemberId> Leaderboard<M> {
    /// Makes a leaderboard of all time; nothing is asked yet.
    pub fn new(store: impl BoardStore<M> + 'static, board: Board) -> Self {
        Self {
            store: Arc::new(store),
            board,
            period: None,
            grace: Duration::ZERO,
            late: Late::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Ranks the records of each day, week, month or season among themselves.
    #[must_use]
    pub fn with_period(mut self, period: Period) -> Self {
        self.period = Some(period);
        self
    }

    /// Sets for how long after its end a window still takes records that happened in it (default: not at all).
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets what becomes of records that come later than that (default: they do not count).
    #[must_use]
    pub fn with_late(mut self, late: Late) -> Self {
        self.late = late;
        self
    }

    /// Sets the clock by which windows are over (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Counts records, each once by its member and source; answers each in its place.
    ///
    /// Records of one window count all or, if the call fails, none; repeating the call is safe.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::submit`].
    pub async fn submit(&self, records: &[Record<M>]) -> Result<Vec<Submitted>> {
        self.submit_received(records, self.clock.now()).await
    }

    /// Counts records that were received at another moment than now, by which it is decided whether they are late: when they
    /// were published, where they are read from a log.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::submit`].
    pub async fn submit_received(
        &self,
        records: &[Record<M>],
        received: Timestamp,
    ) -> Result<Vec<Submitted>> {
        let mut answers = vec![Submitted::Late; records.len()];
        let mut windows: Vec<(String, Vec<usize>)> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let name = self.target(record.at(), received)?;
            match windows.iter_mut().find(|(window, _)| *window == name) {
                Some((_, members)) => members.push(index),
                None => windows.push((name, vec![index])),
            }
        }
        let mut again = Vec::new();
        for (window, indices) in windows {
            if window == NONE {
                self.store.close(&self.board, NONE).await?;
            }
            let turned_away = self.submit_to(&window, records, &indices, &mut answers).await?;
            if window != NONE {
                again.extend(turned_away);
                continue;
            }
            for index in turned_away {
                let early = records.get(index).filter(|record| self.is_early(record.at(), received));
                if let Some(answer) = answers.get_mut(index).filter(|_| early.is_some()) {
                    *answer = Submitted::Early;
                }
            }
        }
        // Somebody may have closed a window in the store.
        if self.late == Late::CountNow && !again.is_empty() {
            let window = self.window(self.clock.now().max(received))?;
            self.submit_to(window.name(), records, &again, &mut answers).await?;
        }
        Ok(answers)
    }

    /// Takes back a record of `at`, in whichever window it counted, if that one is not over. One that has not come yet does not count when it
    /// comes.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::withdraw`].
    pub async fn withdraw(&self, member: &M, source: &str, at: Timestamp) -> Result<Withdrawn> {
        self.withdraw_received(member, source, at, self.clock.now()).await
    }

    /// Takes a record back as of another moment than now, by which it is decided whether that is late.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::withdraw`].
    pub async fn withdraw_received(
        &self,
        member: &M,
        source: &str,
        at: Timestamp,
        received: Timestamp,
    ) -> Result<Withdrawn> {
        let window = if self.is_early(at, received) {
            // Beyond the calendar it can never count.
            self.window(at).or_else(|_| self.window(received))?.name().to_owned()
        } else {
            self.target(at, received)?
        };
        if window == NONE {
            self.store.close(&self.board, NONE).await?;
        }
        self.store.withdraw(&self.board, &window, member, source, &self.open_windows(received)).await
    }

    fn open_windows(&self, now: Timestamp) -> OpenWindows {
        let Some(period) = self.period.clone() else { return OpenWindows::all() };
        let grace = self.grace;
        OpenWindows::which(move |name| {
            period.named(name).is_some_and(|window| now < window.end().saturating_add(grace))
        })
    }

    /// Submits some of the records to one window; returns which of them are late there.
    async fn submit_to(
        &self,
        window: &str,
        records: &[Record<M>],
        indices: &[usize],
        answers: &mut [Submitted],
    ) -> Result<Vec<usize>> {
        let chosen: Vec<Record<M>> =
            indices.iter().filter_map(|index| records.get(*index).cloned()).collect();
        let submitted = self.store.submit(&self.board, window, &chosen).await?;
        let mut late = Vec::new();
        for (index, answer) in indices.iter().zip(submitted) {
            if let Some(slot) = answers.get_mut(*index) {
                *slot = answer;
            }
            if answer == Submitted::Late {
                late.push(*index);
            }
        }
        Ok(late)
    }

    /// The name of the window in which a record counts.
    fn target(&self, at: Timestamp, received: Timestamp) -> Result<String> {
        if self.is_early(at, received) {
            return Ok(NONE.to_owned());
        }
        match self.window(at) {
            Ok(window) if self.is_open(&window, received) => Ok(window.name().to_owned()),
            // Its window is over, or lies before the calendar.
            _ => Ok(match self.late {
                Late::Refuse => NONE.to_owned(),
                Late::CountNow => self.window(received)?.name().to_owned(),
            }),
        }
    }

    /// Tells whether the window of a record begins too long after it was received, or lies beyond the calendar.
    fn is_early(&self, at: Timestamp, received: Timestamp) -> bool {
        let begins = self.window(at).map_or(at, |window| window.start());
        self.period.is_some() && begins > received.saturating_add(AHEAD)
    }

    fn is_open(&self, window: &Window, now: Timestamp) -> bool {
        self.period.is_none() || now < window.end().saturating_add(self.grace)
    }

    fn window(&self, at: Timestamp) -> Result<Window> {
        self.period.as_ref().map_or_else(|| Ok(Window::all()), |period| period.window(at))
    }

    fn standings(&self, window: Window) -> Standings<M> {
        Standings { store: Arc::clone(&self.store), board: self.board.clone(), window }
    }

    /// Returns the standings of the window that is now.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond the calendar.
    pub fn current(&self) -> Result<Standings<M>> {
        Ok(self.standings(self.window(self.clock.now())?))
    }

    /// Returns the standings of the window that a moment lies in.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond the calendar.
    pub fn at(&self, moment: Timestamp) -> Result<Standings<M>> {
        Ok(self.standings(self.window(moment)?))
    }

    /// Returns the standings of the window before the one that is now. A board of all time has none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond the calendar.
    pub fn previous(&self) -> Result<Option<Standings<M>>> {
        let Some(period) = &self.period else { return Ok(None) };
        let window = period.before(&period.window(self.clock.now())?)?;
        Ok(Some(self.standings(window)))
    }

    /// Keeps the current standings, as they are at one moment, under a name.
    ///
    /// # Errors
    ///
    /// `Conflict` if the name is taken; otherwise as [`BoardStore::snapshot`].
    pub async fn snapshot(&self, name: &str) -> Result<Standings<M>> {
        self.snapshot_of(&self.current()?, name).await
    }

    /// Keeps standings of this board, as they are at one moment, under a name: those of a week that prizes are given for, say.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub async fn snapshot_of(&self, standings: &Standings<M>, name: &str) -> Result<Standings<M>> {
        let kept = self.standings(Window::snapshot(name, &standings.window));
        self.store.snapshot(&self.board, standings.window.name(), kept.window.name()).await?;
        Ok(kept)
    }

    /// Returns the standings that were [kept](Self::snapshot) under a name. Of which time they are is the name's to tell: the
    /// window's start and end are those of all time.
    pub fn kept(&self, name: &str) -> Standings<M> {
        self.standings(Window::snapshot(name, &Window::all()))
    }

    /// Forgets standings that are not needed any more, and with a window what records it had.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::forget`].
    pub async fn forget(&self, standings: Standings<M>) -> Result<()> {
        self.store.forget(&self.board, standings.window.name()).await
    }

    /// The same leaderboard under another name, for what is built aside.
    pub(crate) fn aside(&self) -> Self {
        Self { board: self.board.aside(), ..self.clone() }
    }

    /// Puts what `with` has in the place of what this one has.
    pub(crate) async fn replace(&self, with: &Self) -> Result<()> {
        self.store.replace(&self.board, &with.board).await
    }
}

/// The standings of one window of a [`Leaderboard`], or kept ones.
///
/// Each call is answered as of one moment; two calls may see what was submitted in between, but for kept ones.
pub struct Standings<M> {
    store: Arc<dyn BoardStore<M>>,
    board: Board,
    window: Window,
}

impl<M> fmt::Debug for Standings<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standings")
            .field("board", &self.board.name())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl<M: MemberId> Standings<M> {
    /// Returns the window.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Tells where a member stands; `None` if it is not ranked.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::places`].
    pub async fn place(&self, member: &M) -> Result<Option<Place<M>>> {
        Ok(self.places(std::slice::from_ref(member)).await?.pop().flatten())
    }

    /// Tells where many members stand, each in its place.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::places`].
    pub async fn places(&self, members: &[M]) -> Result<Vec<Option<Place<M>>>> {
        self.store.places(&self.board, self.window.name(), members).await
    }

    /// Lists the first so many.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::list`].
    pub async fn top(&self, count: u64) -> Result<Listing<M>> {
        self.page(0, count).await
    }

    /// Lists so many from after the first `skip` on.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::list`].
    pub async fn page(&self, skip: u64, count: u64) -> Result<Listing<M>> {
        self.store.list(&self.board, self.window.name(), skip..skip.saturating_add(count)).await
    }

    /// Tells where a member stands, and who stands before and after it, up to so many on each side.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::around`].
    pub async fn around(&self, member: &M, neighbours: u64) -> Result<Option<Around<M>>> {
        self.store.around(&self.board, self.window.name(), member, neighbours).await
    }

    /// Returns a member's percentile rank, as [`Around::percentile`] does.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::around`].
    pub async fn percentile(&self, member: &M) -> Result<Option<f64>> {
        let around = self.around(member, 0).await?;
        Ok(around.map(|around| percentile(&around.place, around.total)))
    }

    /// Tells how members moved since other standings, each in its place; `None` for who was in neither.
    ///
    /// # Errors
    ///
    /// As [`BoardStore::places`].
    pub async fn movement(&self, since: &Self, members: &[M]) -> Result<Vec<Option<Movement>>> {
        let before = since.places(members).await?;
        let now = self.places(members).await?;
        let rank = |place: &Option<Place<M>>| place.as_ref().map(|place| place.rank);
        Ok(before.iter().zip(&now).map(|(before, now)| Movement::between(rank(before), rank(now))).collect())
    }
}
