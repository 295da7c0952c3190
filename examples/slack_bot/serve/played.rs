//! The Slack that is played: a channel where anybody may ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use support::body::Object;
use support::problem::Problem;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use crate::play::{Play, Thread};

/// The longest question, in characters.
const LONGEST: usize = 2_000;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(threads, ask)).routes(routes!(channel, let_in))
}

fn played(service: &Service) -> Answer<&Play> {
    service.play.as_ref().ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "no Slack is played here: it is a real one")
    })
}

/// What somebody says in the channel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    #[schema(min_length = 1, max_length = 2000)]
    text: String,
}

/// A question in the channel, with what stands in its thread.
#[derive(Serialize, ToSchema)]
struct ThreadRow {
    thread: String,
    question: String,
    /// How long the bot took to acknowledge it.
    acknowledged_ms: f64,
    answers: Vec<String>,
}

impl From<Thread> for ThreadRow {
    fn from(Thread { ts, question, acknowledged, answers }: Thread) -> Self {
        let acknowledged_ms = acknowledged.as_secs_f64() * 1_000.0;
        Self { thread: ts, question, acknowledged_ms, answers }
    }
}

/// Asks the bot as Slack would hand it on, signed and over HTTP.
#[utoipa::path(post, path = "/played/questions", request_body = Said, responses(
    (status = 201, body = ThreadRow), (status = 400, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
async fn ask(State(service): Shared, Object(said): Object<Said>) -> Answer<(StatusCode, Json<ThreadRow>)> {
    let play = played(&service)?;
    let text = said.text.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(Problem::invalid(format!("a question has 1 to {LONGEST} characters")));
    }
    Ok((StatusCode::CREATED, Json(play.ask(text).await?.into())))
}

/// Lists what was asked in the channel last, with the answers.
#[utoipa::path(get, path = "/played/questions", responses((status = 200, body = Vec<ThreadRow>), (status = 404, body = Problem)))]
async fn threads(State(service): Shared) -> Answer<Json<Vec<ThreadRow>>> {
    Ok(Json(played(&service)?.threads().into_iter().map(Into::into).collect()))
}

/// Whether the bot is in the channel; what it posts into one that it is not in is refused.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Channel {
    has_bot: bool,
}

/// Tells whether the bot is in the channel.
#[utoipa::path(get, path = "/played/channel", responses((status = 200, body = Channel), (status = 404, body = Problem)))]
async fn channel(State(service): Shared) -> Answer<Json<Channel>> {
    Ok(Json(Channel { has_bot: played(&service)?.is_in() }))
}

/// Throws the bot out of the channel, or invites it again.
#[utoipa::path(put, path = "/played/channel", request_body = Channel, responses(
    (status = 200, body = Channel), (status = 400, body = Problem), (status = 404, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn let_in(State(service): Shared, Object(wanted): Object<Channel>) -> Answer<Json<Channel>> {
    played(&service)?.let_in(wanted.has_bot);
    Ok(Json(wanted))
}
