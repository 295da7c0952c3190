//! The builder: a pipeline whose type knows what the saga has, and whether there is a way back.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::branches::{Branches, Branching};
use super::erased::{
    Code, CompensateCode, CompensateTransactionCode, HandlerCode, LateCode, Source, StepCode,
    TransactionCode, UndoCode, WaitCode,
};
use super::plan::{Fits, LatePlan, UndoPlan, UnitPlan};
use super::state::{
    AfterPivot, Allowed, BeforePivot, LastLate, LastStep, LastTransaction, LastUndo, LastWait, Nothing,
    Tried, Undoes,
};
use super::{Cons, Definition, Gather, Nil, Plan, Policy, UnitKind, Untyped, WhenExhausted, check};
use crate::Result;
use crate::step::{Answer, Compensate, CompensateTransaction, Late, Step, TransactionStep};

/// A definition being written, step by step; made by [`Saga::new`](super::Saga::new).
///
/// Its type says what the saga has at this place (`Ctx`), whether there is a way back (`Class`) and what was added last (`Last`).
/// Nobody writes it down: the methods pass it on.
pub struct SagaBuilder<K, App, Ctx, Class, Last> {
    pub(super) draft: Draft<App>,
    pub(super) types: PhantomData<fn(K, Ctx, Class, Last)>,
}

/// What a policy belongs to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    Nothing,
    Step,
    Undo,
    Late,
}

/// The code of one unit.
pub(crate) struct UnitCode<App> {
    pub(crate) run: Box<dyn Code<App>>,
    pub(crate) undo: Option<Box<dyn UndoCode<App>>>,
    pub(crate) late: Option<Box<dyn LateCode<App>>>,
}

pub(super) struct Draft<App> {
    name: Cow<'static, str>,
    version: u32,
    pub(super) units: Vec<UnitPlan>,
    pub(super) codes: Vec<UnitCode<App>>,
    stages: Vec<std::ops::Range<usize>>,
    pub(super) pivot: Option<usize>,
    savepoints: Vec<(Arc<str>, usize)>,
    pub(super) children: Vec<Arc<Untyped<App>>>,
    /// What the context holds, the key first.
    pub(super) sources: Vec<Source>,
    /// Where the unit added last takes its input from.
    last: Vec<Source>,
    target: Target,
}

