//! What is known of how an engine stands, and of what its source has changed.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::watched::LOOK_EVERY;
use crate::engine::{AHEAD, Status};

/// The newest changes that the source of all engines is known to have made.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Steps>);

impl Newest {
    pub(super) fn note(&self, at: Timestamp) {
        if at > SystemClock.now().saturating_add(AHEAD) {
            return;
        }
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.last().is_none_or(|last| last < at) {
            steps.saw(Some(at), SystemClock.instant());
        }
    }

    pub(super) fn get(&self) -> Steps {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the looks at an engine have shown.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) at: Option<Instant>,
    pub(super) status: Option<Status>,
    /// The generation of the index, and the most that it has known, deleted documents included.
    pub(super) generation: u64,
    pub(super) most: u64,
    pub(super) wiped: bool,
    /// Whether what it holds was declared right, whatever others hold.
    pub(super) trusted: bool,
    /// The newest moment of a change that it has no need of: it refused it for good, or knew better.
    pub(super) needless: Option<Timestamp>,
    /// The newest moment of a change that it was given, whether it can be believed or not.
    pub(super) given: Option<Timestamp>,
    /// Whether it lags behind the others.
    pub(super) behind: Option<Trouble>,
    /// Whether it lacks documents that others hold.
    pub(super) lacking: Option<Trouble>,
    /// When a look last said that an empty page can be believed.
    pub(super) believed: Option<Instant>,
    /// The newest moments that it was seen to have applied.
    pub(super) steps: Steps,
    /// What the source was known to have changed before the last look began.
    pub(super) source: Steps,
    /// Whether it is compared with its source, and had everything that this had.
    pub(super) compared: Option<Compared>,
}

/// The newest moments of changes that were seen, the older one first, and when that was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps(Option<Step>, Option<Step>);

type Step = (Timestamp, Instant);

impl Steps {
    /// Notes up to which moment there are changes.
    pub(super) fn saw(&mut self, newest: Option<Timestamp>, now: Instant) {
        let newest = newest.map(|at| (at, now));
        match (self.1, newest) {
            (Some((known, _)), Some((at, _))) if known == at => {}
            (Some((known, _)), Some((at, _))) if known < at => *self = Self(self.1, newest),
            _ => *self = Self(None, newest),
        }
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        self.1.map(|(at, _)| at)
    }

    /// Tells when a change after `applied` was first seen.
    pub(super) fn ahead_since(&self, applied: Timestamp) -> Option<Instant> {
        let steps = [self.0, self.1].into_iter().flatten();
        steps.filter(|(at, _)| *at > applied).map(|(_, since)| since).next()
    }
}

/// When an engine had everything that its source had.
#[derive(Clone, Copy)]
pub(super) enum Compared {
    /// Since then it is not known.
    Asked(Instant),
    Was(Instant),
}

/// What the looks in a row have shown.
#[derive(Clone, Copy)]
pub(super) struct Trouble {
    /// When it was noticed, by a look at this engine or at another.
    since: Instant,
    /// When a look at this engine itself last showed it.
    looked: Option<Instant>,
}

impl Trouble {
    pub(super) fn note(
        before: Option<Self>,
        since: Option<Instant>,
        own: bool,
        now: Instant,
    ) -> Option<Self> {
        let looked = if own { Some(now) } else { before.and_then(|before| before.looked) };
        since.map(|since| Self { since: before.map_or(since, |before| before.since), looked })
    }

    /// Another engine may have a change a moment earlier: only what lasts is trouble.
    pub(super) fn lasts(self) -> bool {
        self.looked.is_some_and(|looked| looked.saturating_duration_since(self.since) >= LOOK_EVERY)
    }
}

impl Seen {
    /// How much an index should know that says how many deletes it remembers, or does not.
    pub(super) fn expected(&self, generation: u64, says_deletes: bool, others: Option<u64>) -> u64 {
        let others = others.filter(|_| !self.trusted);
        let most = if generation == self.generation { self.most } else { 0 };
        let own = match (says_deletes, others) {
            // no delete makes this less
            (true, _) => most,
            // its documents may become fewer by deletes: only that they are all gone tells anything, where nobody else does
            (false, None) => most.min(1),
            (false, Some(_)) => 0,
        };
        own.max(others.unwrap_or_default())
    }

    pub(super) fn remember(&mut self, generation: u64, known: u64) {
        let most = if generation == self.generation { self.most } else { 0 };
        (self.generation, self.most) = (generation, most.max(known));
    }
}
