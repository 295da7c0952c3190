//! The page: three files, no build step.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Service;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<Arc<Service>> {
    let index = || async { file("text/html; charset=utf-8", include_str!("../page/index.html")) };
    let style = || async { file("text/css; charset=utf-8", include_str!("../page/style.css")) };
    let script = || async { file("text/javascript; charset=utf-8", include_str!("../page/app.js")) };
    Router::new().route("/", get(index)).route("/style.css", get(style)).route("/app.js", get(script))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text)
}
