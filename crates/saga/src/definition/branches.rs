//! Steps that run side by side.

use std::marker::PhantomData;

use super::builder::{Allowed, BeforePivot, Draft};
use super::{Cons, Gather, Policy};
use crate::step::{Compensate, Step};

/// One of several steps that run side by side.
#[derive(Debug)]
pub struct Branch<S, C = NoCompensation> {
    step: S,
    compensation: C,
    policy: Option<Policy>,
    undo_policy: Policy,
}

/// A branch that leaves nothing to undo.
#[derive(Debug)]
pub struct NoCompensation;

impl<S> Branch<S> {
    /// Makes a branch of a step that leaves nothing to undo.
    pub fn new(step: S) -> Self {
        Self { step, compensation: NoCompensation, policy: None, undo_policy: Policy::new() }
    }

    /// Gives the step a compensation. Such a branch stands before the pivot only.
    #[must_use]
    pub fn compensate<C>(self, compensation: C) -> Branch<S, C> {
        Branch { step: self.step, compensation, policy: self.policy, undo_policy: self.undo_policy }
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
