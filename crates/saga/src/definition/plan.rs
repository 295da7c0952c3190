//! A definition as data, without the code of its steps.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Policy, WhenExhausted};
use crate::fnv;

/// What a unit of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnitKind {
    /// A step that has an effect somewhere.
    Step,
    /// A step whose effect is committed together with its record.
    Transaction,
    /// A wait for an answer or an event.
    Wait,
    /// Another saga.
    Child,
}

/// One step, wait or branch of a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnitPlan {
    /// Its name, unique within the plan.
    pub name: Arc<str>,
    /// What it is.
    pub kind: UnitKind,
    /// Which stage it belongs to; the units of one stage run side by side.
    pub stage: usize,
    /// How it is tried.
    pub policy: Policy,
    /// What undoes it.
    pub undo: Option<UndoPlan>,
    /// For how long a wait waits.
    pub deadline: Option<Duration>,
    /// What a wait's signal goes to when the saga has ended without taking it.
    pub late: Option<LatePlan>,
    /// The units whose outputs it reads.
    pub reads: Vec<usize>,
    /// What a child is.
    pub child: Option<ChildPlan>,
    /// Which answers a wait takes, if not all.
    pub(crate) fits: Option<Fits>,
}

/// Tells whether an answer fits what was made.
pub(crate) type Test = dyn Fn(&[u8], &[u8]) -> bool + Send + Sync;

/// Which answers a wait takes, by what a unit before it made: both are JSON.
#[derive(Clone)]
pub(crate) struct Fits {
    /// The unit; `None` if it is none.
    pub(crate) made_by: Option<usize>,
    pub(crate) test: Arc<Test>,
}

impl fmt::Debug for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fits").field("made_by", &self.made_by).finish_non_exhaustive()
    }
}

/// The saga that a step starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildPlan {
    /// Its name.
    pub saga: Arc<str>,
    /// The version of its definition that a new one follows: the one that the plan was built with.
    pub version: u32,
}

/// The compensation of a unit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UndoPlan {
    /// Its name.
    pub name: Arc<str>,
    /// How it is tried.
    pub policy: Policy,
    /// What happens when it is exhausted.
    pub exhausted: WhenExhausted,
}

/// The handler of late signals.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LatePlan {
    /// Its name.
    pub name: Arc<str>,
    /// How it is tried.
    pub policy: Policy,
}

/// A definition as data: what is drawn, compared, and followed by the state machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The saga's name.
    pub saga: Arc<str>,
    /// The version of the definition.
    pub version: u32,
    /// The units, in order.
    pub units: Vec<UnitPlan>,
    /// The units of each stage.
    pub stages: Vec<Range<usize>>,
    /// The unit after which nothing is undone any more.
    pub pivot: Option<usize>,
    /// Names of stages that an operator can go back to, each with the stage that follows it.
    pub savepoints: Vec<(Arc<str>, usize)>,
}

impl Plan {
    /// Returns the unit of this name.
    pub fn unit(&self, name: &str) -> Option<usize> {
        self.units.iter().position(|unit| &*unit.name == name)
    }

    /// Returns the stage that a savepoint stands before.
    pub fn savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().find(|(other, _)| &**other == name).map(|(_, stage)| *stage)
    }

    /// Sums up names, kinds and order, by which a definition is recognised that changed without a new version.
    ///
    /// FNV-1a, 32 bits: the number is part of the records. What else may have changed,
    /// [`check_takes_over`](Self::check_takes_over) tells.
    pub fn fingerprint(&self) -> u32 {
        // The same wherever it is computed.
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut hash = fnv::START_32;
        let mut eat = |byte: u8| hash = fnv::eat_32(hash, byte);
        for unit in &self.units {
            unit.name.bytes().for_each(&mut eat);
            let kind = match unit.kind {
                UnitKind::Step => 0,
                UnitKind::Transaction => 1,
                UnitKind::Wait => 2,
                UnitKind::Child => 3,
            };
            eat(0xff);
            eat(kind);
            wide(unit.stage).to_le_bytes().into_iter().for_each(&mut eat);
        }
        self.pivot.map_or(u64::MAX, wide).to_le_bytes().into_iter().for_each(&mut eat);
        hash
    }

    pub(crate) fn stage(&self, stage: usize) -> Range<usize> {
        self.stages.get(stage).cloned().unwrap_or(0..0)
    }
}