impl<App: Send + Sync + 'static> Draft<App> {
    /// Turns depths in the context into sources.
    pub(super) fn resolve(&self, depths: &[usize], visible: usize) -> Vec<Source> {
        let at = |depth: &usize| self.sources.get(visible.checked_sub(depth + 1)?).copied();
        depths.iter().filter_map(at).collect()
    }

    pub(super) fn add(&mut self, name: &str, kind: UnitKind, policy: Policy, sources: &[Source]) {
        let reads = sources.iter().filter_map(|source| match source {
            Source::Unit(unit) => Some(*unit),
            Source::Key => None,
        });
        self.units.push(UnitPlan {
            name: Arc::from(name),
            kind,
            stage: self.stages.len(),
            policy,
            undo: None,
            deadline: None,
            late: None,
            reads: reads.collect(),
            child: None,
            fits: None,
        });
    }

    pub(super) fn push_code(&mut self, run: impl Code<App> + 'static) {
        self.codes.push(UnitCode { run: Box::new(run), undo: None, late: None });
    }

    pub(super) fn add_step<S: Step<App>>(&mut self, step: S, sources: Vec<Source>, policy: Policy) {
        self.add(&step.name(), UnitKind::Step, policy, &sources);
        self.last.clone_from(&sources);
        self.push_code(StepCode { step: Arc::new(step), sources });
    }

    pub(super) fn add_transaction<S, Tx>(&mut self, step: S, depths: &[usize], policy: Policy)
    where
        Tx: Send + 'static,
        S: TransactionStep<App, Tx>,
    {
        let sources = self.resolve(depths, self.sources.len());
        self.add(&step.name(), UnitKind::Transaction, policy, &sources);
        self.last.clone_from(&sources);
        let step = Arc::new(step);
        self.push_code(TransactionCode::<S, Tx> { step, sources, transaction: PhantomData });
        self.end_stage();
    }

    /// Gives the unit added last a compensation.
    pub(super) fn add_undo<S: Step<App>, C: Compensate<App, S>>(&mut self, compensation: C, policy: Policy) {
        let (name, sources) = (compensation.name(), self.last.clone());
        let compensation = Arc::new(compensation);
        let code = CompensateCode::<C, S> { compensation, sources, step: PhantomData };
        self.add_undo_code(&name, code, policy);
    }

    pub(super) fn add_undo_code(&mut self, name: &str, undo: impl UndoCode<App> + 'static, policy: Policy) {
        if let (Some(plan), Some(code)) = (self.units.last_mut(), self.codes.last_mut()) {
            let name = Arc::from(name);
            plan.undo = Some(UndoPlan { name, policy, exhausted: WhenExhausted::default() });
            code.undo = Some(Box::new(undo));
        }
    }

    /// Says what happens when the compensation of the unit added last is exhausted.
    pub(super) fn set_exhausted(&mut self, exhausted: WhenExhausted) {
        if let Some(undo) = self.units.last_mut().and_then(|unit| unit.undo.as_mut()) {
            undo.exhausted = exhausted;
        }
    }

    /// Ends the stage that the units added since the last one make up.
    pub(super) fn end_stage(&mut self) {
        let begin = self.stages.last().map_or(0, |stage| stage.end);
        self.stages.push(begin..self.units.len());
        self.sources.extend((begin..self.units.len()).map(Source::Unit));
    }
}

impl<K, App: Send + Sync + 'static> SagaBuilder<K, App, Cons<K, Nil>, BeforePivot, Nothing> {
    pub(super) fn new(name: Cow<'static, str>, version: u32) -> Self {
        Self {
            draft: Draft {
                name,
                version,
                units: Vec::new(),
                codes: Vec::new(),
                stages: Vec::new(),
                pivot: None,
                savepoints: Vec::new(),
                children: Vec::new(),
                sources: vec![Source::Key],
                last: Vec::new(),
                target: Target::Nothing,
            },
            types: PhantomData,
        }
    }
}

impl<K, App, Ctx, Class, Last> SagaBuilder<K, App, Ctx, Class, Last>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    App: Send + Sync + 'static,
{
    pub(super) fn turn<NewCtx, NewClass, NewLast>(
        mut self,
        target: Target,
    ) -> SagaBuilder<K, App, NewCtx, NewClass, NewLast> {
        self.draft.target = target;
        SagaBuilder { draft: self.draft, types: PhantomData }
    }

    /// Adds a step. After the pivot it has to be [`Retriable`](crate::Retriable), and is tried [for ever](Policy::forever) unless its policy says
    /// otherwise.
    #[must_use]
    pub fn step<S, Places>(mut self, step: S) -> SagaBuilder<K, App, Cons<S::Out, Ctx>, Class, LastStep<S>>
    where
        S: Step<App> + Allowed<Class>,
        S::In: Gather<Ctx, Places>,
    {
        let policy = if self.draft.pivot.is_some() { Policy::forever() } else { Policy::new() };
        let sources = self.draft.resolve(&S::In::depths(), self.draft.sources.len());
        self.draft.add_step(step, sources, policy);
        self.draft.end_stage();
        self.turn(Target::Step)
    }

    /// Adds a step that is committed together with rows of the user's own, in a transaction of the store: exactly once.
    ///
    /// The store has to have transactions of the type `Tx`: an engine whose store has not refuses the definition.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "the builder's type is what it knows of the saga")]
    pub fn step_tx<S, Tx, Places>(
        mut self,
        step: S,
    ) -> SagaBuilder<K, App, Cons<S::Out, Ctx>, Class, LastTransaction<S, Tx>>
    where
        Tx: Send + 'static,
        S: TransactionStep<App, Tx> + Allowed<Class>,
        S::In: Gather<Ctx, Places>,
    {
        let policy = if self.draft.pivot.is_some() { Policy::forever() } else { Policy::new() };
        self.draft.add_transaction(step, &S::In::depths(), policy);
        self.turn(Target::Step)
    }

