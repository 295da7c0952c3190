//! One run: processes that die and stand still, time that passes, and one saga in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pumasi_core::event::EventId;
use pumasi_core::resilience::Random;
use pumasi_core::time::{Clock, ManualClock};

use super::fault::{Called, Fault, Injector, Point, Schedule};
use super::store::FaultyStore;
use super::{Bank, Scenario, Stores, check, code};
use crate::definition::{Definition, Plan, UnitKind};
use crate::engine::{Engine, EngineOptions, SagaHandle, Signal};
use crate::machine::record;
use crate::store::{SagaId, SagaStore, Status};
use crate::{Error, ErrorKind, Result};

const LEASE: Duration = Duration::from_secs(30);
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
}

/// What a run came to.
pub(super) struct Run {
    pub(super) points: Vec<Point>,
    pub(super) struck: Vec<(Point, Fault)>,
    pub(super) calls: Vec<Called>,
    pub(super) ending: Option<Ending>,
    pub(super) wrong: Option<String>,
}

impl Run {
    fn impossible(wrong: String) -> Self {
        let (points, struck, calls) = (Vec::new(), Vec::new(), Vec::new());
        Self { points, struck, calls, ending: None, wrong: Some(wrong) }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

enum Seen<T> {
    Ready(T),
    Crashed,
    Frozen,
    Hung,
}

struct World<'a, S: Scenario> {
    scenario: &'a S,
    clock: ManualClock,
    store: Arc<dyn SagaStore>,
    injector: Injector,
    app: Arc<S::App>,
    zombies: Vec<Task>,
    processes: u64,
}

struct Process<K, App> {
    engine: Engine<App>,
    handle: SagaHandle<K, App>,
}

pub(super) fn run<S: Scenario>(scenario: &S, stores: &impl Stores, schedule: &Schedule) -> Run {
    let injector = Injector::new(schedule);
    let clock = ManualClock::new();
    let bank = Bank::new();
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
        zombies: Vec::new(),
        processes: 0,
    };
    let ended = world.play();
    let (ending, wrong) = match ended {
        Ok((status, answered, plan)) => {
            let events = world.events();
            let end = Ending { status, ledger: bank.ledger(), answered, events };
            let checked = check::check(&plan, &end, &bank, &injector.calls());
            let wrong = checked.and_then(|()| scenario.check(&world.app, &end)).err();
            (Some(end), wrong)
        }
        Err(what) => (None, Some(what)),
    };
    Run { points: injector.points(), struck: injector.struck(), calls: injector.calls(), ending, wrong }
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
            .keeping_ended()
            .inline();
        let engine = Engine::shared(Arc::new(store), Arc::clone(&self.app), options);
        let definition = code::own(self.scenario.definition()?.inner)?;
        let definition = Definition::from_untyped(Arc::new(code::wrap(definition, &self.injector)));
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

    fn play(&mut self) -> std::result::Result<(Status, BTreeSet<String>, Plan), String> {
        let told = |error: Error| format!("{error:?}");
        let mut process = self.boot().map_err(told)?;
        let definition = self.scenario.definition().map_err(told)?;
        let plan = definition.plan().clone();
        let key = Arc::new(self.scenario.key());
        let id = process.handle.id(&key).map_err(told)?;
        for answer in self.script() {
            process = self.answer(process, &key, answer.as_ref())?;
        }
        process = self.settle(process, id)?;
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
        self.settle(process, id)?;
        let status = self.status(id).ok_or("the saga is gone")?;
        let answered = self.answered(id, &plan);
        Ok((status, answered, plan))
    }

    /// What is answered: in a random run perhaps twice, and perhaps not in order.
    fn script(&self) -> Vec<Option<Signal>> {
        let mut script: Vec<_> = self.scenario.answers().into_iter().map(Some).collect();
        if script.is_empty() {
            script.push(None);
        }
        if self.injector.is_random() {
            for _ in 0..self.injector.draw(3) {
                let twice = script.get(self.injector.draw(script.len())).cloned();
                script.insert(self.injector.draw(script.len() + 1), twice.flatten());
            }
            for _ in 0..self.injector.draw(3) {
                let (one, other) = (self.injector.draw(script.len()), self.injector.draw(script.len()));
                script.swap(one, other);
            }
        }
        script
    }

    /// Answers until that is acknowledged, as a client does who does not know whether it was heard.
    fn answer(
        &mut self,
        mut process: Process<S::Key, S::App>,
        key: &Arc<S::Key>,
        answer: Option<&Signal>,
    ) -> std::result::Result<Process<S::Key, S::App>, String> {
        // As a webhook does, or as an endpoint.
        let leaves = self.injector.draw(3) == 1;
        let id = process.handle.id(key).map_err(|error| format!("{error:?}"))?;
        for _ in 0..TURNS {
            let (handle, asked, answer) = (process.handle.clone(), Arc::clone(key), answer.cloned());
            let mut call = Box::pin(async move {
                let Some(answer) = answer else { return handle.start(&asked).await.map(Some) };
                if leaves {
                    match handle.signal(&asked, answer.clone()).await {
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        left => return left.map(|_| None),
                    }
                }
                handle.advance(&asked, answer).await.map(Some)
            });
            match self.watch(&mut call) {
                Seen::Ready(Ok(view)) => {
                    let stored = self.status(id);
                    return match view {
                        Some(view) if Some(view.status) != stored => {
                            Err(format!("{} was acknowledged, and {stored:?} is stored", view.status))
                        }
                        _ => Ok(process),
                    };
                }
                Seen::Ready(Err(error)) if is_passing(&error) => self.clock.advance(Duration::from_secs(1)),
                Seen::Ready(Err(error)) => return Err(format!("an answer was refused: {error:?}")),
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
                Seen::Hung => return Err("an answer is not answered".to_owned()),
            }
        }
        Err("an answer is never acknowledged".to_owned())
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
                Seen::Ready(Ok(_)) => {}
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

    fn next_due(&self) -> Option<pumasi_core::time::Timestamp> {
        now(self.store.next_due()).and_then(Result::ok).flatten()
    }

    /// Takes everything out of the outbox.
    fn events(&self) -> Vec<EventId> {
        let outbox = self.store.outbox();
        let claim = now(outbox.claim(NonZeroUsize::MIN.saturating_add(99), LEASE)).and_then(Result::ok);
        let claimed = claim.map(|claim| claim.events).unwrap_or_default();
        claimed.into_iter().filter_map(|claimed| claimed.event.ok().map(|event| event.id)).collect()
    }

    fn answered(&self, id: SagaId, plan: &Plan) -> BTreeSet<String> {
        let stored = now(self.store.load(id)).and_then(Result::ok).flatten();
        let log = stored.and_then(|stored| record::read(&stored.log, stored.version).ok());
        let Some(log) = log else { return BTreeSet::new() };
        let waits = plan.units.iter().enumerate().filter(|(_, unit)| unit.kind == UnitKind::Wait);
        let answered = waits.filter(|(unit, _)| log.state.output(*unit).is_some());
        answered.map(|(_, unit)| unit.name.to_string()).collect()
    }

    fn status(&self, id: SagaId) -> Option<Status> {
        let stored = now(self.store.load(id)).and_then(Result::ok).flatten()?;
        Some(stored.head.status)
    }
}

/// Answers what is ready at once.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_util::FutureExt::now_or_never(future)
}

fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Storage | ErrorKind::Timeout | ErrorKind::Overloaded
    )
}
