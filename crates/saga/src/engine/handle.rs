//! The single endpoint: start or attach, deliver, drive, and say what is needed next.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::child;
use super::drive::caught;
use super::job::Job;
use super::operator::{Decision, ORDER};
use super::signal::{Receipt, Signal, wait_for};
use super::view::{Snapshot, View};
use super::{Active, Core, Engine, check_definition};
use crate::definition::erased::{MAX_VALUE, recordable};
use crate::definition::{Definition, Untyped};
use crate::machine::record::{self, Note};
use crate::machine::{Command, Input, Order, State, StuckAt};
use crate::store::{Delivered, Lease, NewSignal, Query, SagaId, Status, Stored, StoredSignal, Summary};
use crate::{Error, ErrorKind, Result};

/// The longest id of a signal, in bytes.
const MAX_SIGNAL_ID: usize = 200;
/// How many signals a saga keeps for later, and how large they are together.
const MAX_KEPT: usize = 1_000;
const MAX_KEPT_BYTES: usize = 4 << 20;
/// How often a call begins anew because others were faster.
const ATTEMPTS: u32 = 100;
/// How often a saga that another worker drives is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// What the sagas of one definition are started, answered, looked at and decided by. Clones are the same handle.
///
/// Every call works from every process: it does what it can here, and otherwise leaves it with whoever drives the saga.
pub struct SagaHandle<K, App> {
    engine: Engine<App>,
    saga: Arc<str>,
    key: PhantomData<fn(K)>,
}

/// What a call brings.
#[derive(Clone)]
pub(super) enum Message {
    Signal(Signal),
    Decision(Decision),
    /// Of a child, by this attempt of its parent to make it; nothing if that has begun it anew already.
    Restart(Option<Arc<str>>),
}

impl<K, App> SagaHandle<K, App> {
    pub(super) fn new(engine: Engine<App>, saga: Arc<str>) -> Self {
        Self { engine, saga, key: PhantomData }
    }
}

