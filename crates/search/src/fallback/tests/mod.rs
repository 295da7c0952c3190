//! The fallback's promises, in virtual time.

mod cached;
mod cancelled;
mod chain;
mod model;
mod recovery;

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::resilience::{BreakerState, Random};
use pumasi_core::time::{Clock, Sleep, SystemClock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Answer, Backend, Fallback, FallbackBuilder, Gap};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a backend under test answers: which version of the data it saw, who it is, and when it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Value {
    version: u32,
    by: String,
    at: Timestamp,
}

/// How a backend under test behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Well(u64),
    Failing(ErrorKind, u64),
    Hanging,
    Partial,
    Panicking,
    /// Half of what it is asked fails, in no order.
    Half,
}

/// A backend that does as it is told, and remembers how it was treated.
#[derive(Clone, Debug)]
struct Script {
    inner: Arc<ScriptInner>,
}

#[derive(Debug)]
struct ScriptInner {
    name: &'static str,
    mode: Mutex<Mode>,
    clock: Wall,
    version: Arc<AtomicU32>,
    calls: AtomicU32,
    probes: AtomicU32,
    running: AtomicU32,
    probing: AtomicU32,
    most_probing: AtomicU32,
}

struct Running<'a>(&'a AtomicU32);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Script {
    fn new(name: &'static str, mode: Mode, world: &World) -> Self {
        let inner = ScriptInner {
            name,
            mode: Mutex::new(mode),
            clock: world.clock.clone(),
            version: Arc::clone(&world.version),
            calls: AtomicU32::new(0),
            probes: AtomicU32::new(0),
            running: AtomicU32::new(0),
            probing: AtomicU32::new(0),
            most_probing: AtomicU32::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    fn set(&self, mode: Mode) {
        *self.inner.mode.lock().unwrap() = mode;
    }

    fn mode(&self) -> Mode {
        *self.inner.mode.lock().unwrap()
    }

    fn calls(&self) -> u32 {
        self.inner.calls.load(Ordering::SeqCst)
    }

    fn probes(&self) -> u32 {
        self.inner.probes.load(Ordering::SeqCst)
    }

    async fn act(&self) -> Result<Answer<Value>> {
        let version = self.inner.version.load(Ordering::SeqCst);
        let value = || Value { version, by: self.inner.name.to_owned(), at: self.inner.clock.now() };
        match self.mode() {
            Mode::Well(after) => {
                tokio::time::sleep(millis(after)).await;
                Ok(Answer::new(value()))
            }
            Mode::Failing(kind, after) => {
                tokio::time::sleep(millis(after)).await;
                Err(Error::new(kind, "as told"))
            }
            Mode::Hanging => std::future::pending().await,
            Mode::Panicking => panic!("as told"),
            Mode::Half => {
                let asked = self.calls().wrapping_add(self.probes());
                match asked.wrapping_mul(0x9E37_79B9) >> 31 {
                    0 => Ok(Answer::new(value())),
                    _ => Err(Error::new(ErrorKind::Unavailable, "as told")),
                }
            }
            Mode::Partial => Ok(Answer::new(value()).with_gap(Gap::TimedOut)),
        }
    }
}

#[async_trait]
impl Backend<u32, Value> for Script {
    fn name(&self) -> &str {
        self.inner.name
    }

    async fn call(&self, _request: u32, _left: Duration) -> Result<Answer<Value>> {
        self.inner.calls.fetch_add(1, Ordering::SeqCst);
        let _running = Running::new(&self.inner.running);
        self.act().await
    }

    async fn probe(&self, _sample: u32, _left: Duration) -> Result<()> {
        self.inner.probes.fetch_add(1, Ordering::SeqCst);
        let _probing = Running::new(&self.inner.probing);
        self.inner.most_probing.fetch_max(self.inner.probing.load(Ordering::SeqCst), Ordering::SeqCst);
        let answer = self.act().await?;
        if answer.gaps.is_empty() { Ok(()) } else { Err(Error::new(ErrorKind::Unavailable, "in part")) }
    }
}

/// Tokio's paused time with a wall clock that can be set.
#[derive(Clone, Debug)]
struct Wall {
    start: Instant,
    set_by: Arc<AtomicI64>,
}

impl Wall {
    /// Sets the wall clock forward or back.
    fn set(&self, millis: i64) {
        self.set_by.fetch_add(millis * 1_000, Ordering::SeqCst);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.start.elapsed().as_micros()).unwrap();
        Timestamp::from_micros(1_767_225_600_000_000 + passed + self.set_by.load(Ordering::SeqCst))
    }

    fn instant(&self) -> std::time::Instant {
        SystemClock.instant()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

/// Two backends and what they answer from.
struct World {
    clock: Wall,
    version: Arc<AtomicU32>,
}

impl World {
    fn new() -> Self {
        Self { clock: Wall { start: Instant::now(), set_by: Arc::default() }, version: Arc::default() }
    }

    fn backends(&self) -> (Script, Script) {
        (Script::new("engine", Mode::Well(5), self), Script::new("database", Mode::Well(5), self))
    }

    fn builder(&self, primary: &Script, fallback: &Script) -> FallbackBuilder<u32, Value> {
        Fallback::builder("test")
            .primary(primary.clone())
            .fallback(fallback.clone())
            .clock(Arc::new(self.clock.clone()))
            .random(Random::seeded(7))
    }
}

fn state(fallback: &Fallback<u32, Value>) -> BreakerState {
    fallback.circuit("engine").unwrap()
}
