//! The HTTP API.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pumasi_core::slack::{Callback, SlackHeaders};
use serde::{Deserialize, Serialize};
use support::auth::{Bearer, Caller};
use support::problem::Problem;
use support::query::{Known, bad};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{READER, Service};

type Shared = State<Arc<Service>>;
type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Slack bot", description = "Questions from Slack, answered later; and what is asked most."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(events))
}

/// What people ask.
pub(super) fn people() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(questions))
}

/// Takes what Slack's Events API sends.
///
/// Only the signature is checked and the event stored before it is acknowledged.
#[utoipa::path(post, path = "/slack/events", request_body(content = String, content_type = "application/json"), responses(
    (status = 200, description = "Stored, or the challenge"), (status = 401, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem)))]
async fn events(State(service): Shared, headers: HeaderMap, body: Bytes) -> Answer<Response> {
    let slack = SlackHeaders::read(|name| headers.get(name)?.to_str().ok());
    service.verifier.verify(&slack, &body)?;
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

/// How many questions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// At most so many; 10 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// A question with its count.
#[derive(Serialize, ToSchema)]
struct QuestionRow {
    /// As it was asked first.
    question: String,
    /// How many times it was asked, each event of Slack's counted once.
    asked: i64,
}

/// Lists the questions asked most, but for those that were only asked in private. Takes a reader's token.
#[utoipa::path(get, path = "/questions", params(Limit), security(("bearer" = [])), responses(
    (status = 200, body = Vec<QuestionRow>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem)))]
async fn questions(
    State(service): Shared,
    caller: Caller,
    Known(query): Known<Limit>,
) -> Answer<Json<Vec<QuestionRow>>> {
    caller.require(READER)?;
    let limit = query.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(bad(format!("the limit must be 1 to 100, not {limit}")));
    }
    let asked = service.bot.store.most_asked(limit).await?;
    Ok(Json(asked.into_iter().map(|row| QuestionRow { question: row.words, asked: row.count }).collect()))
}
