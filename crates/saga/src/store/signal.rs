//! Signals, as stores keep them.

use std::fmt;
use std::sync::Arc;

use pumasi_core::time::Timestamp;

use super::SagaId;

/// A signal to keep. `Debug` leaves the payload out.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSignal {
    /// The saga that it is for.
    pub saga: SagaId,
    /// What kind of signal it is.
    pub name: Arc<str>,
    /// Its identity within the saga, by which doubles are dropped.
    pub id: Arc<str>,
    /// What it says, as JSON.
    pub payload: Vec<u8>,
}

impl fmt::Debug for NewSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSignal")
            .field("saga", &self.saga)
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What became of a signal that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is kept.
    Stored,
    /// One with the same id waits already.
    Duplicate,
}

/// A signal that waits. `Debug` leaves the payload out.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredSignal {
    /// Its number within the saga: greater than those of all signals that were delivered before.
    pub seq: u64,
    /// What kind of signal it is.
    pub name: Arc<str>,
    /// Its identity within the saga.
    pub id: Arc<str>,
    /// What it says, as JSON.
    pub payload: Vec<u8>,
    /// When it was delivered, by the store's clock.
    pub at: Timestamp,
}

impl fmt::Debug for StoredSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSignal")
            .field("seq", &self.seq)
            .field("name", &self.name)
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
