//! What people ask most, and what could not be answered.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use support::auth::{Bearer, Caller};
use support::problem::Problem;
use support::query::{Known, bad};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{Answer, Shared};
use super::{Role, Service};

#[derive(OpenApi)]
#[openapi(
    info(title = "Slack bot", description = "Questions from Slack, answered later; what is asked most, and what could not be answered."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<std::sync::Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(about))
        .routes(routes!(questions))
        .routes(routes!(waiting))
}

/// How the service is set up.
#[derive(Serialize, ToSchema)]
struct About {
    /// A name is enough for a token: what is asked is played, too.
    development: bool,
    /// Slack is played on the page.
    plays_slack: bool,
    /// The model that answers; `null` where there is only the list of prepared answers.
    model: Option<String>,
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    let plays_slack = service.play.is_some();
    Json(About { development: service.keys.hands_out(), plays_slack, model: service.model.clone() })
}

/// How many questions to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// At most so many; 10 if left out.
    #[param(minimum = 1, maximum = 100, default = 10)]
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
    reads(&caller)?;
    let limit = query.limit.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(bad(format!("the limit must be 1 to 100, not {limit}")));
    }
    let asked = service.bot.store.most_asked(limit).await?;
    Ok(Json(asked.into_iter().map(|row| QuestionRow { question: row.words, asked: row.count }).collect()))
}

/// An operator may whatever a reader may.
fn reads(caller: &Caller) -> Answer<()> {
    if caller.is(Role::Operator.as_str()) { Ok(()) } else { caller.require(Role::Reader.as_str()) }
}

/// What is not answered yet.
#[derive(Serialize, ToSchema)]
struct Waiting {
    /// Questions whose answer is not in Slack: under way, waiting for Slack or the model, or put aside.
    waiting: i64,
}

/// Tells how many questions are not answered yet. Takes a reader's token.
#[utoipa::path(get, path = "/questions/waiting", security(("bearer" = [])), responses(
    (status = 200, body = Waiting), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn waiting(State(service): Shared, caller: Caller) -> Answer<Json<Waiting>> {
    reads(&caller)?;
    Ok(Json(Waiting { waiting: service.bot.store.waiting().await? }))
}
