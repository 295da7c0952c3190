//! A user's saga through every crash, every outcome and every repetition.
//!
//! A [`Scenario`] says what the saga is, what its participants are and what is answered to it. Everything else is found out:
//! a calm run comes to *points* (signals, commits, claims, steps, compensations), and at every point every [`Fault`] that can strike there
//! strikes in a run of its own; then, in [`every_pair`], a second one at every point of what follows. [`seeds`] draws many faults
//! for one run, and sends signals twice, out of order, and when nothing else happens any more. Besides, each step that has a compensation
//! and is not tried for ever is once done without anybody's ever coming to know, and a saga without a pivot is cancelled after its end.
//!
//! Processes die by not being asked any more, and stand still by being asked again when another has finished their work; time is
//! virtual, and a run takes some ten microseconds. The engine, the state machine and the store's seam are those of the service.
//!
//! After each run:
//!
//! 1. the saga is completed, compensated, or waits for an operator; it is never lost;
//! 2. completed: every step was done, and of each that has effects at the [`Bank`] exactly one stands (what a step does elsewhere only
//!    the [`Scenario::check`] knows);
//! 3. compensated: no effect at the [`Bank`] stands, the unknown one included, but of steps that [may](Scenario::may_stand);
//! 4. a done pivot is never undone, and neither is anything before it then;
//! 5. compensations follow each other in strict reverse order, and no step has its effect after its compensation; one that is
//!    [passed over](crate::WhenExhausted::Continue) when it is exhausted begins in that order, the steps before it are undone all the
//!    same, and the saga ends with an operator and tells which steps are [not undone](Ending::not_undone);
//! 6. what was acknowledged is stored: answers, and what an operator [decided](Scenario::decide), made or refused;
//! 7. a child has ended as its parent has, or was never begun where that went back, all of this holds of it, too, and no step of
//!    it has its effect between its compensation and the next time that its parent makes it;
//! 8. a purge takes what has ended and leaves nothing of it, and nothing else, also while the saga is under way;
//! 9. what the [`Scenario::check`] says.
//!
//! Steps of a saga and of its children have names of their own, by which they are counted, so that two children of one definition
//! are not told from each other; a child's definition is made in [`Scenario::definition`], as its parent's.
//!
//! After twenty violations no more runs are made. A [`Report`] that has not reached a step, a compensation, a late handler or a fault fails: a
//! test that tests nothing is not passed. So does one in which a wait of the saga did not get its signal in time, early (unless the saga
//! begins with it) and twice, or, where it has a deadline, did not see that pass and the signal come late. What a saga waits for has to be
//! among the scenario's [answers](Scenario::answers); a late handler that nothing but a surplus signal can reach, behind the pivot or
//! before the first step, needs a second answer with an [id](crate::Signal::with_id) of its own there. Waits of children are not answered.
//!
//! ```
//! use pumasi_saga::saga_test::{self, Bank, Scenario};
//! use pumasi_saga::{Compensate, Cx, Definition, Outcome, Probe, Result, Saga, Signal, Step, Undo};
//!
//! struct Reserve;
//! impl Step<Bank> for Reserve {
//!     type In = ();
//!     type Out = u32;
//!     type Error = &'static str;
//!     async fn run(&self, cx: &Cx<Bank>, (): ()) -> Outcome<u32, &'static str> {
//!         if cx.app().apply(cx) { Outcome::Done(1) } else { Outcome::Failed("undone before") }
//!     }
//!     async fn probe(&self, cx: &Cx<Bank>, (): ()) -> Probe<u32> {
//!         if cx.app().happened(cx) { Probe::Happened(1) } else { Probe::DidNotHappen }
//!     }
//! }
//!
//! struct Free;
//! impl Compensate<Bank, Reserve> for Free {
//!     type Error = &'static str;
//!     async fn undo(&self, cx: &Cx<Bank>, _: Undo<Bank, Reserve>) -> Outcome<(), &'static str> {
//!         cx.app().revert(cx);
//!         Outcome::Done(())
//!     }
//! }
//!
//! struct Pay;
//! impl Step<Bank> for Pay {
//!     type In = ();
//!     type Out = String;
//!     type Error = &'static str;
//!     async fn run(&self, cx: &Cx<Bank>, (): ()) -> Outcome<String, &'static str> {
//!         if cx.app().apply(cx) { Outcome::Done("paid".into()) } else { Outcome::Failed("undone before") }
//!     }
//!     async fn probe(&self, cx: &Cx<Bank>, (): ()) -> Probe<String> {
//!         if cx.app().happened(cx) { Probe::Happened("paid".into()) } else { Probe::DidNotHappen }
//!     }
//! }
//!
//! struct Order;
//! impl Scenario for Order {
//!     type Key = u64;
//!     type App = Bank;
//!     fn app(&self, bank: &Bank) -> Bank { bank.clone() }
//!     fn definition(&self) -> Result<Definition<u64, Bank>> {
//!         Saga::new("order", 1).step(Reserve).compensate(Free).pivot(Pay).build()
//!     }
//!     fn key(&self) -> u64 { 7 }
//! }
//!
//! let report = saga_test::every_fault(&Order);
//! report.verify()?;
//! # Ok::<(), pumasi_saga::Error>(())
//! ```

