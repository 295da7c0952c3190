//! The résumé service, from outside: written, edited, shared and spoken of, through kills, partners that hang and a GitHub that limits.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

mod desk;
mod github;
mod partner;
mod sharing;
mod standins;
mod waiting;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::auth::{self, Keys};
use support::child::Running;

const KEY: &str = "a key of the tests, of more than 32 bytes";
/// The account of the committed export.
const ACCOUNT: &str = "haneul-example";

fn start_with(folder: &Path, configure: impl FnOnce(&mut Command)) -> Running {
    let serve = |command: &mut Command| {
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--requests-per-second", "2000", "--data"])
            .arg(folder);
        command.env(auth::KEY, KEY);
        for name in ["GITHUB_TOKEN", "GITHUB_URL", "GITHUB_EXPORT", "NOTIFY_URL", "NOTIFY_SECRET"] {
            command.env_remove(format!("PUMASI_{name}"));
        }
        configure(command);
    };
    Running::start("resume_writer", serve).unwrap()
}

fn start(folder: &Path) -> Running {
    start_with(folder, |_| {})
}

fn client_as(name: &str, role: &str) -> Client {
    let token = Keys::new(KEY, "resume_writer").unwrap().issue(name, role, Duration::from_mins(10)).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    Client::builder().default_headers(headers).build().unwrap()
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

/// Asks again until the answer is no longer `pending`, for up to half a minute.
async fn done(client: &Client, url: String) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ok(client.get(&url).send().await.unwrap()).await;
        if answer["state"] != "pending" {
            return answer;
        }
        assert!(Instant::now() < deadline, "{url}: {answer}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
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
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let how = ok(Client::new().get(service.url("/readyz")).send().await.unwrap()).await;
        if how["down"].as_array().map_or(0, Vec::len) == names.len() {
            assert!(names.is_empty() || how["down"] == json!(names), "{how}");
            return how;
        }
        assert!(Instant::now() < deadline, "{how}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn is_refused(answer: Response, status: StatusCode) -> Value {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(problem["detail"].is_string() && problem["hint"].is_string(), "{problem}");
    problem
}