impl<K: Serialize, App: Send + Sync + 'static> SagaHandle<K, App> {
    /// Starts the saga with this key, or attaches to it; drives it as far as it goes, and says what it needs next.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the key is longer than 1,024 bytes as JSON; `Unsupported` or `Protocol` if the saga is there and this code
    /// cannot drive it; `Unavailable` or `Storage` if the store failed: call again.
    pub async fn start(&self, key: &K) -> Result<View> {
        self.engine.core.call(&self.saga, &json(key)?, None, true).await
    }

    /// Starts the saga with this key, or attaches to it; gives it this answer, drives it as far as it goes, and says what it needs
    /// next.
    ///
    /// When this returns `Ok`, the answer is recorded. An answer that comes before its turn is kept; one that was given before
    /// changes nothing. What is still kept when the saga completes, because another answer to the same wait was taken, is dropped.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and `InvalidInput` if the saga does not wait for such an answer anywhere, if it does not have the
    /// answer's type, if its own check refuses it, if it is larger than 1 MiB as JSON, or if 1,000 answers, or 4 MiB of them, wait
    /// for their turn already.
    pub async fn advance(&self, key: &K, answer: impl Into<Signal>) -> Result<View> {
        let message = Some(Message::Signal(answer.into()));
        self.engine.core.call(&self.saga, &json(key)?, message, true).await
    }

    /// Leaves a signal for a saga that exists, without driving it: for webhooks, which have to be answered at once.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such saga; `InvalidInput` as [`advance`](Self::advance); `Unavailable` or `Storage` if the store
    /// failed: call again with the same id.
    pub async fn signal(&self, key: &K, signal: impl Into<Signal>) -> Result<Receipt> {
        self.engine.core.leave_signal(&self.saga, &json(key)?, signal.into()).await
    }

    /// Begins a saga anew that has ended: a registration that was undone may be tried again. Its steps get new keys.
    ///
    /// # Errors
    ///
    /// `Conflict` if it has not ended; `NotFound` if there is none.
    pub async fn restart(&self, key: &K) -> Result<View> {
        self.engine.core.call(&self.saga, &json(key)?, Some(Message::Restart(None)), false).await
    }

    /// Carries out an operator's decision, and records who made it and why.
    ///
    /// If the saga is being driven at the moment, the decision is left with its driver, which looks for it whenever an attempt of a
    /// step ends (left by another process, within a second of that); should it come too late there, that is recorded among the
    /// [audits](crate::Snapshot::audits), and the view shows it.
    ///
    /// # Errors
    ///
    /// `Conflict` if it does not fit where the saga stands; `InvalidInput` if a savepoint does not exist or a value is not what the
    /// step makes; `NotFound` if there is no such saga.
    pub async fn decide(&self, key: &K, decision: Decision) -> Result<View> {
        self.engine.core.call(&self.saga, &json(key)?, Some(Message::Decision(decision)), false).await
    }

    /// Shows where the saga stands.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `Unsupported` or `Protocol` if this code cannot read it.
    pub async fn view(&self, key: &K) -> Result<View> {
        Ok(self.snapshot(key).await?.view)
    }

    /// Shows the saga in full.
    ///
    /// # Errors
    ///
    /// As [`view`](Self::view).
    pub async fn snapshot(&self, key: &K) -> Result<Snapshot> {
        let id = SagaId::of(&self.saga, &json(key)?);
        let core = &self.engine.core;
        let stored = core.store.load(id).await?.ok_or_else(|| missing(id))?;
        let definition = core.definition_of(&stored)?;
        let log = record::read(&stored.log, stored.version)?;
        check_definition(&definition, &log.state)?;
        let mut snapshot = Snapshot::new(id, &definition, &log.state, log.history);
        snapshot.view = snapshot.view.parked_as(&stored.head);
        Ok(snapshot)
    }

    /// Lists the sagas of this definition that a query means.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Storage` if the store failed.
    pub async fn query(&self, query: Query) -> Result<Vec<Summary>> {
        self.engine.core.store.query(&query.with_saga(Arc::clone(&self.saga))).await
    }

    /// Returns the newest version of the definition.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none any more.
    pub fn definition(&self) -> Result<Definition<K, App>> {
        self.engine.core.newest(&self.saga).map(Definition::from_untyped)
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine<App> {
        &self.engine
    }

    /// Returns the id of the saga with this key.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the key cannot be written as JSON.
    pub fn id(&self, key: &K) -> Result<SagaId> {
        Ok(SagaId::of(&self.saga, &json(key)?))
    }
}

fn json<K: Serialize>(key: &K) -> Result<Arc<str>> {
    serde_json::to_string(key)
        .map(Arc::from)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "the key of a saga cannot be written as JSON"))
}

/// What is said of a saga whose version of its definition is not known here.
pub(super) fn unknown(saga: &str, version: u32) -> String {
    format!("no code here knows version {version} of saga {saga}")
}

fn missing(id: SagaId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no saga {id}"))
}

