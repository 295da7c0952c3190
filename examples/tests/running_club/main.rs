//! The service, from outside: runs that count once whatever happens, ranks, crews, achievements, recaps and what Slack hears.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../desk/mod.rs"]
mod desk;
mod recaps;
mod requests;
mod runs;
mod slack;

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use pumasi_core::time::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::child::Running;
use support::slack::{FakeSlack, Fault, TOKEN};

use desk::{Asks, Desk};

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Organiser,
    Runner(&'a str),
}
use Who::{Nobody, Organiser, Runner};

impl Asks for Who<'_> {
    fn who(&self) -> Option<(&str, &str)> {
        match self {
            Nobody => None,
            Organiser => Some(("운영진", "organiser")),
            Runner(name) => Some((name, "runner")),
        }
    }
}

struct Club(Desk);

impl Deref for Club {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl DerefMut for Club {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.0
    }
}

impl Club {
    fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    fn start_with(data: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let configure = |command: &mut Command| {
            for variable in ["SLACK_BOT_TOKEN", "SLACK_CHANNEL", "SLACK_API_URL", "SLACK_ALERT_WEBHOOK_URL"] {
                command.env_remove(variable);
            }
            more(command);
        };
        Self(Desk::start("running_club", data, &[], configure))
    }

    async fn run(&self, runner: &str, metres: i64, seconds: i64) -> Value {
        let (status, run) = self.ask(Method::POST, "/runs", Runner(runner), Some(run(metres, seconds))).await;
        assert_eq!(status, StatusCode::CREATED, "{run}");
        run
    }
}

fn run(metres: i64, seconds: i64) -> Value {
    let now: Timestamp = SystemTime::now().into();
    json!({"began_at": now.to_string(), "distance_m": metres, "time_s": seconds})
}

/// The places of a board: rank, name, the first value.
fn places(board: &Value, value: &str) -> Vec<(u64, String, i64)> {
    let place = |place: &Value| {
        let name = place["name"].as_str().unwrap().to_owned();
        (place["rank"].as_u64().unwrap(), name, place["values"][value].as_i64().unwrap())
    };
    board["places"].as_array().unwrap().iter().map(place).collect()
}

fn sum(board: &Value) -> i64 {
    places(board, "distance_m").iter().map(|(_, _, metres)| metres).sum()
}
