//! Which documents match the filters that were asked last: the documents of a segment do not change.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pumasi_core::filter::Filter;

use super::segment::Segment;
use super::shelf::Held;

/// How many filters are remembered.
const KEPT: usize = 8;

/// Of each document of a segment, by the segment's number.
type Matching = HashMap<i64, Arc<Vec<bool>>>;

/// See the module.
#[derive(Default)]
pub(super) struct Matches(Mutex<Vec<(Filter, Matching)>>);

impl Matches {
    /// Tells of each segment, in their order, which of its documents match, be they there or gone.
    pub(super) fn of(&self, filter: &Filter, segments: &BTreeMap<i64, Held>) -> Vec<Arc<Vec<bool>>> {
        let place = |kept: &[(Filter, Matching)]| kept.iter().position(|(other, _)| other == filter);
        let known = {
            let kept = self.lock();
            place(&kept).and_then(|at| kept.get(at)).map(|(_, matching)| matching.clone()).unwrap_or_default()
        };
        let matching = |(number, held): (&i64, &Held)| {
            let ask = || Arc::new(matching(filter, &held.segment));
            (*number, known.get(number).map_or_else(ask, Arc::clone))
        };
        let all: Vec<(i64, Arc<Vec<bool>>)> = segments.iter().map(matching).collect();
        let mut kept = self.lock();
        if let Some(at) = place(&kept) {
            kept.remove(at);
        } else if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((filter.clone(), all.iter().cloned().collect()));
        all.into_iter().map(|(_, matching)| matching).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Filter, Matching)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matching(filter: &Filter, segment: &Segment) -> Vec<bool> {
    segment.documents.iter().map(|document| filter.matches(&document.record.metadata)).collect()
}

impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches").finish_non_exhaustive()
    }
}
