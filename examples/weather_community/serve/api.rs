//! What is not about posts, rooms or rewards: who asks, and how the service is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use support::auth::{Bearer, Token};
use support::body::Object;
use support::problem::Problem;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::WantsToken;
use super::view::About;
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

/// Hands out a token, in development: where the key is known to others, they sign.
#[utoipa::path(post, path = "/tokens", request_body = WantsToken, responses(
    (status = 201, body = Token), (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn token(
    State(service): Shared,
    Object(wanted): Object<WantsToken>,
) -> Answer<(StatusCode, Json<Token>)> {
    service.keys.hand_out(&wanted.name, wanted.role.as_str(), LIFETIME)
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    Json(About { development: service.keys.is_random() })
}
