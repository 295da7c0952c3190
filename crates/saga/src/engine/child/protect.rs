//! Keeping a child for its parent: from being forgotten, and from what is decided about it apart from that.

use std::sync::PoisonError;
use std::time::Duration;

use pumasi_core::time::Timestamp;

use super::super::Core;
use super::super::job::Job;
use super::super::operator::Decision;
use super::super::stored::unknown;
use super::look::{WAKE, parent_id, place_id};
use super::{parent, times};
use crate::machine::{Order, Phase, State, StuckAt, record};
use crate::planted::{self, Bug};
use crate::store::{Commit, Head, Lease, Query, SagaId, Status, Stored, Summary};
use crate::{Error, ErrorKind, Result};

/// How often at most it is looked whether the parent of a child that has ended has, too.
const KEEP: Duration = Duration::from_mins(1);

impl<App: Send + Sync + 'static> Core<App> {
    /// Tells until when a child that has ended is not to be forgotten: its parent may ask for it yet. What is due is not purged.
    pub(in crate::engine) async fn keeps(&self, job: &Job<App>) -> Option<Timestamp> {
        let retention = self.options.retention?;
        let parent = parent_id(&job.state).filter(|_| job.state.is_final())?;
        if planted::is(Bug::ChildIsPurged) {
            return None;
        }
        if !job.is_dirty() {
            let parent = self.store.load(parent).await;
            if parent.is_ok_and(|parent| parent.is_none_or(|parent| is_over(&parent))) {
                return None;
            }
        }
        Some(self.now().saturating_add(retention.max(KEEP)))
    }

    /// Looks after sagas that ended and were not forgotten in their time, because nobody who looked at them knows their version: children
    /// that are kept, and what was left a signal.
    pub(in crate::engine) async fn mind_ended(&self) -> Result<()> {
        let orphaned_after = self.options.orphaned_after;
        let kept = self.options.retention.unwrap_or(orphaned_after).max(KEEP);
        let idle = if self.looks_at_all_ended() {
            orphaned_after
        } else if self.options.retention.is_some() {
            kept.saturating_add(orphaned_after)
        } else {
            return Ok(());
        };
        let mut query = Query::new().with_statuses([Status::Completed, Status::Compensated]).with_idle(idle);
        loop {
            let page = self.store.query(&query).await?;
            let Some(last) = page.last() else { return Ok(()) };
            query = query.with_after(last.head.id);
            for summary in page.iter().filter(|it| it.holder.is_none() && self.is_left(&it.head)) {
                match self.mind_left(summary, kept).await {
                    Ok(()) => {}
                    // Somebody who knows it was faster.
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Tells whether it is time to look at everything that has ended: what was left a signal may be among it. There may be much of that.
    fn looks_at_all_ended(&self) -> bool {
        let (mut looked, now) = (self.looked.lock().unwrap_or_else(PoisonError::into_inner), self.now());
        let is_time = looked.is_none_or(|at| at.saturating_add(self.options.orphaned_after) <= now);
        if is_time {
            *looked = Some(now);
        }
        is_time
    }

    /// Tells whether this is of a version that is not known here, and may have something to be looked after. A saga whose very name is not
    /// known here is another service's, but for a child that nobody has looked at for long.
    fn is_left(&self, head: &Head) -> bool {
        match self.knows(head) {
            Some(knows) => !knows,
            None => head.due.is_some_and(|due| due.saturating_add(self.options.orphaned_after) <= self.now()),
        }
    }

    /// Tells whether the version of a saga is known here; nothing if its name is not.
    fn knows(&self, head: &Head) -> Option<bool> {
        let known = self.known();
        let of_name = known.iter().find(|known| known.saga == head.saga);
        of_name.map(|known| known.versions.contains(&head.definition))
    }

    /// Lets a child go whose parent has ended, which takes no code to see; and parks what was left a signal that no code can read.
    async fn mind_left(&self, summary: &Summary, kept: Duration) -> Result<()> {
        let Some(stored) = self.store.load(summary.head.id).await? else { return Ok(()) };
        let head = &stored.head;
        let is_gone_on = (stored.version, stored.epoch) != (summary.version, summary.epoch);
        // A signal that came just now may be for code elsewhere.
        let is_old = |at: Timestamp| at.saturating_add(self.options.orphaned_after) <= self.now();
        let is_left = head.due.is_some_and(is_old) || stored.signals.iter().any(|signal| is_old(signal.at));
        if is_gone_on || !is_left {
            return Ok(());
        }
        let lease = Lease::Take(stored.epoch.saturating_add(1));
        if stored.signals.iter().any(|signal| &*signal.name != WAKE) {
            if self.knows(head).is_none() {
                return Ok(());
            }
            let error = Error::new(ErrorKind::Unsupported, unknown(&head.saga, head.definition));
            self.park(head.id, Some(lease), &error).await;
            return Ok(());
        }
        let Ok(log) = record::read(&stored.log, stored.version) else { return Ok(()) };
        let parent = match parent_id(&log.state) {
            Some(parent) => self.store.load(parent).await?,
            None => None,
        };
        let goes_on = parent.is_some_and(|parent| !is_over(&parent));
        let due = goes_on.then(|| self.now().saturating_add(kept));
        let commit = self.new_head(&stored, lease, Head { due, ..head.clone() });
        let consumed = stored.signals.iter().map(|signal| signal.seq).collect();
        self.commit_until_known(Commit { consumed, ..commit }).await.map(|_| ())
    }

    /// Refuses what a worker does with a child that has lost its parent to another since. Where something is recorded of the time, that
    /// tells; otherwise a worker that stood still would make the child, or undo it, for a time that is over.
    pub(in crate::engine) async fn check_epoch(
        &self,
        child: &State,
        by: &str,
        parent: &str,
        epoch: u64,
    ) -> Result<()> {
        let is_recorded = times(child).any(|time| *time.why == *by);
        let Some(id) = place_id(parent) else { return Ok(()) };
        if is_recorded || planted::is(Bug::UndoneChildIsBegunLate) {
            return Ok(());
        }
        match self.store.load(id).await? {
            Some(stored) if stored.epoch == epoch => Ok(()),
            _ => Err(Error::new(ErrorKind::Unavailable, "the parent of a child has gone to another worker")),
        }
    }

    /// Refuses what would part a child from a parent that counts on it.
    pub(in crate::engine) async fn check_parent(&self, saga: &str, id: SagaId, state: &State) -> Result<()> {
        let Some(of) = parent_id(state).filter(|_| !planted::is(Bug::ChildIsTakenApart)) else {
            return Ok(());
        };
        let Some(stored) = self.store.load(of).await? else { return Ok(()) };
        if is_free(&stored, state) {
            return Ok(());
        }
        let parent = &stored.head.saga;
        let message = format!(
            "saga {saga} {id} is a child of saga {parent} {of}, and goes with it: decide about that one"
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// The same, before a decision is left with whoever drives the child.
    pub(in crate::engine) async fn check_parent_of(&self, id: SagaId, decision: &Decision) -> Result<()> {
        if !parts(decision) {
            return Ok(());
        }
        let Some(stored) = self.store.load(id).await? else { return Ok(()) };
        let state = record::read(&stored.log, stored.version)?.state;
        self.check_parent(&stored.head.saga, id, &state).await
    }
}

/// Tells whether a parent has ended for good: one that is kept for a parent of its own may yet go back with that.
fn is_over(parent: &Stored) -> bool {
    parent.head.status.is_final() && parent.head.due.is_none()
}

/// Tells whether a decision about a child concerns its parent.
pub(in crate::engine) fn parts(decision: &Decision) -> bool {
    matches!(decision.order, Order::Cancel)
}

/// Tells whether a parent does not count on its child: it was undone itself, or stands with an operator because the child came to nothing.
fn is_free(stored: &Stored, child: &State) -> bool {
    if stored.head.status == Status::Compensated {
        return true;
    }
    let Ok(log) = record::read(&stored.log, stored.version) else { return false };
    let step = parent(child).and_then(|parent| parent.split_once('/')).map(|(_, step)| step);
    let stands_at_it = matches!(log.state.stuck, Some((StuckAt::Forward(_), _)));
    log.state.phase == Phase::Compensated || (stands_at_it && step == Some(&*stored.head.step))
}
