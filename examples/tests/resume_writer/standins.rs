//! What stands in for GitHub.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::desk::stand_in;

pub(crate) const TOKEN: &str = "ghp_notARealToken0123456789";

/// A GitHub that serves the committed export, two rows a page, and turns the first requests away as it is told.
#[derive(Clone)]
pub(crate) struct Github {
    pub(crate) url: String,
    pub(crate) answered: Arc<AtomicUsize>,
    inner: Arc<Export>,
}

/// A status, and headers.
type Refusal = (u16, Vec<(&'static str, String)>);

struct Export {
    json: Value,
    refusals: Mutex<Vec<Refusal>>,
}

impl Github {
    pub(crate) async fn start(refusals: Vec<Refusal>) -> Self {
        let json = serde_json::from_str(include_str!("../../resume_writer/github.json")).unwrap();
        let inner = Arc::new(Export { json, refusals: Mutex::new(refusals) });
        let mut github = Self { url: String::new(), answered: Arc::default(), inner };
        let router = Router::new()
            .route("/users/{login}", get(user))
            .route("/users/{login}/repos", get(repositories))
            .route("/repos/{owner}/{repo}/commits", get(commits))
            .with_state(github.clone());
        github.url = stand_in(router).await;
        github
    }

    fn checked(&self, headers: &HeaderMap, answer: impl FnOnce() -> Response) -> Response {
        let refusal = self.inner.refusals.lock().unwrap().pop();
        if let Some((status, told)) = refusal {
            let mut response =
                (StatusCode::from_u16(status).unwrap(), r#"{"message": "not now"}"#).into_response();
            for (name, value) in told {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        if sent != Some(format!("Bearer {TOKEN}").into_bytes()) {
            return (StatusCode::UNAUTHORIZED, Json(json!({"message": "Bad credentials"}))).into_response();
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        answer()
    }
}

fn page(headers: &HeaderMap, path: &str, asked: &HashMap<String, String>, rows: &[Value]) -> Response {
    let number: usize = asked.get("page").map_or(1, |page| page.parse().unwrap());
    let shown: Vec<&Value> = rows.iter().skip((number - 1) * 2).take(2).collect();
    let mut response = Json(json!(shown)).into_response();
    if number * 2 < rows.len() {
        let host = headers[header::HOST].to_str().unwrap();
        let mut query: Vec<String> = asked
            .iter()
            .filter(|(name, _)| *name != "page")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        query.push(format!("page={}", number + 1));
        let link = format!("<http://{host}{path}?{}>; rel=\"next\"", query.join("&"));
        response.headers_mut().insert(header::LINK, link.parse().unwrap());
    }
    response
}

async fn user(State(github): State<Github>, headers: HeaderMap, Path(login): Path<String>) -> Response {
    github.checked(&headers, || {
        let user = &github.inner.json["user"];
        if user["login"] == login.as_str() {
            return Json(user.clone()).into_response();
        }
        (StatusCode::NOT_FOUND, Json(json!({"message": "Not Found"}))).into_response()
    })
}

async fn repositories(
    State(github): State<Github>,
    headers: HeaderMap,
    Path(login): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    github.checked(&headers, || {
        let rows = github.inner.json["repositories"].as_array().unwrap();
        page(&headers, &format!("/users/{login}/repos"), &asked, rows)
    })
}

async fn commits(
    State(github): State<Github>,
    headers: HeaderMap,
    Path((owner, repo)): Path<(String, String)>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    github.checked(&headers, || {
        let name = format!("{owner}/{repo}");
        let rows = github.inner.json["commits"][&name].as_array().cloned().unwrap_or_default();
        if rows.is_empty() {
            let empty = json!({"message": "Git Repository is empty."});
            return (StatusCode::CONFLICT, Json(empty)).into_response();
        }
        page(&headers, &format!("/repos/{name}/commits"), &asked, &rows)
    })
}
