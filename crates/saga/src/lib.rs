//! Durable multi-step transactions that nobody has to babysit.

pub mod barrier;
pub mod capacity;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod definition;
mod engine;
mod machine;
#[cfg(feature = "testing")]
pub mod saga_test;
mod step;
pub mod store;

pub use definition::{Branch, Definition, Policy, Saga, WhenExhausted};
pub use engine::{
    Decision, Engine, EngineOptions, HistoryEntry, Receipt, SagaHandle, Signal, Snapshot, StepView, View,
};
pub use machine::Audit;
pub use pumasi_core::{Error, ErrorKind, Result, Retry};
pub use step::{
    Answer, Compensate, Cx, Failure, Late, Outcome, Probe, Retriable, Step, TransactionStep, Undo,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
