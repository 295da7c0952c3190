//! What the example services share: how they begin and end, which model to ask and which servers to use, who asks and how often, what
//! a request says, how errors are told and in which language, whether all is there, what is made once, which events leave with a
//! transaction, what to do about events that were put aside, the page's style, logs and metrics, how to stop, and what stands in for
//! Slack.

pub mod aside;
pub mod auth;
pub mod body;
pub mod child;
pub mod client;
pub mod database;
pub mod etag;
mod hosts;
pub mod language;
pub mod listeners;
pub mod machines;
pub mod model;
pub mod names;
pub mod once;
pub mod openapi;
pub mod outbox;
pub mod page;
pub mod paging;
pub mod print;
pub mod problem;
pub mod query;
pub mod rate;
pub mod ready;
pub mod requests;
pub mod sagas;
pub mod serve;
pub mod servers;
pub mod service;
pub mod slack;
pub mod telemetry;
pub mod tokens;
pub mod webhook;