    /// Waits for an answer or an event. One that came early is taken at once.
    #[must_use]
    pub fn wait<A: Answer>(mut self) -> SagaBuilder<K, App, Cons<A, Ctx>, Class, LastWait<A>> {
        self.draft.add(A::NAME, UnitKind::Wait, Policy::new(), &[]);
        self.draft.push_code(WaitCode::<A>(PhantomData));
        self.draft.end_stage();
        self.turn(Target::Nothing)
    }

    /// Runs several steps side by side: [`Branch`](super::Branch)es in a tuple. The saga goes on when all are done; if one fails,
    /// the others are let end, and undone.
    ///
    /// ```
    /// # use pumasi_saga::{Cx, Outcome, Step};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Seat(u64);
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Shirt(u64);
    /// # struct HoldSeat; struct HoldShirt;
    /// # impl Step<()> for HoldSeat { type In = (); type Out = Seat; type Error = &'static str;
    /// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<Seat, &'static str> { Outcome::Done(Seat(1)) } }
    /// # impl Step<()> for HoldShirt { type In = (); type Out = Shirt; type Error = &'static str;
    /// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<Shirt, &'static str> { Outcome::Done(Shirt(1)) } }
    /// use pumasi_saga::{Branch, Saga};
    ///
    /// let saga = Saga::<u64, ()>::new("both", 1)
    ///     .parallel((Branch::new(HoldSeat), Branch::new(HoldShirt)))
    ///     .build()?;
    /// # Ok::<(), pumasi_saga::Error>(())
    /// ```
    #[must_use]
    pub fn parallel<B, Places>(mut self, branches: B) -> SagaBuilder<K, App, B::Ctx, Class, Nothing>
    where
        B: Branches<App, Ctx, Class, Places>,
    {
        let policy = if self.draft.pivot.is_some() { Policy::forever() } else { Policy::new() };
        let visible = self.draft.sources.len();
        branches.add(&mut Branching { draft: &mut self.draft, visible, policy });
        self.draft.end_stage();
        self.turn(Target::Nothing)
    }

    /// Sets how what was added last (a step, a compensation, a late handler) is tried.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self
    where
        Last: Tried,
    {
        let target = self.draft.target;
        if let Some(unit) = self.draft.units.last_mut() {
            match target {
                Target::Step => unit.policy = policy,
                Target::Undo => unit.undo.iter_mut().for_each(|undo| undo.policy = policy),
                Target::Late => unit.late.iter_mut().for_each(|late| late.policy = policy),
                Target::Nothing => {}
            }
        }
        self
    }

    /// Ends the definition.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with the step's name, if it cannot work: no step at all; a name of a step, a compensation, a late handler or a
    /// savepoint that is empty, longer than 100 bytes or, where it has to be unique, there twice; an answer whose name begins with `!`; a
    /// version of 0; a timeout or a deadline of zero; a wait that [matches](Self::matching) no step before it; a child before the pivot that has a pivot of its own; a saga among its own
    /// children, or among theirs.
    pub fn build(self) -> Result<Definition<K, App>> {
        let Draft { name, version, units, codes, stages, pivot, savepoints, children, .. } = self.draft;
        let plan = Plan { saga: Arc::from(&*name), version, units, stages, pivot, savepoints };
        check::check(&plan, &children)?;
        Ok(Definition::new(plan, codes, children))
    }
}

