//! Definitions that cannot work.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Plan, UnitKind, Untyped};
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
pub(super) fn check<App>(plan: &Plan, children: &[Arc<Untyped<App>>]) -> Result<()> {
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
    let steps = plan.units.iter().filter(|unit| unit.kind == UnitKind::Child);
    for (unit, child) in steps.zip(children) {
        let (step, saga) = (&unit.name, &child.plan.saga);
        if child.plan.pivot.is_some() && unit.undo.is_some() {
            return refuse(format!(
                "step {step} of saga {name} is a child, {saga}, that has a pivot, and could not be undone with it"
            ));
        }
        if is_within(name, child) {
            return refuse(format!(
                "step {step} of saga {name} is a child, {saga}, that is or has the saga itself"
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

/// Tells whether a definition is of the saga called so, or one of its children is: under the same key it would wait for itself.
fn is_within<App>(name: &str, definition: &Untyped<App>) -> bool {
    *definition.plan.saga == *name || definition.children.iter().any(|child| is_within(name, child))
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
        let policies = [undo, late].into_iter().flatten().map(|(_, policy)| policy).chain([unit.policy]);
        for policy in policies {
            if policy.timeout().is_zero() {
                return refuse(format!("step {} of saga {name} has a timeout of zero", unit.name));
            }
            // It would hold its worker for ever.
            if policy.attempts().is_none() && policy.backoff().ceiling(1).is_zero() {
                return refuse(format!(
                    "step {} of saga {name} is tried for ever, without a pause",
                    unit.name
                ));
            }
        }
        if unit.fits.as_ref().is_some_and(|fits| fits.made_by.is_none()) {
            return refuse(format!("wait {} of saga {name} matches no step before it", unit.name));
        }
        if unit.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return refuse(format!("wait {} of saga {name} has a deadline of zero", unit.name));
        }
    }
    Ok(())
}
