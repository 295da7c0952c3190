//! What machines ask of every service: whether it lives, whether it can do its work, and its metrics.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::ready::{Readiness, Ready};
use crate::telemetry;

struct Machines {
    ready: Ready,
    metrics: Option<PrometheusHandle>,
}

/// Answers `/healthz`, `/readyz` and `/metrics`, with their place in the OpenAPI document; for whoever is not told to come back later.
pub fn router<S>(readiness: Ready, collected: impl Into<Option<PrometheusHandle>>) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let machines = Arc::new(Machines { ready: readiness, metrics: collected.into() });
    OpenApiRouter::new()
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .with_state(machines)
}

/// Tells that the process lives.
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
async fn healthy() -> StatusCode {
    StatusCode::OK
}

/// Tells whether the service can do its work, and what is down.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Readiness), (status = 503, body = Problem)))]
async fn ready(State(machines): State<Arc<Machines>>) -> Result<Json<Readiness>, Problem> {
    machines.ready.check().await
}

/// Shows the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(machines): State<Arc<Machines>>) -> Response {
    let rendered = machines.metrics.as_ref().map(PrometheusHandle::render);
    telemetry::exposition(rendered.unwrap_or_default())
}
