//! The search, from outside: whatever becomes of its primary engine, it answers, and says who did.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::process::Command;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::auth::{KEY, Keys};
use support::child::Running;

const SIGNED_WITH: &str = "a key of this test, with at least 32 bytes";

fn start() -> Running {
    let serve = |command: &mut Command| {
        command.args(["serve", "--listen", "127.0.0.1:0"]).env(KEY, SIGNED_WITH);
    };
    Running::start("dev_search", serve).unwrap()
}

fn token(role: &str) -> String {
    Keys::new(SIGNED_WITH, "dev_search").unwrap().issue("하나", role, Duration::from_mins(5)).unwrap()
}

async fn search(client: &Client, service: &Running, words: &str) -> Value {
    let asked = client.get(service.url("/search")).query(&[("q", words)]);
    asked.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

async fn cut(client: &Client, service: &Running, line: &str, role: Option<&str>) -> StatusCode {
    let request = client.put(service.url("/engines/primary")).json(&json!({"line": line}));
    let request = match role {
        Some(role) => request.bearer_auth(token(role)),
        None => request,
    };
    request.send().await.unwrap().status()
}

/// Searches until the answer comes in this way, some seconds at most; every search has to be answered.
async fn until(client: &Client, service: &Running, served: &str, engine: &str) {
    let came = async {
        loop {
            let found = search(client, service, "검색 엔진").await;
            assert!(!found["posts"].as_array().unwrap().is_empty(), "{found}");
            if found["served"] == served && found["engine"] == engine {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), came).await.unwrap();
}

#[tokio::test]
async fn searches_are_answered_while_the_primary_is_cut_off_and_from_it_when_it_is_back() {
    let (client, service) = (Client::new(), start());
    let found = search(&client, &service, "데이터베이스").await;
    assert_eq!((&found["served"], &found["engine"]), (&json!("fresh"), &json!("engine")), "{found}");
    assert!(found["categories"].as_array().unwrap().len() > 1, "{found}");
    for line in ["refused", "silent"] {
        assert_eq!(cut(&client, &service, line, Some("operator")).await, StatusCode::NO_CONTENT);
        until(&client, &service, "degraded", "database").await;
        assert_eq!(cut(&client, &service, "whole", Some("operator")).await, StatusCode::NO_CONTENT);
        until(&client, &service, "fresh", "engine").await;
    }
    let metrics = client.get(service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for told in [
        "pumasi_breaker_state{name=\"posts/engine\"} 0",
        "pumasi_search_documents{engine=\"engine\"} 30",
        "pumasi_fallback_seconds_bucket{name=\"posts\",le=\"0.5\"}",
    ] {
        assert!(metrics.contains(told), "{told} is not in {metrics}");
    }
    let ready = client.get(service.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_an_operator_cuts_the_primary_off_and_bad_requests_are_told_what_is_wrong() {
    let (client, service) = (Client::new(), start());
    assert_eq!(cut(&client, &service, "refused", None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(cut(&client, &service, "refused", Some("runner")).await, StatusCode::FORBIDDEN);
    assert_eq!(cut(&client, &service, "severed", Some("operator")).await, StatusCode::UNPROCESSABLE_ENTITY);
    for (path, status) in [
        ("/search?q=a&limit=0", StatusCode::BAD_REQUEST),
        ("/search?q=a&limit=many", StatusCode::BAD_REQUEST),
        ("/engines?q=a", StatusCode::BAD_REQUEST),
        ("/nowhere", StatusCode::NOT_FOUND),
    ] {
        let answer = client.get(service.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    let document: Value =
        client.get(service.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    for path in ["/search", "/engines", "/engines/primary", "/healthz", "/readyz", "/metrics"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}
