//! What a saga is made of: steps, compensations, answers, and how they end.

pub(crate) mod cx;
mod failure;
mod outcome;

use std::borrow::Cow;
use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use cx::Cx;
pub use failure::Failure;
pub use outcome::{Outcome, Probe};

use crate::definition::Inputs;

/// One step: an effect somewhere, asked for under an idempotency key.
///
/// Its input is a tuple of what the saga has so far: its key, the answers that were waited for and the outputs of earlier steps,
/// each found by its type. Give every output a type of its own.
///
/// What a step may rely on:
///
/// 1. Its intent is recorded before it is [run](Self::run).
/// 2. It may be run more than once, also at the same time by a worker that does not know yet that it lost the saga: always under
///    the same [key](Cx::idempotency_key), and the later one under a higher [epoch](Cx::epoch).
/// 3. Once it answered [`Outcome::Done`] and that is recorded, it is not run again.
///
/// What it has to keep: [`Outcome::Failed`] means that under this key nothing has happened and nothing will. Whoever is not
/// sure says [`Outcome::Unknown`].
///
/// ```
/// use pumasi_saga::{Cx, Error, Outcome, Probe, Step};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct RegistrationKey { participant: u64, competition: String }
///
/// #[derive(Serialize, Deserialize)]
/// struct Held { ticket: u64 }
///
/// struct Places; // what the service holds: pools, clients
/// impl Places {
///     async fn hold(&self, key: &str, competition: &str) -> Result<u64, Error> { Ok(1) }
/// }
///
/// struct HoldPlace;
///
/// impl Step<Places> for HoldPlace {
///     type In = (RegistrationKey,);
///     type Out = Held;
///     type Error = Error;
///
///     async fn run(&self, cx: &Cx<Places>, (key,): Self::In) -> Outcome<Held, Error> {
///         match cx.app().hold(&cx.idempotency_key(), &key.competition).await {
///             Ok(ticket) => Outcome::Done(Held { ticket }),
///             Err(error) => Outcome::from_error(error),
///         }
///     }
/// }
/// ```
pub trait Step<App>: Send + Sync + Sized + 'static {
    /// A tuple of what it needs: `()`, `(Key,)`, `(Key, Held)`, up to eight.
    type In: Inputs;
    /// What it makes: at most 1 MiB as JSON, from which the same is read back. What cannot be recorded so has happened all the same:
    /// the step is undone or, where nothing is, waits for an operator.
    type Out: Serialize + DeserializeOwned + Send + 'static;
    /// Why it did not.
    type Error: Failure;

    /// Names the step in records, diagrams and metrics, without a `/`; by default the type's name in `snake_case`.
    ///
    /// Sagas in flight know their steps by this name: when the type is renamed, return the old one here.
    fn name(&self) -> Cow<'static, str> {
        short_name::<Self>()
    }

    /// Has the effect.
    fn run(
        &self,
        cx: &Cx<App>,
        input: Self::In,
    ) -> impl Future<Output = Outcome<Self::Out, Self::Error>> + Send;

    /// Finds out whether the effect happened under the step's key, after an attempt whose outcome is not known.
    ///
    /// By default nobody can tell.
    fn probe(&self, cx: &Cx<App>, input: Self::In) -> impl Future<Output = Probe<Self::Out>> + Send {
        let _ = (cx, input);
        std::future::ready(Probe::CannotTell)
    }
}

/// A step that succeeds in the end if it is only tried often enough, and so may stand after the pivot.
///
/// Nothing can be undone there, so a step that says "no" for good leaves the saga with an operator.
#[diagnostic::on_unimplemented(
    message = "`{Self}` stands after the pivot, where nothing can be undone, and does not say that it succeeds in the end",
    label = "not `Retriable`",
    note = "implement `Retriable` for it, or let it stand before the pivot"
)]
pub trait Retriable {}

/// Undoes a step.
///
/// It runs for a step that is done, and for one whose outcome nobody knows: then there may be nothing to undo, or the effect may
/// still be on its way. A compensation therefore names the step's own [key](Cx::step_key) to the partner, who has to refuse what
/// comes late under it (see [`barrier`](crate::barrier)).
///
/// ```
/// # use pumasi_saga::{Cx, Error, Outcome, Step};
/// # struct Places;
/// # impl Places { async fn release(&self, key: &str) -> Result<(), Error> { Ok(()) } }
/// # struct HoldPlace;
/// # impl Step<Places> for HoldPlace {
/// #     type In = (); type Out = u64; type Error = Error;
/// #     async fn run(&self, _: &Cx<Places>, (): ()) -> Outcome<u64, Error> { Outcome::Done(1) }
/// # }
/// use pumasi_saga::{Compensate, Undo};
///
/// struct ReleasePlace;
///
/// impl Compensate<Places, HoldPlace> for ReleasePlace {
///     type Error = Error;
///
///     async fn undo(&self, cx: &Cx<Places>, _undo: Undo<Places, HoldPlace>) -> Outcome<(), Error> {
///         cx.app().release(&cx.step_key()).await.into()
///     }
/// }
/// ```
pub trait Compensate<App, S: Step<App>>: Send + Sync + Sized + 'static {
    /// Why it did not.
    type Error: Failure;

    /// Names the compensation in diagrams; by default the type's name in `snake_case`.
    fn name(&self) -> Cow<'static, str> {
        short_name::<Self>()
    }

    /// Undoes the effect, or sees to it that it never happens.
    fn undo(&self, cx: &Cx<App>, undo: Undo<App, S>)
    -> impl Future<Output = Outcome<(), Self::Error>> + Send;
}

