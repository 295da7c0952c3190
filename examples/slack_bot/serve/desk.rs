//! What people ask most, and what could not be answered.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use pumasi_core::event::{EventBus as _, EventId, Page};
use serde::{Deserialize, Serialize};
use support::auth::{Caller, Token};
use support::body::Object;
use support::language::Said;
use support::problem::Problem;
use support::query::{Known, bad, limit, next_page};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{Answer, Shared};
use super::{Role, SESSION, Service};
use crate::bot::GROUP;

pub(super) fn router() -> OpenApiRouter<std::sync::Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(about))
        .routes(routes!(token))
        .routes(routes!(questions))
        .routes(routes!(waiting))
        .routes(routes!(put_aside))
        .routes(routes!(deliver_again))
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
    let development = plays_slack && service.keys.is_random();
    Json(About { development, plays_slack, model: service.model.clone() })
}

/// Who wants a token, and for what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantsToken {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    role: Role,
}

/// Hands out a token where Slack is played: what people ask in a real one is for those who have a token from elsewhere.
#[utoipa::path(post, path = "/tokens", request_body = WantsToken, responses(
    (status = 201, body = Token), (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn token(
    State(service): Shared,
    Object(wanted): Object<WantsToken>,
) -> Answer<(StatusCode, Json<Token>)> {
    if service.play.is_none() {
        let detail = "tokens come from whoever holds the key: slack_bot token";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    service.keys.hand_out(&wanted.name, wanted.role.as_str(), SESSION)
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

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Paging {
    /// The position that the page before ended with.
    after: Option<u64>,
    /// At most so many; 100 if left out.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u16>,
}

/// A question that was put aside; of what it says there is nothing here.
#[derive(Serialize, ToSchema)]
struct AsideRow {
    id: String,
    position: u64,
    /// When (RFC 3339).
    at: String,
    attempts: u32,
    /// The kind of the failure.
    kind: String,
    /// What was tried, and how it failed; in the language of whoever asks.
    #[schema(value_type = String)]
    reason: Said,
}

/// Lists the questions that were put aside. Takes an operator's token.
#[utoipa::path(get, path = "/put-aside", params(Paging), security(("bearer" = [])), responses(
    (status = 200, body = Vec<AsideRow>, headers(("Link" = String, description = "The next page, if there may be one"))),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn put_aside(
    State(service): Shared,
    caller: Caller,
    RawQuery(raw): RawQuery,
    Known(query): Known<Paging>,
) -> Answer<(HeaderMap, Json<Vec<AsideRow>>)> {
    caller.require(Role::Operator.as_str())?;
    let limit = NonZeroUsize::new(limit(query.limit)?).unwrap_or(NonZeroUsize::MIN);
    let page = Page { after: query.after.unwrap_or(0), limit };
    let letters = service.bot.bus.dead_letters(GROUP, page).await?;
    let last = letters.last().filter(|_| letters.len() == limit.get());
    let link = last.map(|last| next_page("/put-aside", raw.as_deref(), &last.position.to_string()));
    let rows = letters.into_iter().map(|letter| AsideRow {
        id: letter.event.id.to_string(),
        position: letter.position,
        at: letter.at.to_string(),
        attempts: letter.attempts,
        kind: letter.reason.kind,
        reason: Said(letter.reason.message),
    });
    Ok((link.unwrap_or_default(), Json(rows.collect())))
}

/// What to deliver again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Of the list of what was put aside.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500)]
    ids: Vec<String>,
}

/// What is delivered again.
#[derive(Serialize, ToSchema)]
struct Delivered {
    /// How many of them were put aside until now.
    delivered: usize,
}

/// Delivers questions again that were put aside, their attempts counted anew. Takes an operator's token.
#[utoipa::path(post, path = "/put-aside/deliver-again", request_body = Again, security(("bearer" = [])), responses(
    (status = 200, body = Delivered), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn deliver_again(
    State(service): Shared,
    caller: Caller,
    Object(wanted): Object<Again>,
) -> Answer<Json<Delivered>> {
    caller.require(Role::Operator.as_str())?;
    if !(1..=500).contains(&wanted.ids.len()) {
        return Err(Problem::invalid("`ids` has 1 to 500 entries"));
    }
    let ids: Vec<EventId> = wanted
        .ids
        .iter()
        .map(|id| {
            id.parse()
                .map_err(|_| Problem::invalid("an entry of `ids` is no id of a list of what was put aside"))
        })
        .collect::<Answer<_>>()?;
    Ok(Json(Delivered { delivered: service.bot.bus.replay(GROUP, &ids).await? }))
}
