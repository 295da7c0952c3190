//! Events: one envelope, a bus that loses none, and a runner that handles each as often as it takes.
//!
//! [`EventBus`] is the seam, and its documentation is the contract: durable publish, order per topic and key, groups that
//! share events out, leases, delayed retries, dead letters. `Consumer` runs a `Handler` on top of any bus (feature `runtime`).
//!
//! | backend | feature | survives |
//! |---|---|---|
//! | `MemoryBus` | `runtime` | nothing: tests, and services that may forget |
//! | `SqliteBus` | `sqlite` | the process and the machine's power; several processes of one machine share the file |
//! | `RedisBus` | `redis` | the processes, and what the server's `appendfsync` survives; processes of many machines share the server |
//! | `KafkaBus` | `kafka` | what the cluster survives; partitions are shared out among the processes of many machines |
//!
//! | around the bus | what it does | feature |
//! |---|---|---|
//! | `SqliteBus::publish_in` | writes events in your own transaction, on the bus's file | `sqlite` |
//! | `PostgresOutbox`, `SqliteOutbox`, `Relay` | writes events in your own transaction, and relays them to any bus | `postgres`, `sqlite` |
//! | `RedisOutbox` | writes events in your own script, for a relay | `redis` |
//! | `PostgresInbox`, `SqliteInbox` | makes the effect of an event happen once, in your own transaction | `postgres`, `sqlite` |
//! | `Projection` | keeps a replica of another service's entities, rebuilds it, and says how far it is behind | `runtime`; stores: `postgres`, `sqlite` |
//! | `Context`, `Envelope::in_context` | takes the actor and the trace from the request to the last consumer | `runtime` |
//!
//! # Effects happen once
//!
//! A bus can hand an event out twice: the process may die after the work and before the acknowledgement. Three things
//! together make the effect happen once:
//!
//! 1. the bus drops what was published twice under the same id, and never hands out again what was acknowledged;
//! 2. the handler records the event's id (or the entity's version) in the transaction of its effect: an inbox (or a
//!    projection) does that;
//! 3. what the handler publishes in turn has an id [derived](EventId::derived) from its cause, so that publishing again is
//!    no second event.
//!
//! # Writing another backend
//!
//! Implement [`EventBus`] and [`Subscriber`], declare what it cannot do in its [`BusCapabilities`], and run the laws of
//! `pumasi_core::conformance::bus` (feature `conformance`) against it.

mod bus;
#[cfg(feature = "runtime")]
mod consumer;
#[cfg(feature = "runtime")]
mod context;
mod delivery;
mod envelope;
mod id;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod inbox;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "runtime")]
mod memory;
#[cfg(feature = "runtime")]
mod outbox;
#[cfg(any(feature = "sqlite", feature = "redis", feature = "kafka"))]
mod outline;
#[cfg(feature = "runtime")]
mod projection;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trace;
#[cfg(feature = "runtime")]
mod window;

pub use bus::{BusCapabilities, EventBus, Subscriber};
#[cfg(feature = "runtime")]
pub use consumer::{Consumer, ConsumerStats, Control, Handler, HandlerFn, Shutdown, handler_fn};
#[cfg(feature = "runtime")]
pub use context::Context;
pub use delivery::{
    DeadLetter, Delivery, Lag, Page, Published, Reason, Receipt, Settlement, Start, Subscription,
};
pub use envelope::{Actor, Envelope, State};
pub use id::EventId;
#[cfg(feature = "postgres")]
pub use inbox::PostgresInbox;
#[cfg(feature = "sqlite")]
pub use inbox::SqliteInbox;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use inbox::{Arrival, InboxHandler};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBus, KafkaBusOptions};
#[cfg(feature = "runtime")]
pub use memory::MemoryBus;
#[cfg(feature = "postgres")]
pub use outbox::PostgresOutbox;
#[cfg(feature = "redis")]
pub use outbox::RedisOutbox;
#[cfg(feature = "sqlite")]
pub use outbox::SqliteOutbox;
#[cfg(feature = "runtime")]
pub use outbox::{Backlog, Claim, Claimed, MemoryOutbox, OutboxStore, Outcome, Refused, Relay, RelayStats};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use projection::Mapping;
#[cfg(feature = "postgres")]
pub use projection::PostgresProjectionStore;
#[cfg(feature = "sqlite")]
pub use projection::SqliteProjectionStore;
#[cfg(feature = "runtime")]
pub use projection::{
    Begun, Entity, EntityPage, MemoryProjectionStore, Projection, ProjectionLag, ProjectionStore, Rebuilt,
    Swapped, Target,
};
#[cfg(feature = "redis")]
pub use redis::{RedisBus, RedisBusOptions};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteBus, SqliteBusOptions};
pub use trace::TraceContext;
