//! The newest moment that an index holds.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pumasi_core::time::Timestamp;

/// What was heard last of the newest moment in an index.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Heard>);

#[derive(Clone, Copy, Debug, Default)]
enum Heard {
    #[default]
    Nothing,
    Of(Option<Timestamp>),
}

impl Newest {
    /// The newest moment, or that there is none, once the index was asked.
    pub(super) fn known(&self) -> Option<Option<Timestamp>> {
        match *self.lock() {
            Heard::Nothing => None,
            Heard::Of(at) => Some(at),
        }
    }

    /// Takes what the index says, which is less than before where it lost documents.
    pub(super) fn learn(&self, at: Option<Timestamp>) {
        *self.lock() = Heard::Of(at);
    }

    /// Notes a moment that was written, if the index was asked before.
    pub(super) fn came_to(&self, at: Option<Timestamp>) {
        if let Heard::Of(known) = &mut *self.lock() {
            *known = (*known).max(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
