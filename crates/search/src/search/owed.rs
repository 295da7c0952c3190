//! Changes that an engine could not take yet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pumasi_core::time::Timestamp;

use crate::engine::Change;

/// How many documents are remembered.
const MOST: usize = 10_000;

/// For how long a change is waited for that is not handed over again: whoever gave it up has put it aside.
const EXPECTED: Duration = Duration::from_mins(15);

/// The documents whose changes are to come again, with the moment of the change, and when it was handed over last.
#[derive(Debug, Default)]
pub(super) struct Owed {
    changes: HashMap<String, (Timestamp, Instant)>,
    /// The oldest of them, and when that was worked out.
    oldest: Option<(Timestamp, Instant)>,
}

impl Owed {
    /// Notes what became of changes: whether they are to come again.
    pub(super) fn note<'a>(&mut self, outcomes: impl Iterator<Item = (&'a Change, bool)>, now: Instant) {
        for (change, comes_again) in outcomes {
            match (change.at().filter(|_| comes_again), self.changes.len() < MOST) {
                (None, _) => {
                    self.changes.remove(change.id());
                }
                (Some(at), room) => match self.changes.get_mut(change.id()) {
                    Some(known) => *known = (known.0.min(at), now),
                    None if room => {
                        self.changes.insert(change.id().to_owned(), (at, now));
                    }
                    None => {}
                },
            }
        }
        self.changes.retain(|_, (_, handed_over)| now.saturating_duration_since(*handed_over) < EXPECTED);
        self.oldest = self.changes.values().map(|(at, _)| (*at, now)).min();
    }

    /// The moment of the oldest of them; of none, if nothing was handed over for so long that all are given up.
    pub(super) fn oldest(&self, now: Instant) -> Option<Timestamp> {
        let known = self.oldest.filter(|(_, noted)| now.saturating_duration_since(*noted) < EXPECTED);
        known.map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, at: i64) -> Change {
        Change::delete(id, 1).with_at(Timestamp::from_micros(at))
    }

    #[test]
    fn what_was_taken_or_given_up_is_owed_no_more() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        let changes = [change("a", 5), change("b", 3), change("c", 9)];
        owed.note(changes.iter().map(|change| (change, true)), now);
        assert_eq!(owed.oldest(now), Some(Timestamp::from_micros(3)));
        assert_eq!(owed.oldest(now + EXPECTED), None, "nobody has handed anything over for long");
        owed.note(changes.iter().skip(1).take(1).map(|change| (change, false)), now);
        assert_eq!(owed.oldest(now), Some(Timestamp::from_micros(5)));
        owed.note([(&changes[2], true)].into_iter(), now + EXPECTED / 2);
        owed.note(std::iter::empty(), now + EXPECTED);
        assert_eq!(owed.oldest(now + EXPECTED), Some(Timestamp::from_micros(9)));
        owed.note(std::iter::empty(), now + EXPECTED * 2);
        assert_eq!(owed.oldest(now + EXPECTED * 2), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        let changes: Vec<Change> = (0..20_000).map(|number| change(&format!("{number}"), number)).collect();
        owed.note(changes.iter().map(|change| (change, true)), now);
        assert_eq!((owed.changes.len(), owed.oldest(now)), (MOST, Some(Timestamp::from_micros(0))));
    }
}
