//! Workers that stop themselves in the middle of making a child, undoing it or making it anew.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pumasi_saga::store::{Commit, SagaId};
use rustix::process::{Signal, getpid, kill_process};

use crate::sagas::is_repeated;

/// One of so many times that a worker passes a place, it stands still there.
const CHANCE: u32 = 5;

/// Stops this process where it makes or undoes the children of orders that make them more than once.
#[derive(Debug)]
pub(crate) struct Stand {
    folder: PathBuf,
    /// The children that are being made or undone here.
    children: Mutex<HashSet<SagaId>>,
}

/// A process that stands still, and where.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) process: u32,
    pub(crate) place: String,
}

fn mark(folder: &Path) -> PathBuf {
    folder.join("standing")
}

/// Tells who stands still.
pub(crate) fn standing(folder: &Path) -> Option<Standing> {
    let text = std::fs::read_to_string(mark(folder)).ok()?;
    let (process, place) = text.split_once(' ')?;
    Some(Standing { process: process.parse().ok()?, place: place.to_owned() })
}

/// Lets the next one stand still.
pub(crate) fn next(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_file(mark(folder))
}

impl Stand {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), children: Mutex::default() }
    }

    /// Learns from the records of orders whose children come next.
    pub(crate) fn learn(&self, commits: &[Commit]) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        for head in commits.iter().map(|commit| &commit.head).filter(|head| &*head.saga == "order") {
            let child = SagaId::of("packing", &head.key);
            if &*head.step == "packing" && head.key.parse().is_ok_and(is_repeated) {
                children.insert(child);
            } else {
                children.remove(&child);
            }
        }
    }

    /// Stands still before or after a look at one of those children, or a record of one, by chance.
    pub(crate) fn at(&self, place: &str, ids: impl IntoIterator<Item = SagaId>) {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let is_about_one = ids.into_iter().any(|id| children.contains(&id));
        drop(children);
        if is_about_one && fastrand::u32(..CHANCE) == 0 && !mark(&self.folder).exists() {
            self.stand_still(place);
        }
    }

    fn stand_still(&self, place: &str) {
        // A file of this attempt's own: those of other threads are written at the same time.
        let own = self.folder.join(format!("stand-{:016x}", fastrand::u64(..)));
        let told = std::fs::write(&own, format!("{} {place}", std::process::id()));
        // One at a time: the other worker has to go on.
        let is_next = told.is_ok() && std::fs::hard_link(&own, mark(&self.folder)).is_ok();
        let _ = std::fs::remove_file(own);
        if is_next {
            let _ = kill_process(getpid(), Signal::STOP);
        }
    }
}
