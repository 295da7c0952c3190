//! What the example services share: which model to ask, how errors are told, logs and metrics,
//! how to stop, and what stands in for Slack.

pub mod body;
pub mod child;
pub mod model;
pub mod print;
pub mod problem;
pub mod serve;
pub mod slack;
pub mod telemetry;
