//! What the example services share: which model to ask, how errors are told, logs and metrics, and how to stop.

pub mod model;
pub mod problem;
pub mod telemetry;
