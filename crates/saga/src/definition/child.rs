//! Another saga as a step.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Retry;
use pumasi_core::resilience::Backoff;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::builder::{SagaBuilder, Target, Undoes};
use super::erased::{Code, Data, Running, Source, UndoCode, key_json, recordable};
use super::{ChildPlan, Cons, Definition, Gather, Inputs, Plan, Policy, UnitKind};
use crate::engine::{Child, Wanted};
use crate::machine::Settled;
use crate::planted::{self, Bug};
use crate::step::Cx;
use crate::store::{SagaId, Status};
use crate::{Error, ErrorKind, Result};

/// How often a parent looks after its child.
const CHILD_POLL: Duration = Duration::from_secs(1);

/// A child was added last.
#[derive(Debug)]
pub struct LastChild;

impl Undoes for LastChild {}

/// A child saga that has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ended<K> {
    /// The child's key.
    pub key: K,
}

fn undo_of_child(name: &str) -> String {
    format!("undo {name}")
}

impl<K, App, Ctx, Class, Last> SagaBuilder<K, App, Ctx, Class, Last>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    App: Send + Sync + 'static,
{
    /// Adds another saga as a step: it is started under the key that `key` makes, and waited for. A child that was undone is a
    /// failed step. The step is called as the child's saga, unless it is [`named`](SagaBuilder::named).
    ///
    /// - It stands alone: what runs [side by side](SagaBuilder::parallel) are steps.
    /// - A child belongs to one step of one saga: to that which started it or, where it was there already and nobody's, came to it
    ///   first. For any other that makes the same key the step fails, and nothing of the child is undone with that one.
    /// - A child that is new follows the version of `definition`. One that is there keeps its own; if that has a pivot and the step
    ///   stands before its parent's, the step fails.
    /// - Before the pivot a child is undone with its parent, also after it has completed; so it must have no pivot of its own, and
    ///   must be kept as long as its parent may go back. One that cannot be undone, because nothing is kept of it any more or its own
    ///   definition does not let it, is a compensation that is exhausted: [`when_exhausted`](SagaBuilder::when_exhausted) says what
    ///   happens then. One that stands with an operator is waited for, whatever that says.
    /// - One that is [parked](crate::store::Status::Parked) before the pivot is waited for until its parent goes back, and then is a
    ///   compensation that is exhausted; behind the pivot it leaves its parent with an operator.
    /// - Behind the pivot a child that was undone leaves its parent with an operator, as any step does that says "no" for good:
    ///   [`retry`](crate::Decision::retry) begins it anew, under new keys, unless it was meanwhile and has completed.
    ///
    /// Its end is noticed at the latest a second later.
    #[must_use]
    pub fn child<ChildKey, In, Places>(
        mut self,
        definition: &Definition<ChildKey, App>,
        key: impl Fn(In) -> ChildKey + Send + Sync + 'static,
    ) -> SagaBuilder<K, App, Cons<Ended<ChildKey>, Ctx>, Class, LastChild>
    where
        ChildKey: Serialize + DeserializeOwned + Send + 'static,
        In: Gather<Ctx, Places>,
    {
        let Plan { saga, version, .. } = definition.plan();
        let sources = self.draft.resolve(&In::depths(), self.draft.sources.len());
        let policy = Policy::forever().with_backoff(Backoff::constant(CHILD_POLL));
        self.draft.add(saga, UnitKind::Child, policy, &sources);
        let plan = ChildPlan { saga: Arc::clone(saga), version: *version };
        let is_undone = self.draft.pivot.is_none();
        let (child, key) = (plan.clone(), Arc::new(key));
        let code = ChildCode { child, is_undone, key, sources, types: PhantomData };
        self.draft.push_code(code.clone());
        if is_undone {
            self.draft.add_undo_code(&undo_of_child(saga), code, policy);
        }
        if let Some(unit) = self.draft.units.last_mut() {
            unit.child = Some(plan);
        }
        self.draft.children.push(Arc::clone(&definition.inner));
        self.draft.end_stage();
        self.turn(Target::Nothing)
    }
}

impl<K, App, Ctx, Class> SagaBuilder<K, App, Ctx, Class, LastChild> {
    /// Names the step of the child, which is called as its saga otherwise: two children of one definition need two names, and make two
    /// keys.
    ///
    /// ```
    /// # use pumasi_saga::{Cx, Outcome, Saga, Step};
    /// # struct Pack;
    /// # impl Step<()> for Pack { type In = (); type Out = (); type Error = &'static str;
    /// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<(), &'static str> { Outcome::Done(()) } }
    /// let packing = Saga::<(u64, u32), ()>::new("packing", 1).step(Pack).build()?;
    /// let order = Saga::<u64, ()>::new("order", 1)
    ///     .child(&packing, |(order,): (u64,)| (order, 1)).named("pack_shoes")
    ///     .child(&packing, |(order,): (u64,)| (order, 2)).named("pack_shirt")
    ///     .build()?;
    /// # Ok::<(), pumasi_saga::Error>(())
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        if let Some(unit) = self.draft.units.last_mut() {
            unit.name = name.into();
            if let Some(undo) = &mut unit.undo {
                undo.name = Arc::from(undo_of_child(&unit.name));
            }
        }
        self
    }
}

