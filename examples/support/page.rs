//! A page of three files, and what all pages share: the head and the foot, the style and the script `page/base.js`. No build step,
//! nothing from elsewhere.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing but the page's own files: no inline script, no frame, no form that leaves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `/`, `/style.css` and `/app.js` are; `/base.css` and `/base.js` come with them.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// HTML: the title, and the body but for its foot.
    pub index: &'static str,
    /// CSS, beside what all pages share.
    pub style: &'static str,
    /// JavaScript, a module.
    pub script: &'static str,
}

impl Page {
    /// Serves the files.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let index = Bytes::from(
            [include_str!("page/head.html"), self.index, include_str!("page/foot.html")].concat(),
        );
        Router::new()
            .route("/", get(move || async move { file("text/html; charset=utf-8", index) }))
            .route("/style.css", get(move || async move { file("text/css; charset=utf-8", self.style) }))
            .route("/app.js", get(move || async move { file("text/javascript; charset=utf-8", self.script) }))
            .route(
                "/base.js",
                get(|| async { file("text/javascript; charset=utf-8", include_str!("page/base.js")) }),
            )
            .route(
                "/base.css",
                get(|| async { file("text/css; charset=utf-8", include_str!("page/base.css")) }),
            )
    }
}

fn file(kind: &'static str, text: impl Into<Bytes>) -> impl IntoResponse {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text.into())
}
