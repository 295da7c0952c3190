//! The API of the search, and of the engines behind it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pumasi_search::{Query, Rank, Sort};
use support::auth::Caller;
use support::body::Object;
use support::problem::Problem;
use support::query::{Id, Known, bad, limit};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{Asked, Cut, Order, Role};
use super::view::{EngineRow, Found};
use crate::cable::Cable;
use crate::entries::{CATEGORY, KIND, LANG, LIKES};

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(engines)).routes(routes!(cut))
}

/// Finds posts, parties, projects and lectures, from whichever engine answers, and says which.
///
/// `next` leads to the next page: it is signed, and belongs to this query.
#[utoipa::path(get, path = "/search", params(Asked), responses(
    (status = 200, body = Found), (status = 400, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
    (status = 504, body = Problem)))]
async fn search(State(service): Shared, Known(asked): Known<Asked>) -> Answer<Json<Found>> {
    let words = asked.words()?;
    let mut query = match words {
        "" => Query::everything(),
        words if asked.typing => Query::new(words).with_typos().as_you_type(),
        words => Query::new(words).with_typos(),
    };
    let kind = asked.kind.map(|kind| KIND.eq(kind.as_str()));
    let category = asked.category.map(|category| CATEGORY.eq(category.as_str()));
    let lang = asked.lang.map(|lang| LANG.eq(lang.as_str()));
    for filter in kind.into_iter().chain(category).chain(lang) {
        query = query.with_filter(filter);
    }
    if asked.order == Order::Likes {
        query = query.with_rank(Rank::sorted([Sort::descending(&LIKES)]));
    }
    query = query.with_limit(limit(asked.limit)?).with_facet(&KIND, 10).with_facet(&CATEGORY, 10);
    if let Some(after) = &asked.after {
        let cursor = service.cursors.open(after).map_err(|error| bad(error.message()))?;
        query = query.after(cursor);
    }
    let served = service.engines.search.search(query.with_highlight()).await?;
    Ok(Json(Found::of(served, &service.cursors)?))
}

/// Shows how the engines stand, the primary first.
#[utoipa::path(get, path = "/engines", responses((status = 200, body = Vec<EngineRow>)))]
async fn engines(State(service): Shared) -> Json<Vec<EngineRow>> {
    let lines = [service.engines.primary.line(), service.engines.fallback.line()];
    let states = service.engines.search.engines().into_iter().zip(lines);
    Json(states.map(|(state, line)| EngineRow::of(state, line)).collect())
}

/// Cuts an engine off, `primary` or `fallback`, or lets it back in. Takes an operator.
///
/// Neither questions nor changes reach it then; changes wait, and are applied when it is back.
#[utoipa::path(put, path = "/engines/{engine}", params(("engine" = String, Path, description = "`primary` or `fallback`")),
    request_body = Cut, security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn cut(
    State(service): Shared,
    caller: Caller,
    Id(engine): Id,
    Object(wanted): Object<Cut>,
) -> Answer<StatusCode> {
    caller.require(Role::Operator.as_str())?;
    let engine: &Cable = match &*engine {
        "primary" => &service.engines.primary,
        "fallback" => &service.engines.fallback,
        _ => return Err(Problem::not_found("engine")),
    };
    engine.set(wanted.line);
    tracing::warn!(?engine, "an engine was cut off, or let back in");
    Ok(StatusCode::NO_CONTENT)
}
