//! Faults, the points at which they strike, and the schedule that says which strikes where.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::future::BoxFuture;

use crate::machine::DEADLINE;
use crate::store::{Head, SagaId, Status};

/// Tells the seed of the signals' sender from that of the faults.
const SENDER: u64 = 0x5349_474e_414c_5321;
/// How many of 1,000 signals are held back in a random run.
const HELD_BACK: u32 = 60;

/// A point at which a fault can strike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Point {
    /// A commit.
    Commit,
    /// A claim of what is due.
    Claim,
    /// A signal being delivered to the store.
    Deliver,
    /// A transaction being begun.
    Begin,
    /// A step of this name being made.
    Run(String),
    /// A step of this name being undone.
    Undo(String),
    /// A late signal for the wait of this name being handled.
    Late(String),
    /// A signal for the wait of this name being sent.
    Send(String),
}

impl Point {
    /// Tells which faults can strike here.
    pub fn faults(&self) -> &'static [Fault] {
        match self {
            Self::Commit => &[
                Fault::CrashBefore,
                Fault::CrashAfter,
                Fault::ErrorBefore,
                Fault::ErrorAfter,
                Fault::FreezeBefore,
                Fault::FreezeAfter,
            ],
            Self::Claim | Self::Deliver | Self::Begin => {
                &[Fault::CrashBefore, Fault::CrashAfter, Fault::ErrorBefore, Fault::ErrorAfter]
            }
            Self::Run(_) => &[
                Fault::Fail,
                Fault::UnknownBefore,
                Fault::UnknownAfter,
                Fault::Late,
                Fault::CrashBefore,
                Fault::CrashAfter,
                Fault::FreezeBefore,
                Fault::FreezeAfter,
                Fault::Twice,
                Fault::Panic,
                Fault::Hang,
                Fault::HangAfter,
            ],
            Self::Undo(_) | Self::Late(_) => &[
                Fault::Fail,
                Fault::UnknownBefore,
                Fault::UnknownAfter,
                Fault::CrashBefore,
                Fault::CrashAfter,
                Fault::FreezeBefore,
                Fault::FreezeAfter,
                Fault::Twice,
                Fault::Panic,
                Fault::Hang,
            ],
            Self::Send(_) => &[Fault::Early, Fault::Twice, Fault::Late],
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit => f.write_str("commit"),
            Self::Claim => f.write_str("claim"),
            Self::Deliver => f.write_str("deliver"),
            Self::Begin => f.write_str("begin"),
            Self::Run(step) => write!(f, "run {step}"),
            Self::Undo(step) => write!(f, "undo {step}"),
            Self::Late(wait) => write!(f, "late {wait}"),
            Self::Send(wait) => write!(f, "send {wait}"),
        }
    }
}

/// What strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The step says that it failed; nothing happened. A compensation says so once.
    Fail,
    /// Nobody knows what happened, and nothing did.
    UnknownBefore,
    /// Nobody knows what happened, and it did.
    UnknownAfter,
    /// Nobody knows what happened; it happens after everything else. A signal is sent when nothing else happens any more, and its
    /// deadline has passed if it has one.
    Late,
    /// The process dies before it happens.
    CrashBefore,
    /// The process dies after it happened.
    CrashAfter,
    /// The store says that it failed, and stored nothing.
    ErrorBefore,
    /// The store says that it failed, and stored it.
    ErrorAfter,
    /// The process stops before it happens, for longer than its lease, and goes on when another has finished the work.
    FreezeBefore,
    /// The process stops after it happened, for longer than its lease, and goes on when another has finished the work.
    FreezeAfter,
    /// It is asked for, or sent, twice.
    Twice,
    /// It is sent before all other signals.
    Early,
    /// The code panics before it happens.
    Panic,
    /// The call never returns, and nothing happens.
    Hang,
    /// It happens, and the call never returns.
    HangAfter,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "fail",
            Self::UnknownBefore => "unknown-before",
            Self::UnknownAfter => "unknown-after",
            Self::Late => "late-effect",
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::ErrorBefore => "error-before",
            Self::ErrorAfter => "error-after",
            Self::FreezeBefore => "freeze-before",
            Self::FreezeAfter => "freeze-after",
            Self::Twice => "twice",
            Self::Early => "early",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::HangAfter => "hang-after",
        })
    }
}

/// Which fault strikes at which point, counted from 0 in the order in which a run comes to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    faults: BTreeMap<usize, Fault>,
    /// Chance by chance: the seed, and how many of 1,000 points are struck.
    random: Option<(u64, u32)>,
    /// The step of which nobody ever comes to know that it was done.
    unknowable: Option<String>,
    /// An operator cancels what has completed.
    cancelled: bool,
}

