//! Another saga as a step.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::Retry;
use pumasi_core::resilience::Backoff;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::builder::{SagaBuilder, Target};
use super::erased::{Code, Data, Running, Source, UndoCode, key_json, recordable, without_input};
use super::state::Undoes;
use super::{ChildPlan, Cons, Definition, Gather, Inputs, Plan, Policy, UnitKind};
use crate::engine::{Child, Stand, Wanted, place};
use crate::machine::Settled;
use crate::planted::{self, Bug};
use crate::step::Cx;
use crate::store::SagaId;
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
    /// - Before the pivot a child is undone with its parent, also after it has completed; so it must have no pivot of its own. One
    ///   that cannot be undone, because nothing is kept of it any more or its own definition does not let it, is a compensation that
    ///   is exhausted: [`when_exhausted`](SagaBuilder::when_exhausted) says what happens then. One that stands with an operator is
    ///   waited for, whatever that says; the parent's [`View::child`](crate::View::child) and the reason in its
    ///   [head](crate::store::Head::reason) tell for whom. What becomes of signals that came late to a child concerns no parent.
    /// - A child goes with its parent: it is neither [cancelled](crate::Decision::cancel) nor
    ///   [restarted](crate::SagaHandle::restart) by itself while that goes on, nor once it has completed. (But where the parent stands
    ///   with an operator behind its pivot, because this child did not come to its end.) Should a child not stand completed when its
    ///   parent comes to its pivot, the parent goes back.
    /// - It is kept until its parent has ended, whatever the [retention](crate::EngineOptions::with_retention). If nothing is kept of it
    ///   all the same, it is not made again: behind the pivot its parent stands with an operator, and before it goes back.
    /// - One that is [parked](crate::store::Status::Parked) before the pivot is waited for until its parent goes back, and then is a
    ///   compensation that is exhausted; behind the pivot it leaves its parent with an operator.
    /// - Behind the pivot a child that was undone leaves its parent with an operator, as any step does that says "no" for good:
    ///   [`retry`](crate::Decision::retry) begins it anew, under new keys, unless it was meanwhile and has completed.
    ///
    /// A parent that waits for its child records nothing meanwhile: the child's end wakes it. It looks after the child besides, at first
    /// after a second, and then after half of the time that it has waited, at most ten minutes: so late it learns of the end where it could
    /// not be woken, because a process ended in between, or the store failed for longer than some seconds.
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
    fn ended(&self, data: Data<'_>) -> Result<Ended<K>> {
        Ok(Ended { key: (self.key)(data.read(&self.sources)?) })
    }

    /// Says which child the step means, or why there is none that it could be.
    fn call<App>(&self, cx: &Cx<App>, data: Data<'_>) -> Result<std::result::Result<Called, Error>> {
        let ended = self.ended(data)?;
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
            parent: place(cx.saga_id(), cx.step()),
            epoch: cx.epoch(),
            again: cx.again(),
            is_undone: self.is_undone,
            is_begun: cx.begun(),
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
                Ok(Child::There(view)) => match cx.core().stand_of(&view).await {
                    Ok(Stand::Completed) => Settled::Done(output),
                    _ if planted::is(Bug::ChildCountsAsDone) => Settled::Done(output),
                    Ok(Stand::Undone) => failed(view.reason.as_deref().unwrap_or("the child was undone")),
                    Ok(Stand::UnderWay) => Settled::Begun { output, reason: wanted.waited_for(view.status) },
                    Err(error) => unknown(error.message()),
                },
                Ok(Child::Refused(why)) => failed(why),
                // Nothing is kept of it any more: what it did stands, and to begin it anew would do that again.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Settled::Unrecordable { reason: recordable(error.message()) }
                }
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

    fn child(&self, cx: &Cx<App>, data: Data<'_>) -> Result<Option<Wanted>> {
        Ok(self.call(cx, data)?.ok().map(|called| called.wanted))
    }

    fn child_id(&self, data: Data<'_>) -> Option<SagaId> {
        let key = key_json(&self.ended(data).ok()?.key).ok()?;
        Some(SagaId::of(&self.child.saga, &key))
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
        if !data.has(&self.sources) {
            return Ok(ready(without_input()));
        }
        let Called { wanted, output } = match self.call(&cx, data)? {
            Ok(called) => called,
            Err(error) => return Ok(ready(failed(error.message()))),
        };
        let had_begun = data.state.output(unit).is_some();
        Ok(Box::pin(async move {
            if planted::is(Bug::ChildIsNotUndone) {
                return Settled::Done(output);
            }
            match cx.core().undo_child(&wanted, had_begun).await {
                Ok(None) => Settled::Done(output),
                Ok(Some(view)) => match cx.core().stand_of(&view).await {
                    Ok(Stand::Undone) => Settled::Done(output),
                    Ok(Stand::Completed | Stand::UnderWay) => {
                        Settled::Unknown { reason: wanted.waited_for(view.status) }
                    }
                    Err(error) => unknown(error.message()),
                },
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
