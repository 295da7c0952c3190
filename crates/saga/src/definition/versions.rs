//! Whether a newer version can take over what an older one has in flight.

use std::fmt;
use std::sync::Arc;

use super::{Plan, UnitKind};

/// Why a version of a definition cannot take over sagas of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incompatible {
    /// They are versions of different sagas.
    Name,
    /// A step is gone, or stands in another place, or is of another kind.
    Step(Arc<str>),
    /// A step is new.
    Added(Arc<str>),
    /// A step lost its compensation: what sagas in flight have done could not be undone.
    Compensation(Arc<str>),
    /// A wait lost its late handler.
    Late(Arc<str>),
    /// A step that starts a child starts that of another saga: the one in flight would not be found.
    Child(Arc<str>),
    /// A savepoint is gone, or stands elsewhere: operators could not go back to it, or would go back too far or not far enough.
    Savepoint(Arc<str>),
    /// The pivot stands elsewhere.
    Pivot,
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("these are different sagas"),
            Self::Step(name) => write!(f, "step {name} is gone, moved or of another kind"),
            Self::Added(name) => write!(f, "step {name} is new"),
            Self::Compensation(name) => write!(f, "step {name} has lost its compensation"),
            Self::Late(name) => write!(f, "wait {name} has lost its late handler"),
            Self::Child(name) => write!(f, "step {name} starts a child of another saga"),
            Self::Savepoint(name) => write!(f, "savepoint {name} is gone, or stands elsewhere"),
            Self::Pivot => f.write_str("the pivot stands elsewhere"),
        }
    }
}

impl Plan {
    /// Compares this plan with an `older` one: what stands in the way of sagas of that version being driven by this one.
    ///
    /// Nothing does if both have the same steps, at the same places and of the same kinds, with the same pivot and savepoints, and
    /// each still can be undone that could: then the new code may take the older one's place under its version. Policies,
    /// compensations and savepoints that were added, the version that new children follow, and the code itself may have changed.
    /// Types of inputs and outputs are not compared: they are `serde`'s, and have to read what the old code wrote.
    ///
    /// Where something does, give the definition a new version and let the engine know both until the old sagas have ended.
    pub fn check_takes_over(&self, older: &Self) -> Vec<Incompatible> {
        let mut found = Vec::new();
        if self.saga != older.saga {
            found.push(Incompatible::Name);
        }
        for (place, old) in older.units.iter().enumerate() {
            let name = || Arc::clone(&old.name);
            let same = |new: &&super::UnitPlan| {
                new.name == old.name && new.kind == old.kind && new.stage == old.stage
            };
            let Some(new) = self.units.get(place).filter(same) else {
                found.push(Incompatible::Step(name()));
                continue;
            };
            if old.undo.is_some() && new.undo.is_none() {
                found.push(Incompatible::Compensation(name()));
            }
            let saga = |unit: &super::UnitPlan| unit.child.as_ref().map(|child| Arc::clone(&child.saga));
            if saga(old) != saga(new) {
                found.push(Incompatible::Child(name()));
            }
            if old.kind == UnitKind::Wait && old.late.is_some() && new.late.is_none() {
                found.push(Incompatible::Late(name()));
            }
        }
        let added = self.units.iter().skip(older.units.len());
        found.extend(added.map(|new| Incompatible::Added(Arc::clone(&new.name))));
        let missing = older.savepoints.iter().filter(|(name, stage)| self.savepoint(name) != Some(*stage));
        found.extend(missing.map(|(name, _)| Incompatible::Savepoint(Arc::clone(name))));
        if older.pivot != self.pivot {
            found.push(Incompatible::Pivot);
        }
        found
    }
}
