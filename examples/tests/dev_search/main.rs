//! The search, from outside: whatever becomes of its engines it answers, and says who did; no place is sold twice, no write of
//! others is overwritten, and nothing acknowledged is lost.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

#[path = "../desk/mod.rs"]
mod desk;
mod engines;
mod entries;
mod orders;
mod requests;
mod todos;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use desk::{Asks, Desk, answered, is_a_desk};

/// A lecture of the committed entries with two places.
const LECTURE: &str = "l02";

/// Who asks.
#[derive(Clone, Copy)]
enum Who<'a> {
    Nobody,
    Member(&'a str),
    Tutor,
    Operator,
}
use Who::{Member, Nobody, Operator, Tutor};

impl Asks for Who<'_> {
    fn who(&self) -> Option<(&str, &str)> {
        match self {
            Nobody => None,
            Member(name) => Some((name, "member")),
            Tutor => Some(("현우", "tutor")),
            Operator => Some(("하나", "operator")),
        }
    }
}

is_a_desk!(Site);

impl Site {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        Self(Desk::start("dev_search", data, arguments, |_| ()))
    }

    async fn search(&self, parameters: &[(&str, &str)]) -> Value {
        let request = self.request(Method::GET, "/search", Nobody).query(parameters);
        let (status, found) = answered(request).await;
        assert_eq!(status, StatusCode::OK, "{parameters:?}: {found}");
        found
    }

    async fn cut(&self, engine: &str, line: &str) {
        let path = format!("/engines/{engine}");
        let (status, told) = self.ask(Method::PUT, &path, Operator, Some(json!({"line": line}))).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
    }

    /// Searches until the answer is as wanted, some seconds at most; every search has to be answered.
    async fn search_until(&self, words: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let found = self.search(&[("q", words)]).await;
            if is_wanted(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "{words}: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn order(&self, entry: &str, person: &str) -> Value {
        let path = format!("/entries/{entry}/order");
        let (status, order) = self.ask(Method::POST, &path, Member(person), Some(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{order}");
        order
    }

    /// Waits until an order has ended.
    async fn ended(&self, entry: &str, person: &str) -> Value {
        let is_over =
            |order: &Value| ["completed", "compensated"].contains(&order["status"].as_str().unwrap());
        self.until(&format!("/entries/{entry}/order"), Member(person), is_over).await
    }

    async fn partner(&self, mood: &str) {
        let (status, told) = self.ask(Method::PUT, "/partner", Operator, Some(json!({"mood": mood}))).await;
        assert_eq!(status, StatusCode::OK, "{told}");
    }

    async fn free(&self, entry: &str) -> u64 {
        self.get(&format!("/entries/{entry}"), Nobody).await["free"].as_u64().unwrap()
    }

    /// Writes a todo over a version, or a new one.
    async fn write(&self, who: Who<'_>, id: &str, text: &str, version: Option<u64>) -> (StatusCode, Value) {
        let path = format!("/todos/{id}");
        let request = self.request(Method::PUT, &path, who).json(&json!({"text": text}));
        let request = match version {
            Some(version) => request.header("if-match", format!("\"{version}\"")),
            None => request.header("if-none-match", "*"),
        };
        answered(request).await
    }
}

fn ids(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

/// What is marked of a text.
fn marked(pieces: &Value) -> String {
    let pieces = pieces.as_array().unwrap().iter().filter(|piece| piece["marked"] == true);
    pieces.map(|piece| piece["text"].as_str().unwrap()).collect::<Vec<_>>().join("|")
}

fn post(title: &str) -> Value {
    json!({"kind": "post", "category": "backend", "lang": "ko", "title": title, "body": "본문입니다"})
}
