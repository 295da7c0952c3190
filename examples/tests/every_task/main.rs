//! The service, from outside: what it accepted is there after it was killed, and is there once.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod command;
#[path = "../desk/mod.rs"]
mod desk;
mod kills;
mod posts;
mod rights;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::conformance::Server;
use pumasi_core::time::Timestamp;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::child::Running;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use desk::until;

fn start(data: &Path) -> Running {
    start_with(data, &[], |_| ())
}

fn start_with(data: &Path, arguments: &[&str], configure: impl FnOnce(&mut Command)) -> Running {
    desk::start("every_task", data, arguments, configure)
}

fn bearer() -> String {
    format!("Bearer {}", desk::token("every_task", "민수", "member"))
}

fn client(name: &str, role: &str) -> Client {
    desk::client("every_task", name, role)
}

/// A client that asks as a member.
fn member() -> Client {
    client("민수", "member")
}

fn post(number: usize) -> Value {
    json!({"kind": "question", "title": format!("글 {number}"), "body": format!("책 {number}권을 읽고 싶습니다.")})
}

async fn get(client: &Client, url: &str) -> Value {
    client.get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

/// Waits until every post has a result.
async fn settled(client: &Client, service: &Running) -> Vec<Value> {
    settled_within(Duration::from_mins(1), client, service).await
}

async fn settled_within(limit: Duration, client: &Client, service: &Running) -> Vec<Value> {
    let deadline = Instant::now() + limit;
    loop {
        let posts = get(client, &service.url("/posts?limit=500")).await;
        let posts = posts.as_array().unwrap().clone();
        if posts.iter().all(|post| post["state"] != "pending") {
            return posts;
        }
        assert!(Instant::now() < deadline, "posts stay pending");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