impl<App: Send + Sync + 'static> Core<App> {
    /// Finds the definition that a stored saga follows.
    pub(super) fn definition_of(&self, stored: &Stored) -> Result<Arc<Untyped<App>>> {
        let (saga, version) = (&stored.head.saga, stored.head.definition);
        self.definition(saga, version)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, unknown(saga, version)))
    }

    /// Reads what a stored saga's log says, and the definition that it follows.
    pub(super) fn read(&self, stored: &Stored) -> Result<(Arc<Untyped<App>>, State)> {
        let definition = self.definition_of(stored)?;
        let state = record::read(&stored.log, stored.version)?.state;
        check_definition(&definition, &state)?;
        Ok((definition, state))
    }

    /// What has to be delivered of a signal; nothing if the saga has it.
    fn to_deliver(&self, stored: &Stored, signal: &Signal) -> Result<Option<NewSignal>> {
        let (definition, state) = self.read(stored)?;
        check_signal(&definition, signal)?;
        let signal_id = signal_id(&definition, &state, signal)?;
        if state.has_seen(&signal_id) {
            return Ok(None);
        }
        check_room(&state, &stored.signals, signal, &signal_id)?;
        new_signal(stored.head.id, signal, signal_id).map(Some)
    }

    async fn leave_signal(&self, saga: &str, key: &str, signal: Signal) -> Result<Receipt> {
        let id = SagaId::of(saga, key);
        let stored = self.store.load(id).await?.ok_or_else(|| missing(id))?;
        let Some(signal) = self.to_deliver(&stored, &signal)? else { return Ok(Receipt::Duplicate) };
        match self.store.deliver(signal).await? {
            Delivered::Stored => {
                self.tell_driver(id);
                Ok(Receipt::Kept)
            }
            Delivered::Duplicate => Ok(Receipt::Duplicate),
        }
    }

    async fn call(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        message: Option<Message>,
        create: bool,
    ) -> Result<View> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::new(ErrorKind::Unavailable, "the engine has stopped"))?;
        self.call_with(saga, key, message, create, Some(permit)).await
    }

    pub(super) async fn call_with(
        self: &Arc<Self>,
        saga: &str,
        key: &Arc<str>,
        mut message: Option<Message>,
        create: bool,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Result<View> {
        let newest = self.newest(saga)?;
        let id = SagaId::of(saga, key);
        let begun = self.options.clock.instant();
        let (mut conflicts, mut looked, mut recorded) = (0, false, false);
        while conflicts < ATTEMPTS {
            let left = self.options.patience.saturating_sub(self.options.clock.instant() - begun);
            // Most sagas that are started are new: that they are is found out by creating them.
            let is_first = !std::mem::replace(&mut looked, true);
            let presumed_new = is_first && create && message.is_none();
            let active = match self.begin(id) {
                Ok(active) => active,
                Err(other) => {
                    let ended = other.ended.notified();
                    self.leave_with_driver(id, &mut message).await?;
                    if left.is_zero() {
                        return match message {
                            None => self.stored_view(id).await,
                            Some(_) => Err(not_left()),
                        };
                    }
                    if self.active().contains_key(&id) {
                        let _ = pumasi_core::resilience::within(&*self.options.clock, left, ended).await;
                    }
                    continue;
                }
            };
            self.ensure_lease().await?;
            let stored = if presumed_new { None } else { self.store.load(id).await? };
            let mut was_parked = false;
            let mut job = match stored {
                // What this call recorded and is not there any more has ended and was forgotten.
                None if create && !recorded => {
                    Job::create(Arc::clone(&newest), id, Arc::clone(key), self.now())
                }
                None => return Err(missing(id)),
                Some(stored) if stored.holder.is_some_and(|holder| holder != self.worker) => {
                    drop(active);
                    self.leave_with_driver(id, &mut message).await?;
                    if left.is_zero() {
                        return if message.is_some() { Err(not_left()) } else { self.view_of(&stored) };
                    }
                    self.options.clock.sleep(LOOK).await;
                    continue;
                }
                Some(stored) => {
                    was_parked = stored.head.status == Status::Parked;
                    self.take(stored, message.as_ref()).await?
                }
            };
            let brought = message.as_ref().filter(|_| !was_parked);
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
                Ok(view) => return Ok(view),
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    conflicts += 1;
                    if driven.committed {
                        message = None;
                        recorded = true;
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
            job.audit(decision.order.name(), &decision.who, &decision.why, self.now());
        }
        Ok(job)
    }

    /// Works in what a call brings.
    fn begin_with(&self, job: &mut Job<App>, message: Option<&Message>) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        let is_new = job.state.version == 0;
        if is_new && let Some(Message::Decision(decision)) = message {
            job.never_begin(&decision.who, &decision.why, self.now());
            return Ok(commands);
        }
        if is_new {
            commands = job.apply(Note::Begun, Input::Begin, self.moment())?.commands;
        }
        match message {
            None => {}
            Some(Message::Restart(None)) => {
                commands.extend(job.apply(Note::Restarted, Input::Restart, self.moment())?.commands);
            }
            // It has been begun anew for this already.
            Some(Message::Restart(Some(by))) if child::was_begun_by(&job.state, by) => {}
            Some(Message::Restart(Some(by))) => {
                if !is_new {
                    commands.extend(job.apply(Note::Restarted, Input::Restart, self.moment())?.commands);
                }
                job.audit("restart", &Arc::from(child::PARENT), by, self.now());
            }
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
                self.count_reception(job, outcome.reception);
                commands.extend(outcome.commands);
            }
        }
        Ok(commands)
    }

    /// Leaves a message with whoever drives the saga.
    async fn leave_with_driver(&self, id: SagaId, message: &mut Option<Message>) -> Result<()> {
        let signal = match message {
            None => return Ok(()),
            Some(Message::Restart(_)) => {
                return Err(Error::new(ErrorKind::Conflict, "the saga has not ended"));
            }
            Some(Message::Decision(decision)) => {
                if matches!(decision.order, Order::ForceDone(_))
                    && let Some(stored) = self.store.load(id).await?
                {
                    let (definition, state) = self.read(&stored)?;
                    check_value(&definition, &state, decision)?;
                }
                NewSignal {
                    saga: id,
                    name: Arc::from(ORDER),
                    id: Arc::from(format!("{ORDER}:{:016x}", fastrand::u64(..))),
                    payload: decision.write(),
                }
            }
            Some(Message::Signal(signal)) => {
                let Some(stored) = self.store.load(id).await? else { return Ok(()) };
                let Some(signal) = self.to_deliver(&stored, signal)? else {
                    *message = None;
                    return Ok(());
                };
                signal
            }
        };
        match self.store.deliver(signal).await {
            Ok(_) => {
                *message = None;
                self.tell_driver(id);
            }
            // It is being created here at the moment.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) async fn stored_view(&self, id: SagaId) -> Result<View> {
        let stored = self.store.load(id).await?.ok_or_else(|| missing(id))?;
        self.view_of(&stored)
    }

    fn view_of(&self, stored: &Stored) -> Result<View> {
        let (definition, state) = self.read(stored)?;
        Ok(View::of(stored.head.id, &definition, &state).parked_as(&stored.head))
    }

    /// Drives a job in a task of its own, so that it goes on when the caller goes away.
    async fn run_job(
        self: &Arc<Self>,
        job: Job<App>,
        first: Vec<Command>,
        active: Active<App>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Driven> {
        let core = Arc::clone(self);
        let driving = async move { core.drive_to_rest(job, first, active, permit).await };
        if self.options.inline {
            return Ok(driving.await);
        }
        let task = tokio::spawn(driving);
        task.await.map_err(|_| Error::new(ErrorKind::Other, "the driver of a saga was stopped"))
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
            Ok(()) => Ok(View::of_job(&job)),
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

    /// Puts a saga aside that this code cannot drive, so that it is seen and the others go on.
    pub(super) async fn park(&self, id: SagaId, lease: Option<Lease>, error: &Error) {
        tracing::error!(error = %error, saga = %id, "a saga cannot be driven by this code, and is parked");
        metrics::counter!("saga_parked_total").increment(1);
        let parked = match (self.store.load(id).await, lease) {
            (Ok(Some(stored)), Some(lease)) => {
                let reason = recordable(error.message());
                self.commit_until_known(self.parking(&stored, lease, reason)).await.map(|_| ())
            }
            (Ok(_), _) => Ok(()),
            (Err(error), _) => Err(error),
        };
        if let Err(error) = parked {
            tracing::warn!(error = %error, saga = %id, "a saga could not be parked; whoever claims it next tries again");
        }
    }
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

/// Tells whether trying again cannot help: not if the saga is somebody else's, or the store did not do what it should.
pub(super) fn is_for_people(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::InvalidInput)
}

fn parked(stored: &Stored) -> Error {
    let reason = stored.head.reason.as_deref().unwrap_or("no reason is recorded");
    Error::new(ErrorKind::Unsupported, format!("saga {} is parked: {reason}", stored.head.id))
}

/// Checks a signal against the wait that it is for, and returns that.
fn check_signal<App>(definition: &Untyped<App>, signal: &Signal) -> Result<usize> {
    let plan = &definition.plan;
    let unit = wait_for(plan, &signal.name)?;
    let payload = signal.payload.as_ref().map_err(|wrong| {
        Error::new(ErrorKind::InvalidInput, format!("the answer {} is refused: {wrong}", signal.name))
    })?;
    if payload.len() > MAX_VALUE {
        let message = format!("the answer {} is larger than 1 MiB as JSON", signal.name);
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    if let Some(code) = definition.codes.get(unit) {
        code.run.check(payload)?;
    }
    if signal.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_SIGNAL_ID || id.contains('\0')) {
        return Err(Error::new(ErrorKind::InvalidInput, "the id of a signal has 1 to 200 bytes"));
    }
    Ok(unit)
}

/// Refuses a new signal where so much waits already that the saga could not be recorded with it.
fn check_room(state: &State, waiting: &[StoredSignal], signal: &Signal, id: &str) -> Result<()> {
    let early = state.early.iter().map(|early| early.payload.len());
    let late = state.late.iter().map(|late| late.payload.len());
    let kept = early.chain(late).chain(waiting.iter().map(|signal| signal.payload.len()));
    let (count, bytes) = kept.fold((0, 0), |(count, bytes), length| (count + 1, bytes + length));
    let new = signal.payload.as_ref().map_or(0, |payload| payload.len());
    if !state.has_seen(id) && count > 0 && (count >= MAX_KEPT || bytes + new > MAX_KEPT_BYTES) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "too many signals wait for their turn with this saga",
        ));
    }
    Ok(())
}

