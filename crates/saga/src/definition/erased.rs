//! Steps without their types, as the engine calls them.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use pumasi_core::Retry;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Inputs, finite};
use crate::engine::Wanted;
use crate::machine::{Settled, State};
use crate::step::{
    Answer, Compensate, CompensateTransaction, Cx, Failure, Late, Outcome, Probe, Step, TransactionStep, Undo,
};
use crate::store::{MAX_KEY, SagaId};
use crate::{Error, ErrorKind, Result};

/// The longest reason that is recorded, in bytes.
const MAX_REASON: usize = 200;
/// The largest output of a step, or answer, as JSON: records carry them.
pub(crate) const MAX_VALUE: usize = 1 << 20;

/// Where a part of an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Key,
    Unit(usize),
}

/// What a saga has, from which a unit takes its input.
#[derive(Clone, Copy)]
pub(crate) struct Data<'a> {
    pub(crate) key: &'a str,
    pub(crate) state: &'a State,
}

impl Data<'_> {
    /// Tells whether all parts of an input are there.
    pub(super) fn has(&self, sources: &[Source]) -> bool {
        sources.iter().all(|source| match source {
            Source::Key => true,
            Source::Unit(unit) => self.state.output(*unit).is_some(),
        })
    }

    pub(super) fn read<In: Inputs>(&self, sources: &[Source]) -> Result<In> {
        In::read(&mut sources.iter().map(|source| match source {
            Source::Key => Some(self.key.as_bytes()),
            Source::Unit(unit) => self.state.output(*unit).map(|output| &**output),
        }))
    }
}

pub(crate) type Running = BoxFuture<'static, Settled>;

/// A unit's code. What reads an input fails before anything has happened.
pub(crate) trait Code<App>: Send + Sync {
    /// Has the effect.
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running>;

    /// Asks whether the effect happened.
    fn probe(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running>;

    /// Has the effect in a store's transaction.
    fn run_in<'a>(
        &self,
        cx: Cx<App>,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        let _ = (cx, data, transaction);
        Err(Error::new(ErrorKind::Unsupported, "this step does not run in a transaction"))
    }

    /// Checks that this JSON can be the unit's output.
    fn check(&self, output: &[u8]) -> Result<()>;

    /// Says which saga the unit is, if it is one.
    fn child(&self, cx: &Cx<App>, data: Data<'_>) -> Result<Option<Wanted>> {
        let _ = (cx, data);
        Ok(None)
    }

    /// Returns the id of that saga.
    fn child_id(&self, data: Data<'_>) -> Option<SagaId> {
        let _ = data;
        None
    }
}

/// A compensation's code.
pub(crate) trait UndoCode<App>: Send + Sync {
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running>;

    /// Undoes in a store's transaction.
    fn undo_in<'a>(
        &self,
        cx: Cx<App>,
        unit: usize,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        let _ = (cx, unit, data, transaction);
        Err(Error::new(ErrorKind::Unsupported, "this compensation does not run in a transaction"))
    }
}

/// A late handler's code.
pub(crate) trait LateCode<App>: Send + Sync {
    fn handle(&self, cx: Cx<App>, payload: &[u8]) -> Result<Running>;
}

pub(crate) fn reason(error: &impl Failure) -> Arc<str> {
    recordable(&error.reason())
}

/// Cuts a reason to what is recorded, and takes out the NULs, which not every store can keep.
pub(crate) fn recordable(reason: &str) -> Arc<str> {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(reason.get(..end).unwrap_or_default().replace('\0', "\u{fffd}"))
}

/// Writes a value as JSON that says what it said when it is read again, or tells why there is none.
fn written<T: Serialize + DeserializeOwned>(value: &T) -> std::result::Result<String, &'static str> {
    read_back(value).map(|(json, _)| json)
}

/// As [`written`], with what is read again.
fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> std::result::Result<(String, T), &'static str> {
    let json = serde_json::to_string(value).map_err(|_| "cannot be written as JSON")?;
    // JSON has no NaN and no infinity, and says `null`.
    let is_lossy = json.contains("null") && !finite::is_finite(value);
    match serde_json::from_str(&json) {
        Ok(read) if !is_lossy => Ok((json, read)),
        _ => Err("cannot be read back from its JSON"),
    }
}

