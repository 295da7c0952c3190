//! What holds after every run.

use std::collections::BTreeSet;

use super::fault::{Called, Point};
use super::{Bank, Ending};
use crate::definition::{Plan, UnitKind, WhenExhausted};
use crate::machine::{Audit, Phase, State, StuckAt, UnitStatus};
use crate::store::Status;

/// Checks the invariants of a saga, whose plan is the first, and of its children.
pub(super) fn check(
    plans: &[Plan],
    ending: &Ending,
    bank: &Bank,
    calls: &[Called],
    may_stand: &dyn Fn(&str) -> bool,
) -> Result<(), String> {
    let Some((plan, children)) = plans.split_first() else { return Ok(()) };
    let check_one = |plan, status| check_one(plan, status, ending, bank, calls, may_stand);
    check_one(plan, ending.status)?;
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
            Some(status) if status.is_final() => check_one(child, status)?,
            _ if ending.status == Status::NeedsOperator => {}
            _ => nothing_stands(child, bank)?,
        }
    }
    plans.iter().try_for_each(|plan| {
        check_order(plan, ending, calls)?;
        check_children(plan, plans, calls)
    })
}

/// Tells whether an operator took a step for done, or passed it over: then it is as the operator says.
fn by_hand(ending: &Ending, step: &str) -> bool {
    let mut audits = ending.audits.iter().filter(|audit| *audit.step == *step);
    audits.any(|audit| matches!(&*audit.action, "skip" | "force_done"))
}

