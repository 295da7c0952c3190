//! What the routes have in common.

use std::sync::Arc;

use axum::extract::State;
use support::auth::Bearer;
use support::problem::Problem;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Service;

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Weather community", description = "How the sky looks nearby, warnings with rooms to talk in, missions and coupons."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
}