/// What a compensation is given.
#[non_exhaustive]
pub struct Undo<App, S: Step<App>> {
    /// What the step was given.
    pub input: S::In,
    /// What the step made; `None` if nobody knows whether it made anything.
    pub output: Option<S::Out>,
}

impl<App, S: Step<App>> Undo<App, S> {
    pub(crate) fn new(input: S::In, output: Option<S::Out>) -> Self {
        Self { input, output }
    }
}

impl<App, S: Step<App>> std::fmt::Debug for Undo<App, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Undo").field("known", &self.output.is_some()).finish_non_exhaustive()
    }
}

/// An answer of a user, or an event from outside, that a saga waits for.
///
/// ```
/// use pumasi_saga::Answer;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct ShippingAddress { city: String }
///
/// impl Answer for ShippingAddress {
///     const NAME: &'static str = "shipping_address";
///
///     fn check(&self) -> Result<(), String> {
///         if self.city.is_empty() { Err("the city is missing".to_owned()) } else { Ok(()) }
///     }
/// }
/// ```
pub trait Answer: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names it in records, diagrams and at the endpoint, without a `/` or a `:`; unique within a saga.
    const NAME: &'static str;

    /// Refuses an answer that makes no sense, before anything is recorded.
    ///
    /// # Errors
    ///
    /// What is wrong, for whoever sent it.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Takes a signal that no wait takes any more: one that comes after its saga was rolled back, as a payment for a place that is gone;
/// and one of another id beside the one that the wait took, before or after the saga completed, as a payment that was made twice.
///
/// Without a handler such a signal is dropped, with a warning and a count (`saga_signals_total`, `dropped`).
pub trait Late<App, A: Answer>: Send + Sync + Sized + 'static {
    /// Why it did not.
    type Error: Failure;

    /// Names the handler in diagrams; by default the type's name in `snake_case`.
    fn name(&self) -> Cow<'static, str> {
        short_name::<Self>()
    }

    /// Handles it, under a key of its own for each signal.
    fn handle(&self, cx: &Cx<App>, answer: A) -> impl Future<Output = Outcome<(), Self::Error>> + Send;
}

/// A step whose effect is rows of the user's own, written in the transaction that stores its record: exactly once.
///
/// `Tx` is the store's transaction: `sqlx::Transaction<'static, Postgres>` for PostgreSQL,
/// [`MemoryTransaction`](crate::store::MemoryTransaction) for the store in memory. Its outcome is never unknown: what did not
/// commit did not happen.
pub trait TransactionStep<App, Tx: 'static>: Send + Sync + Sized + 'static {
    /// A tuple of what it needs.
    type In: Inputs;
    /// What it makes.
    type Out: Serialize + DeserializeOwned + Send + 'static;
    /// Why it did not.
    type Error: Failure;

    /// Names the step; by default the type's name in `snake_case`.
    fn name(&self) -> Cow<'static, str> {
        short_name::<Self>()
    }

    /// Writes the rows. The transaction is committed for [`Outcome::Done`], and rolled back otherwise.
    fn run(
        &self,
        cx: &Cx<App>,
        transaction: &mut Tx,
        input: Self::In,
    ) -> impl Future<Output = Outcome<Self::Out, Self::Error>> + Send;
}

/// Undoes a [`TransactionStep`], in a transaction of the store that the record of this is committed with: exactly once, as the step
/// was.
///
/// What it is given is known: a step of which nothing is recorded was rolled back, and leaves nothing to undo.
pub trait CompensateTransaction<App, Tx: 'static, S: TransactionStep<App, Tx>>:
    Send + Sync + Sized + 'static
{
    /// Why it did not.
    type Error: Failure;

    /// Names the compensation in diagrams; by default the type's name in `snake_case`.
    fn name(&self) -> Cow<'static, str> {
        short_name::<Self>()
    }

    /// Takes the rows back. The transaction is committed for [`Outcome::Done`], and rolled back otherwise.
    fn undo(
        &self,
        cx: &Cx<App>,
        transaction: &mut Tx,
        input: S::In,
        output: S::Out,
    ) -> impl Future<Output = Outcome<(), Self::Error>> + Send;
}

/// `registration::steps::HoldPlace<T>` becomes `hold_place`.
pub(crate) fn short_name<T: ?Sized>() -> Cow<'static, str> {
    let full = std::any::type_name::<T>();
    let plain = full.split('<').next().unwrap_or(full);
    let last = plain.rsplit("::").next().unwrap_or(plain);
    let mut name = String::with_capacity(last.len() + 4);
    for (place, letter) in last.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    Cow::Owned(name)
}
