//! One call: start or attach, deliver, drive, and say what is needed next.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::child::{self, Undone, Wanted};
use super::decide::Decided;
use super::deliver::{check_room, check_signal, signal_id};
use super::job::Job;
use super::operator::{Decision, ORDER, check_value};
use super::signal::Signal;
use super::stored::{is_for_people, missing, parked};
use super::view::View;
use super::{Active, Core, Driving};
use crate::definition::Untyped;
use crate::machine::record::Note;
use crate::machine::{Command, Ended, Input, Order, State, check_seen};
use crate::planted::{self, Bug};
use crate::store::{Lease, SagaId, Status, Stored, StoredSignal};
use crate::{Error, ErrorKind, Result};

/// How often a call begins anew because others were faster.
const ATTEMPTS: u32 = 100;
/// How often a saga that another worker drives is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// What a call brings.
#[derive(Clone)]
pub(super) enum Message {
    Signal(Signal),
    Decision(Decision),
    Restart(Ended),
    /// Starts a child for a step of its parent's, or looks after it.
    Child(Wanted),
    /// Undoes a child, as far as it was made at this time of its parent's.
    Undo(Undone),
}

impl Message {
    /// Tells whether the saga is new as far as this knows.
    fn presumes_new(&self) -> bool {
        matches!(self, Self::Child(wanted) if wanted.again.is_none() && !wanted.is_begun)
    }

    /// Tells whether this begins anew what has ended so.
    fn begins_anew(&self, state: &State) -> bool {
        match self {
            Self::Restart(_) => state.has_ended(),
            Self::Child(wanted) => wanted.begins_anew(state),
            _ => false,
        }
    }

    /// Tells whether what was left for the saga comes before this: it is not for what is begun anew, nor is that a child is undone for a
    /// time before it.
    fn comes_after(&self, signals: &[StoredSignal], state: &State) -> bool {
        let is_another_time = || matches!(self, Self::Child(wanted) if wanted.is_unrecorded(state));
        let has_orders = || signals.iter().any(|signal| &*signal.name == ORDER);
        !signals.is_empty() && (self.begins_anew(state) || (is_another_time() && has_orders()))
    }

    /// The later time than the first that a parent makes its child, or undoes it, for; with that parent, and the epoch under which it does.
    fn later_time(&self) -> Option<(&str, &str, u64)> {
        match self {
            Self::Child(Wanted { again: Some(by), parent, epoch, .. }) => Some((by, parent, *epoch)),
            Self::Undo(Undone { by: Some(by), parent: Some(parent), epoch: Some(epoch), .. }) => {
                Some((by, parent, *epoch))
            }
            _ => None,
        }
    }

    /// Tells whether this concerns the parent of a child, too.
    fn parts_child(&self) -> bool {
        matches!(self, Self::Restart(_)) || matches!(self, Self::Decision(decision) if child::parts(decision))
    }
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Returns the definition that a saga follows which is new with this.
    fn definition_for_new(&self, saga: &str, message: Option<&Message>) -> Result<Arc<Untyped<App>>> {
        let version = match message {
            _ if planted::is(Bug::ChildFollowsTheNewest) => None,
            Some(Message::Child(wanted)) => Some(wanted.version),
            Some(Message::Undo(undone)) => undone.version,
            _ => None,
        };
        match version {
            Some(version) => self.known_definition(saga, version),
            None => self.newest(saga),
        }
    }

