//! The service, from outside: runs that count once whatever happens, ranks, crews, achievements, recaps and what Slack hears.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../desk/mod.rs"]
mod desk;
mod notices;
mod recaps;
mod requests;
mod standings;
mod taken_back;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use pumasi_core::time::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::child::Running;
use support::slack::{FakeSlack, Fault, TOKEN};

use desk::{Asks, Desk, is_a_desk, put_aside};

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

is_a_desk!(Club);

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
        Self(Desk::start("running_club", data, &["--zone", zone()], configure))
    }

    async fn run(&self, runner: &str, metres: i64, seconds: i64) -> Value {
        let (status, run) = self.ask(Method::POST, "/runs", Runner(runner), Some(run(metres, seconds))).await;
        assert_eq!(status, StatusCode::CREATED, "{run}");
        run
    }
}

/// A zone in which it is the afternoon: no day, week or month begins between a run and what is told of it.
fn zone() -> &'static str {
    static ZONE: OnceLock<String> = OnceLock::new();
    ZONE.get_or_init(|| {
        let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3_600 % 24;
        match 15 - i64::try_from(hour).unwrap() {
            // The signs of these zones are what is missing to UTC.
            behind @ ..0 => format!("Etc/GMT+{}", -behind),
            ahead => format!("Etc/GMT-{}", ahead.min(14)),
        }
    })
}

fn run(metres: i64, seconds: i64) -> Value {
    let began: Timestamp = (SystemTime::now() - Duration::from_secs(seconds.unsigned_abs())).into();
    json!({"began_at": began.to_string(), "distance_m": metres, "time_s": seconds})
}

/// The rows of a list, read page by page.
async fn paged(club: &Club, first: &str, who: Who<'_>) -> Value {
    let (mut path, mut rows) = (first.to_owned(), Vec::new());
    loop {
        let page = club.send(Method::GET, &path, who, None, None).await.unwrap();
        let link = page.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let Value::Array(found) = page.json().await.unwrap() else { return Value::Null };
        rows.extend(found);
        let Some(link) = link else { return Value::Array(rows) };
        path = String::from(link.trim_start_matches('<').split('>').next().unwrap());
    }
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
