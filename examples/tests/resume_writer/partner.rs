//! What stands in for the partner that takes notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use support::webhook::Secret;

use super::desk::stand_in;

pub(crate) const SECRET: &str = "a secret of the partner and ours";

/// Takes signed notices, or hangs for as long as it is told to.
#[derive(Clone)]
pub(crate) struct Partner {
    pub(crate) url: String,
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    hangs: AtomicBool,
    got: Mutex<Vec<(String, Value)>>,
}

impl Partner {
    pub(crate) async fn start(hangs: bool) -> Self {
        let inside = Arc::new(Inside { hangs: AtomicBool::new(hangs), got: Mutex::default() });
        let router = Router::new().route("/notices", post(take)).with_state(Arc::clone(&inside));
        Self { url: format!("{}/notices", stand_in(router).await), inside }
    }

    pub(crate) fn wake(&self) {
        self.inside.hangs.store(false, Ordering::SeqCst);
    }

    /// The ids and bodies that it was told.
    pub(crate) fn got(&self) -> Vec<(String, Value)> {
        self.inside.got.lock().unwrap().clone()
    }
}

async fn take(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: String) -> StatusCode {
    if inside.hangs.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_mins(5)).await;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match Secret::new(SECRET).unwrap().verify(&headers, body.as_bytes(), now) {
        Ok(id) => {
            inside.got.lock().unwrap().push((id.to_owned(), serde_json::from_str(&body).unwrap()));
            StatusCode::OK
        }
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}
