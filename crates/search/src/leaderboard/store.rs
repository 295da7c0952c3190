//! What a store of boards promises.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use super::member::MemberId;
use super::place::{Around, Listing, Place};
use super::record::{Record, Submitted, Withdrawn};
use super::rules::Rules;
use crate::{Error, ErrorKind, Result};

/// A board as a store knows it: its name and its rules.
#[derive(Clone, Debug)]
pub struct Board {
    name: Arc<str>,
    rules: Arc<Rules>,
    keeps_records: bool,
}

impl Board {
    /// Makes a board.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is not 1 to 100 ASCII letters, digits, `.`, `_` or `-`, or the rules have too many keys.
    pub fn new(name: impl Into<Arc<str>>, rules: Rules) -> Result<Self> {
        let name = name.into();
        check_name("board", &name)?;
        rules.check()?;
        Ok(Self { name, rules: Arc::new(rules), keeps_records: false })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Keeps what records say, so that they can be [withdrawn](BoardStore::withdraw): each takes some 100 bytes more, and submitting it
    /// longer.
    ///
    /// In a window that has records from before, whoever has some of those keeps all: they cannot be withdrawn until the board is
    /// [rebuilt](super::BoardFeed::rebuild).
    #[must_use]
    pub fn keeping_records(self) -> Self {
        Self { keeps_records: true, ..self }
    }

    /// Tells whether it keeps what records say.
    pub const fn keeps_records(&self) -> bool {
        self.keeps_records
    }

    /// The same board under a name that none can have been [made](Self::new) with.
    pub(crate) fn aside(&self) -> Self {
        Self { name: format!("{}:rebuild", self.name).into(), ..self.clone() }
    }
}

/// Tells by their names which windows still change, besides those that were [closed](BoardStore::close).
#[derive(Clone)]
pub struct OpenWindows(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl OpenWindows {
    /// All windows.
    pub fn all() -> Self {
        Self::which(|_| true)
    }

    /// Those that the function says so of.
    pub fn which(is_open: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    /// Tells whether a window of this name still changes.
    pub fn contains(&self, window: &str) -> bool {
        (self.0)(window)
    }
}

impl fmt::Debug for OpenWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWindows").finish_non_exhaustive()
    }
}

/// Checks the name of a board, a window or a snapshot.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    let message = format!("the name of a {what} is not 1 to 100 ASCII letters, digits, '.', '_' or '-'");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// The error of a board that was filled by other rules.
pub(crate) fn other_rules(board: &Board) -> Error {
    let message = format!("the board {} was filled by other rules; rebuild it, or name it anew", board.name);
    Error::new(ErrorKind::Conflict, message)
}

/// The error of a window that is not to be written any more.
pub(crate) fn exists(window: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("there is a {window} already"))
}

/// Keeps boards, each with any number of windows.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::leaderboard`):
///
/// 1. **Once.** A record counts once a board, by member and source, however often and in whichever window it is submitted.
/// 2. **In any order.** Where members stand does not depend on the order in which records came.
/// 3. **Right.** Ranks, ties, neighbours and pages are those of a sorted list.
/// 4. **One moment.** An answer is what was the case at one moment.
/// 5. **Apart.** Boards and windows do not see one another.
/// 6. **Closed is closed.** After [`close`](Self::close) has answered, the window does not change; what is submitted to it is
///    told [`Late`](Submitted::Late), or [`Duplicate`](Submitted::Duplicate) if it had counted.
/// 7. **Kept.** A [snapshot](Self::snapshot) is what stood at one moment, and does not change.
/// 8. **Together.** Of many who submit at the same time nothing is lost; the records of a call count all or, if it fails, none.
/// 9. **One set of rules.** A board that was filled by other rules is refused with `Conflict`.
/// 10. **Replaced at once.** After [`replace`](Self::replace) the board is what the other one was, which is gone.
/// 11. **Durable.** What was answered is there for whoever opens the same store (except in memory).
/// 12. **Taken back.** Without a record that was [withdrawn](Self::withdraw) a board that [keeps records](Board::keeping_records) is what
///     it would be if that had never come, whenever it does; snapshots, closed windows and those that are not
///     [open](OpenWindows) any more stay.
#[async_trait]
pub trait BoardStore<M: MemberId>: fmt::Debug + Send + Sync {
    /// Counts records in a window.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a record's member, source or other names are empty or too long, or a sum overflows; `Conflict` if the
    /// board has other rules; `Storage`, `Unavailable` or `Timeout` if the store failed: repeating the call is safe.
    async fn submit(&self, board: &Board, window: &str, records: &[Record<M>]) -> Result<Vec<Submitted>>;

