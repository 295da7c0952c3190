//! The services on real servers: what several processes share, and what is told when a server is gone.
#![cfg(all(unix, feature = "postgres", feature = "redis"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod every_task;
mod race_registration;
mod running_club;
mod running_coach;
mod slack_bot;
mod trial;