mod bank;
mod blocking;
mod check;
mod code;
mod fault;
mod look;
mod report;
mod run;
mod script;
mod store;

use std::ops::Range;
use std::sync::Arc;

use pumasi_core::time::ManualClock;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bank::Bank;
pub use blocking::Blocking;
pub use fault::{Arrival, Fault, Point, Schedule};
pub use report::{Report, Violation};
pub use run::Ending;

use crate::definition::{Definition, UnitKind};
use crate::engine::{Decision, Signal, Snapshot};
use crate::store::{MemoryStore, SagaStore};
use crate::{Error, Result};

/// What is tested: a saga, its participants, and what is answered to it.
pub trait Scenario {
    /// The saga's key.
    type Key: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What its steps are handed.
    type App: Send + Sync + 'static;

    /// Makes the participants, over a bank that is new for each run.
    fn app(&self, bank: &Bank) -> Self::App;

    /// Makes the definition; it is asked for anew in each run.
    ///
    /// # Errors
    ///
    /// As [`build`](crate::definition::SagaBuilder::build).
    fn definition(&self) -> Result<Definition<Self::Key, Self::App>>;

    /// Returns the saga's key.
    fn key(&self) -> Self::Key;

    /// Returns what is answered, in order: something for each wait.
    fn answers(&self) -> Vec<Signal> {
        Vec::new()
    }

    /// Returns what an operator decides about the saga as it stands; `None` if nothing (any more).
    ///
    /// It is asked after each answer and whenever the saga has come to rest, until it decides nothing; `made` is how many decisions
    /// were acknowledged so far, at most [`MAX_DECISIONS`](Self::MAX_DECISIONS). What was acknowledged has to be among the saga's
    /// [audits](crate::Audit), made or refused.
    fn decide(&self, app: &Self::App, snapshot: &Snapshot, made: usize) -> Option<Decision> {
        let _ = (app, snapshot, made);
        None
    }

    /// How often an operator decides at most.
    const MAX_DECISIONS: usize = 16;

    /// Tells whether the saga is [begun anew](crate::SagaHandle::restart_undone) whenever it was undone and a signal is left for it: that
    /// is of the run before, and goes to its late handler.
    fn begins_anew(&self) -> bool {
        false
    }

    /// Tells whether sagas that ended are forgotten at once, as with a
    /// [retention](crate::EngineOptions::with_retention) of zero. Nobody asks again then for one that has ended: that would begin it
    /// anew, under the keys of before.
    fn forgets(&self) -> bool {
        false
    }

    /// Tells whether an effect of a step without a compensation may stand where everything was undone: that of a mail, say. No, unless
    /// the scenario says so: a compensation that was forgotten is found.
    fn may_stand(&self, step: &str) -> bool {
        let _ = step;
        false
    }

    /// Checks what only the scenario knows.
    ///
    /// # Errors
    ///
    /// What is wrong.
    fn check(&self, app: &Self::App, ending: &Ending) -> std::result::Result<(), String> {
        let _ = (app, ending);
        Ok(())
    }
}

/// Where the sagas of a run are kept: [`InMemory`], or a closure.
pub trait Stores {
    /// Makes an empty store on this clock, for one run.
    ///
    /// Its calls have to be over when they are asked for the first time, as those of the store in memory are; a
    /// [`Blocking`] makes such a store of any other.
    ///
    /// # Errors
    ///
    /// Whatever is in the way; the run counts as violated then.
    fn fresh(&self, clock: &ManualClock) -> Result<Arc<dyn SagaStore>>;
}

impl<F: Fn(&ManualClock) -> Result<Arc<dyn SagaStore>>> Stores for F {
    fn fresh(&self, clock: &ManualClock) -> Result<Arc<dyn SagaStore>> {
        self(clock)
    }
}

/// Keeps the sagas of each run in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct InMemory;

