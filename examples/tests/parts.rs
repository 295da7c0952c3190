//! Tests that stand beside the private parts of examples: `cargo test` runs none within an example's binary.
#![expect(dead_code, reason = "what the tests do not use, the example does")]

#[path = "../running_club/badges.rs"]
mod badges;
#[path = "../running_club/boards.rs"]
mod boards;
#[path = "../running_club/calendar.rs"]
mod calendar;
#[path = "../running_club/crews.rs"]
mod crews;
#[path = "../running_club/followed.rs"]
mod followed;
#[path = "../parse/line.rs"]
mod line;
#[path = "../slack_bot/question.rs"]
mod question;
#[path = "../running_club/runs.rs"]
mod runs;
#[path = "../running_club/statistics.rs"]
mod statistics;
#[path = "../slack_bot/store.rs"]
mod store;
