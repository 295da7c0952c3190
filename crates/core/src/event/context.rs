//! What is known around a handler or a request: who caused it, and in which trace.

use std::future::Future;

use super::{Actor, Envelope, EventId, TraceContext};

tokio::task_local! {
    static CURRENT: Context;
}

/// Who is acting and in which trace, for code deep inside: audit columns, outgoing requests, further events.
///
/// The [`Consumer`](super::Consumer) sets it around each call of its handler, from the event; a service that answers
/// requests sets it around each of them, from what it authenticated. [`Envelope::in_context`] takes it over into events.
/// It follows the future that it was set around, not tasks that this future spawns.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_core::event::{Actor, Context, Envelope, State};
///
/// // Around a request, in the service that publishes:
/// let request = Context::new().with_actor(Actor::new("user-42").with_role("member"));
/// let event = request.scope(async { Envelope::new("posts", "7", State::Created, 1).in_context() }).await;
///
/// // Around the handler, in the service that consumes (the `Consumer` does this):
/// let author = Context::of(&event).scope(async {
///     Context::current().and_then(|context| context.actor).map(|actor| actor.id)
/// }).await;
/// assert_eq!(author.as_deref(), Some("user-42"));
/// # });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The event being handled; `None` around a request.
    pub event: Option<EventId>,
    /// Who acts.
    pub actor: Option<Actor>,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
}

impl Context {
    /// Makes a context in which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the context out of an event.
    pub fn of(event: &Envelope) -> Self {
        Self { event: Some(event.id), actor: event.actor.clone(), trace: event.trace.clone() }
    }

    /// Sets who acts.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Sets the trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Returns the context of what the current task works on; `None` outside of handlers and requests.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` with this context as the current one.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

impl Envelope {
    /// Takes over the actor and the trace of the [current context](Context::current), where the event has none of its own.
    ///
    /// The id stays as it is: what follows from a handled event should be [caused by](Self::caused_by) it, so that handling
    /// it again publishes the same event.
    #[must_use]
    pub fn in_context(mut self) -> Self {
        if let Some(context) = Context::current() {
            self.actor = self.actor.or(context.actor);
            self.trace = self.trace.or(context.trace);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::State;

    #[tokio::test]
    async fn an_event_takes_over_what_it_does_not_say_itself() {
        let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let context = Context::new().with_actor(Actor::new("user-42")).with_trace(trace.clone());
        let made = || Envelope::new("posts", "1", State::Created, 1);
        let (plain, own) = context
            .scope(async { (made().in_context(), made().with_actor(Actor::new("cron")).in_context()) })
            .await;
        assert_eq!((plain.actor, plain.trace.as_ref()), (Some(Actor::new("user-42")), Some(&trace)));
        assert_eq!((own.actor, own.trace.as_ref()), (Some(Actor::new("cron")), Some(&trace)));
        let outside = made().in_context();
        assert_eq!((outside.actor, outside.trace), (None, None));
    }
}