impl Schedule {
    /// Nothing strikes.
    pub fn calm() -> Self {
        Self::default()
    }

    /// Adds a fault.
    #[must_use]
    pub fn with(mut self, point: usize, fault: Fault) -> Self {
        self.faults.insert(point, fault);
        self
    }

    /// Lets nobody know of a step that it was done, however often it is tried, unless an operator decides: it is undone for all that.
    #[must_use]
    pub fn without_word_of(mut self, step: impl Into<String>) -> Self {
        self.unknowable = Some(step.into());
        self
    }

    /// Has an operator cancel the saga after it has completed, as may be where it has no pivot.
    #[must_use]
    pub fn cancelled(mut self) -> Self {
        self.cancelled = true;
        self
    }

    pub(super) fn count(&self) -> usize {
        self.faults.len() + usize::from(self.unknowable.is_some()) + usize::from(self.cancelled)
    }

    /// Draws the faults from a seed: about `per_mille` of 1,000 points are struck.
    pub fn seeded(seed: u64, per_mille: u32) -> Self {
        Self { random: Some((seed, per_mille)), ..Self::default() }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.random.map(|(seed, per_mille)| format!("seed {seed} at {per_mille}/1000")));
        parts.extend(self.unknowable.iter().map(|step| format!("without word of {step}")));
        parts.extend(self.faults.iter().map(|(point, fault)| format!("{fault} at point {point}")));
        parts.extend(self.cancelled.then(|| "cancelled".to_owned()));
        if parts.is_empty() { f.write_str("calm") } else { f.write_str(&parts.join(", ")) }
    }
}

/// How a signal came to its wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Arrival {
    /// While the wait was open.
    InTime,
    /// Before the wait was open.
    Early,
    /// A second time.
    Twice,
    /// Not before the wait's deadline.
    Missed,
    /// After the saga had turned back, or had ended.
    Late,
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InTime => "in time",
            Self::Early => "early",
            Self::Twice => "twice",
            Self::Missed => "deadline passed",
            Self::Late => "late",
        })
    }
}

/// What a call of the user's code came to; that it begins is noted as not done, too, and so, without a key, is that it was recorded as
/// intended to undo a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) point: Point,
    /// The key of the step that it was about.
    pub(super) key: String,
    pub(super) done: bool,
}

/// Strikes.
#[derive(Clone)]
pub(super) struct Injector {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    schedule: Schedule,
    random: Option<fastrand::Rng>,
    /// Of its own, so that what it is drawn for does not move the faults.
    sender: Option<fastrand::Rng>,
    points: Vec<Point>,
    struck: Vec<(Point, Fault)>,
    /// The process is dead.
    crashed: bool,
    /// The process stands still, and which one it is.
    frozen: Option<u64>,
    thawed: bool,
    frozen_wakers: Vec<Waker>,
    generation: u64,
    /// No more faults.
    quiet: bool,
    late: Vec<BoxFuture<'static, ()>>,
    calls: Vec<Called>,
    /// How signals came to their waits.
    arrivals: Vec<(String, Arrival)>,
    /// The waits at which sagas rest.
    waiting: BTreeMap<SagaId, Arc<str>>,
    /// How sagas stood of which nothing was kept.
    forgotten: BTreeMap<SagaId, Status>,
}

