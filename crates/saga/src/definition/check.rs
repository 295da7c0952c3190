//! Definitions that cannot work.

use std::collections::HashSet;

use super::{Plan, UnitKind};
use crate::{Error, ErrorKind, Result};

/// The longest name, in bytes.
const MAX_NAME: usize = 100;
/// The most units a definition may have: records number them in a byte or two.
const MAX_UNITS: usize = 1000;

fn refuse(what: String) -> Result<()> {
    Err(Error::new(ErrorKind::InvalidInput, what))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\0')
}

/// Refuses what cannot work, and names it.
pub(super) fn check<'a>(plan: &'a Plan, children: impl Iterator<Item = &'a Plan>) -> Result<()> {
    let name = &plan.saga;
    if !is_name(name) {
        return refuse(format!("the name of a saga has 1 to {MAX_NAME} bytes"));
    }
    if plan.version == 0 {
        return refuse(format!("the first version of saga {name} is 1"));
    }
    if plan.units.is_empty() || plan.units.len() > MAX_UNITS {
        return refuse(format!("saga {name} has {} steps, not 1 to {MAX_UNITS}", plan.units.len()));
    }
    check_units(plan)?;
    for child in children {
        let is_child = |kind: UnitKind| kind == UnitKind::Child;
        let unit = plan.units.iter().find(|unit| is_child(unit.kind) && unit.name == child.saga);
        if child.pivot.is_some() && unit.is_some_and(|unit| unit.undo.is_some()) {
            let child = &child.saga;
            return refuse(format!(
                "child {child} of saga {name} has a pivot, and could not be undone with it"
            ));
        }
    }
    let mut points = HashSet::new();
    for (point, stage) in &plan.savepoints {
        if !is_name(point) {
            return refuse(format!("a savepoint of saga {name} has a name of {} bytes", point.len()));
        }
        if !points.insert(point) {
            return refuse(format!("saga {name} has two savepoints called {point}"));
        }
        if *stage == 0 {
            return refuse(format!("savepoint {point} of saga {name} stands before its first step"));
        }
    }
    Ok(())
}

fn check_units(plan: &Plan) -> Result<()> {
    let (name, mut names) = (&plan.saga, HashSet::new());
    for unit in &plan.units {
        if !is_name(&unit.name) {
            return refuse(format!("a step of saga {name} has a name of {} bytes", unit.name.len()));
        }
        if !names.insert(&*unit.name) {
            return refuse(format!("saga {name} has two steps called {}", unit.name));
        }
        // The keys of compensations and events are derived from such names.
        if unit.name.contains('/') {
            return refuse(format!("step {} of saga {name} has a / in its name", unit.name));
        }
        // The id of a signal follows its name after one.
        if unit.kind == UnitKind::Wait && unit.name.contains(':') {
            return refuse(format!("the answer {} of saga {name} has a : in its name", unit.name));
        }
        // What operators decide travels under such names.
        if unit.kind == UnitKind::Wait && unit.name.starts_with('!') {
            return refuse(format!("the answer {} of saga {name} has a name that begins with !", unit.name));
        }
        // That of a child is named after it.
        let undo = unit.undo.as_ref().filter(|_| unit.kind != UnitKind::Child);
        let undo = undo.map(|undo| (&undo.name, undo.policy));
        let late = unit.late.as_ref().map(|late| (&late.name, late.policy));
        if let Some((other, _)) = [&undo, &late].into_iter().flatten().find(|(other, _)| !is_name(other)) {
            let length = other.len();
            let what = format!("what undoes step {} of saga {name}, or takes its late signals", unit.name);
            return refuse(format!("{what}, has a name of {length} bytes"));
        }
        let policies = [undo, late].into_iter().flatten().map(|(_, policy)| policy);
        if policies.chain([unit.policy]).any(|policy| policy.timeout().is_zero()) {
            return refuse(format!("step {} of saga {name} has a timeout of zero", unit.name));
        }
        if unit.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return refuse(format!("wait {} of saga {name} has a deadline of zero", unit.name));
        }
    }
    Ok(())
}
