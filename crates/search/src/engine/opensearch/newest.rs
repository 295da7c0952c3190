//! The newest moment that an index holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pumasi_core::time::Timestamp;

/// How long what was heard is good for, where a document may be replaced that bears what another process has written since.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What was heard last of the newest moment in an index.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    heard: Option<Heard>,
    /// Who asks the index now, and the newest moment that was written meanwhile.
    asking: Vec<(u64, Option<Timestamp>)>,
    asked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    newest: Option<Timestamp>,
    /// When the index was asked.
    at: Instant,
}

impl Newest {
    /// The newest moment, or that there is none, if the index was asked and need not be asked again before documents are written of
    /// which the oldest has this moment.
    pub(super) fn known_for(&self, oldest: Option<Timestamp>) -> Option<Option<Timestamp>> {
        let heard = self.lock().heard?;
        let good = oldest > heard.newest || heard.at.elapsed() < GOOD_FOR;
        good.then_some(heard.newest)
    }

    /// Begins to ask the index.
    pub(super) fn ask(&self) -> Asking<'_> {
        let mut known = self.lock();
        known.asked += 1;
        let number = known.asked;
        known.asking.push((number, None));
        Asking { newest: self, number, at: Instant::now() }
    }

    /// Notes a moment that was written, if the index was asked before.
    pub(super) fn came_to(&self, at: Option<Timestamp>) {
        let mut known = self.lock();
        if let Some(heard) = &mut known.heard {
            heard.newest = heard.newest.max(at);
        }
        for (_, written) in &mut known.asking {
            *written = (*written).max(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question to the index that is under way.
pub(super) struct Asking<'a> {
    newest: &'a Newest,
    number: u64,
    at: Instant,
}

impl Asking<'_> {
    /// Takes what the index says, which is less than before where it lost documents; what was written meanwhile it may not know yet.
    pub(super) fn learn(self, at: Option<Timestamp>) {
        let mut known = self.newest.lock();
        let written = known.asking.iter().find(|(number, _)| *number == self.number);
        let newest = at.max(written.and_then(|(_, written)| *written));
        known.heard = Some(Heard { newest, at: self.at });
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.newest.lock().asking.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_before_a_write_does_not_undo_it() {
        let (newest, at) = (Newest::default(), |at| Some(Timestamp::from_micros(at)));
        newest.ask().learn(at(50));
        let (asking, given_up) = (newest.ask(), newest.ask());
        newest.came_to(at(100));
        drop(given_up);
        asking.learn(at(50));
        assert_eq!(newest.known_for(None), Some(at(100)));
        assert!(newest.lock().asking.is_empty());
        // an index that lost documents says less
        newest.ask().learn(at(20));
        assert_eq!(newest.known_for(None), Some(at(20)));
    }
}
