//! The bot, from outside: what it acknowledged is answered once, whatever is killed in between.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod answers;
mod aside;
#[path = "../desk/mod.rs"]
mod desk;
mod played;
mod requests;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pumasi_core::slack::{RETRY_NUM_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use pumasi_core::time::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use support::slack::{FakeSlack, Fault, TOKEN};

use desk::put_aside;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const QUESTION: &str = "달나라여행은 어떻게 준비하나요?";

fn start(data: &Path, slack: &FakeSlack) -> Running {
    start_with(data, slack, "60000")
}

fn start_with(data: &Path, slack: &FakeSlack, posts_per_minute: &str) -> Running {
    try_start(data, slack, posts_per_minute, TOKEN).unwrap()
}

fn try_start(
    data: &Path,
    slack: &FakeSlack,
    posts_per_minute: &str,
    token: &str,
) -> std::io::Result<Running> {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.args(["--posts-per-minute", posts_per_minute]).env("PUMASI_TOKEN_KEY", desk::KEY);
        command.env("SLACK_SIGNING_SECRET", format!("the new one,{SECRET}"));
        command.env("SLACK_BOT_TOKEN", token).env("SLACK_API_URL", slack.url());
        // As compose.yaml passes what is not set.
        command.env("SLACK_ALERT_WEBHOOK_URL", "");
    };
    Running::start("slack_bot", serve)
}

fn token(role: &str) -> String {
    desk::token("slack_bot", "운영자", role)
}

fn question(number: usize, text: &str) -> Value {
    let event =
        json!({"type": "app_mention", "channel": "C1", "user": "U2", "ts": thread(number), "text": text});
    json!({"type": "event_callback", "event_id": format!("Ev{number}"), "team_id": "T1", "event": event})
}

fn thread(number: usize) -> String {
    format!("1767225600.{number:06}")
}

async fn send(client: &Client, bot: &Running, body: &Value) -> reqwest::Result<reqwest::Response> {
    signed(client, bot, body, SECRET, 0).send().await
}

fn signed(
    client: &Client,
    bot: &Running,
    body: &Value,
    secret: &str,
    seconds_ago: i64,
) -> reqwest::RequestBuilder {
    let now: Timestamp = SystemTime::now().into();
    let at = Timestamp::from_micros(now.as_micros() - seconds_ago * 1_000_000);
    let body = body.to_string();
    client
        .post(bot.url("/slack/events"))
        .header(TIMESTAMP_HEADER, at.as_micros() / 1_000_000)
        .header(SIGNATURE_HEADER, SigningSecret::new(secret).sign(at, body.as_bytes()))
        .body(body)
}

async fn most_asked(client: &Client, bot: &Running) -> Vec<(String, u64)> {
    let list = client.get(bot.url("/questions?limit=100")).bearer_auth(token("reader"));
    let rows: Value = list.send().await.unwrap().json().await.unwrap();
    let row = |row: &Value| (row["question"].as_str().unwrap().to_owned(), row["asked"].as_u64().unwrap());
    rows.as_array().unwrap().iter().map(row).collect()
}

async fn answered(slack: &FakeSlack, count: usize) -> Vec<support::slack::Post> {
    let posts = tokio::time::timeout(Duration::from_mins(1), slack.wait_for(count)).await;
    // Nothing comes after them.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(posts.is_ok() && slack.posts().len() == count, "{} of {count} answers", slack.posts().len());
    slack.posts()
}
