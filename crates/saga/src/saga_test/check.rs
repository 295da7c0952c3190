//! What holds after every run.

use std::collections::BTreeSet;

use super::fault::{Called, Point};
use super::{Bank, Ending};
use crate::definition::{Plan, UnitKind};
use crate::store::Status;

/// Checks the invariants of a saga, whose plan is the first, and of its children.
pub(super) fn check(plans: &[Plan], ending: &Ending, bank: &Bank, calls: &[Called]) -> Result<(), String> {
    let Some((plan, children)) = plans.split_first() else { return Ok(()) };
    check_one(plan, ending.status, ending, bank, calls)?;
    for child in children {
        let status = ending.children.get(&*child.saga).copied();
        match (ending.status, status) {
            (Status::Completed, Some(Status::Completed))
            | (Status::Compensated, None | Some(Status::Compensated)) => {}
            // Whoever decides about the parent decides what becomes of the child.
            (Status::NeedsOperator, _) => {}
            (parent, status) => {
                let status = status.map_or("was never begun", |status| status.as_str());
                return Err(format!("{parent}, and its child {}: {status}", child.saga));
            }
        }
        match status {
            Some(status) if status.is_final() => check_one(child, status, ending, bank, calls)?,
            _ if ending.status == Status::NeedsOperator => {}
            _ => nothing_stands(child, bank)?,
        }
    }
    plans.iter().try_for_each(|plan| check_order(plan, ending, calls))
}

/// Tells whether an operator took a step for done, or passed it over: then it is as the operator says.
fn by_hand(ending: &Ending, step: &str) -> bool {
    let mut audits = ending.audits.iter().filter(|audit| *audit.step == *step);
    audits.any(|audit| matches!(&*audit.action, "skip" | "force_done"))
}

/// Of what was never begun there is no effect.
fn nothing_stands(plan: &Plan, bank: &Bank) -> Result<(), String> {
    match plan.units.iter().find(|unit| bank.standing(&unit.name) != 0) {
        Some(unit) => Err(format!("saga {} was never begun, and step {} has effects", plan.saga, unit.name)),
        None => Ok(()),
    }
}

fn check_one(
    plan: &Plan,
    status: Status,
    ending: &Ending,
    bank: &Bank,
    calls: &[Called],
) -> Result<(), String> {
    let known = bank.steps();
    let knows = |name: &str| known.iter().any(|step| step == name);
    let ran = |name: &str| calls.iter().any(|call| call.done && call.point == Point::Run(name.to_owned()));
    let pivot = plan.pivot.and_then(|pivot| plan.units.get(pivot)).map(|unit| &*unit.name);
    for unit in plan.units.iter().filter(|unit| unit.kind != UnitKind::Wait) {
        let standing = bank.standing(&unit.name);
        let by_hand = by_hand(ending, &unit.name);
        if !(0..=1).contains(&standing) {
            return Err(format!("step {} has {standing} effects", unit.name));
        }
        match status {
            Status::Completed if by_hand => {}
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
                if (has_undo || pivot == Some(&*unit.name)) && standing != 0 && !by_hand {
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
            other => return Err(format!("saga {} is lost: it stands as {other}", plan.saga)),
        }
    }
    Ok(())
}

/// Compensations in strict reverse order, and no effect after its compensation.
///
/// A step that is made anew after a rollback to a savepoint has another key, and begins another round.
fn check_order(plan: &Plan, ending: &Ending, calls: &[Called]) -> Result<(), String> {
    let mut dead: BTreeSet<&str> = BTreeSet::new();
    let mut undone: BTreeSet<usize> = BTreeSet::new();
    let mut last = None;
    for call in calls.iter().filter(|call| call.done) {
        match &call.point {
            Point::Undo(name) => {
                let Some(unit) = plan.unit(name) else { continue };
                // What was settled by hand may be asked for once more, by whoever does not know.
                if !dead.insert(&call.key) || by_hand(ending, name) {
                    continue;
                }
                if last.is_some_and(|last| last < unit) {
                    return Err(format!("step {name} was undone after one before it"));
                }
                last = Some(unit);
                undone.insert(unit);
            }
            Point::Run(name) => {
                let Some(unit) = plan.unit(name) else { continue };
                if dead.contains(&*call.key) {
                    return Err(format!("step {name} had its effect after it was undone"));
                }
                if undone.remove(&unit) {
                    last = None;
                }
            }
            // What was forgotten is begun anew, by somebody who had stood still.
            Point::Commit => last = None,
            _ => {}
        }
    }
    Ok(())
}
