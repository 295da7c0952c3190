//! One run: processes that die and stand still, time that passes, and one saga in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pumasi_core::event::EventId;
use pumasi_core::resilience::Random;
use pumasi_core::time::{Clock, ManualClock};

use super::fault::{Arrival, Called, Fault, Injector, Point, Schedule};
use super::script::{Script, Sent};
use super::store::FaultyStore;
use super::{Bank, Scenario, Stores, check, code};
use crate::definition::{Definition, Plan, UnitKind, Untyped};
use crate::engine::{Decision, Engine, EngineOptions, SagaHandle, View};
use crate::machine::Audit;
use crate::store::{SagaId, SagaStore, Status};
use crate::{Error, ErrorKind, Result};

pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How often a future is asked in vain before it counts as hung.
const PATIENCE: usize = 20_000;
/// How many turns a run takes at most.
const TURNS: usize = 500;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// Where the saga stands.
    pub status: Status,
    /// What stands of each step.
    pub ledger: BTreeMap<String, i64>,
    /// The waits that got their answers, and were not asked anew.
    pub answered: BTreeSet<String>,
    /// The ids of the events that its steps emitted, in the order in which a relay gets them.
    pub events: Vec<EventId>,
    /// What operators did; nothing of a saga that was forgotten.
    pub audits: Vec<Audit>,
    /// The steps whose compensations are exhausted, which an operator has to see to, or were passed over by one.
    pub not_undone: BTreeSet<String>,
    /// How its children stand, by the names of their sagas.
    pub children: BTreeMap<String, Status>,
}

/// What a run came to.
pub(super) struct Run {
    pub(super) points: Vec<Point>,
    pub(super) struck: Vec<(Point, Fault)>,
    pub(super) calls: Vec<Called>,
    pub(super) arrivals: Vec<(String, Arrival)>,
    pub(super) ending: Option<Ending>,
    pub(super) wrong: Option<String>,
    pub(super) decisions: u64,
    pub(super) purged: bool,
    pub(super) forgotten: bool,
}