impl Injector {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let random = schedule.random.map(|(seed, _)| fastrand::Rng::with_seed(seed));
        let sender = schedule.random.map(|(seed, _)| fastrand::Rng::with_seed(seed ^ SENDER));
        Self {
            inner: Arc::new(Mutex::new(Inner {
                schedule: schedule.clone(),
                random,
                sender,
                points: Vec::new(),
                struck: Vec::new(),
                crashed: false,
                frozen: None,
                thawed: false,
                frozen_wakers: Vec::new(),
                generation: 0,
                quiet: false,
                late: Vec::new(),
                calls: Vec::new(),
                arrivals: Vec::new(),
                waiting: BTreeMap::new(),
                forgotten: BTreeMap::new(),
            })),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes to a point.
    pub(super) fn strike(&self, point: Point) -> Option<Fault> {
        let mut inner = self.inner();
        if inner.quiet {
            return None;
        }
        let at = inner.points.len();
        let fault = match inner.schedule.random {
            None => inner.schedule.faults.get(&at).copied().filter(|fault| point.faults().contains(fault)),
            Some((_, per_mille)) => inner.random.as_mut().and_then(|random| {
                let faults = point.faults();
                let struck = random.u32(0..1000) < per_mille;
                struck.then(|| faults.get(random.usize(0..faults.len())).copied()).flatten()
            }),
        };
        if let Some(fault) = fault {
            inner.struck.push((point.clone(), fault));
        }
        inner.points.push(point);
        fault
    }

    /// Tells whether nobody comes to know what becomes of this.
    pub(super) fn is_unknowable(&self, point: &Point) -> bool {
        let inner = self.inner();
        let Point::Run(step) = point else { return false };
        !inner.quiet && inner.schedule.unknowable.as_ref() == Some(step)
    }

    /// An operator has found out what became of everything.
    pub(super) fn find_out(&self) {
        self.inner().schedule.unknowable = None;
    }

    /// Tells whether an operator cancels what has completed.
    pub(super) fn cancels(&self) -> bool {
        self.inner().schedule.cancelled
    }

    /// Comes to a signal being sent. In a random run that is no point of its own: there signals are held back by chance.
    pub(super) fn strike_sender(&self, point: Point) -> Option<Fault> {
        if self.is_random() { self.holds_back().then_some(Fault::Late) } else { self.strike(point) }
    }

    /// The process dies: whoever is called now does not return.
    pub(super) fn crash(&self) {
        self.inner().crashed = true;
    }

    /// Stands still until the process is let go on.
    pub(super) async fn freeze(&self) {
        let generation = {
            let mut inner = self.inner();
            inner.frozen = Some(inner.generation);
            inner.generation
        };
        std::future::poll_fn(|context| {
            let mut inner = self.inner();
            if inner.thawed && inner.generation > generation {
                return Poll::Ready(());
            }
            inner.frozen_wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) fn is_crashed(&self) -> bool {
        self.inner().crashed
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.inner().frozen.is_some()
    }

    /// Another process begins.
    pub(super) fn next_process(&self) {
        let mut inner = self.inner();
        inner.crashed = false;
        inner.frozen = None;
        inner.generation += 1;
    }

    /// Lets everything go on, and nothing more strike.
    pub(super) fn thaw(&self) {
        let wakers = {
            let mut inner = self.inner();
            inner.quiet = true;
            inner.thawed = true;
            inner.frozen = None;
            inner.generation += 1;
            std::mem::take(&mut inner.frozen_wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Puts an effect off to the end.
    pub(super) fn put_off(&self, effect: BoxFuture<'static, ()>) {
        self.inner().late.push(effect);
    }

    pub(super) fn take_late(&self) -> Vec<BoxFuture<'static, ()>> {
        std::mem::take(&mut self.inner().late)
    }

    pub(super) fn called(&self, call: Called) {
        self.inner().calls.push(call);
    }

    pub(super) fn arrived(&self, wait: &str, arrival: Arrival) {
        self.inner().arrivals.push((wait.to_owned(), arrival));
    }

    pub(super) fn arrivals(&self) -> Vec<(String, Arrival)> {
        self.inner().arrivals.clone()
    }

    /// Sees what was committed of a saga: one that rested at a wait and turns back from there has missed its deadline; one that goes back
    /// intends to undo the step at which it stands.
    pub(super) fn committed(&self, head: &Head) {
        let mut inner = self.inner();
        if head.status == Status::Compensating {
            let point = Point::Undo(head.step.to_string());
            inner.calls.push(Called { point, key: String::new(), done: false });
        }
        let waited = inner.waiting.remove(&head.id);
        if head.status == Status::Waiting {
            inner.waiting.insert(head.id, Arc::clone(&head.step));
        } else if let Some(wait) = waited
            && matches!(head.status, Status::Compensating | Status::Compensated | Status::NeedsOperator)
            && head.reason.as_deref() == Some(DEADLINE)
        {
            inner.arrivals.push((wait.to_string(), Arrival::Missed));
        }
    }

    /// Notes that nothing is kept of a saga that stood so.
    pub(super) fn forget(&self, id: SagaId, status: Status) {
        self.inner().forgotten.insert(id, status);
    }

    pub(super) fn forgotten(&self, id: SagaId) -> Option<Status> {
        self.inner().forgotten.get(&id).copied()
    }

    pub(super) fn calls(&self) -> Vec<Called> {
        self.inner().calls.clone()
    }

    pub(super) fn points(&self) -> Vec<Point> {
        self.inner().points.clone()
    }

    pub(super) fn struck(&self) -> Vec<(Point, Fault)> {
        self.inner().struck.clone()
    }

    /// Draws a number below `limit`; 0 where nothing is left to chance.
    pub(super) fn draw(&self, limit: usize) -> usize {
        self.inner().random.as_mut().map_or(0, |random| random.usize(0..limit.max(1)))
    }

    /// Tells whether a signal is held back until nothing else happens any more; never where nothing is left to chance.
    fn holds_back(&self) -> bool {
        self.inner().sender.as_mut().is_some_and(|sender| sender.u32(0..1000) < HELD_BACK)
    }

    pub(super) fn is_random(&self) -> bool {
        self.inner().random.is_some()
    }
}