impl Stores for InMemory {
    fn fresh(&self, clock: &ManualClock) -> Result<Arc<dyn SagaStore>> {
        Ok(Arc::new(MemoryStore::with_clock(Arc::new(clock.clone()))))
    }
}

/// Runs the scenario once, as the schedule has it.
pub fn replay<S: Scenario>(scenario: &S, schedule: &Schedule) -> Report {
    let mut report = Report::default();
    report.add(&run::run(scenario, &InMemory, schedule), schedule, scenario);
    report
}

/// Runs the scenario calmly, and then with every fault at every point.
pub fn every_fault<S: Scenario>(scenario: &S) -> Report {
    explore(scenario, 1, 1)
}

/// Runs the scenario calmly, with every fault at every point, and with every second fault at every point of what follows.
pub fn every_pair<S: Scenario>(scenario: &S) -> Report {
    explore(scenario, 2, 1)
}

/// Runs the scenario as [`every_pair`] does, but of the pairs only every `nth` one.
pub fn every_nth_pair<S: Scenario>(scenario: &S, nth: std::num::NonZeroUsize) -> Report {
    explore(scenario, 2, nth.get())
}

/// Runs the scenario with faults drawn from each seed, and with answers that come twice and out of order.
///
/// A violation names its seed; `seeds(&scenario, seed..seed + 1)` runs it again.
pub fn seeds<S: Scenario>(scenario: &S, seeds: Range<u64>) -> Report {
    seeds_on(scenario, &InMemory, seeds)
}

/// Runs the scenario as [`seeds`] does, on other stores; reports of the same seeds have the same [digest](Report::digest),
/// whatever the sagas were kept in.
pub fn seeds_on<S: Scenario>(scenario: &S, stores: &impl Stores, seeds: Range<u64>) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        if report.violated >= report::ENOUGH {
            break;
        }
        // From about one fault a run to a rather bad day.
        let per_mille = [15, 40, 80, 150].get((seed % 4) as usize).copied().unwrap_or(40);
        let schedule = Schedule::seeded(seed, per_mille);
        let schedule =
            if seed % 8 == 5 && can_be_cancelled(scenario) { schedule.cancelled() } else { schedule };
        report.add(&run::run(scenario, stores, &schedule), &schedule, scenario);
    }
    report
}

/// Tells whether an operator may still undo what has completed.
fn can_be_cancelled<S: Scenario>(scenario: &S) -> bool {
    !scenario.forgets() && scenario.definition().is_ok_and(|definition| definition.plan().pivot.is_none())
}

/// What happens in a run as a whole, beside faults at its points.
fn whole_runs<S: Scenario>(scenario: &S) -> impl Iterator<Item = Schedule> {
    let plans = scenario.definition().map(|definition| run::plans(&definition.inner)).unwrap_or_default();
    let unknown = plans.into_iter().flat_map(|plan| plan.units).filter_map(|unit| {
        let is_tried_out = unit.kind == UnitKind::Step && unit.policy.attempts().is_some();
        (is_tried_out && unit.undo.is_some()).then(|| Schedule::calm().without_word_of(&*unit.name))
    });
    unknown.chain(can_be_cancelled(scenario).then(|| Schedule::calm().cancelled()))
}

fn explore<S: Scenario>(scenario: &S, depth: usize, nth: usize) -> Report {
    let mut pairs = 0;
    let mut report = Report::default();
    let mut next: Vec<_> = whole_runs(scenario).map(|schedule| (schedule, 0)).collect();
    next.push((Schedule::calm(), 0));
    while let Some((schedule, from)) = next.pop() {
        if report.violated >= report::ENOUGH {
            break;
        }
        let run = run::run(scenario, &InMemory, &schedule);
        report.add(&run, &schedule, scenario);
        if schedule.count() < depth {
            for (at, point) in run.points.iter().enumerate().skip(from) {
                for fault in point.faults() {
                    if schedule.count() > 0 {
                        pairs += 1;
                        if pairs % nth != 0 {
                            continue;
                        }
                    }
                    next.push((schedule.clone().with(at, *fault), at + 1));
                }
            }
        }
    }
    report
}

impl Report {
    /// Passes if something was reached, everything that can be was, and nothing was violated.
    ///
    /// # Errors
    ///
    /// `Other`, with the first violations and their schedules, or with what was not reached.
    pub fn verify(&self) -> Result<()> {
        match self.complaint() {
            Some(complaint) => Err(Error::new(crate::ErrorKind::Other, complaint)),
            None => Ok(()),
        }
    }
}
