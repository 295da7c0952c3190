//! Durable multi-step transactions that nobody has to babysit.
//!
//! A service describes a *saga* as a typed pipeline of steps; an [`Engine`] drives it to the end or back, through crashes, slow
//! partners, duplicate deliveries and several workers. The README has an example in full, and says what is guaranteed and what
//! is not.
//!
//! | part | what it answers |
//! |---|---|
//! | [`Saga`], [`Definition`] | what is done in which order, and what undoes it |
//! | [`Step`], [`Compensate`], [`Answer`], [`Late`] | what a step does, and how it ends: [`Outcome`] has three values |
//! | [`Policy`] | how often, how long and with what pauses something is tried |
//! | [`Engine`], [`SagaHandle`] | how sagas are started, answered, watched and decided: the single endpoint |
//! | [`store`] | where they are kept, and what a store promises |
//! | [`barrier`] | how a partner takes requests and their compensations in any order |
//! | `saga_test` (feature `testing`) | whether *your* saga survives every fault |
//!
//! # How it works
//!
//! The definition is data, and the engine's heart is a pure function: state and input make the next state and commands. Each
//! step boundary is one commit: that step *k* is done and that step *k + 1* is intended are one record of some 40 bytes. Commits of
//! many sagas go to the store in one call, so that it can sync once for all of them.
//!
//! # Metrics
//!
//! Through the `metrics` facade:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `saga_step_total` | counter | `saga`, `step`, `outcome`: `done`, `failed`, `unknown`, `undone`, `undo_failed`, `handled`, `handle_failed`; `under_way`: a look at a child that has not ended |
//! | `saga_step_seconds` | histogram | `saga`, `step` |
//! | `saga_started_total` | counter: the funnel's mouth; a restart counts again | `saga` |
//! | `saga_passed_total` | counter: the funnel; a step or wait that is done, and once more where it was undone and is done again | `saga`, `step` |
//! | `saga_rest_total` | counter: where a drive has come to rest, as often as it does | `saga`, `step`, `status` |
//! | `saga_ended_total` | counter | `saga`, `status` |
//! | `saga_seconds` | histogram, from begin to end | `saga`, `status` |
//! | `saga_signals_total` | counter | `saga`, `reception`: `taken`, `kept`, `duplicate`, `late`, `dropped`, `unknown` |
//! | `saga_parked_total`, `saga_store_failures_total` | counter | – |
//! | `saga_sagas` | gauge | `saga`, `status` |
//! | `saga_claimable`, `saga_overdue_seconds`, `saga_held`, `saga_workers` | gauge | – |
//!
//! The funnel's counters are there, at zero, from the [registration](Engine::register) on. The share of those who came to a step and
//! completed it is the growth of its `saga_passed_total` over that of the step before; that of the whole is the growth of
//! `saga_ended_total{status="completed"}` over that of `saga_started_total`.
//!
//! The outbox's lag is measured by its [`Relay`](pumasi_core::event::Relay).
//!
//! # Traces
//!
//! A saga is one trace, whose id is the [saga's](store::SagaId::trace_id); [`Cx::trace`] hands it on to partners and events. Each drive
//! from a rest to the next is a span `saga` with the fields `saga`, `id`, `trace_id`, `follows`, `rests`, `status` and `step`: it
//! `follows` where the drive before it `rests`, minutes or days ago and perhaps in another process.

pub mod barrier;
pub mod capacity;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod definition;
mod engine;
mod fnv;
mod machine;
#[cfg(feature = "planted-bugs")]
#[doc(hidden)]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
#[cfg(feature = "testing")]
pub mod saga_test;
mod step;
pub mod store;

pub use definition::{Branch, Definition, Ended, Policy, Saga, WhenExhausted};
pub use engine::{
    Decision, Engine, EngineOptions, HistoryEntry, Receipt, SagaHandle, Signal, Snapshot, StepView, Unknown,
    View,
};
pub use machine::Audit;
pub use pumasi_core::{Error, ErrorKind, Result, Retry};
pub use step::{
    Answer, Compensate, CompensateTransaction, Cx, Failure, Late, Outcome, Probe, Retriable, Step,
    TransactionStep, Undo,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