/// Writes the key of a saga, by which it is found again.
///
/// # Errors
///
/// `InvalidInput` if it cannot be written or read back, is written otherwise then, or is longer than a key may be.
pub(crate) fn key_json<K: Serialize + DeserializeOwned>(key: &K) -> Result<Arc<str>> {
    let refuse = |why| Error::new(ErrorKind::InvalidInput, format!("the key of a saga {why}"));
    let (json, read) = read_back(key).map_err(refuse)?;
    if serde_json::to_string(&read).ok().as_ref() != Some(&json) {
        return Err(refuse("is written otherwise each time"));
    }
    if json.len() > MAX_KEY {
        return Err(refuse("has at most 1,024 bytes as JSON"));
    }
    Ok(Arc::from(json))
}

fn settle<T: Serialize + DeserializeOwned, E: Failure>(outcome: Outcome<T, E>) -> Settled {
    match outcome {
        Outcome::Done(made) => match written(&made) {
            Ok(json) if json.len() <= MAX_VALUE => Settled::Done(Arc::from(json.into_bytes())),
            Ok(_) => Settled::Unrecordable { reason: Arc::from("the output is larger than 1 MiB as JSON") },
            Err(why) => Settled::Unrecordable { reason: Arc::from(format!("the output {why}")) },
        },
        Outcome::Failed(error) => Settled::Failed { reason: reason(&error), retry: error.retry() },
        Outcome::Unknown(error) => Settled::Unknown { reason: reason(&error) },
    }
}

fn check_output<T: DeserializeOwned>(output: &[u8]) -> Result<()> {
    serde_json::from_slice::<T>(output).map(|_| ()).map_err(|_| {
        let wanted = std::any::type_name::<T>();
        Error::new(ErrorKind::InvalidInput, format!("the value is not a {wanted} as JSON"))
    })
}

/// A [`Step`].
pub(crate) struct StepCode<S> {
    pub(crate) step: Arc<S>,
    pub(crate) sources: Vec<Source>,
}

impl<App: Send + Sync + 'static, S: Step<App>> Code<App> for StepCode<S> {
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let (step, input) = (Arc::clone(&self.step), data.read(&self.sources)?);
        Ok(Box::pin(async move { settle(step.run(&cx, input).await) }))
    }

    fn probe(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let (step, input) = (Arc::clone(&self.step), data.read(&self.sources)?);
        Ok(Box::pin(async move {
            match step.probe(&cx, input).await {
                Probe::Happened(made) => settle(Outcome::<_, &'static str>::Done(made)),
                Probe::DidNotHappen => Settled::NotYet { reason: Arc::from("did not happen") },
                Probe::CannotTell => Settled::Unknown { reason: Arc::from("unknown") },
            }
        }))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        check_output::<S::Out>(output)
    }
}

/// A [`TransactionStep`].
pub(crate) struct TransactionCode<S, Tx> {
    pub(crate) step: Arc<S>,
    pub(crate) sources: Vec<Source>,
    pub(crate) transaction: PhantomData<fn(Tx)>,
}

impl<App, S, Tx> Code<App> for TransactionCode<S, Tx>
where
    App: Send + Sync + 'static,
    Tx: Send + 'static,
    S: TransactionStep<App, Tx>,
{
    fn run(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        Err(Error::new(ErrorKind::Unsupported, "this step runs in a transaction only"))
    }

    fn probe(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        // What did not commit did not happen, and what did is on record.
        let settled = Settled::Failed { reason: Arc::from("interrupted"), retry: Retry::Now };
        Ok(Box::pin(std::future::ready(settled)))
    }

    fn run_in<'a>(
        &self,
        cx: Cx<App>,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        let (step, input) = (Arc::clone(&self.step), data.read(&self.sources)?);
        let transaction = transaction_of::<Tx>(transaction)?;
        Ok(Box::pin(async move { rolled_back(settle(step.run(&cx, transaction, input).await)) }))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        check_output::<S::Out>(output)
    }
}

fn transaction_of<Tx: 'static>(transaction: &mut (dyn Any + Send)) -> Result<&mut Tx> {
    transaction.downcast_mut::<Tx>().ok_or_else(|| {
        let wanted = std::any::type_name::<Tx>();
        Error::new(ErrorKind::Unsupported, format!("the store's transactions are not {wanted}"))
    })
}

/// What is not done is rolled back, whatever the code does not know.
fn rolled_back(settled: Settled) -> Settled {
    match settled {
        Settled::Unrecordable { reason } => Settled::Failed { reason, retry: Retry::Never },
        Settled::NotYet { reason } | Settled::Unknown { reason } => {
            Settled::Failed { reason, retry: Retry::Now }
        }
        settled => settled,
    }
}

