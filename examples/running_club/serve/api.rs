//! How the club is set up, and what the routes have in common.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use support::auth::Bearer;
use support::problem::Problem;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::view::About;

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Running club", description = "Runs in; leaderboards, achievements, recaps and notices out."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(about))
}

/// Tells how the club is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    Json(About {
        development: service.keys.hands_out(),
        zone: service.club.calendar.zone().to_owned(),
        slack: service.has_slack,
    })
}
