//! Steps that run side by side.

use std::marker::PhantomData;

use super::builder::Draft;
use super::state::{Allowed, BeforePivot};
use super::{Cons, Gather, Policy, WhenExhausted};
use crate::step::{Compensate, Step};

/// One of several steps that run side by side.
///
/// Behind the pivot it is held to what a step is held to: it has to be [`Retriable`](crate::Retriable), and has no compensation.
///
/// ```compile_fail,E0277
/// # use pumasi_saga::{Branch, Cx, Outcome, Retriable, Saga, Step};
/// # struct Pay; struct Tell; struct Print;
/// # macro_rules! step { ($step:ident => $out:ty) => { impl Step<()> for $step { type In = (); type Out = $out; type Error = &'static str;
/// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<$out, &'static str> { Outcome::Failed("not run") } } } }
/// # step!(Pay => u8); step!(Tell => u16); step!(Print => u32);
/// # impl Retriable for Tell {}
/// // `Print` may fail for good, and could not be undone.
/// Saga::<u64, ()>::new("s", 1).pivot(Pay).parallel((Branch::new(Tell), Branch::new(Print))).build();
/// ```
///
/// ```compile_fail,E0277
/// # use pumasi_saga::{Branch, Compensate, Cx, Outcome, Retriable, Saga, Step, Undo};
/// # struct Pay; struct Tell; struct Print; struct Shred;
/// # macro_rules! step { ($step:ident => $out:ty) => { impl Step<()> for $step { type In = (); type Out = $out; type Error = &'static str;
/// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<$out, &'static str> { Outcome::Failed("not run") } } } }
/// # step!(Pay => u8); step!(Tell => u16); step!(Print => u32);
/// # impl Retriable for Tell {} impl Retriable for Print {}
/// # impl Compensate<(), Print> for Shred { type Error = &'static str;
/// #     async fn undo(&self, _: &Cx<()>, _: Undo<(), Print>) -> Outcome<(), &'static str> { Outcome::Done(()) } }
/// // Nothing is undone there.
/// Saga::<u64, ()>::new("s", 1).pivot(Pay).parallel((Branch::new(Tell), Branch::new(Print).compensate(Shred))).build();
/// ```
#[derive(Debug)]
pub struct Branch<S, C = NoCompensation> {
    step: S,
    compensation: C,
    policy: Option<Policy>,
    undo_policy: Policy,
    exhausted: WhenExhausted,
}

/// A branch that leaves nothing to undo.
#[derive(Debug)]
pub struct NoCompensation;

impl<S> Branch<S> {
    /// Makes a branch of a step that leaves nothing to undo.
    pub fn new(step: S) -> Self {
        Self {
            step,
            compensation: NoCompensation,
            policy: None,
            undo_policy: Policy::new(),
            exhausted: WhenExhausted::default(),
        }
    }

    /// Gives the step a compensation. Such a branch stands before the pivot only.
    #[must_use]
    pub fn compensate<C>(self, compensation: C) -> Branch<S, C> {
        let Self { step, policy, undo_policy, exhausted, .. } = self;
        Branch { step, compensation, policy, undo_policy, exhausted }
    }
}

impl<S, C> Branch<S, C> {
    /// Sets how the step is tried.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets how the compensation is tried.
    #[must_use]
    pub fn undo_policy(mut self, policy: Policy) -> Self {
        self.undo_policy = policy;
        self
    }

    /// Says what happens when the compensation is exhausted (default: [`WhenExhausted::Halt`]). Branches are undone one after the other,
    /// the last first, so that this is about the branches before it, too.
    #[must_use]
    pub fn when_exhausted(mut self, exhausted: WhenExhausted) -> Self {
        self.exhausted = exhausted;
        self
    }
}

/// Where branches are being added.
pub struct Branching<'a, App> {
    pub(super) draft: &'a mut Draft<App>,
    /// How much of the context the branches see: what was there before all of them.
    pub(super) visible: usize,
    pub(super) policy: Policy,
}

impl<App> std::fmt::Debug for Branching<'_, App> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Branching").finish_non_exhaustive()
    }
}

/// A [`Branch`] that may stand in the context `Ctx`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand here",
    label = "not a branch for this place",
    note = "after the pivot a branch is a `Retriable` step without a compensation",
    note = "a branch needs what was made before all branches, and its compensation is one of its own step"
)]
pub trait AnyBranch<App, Ctx, Class, Places> {
    /// What it makes.
    type Out;

    /// Adds it.
    #[doc(hidden)]
    fn add(self, branching: &mut Branching<'_, App>);
}

impl<App, Ctx, Class, Places, S> AnyBranch<App, Ctx, Class, Plain<Places>> for Branch<S, NoCompensation>
where
    App: Send + Sync + 'static,
    S: Step<App> + Allowed<Class>,
    S::In: Gather<Ctx, Places>,
{
    type Out = S::Out;

    fn add(self, branching: &mut Branching<'_, App>) {
        let sources = branching.draft.resolve(&S::In::depths(), branching.visible);
        let policy = self.policy.unwrap_or(branching.policy);
        branching.draft.add_step(self.step, sources, policy);
    }
}

/// Tells a branch with a compensation from one without.
#[derive(Debug)]
pub struct Compensated<Places>(PhantomData<Places>);

/// Tells a branch without a compensation from one with one.
#[derive(Debug)]
pub struct Plain<Places>(PhantomData<Places>);

impl<App, Ctx, Places, S, C> AnyBranch<App, Ctx, BeforePivot, Compensated<Places>> for Branch<S, C>
where
    App: Send + Sync + 'static,
    S: Step<App>,
    S::In: Gather<Ctx, Places>,
    C: Compensate<App, S>,
{
    type Out = S::Out;

    fn add(self, branching: &mut Branching<'_, App>) {
        let sources = branching.draft.resolve(&S::In::depths(), branching.visible);
        let policy = self.policy.unwrap_or(branching.policy);
        branching.draft.add_step(self.step, sources, policy);
        branching.draft.add_undo::<S, C>(self.compensation, self.undo_policy);
        branching.draft.set_exhausted(self.exhausted);
    }
}

/// A tuple of two to six [`Branch`]es.
pub trait Branches<App, Ctx, Class, Places> {
    /// The context after all of them.
    type Ctx;

    /// Adds them.
    #[doc(hidden)]
    fn add(self, branching: &mut Branching<'_, App>);
}

macro_rules! after {
    ($ctx:ty;) => { $ctx };
    ($ctx:ty; $first:ty $(, $rest:ty)*) => { after!(Cons<$first, $ctx>; $($rest),*) };
}

macro_rules! branches {
    ($(($($branch:ident $place:ident $at:tt),+))+) => {$(
        impl<App, Ctx, Class, $($branch, $place,)+> Branches<App, Ctx, Class, ($($place,)+)> for ($($branch,)+)
        where
            $($branch: AnyBranch<App, Ctx, Class, $place>,)+
        {
            type Ctx = after!(Ctx; $($branch::Out),+);

            fn add(self, branching: &mut Branching<'_, App>) {
                $(self.$at.add(branching);)+
            }
        }
    )+};
}

branches! {
    (A PA 0, B PB 1)
    (A PA 0, B PB 1, C PC 2)
    (A PA 0, B PB 1, C PC 2, D PD 3)
    (A PA 0, B PB 1, C PC 2, D PD 3, E PE 4)
    (A PA 0, B PB 1, C PC 2, D PD 3, E PE 4, F PF 5)
}
