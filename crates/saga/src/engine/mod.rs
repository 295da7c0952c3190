//! The runtime around the state machine: it records, calls steps, keeps leases, and finds what is due.

mod call;
mod child;
mod commit;
mod decide;
mod deliver;
mod drive;
mod handle;
mod job;
mod lease;
mod measure;
mod operator;
mod options;
mod signal;
mod stored;
mod transaction;
mod view;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use pumasi_core::time::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use crate::definition::{Definition, Plan, UnitKind, erased::Data};
use crate::definition::{Untyped, erased};
use crate::machine::State;
use crate::store::{Known, SagaId, SagaStore, WorkerId};
use crate::{Error, ErrorKind, Result};

pub(crate) use child::{Child, Stand, Wanted, place};
use commit::Committer;
pub use handle::SagaHandle;
use lease::Leased;
pub use operator::Decision;
pub use options::EngineOptions;
pub use signal::{Receipt, Signal};
pub use view::{HistoryEntry, Snapshot, StepView, Unknown, View};

/// Drives sagas: those that are asked for, and, while it [runs](Self::run), whatever is due in its store.
///
/// One engine is one worker: it holds the sagas that it drives under one lease. Any number of engines, in any number of
/// processes, share a store; what a dead one held goes to the others when its lease is over.
///
/// Clones are the same engine.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_saga::store::{MemoryStore, Status};
/// use pumasi_saga::{Cx, Engine, Outcome, Saga, Step};
///
/// struct Greet;
/// impl Step<()> for Greet {
///     type In = (u64,);
///     type Out = String;
///     type Error = &'static str;
///
///     async fn run(&self, _: &Cx<()>, (member,): (u64,)) -> Outcome<String, &'static str> {
///         Outcome::Done(format!("안녕하세요, {member}"))
///     }
/// }
///
/// let engine = Engine::new(MemoryStore::new(), ());
/// let greeting = engine.register(Saga::<u64, ()>::new("greeting", 1).step(Greet).build()?)?;
/// let view = greeting.start(&7).await?;
/// assert_eq!(view.status, Status::Completed);
/// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
/// ```
pub struct Engine<App> {
    pub(crate) core: Arc<Core<App>>,
}

/// What the clones of an engine share.
pub(crate) struct Core<App> {
    pub(crate) store: Arc<dyn SagaStore>,
    pub(crate) app: Arc<App>,
    pub(crate) options: EngineOptions,
    pub(crate) worker: WorkerId,
    definitions: RwLock<Definitions<App>>,
    /// The sagas that are being driven here.
    active: Mutex<HashMap<SagaId, Arc<Driving>>>,
    permits: Arc<Semaphore>,
    /// When everything that has ended was looked at for what was left with it.
    looked: Mutex<Option<Timestamp>>,
    /// Calls are turned away, because a worker stops.
    stopping: AtomicBool,
    pub(crate) leased: Leased,
    committer: Committer,
}

/// A saga that is being driven here, for those who have something to do with that.
#[derive(Default)]
struct Driving {
    /// It is over.
    ended: Notify,
    /// Something was left for it.
    told: Notify,
    /// How it ended, if it was forgotten with that.
    forgotten: OnceLock<View>,
    /// Stops it, where it has a task of its own.
    stop: OnceLock<AbortHandle>,
}

impl Driving {
    fn forget(&self, view: View) {
        let _ = self.forgotten.set(view);
    }

    fn forgotten(&self) -> Option<View> {
        self.forgotten.get().cloned()
    }
}

struct Definitions<App> {
    by_name: HashMap<Arc<str>, BTreeMap<u32, Arc<Untyped<App>>>>,
    known: Arc<[Known]>,
}