/// Returns the id of a signal: its own, or that of the one answer to its wait in this run and round.
fn signal_id<App>(definition: &Untyped<App>, state: &State, signal: &Signal) -> Result<Arc<str>> {
    if let Some(id) = &signal.id {
        return Ok(Arc::from(format!("{}:{id}", signal.name)));
    }
    let unit = wait_for(&definition.plan, &signal.name)?;
    Ok(Arc::from(format!("{}#{}.{}", signal.name, state.run, state.unit(unit).round)))
}

fn new_signal(saga: SagaId, signal: &Signal, id: Arc<str>) -> Result<NewSignal> {
    let payload = signal
        .payload
        .clone()
        .map_err(|_| Error::new(ErrorKind::InvalidInput, format!("the answer {} is refused", signal.name)))?;
    Ok(NewSignal { saga, name: Arc::clone(&signal.name), id, payload: payload.to_vec() })
}

/// Checks that a forced value is what the step makes.
pub(super) fn check_value<App>(definition: &Untyped<App>, state: &State, decision: &Decision) -> Result<()> {
    if let (Order::ForceDone(value), Some((StuckAt::Forward(unit), _))) = (&decision.order, &state.stuck)
        && let Some(code) = definition.codes.get(*unit)
    {
        caught(|| code.run.check(value))?;
    }
    Ok(())
}

impl<K, App> Clone for SagaHandle<K, App> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), saga: Arc::clone(&self.saga), key: PhantomData }
    }
}

impl<K, App> fmt::Debug for SagaHandle<K, App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaHandle").field("saga", &self.saga).finish_non_exhaustive()
    }
}
