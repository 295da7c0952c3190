//! What was reached, and what was violated.

use std::collections::BTreeMap;
use std::fmt;

use super::fault::{Fault, Point, Schedule};
use super::run::{Run, plans};
use super::{Ending, Scenario};
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
    /// Steps and compensations that no run came to.
    pub unreached: Vec<Point>,
    /// A sum over the ends of all runs, by which two sets of runs are compared.
    pub digest: u64,
}

impl Report {
    pub(super) fn add<S: Scenario>(&mut self, run: &Run, schedule: &Schedule, scenario: &S) {
        if self.runs == 0
            && let Ok(definition) = scenario.definition()
        {
            for unit in plans(&definition.inner).iter().flat_map(|plan| &plan.units) {
                if unit.kind != crate::definition::UnitKind::Wait {
                    self.unreached.push(Point::Run(unit.name.to_string()));
                }
                if unit.undo.is_some() {
                    self.unreached.push(Point::Undo(unit.name.to_string()));
                }
            }
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
                // FNV-1a, as elsewhere: the same runs have the same sum.
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
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
        if self.runs > 1 && self.struck.is_empty() {
            return Some("no fault struck".to_owned());
        }
        None
    }
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
        for point in &self.unreached {
            writeln!(f, "  not reached: {point}")?;
        }
        for violation in &self.violations {
            writeln!(f, "  VIOLATED {}: {}", violation.schedule, violation.what)?;
        }
        Ok(())
    }
}
