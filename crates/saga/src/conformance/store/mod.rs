//! The laws of [`SagaStore`], in the order of its numbered guarantees.

mod commits;
mod leases;
mod questions;
mod signals;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{Envelope, OutboxStore, Outcome, State};
use pumasi_core::time::Timestamp;

use super::{Broken, same};
use crate::store::{
    Commit, Committed, Head, Known, Lease, NewSignal, SagaId, SagaStore, Status, Stored, WorkerId,
};
use crate::{Error, ErrorKind};

pub use commits::*;
pub use leases::*;
pub use questions::*;
pub use signals::*;

/// A lease that ends within a law; long enough that a busy machine makes its calls within a part of it.
const SHORT: Duration = Duration::from_millis(1500);
/// A lease that outlasts every law.
const LONG: Duration = Duration::from_hours(1);
/// What the laws call their sagas.
const SAGA: &str = "등록-law";

/// A store of sagas under examination.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same sagas, as another process would have it.
    async fn open(&self) -> Arc<dyn SagaStore>;

    /// Lets time pass for leases and deadlines: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Cuts the store off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`SagaStore`], in a module of the given name, each on a harness of its own made by the
/// expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::time::ManualClock;
/// use pumasi_saga::conformance::store::StoreHarness;
/// use pumasi_saga::store::{MemoryStore, SagaStore};
///
/// struct Memory(ManualClock, MemoryStore);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         Self(clock.clone(), MemoryStore::with_clock(Arc::new(clock)))
///     }
/// }
///
/// #[async_trait]
/// impl StoreHarness for Memory {
///     async fn open(&self) -> Arc<dyn SagaStore> {
///         Arc::new(self.1.clone())
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
/// }
///
/// pumasi_saga::store_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance::store],
            law_01_durable,
            law_02_all_or_none,
            law_03_in_order,
            law_04_one_of_two,
            law_05_fenced,
            law_06_repeating_is_safe,
            law_07_taking,
            law_08_claiming,
            law_08_to_one_worker,
            law_09_leases_end,
            law_09_leaving,
            law_10_signals_are_kept,
            law_11_doubles_are_dropped,
            law_12_signals_wake,
            law_12_forgetting_waits_for_signals,
            law_13_events_with_their_commit,
            law_14_queries_are_paged,
            law_14_counted,
            law_14_purged,
            law_14_purged_for_all,
            law_15_errors_are_told,
            law_16_cancellation,
            law_17_found_by_age,
            law_18_queries_are_checked,
        );
    };
}

fn key(n: usize) -> String {
    format!(r#"{{"participant":{n},"competition":"서울"}}"#)
}

fn id(n: usize) -> SagaId {
    SagaId::of(SAGA, &key(n))
}

/// The first commit of saga `n`, which `worker` goes on holding.
fn first(n: usize, worker: WorkerId) -> Commit {
    Commit {
        head: Head {
            id: id(n),
            saga: SAGA.into(),
            definition: 1,
            key: key(n).into(),
            status: Status::Running,
            step: "hold_place".into(),
            due: None,
            reason: None,
        },
        worker,
        lease: Lease::Take(1),
        expected: 0,
        version: 1,
        token: fastrand::u64(..),
        record: format!("[{n}.1]").into_bytes(),
        replaces: false,
        holds: true,
        forgets: false,
        consumed: Vec::new(),
        events: Vec::new(),
    }
}

/// What the same holder commits next.
fn next(after: &Commit) -> Commit {
    let version = after.version + 1;
    Commit {
        lease: Lease::Held(after.lease.epoch()),
        expected: after.version,
        version,
        token: fastrand::u64(..),
        record: format!("[{version}]").into_bytes(),
        replaces: false,
        consumed: Vec::new(),
        events: Vec::new(),
        ..after.clone()
    }
}

/// The same, and nobody holds the saga afterwards, which is due at `due`.
fn let_go(after: &Commit, due: Option<Timestamp>) -> Commit {
    let mut commit = next(after);
    commit.holds = false;
    commit.head.due = due;
    commit
}

fn signal(n: usize, id: &str) -> NewSignal {
    NewSignal {
        saga: self::id(n),
        name: "payment_completed".into(),
        id: id.into(),
        payload: format!(r#"{{"금액":"{id}"}}"#).into_bytes(),
    }
}

fn event(n: usize, what: &str) -> Envelope {
    let mut event = Envelope::new("registrations", format!("{n}"), State::Updated, 1);
    event.payload = what.into();
    event
}

async fn one(store: &dyn SagaStore, commit: Commit) -> Result<Committed, Error> {
    match store.commit(vec![commit]).await.pop() {
        Some(answer) => answer,
        None => Err(Error::new(ErrorKind::Protocol, "a commit was not answered")),
    }
}

async fn refused(store: &dyn SagaStore, commit: Commit, why: &str) -> Result<(), Broken> {
    let kind = one(store, commit).await.err().map(|error| error.kind());
    same!(kind, Some(ErrorKind::Conflict), "the answer to a commit that {why}");
    Ok(())
}

async fn there(store: &dyn SagaStore, n: usize) -> Result<Stored, Broken> {
    store.load(id(n)).await?.ok_or_else(|| Broken::new(format!("saga {n} is not there")))
}

async fn begun(store: &dyn SagaStore, n: usize, worker: WorkerId) -> Result<Commit, Broken> {
    let commit = first(n, worker);
    one(store, commit.clone()).await?;
    Ok(commit)
}

fn known() -> Vec<Known> {
    vec![Known { saga: SAGA.into(), versions: vec![1, 2] }]
}

async fn claimed(store: &dyn SagaStore, worker: WorkerId, limit: usize) -> Result<Vec<Stored>, Broken> {
    let limit = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
    Ok(store.claim(worker, &known(), limit).await?)
}

fn ids(sagas: &[Stored]) -> Vec<SagaId> {
    sagas.iter().map(|saga| saga.head.id).collect()
}

/// Takes everything out of the outbox: the texts of the events, in order.
async fn relayed(outbox: &dyn OutboxStore) -> Result<Vec<String>, Broken> {
    let mut texts = Vec::new();
    loop {
        let claim = outbox.claim(NonZeroUsize::MIN.saturating_add(99), LONG).await?;
        if claim.events.is_empty() {
            return Ok(texts);
        }
        for claimed in &claim.events {
            let event = claimed.event.as_ref().map_err(|_| Broken::new("an event cannot be read"))?;
            let text = event.payload.as_str().unwrap_or_default();
            texts.push(text.to_owned());
        }
        let outcome = Outcome { relayed: (0..claim.events.len()).collect(), ..Outcome::default() };
        outbox.complete(&claim, &outcome).await?;
    }
}
