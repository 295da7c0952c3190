//! What the example services share: how they begin and end, which model to ask and which servers to use, who asks and how often, what
//! a request says, what people decide, how errors are told and in which language, whether all is there, what is made once, which events leave with a
//! transaction, what to do about events that were put aside, the page's style, logs and metrics, how to stop, and what stands in for
//! Slack.

#[cfg(feature = "serve")]
pub mod aside;
#[cfg(feature = "serve")]
pub mod auth;
#[cfg(feature = "serve")]
pub mod body;
#[cfg(feature = "serve")]
pub mod child;
#[cfg(feature = "serve")]
pub mod client;
#[cfg(feature = "serve")]
pub mod database;
#[cfg(all(feature = "saga", feature = "serve"))]
pub mod decision;
#[cfg(feature = "serve")]
pub mod etag;
#[cfg(feature = "serve")]
mod hosts;
#[cfg(feature = "serve")]
pub mod language;
#[cfg(feature = "serve")]
pub mod listeners;
#[cfg(feature = "serve")]
pub mod machines;
#[cfg(feature = "serve")]
pub mod model;
#[cfg(feature = "serve")]
pub mod names;
#[cfg(feature = "serve")]
pub mod once;
#[cfg(feature = "serve")]
pub mod openapi;
#[cfg(feature = "serve")]
pub mod outbox;
#[cfg(feature = "serve")]
pub mod page;
#[cfg(feature = "serve")]
pub mod paging;
pub mod print;
#[cfg(feature = "serve")]
pub mod problem;
#[cfg(feature = "serve")]
pub mod query;
#[cfg(feature = "serve")]
pub mod rate;
#[cfg(feature = "serve")]
pub mod ready;
#[cfg(feature = "serve")]
pub mod requests;
#[cfg(all(feature = "saga", feature = "serve"))]
pub mod sagas;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "serve")]
pub mod servers;
#[cfg(feature = "serve")]
pub mod service;
#[cfg(feature = "serve")]
pub mod slack;
#[cfg(feature = "serve")]
pub mod telemetry;
#[cfg(feature = "serve")]
pub mod tokens;
#[cfg(feature = "serve")]
pub mod webhook;
