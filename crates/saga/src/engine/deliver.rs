//! Signals and decisions on their way to whoever drives their saga, here or elsewhere.

use std::sync::Arc;

use super::Core;
use super::call::Message;
use super::child::{self, Time, Undone};
use super::job::Job;
use super::operator::{self, ORDER, check_value};
use super::signal::{Receipt, Signal, count_signals, wait_for};
use super::stored::missing;
use crate::definition::Untyped;
use crate::definition::erased::MAX_VALUE;
use crate::fnv;
use crate::machine::{self, Order, Phase, State};
use crate::planted::{self, Bug};
use crate::store::{Delivered, NewSignal, SagaId, Stored, StoredSignal};
use crate::{Error, ErrorKind, Result};

/// The longest id of a signal, in bytes.
const MAX_SIGNAL_ID: usize = 200;
/// How many signals a saga keeps for later, and how large they are together.
const MAX_KEPT: usize = 1_000;
const MAX_KEPT_BYTES: usize = 4 << 20;

impl<App: Send + Sync + 'static> Core<App> {
    /// What has to be delivered of a signal, or why nothing has to be.
    fn to_deliver(
        &self,
        stored: &Stored,
        signal: &Signal,
    ) -> Result<std::result::Result<NewSignal, Receipt>> {
        let (definition, state) = self.read(stored)?;
        let unit = check_signal(&definition, signal)?;
        let signal_id = signal_id(&definition, &state, signal)?;
        if state.has_seen(&signal_id) {
            return Ok(Err(Receipt::Duplicate));
        }
        if !machine::wants(&definition.plan, &state, unit) {
            tracing::warn!(saga = %stored.head.id, "a signal came that nobody wants any more");
            count_signals(&definition.plan, "dropped", 1);
            return Ok(Err(Receipt::Unwanted));
        }
        check_room(&state, &stored.signals, signal, &signal_id)?;
        new_signal(stored.head.id, signal, signal_id).map(Ok)
    }

    pub(super) async fn leave_signal(&self, saga: &str, key: &str, signal: Signal) -> Result<Receipt> {
        let id = SagaId::of(saga, key);
        let stored = self.store.load(id).await?.ok_or_else(|| missing(id))?;
        let signal = match self.to_deliver(&stored, &signal)? {
            Ok(signal) => signal,
            Err(receipt) => return Ok(receipt),
        };
        match self.store.deliver(signal).await? {
            Delivered::Stored => {
                self.tell_driver(id);
                Ok(Receipt::Kept)
            }
            Delivered::Duplicate => Ok(Receipt::Duplicate),
        }
    }

    /// Leaves a message with whoever drives the saga, and tells whether that was done and the saga there for it.
    pub(super) async fn leave_with_driver(&self, id: SagaId, message: &mut Option<Message>) -> Result<bool> {
        let mut audits = 0;
        let signal = match message {
            None => return Ok(false),
            Some(Message::Restart(_)) => {
                let Some(stored) = self.store.load(id).await? else { return Ok(false) };
                let (_, state) = self.read(&stored)?;
                // What it ended with, a late signal for one, is only a moment's work.
                if matches!(state.phase, Phase::Completed | Phase::Compensated) {
                    return Ok(true);
                }
                return Err(Error::new(ErrorKind::Conflict, "the saga has not ended"));
            }
            Some(Message::Child(wanted)) => {
                let Some(stored) = self.store.load(id).await? else { return Ok(false) };
                let (definition, state) = self.read(&stored)?;
                wanted.check(&definition.plan, &state)?;
                // What is to be recorded of it waits until whoever has it lets go of it.
                if wanted.is_settled(&state) {
                    *message = None;
                }
                return Ok(true);
            }
            Some(Message::Undo(undone)) => {
                let Some(stored) = self.store.load(id).await? else { return Ok(false) };
                let (_, state) = self.read(&stored)?;
                if let Undone { by: Some(by), parent: Some(parent), epoch: Some(epoch), .. } = undone {
                    self.check_epoch(&state, by, parent, *epoch).await?;
                }
                match undone.time(&state) {
                    // It rests for whoever has it here for a moment.
                    Time::Ahead => return Ok(true),
                    Time::Now if !child::goes_back(&state) || undone.is_unrecorded(&state) => {
                        order(id, operator::write_undo(undone))
                    }
                    Time::Now | Time::Over => {
                        *message = None;
                        return Ok(true);
                    }
                }
            }
            Some(Message::Decision(decision)) => {
                self.check_parent_of(id, decision).await?;
                let Some(stored) = self.store.load(id).await? else { return Ok(false) };
                let (definition, state) = self.read(&stored)?;
                if matches!(decision.order, Order::ForceDone(_)) {
                    check_value(&definition, &state, decision)?;
                }
                audits = state.audits.len();
                order(id, decision.write())
            }
            Some(Message::Signal(signal)) => {
                let Some(stored) = self.store.load(id).await? else { return Ok(false) };
                let Ok(signal) = self.to_deliver(&stored, signal)? else {
                    *message = None;
                    return Ok(true);
                };
                signal
            }
        };
        let as_signal = Arc::clone(&signal.id);
        match self.store.deliver(signal).await {
            Ok(_) => {
                if let Some(Message::Decision(decision)) = message.take() {
                    let _ = decision.left.set(super::decide::LeftAs { signal: as_signal, audits });
                }
                self.tell_driver(id);
                Ok(true)
            }
            // It is being created here at the moment.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Checks a signal against the wait that it is for, and returns that.
pub(super) fn check_signal<App>(definition: &Untyped<App>, signal: &Signal) -> Result<usize> {
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
pub(super) fn check_room(state: &State, waiting: &[StoredSignal], signal: &Signal, id: &str) -> Result<()> {
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

/// Returns the id of a signal: its own, or that of the one answer to its wait in this run and round; of one answer among those that it may
/// not take, by what it says.
pub(super) fn signal_id<App>(definition: &Untyped<App>, state: &State, signal: &Signal) -> Result<Arc<str>> {
    if let Some(id) = &signal.id {
        return Ok(Arc::from(format!("{}:{id}", signal.name)));
    }
    let unit = wait_for(&definition.plan, &signal.name)?;
    let id = format!("{}{}", of_run(&signal.name, state.run), state.unit(unit).round);
    let matches = definition.plan.units.get(unit).is_some_and(|unit| unit.fits.is_some());
    match &signal.payload {
        Ok(payload) if matches => {
            let sum = payload.iter().copied().fold(fnv::START_64, fnv::eat_64);
            Ok(Arc::from(format!("{id}.{sum:016x}")))
        }
        _ => Ok(Arc::from(id)),
    }
}

/// What the ids begin with of answers to a wait in this run that have none of their own.
fn of_run(wait: &str, run: u32) -> String {
    format!("{wait}#{run}.")
}

impl<App> Job<App> {
    /// Tells whether a signal came for a run before this one. What has an id of its own does not say so: it came before this run was
    /// recorded, which was begun here.
    pub(super) fn is_belated(&self, signal: &StoredSignal) -> bool {
        if planted::is(Bug::NewRunTakesWhatCameBefore) {
            return false;
        }
        if signal.id.strip_prefix(&*signal.name).is_some_and(|id| id.starts_with('#')) {
            return !signal.id.starts_with(&of_run(&signal.name, self.state.run));
        }
        self.begun_anew_at.is_some_and(|at| signal.at <= at)
    }
}

/// What is left with a driver that is no answer, as a signal.
pub(super) fn order(saga: SagaId, payload: Vec<u8>) -> NewSignal {
    let id = Arc::from(format!("{ORDER}:{:016x}", fastrand::u64(..)));
    NewSignal { saga, name: Arc::from(ORDER), id, payload }
}

fn new_signal(saga: SagaId, signal: &Signal, id: Arc<str>) -> Result<NewSignal> {
    let payload = signal
        .payload
        .clone()
        .map_err(|_| Error::new(ErrorKind::InvalidInput, format!("the answer {} is refused", signal.name)))?;
    Ok(NewSignal { saga, name: Arc::clone(&signal.name), id, payload: payload.to_vec() })
}
