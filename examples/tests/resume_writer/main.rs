//! The résumé service, from outside: written, edited, shared and spoken of, through kills, partners that hang and a GitHub that limits.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

#[path = "../desk/mod.rs"]
mod desk;
mod github;
mod owners;
mod partner;
mod sharing;
mod standins;
mod waiting;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

use desk::until;

/// The account of the committed export.
const ACCOUNT: &str = "haneul-example";

fn start_with(folder: &Path, configure: impl FnOnce(&mut Command)) -> Running {
    let configure = |command: &mut Command| {
        for name in ["GITHUB_TOKEN", "GITHUB_URL", "GITHUB_EXPORT", "NOTIFY_URL", "NOTIFY_SECRET"] {
            command.env_remove(format!("PUMASI_{name}"));
        }
        configure(command);
    };
    desk::start("resume_writer", folder, &[], configure)
}

fn start(folder: &Path) -> Running {
    start_with(folder, |_| {})
}

fn client_as(name: &str, role: &str) -> Client {
    desk::client("resume_writer", name, role)
}

fn client(name: &str) -> Client {
    client_as(name, "member")
}

async fn send(client: &Client, method: Method, url: String, body: Value) -> Response {
    client.request(method, url).json(&body).send().await.unwrap()
}

async fn ok(answer: Response) -> Value {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    assert!(status.is_success(), "{status} {body}");
    body
}

/// Asks again until it is no longer `pending`.
async fn done(client: &Client, url: String) -> Value {
    until(client, &url, |answer| answer["state"].as_str().is_some_and(|state| state != "pending")).await
}

async fn ask(client: &Client, service: &Running, language: &str) -> String {
    let wanted = json!({"account": ACCOUNT, "language": language});
    let accepted = ok(send(client, Method::POST, service.url("/resumes"), wanted).await).await;
    accepted["id"].as_str().unwrap().to_owned()
}

/// Asks for a résumé in Korean, and waits until it is written.
async fn written(client: &Client, service: &Running) -> (String, Value) {
    let id = ask(client, service, "ko").await;
    let resume = done(client, service.url(&format!("/resumes/{id}"))).await;
    assert_eq!(resume["state"], "ready", "{resume}");
    (id, resume)
}

/// Gives an instruction.
async fn instruct(client: &Client, service: &Running, id: &str, version: u64, words: &str) -> Response {
    let url = service.url(&format!("/resumes/{id}/edits"));
    send(client, Method::POST, url, json!({"instruction": words, "version": version})).await
}

/// Opens a résumé, and returns its key.
async fn share(client: &Client, service: &Running, id: &str) -> String {
    let url = service.url(&format!("/resumes/{id}/share"));
    let made = ok(client.post(url).send().await.unwrap()).await;
    made["key"].as_str().unwrap().to_owned()
}

/// Waits until these and no others of what the service depends on are down, and returns how it is.
async fn down(service: &Running, names: &[&str]) -> Value {
    let is_so = |how: &Value| how["down"].as_array().map_or(0, Vec::len) == names.len();
    let how = until(&Client::new(), &service.url("/readyz"), is_so).await;
    assert!(names.is_empty() || how["down"] == json!(names), "{how}");
    how
}

async fn is_refused(answer: Response, status: StatusCode) -> Value {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(problem["detail"].is_string() && problem["hint"].is_string(), "{problem}");
    problem
}