impl<K, App, Ctx, Last> SagaBuilder<K, App, Ctx, BeforePivot, Last>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    App: Send + Sync + 'static,
{
    /// Adds the step after which there is no way back. If it fails, everything before it is undone; once it is done, nothing is.
    ///
    /// If nobody can find out whether it is done, the saga waits for an operator: neither way is safe.
    #[must_use]
    pub fn pivot<S, Places>(
        mut self,
        step: S,
    ) -> SagaBuilder<K, App, Cons<S::Out, Ctx>, AfterPivot, LastStep<S>>
    where
        S: Step<App>,
        S::In: Gather<Ctx, Places>,
    {
        let sources = self.draft.resolve(&S::In::depths(), self.draft.sources.len());
        self.draft.add_step(step, sources, Policy::new());
        self.draft.end_stage();
        self.draft.pivot = self.draft.units.len().checked_sub(1);
        self.turn(Target::Step)
    }

    /// Adds the step after which there is no way back, and commits it together with rows of the user's own, in a transaction of
    /// the store: its outcome is always known.
    ///
    /// The store has to have transactions of the type `Tx`: an engine whose store has not refuses the definition.
    #[must_use]
    pub fn pivot_tx<S, Tx, Places>(
        mut self,
        step: S,
    ) -> SagaBuilder<K, App, Cons<S::Out, Ctx>, AfterPivot, LastStep<S>>
    where
        Tx: Send + 'static,
        S: TransactionStep<App, Tx>,
        S::In: Gather<Ctx, Places>,
    {
        self.draft.add_transaction(step, &S::In::depths(), Policy::new());
        self.draft.pivot = self.draft.units.len().checked_sub(1);
        self.turn(Target::Step)
    }

    /// Names this place, so that an operator can go back to it and on again from it. A step or wait stands before it: whoever goes back
    /// to the very beginning cancels.
    #[must_use]
    pub fn savepoint(mut self, name: impl Into<Arc<str>>) -> SagaBuilder<K, App, Ctx, BeforePivot, Nothing> {
        self.draft.savepoints.push((name.into(), self.draft.stages.len()));
        self.turn(Target::Nothing)
    }
}

impl<K, App, Ctx, S, Tx> SagaBuilder<K, App, Ctx, BeforePivot, LastTransaction<S, Tx>>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    App: Send + Sync + 'static,
    Tx: Send + 'static,
{
    /// Gives the step in a transaction a compensation in a transaction. A step without one is one that leaves nothing to undo.
    #[must_use]
    pub fn compensate_tx<C>(mut self, compensation: C) -> SagaBuilder<K, App, Ctx, BeforePivot, LastUndo>
    where
        S: TransactionStep<App, Tx>,
        C: CompensateTransaction<App, Tx, S>,
    {
        let (name, sources) = (compensation.name(), self.draft.last.clone());
        let compensation = Arc::new(compensation);
        let code = CompensateTransactionCode::<C, S, Tx> { compensation, sources, types: PhantomData };
        self.draft.add_undo_code(&name, code, Policy::new());
        self.turn(Target::Undo)
    }
}

impl<K, App, Ctx, S> SagaBuilder<K, App, Ctx, BeforePivot, LastStep<S>>
where
    K: Serialize + DeserializeOwned + Send + Sync + 'static,
    App: Send + Sync + 'static,
{
    /// Gives the step a compensation. A step without one is one that leaves nothing to undo.
    #[must_use]
    pub fn compensate<C>(mut self, compensation: C) -> SagaBuilder<K, App, Ctx, BeforePivot, LastUndo>
    where
        S: Step<App>,
        C: Compensate<App, S>,
    {
        self.draft.add_undo::<S, C>(compensation, Policy::new());
        self.turn(Target::Undo)
    }
}

impl<K, App: Send + Sync + 'static, Ctx, Last: Undoes> SagaBuilder<K, App, Ctx, BeforePivot, Last> {
    /// Says what happens when the compensation added last, or that of the child, is exhausted (default: [`WhenExhausted::Halt`]).
    /// Branches say so [themselves](super::Branch::when_exhausted).
    #[must_use]
    pub fn when_exhausted(mut self, exhausted: WhenExhausted) -> Self {
        self.draft.set_exhausted(exhausted);
        self
    }
}

