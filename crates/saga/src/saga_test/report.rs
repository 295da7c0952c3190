//! What was reached, and what was violated.

use std::collections::BTreeMap;
use std::fmt;

use super::fault::{Arrival, Fault, Point, Schedule};
use super::run::{Run, plans};
use super::{Ending, Scenario};
use crate::definition::{UnitKind, UnitPlan};
use crate::fnv;
use crate::store::Status;

/// How many violations are told.
const TOLD: usize = 5;

/// A run after which something did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The schedule, which runs it again.
    pub schedule: Schedule,
    /// What did not hold.
    pub what: String,
}

/// After how many violations no more runs are made.
pub(super) const ENOUGH: u64 = 20;

/// What many runs reached. `Display` is a table.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many runs there were.
    pub runs: u64,
    /// How often each fault struck at each point.
    pub struck: BTreeMap<(Point, Fault), u64>,
    /// How many decisions of operators were acknowledged.
    pub decisions: u64,
    /// How many sagas were purged after their end; not those that were forgotten at once.
    pub purged: u64,
    /// How many sagas were forgotten at their end.
    pub forgotten: u64,
    /// How often each status was the end.
    pub endings: BTreeMap<Status, u64>,
    /// What was violated.
    pub violations: Vec<Violation>,
    /// How many violations there were in all.
    pub violated: u64,
    /// How often a signal came to each wait in each way, and how often one did not before its deadline.
    pub arrivals: BTreeMap<(String, Arrival), u64>,
    /// Steps, compensations and late handlers that no run came to.
    pub unreached: Vec<Point>,
    /// Waits to which no run's signal came in this way.
    pub not_arrived: Vec<(String, Arrival)>,
    /// A sum over the ends of all runs, by which two sets of runs are compared.
    pub digest: u64,
}

impl Report {
    pub(super) fn add<S: Scenario>(&mut self, run: &Run, schedule: &Schedule, scenario: &S) {
        if self.runs == 0
            && let Ok(definition) = scenario.definition()
        {
            let plans = plans(&definition.inner);
            for unit in plans.iter().flat_map(|plan| &plan.units) {
                if unit.kind != UnitKind::Wait {
                    self.unreached.push(Point::Run(unit.name.to_string()));
                }
                if unit.undo.is_some() {
                    self.unreached.push(Point::Undo(unit.name.to_string()));
                }
            }
            // Nobody sends the children anything.
            let waits = plans.iter().take(1).flat_map(|plan| &plan.units);
            for wait in waits.filter(|unit| unit.kind == UnitKind::Wait) {
                if wait.late.is_some() {
                    self.unreached.push(Point::Late(wait.name.to_string()));
                }
                let arrivals = expected(wait, scenario.forgets());
                self.not_arrived.extend(arrivals.map(|arrival| (wait.name.to_string(), arrival)));
            }
        }
        self.not_arrived.retain(|expected| !run.arrivals.contains(expected));
        for arrival in &run.arrivals {
            *self.arrivals.entry(arrival.clone()).or_default() += 1;
        }
        self.runs += 1;
        self.decisions += run.decisions;
        self.purged += u64::from(run.purged);
        self.forgotten += u64::from(run.forgotten);
        self.unreached.retain(|point| !run.calls.iter().any(|call| call.done && call.point == *point));
        for struck in &run.struck {
            *self.struck.entry(struck.clone()).or_default() += 1;
        }
        if let Some(Ending { status, ledger, .. }) = &run.ending {
            *self.endings.entry(*status).or_default() += 1;
            for byte in format!("{status}{ledger:?}").bytes() {
                // The same runs have the same sum.
                self.digest = fnv::eat_64(self.digest, byte);
            }
        }
        if let Some(what) = &run.wrong {
            self.violated += 1;
            if self.violations.len() < TOLD {
                self.violations.push(Violation { schedule: schedule.clone(), what: what.clone() });
            }
        }
    }

    /// Returns how many faults struck.
    pub fn faults(&self) -> u64 {
        self.struck.values().sum()
    }

    pub(super) fn complaint(&self) -> Option<String> {
        if let Some(first) = self.violations.first() {
            let more = self.violated.saturating_sub(1);
            return Some(format!(
                "{}: {} (and {more} more of {} runs)",
                first.schedule, first.what, self.runs
            ));
        }
        if self.runs == 0 {
            return Some("nothing was run".to_owned());
        }
        let missing: Vec<_> = self.unreached.iter().map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Some(format!("no run came to: {}", missing.join(", ")));
        }
        let missing: Vec<_> =
            self.not_arrived.iter().map(|(wait, arrival)| format!("{wait} {arrival}")).collect();
        if !missing.is_empty() {
            return Some(format!("in no run there was a signal for: {}", missing.join(", ")));
        }
        if self.runs > 1 && self.struck.is_empty() {
            return Some("no fault struck".to_owned());
        }
        None
    }
}

/// How signals can come to a wait, whatever the saga does besides.
///
/// Of a saga of which nothing is kept nobody asks what became of it: what comes after its end is not sent.
fn expected(wait: &UnitPlan, forgets: bool) -> impl Iterator<Item = Arrival> {
    let has_deadline = wait.deadline.is_some();
    let ways = [
        (Arrival::InTime, true),
        (Arrival::Early, wait.stage > 0),
        (Arrival::Twice, !forgets),
        (Arrival::Missed, has_deadline),
        (Arrival::Late, has_deadline && !forgets),
    ];
    ways.into_iter().filter(|(_, is_possible)| *is_possible).map(|(arrival, _)| arrival)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs, {} faults, {} violations", self.runs, self.faults(), self.violated)?;
        for (what, count) in
            [("decided", self.decisions), ("purged", self.purged), ("forgotten", self.forgotten)]
        {
            if count > 0 {
                writeln!(f, "  {what}: {count}")?;
            }
        }
        for (status, count) in &self.endings {
            writeln!(f, "  ended {status}: {count}")?;
        }
        for ((point, fault), count) in &self.struck {
            writeln!(f, "  {point}: {fault} {count}")?;
        }
        for ((wait, arrival), count) in &self.arrivals {
            writeln!(f, "  wait {wait}: {arrival} {count}")?;
        }
        for point in &self.unreached {
            writeln!(f, "  not reached: {point}")?;
        }
        for (wait, arrival) in &self.not_arrived {
            writeln!(f, "  not reached: wait {wait}: {arrival}")?;
        }
        for violation in &self.violations {
            writeln!(f, "  VIOLATED {}: {}", violation.schedule, violation.what)?;
        }
        Ok(())
    }
}
