//! What is known around a handler: who caused the event, and in which trace.

use std::future::Future;

use super::{Actor, Envelope, EventId, TraceContext};

tokio::task_local! {
    static CURRENT: Context;
}

/// The event that is being handled, for code deep inside a handler: audit columns, outgoing requests, further events.
///
/// The [`Consumer`](super::Consumer) sets it around each call of its handler; it follows the handler's own future, not
/// tasks that the handler spawns.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_core::event::{Actor, Context, Envelope, State};
///
/// let event = Envelope::new("posts", "7", State::Created, 1).with_actor(Actor::new("user-42"));
/// let author = Context::of(&event).scope(async {
///     Context::current().and_then(|context| context.actor).map(|actor| actor.id)
/// }).await;
/// assert_eq!(author.as_deref(), Some("user-42"));
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The event being handled.
    pub event: EventId,
    /// Who caused it.
    pub actor: Option<Actor>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
}

impl Context {
    /// Takes the context out of an event.
    pub fn of(event: &Envelope) -> Self {
        Self { event: event.id, actor: event.actor.clone(), trace: event.trace.clone() }
    }

    /// Returns the context of the event that the current task handles; `None` outside of a handler.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` with this context as the current one.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}