    /// Takes a record back, in whichever window it counted, if that is among the `open` ones: it counts no more, and not when it comes
    /// again. One that has not come yet is remembered in `window`, which is not asked whether it is among them.
    ///
    /// What the member did in the window is counted anew without it, which takes as long as they have records there.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the board does not [keep records](Board::keeping_records), or did not when the member's were counted; otherwise as
    /// [`submit`](Self::submit).
    async fn withdraw(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        source: &str,
        open: &OpenWindows,
    ) -> Result<Withdrawn>;

    /// Lets nothing more count in a window.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    async fn close(&self, board: &Board, window: &str) -> Result<()>;

    /// Keeps the order of a window, as it is now, under a name of its own, which is read like a window.
    ///
    /// # Errors
    ///
    /// `Conflict` if the name is taken; otherwise as [`submit`](Self::submit).
    async fn snapshot(&self, board: &Board, window: &str, name: &str) -> Result<()>;

    /// Tells where members stand, each in its place; `None` for who is not ranked.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    async fn places(&self, board: &Board, window: &str, members: &[M]) -> Result<Vec<Option<Place<M>>>>;

    /// Lists a part of the window, by places from 0.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>>;

    /// Tells where a member stands, and lists up to so many neighbours on each side; `None` if it is not ranked.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    async fn around(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        neighbours: u64,
    ) -> Result<Option<Around<M>>>;

    /// Forgets a window or a snapshot, and that records counted in it; nothing happens if there is none. Records that are
    /// submitted at the same time are forgotten whole, or stand.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    async fn forget(&self, board: &Board, window: &str) -> Result<()>;

    /// Puts what `with` has in the place of what `board` has, its rules included. What is [rebuilt](super::BoardFeed::rebuild) is
    /// filled under the board's name with `:rebuild` behind it.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), but for the rules of `board`, which are not compared.
    async fn replace(&self, board: &Board, with: &Board) -> Result<()>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<M: MemberId, S: BoardStore<M> + ?Sized> BoardStore<M> for $pointer {
            async fn submit(
                &self,
                board: &Board,
                window: &str,
                records: &[Record<M>],
            ) -> Result<Vec<Submitted>> {
                (**self).submit(board, window, records).await
            }

            async fn withdraw(
                &self,
                board: &Board,
                window: &str,
                member: &M,
                source: &str,
                open: &OpenWindows,
            ) -> Result<Withdrawn> {
                (**self).withdraw(board, window, member, source, open).await
            }

            async fn close(&self, board: &Board, window: &str) -> Result<()> {
                (**self).close(board, window).await
            }

            async fn snapshot(&self, board: &Board, window: &str, name: &str) -> Result<()> {
                (**self).snapshot(board, window, name).await
            }

            async fn places(
                &self,
                board: &Board,
                window: &str,
                members: &[M],
            ) -> Result<Vec<Option<Place<M>>>> {
                (**self).places(board, window, members).await
            }

            async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>> {
                (**self).list(board, window, places).await
            }

            async fn around(
                &self,
                board: &Board,
                window: &str,
                member: &M,
                neighbours: u64,
            ) -> Result<Option<Around<M>>> {
                (**self).around(board, window, member, neighbours).await
            }

            async fn forget(&self, board: &Board, window: &str) -> Result<()> {
                (**self).forget(board, window).await
            }

            async fn replace(&self, board: &Board, with: &Board) -> Result<()> {
                (**self).replace(board, with).await
            }
        }
    )+};
}

forward!(Box<S>, Arc<S>);