/// A wait, which has no code of its own.
pub(crate) struct WaitCode<A>(pub(crate) PhantomData<fn(A)>);

impl<App, A: Answer> Code<App> for WaitCode<A> {
    fn run(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        Err(Error::new(ErrorKind::Unsupported, "a wait is not run"))
    }

    fn probe(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        Err(Error::new(ErrorKind::Unsupported, "a wait is not probed"))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        let answer: A = serde_json::from_slice(output).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("this is no answer of the kind {}", A::NAME))
        })?;
        answer.check().map_err(|wrong| {
            Error::new(ErrorKind::InvalidInput, format!("the answer {} is refused: {wrong}", A::NAME))
        })
    }
}

/// A [`Compensate`] of a [`Step`].
pub(crate) struct CompensateCode<C, S> {
    pub(crate) compensation: Arc<C>,
    pub(crate) sources: Vec<Source>,
    pub(crate) step: PhantomData<fn(S)>,
}

impl<App, S, C> UndoCode<App> for CompensateCode<C, S>
where
    App: Send + Sync + 'static,
    S: Step<App>,
    C: Compensate<App, S>,
{
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running> {
        if !data.has(&self.sources) {
            return Ok(Box::pin(std::future::ready(without_input())));
        }
        let compensation = Arc::clone(&self.compensation);
        let input = data.read(&self.sources)?;
        let output = output_of(unit, data)?;
        let undo = Undo::<App, S>::new(input, output);
        Ok(Box::pin(async move { settle(compensation.undo(&cx, undo).await) }))
    }
}

/// A saga that went forward again made steps anew before it came to this one: what its effect of before was made from is gone, and a
/// person has to undo it.
pub(super) fn without_input() -> Settled {
    let reason = "what the step was made from was made anew since: undo it by hand";
    Settled::Failed { reason: Arc::from(reason), retry: Retry::Never }
}

/// What a unit made, if it made anything.
fn output_of<T: DeserializeOwned>(unit: usize, data: Data<'_>) -> Result<Option<T>> {
    let output = data.state.output(unit).map(|json| serde_json::from_slice(json)).transpose();
    output.map_err(|_| {
        Error::new(ErrorKind::Protocol, "what a step recorded cannot be read by its compensation")
    })
}

/// A [`CompensateTransaction`] of a [`TransactionStep`].
pub(crate) struct CompensateTransactionCode<C, S, Tx> {
    pub(crate) compensation: Arc<C>,
    pub(crate) sources: Vec<Source>,
    pub(crate) types: PhantomData<fn(S, Tx)>,
}

impl<App, S, C, Tx> UndoCode<App> for CompensateTransactionCode<C, S, Tx>
where
    App: Send + Sync + 'static,
    Tx: Send + 'static,
    S: TransactionStep<App, Tx>,
    C: CompensateTransaction<App, Tx, S>,
{
    fn undo(&self, _: Cx<App>, _: usize, _: Data<'_>) -> Result<Running> {
        Err(Error::new(ErrorKind::Unsupported, "this compensation runs in a transaction only"))
    }

    fn undo_in<'a>(
        &self,
        cx: Cx<App>,
        unit: usize,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        if !data.has(&self.sources) {
            return Ok(Box::pin(std::future::ready(without_input())));
        }
        let (compensation, input) = (Arc::clone(&self.compensation), data.read(&self.sources)?);
        let transaction = transaction_of::<Tx>(transaction)?;
        let output: Option<S::Out> = output_of(unit, data)?;
        Ok(Box::pin(async move {
            match output {
                Some(output) => rolled_back(settle(compensation.undo(&cx, transaction, input, output).await)),
                // Nothing of it was ever committed.
                None => settle(Outcome::<(), &'static str>::Done(())),
            }
        }))
    }
}

/// A [`Late`] handler.
pub(crate) struct HandlerCode<L, A> {
    pub(crate) handler: Arc<L>,
    pub(crate) answer: PhantomData<fn(A)>,
}

impl<App, A, L> LateCode<App> for HandlerCode<L, A>
where
    App: Send + Sync + 'static,
    A: Answer,
    L: Late<App, A>,
{
    fn handle(&self, cx: Cx<App>, payload: &[u8]) -> Result<Running> {
        let handler = Arc::clone(&self.handler);
        let answer: A = serde_json::from_slice(payload)
            .map_err(|_| Error::new(ErrorKind::Protocol, "a late signal cannot be read by its handler"))?;
        Ok(Box::pin(async move { settle(handler.handle(&cx, answer).await) }))
    }
}
