//! Sagas whose steps do what a test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::time::{Clock, ManualClock, Timestamp};
use pumasi_saga::store::{MemoryStore, SagaStore};
use pumasi_saga::{
    Branch, Compensate, Cx, Definition, Engine, EngineOptions, Outcome, Policy, Retriable, Saga, SagaHandle,
    Step, Undo, WhenExhausted,
};
use serde::{Deserialize, Serialize};

/// How a step, or the undoing of one, behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Works,
    Refuses,
    Silent,
}

/// What the steps are told, and what they did.
#[derive(Clone, Default)]
pub struct Script {
    moods: Arc<Mutex<HashMap<&'static str, Mood>>>,
    did: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub fn set(&self, what: &'static str, mood: Mood) {
        self.moods.lock().unwrap().insert(what, mood);
    }

    /// Returns what was done since the last time.
    pub fn did(&self) -> Vec<String> {
        std::mem::take(&mut self.did.lock().unwrap())
    }

    pub fn act(&self, what: &str) -> Outcome<(), &'static str> {
        match self.moods.lock().unwrap().get(what).copied().unwrap_or(Mood::Works) {
            Mood::Works => {
                self.did.lock().unwrap().push(what.to_owned());
                Outcome::Done(())
            }
            Mood::Refuses => Outcome::Failed("as told"),
            Mood::Silent => Outcome::Unknown("no answer"),
        }
    }
}

macro_rules! step {
    ($step:ident ($name:literal) : $input:ty => $out:ident $(, $undo:ident ($undoes:literal))?) => {
        pub struct $step;

        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub struct $out(pub u32);

        impl Step<Script> for $step {
            type In = $input;
            type Out = $out;
            type Error = &'static str;

            async fn run(&self, cx: &Cx<Script>, _: Self::In) -> Outcome<$out, &'static str> {
                cx.app().act($name).map(|()| $out(1))
            }
        }

        $(
            pub struct $undo;

            impl Compensate<Script, $step> for $undo {
                type Error = &'static str;

                async fn undo(&self, cx: &Cx<Script>, _: Undo<Script, $step>) -> Outcome<(), &'static str> {
                    cx.app().act($undoes)
                }
            }
        )?
    };
}

step!(Reserve ("reserve"): () => Reserved, Free ("free"));
step!(Prepare ("prepare"): (Reserved,) => Prepared, Void ("void"));
step!(Charge ("charge"): (Prepared,) => Charged);
step!(Grant ("grant"): (Charged,) => Granted);
step!(Tell ("tell"): (Granted,) => Told);
impl Retriable for Grant {}
impl Retriable for Tell {}
step!(Wrap ("wrap"): () => Wrapped, Unwrap ("unwrap"));
impl Retriable for Reserve {}
impl Retriable for Wrap {}
step!(Pay ("pay"): () => Paid);

/// Reserve and prepare, which can be undone; charge, the pivot; grant and tell. Everything is tried once.
pub fn order(version: u32) -> Definition<u64, Script> {
    let once = Policy::new().with_attempts(std::num::NonZeroU32::MIN);
    Saga::<u64, Script>::new("order", version)
        .step(Reserve)
        .policy(once)
        .compensate(Free)
        .policy(once)
        .when_exhausted(WhenExhausted::Halt)
        .savepoint("reserved")
        .step(Prepare)
        .policy(once)
        .compensate(Void)
        .policy(once)
        .pivot(Charge)
        .policy(once)
        .step(Grant)
        .policy(once)
        .step(Tell)
        .policy(once)
        .build()
        .unwrap()
}

/// Reserve and wrap side by side, before the point of no return or behind it. Everything is tried once.
pub fn side_by_side(behind_pivot: bool) -> Definition<u64, Script> {
    let once = Policy::new().with_attempts(std::num::NonZeroU32::MIN);
    let saga = Saga::<u64, Script>::new("gift", 1);
    let built = if behind_pivot {
        let branches = (Branch::new(Reserve).policy(once), Branch::new(Wrap).policy(once));
        saga.pivot(Pay).parallel(branches).build()
    } else {
        let reserve = Branch::new(Reserve).policy(once).compensate(Free).undo_policy(once);
        let wrap = Branch::new(Wrap).policy(once).compensate(Unwrap).undo_policy(once);
        saga.parallel((reserve, wrap)).build()
    };
    built.unwrap()
}

/// Does what is due now.
pub async fn work(engine: &Engine<Script>) {
    while engine.run_due().await.unwrap() > 0 {}
}

/// Lets time pass, and does what is due meanwhile.
pub async fn pass(clock: &ManualClock, engine: &Engine<Script>, time: Duration) {
    let end = clock.now().saturating_add(time);
    loop {
        work(engine).await;
        let left = end.saturating_since(clock.now());
        if left.is_zero() {
            return;
        }
        let due = engine.store().next_due().await.unwrap();
        let due = due.map_or(left, |due| due.saturating_since(clock.now()));
        clock.advance(due.max(Duration::from_millis(1)).min(left));
    }
}

pub struct Desk {
    pub clock: ManualClock,
    pub store: MemoryStore,
    pub script: Script,
}

impl Desk {
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        Self { clock, store, script: Script::default() }
    }

    pub fn engine(&self) -> Engine<Script> {
        self.engine_with(self.store.clone(), EngineOptions::new())
    }

    pub fn engine_with(&self, store: impl SagaStore + 'static, options: EngineOptions) -> Engine<Script> {
        let options = options.with_clock(Arc::new(self.clock.clone()));
        Engine::with_options(store, self.script.clone(), options)
    }

    /// Returns when the next saga is due.
    pub async fn store_due(&self) -> Option<Timestamp> {
        self.store.next_due().await.unwrap()
    }

    pub fn orders(&self) -> SagaHandle<u64, Script> {
        self.engine().register(order(1)).unwrap()
    }
}