    pub(super) async fn call(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        message: Option<Message>,
        create: bool,
    ) -> Result<View> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::new(ErrorKind::Unavailable, "the engine has stopped"))?;
        let view = self.call_with(saga, key, message, create, Some(permit)).await?;
        Ok(self.with_child(view).await)
    }

    pub(super) async fn call_with(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        mut message: Option<Message>,
        create: bool,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Result<View> {
        let for_new = self.definition_for_new(saga, message.as_ref())?;
        let id = SagaId::of(saga, key);
        let begun = self.options.clock.instant();
        // Whether the saga was there when this call looked for it, or left something with it.
        let (mut conflicts, mut looked, mut was_there) = (0, false, false);
        // As long as this call waits, the parent that it is made for hears by it what becomes of the child.
        let is_parents = matches!(message, Some(Message::Child(_) | Message::Undo(_)));
        let looking = is_parents.then(|| Arc::new(()));
        while conflicts < ATTEMPTS {
            if self.stopping.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "the engine is stopping"));
            }
            let left = self.options.patience.saturating_sub(self.options.clock.instant() - begun);
            // Most sagas that are started are new: that they are is found out by creating them.
            let is_first = !std::mem::replace(&mut looked, true);
            let presumed_new = is_first && create && message.as_ref().is_none_or(Message::presumes_new);
            let active = match self.begin(id) {
                Ok(active) => active,
                Err(other) => {
                    let ended = other.ended.notified();
                    was_there |= self.leave_with_driver(id, &mut message).await?;
                    if left.is_zero() {
                        return match message {
                            None => self.view_from(id, &other).await,
                            Some(_) => Err(not_left()),
                        };
                    }
                    if self.active().contains_key(&id) {
                        let _ = pumasi_core::resilience::within(&*self.options.clock, left, ended).await;
                    }
                    if message.is_none()
                        && let Some(view) = other.forgotten()
                    {
                        return Ok(view);
                    }
                    continue;
                }
            };
            self.ensure_lease().await?;
            let stored = if presumed_new { None } else { self.store.load(id).await? };
            let mut was_parked = false;
            let mut job = match stored {
                None if was_there => return Err(forgotten(id)),
                None if create => Job::create(Arc::clone(&for_new), id, Arc::clone(key), self.now()),
                None => return Err(missing(id)),
                Some(stored) if stored.holder.is_some_and(|holder| holder != self.worker) => {
                    drop(active);
                    was_there = true;
                    self.leave_with_driver(id, &mut message).await?;
                    if left.is_zero() {
                        return if message.is_some() { Err(not_left()) } else { self.view_of(&stored) };
                    }
                    self.options.clock.sleep(LOOK).await;
                    continue;
                }
                Some(stored) => {
                    was_there = true;
                    was_parked = stored.head.status == Status::Parked;
                    self.take(stored, message.as_ref()).await?
                }
            };
            let brought = message.as_ref().filter(|_| !was_parked);
            let is_put_off = brought.is_some_and(|message| message.comes_after(&job.signals, &job.state))
                && !planted::is(Bug::NewRunTakesWhatCameBefore);
            let brought = brought.filter(|_| !is_put_off);
            if brought.is_some_and(Message::parts_child) {
                self.check_parent(saga, id, &job.state).await?;
            }
            if let Some((by, parent, epoch)) = brought.and_then(Message::later_time) {
                self.check_epoch(&job.state, by, parent, epoch).await?;
            }
            job.looked_at_by(looking.as_ref());
            let first = self.begin_with(&mut job, brought)?;
            let idle = !job.is_dirty()
                && job.signals.is_empty()
                && job.resumed.is_empty()
                && job.state.due().is_none_or(|due| due > self.now());
            if idle {
                return Ok(View::of_job(&job));
            }
            let driven = self.run_job(job, first, active, permit.take()).await?;
            permit = driven.permit;
            match driven.result {
                Ok(_) if is_put_off => {}
                Ok(view) => return Ok(view),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    conflicts += 1;
                    if driven.committed && !is_put_off {
                        message = None;
                        was_there = true;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Overloaded, "a saga changes hands too often to be driven from here"))
    }

    /// Opens a saga that nobody else holds, for what a call brings.
    async fn take(&self, stored: Stored, message: Option<&Message>) -> Result<Job<App>> {
        self.leased.hear(stored.now, &*self.options.clock);
        let (id, lease) = (stored.head.id, Lease::Take(stored.epoch + 1));
        let retried = match message {
            Some(Message::Decision(decision)) if matches!(decision.order, Order::Retry) => Some(decision),
            _ => None,
        };
        let was_parked = stored.head.status == Status::Parked;
        if was_parked && retried.is_none() {
            return Err(parked(&stored));
        }
        let definition = self.definition_of(&stored)?;
        let mut job = match Job::open(definition, stored, lease) {
            Ok(job) => job,
            Err(error) => {
                if error.kind() == ErrorKind::Protocol {
                    // Nobody can read it, so that it is put where people look.
                    self.park(id, Some(lease), &error).await;
                }
                return Err(error);
            }
        };
        if was_parked && let Some(decision) = retried {
            check_seen(&job.definition.plan, &job.state, decision.at.as_deref())?;
            job.audit(decision.order.name(), &decision.who, &decision.why, self.now());
        }
        Ok(job)
    }

    /// Works in what a call brings.
    fn begin_with(&self, job: &mut Job<App>, message: Option<&Message>) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        let is_new = job.state.version == 0;
        if is_new && let Some(Message::Undo(undone)) = message {
            let decision = child::undoing();
            job.never_begin(&decision.who, &decision.why, self.now());
            if let Some(parent) = &undone.parent {
                job.note_parent(parent, self.now());
            }
            if let Some(by) = &undone.by {
                job.note_time(child::PASS_OVER, by, self.now());
            }
            return Ok(commands);
        }
        if is_new {
            commands = job.apply(Note::Begun, Input::Begin, self.moment())?.commands;
        }
        match message {
            None => {}
            Some(Message::Restart(ended)) => {
                commands.extend(job.apply(Note::Restarted, Input::Restart(*ended), self.moment())?.commands);
            }
            Some(Message::Child(wanted)) => {
                wanted.check(&job.definition.plan, &job.state)?;
                job.note_parent(&wanted.parent, self.now());
                let is_anew = !is_new && wanted.begins_anew(&job.state);
                let is_made = is_new || is_anew || wanted.is_unrecorded(&job.state);
                if is_anew {
                    let restart = Input::Restart(Ended::Anyhow);
                    commands.extend(job.apply(Note::Restarted, restart, self.moment())?.commands);
                }
                if let (true, Some(by)) = (is_made, &wanted.again) {
                    job.note_time(child::RESTART, by, self.now());
                }
            }
            Some(Message::Undo(undone)) => commands.extend(self.undo_for(job, undone)?),
            Some(Message::Decision(decision)) => {
                check_value(&job.definition, &job.state, decision)?;
                commands.extend(job.apply(Note::Operator, decision.input(), self.moment())?.commands);
            }
            Some(Message::Signal(signal)) => {
                // What was delivered before comes before.
                commands.extend(self.take_signals(job)?);
                let unit = check_signal(&job.definition, signal)?;
                let id = signal_id(&job.definition, &job.state, signal)?;
                check_room(&job.state, &[], signal, &id)?;
                let payload = signal.payload.clone().unwrap_or_else(|_| Arc::from([]));
                let input = Input::Signal { unit, id, payload, at: self.now() };
                let outcome = job.apply(Note::Signal, input, self.moment())?;
                Self::count_reception(job, outcome.reception);
                commands.extend(outcome.commands);
            }
        }
        Ok(commands)
    }

    /// Shows a saga that another call drives here.
    async fn view_from(&self, id: SagaId, driving: &Driving) -> Result<View> {
        match self.store.load(id).await? {
            Some(stored) => self.view_of(&stored),
            None => driving.forgotten().ok_or_else(|| {
                Error::new(ErrorKind::Overloaded, "the saga is being created by another call at the moment")
            }),
        }
    }

    /// Drives a job in a task of its own, so that it goes on when the caller goes away.
    async fn run_job(
        self: &Arc<Self>,
        job: Job<App>,
        first: Vec<Command>,
        active: Active<App>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Driven> {
        let (core, told) = (Arc::clone(self), Arc::clone(&active.driving));
        let driving = async move { core.drive_to_rest(job, first, active, permit).await };
        if self.options.inline {
            return Ok(driving.await);
        }
        let task = tokio::spawn(driving);
        let _ = told.stop.set(task.abort_handle());
        task.await.map_err(|stopped| {
            let kind = if stopped.is_cancelled() { ErrorKind::Unavailable } else { ErrorKind::Other };
            Error::new(kind, "the driver of a saga was stopped")
        })
    }

    /// Drives a job, and parks its saga if this code cannot.
    pub(super) async fn drive_to_rest(
        self: &Arc<Self>,
        mut job: Job<App>,
        first: Vec<Command>,
        active: Active<App>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Driven {
        let span = Self::span(&job);
        let driven = self.drive(&mut job, first, &active.driving.told).instrument(span.clone()).await;
        Self::end_span(&span, &job);
        let result = match driven {
            Ok(()) => {
                self.wake_parent(&job).await;
                let mut view = View::of_job(&job);
                if self.forgets() && job.state.is_final() {
                    view.decided = Some(Arc::new(Decided::of(&job.state)));
                    active.driving.forget(view.clone());
                }
                Ok(view)
            }
            Err(error) => {
                if is_for_people(&error) {
                    self.park(job.id, job.held(), &error).await;
                }
                Err(error)
            }
        };
        let committed = job.committed;
        drop(active);
        Driven { result, committed, permit }
    }
}

/// The error of a call whose saga was there, and is not any more.
pub(super) fn forgotten(id: SagaId) -> Error {
    let message = format!("saga {id} has ended, and was forgotten before this call could look how");
    Error::new(ErrorKind::NotFound, message)
}

/// The error of an answer that could not be left: nothing of it is recorded.
fn not_left() -> Error {
    Error::new(ErrorKind::Overloaded, "a saga is busy, and the answer could not be left with it")
}

/// How driving a job ended.
pub(super) struct Driven {
    pub(super) result: Result<View>,
    pub(super) committed: bool,
    permit: Option<OwnedSemaphorePermit>,
}
