//! Definitions: typed pipelines that are data.

mod branches;
mod builder;
mod check;
mod child;
mod context;
mod draw;
pub(crate) mod erased;
mod finite;
mod plan;
mod policy;
mod state;
mod svg;
mod versions;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use branches::{AnyBranch, Branch, Branches, Branching, Compensated, NoCompensation, Plain};
pub use builder::SagaBuilder;
pub(crate) use builder::UnitCode;
pub use child::{Ended, LastChild};
pub use context::{Cons, Gather, Has, Here, Inputs, Nil, There};
pub use draw::Look;
pub(crate) use draw::{AS_NAMED, Looks};
pub use plan::{ChildPlan, LatePlan, Plan, UndoPlan, UnitKind, UnitPlan};
pub use policy::{Policy, WhenExhausted};
pub use state::{
    AfterPivot, Allowed, BeforePivot, LastLate, LastStep, LastTransaction, LastUndo, LastWait, Nothing,
    Tried, Undoes,
};
pub use versions::Incompatible;

/// Where definitions begin: `Saga::<Key, App>::new("registration", 1)`.
///
/// `Key` is what one live saga is known by, as `serde` writes it: (participant, competition). `App` is what the service hands to
/// its steps.
pub struct Saga<K, App>(PhantomData<fn(K, App)>);

impl<K, App: Send + Sync + 'static> Saga<K, App> {
    /// Begins the definition called `name`, in this `version`, from 1.
    ///
    /// A saga is found by its key's JSON, which has to be the same whenever the key is written: a struct, a number or a text, or a
    /// `BTreeMap`, but no `HashMap` or `HashSet`, whose order is another one each time. Such a key is
    /// [refused](crate::SagaHandle::start) where that shows.
    #[expect(clippy::new_ret_no_self, reason = "it reads as what it makes: `Saga::new(…).step(…).build()`")]
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        version: u32,
    ) -> SagaBuilder<K, App, Cons<K, Nil>, BeforePivot, Nothing> {
        SagaBuilder::new(name.into(), version)
    }
}

impl<K, App> fmt::Debug for Saga<K, App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Saga")
    }
}

/// A definition: a plan, and the code of its steps. Clones share it.
pub struct Definition<K, App> {
    pub(crate) inner: Arc<Untyped<App>>,
    key: PhantomData<fn(K)>,
}

/// A definition without the type of its key.
pub(crate) struct Untyped<App> {
    pub(crate) plan: Plan,
    pub(crate) fingerprint: u32,
    pub(crate) codes: Vec<UnitCode<App>>,
    /// The definitions of its children, in the order of their steps, which are known wherever it is.
    pub(crate) children: Vec<Arc<Untyped<App>>>,
}

impl<K, App> Definition<K, App> {
    fn new(plan: Plan, codes: Vec<UnitCode<App>>, children: Vec<Arc<Untyped<App>>>) -> Self {
        let fingerprint = plan.fingerprint();
        Self { inner: Arc::new(Untyped { plan, fingerprint, codes, children }), key: PhantomData }
    }

    pub(crate) fn from_untyped(inner: Arc<Untyped<App>>) -> Self {
        Self { inner, key: PhantomData }
    }

    /// Returns the definition as data.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// Draws the definition as a Mermaid flow chart.
    pub fn mermaid(&self) -> String {
        self.plan().mermaid()
    }

    /// Draws the definition in Graphviz's DOT.
    pub fn dot(&self) -> String {
        self.plan().dot()
    }

    /// Draws the definition as an SVG picture, as [`Plan::svg`] does.
    pub fn svg(&self) -> String {
        self.plan().svg()
    }
}

impl<K, App> Clone for Definition<K, App> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), key: PhantomData }
    }
}

impl<K, App> fmt::Debug for Definition<K, App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("saga", &self.plan().saga)
            .field("version", &self.plan().version)
            .field("units", &self.plan().units.len())
            .finish_non_exhaustive()
    }
}
