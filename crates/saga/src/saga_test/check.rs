//! What holds after every run.

use super::fault::{Called, Point};
use super::{Bank, Ending};
use crate::definition::{Plan, UnitKind};
use crate::store::Status;

/// Checks the invariants.
pub(super) fn check(plan: &Plan, ending: &Ending, bank: &Bank, calls: &[Called]) -> Result<(), String> {
    let known = bank.steps();
    let knows = |name: &str| known.iter().any(|step| step == name);
    let ran = |name: &str| calls.iter().any(|call| call.done && call.point == Point::Run(name.to_owned()));
    let pivot = plan.pivot.and_then(|pivot| plan.units.get(pivot)).map(|unit| &*unit.name);
    for unit in plan.units.iter().filter(|unit| unit.kind != UnitKind::Wait) {
        let standing = bank.standing(&unit.name);
        if !(0..=1).contains(&standing) {
            return Err(format!("step {} has {standing} effects", unit.name));
        }
        match ending.status {
            Status::Completed => {
                if !ran(&unit.name) {
                    return Err(format!("completed, and step {} was never done", unit.name));
                }
                if knows(&unit.name) && standing != 1 {
                    return Err(format!("completed, and step {} has {standing} effects", unit.name));
                }
            }
            Status::Compensated => {
                let has_undo = unit.undo.is_some();
                if (has_undo || pivot == Some(&*unit.name)) && standing != 0 {
                    return Err(format!("compensated, and the effect of step {} stands", unit.name));
                }
            }
            Status::NeedsOperator => {
                let past = pivot.is_some_and(|pivot| knows(pivot) && bank.standing(pivot) == 1);
                let before = pivot.is_some_and(|pivot| plan.unit(&unit.name) < plan.unit(pivot));
                if past && before && knows(&unit.name) && standing != 1 {
                    return Err(format!("past the pivot, and the effect of step {} is gone", unit.name));
                }
            }
            other => return Err(format!("the saga is lost: it stands as {other}")),
        }
    }
    check_order(plan, calls)
}

/// Compensations in strict reverse order, and no effect after its compensation.
fn check_order(plan: &Plan, calls: &[Called]) -> Result<(), String> {
    let mut undone: Vec<usize> = Vec::new();
    for call in calls.iter().filter(|call| call.done) {
        match &call.point {
            Point::Undo(name) => {
                let Some(unit) = plan.unit(name) else { continue };
                if undone.contains(&unit) {
                    continue;
                }
                if undone.last().is_some_and(|last| *last < unit) {
                    return Err(format!("step {name} was undone after one before it"));
                }
                undone.push(unit);
            }
            Point::Run(name) if plan.unit(name).is_some_and(|unit| undone.contains(&unit)) => {
                return Err(format!("step {name} had its effect after it was undone"));
            }
            _ => {}
        }
    }
    Ok(())
}
