//! Counts, when all is over.

use std::collections::HashMap;
use std::path::Path;

use pumasi_saga::store::{Query, Status};
use serde_json::{Value, json};

use crate::bank::{Bank, Line};
use crate::sagas::{PIVOT, STEPS, is_refused};
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
            "effects": self.effects, "undone": self.undone,
            "taken_over": self.taken_over, "refused_writes": self.refused, "violations": self.wrong.len(),
        })
    }
}

pub(crate) async fn check(setup: &Setup, folder: &Path) -> Result<Found, Failure> {
    let (orders, _) = parts::engine(setup, folder).await?;
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
            found.taken_over += u64::from(
                orders.snapshot(&order).await?.history.iter().any(|entry| entry.what == "taken_over"),
            );
        }
    }
    let mut books: HashMap<u64, Vec<Line>> = HashMap::new();
    for line in Bank::open(folder).await?.ledger().await? {
        *if line.undo { &mut found.undone } else { &mut found.effects } += 1;
        books.entry(line.order).or_default().push(line);
    }
    found.sagas = u64::try_from(ends.len())?;
    for order in parts::acknowledgements(folder) {
        found.acknowledged += 1;
        if !ends.contains_key(&order) {
            found.wrong.push(format!("order {order} was acknowledged, and is lost"));
        }
    }
    for order in books.keys().filter(|order| !ends.contains_key(order)) {
        found.wrong.push(format!("order {order} has effects, and is not known"));
    }
    for (order, status) in ends {
        *found.endings.entry(status).or_default() += 1;
        let lines = books.remove(&order).unwrap_or_default();
        if let Err(wrong) = judge(order, status, &lines) {
            found.wrong.push(format!("order {order}, {status}: {wrong}"));
        }
    }
    Ok(found)
}

/// Holds an order's books against how it ended.
fn judge(order: u64, status: Status, lines: &[Line]) -> Result<(), String> {
    let expected = if is_refused(order) { Status::Compensated } else { Status::Completed };
    if status != expected {
        return Err(format!("it had to end {expected}"));
    }
    let mut undone = STEPS.len();
    for line in lines.iter().filter(|line| line.undo) {
        let place = STEPS.iter().position(|step| *step == line.step).ok_or("a step that nobody knows")?;
        if place >= PIVOT {
            return Err(format!("{} was undone, past the pivot", line.step));
        }
        if place >= undone {
            return Err(format!("{} was undone after a step before it", line.step));
        }
        undone = place;
    }
    for (place, step) in STEPS.iter().enumerate() {
        let count = |undo| lines.iter().filter(|line| line.undo == undo && line.step == *step).count();
        let (done, undone) = (count(false), count(true));
        let holds = match status {
            Status::Completed => (done, undone) == (1, 0),
            _ if place >= PIVOT => (done, undone) == (0, 0),
            _ => done == undone && done <= 1,
        };
        if !holds {
            return Err(format!("{step} was done {done} times and undone {undone} times"));
        }
    }
    Ok(())
}
