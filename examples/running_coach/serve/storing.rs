//! One change of a document after another, so that only the first is told that it made it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::{Mutex, MutexGuard};

/// Locks by identifier; documents that share one wait for each other for nothing, which is rare.
#[derive(Debug, Default)]
pub(super) struct Storing([Mutex<()>; 32]);

impl Storing {
    /// Waits until nobody else changes the document, as far as this process goes.
    pub(super) async fn of(&self, id: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % 32).ok()?;
        Some(self.0.get(at)?.lock().await)
    }
}