impl<K, App, Ctx, A> SagaBuilder<K, App, Ctx, BeforePivot, LastWait<A>> {
    /// Says for how long the wait waits; after that the saga is rolled back. After the pivot there is no such thing.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        if let Some(unit) = self.draft.units.last_mut() {
            unit.deadline = Some(deadline);
        }
        self
    }
}

impl<K, App, Ctx, Class, A> SagaBuilder<K, App, Ctx, Class, LastWait<A>>
where
    A: Answer,
    App: Send + Sync + 'static,
{
    /// Lets the wait take only answers that match what a step before it made: the payment that was started, and not one of an earlier
    /// round that was cancelled meanwhile. One that does not match is kept, and in the end goes to the [late handler](Self::late).
    ///
    /// It is judged when it is to be taken, so that it must tell the same of the same values each time.
    ///
    /// ```
    /// # use pumasi_saga::{Answer, Cx, Outcome, Saga, Step};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Payment(String);
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Paid { payment: String }
    /// # impl Answer for Paid { const NAME: &'static str = "paid"; }
    /// # struct StartPayment;
    /// # impl Step<()> for StartPayment { type In = (); type Out = Payment; type Error = &'static str;
    /// #     async fn run(&self, cx: &Cx<()>, (): ()) -> Outcome<Payment, &'static str> { Outcome::Done(Payment(cx.step_key())) } }
    /// let saga = Saga::<u64, ()>::new("order", 1)
    ///     .step(StartPayment)
    ///     .wait::<Paid>()
    ///     .matching(|started: &Payment, paid| paid.payment == started.0)
    ///     .build()?;
    /// # Ok::<(), pumasi_saga::Error>(())
    /// ```
    #[must_use]
    pub fn matching<T, Places>(mut self, test: impl Fn(&T, &A) -> bool + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        (T,): Gather<Ctx, Places>,
    {
        let source = self
            .draft
            .resolve(&<(T,) as Gather<Ctx, Places>>::depths(), self.draft.sources.len())
            .first()
            .copied();
        let wait = self.draft.units.len().checked_sub(1);
        let made_by = match source {
            Some(Source::Unit(unit)) if Some(unit) != wait => Some(unit),
            _ => None,
        };
        let test = move |made: &[u8], answer: &[u8]| {
            let read = (serde_json::from_slice(made), serde_json::from_slice(answer));
            // Of what cannot be read or judged, whoever reads it next says so.
            let (Ok(made), Ok(answer)) = read else { return true };
            catch_unwind(AssertUnwindSafe(|| test(&made, &answer))).unwrap_or(true)
        };
        if let Some(plan) = self.draft.units.last_mut() {
            plan.reads = made_by.into_iter().collect();
            plan.fits = Some(Fits { made_by, test: Arc::new(test) });
        }
        self
    }

    /// Declares what takes an answer that the wait does not take any more: one that comes while the saga is rolled back or after it
    /// was, and one of another id beside the one that was taken.
    #[must_use]
    pub fn late<L: Late<App, A>>(mut self, handler: L) -> SagaBuilder<K, App, Ctx, Class, LastLate> {
        if let (Some(plan), Some(code)) = (self.draft.units.last_mut(), self.draft.codes.last_mut()) {
            plan.late = Some(LatePlan { name: Arc::from(&*handler.name()), policy: Policy::new() });
            let handler = Arc::new(handler);
            code.late = Some(Box::new(HandlerCode::<L, A> { handler, answer: PhantomData }));
        }
        self.draft.target = Target::Late;
        SagaBuilder { draft: self.draft, types: PhantomData }
    }
}

impl<K, App, Ctx, Class, Last> fmt::Debug for SagaBuilder<K, App, Ctx, Class, Last> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaBuilder")
            .field("name", &self.draft.name)
            .field("version", &self.draft.version)
            .field("units", &self.draft.units.len())
            .finish_non_exhaustive()
    }
}
