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
    info(
        title = "Developers' search",
        description = "Posts, parties, projects and lectures of developers, found also when the engine is gone; orders of places, and todos."
    ),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
}