/// Tells whether an effect may stand because an operator said so: that it was undone by hand, or that its compensation is passed over, of
/// which the saga tells.
fn is_left(ending: &Ending, step: &str) -> bool {
    let is_said = |audit: &Audit| *audit.step == *step && &*audit.action == "force_done";
    ending.not_undone.contains(step) || ending.audits.iter().any(is_said)
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
    may_stand: &dyn Fn(&str) -> bool,
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
                let is_undone = unit.undo.is_some() || pivot == Some(&*unit.name);
                if standing != 0 && !is_left(ending, &unit.name) && (is_undone || !may_stand(&unit.name)) {
                    let why = if is_undone { "" } else { ", which has no compensation," };
                    return Err(format!("compensated, and the effect of step {}{why} stands", unit.name));
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

/// Tells whether the compensation of a unit is one that others do not wait for when it is exhausted.
fn is_passed_over(plan: &Plan, unit: usize) -> bool {
    let undo = plan.units.get(unit).and_then(|unit| unit.undo.as_ref());
    undo.is_some_and(|undo| undo.exhausted == WhenExhausted::Continue)
}

/// A rollback that went past compensations that were exhausted has undone all the rest, and the saga tells of each that is left.
pub(super) fn check_told(plan: &Plan, state: &State, bank: &Bank) -> Result<(), String> {
    let (Phase::Backward(target), Some((StuckAt::Undo(_), _))) = (state.phase, &state.stuck) else {
        return Ok(());
    };
    let is_left = |unit: usize| state.status(unit) == UnitStatus::UndoFailed;
    if !(0..plan.units.len()).filter(|unit| is_left(*unit)).all(|unit| is_passed_over(plan, unit)) {
        return Ok(());
    }
    let undoable = plan.units.iter().enumerate().filter(|(_, it)| it.stage >= target && it.undo.is_some());
    for (unit, it) in undoable {
        if !state.status(unit).is_not_undone() && bank.standing(&it.name) != 0 {
            return Err(format!(
                "a compensation was passed over, and the effect of step {} stands without being told of",
                it.name
            ));
        }
    }
    Ok(())
}

/// Compensations in strict reverse order, and no effect after its compensation.
///
/// They are intended in that order, stage by stage, and end in it; but for those that others do not wait for when they are exhausted,
/// which may end later. A step that is made anew after a rollback to a savepoint has another key, and begins another round. When a parent
/// hears that a child has ended says nothing of when it did: a parent that stood still may hear it after the child was undone. What a child
/// did when is what its own steps did.
fn check_order(plan: &Plan, ending: &Ending, calls: &[Called]) -> Result<(), String> {
    let mut dead: BTreeSet<&str> = BTreeSet::new();
    let (mut undone, mut intended) = (Descent::default(), Descent::default());
    for call in calls {
        match &call.point {
            Point::Undo(name) => {
                let Some(unit) = plan.unit(name) else { continue };
                let is_out_of_order = if call.key.is_empty() {
                    // A saga may also stand at what nothing undoes: at a wait whose late signal is handled.
                    let it = plan.units.get(unit).filter(|it| it.undo.is_some());
                    it.is_some_and(|it| !intended.goes_down(unit, it.stage))
                } else {
                    // What was settled by hand may be asked for once more, by whoever does not know.
                    let counts = call.done && dead.insert(&call.key) && !by_hand(ending, name);
                    counts && !is_passed_over(plan, unit) && !undone.goes_down(unit, unit)
                };
                if is_out_of_order {
                    return Err(format!("step {name} was undone after one before it"));
                }
            }
            Point::Run(name) if call.done => {
                let Some(unit) = plan.unit(name) else { continue };
                if dead.contains(&*call.key) {
                    if is_child(plan, unit) {
                        continue;
                    }
                    return Err(format!("step {name} had its effect after it was undone"));
                }
                undone.begins_anew(unit);
                intended.begins_anew(unit);
            }
            // What was forgotten is begun anew, by somebody who had stood still.
            Point::Commit if call.done => {
                (undone, intended) = (Descent::default(), Descent::default());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Units that follow each other downwards.
#[derive(Default)]
struct Descent {
    seen: BTreeSet<usize>,
    last: Option<usize>,
}

impl Descent {
    /// Takes the next unit, at this height; `false` if the one before lies lower. One that was there before is not counted again.
    fn goes_down(&mut self, unit: usize, height: usize) -> bool {
        if !self.seen.insert(unit) {
            return true;
        }
        let last = self.last.replace(height);
        last.is_none_or(|last| last >= height)
    }

    /// A unit that was there is made anew.
    fn begins_anew(&mut self, unit: usize) {
        if self.seen.remove(&unit) {
            self.last = None;
        }
    }
}

fn is_child(plan: &Plan, unit: usize) -> bool {
    plan.units.get(unit).is_some_and(|unit| unit.kind == UnitKind::Child)
}

/// No effect of a child, nor of a child of its own, between its compensation and the next time that its parent comes to make it.
fn check_children(plan: &Plan, plans: &[Plan], calls: &[Called]) -> Result<(), String> {
    for child in plan.units.iter().filter(|unit| unit.kind == UnitKind::Child) {
        let steps = child.child.as_ref().map(|child| steps_of(&child.saga, plans)).unwrap_or_default();
        let mut dead: BTreeSet<&str> = BTreeSet::new();
        let mut is_undone = false;
        for call in calls {
            match &call.point {
                Point::Undo(name) if *name == *child.name && call.done => {
                    is_undone |= dead.insert(&call.key);
                }
                Point::Run(name) if *name == *child.name => is_undone &= dead.contains(&*call.key),
                Point::Run(name) if is_undone && call.done && steps.contains(&**name) => {
                    return Err(format!("step {name} had its effect after saga {} was undone", child.name));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The steps of a saga that have effects of their own, and those of its children.
fn steps_of<'a>(saga: &str, plans: &'a [Plan]) -> BTreeSet<&'a str> {
    let mut steps = BTreeSet::new();
    for unit in plans.iter().filter(|plan| *plan.saga == *saga).flat_map(|plan| &plan.units) {
        if let Some(child) = &unit.child {
            steps.append(&mut steps_of(&child.saga, plans));
        } else {
            steps.insert(&*unit.name);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Compensate, Cx, Outcome, Saga, Step, Undo};

    struct Pack;

    impl Step<()> for Pack {
        type In = ();
        type Out = ();
        type Error = &'static str;

        async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<(), &'static str> {
            Outcome::Done(())
        }
    }

    struct Unpack;

    impl Compensate<(), Pack> for Unpack {
        type Error = &'static str;

        async fn undo(&self, _: &Cx<()>, _: Undo<(), Pack>) -> Outcome<(), &'static str> {
            Outcome::Done(())
        }
    }

    /// Checks the calls of a parcel whose packing is a child, each given as its point, its key, and whether it was done.
    fn checked(calls: &[(Point, &str, bool)]) -> Result<(), String> {
        let packing = Saga::<u64, ()>::new("packing", 1).step(Pack).compensate(Unpack).build().unwrap();
        let parcel = Saga::<u64, ()>::new("parcel", 1).child(&packing, |(key,): (u64,)| key).build().unwrap();
        let ending = Ending {
            status: Status::Compensated,
            ledger: BTreeMap::new(),
            answered: BTreeSet::new(),
            events: Vec::new(),
            audits: Vec::new(),
            not_undone: BTreeSet::new(),
            children: BTreeMap::from([("packing".to_owned(), Status::Compensated)]),
        };
        let called = |(point, key, done): &(Point, &str, bool)| Called {
            point: point.clone(),
            key: (*key).to_owned(),
            done: *done,
        };
        let calls: Vec<Called> = calls.iter().map(called).collect();
        check(&[parcel.plan().clone(), packing.plan().clone()], &ending, &Bank::new(), &calls, &|_| false)
    }

    fn run(name: &str) -> Point {
        Point::Run(name.to_owned())
    }

    fn undo(name: &str) -> Point {
        Point::Undo(name.to_owned())
    }

    fn made_and_undone() -> Vec<(Point, &'static str, bool)> {
        vec![
            (run("packing"), "child", false),
            (run("pack"), "step", true),
            (undo("pack"), "step", true),
            (undo("packing"), "child", true),
        ]
    }

    #[test]
    fn a_parent_that_hears_late_how_its_child_ended_is_no_effect() {
        let mut calls = made_and_undone();
        calls.push((run("packing"), "child", true));
        assert_eq!(checked(&calls), Ok(()));
    }

    #[test]
    fn a_step_of_a_child_that_was_undone_has_no_effect() {
        let mut calls = made_and_undone();
        calls.push((run("pack"), "other step", true));
        let after = Err("step pack had its effect after saga packing was undone".to_owned());
        assert_eq!(checked(&calls), after);
        // A parent that comes to it for the time that was undone does not begin it anew.
        calls.insert(4, (run("packing"), "child", false));
        assert_eq!(checked(&calls), after);
    }

    #[test]
    fn a_child_that_is_made_another_time_has_its_effects_anew() {
        let mut calls = made_and_undone();
        calls.extend([(run("packing"), "other child", false), (run("pack"), "other step", true)]);
        assert_eq!(checked(&calls), Ok(()));
    }
}
