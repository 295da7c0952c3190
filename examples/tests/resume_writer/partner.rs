//! What stands in for the partner that takes notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Takes signed notices, or hangs for as long as it is told to. What somebody called `refused with 410` did it refuses so.
#[derive(Clone)]
pub(crate) struct Partner {
    pub(crate) url: String,
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    hangs: AtomicBool,
    refused: AtomicUsize,
    got: Mutex<Vec<(String, Value)>>,
}

impl Partner {
    pub(crate) async fn start(hangs: bool) -> Self {
        let inside = Arc::new(Inside { hangs: AtomicBool::new(hangs), ..Inside::default() });
        let router = Router::new().route("/notices", post(take)).with_state(Arc::clone(&inside));
        Self { url: format!("{}/notices", stand_in(router).await), inside }
    }

    pub(crate) fn wake(&self) {
        self.inside.hangs.store(false, Ordering::SeqCst);
    }

    /// How many calls it refused.
    pub(crate) fn refused(&self) -> usize {
        self.inside.refused.load(Ordering::SeqCst)
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
            let told: Value = serde_json::from_str(&body).unwrap();
            if let Some(status) = told["from"].as_str().and_then(|from| from.strip_prefix("refused with ")) {
                inside.refused.fetch_add(1, Ordering::SeqCst);
                return status.parse().unwrap();
            }
            inside.got.lock().unwrap().push((id.to_owned(), told));
            StatusCode::OK
        }
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}
