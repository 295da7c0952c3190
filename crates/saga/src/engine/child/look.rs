//! Looking after a child that was begun and goes on by itself: nothing of its parent is recorded until it has come to something.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::drive::{caught, lacking};
use super::super::job::Job;
use super::super::view::View;
use super::super::{Core, data};
use super::{Time, Wanted, goes_back, parent};
use crate::Result;
use crate::definition::UnitKind;
use crate::machine::{self, Command, Phase, State, UnitStatus, record};
use crate::planted::{self, Bug};
use crate::store::{NewSignal, SagaId, Status, Stored};

/// The name under which a parent is woken; no answer is called so.
pub(in crate::engine) const WAKE: &str = "!child";

/// How often it is tried to wake a parent: some six seconds long with the default pauses.
const WAKE_ATTEMPTS: u32 = 10;

/// How long a parent leaves its child alone at least, and at most.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(10);

/// The saga whose child one in this state is.
pub(super) fn parent_id(state: &State) -> Option<SagaId> {
    place_id(parent(state)?)
}

/// The saga of one of whose steps this is the place.
pub(super) fn place_id(place: &str) -> Option<SagaId> {
    place.split_once('/')?.0.parse().ok()
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Looks after the child that a saga rests at, if it is time to. As long as that goes on, the saga is due again after half of the
    /// time that it has waited, and nothing of that is recorded.
    pub(in crate::engine) async fn look_after(self: &Arc<Self>, job: &mut Job<App>) -> Result<()> {
        let now = self.now();
        let Some(command) = machine::looked_after(&job.definition.plan, &job.state, now) else {
            return Ok(());
        };
        let (Command::Run(unit) | Command::Undo(unit)) = command else { return Ok(()) };
        let Some(wanted) = self.wanted(job, unit)? else { return Ok(()) };
        if let Some(status) = self.goes_on(&wanted, matches!(command, Command::Undo(_))).await {
            let waited = job.state.unit(unit).at.map_or(Duration::ZERO, |since| now.saturating_since(since));
            let pause = (waited / 2).clamp(SOONEST, LATEST);
            machine::look_again(&mut job.state, unit, now.saturating_add(pause));
            job.wait_for(Some(wanted.waited_for(status)));
        }
        Ok(())
    }

    /// The child that a unit is.
    fn wanted(self: &Arc<Self>, job: &Job<App>, unit: usize) -> Result<Option<Wanted>> {
        let (cx, _) = self.cx(job, Command::Run(unit))?;
        let code = job.definition.codes.get(unit).ok_or_else(lacking)?;
        caught(|| code.run.child(&cx, data(&job.key, &job.state)))
    }

    /// Tells how a child stands that its parent has nothing to do about but wait.
    async fn goes_on(&self, wanted: &Wanted, is_going_back: bool) -> Option<Status> {
        let stored = self.store.load(wanted.id()).await.ok()??;
        let status = stored.head.status;
        if status == Status::Parked {
            // It may be taken up yet.
            return (wanted.is_undone && !is_going_back).then_some(status);
        }
        let state = record::read(&stored.log, stored.version).ok()?.state;
        let waits = if is_going_back {
            let time = wanted.undone(wanted.is_begun).time(&state);
            time == Time::Now && goes_back(&state) && !state.has_ended()
        } else {
            // One that has ended may have late signals to handle before it can be begun anew.
            let goes_on = if wanted.is_begun {
                !state.has_ended()
            } else {
                wanted.begins_anew(&state) && !state.is_final()
            };
            goes_on && parent(&state).is_some_and(|parent| **parent == *wanted.parent)
        };
        waits.then_some(status)
    }

    /// Finds a child that has to have completed before the pivot is made, and has not, if that is next.
    pub(in crate::engine) async fn not_completed(
        self: &Arc<Self>,
        job: &Job<App>,
        commands: &[Command],
    ) -> Result<Option<(Command, Arc<str>)>> {
        let plan = &job.definition.plan;
        let is_next = |pivot: &usize| commands.contains(&Command::Run(*pivot));
        let Some(pivot) = plan.pivot.filter(is_next) else { return Ok(None) };
        // What may have been done already is not taken back.
        if job.state.unit(pivot).unsure || planted::is(Bug::PivotTrustsItsChildren) {
            return Ok(None);
        }
        for (unit, it) in plan.units.iter().enumerate().take(pivot) {
            if it.kind != UnitKind::Child || job.state.status(unit) != UnitStatus::Done {
                continue;
            }
            let Some(wanted) = self.wanted(job, unit)? else { continue };
            // One of which nothing is kept was done when that was known.
            let Some(stored) = self.load_until_known(wanted.id()).await else { continue };
            let log = record::read(&stored.log, stored.version);
            if !log.is_ok_and(|log| log.state.phase == Phase::Completed) {
                let status = stored.head.status;
                let reason = Arc::from(format!("child {} stands as {status}, not completed", it.name));
                return Ok(Some((Command::Run(pivot), reason)));
            }
        }
        Ok(None)
    }

    /// Wakes the parent of a child that has come to something, unless it is just being told by a call of its own; for some seconds, if the
    /// store fails. A parent that is not woken looks after its child by itself.
    pub(in crate::engine) async fn wake_parent(self: &Arc<Self>, job: &Job<App>) {
        let comes_to_something = job.state.has_ended() || job.state.stuck.is_some();
        if !job.recorded || !comes_to_something || job.is_looked_at() || planted::is(Bug::ParentIsNotWoken) {
            return;
        }
        let Some(parent) = parent_id(&job.state) else { return };
        let id = Arc::from(format!("{WAKE}:{}:{}", job.id, job.state.version));
        let signal = NewSignal { saga: parent, name: Arc::from(WAKE), id, payload: b"{}".to_vec() };
        if self.wakes(&signal, 1).await {
            return;
        }
        let core = Arc::clone(self);
        let again = async move {
            for failures in 1..WAKE_ATTEMPTS {
                let pause = core.options.store_backoff.delay(failures, &core.options.random);
                core.options.clock.sleep(pause).await;
                if core.wakes(&signal, failures + 1).await {
                    return;
                }
            }
        };
        // Neither the child nor whoever has called it waits for that.
        if self.options.inline {
            again.await;
        } else {
            tokio::spawn(again);
        }
    }

    /// Tries to wake a parent, and tells whether that is over: it is woken, or cannot be.
    async fn wakes(&self, signal: &NewSignal, attempt: u32) -> bool {
        match self.store.deliver(signal.clone()).await {
            Ok(_) => {
                self.tell_driver(signal.saga);
                true
            }
            Err(error) => {
                tracing::debug!(error = %error, attempt, saga = %signal.saga, "a parent could not be woken");
                !error.retry().is_retryable()
            }
        }
    }

    /// Adds the child that a saga waits for to what is shown of it.
    pub(in crate::engine) async fn with_child(&self, mut view: View) -> View {
        self.add_children(vec![&mut view]).await;
        view
    }

    /// Adds the children that sagas wait for to what is shown of them, and those that these wait for: one question to the store for each
    /// generation.
    pub(in crate::engine) fn add_children<'a>(&'a self, views: Vec<&'a mut View>) -> BoxFuture<'a, ()> {
        let added = async move {
            let (mut parents, mut ids) = (Vec::new(), Vec::new());
            for view in views {
                if let Some(awaits) = &view.awaits {
                    ids.push(awaits.id);
                    parents.push(view);
                }
            }
            if ids.is_empty() {
                return;
            }
            let Ok(found) = self.store.load_all(&ids).await else { return };
            let mut children = Vec::new();
            for (view, stored) in parents.into_iter().zip(found) {
                view.child = stored.and_then(|stored| self.child_of(view, &stored)).map(Box::new);
                children.extend(view.child.as_deref_mut());
            }
            self.add_children(children).await;
        };
        added.boxed()
    }

    /// Shows the saga that another waits for, if it is its child: what has the key may be another's, or nobody's.
    fn child_of(&self, view: &View, stored: &Stored) -> Option<View> {
        let (definition, state) = self.read(stored).ok()?;
        let is_its = parent(&state) == view.awaits.as_ref().map(|awaits| &awaits.by);
        is_its.then(|| View::of_stored(stored, &definition, &state))
    }
}