impl<App: Send + Sync + 'static> Engine<App> {
    /// Makes an engine over a store, with [default options](EngineOptions); `app` is handed to the steps.
    pub fn new(store: impl SagaStore + 'static, app: App) -> Self {
        Self::with_options(store, app, EngineOptions::new())
    }

    /// Makes an engine with options.
    pub fn with_options(store: impl SagaStore + 'static, app: App, options: EngineOptions) -> Self {
        Self::shared(Arc::new(store), Arc::new(app), options)
    }

    /// Makes an engine of parts that others hold, too.
    pub(crate) fn shared(store: Arc<dyn SagaStore>, app: Arc<App>, options: EngineOptions) -> Self {
        let worker = WorkerId::random();
        Self {
            core: Arc::new(Core {
                committer: Committer::new(&store, &options),
                leased: Leased::new(),
                permits: Arc::new(Semaphore::new(options.in_flight.get().min(Semaphore::MAX_PERMITS))),
                stopping: AtomicBool::new(false),
                store,
                app,
                options,
                worker,
                definitions: RwLock::new(Definitions { by_name: HashMap::new(), known: Arc::from([]) }),
                active: Mutex::default(),
                looked: Mutex::default(),
            }),
        }
    }

    /// Makes a definition known, and returns what its sagas are started and answered by.
    ///
    /// Register every version whose sagas may be in flight. New sagas follow the highest version that is known; new children that which
    /// their parent was built with, which is registered with it.
    ///
    /// # Errors
    ///
    /// `Conflict` if another definition of this name and version is registered; `Unsupported`, with the step's name, if a step
    /// wants a transaction and the store has none; `InvalidInput` if a step is a child, and the engine
    /// [forgets](EngineOptions::with_retention) at once what has ended. Nothing is registered then, its children neither.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is registered is no longer the caller's to change"
    )]
    pub fn register<K>(&self, definition: Definition<K, App>) -> Result<SagaHandle<K, App>> {
        let name = Arc::clone(&definition.plan().saga);
        let mut all = Vec::new();
        with_children(&definition.inner, &mut all);
        let mut definitions = self.core.definitions.write().unwrap_or_else(PoisonError::into_inner);
        for (at, one) in all.iter().enumerate() {
            self.check(&one.plan)?;
            let same = |known: &&Arc<Untyped<App>>| {
                known.plan.saga == one.plan.saga && known.plan.version == one.plan.version
            };
            let registered = definitions.by_name.get(&one.plan.saga);
            let registered = registered.and_then(|versions| versions.get(&one.plan.version));
            let known = registered.or_else(|| all.iter().take(at).find(same));
            if known.is_some_and(|known| !Arc::ptr_eq(known, one)) {
                return Err(another(&one.plan));
            }
        }
        for one in &all {
            let versions = definitions.by_name.entry(Arc::clone(&one.plan.saga)).or_default();
            versions.insert(one.plan.version, Arc::clone(one));
        }
        definitions.known = definitions
            .by_name
            .iter()
            .map(|(saga, versions)| Known {
                saga: Arc::clone(saga),
                versions: versions.keys().copied().collect(),
            })
            .collect();
        drop(definitions);
        for one in &all {
            Core::<App>::measure_definition(&one.plan);
        }
        Ok(SagaHandle::new(self.clone(), name))
    }

    /// Refuses what this engine cannot drive.
    fn check(&self, plan: &Plan) -> Result<()> {
        let transaction = plan.units.iter().find(|unit| unit.kind == UnitKind::Transaction);
        if let Some(unit) = transaction
            && !self.core.store.capabilities().transactions
        {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "step {} of saga {} wants a transaction, and the store has none",
                    unit.name, plan.saga
                ),
            ));
        }
        let child = plan.units.iter().find(|unit| unit.kind == UnitKind::Child);
        if let Some(unit) = child
            && self.core.options.retention.is_some_and(|retention| retention.is_zero())
        {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "step {} of saga {} is a child that has to be kept while its parent goes on, and this engine forgets at once",
                    unit.name, plan.saga
                ),
            ));
        }
        Ok(())
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn SagaStore> {
        &self.core.store
    }

    /// Returns who this engine is in the store.
    pub fn worker(&self) -> WorkerId {
        self.core.worker
    }
}