impl Run {
    fn impossible(wrong: String) -> Self {
        Self {
            points: Vec::new(),
            struck: Vec::new(),
            calls: Vec::new(),
            arrivals: Vec::new(),
            ending: None,
            wrong: Some(wrong),
            decisions: 0,
            purged: false,
            forgotten: false,
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;
/// A call, and what it says of where the saga stands.
type Asked = Pin<Box<dyn Future<Output = Result<Option<View>>>>>;

enum Seen<T> {
    Ready(T),
    Crashed,
    Frozen,
    Hung,
}

pub(super) struct World<'a, S: Scenario> {
    scenario: &'a S,
    clock: ManualClock,
    pub(super) store: Arc<dyn SagaStore>,
    pub(super) injector: Injector,
    app: Arc<S::App>,
    bank: Bank,
    zombies: Vec<Task>,
    processes: u64,
    /// Of the saga, and of its children and theirs.
    pub(super) plans: Vec<Plan>,
    decisions: usize,
}

struct Process<K, App> {
    engine: Engine<App>,
    handle: SagaHandle<K, App>,
}

/// Returns the plan of a saga, and those of its children and of theirs.
pub(super) fn plans<App>(definition: &Untyped<App>) -> Vec<Plan> {
    let mut plans = vec![definition.plan.clone()];
    for child in &definition.children {
        plans.extend(self::plans(child));
    }
    plans
}

/// Refuses what could not be told from each other.
fn check_names(plans: &[Plan]) -> std::result::Result<(), String> {
    let mut names = BTreeSet::new();
    let mut units = plans.iter().flat_map(|plan| &plan.units);
    match units.find(|unit| !names.insert(&unit.name)) {
        Some(unit) => Err(format!("a saga and its children have more than one step called {}", unit.name)),
        None => Ok(()),
    }
}

pub(super) fn run<S: Scenario>(scenario: &S, stores: &impl Stores, schedule: &Schedule) -> Run {
    let injector = Injector::new(schedule);
    let clock = ManualClock::new();
    let bank = Bank::new();
    let plans = match scenario.definition() {
        Ok(definition) => plans(&definition.inner),
        Err(error) => return Run::impossible(format!("there is no definition: {error:?}")),
    };
    if let Err(wrong) = check_names(&plans) {
        return Run::impossible(wrong);
    }
    let store = match stores.fresh(&clock) {
        Ok(store) => store,
        Err(error) => return Run::impossible(format!("there is no store: {error:?}")),
    };
    let mut world = World {
        scenario,
        store,
        clock,
        injector: injector.clone(),
        app: Arc::new(scenario.app(&bank)),
        bank: bank.clone(),
        zombies: Vec::new(),
        processes: 0,
        plans,
        decisions: 0,
    };
    let ended = world.play();
    let (mut purged, mut forgotten) = (false, false);
    let (ending, wrong) = match ended {
        Ok((id, end)) => {
            let may_stand = |step: &str| scenario.may_stand(step);
            let checked = check::check(&world.plans, &end, &bank, &injector.calls(), &may_stand);
            let checked = checked.and_then(|()| scenario.check(&world.app, &end));
            forgotten = injector.forgotten(id).is_some();
            let checked = checked.and_then(|()| world.clear_away(id, end.status)).map(|gone| purged = gone);
            (Some(end), checked.err())
        }
        Err(what) => (None, Some(what)),
    };
    Run {
        points: injector.points(),
        struck: injector.struck(),
        calls: injector.calls(),
        arrivals: injector.arrivals(),
        ending,
        wrong,
        decisions: world.decisions as u64,
        purged: purged && !forgotten,
        forgotten,
    }
}

impl<S: Scenario> World<'_, S> {
    fn boot(&mut self) -> Result<Process<S::Key, S::App>> {
        self.injector.next_process();
        self.processes += 1;
        let store = FaultyStore::new(self.store.clone(), &self.injector);
        let options = EngineOptions::new()
            .with_clock(Arc::new(self.clock.clone()))
            .with_random(Random::seeded(self.processes))
            .with_lease(LEASE)
            .with_patience(Duration::from_millis(100))
            .inline();
        let options = if self.scenario.forgets() {
            options.with_retention(Duration::ZERO)
        } else {
            options.keeping_ended()
        };
        let engine = Engine::shared(Arc::new(store), Arc::clone(&self.app), options);
        let definition = code::wrap(self.scenario.definition()?.inner, &self.injector)?;
        let definition = Definition::from_untyped(definition);
        let handle = engine.register(definition)?;
        Ok(Process { engine, handle })
    }

    /// Asks a future until it answers, or its process is dead or stands still; time passes while it waits.
    fn watch<T>(&self, future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> Seen<T> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                return Seen::Ready(answer);
            }
            if self.injector.is_crashed() {
                return Seen::Crashed;
            }
            if self.injector.is_frozen() {
                return Seen::Frozen;
            }
            self.clock.advance(Duration::from_millis(500));
        }
        Seen::Hung
    }

    fn play(&mut self) -> std::result::Result<(SagaId, Ending), String> {
        let told = |error: Error| format!("{error:?}");
        let mut process = self.boot().map_err(told)?;
        let key = Arc::new(self.scenario.key());
        let id = process.handle.id(&key).map_err(told)?;
        let first = self.plans.first().and_then(|plan| plan.units.first());
        let begins_with_wait = first.is_some_and(|unit| unit.kind == UnitKind::Wait);
        let Script { first, last } = Script::of(self.scenario.answers(), begins_with_wait, &self.injector);
        for sent in first {
            process = self.answer(process, &key, id, sent.as_ref())?;
            process = self.begin_anew(process, &key, id)?;
            process = self.operate(process, &key, false)?;
        }
        process = self.settle(process, id)?;
        process = self.operate(process, &key, true)?;
        for sent in last {
            process = self.answer(process, &key, id, Some(&sent))?;
            process = self.begin_anew(process, &key, id)?;
            process = self.settle(process, id)?;
            process = self.operate(process, &key, true)?;
        }
        if self.injector.cancels() && self.status(id) == Some(Status::Completed) {
            process = self.cancel(process, &key, id)?;
        }
        // What was put off happens now, and those who stood still go on.
        self.injector.thaw();
        self.injector.next_process();
        let late = self.injector.take_late();
        let zombies = std::mem::take(&mut self.zombies);
        for mut task in late.into_iter().map(|late| -> Task { late }).chain(zombies) {
            if matches!(self.watch(&mut task), Seen::Hung) {
                return Err("what stood still does not end".to_owned());
            }
        }
        process = self.settle(process, id)?;
        self.operate(process, &key, true)?;
        let status = self.status(id).ok_or("the saga is gone")?;
        let state = self.state(id);
        let audits = state.as_ref().map(|state| state.audits.clone()).unwrap_or_default();
        if audits.len() < self.decisions && !self.scenario.forgets() {
            let (made, known) = (self.decisions, audits.len());
            return Err(format!("{made} decisions were acknowledged, and {known} are recorded"));
        }
        let children = self.children();
        // A saga whose child needs an operator looks after it for ever.
        let stuck = children.values().any(|status| *status == Status::NeedsOperator);
        let status = if stuck && !status.is_final() { Status::NeedsOperator } else { status };
        if let (Some(plan), Some(state)) = (self.plans.first(), &state) {
            check::check_told(plan, state, &self.bank)?;
        }
        let answered = state.as_ref().map(|state| self.answered(state)).unwrap_or_default();
        let not_undone = state.map(|state| self.not_undone(&state)).unwrap_or_default();
        let ledger = self.bank.ledger();
        let events = self.events();
        Ok((id, Ending { status, ledger, answered, events, audits, not_undone, children }))
    }

    /// Lets an operator decide, as long as there is something to decide.
    fn operate(
        &mut self,
        mut process: Process<S::Key, S::App>,
        key: &Arc<S::Key>,
        rests: bool,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        let id = process.handle.id(key).map_err(|error| format!("{error:?}"))?;
        while let Some(Ok(snapshot)) = now(process.handle.snapshot(key)) {
            let Some(decision) = self.scenario.decide(&self.app, &snapshot, self.decisions) else { break };
            if self.decisions >= S::MAX_DECISIONS {
                return Err("an operator decides again and again".to_owned());
            }
            self.injector.find_out();
            let tried = std::cell::Cell::new(false);
            process = self.ask(process, id, |process| {
                let (handle, key, decision) = (process.handle.clone(), Arc::clone(key), decision.clone());
                let was_tried = tried.replace(true);
                Box::pin(async move {
                    match handle.decide(&key, decision).await {
                        // It may be the one before, whose answer was lost, that does not let it be made twice.
                        Err(error) if error.kind() == ErrorKind::Conflict && was_tried => Ok(None),
                        decided => decided.map(Some),
                    }
                })
            })?;
            self.decisions += 1;
            if rests {
                process = self.settle(process, id)?;
            }
        }
        Ok(process)
    }

    /// Has an operator cancel what has completed.
    fn cancel(
        &mut self,
        process: Process<S::Key, S::App>,
        key: &Arc<S::Key>,
        id: SagaId,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        let tried = std::cell::Cell::new(false);
        let process = self.ask(process, id, |process| {
            let (handle, key, was_tried) = (process.handle.clone(), Arc::clone(key), tried.replace(true));
            Box::pin(async move {
                match handle.decide(&key, Decision::cancel("saga_test", "all is undone")).await {
                    Err(error) if error.kind() == ErrorKind::Conflict && was_tried => Ok(None),
                    decided => decided.map(Some),
                }
            })
        })?;
        self.decisions += 1;
        let process = self.settle(process, id)?;
        self.operate(process, key, true)
    }

    /// Begins anew what was undone, while a signal is stored for it at which nobody has looked.
    fn begin_anew(
        &mut self,
        process: Process<S::Key, S::App>,
        key: &Arc<S::Key>,
        id: SagaId,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        let stored = self.load(id).filter(|stored| stored.head.status == Status::Compensated);
        if !self.scenario.begins_anew() || stored.is_none_or(|stored| stored.signals.is_empty()) {
            return Ok(process);
        }
        self.ask(process, id, |process| {
            let (handle, key) = (process.handle.clone(), Arc::clone(key));
            Box::pin(async move {
                match handle.restart_undone(&key).await {
                    // It was begun anew, and its answer was lost; or what is late is not handled yet.
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
                    begun => begun.map(Some),
                }
            })
        })
    }

    /// Answers until that is acknowledged, as a client does who does not know whether it was heard.
    fn answer(
        &mut self,
        process: Process<S::Key, S::App>,
        key: &Arc<S::Key>,
        id: SagaId,
        sent: Option<&Sent>,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        if let Some(sent) = sent {
            self.note_arrival(id, sent);
        }
        let answer = sent.map(|sent| &sent.signal);
        // As a webhook does, or as an endpoint; what comes after the end comes by the former.
        let leaves = if self.injector.is_random() {
            self.injector.draw(3) == 1
        } else {
            self.status(id).is_some_and(Status::is_final)
        };
        self.ask(process, id, |process| {
            let (handle, asked, answer) = (process.handle.clone(), Arc::clone(key), answer.cloned());
            Box::pin(async move {
                let Some(answer) = answer else { return handle.start(&asked).await.map(Some) };
                if leaves {
                    match handle.signal(&asked, answer.clone()).await {
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        left => return left.map(|_| None),
                    }
                }
                handle.advance(&asked, answer).await.map(Some)
            })
        })
    }

    /// Asks until that is acknowledged.
    fn ask(
        &mut self,
        mut process: Process<S::Key, S::App>,
        id: SagaId,
        ask: impl Fn(&Process<S::Key, S::App>) -> Asked,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        for _ in 0..TURNS {
            if self.injector.forgotten(id).is_some() {
                return Ok(process);
            }
            let mut call = ask(&process);
            match self.watch(&mut call) {
                Seen::Ready(Ok(view)) => {
                    let stored = self.status(id);
                    if let Some(view) = view
                        && Some(view.status) != stored
                    {
                        return Err(format!("{} was acknowledged, and {stored:?} is stored", view.status));
                    }
                    self.sweep(id)?;
                    return Ok(process);
                }
                Seen::Ready(Err(error)) if is_passing(&error) => self.clock.advance(Duration::from_secs(1)),
                Seen::Ready(Err(error)) => return Err(format!("a call was refused: {error:?}")),
                Seen::Crashed => {
                    drop(call);
                    process = self.boot().map_err(|error| format!("{error:?}"))?;
                }
                Seen::Frozen => {
                    self.zombies.push(Box::pin(async move {
                        let _ = call.await;
                    }));
                    process = self.boot().map_err(|error| format!("{error:?}"))?;
                    self.clock.advance(LEASE + Duration::from_secs(1));
                }
                Seen::Hung => return Err("a call is not answered".to_owned()),
            }
        }
        Err("a call is never acknowledged".to_owned())
    }

    /// Lets workers work until nothing is due any more.
    fn settle(
        &mut self,
        mut process: Process<S::Key, S::App>,
        id: SagaId,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        for _ in 0..TURNS {
            let engine = process.engine.clone();
            let mut working = Box::pin(async move { engine.run_due().await });
            match self.watch(&mut working) {
                Seen::Ready(Ok(0)) => {
                    let Some(due) = self.next_due() else { return Ok(process) };
                    let pause = due.saturating_since(self.clock.now()) + Duration::from_micros(1);
                    self.clock.advance(pause);
                }
                Seen::Ready(Ok(_)) => {
                    self.sweep(id)?;
                    if self.children().values().any(|status| *status == Status::NeedsOperator) {
                        return Ok(process);
                    }
                }
                Seen::Ready(Err(error)) if is_passing(&error) => {
                    // Perhaps something was claimed; only the end of the lease tells.
                    self.clock.advance(LEASE + Duration::from_secs(1));
                }
                Seen::Ready(Err(error)) => return Err(format!("a worker ended: {error:?}")),
                Seen::Crashed => {
                    drop(working);
                    process = self.boot().map_err(|error| format!("{error:?}"))?;
                }
                Seen::Frozen => {
                    self.zombies.push(Box::pin(async move {
                        let _ = working.await;
                    }));
                    process = self.boot().map_err(|error| format!("{error:?}"))?;
                    self.clock.advance(LEASE + Duration::from_secs(1));
                }
                Seen::Hung => return Err("a worker hangs".to_owned()),
            }
        }
        Err(format!("the saga never comes to rest: {:?}", self.status(id)))
    }
}

/// Answers what is ready at once.
pub(super) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::FutureExt::now_or_never(future)
}

fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Storage | ErrorKind::Timeout | ErrorKind::Overloaded
    )
}
