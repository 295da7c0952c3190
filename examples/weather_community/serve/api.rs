//! What is not about posts, rooms or rewards: who asks, and how the service is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use support::auth::Bearer;
use support::body::Object;
use support::problem::Problem;
use support::ready::Readiness;
use support::telemetry;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::WantsToken;
use super::view::{About, Token};
use super::{LIFETIME, Service};

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Weather community", description = "How the sky looks nearby, warnings with rooms to talk in, missions and coupons."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(token)).routes(routes!(about))
}

/// What machines ask, who are not told to come back later.
pub(super) fn machines() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(healthy)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Answers as is stored for a request.
pub(super) fn replied(answer: pumasi_core::idempotency::Response) -> Response {
    let status = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, "application/json")], answer.into_body()).into_response()
}

/// Hands out a token, in development: where the key is known to others, they sign.
#[utoipa::path(post, path = "/tokens", request_body = WantsToken, responses(
    (status = 201, body = Token), (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn token(
    State(service): Shared,
    Object(wanted): Object<WantsToken>,
) -> Answer<(StatusCode, Json<Token>)> {
    if !service.keys.is_random() {
        let detail = "tokens come from whoever holds the key: weather_community token";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let token = service.keys.issue(&wanted.name, wanted.role.as_str(), LIFETIME)?;
    Ok((StatusCode::CREATED, Json(Token { token })))
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    Json(About { development: service.keys.is_random() })
}

/// Tells that the process lives.
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
async fn healthy() -> StatusCode {
    StatusCode::OK
}

/// Tells whether the service can do its work.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Readiness), (status = 503, body = Problem)))]
async fn ready(State(service): Shared) -> Answer<Json<Readiness>> {
    service.ready.check().await
}

/// Shows the metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(service): Shared) -> Response {
    telemetry::exposition(service.metrics.render())
}