/// Starts a child and waits for its end; and undoes it.
struct ChildCode<In, K, F> {
    child: ChildPlan,
    /// The step stands before its parent's pivot.
    is_undone: bool,
    key: Arc<F>,
    sources: Vec<Source>,
    types: PhantomData<fn(In) -> K>,
}

impl<In, K, F> Clone for ChildCode<In, K, F> {
    fn clone(&self) -> Self {
        Self {
            child: self.child.clone(),
            is_undone: self.is_undone,
            key: Arc::clone(&self.key),
            sources: self.sources.clone(),
            types: PhantomData,
        }
    }
}

fn unknown(reason: &str) -> Settled {
    Settled::Unknown { reason: recordable(reason) }
}

fn failed(reason: &str) -> Settled {
    Settled::Failed { reason: recordable(reason), retry: Retry::Never }
}

fn ready(settled: Settled) -> Running {
    Box::pin(std::future::ready(settled))
}

/// A child, and the output that its parent records of it.
struct Called {
    wanted: Wanted,
    output: Arc<[u8]>,
}

impl<In: Inputs, K: Serialize + DeserializeOwned + Send + 'static, F: Fn(In) -> K> ChildCode<In, K, F> {
    /// Says which child the step means, or why there is none that it could be.
    fn call<App>(&self, cx: &Cx<App>, data: Data<'_>) -> Result<std::result::Result<Called, Error>> {
        let ended = Ended { key: (self.key)(data.read(&self.sources)?) };
        let key = match key_json(&ended.key) {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let output = serde_json::to_vec(&ended);
        let output =
            output.map_err(|_| Error::new(ErrorKind::Protocol, "the end of a child cannot be written"))?;
        let ChildPlan { saga, version } = self.child.clone();
        if SagaId::of(&saga, &key) == cx.saga_id() {
            return Ok(Err(Error::new(ErrorKind::InvalidInput, "a saga cannot be a child of its own")));
        }
        let wanted = Wanted {
            saga,
            version,
            key,
            parent: cx.place(),
            again: cx.again(),
            is_undone: self.is_undone,
            // Behind the pivot nothing is undone: a step is only made anew there because an operator retries it.
            is_retried: !self.is_undone && cx.round() > 0,
        };
        Ok(Ok(Called { wanted, output: Arc::from(output) }))
    }
}

impl<App, In, K, F> Code<App> for ChildCode<In, K, F>
where
    App: Send + Sync + 'static,
    In: Inputs,
    K: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(In) -> K + Send + Sync,
{
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let Called { wanted, output } = match self.call(&cx, data)? {
            Ok(called) => called,
            Err(error) => return Ok(ready(failed(error.message()))),
        };
        Ok(Box::pin(async move {
            match cx.core().start_child(wanted.clone()).await {
                Ok(Child::There(view)) => match view.status {
                    Status::Completed => Settled::Done(output),
                    _ if planted::is(Bug::ChildCountsAsDone) => Settled::Done(output),
                    Status::Compensated => failed(view.reason.as_deref().unwrap_or("the child was undone")),
                    status => unknown(&format!("the child is {status}")),
                },
                Ok(Child::Refused(why)) => failed(why),
                // Before the pivot a step that failed would not be undone, and it may have begun.
                Err(error)
                    if !wanted.is_undone
                        && cx.core().is_put_aside(&wanted.saga, &wanted.key, &error).await =>
                {
                    failed(error.message())
                }
                Err(error) => unknown(error.message()),
            }
        }))
    }

    fn probe(&self, _: Cx<App>, _: Data<'_>) -> Result<Running> {
        // Asking again is asking.
        Ok(ready(unknown("the child is under way")))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        serde_json::from_slice::<Ended<K>>(output).map(|_| ()).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the value is not the `Ended` of the child as JSON")
        })
    }
}

impl<App, In, K, F> UndoCode<App> for ChildCode<In, K, F>
where
    App: Send + Sync + 'static,
    In: Inputs,
    K: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(In) -> K + Send + Sync,
{
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running> {
        let Called { wanted, output } = match self.call(&cx, data)? {
            Ok(called) => called,
            Err(error) => return Ok(ready(failed(error.message()))),
        };
        let had_ended = data.state.output(unit).is_some();
        Ok(Box::pin(async move {
            if planted::is(Bug::ChildIsNotUndone) {
                return Settled::Done(output);
            }
            match cx.core().undo_child(&wanted, had_ended).await {
                Ok(None) => Settled::Done(output),
                Ok(Some(view)) if view.status == Status::Compensated => Settled::Done(output),
                Ok(Some(view)) => unknown(&format!("the child is {}", view.status)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {
                    failed(error.message())
                }
                Err(error) if cx.core().is_put_aside(&wanted.saga, &wanted.key, &error).await => {
                    failed(error.message())
                }
                Err(error) => unknown(error.message()),
            }
        }))
    }
}