/// Lists a definition after its children, and theirs, each once.
fn with_children<App>(definition: &Arc<Untyped<App>>, all: &mut Vec<Arc<Untyped<App>>>) {
    for child in &definition.children {
        with_children(child, all);
    }
    if !all.iter().any(|known| Arc::ptr_eq(known, definition)) {
        all.push(Arc::clone(definition));
    }
}

fn another(plan: &Plan) -> Error {
    let message = format!("another version {} of saga {} is registered", plan.version, plan.saga);
    Error::new(ErrorKind::Conflict, message)
}

impl<App> Core<App> {
    fn definition(&self, saga: &str, version: u32) -> Option<Arc<Untyped<App>>> {
        let definitions = self.definitions.read().unwrap_or_else(PoisonError::into_inner);
        definitions.by_name.get(saga)?.get(&version).cloned()
    }

    /// Returns the version that new sagas follow.
    fn newest(&self, saga: &str) -> Result<Arc<Untyped<App>>> {
        let definitions = self.definitions.read().unwrap_or_else(PoisonError::into_inner);
        let newest = definitions.by_name.get(saga).and_then(|versions| versions.values().next_back());
        newest.cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("no saga called {saga} is registered with this engine"))
        })
    }

    fn known(&self) -> Arc<[Known]> {
        Arc::clone(&self.definitions.read().unwrap_or_else(PoisonError::into_inner).known)
    }

    fn active(&self) -> MutexGuard<'_, HashMap<SagaId, Arc<Driving>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a saga for one driver in this engine; what is returned gives it back when it is dropped.
    fn begin(self: &Arc<Self>, id: SagaId) -> std::result::Result<Active<App>, Arc<Driving>> {
        let mut active = self.active();
        if let Some(other) = active.get(&id) {
            return Err(Arc::clone(other));
        }
        let driving = Arc::new(Driving::default());
        active.insert(id, Arc::clone(&driving));
        drop(active);
        Ok(Active { core: Arc::clone(self), id, driving })
    }

    /// Waits until nothing is driven here, by a worker or for a call.
    async fn rest(&self) {
        loop {
            let Some((id, other)) = self.active().iter().next().map(|(id, other)| (*id, Arc::clone(other)))
            else {
                return;
            };
            let ended = other.ended.notified();
            if self.active().get(&id).is_some_and(|now| Arc::ptr_eq(now, &other)) {
                ended.await;
            }
        }
    }

    /// Stops what is driven here for calls.
    fn stop_calls(&self) {
        self.active().values().filter_map(|driving| driving.stop.get()).for_each(AbortHandle::abort);
    }

    /// Tells whoever drives the saga here that something was left for it.
    fn tell_driver(&self, id: SagaId) {
        if let Some(driving) = self.active().get(&id) {
            driving.told.notify_one();
        }
    }

    /// Returns the store's time, as well as it can be told from here.
    pub(crate) fn now(&self) -> Timestamp {
        self.leased.now(&*self.options.clock)
    }
}

/// A saga that is being driven here.
struct Active<App> {
    core: Arc<Core<App>>,
    id: SagaId,
    driving: Arc<Driving>,
}

impl<App> Drop for Active<App> {
    fn drop(&mut self) {
        self.core.active().remove(&self.id);
        self.driving.ended.notify_waiters();
    }
}

/// Checks that this code can drive what a record says.
fn check_definition<App>(definition: &Untyped<App>, state: &State) -> Result<()> {
    let plan: &Plan = &definition.plan;
    if state.units.len() != plan.units.len() || state.fingerprint != definition.fingerprint {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("saga {} changed its definition without changing version {}", plan.saga, plan.version),
        ));
    }
    Ok(())
}

fn data<'a>(key: &'a str, state: &'a State) -> Data<'a> {
    erased::Data { key, state }
}

impl<App> Clone for Engine<App> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<App> fmt::Debug for Engine<App> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("worker", &self.core.worker)
            .field("store", &self.core.store)
            .field("active", &self.core.active().len())
            .finish_non_exhaustive()
    }
}
