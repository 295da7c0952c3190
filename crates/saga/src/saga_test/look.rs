//! What a run sees in its store, and purges there.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::EventId;

use super::Scenario;
use super::run::{LEASE, World, now};
use crate::Result;
use crate::definition::UnitKind;
use crate::machine::{State, record};
use crate::store::{Query, SagaId, Status, Stored};

impl<S: Scenario> World<'_, S> {
    /// Purges while the saga is under way: that takes nothing of it. Children are not to be purged while their parents go on.
    pub(super) fn sweep(&self, id: SagaId) -> std::result::Result<(), String> {
        if self.plans.len() > 1 {
            return Ok(());
        }
        let Some(stored) = self.load(id) else { return Ok(()) };
        let (status, signals) = (stored.head.status, stored.signals.len());
        if status.is_final() && signals == 0 {
            return Ok(());
        }
        self.purge()?;
        match self.load(id) {
            Some(_) => Ok(()),
            None => Err(format!("a saga was purged that stood as {status}, with {signals} signals")),
        }
    }

    fn purge(&self) -> std::result::Result<usize, String> {
        match now(self.store.purge(Duration::ZERO, NonZeroUsize::MIN.saturating_add(99))) {
            Some(Ok(count)) => Ok(count),
            other => Err(format!("a purge failed: {other:?}")),
        }
    }

    /// Purges after everything: what has ended is gone, and what has not is there. Tells whether it is gone.
    ///
    /// A server may pass over for a moment what a transaction that is being rolled back still has locked.
    pub(super) fn clear_away(&self, id: SagaId, status: Status) -> std::result::Result<bool, String> {
        for _ in 0..100 {
            while self.purge()? > 0 {}
            let left = now(self.store.query(&Query::new())).and_then(Result::ok).map(|left| left.len());
            match (status.is_final(), self.load(id).is_some(), left) {
                (true, false, Some(0)) => return Ok(true),
                (false, true, Some(_)) => return Ok(false),
                (false, ..) => return Err(format!("a saga that stands as {status} is gone after a purge")),
                (true, ..) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(format!("a saga that stands as {status}, or a child of it, is there after a purge"))
    }

    pub(super) fn next_due(&self) -> Option<pumasi_core::time::Timestamp> {
        now(self.store.next_due()).and_then(Result::ok).flatten()
    }

    /// Takes everything out of the outbox.
    pub(super) fn events(&self) -> Vec<EventId> {
        let outbox = self.store.outbox();
        let claim = now(outbox.claim(NonZeroUsize::MIN.saturating_add(99), LEASE)).and_then(Result::ok);
        let claimed = claim.map(|claim| claim.events).unwrap_or_default();
        claimed.into_iter().filter_map(|claimed| claimed.event.ok().map(|event| event.id)).collect()
    }

    pub(super) fn load(&self, id: SagaId) -> Option<Stored> {
        now(self.store.load(id)).and_then(Result::ok).flatten()
    }

    pub(super) fn state(&self, id: SagaId) -> Option<State> {
        let stored = self.load(id)?;
        record::read(&stored.log, stored.version).ok().map(|log| log.state)
    }

    pub(super) fn answered(&self, state: &State) -> BTreeSet<String> {
        let units = self.plans.first().into_iter().flat_map(|plan| plan.units.iter().enumerate());
        let answered = units.filter(|(unit, it)| it.kind == UnitKind::Wait && state.output(*unit).is_some());
        answered.map(|(_, unit)| unit.name.to_string()).collect()
    }

    pub(super) fn not_undone(&self, state: &State) -> BTreeSet<String> {
        let units = self.plans.first().into_iter().flat_map(|plan| plan.units.iter().enumerate());
        let left = units.filter(|(unit, _)| state.status(*unit).is_not_undone());
        left.map(|(_, unit)| unit.name.to_string()).collect()
    }

    pub(super) fn status(&self, id: SagaId) -> Option<Status> {
        self.load(id).map(|stored| stored.head.status).or_else(|| self.injector.forgotten(id))
    }

    pub(super) fn children(&self) -> BTreeMap<String, Status> {
        let children = self.plans.iter().skip(1).filter_map(|plan| {
            let found = now(self.store.query(&Query::new().with_saga(Arc::clone(&plan.saga))))?.ok()?;
            found.first().map(|child| (plan.saga.to_string(), child.head.status))
        });
        children.collect()
    }
}
