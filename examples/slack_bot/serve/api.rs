//! What Slack sends.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pumasi_core::slack::{Callback, SlackHeaders};
use support::problem::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;

/// What whoever sends a request that is refused can do next.
const HINT: &str = "sign the request with the app's signing secret, as Slack does, just before it is sent";

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Takes what Slack's Events API sends.
///
/// Only the signature is checked and the event stored before it is acknowledged.
#[utoipa::path(post, path = "/slack/events", request_body(content = String, content_type = "application/json"), responses(
    (status = 200, description = "Stored, or the challenge"), (status = 401, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem)))]
async fn events(State(service): Shared, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let slack = SlackHeaders::read(|name| headers.get(name)?.to_str().ok());
    service.verifier.verify(&slack, &body).map_err(|error| Problem::from(error).with_hint(HINT))?;
    match Callback::parse(&body)? {
        Callback::UrlVerification { challenge } => return Ok(challenge.into_response()),
        Callback::Event(callback) => {
            let accepted = service.bot.accept(&callback).await?;
            let retry = slack.retry();
            tracing::info!(
                event_id = %callback.event_id,
                ?accepted,
                retry = retry.map(|retry| retry.number),
                retry_reason = retry.map(|retry| retry.reason.as_str()),
                "event"
            );
        }
        Callback::RateLimited { minute } => tracing::warn!(minute, "Slack left out events"),
        _ => {}
    }
    Ok(StatusCode::OK.into_response())
}
