//! Counts, when all is over.

use std::collections::HashMap;
use std::path::Path;

use pumasi_saga::Audit;
use pumasi_saga::store::{Query, Status};
use serde_json::{Value, json};

use crate::bank::{Bank, Line, bookings};
use crate::parts::Orders;
use crate::sagas::{PACKING, PIVOT, STEPS, expected, is_called_off, is_repeated, needs_person};
use crate::{Failure, Setup, parts};

#[derive(Default)]
pub(crate) struct Found {
    sagas: u64,
    acknowledged: u64,
    endings: HashMap<Status, u64>,
    effects: u64,
    undone: u64,
    refused: u64,
    taken_over: u64,
    decided: u64,
    children: u64,
    /// Children that were begun anew, and how many times of theirs were undone before they came to them.
    made_again: u64,
    passed_over: u64,
    /// Orders that were begun anew after they had been called off.
    begun_anew: u64,
    rows: u64,
    /// Of orders that were acknowledged and ended, and that the store has forgotten.
    forgotten: u64,
    /// What does not hold.
    pub(crate) wrong: Vec<String>,
}

impl Found {
    pub(crate) fn report(&self) -> Value {
        let ended = |status| self.endings.get(&status).copied().unwrap_or(0);
        json!({
            "acknowledged": self.acknowledged, "sagas": self.sagas,
            "completed": ended(Status::Completed), "compensated": ended(Status::Compensated),
            "needs_operator": ended(Status::NeedsOperator),
            "effects": self.effects, "undone": self.undone, "rows": self.rows, "decided": self.decided,
            "children": self.children, "made_again": self.made_again, "passed_over": self.passed_over,
            "begun_anew": self.begun_anew, "forgotten": self.forgotten,
            "taken_over": self.taken_over, "refused_writes": self.refused, "violations": self.wrong.len(),
        })
    }
}

pub(crate) async fn check(setup: &Setup, folder: &Path) -> Result<Found, Failure> {
    let (orders, _) = parts::engine(setup, folder, None).await?;
    let mut found = Found { refused: parts::refused(folder), ..Found::default() };
    let mut ends = HashMap::new();
    let mut query = Query::new();
    loop {
        let page = orders.query(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query = query.with_after(last.head.id);
        for summary in page {
            let order: u64 = summary.head.key.parse()?;
            if ends.insert(order, summary.head.status).is_some() {
                found.wrong.push(format!("order {order} is listed twice"));
            }
            let snapshot = orders.snapshot(&order).await?;
            found.taken_over += u64::from(snapshot.history.iter().any(|entry| entry.what == "taken_over"));
            found.begun_anew += u64::from(snapshot.view.run > 0);
            let made = |audit: &&Audit| !audit.action.starts_with("refused");
            found.decided += u64::try_from(snapshot.audits.iter().filter(made).count())?;
            let was_called_off = snapshot.audits.iter().any(|audit| &*audit.action == "cancel");
            if is_called_off(order) && !was_called_off && setup.retention.is_none() {
                found.wrong.push(format!("order {order} was called off, and that is not recorded"));
            }
        }
    }
    check_children(&orders, &ends, &mut found).await?;
    let mut books: HashMap<u64, Vec<Line>> = HashMap::new();
    for line in Bank::open(folder).await?.ledger().await? {
        *if line.undo { &mut found.undone } else { &mut found.effects } += 1;
        books.entry(line.order).or_default().push(line);
    }
    if setup.store == "postgres" {
        for line in bookings(&parts::postgres(setup)?, setup.retention.is_some()).await? {
            found.rows += 1;
            books.entry(line.order).or_default().push(line);
        }
    }
    found.sagas = u64::try_from(ends.len())?;
    for order in parts::acknowledgements(folder) {
        found.acknowledged += 1;
        if !ends.contains_key(&order) && setup.retention.is_some() {
            // It ended, or it would be there; how, its books tell.
            found.forgotten += 1;
            ends.insert(order, expected(order));
        } else if !ends.contains_key(&order) {
            found.wrong.push(format!("order {order} was acknowledged, and is lost"));
        }
    }
    let unknown = books.keys().filter(|order| !ends.contains_key(order) && setup.retention.is_none());
    for order in unknown {
        found.wrong.push(format!("order {order} has effects, and is not known"));
    }
    for (order, status) in ends {
        *found.endings.entry(status).or_default() += 1;
        let lines = books.remove(&order).unwrap_or_default();
        if let Err(wrong) = judge(order, status, &lines, setup.has_children()) {
            found.wrong.push(format!("order {order}, {status}: {wrong}"));
        }
    }
    Ok(found)
}

/// A child has ended as its order has, or was never begun where that went back.
async fn check_children(
    orders: &Orders,
    ends: &HashMap<u64, Status>,
    found: &mut Found,
) -> Result<(), Failure> {
    let Some(packings) = &orders.packings else { return Ok(()) };
    let mut children = HashMap::new();
    let mut query = Query::new();
    loop {
        let page = packings.query(query.clone()).await?;
        let Some(last) = page.last() else { break };
        query = query.with_after(last.head.id);
        for child in page {
            let order: u64 = child.head.key.parse()?;
            children.insert(order, child.head.status);
            let snapshot = packings.snapshot(&order).await?;
            found.made_again += u64::from(snapshot.view.run > 0);
            let passed_over = snapshot.audits.iter().filter(|audit| &*audit.action == "pass_over");
            found.passed_over += u64::try_from(passed_over.count())?;
        }
    }
    found.children = u64::try_from(children.len())?;
    for (order, status) in ends {
        match (status, children.get(order)) {
            (Status::Compensated, None) => {}
            (status, Some(child)) if status == child => {}
            (status, child) => {
                found.wrong.push(format!("order {order}, {status}, and its child: {child:?}"));
            }
        }
    }
    Ok(())
}

/// Holds an order's books against how it ended.
fn judge(order: u64, status: Status, lines: &[Line], has_children: bool) -> Result<(), String> {
    let expected = expected(order);
    if status != expected {
        return Err(format!("it had to end {expected}"));
    }
    // What stands at the partner, the last on top.
    let mut standing = Vec::new();
    for line in lines.iter().filter(|line| !line.is_row) {
        let place = STEPS.iter().position(|step| *step == line.step).ok_or("a step that nobody knows")?;
        if !line.undo {
            if standing.last().is_some_and(|last| *last >= place) {
                return Err(format!("{} was done while it, or a step behind it, stood", line.step));
            }
            standing.push(place);
        } else if place >= PIVOT {
            return Err(format!("{} was undone, past the pivot", line.step));
        } else if standing.pop() != Some(place) {
            return Err(format!("{} was undone while it was not the last that stood", line.step));
        }
    }
    let is_repeated = has_children && is_repeated(order);
    for (place, step) in STEPS.iter().enumerate() {
        let count = |undo| lines.iter().filter(|line| line.undo == undo && line.step == *step).count();
        let (done, undone) = (count(false), count(true));
        let holds = match status {
            _ if PACKING.contains(step) && !has_children => (done, undone) == (0, 0),
            Status::Completed if *step == "tell" && needs_person(order) => (done, undone) == (0, 0),
            Status::Completed if is_repeated && place < PIVOT => done == undone + 1,
            Status::Completed => (done, undone) == (1, 0),
            _ if place >= PIVOT => (done, undone) == (0, 0),
            _ => done == undone && (is_repeated || done <= 1),
        };
        if !holds {
            return Err(format!("{step} was done {done} times and undone {undone} times"));
        }
    }
    Ok(())
}
