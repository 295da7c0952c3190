//! The API of warnings and their rooms.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use support::auth::Caller;
use support::body::Object;
use support::client::Client;
use support::listeners::Whose;
use support::paging::{PageOf, PageQuery, Paging};
use support::problem::Problem;
use support::query::{Id, Known};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{Answer, Shared};
use super::input::{LiveQuery, NewMessage, NewWarning, Role, WarningsQuery, number, position};
use super::view::{MessageView, WarningView};
use super::{Service, live};
use crate::warnings::Warning;

/// How many messages somebody sees who comes into a room.
const HISTORY: usize = 100;
/// For how long a warning that was lifted is listed for whoever wants those, too.
const LISTED: Duration = Duration::from_hours(24);
/// What is spoken by WebSocket, to whoever offers protocols.
const PROTOCOL: &str = "room";

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(warnings, issue))
        .routes(routes!(warning, lift))
        .routes(routes!(messages, say))
}

/// What goes on for as long as somebody listens.
pub(super) fn endless() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(listen))
}

/// Lists the warnings in force, the newest first; with `lifted` also those that were lifted within the last 24 hours.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/warnings", params(WarningsQuery), responses((status = 200, body = Vec<WarningView>), (status = 400, body = Problem)))]
async fn warnings(
    State(service): Shared,
    PageOf(paging, wanted): PageOf<WarningsQuery>,
) -> Answer<(HeaderMap, Json<Vec<WarningView>>)> {
    let region = wanted.region.map(crate::region::Region::as_str);
    let warnings = &service.community.warnings;
    let lifted = wanted.lifted.then_some(LISTED);
    let found = warnings.list(region, lifted, paging.after_number()?, paging.rows()).await?;
    Ok(paging.page_of(found, |warning| warning.id.to_string(), Into::into))
}

/// Issues a warning, and opens its room. Takes a forecaster.
///
/// Of a kind a region has one warning at a time: issued again, the one in force is answered, with 200; with another text it is refused.
#[utoipa::path(post, path = "/warnings", request_body = NewWarning, security(("bearer" = [])), responses(
    (status = 201, body = WarningView), (status = 200, body = WarningView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem)))]
async fn issue(
    State(service): Shared,
    caller: Caller,
    Object(new): Object<NewWarning>,
) -> Answer<(StatusCode, Json<WarningView>)> {
    caller.require(Role::Forecaster.as_str())?;
    let (region, kind) = (new.region.as_str(), new.kind.as_str());
    let text = new.text()?;
    let (warning, is_new) = service.community.warnings.issue(region, kind, text, caller.name()).await?;
    if warning.text != text {
        let detail = "a warning of this kind with another text is in force in the region";
        let hint = "lift the one in force before you issue another";
        let mut problem = Problem::new(StatusCode::CONFLICT, "another_in_force", detail);
        problem.hint = hint.into();
        return Err(problem);
    }
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(warning.into())))
}

/// Shows a warning, in force or lifted.
#[utoipa::path(get, path = "/warnings/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = WarningView), (status = 404, body = Problem)))]
async fn warning(State(service): Shared, Id(id): Id) -> Answer<Json<WarningView>> {
    Ok(Json(service.warning(&id).await?.into()))
}

/// Lifts a warning: its room can be read from then on. Takes a forecaster.
#[utoipa::path(delete, path = "/warnings/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = WarningView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn lift(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<WarningView>> {
    caller.require(Role::Forecaster.as_str())?;
    let warning = service.community.warnings.lift(number(&id, "warning")?).await?;
    Ok(Json(warning.into()))
}

/// Shows what was said in a warning's room: the last 100 messages, or those after a number, in their order.
#[utoipa::path(get, path = "/warnings/{id}/messages", params(("id" = String, Path), PageQuery), responses(
    (status = 200, body = Vec<MessageView>), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn messages(State(service): Shared, Id(id): Id, paging: Paging) -> Answer<Json<Vec<MessageView>>> {
    let (limit, after) = (paging.limit(), paging.after_number()?);
    let warning = service.warning(&id).await?;
    let room = warning.room();
    let rooms = &service.community.rooms;
    let messages = match after {
        Some(after) => rooms.after(&room, u64::try_from(after).unwrap_or(0), limit).await?,
        None => rooms.last(&room, limit).await?,
    };
    // Another process may have written what it then refused.
    let messages = messages.into_iter().filter(|message| warning.lifted_at.is_none_or(|at| message.at <= at));
    Ok(Json(messages.map(Into::into).collect()))
}

/// Says something in a warning's room, for as long as the warning is in force.
///
/// Sent again under its `id` it is said once, and answered alike, also when the warning is lifted by then.
#[utoipa::path(post, path = "/warnings/{id}/messages", params(("id" = String, Path)), request_body = NewMessage, security(("bearer" = [])),
    responses((status = 201, body = MessageView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn say(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewMessage>,
) -> Answer<(StatusCode, Json<MessageView>)> {
    let message = new.by(caller.name())?;
    let warnings = &service.community.warnings;
    let speaking = warnings.speaking().await;
    let warning = service.warning(&id).await?;
    let rooms = &service.community.rooms;
    let said = match warning.must_be_in_force() {
        Ok(()) => rooms.say(&warning.room(), &message).await?,
        // What was said in time is answered as it was then.
        Err(closed) => rooms.said(&warning.room(), &message).await?.ok_or(closed)?,
    };
    drop(speaking);
    warnings.was_in_force(warning.id, said.at).await?;
    Ok((StatusCode::CREATED, Json(said.into())))
}

/// Listens to a warning's room by WebSocket: the last 100 messages, or those after a number, and then what is said.
///
/// Each frame is a text, one message as JSON as `GET /warnings/{id}/messages` shows it; each comes once, in the order of the numbers.
/// Whoever lost the connection goes on after the last number that came. People speak by `POST`.
///
/// One may listen 20 times at once with a token, and 50 times from one network without; when very many listen, there still is room for
/// those with one. A browser, which sends no header of its own here, offers the protocols `room` and `bearer.` with the token.
#[utoipa::path(get, path = "/warnings/{id}/live", params(("id" = String, Path), LiveQuery), responses(
    (status = 101), (status = 400, body = Problem), (status = 404, body = Problem), (status = 426, body = Problem), (status = 429, body = Problem),
    (status = 503, body = Problem)))]
async fn listen(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    client: Option<Extension<Client>>,
    Id(id): Id,
    Known(query): Known<LiveQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let after = position(query.after.as_deref())?;
    let room = service.warning(&id).await?.room();
    let upgrade = upgrade
        .map_err(|error| Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", error.body_text()))?;
    let whose = Whose::of(caller.as_deref(), client.map(|Extension(client)| client));
    let place = service.listeners.admit(&whose)?;
    let history = match after {
        Some(_) => Vec::new(),
        None => service.community.rooms.last(&room, HISTORY).await?,
    };
    let position = history.last().map_or_else(|| after.map_or(0, i64::unsigned_abs), |last| last.number);
    let listener = service.community.rooms.listen(&room, position)?;
    let shutdown = service.shutdown.clone();
    // Nobody is to send anything but the control frames.
    Ok(upgrade
        .max_message_size(4 * 1024)
        .protocols([PROTOCOL])
        .on_upgrade(move |socket| live::send(socket, history, listener, shutdown, place)))
}

impl Service {
    async fn warning(&self, id: &str) -> Answer<Warning> {
        Ok(self.community.warnings.warning(number(id, "warning")?).await?)
    }
}
