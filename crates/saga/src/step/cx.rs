//! What a step is told beside its input.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pumasi_core::event::{Envelope, EventId, TraceContext};
use pumasi_core::time::Timestamp;

use crate::engine::Core;
use crate::store::SagaId;

/// What an operation of a saga is called for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Run,
    Undo,
    Late(Arc<str>),
}

/// The facts of one call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: SagaId,
    pub(crate) saga: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) unit: Arc<str>,
    pub(crate) purpose: Purpose,
    pub(crate) run: u32,
    pub(crate) round: u32,
    pub(crate) attempt: u32,
    /// The step is a saga that is known to have been begun this time.
    pub(crate) begun: bool,
    pub(crate) epoch: u64,
    pub(crate) now: Timestamp,
}

/// What a step, a compensation or a late handler is told beside its input: the service, and who asks under which key.
pub struct Cx<App> {
    core: Arc<Core<App>>,
    call: Arc<Call>,
    events: Arc<Mutex<Vec<Envelope>>>,
}

impl<App> Cx<App> {
    pub(crate) fn new(core: Arc<Core<App>>, call: Call) -> Self {
        Self { core, call: Arc::new(call), events: Arc::default() }
    }

    /// Returns what the service gave the engine: its pools, its clients, its settings.
    pub fn app(&self) -> &App {
        &self.core.app
    }

    pub(crate) fn core(&self) -> &Arc<Core<App>> {
        &self.core
    }

    /// Returns the key of this operation: the same for every attempt, another for every other operation of every saga.
    ///
    /// Hand it to whoever takes idempotency keys. It is a UUID, in its 36 letters.
    pub fn idempotency_key(&self) -> String {
        match &self.call.purpose {
            Purpose::Run => self.step_key(),
            Purpose::Undo => self.derive("undo/", &self.call.unit),
            Purpose::Late(signal) => self.derive("late/", signal),
        }
    }

    /// Returns the key under which the step itself was asked for: the one that a compensation has to name.
    ///
    /// In a late handler it is the key of the handler.
    pub fn step_key(&self) -> String {
        match &self.call.purpose {
            Purpose::Run | Purpose::Undo => self.derive("", &self.call.unit),
            Purpose::Late(_) => self.idempotency_key(),
        }
    }

    fn derive(&self, what: &str, name: &str) -> String {
        let Call { id, run, round, .. } = &*self.call;
        if crate::planted::is(crate::planted::Bug::KeyPerAttempt) {
            let attempt = self.call.attempt;
            return id.derive(format!("{run}/{round}/{attempt}/{what}{name}").as_bytes()).to_string();
        }
        id.operation_key(*run, *round, what, name)
    }

    /// Names the time that this step is made, if it is not the first.
    pub(crate) fn again(&self) -> Option<Arc<str>> {
        let is_first = self.call.run == 0 && self.call.round == 0;
        (!is_first).then(|| Arc::from(self.step_key()))
    }

    /// Tells how often the step was begun anew in this run.
    pub(crate) fn round(&self) -> u32 {
        self.call.round
    }

    /// Tells whether the saga that the step is is known to have been begun this time.
    pub(crate) fn begun(&self) -> bool {
        self.call.begun
    }

    /// Returns the epoch of the lease under which this is called: a fencing token. Whoever keeps the highest one that it saw
    /// for a saga, and refuses lower ones, is safe from workers that do not know yet that they lost it.
    pub fn epoch(&self) -> u64 {
        self.call.epoch
    }

    /// Returns the number of the attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// Returns the saga's id.
    pub fn saga_id(&self) -> SagaId {
        self.call.id
    }

    /// Returns the name of the saga's definition.
    pub fn saga(&self) -> &str {
        &self.call.saga
    }

    /// Returns the saga's key, as compact JSON.
    pub fn key(&self) -> &str {
        &self.call.key
    }

    /// Returns the name of the step.
    pub fn step(&self) -> &str {
        &self.call.unit
    }

    /// Returns the time at which the call was made, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.call.now
    }

    /// Returns the position in the saga's trace, for the headers of a call to a partner (W3C *Trace Context*).
    ///
    /// The trace's id is the [saga's](SagaId::trace_id), so that one trace leads through all of its steps, however long it rested
    /// between them and in whichever process it went on; the parent is this attempt. `None` never happens, and is no reason to
    /// fail.
    pub fn trace(&self) -> Option<TraceContext> {
        let Call { id, attempt, .. } = &*self.call;
        let span = id.span_id(&format!("{}/{attempt}", self.idempotency_key()));
        format!("00-{}-{span}-01", id.trace_id()).parse().ok()
    }

    /// Publishes an event if this attempt ends as done: it is committed together with that, and relayed from the outbox.
    ///
    /// Its id is derived from this operation's key, so that an attempt that is made again publishes the same event. A
    /// probe that finds that the effect happened emits it as the step would have: only the attempt that ends as done is heard. Without a
    /// trace of its own it belongs to the [saga's](Self::trace).
    pub fn emit(&self, event: Envelope) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("event/{}/{}", self.idempotency_key(), events.len());
        let id = EventId::from_bytes(*self.call.id.derive(name.as_bytes()).as_bytes());
        let trace = event.trace.clone().or_else(|| self.trace());
        let event = event.with_id(id);
        events.push(trace.into_iter().fold(event, Envelope::with_trace));
    }

    /// The same call, whose events nobody hears.
    #[cfg(feature = "testing")]
    pub(crate) fn apart(&self) -> Self {
        Self { events: Arc::default(), ..self.clone() }
    }

    pub(crate) fn take_events(&self) -> Vec<Envelope> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<App> Clone for Cx<App> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), call: Arc::clone(&self.call), events: Arc::clone(&self.events) }
    }
}

impl<App> fmt::Debug for Cx<App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("saga", &self.call.saga)
            .field("id", &self.call.id)
            .field("step", &self.call.unit)
            .field("attempt", &self.call.attempt)
            .field("epoch", &self.call.epoch)
            .finish_non_exhaustive()
    }
}
