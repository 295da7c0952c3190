//! The API of missions and coupons.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use futures_util::FutureExt as _;
use support::auth::Caller;
use support::body::Object;
use support::once::Keyed;
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{NewDrop, NewMission, NewProof, Role, number};
use super::view::{CouponView, DropView, MissionView, ProofView};

pub(super) fn router() -> OpenApiRouter<std::sync::Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(missions, add_mission))
        .routes(routes!(prove))
        .routes(routes!(drops, add_drop))
        .routes(routes!(ask))
}

/// Lists missions, the newest first, and which of them the caller has proven.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/missions", params(PageQuery), responses((status = 200, body = Vec<MissionView>), (status = 400, body = Problem)))]
async fn missions(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<MissionView>>)> {
    let person = caller.as_ref().map_or("", |Extension(caller)| &**caller.name());
    let missions = service.community.missions.list(person, paging.after_number()?, paging.rows()).await?;
    Ok(paging.page_of(missions, |mission| mission.id.to_string(), MissionView::from))
}

/// Makes a mission. Takes a forecaster.
#[utoipa::path(post, path = "/missions", request_body = NewMission, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this mission: sent again it is made once.")),
    responses((status = 201, body = MissionView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn add_mission(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<NewMission>,
) -> Answer<(StatusCode, Json<MissionView>)> {
    caller.require(Role::Forecaster.as_str())?;
    let keyed = Keyed::of(&headers, caller.name(), "POST /missions", &new)?;
    let ((title, circle), missions) = (new.read()?, service.community.missions.clone());
    let made = service.community.once.run(&keyed, move |connection| {
        async move { Ok(MissionView::from(missions.insert(connection, title, circle).await?)) }.boxed()
    });
    Ok((StatusCode::CREATED, Json(made.await?.value)))
}

/// Proves a mission by being there: once a person.
///
/// The same proof again is answered alike, with 200; another one is refused.
#[utoipa::path(put, path = "/missions/{id}/proof", params(("id" = String, Path)), request_body = NewProof, security(("bearer" = [])), responses(
    (status = 201, body = ProofView), (status = 200, body = ProofView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem)))]
async fn prove(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewProof>,
) -> Answer<(StatusCode, Json<ProofView>)> {
    let (mission, (place, note)) = (number(&id, "mission")?, new.read()?);
    let proof = service.community.missions.prove(mission, caller.name(), place, note).await?;
    let status = if proof.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(proof.into())))
}

/// Lists drops of coupons, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/drops", params(PageQuery), responses((status = 200, body = Vec<DropView>), (status = 400, body = Problem)))]
async fn drops(State(service): Shared, paging: Paging) -> Answer<(HeaderMap, Json<Vec<DropView>>)> {
    let drops = service.community.drops.list(paging.after_number()?, paging.rows()).await?;
    let (link, Json(drops)) = paging.page(drops, |drop| drop.id.to_string());
    let places = service.community.drops.places_of(&drops).await?;
    Ok((link, Json(drops.into_iter().zip(places).map(|(drop, places)| DropView::of(drop, places)).collect())))
}

/// Opens a drop of coupons, first come, first served. Takes a forecaster.
#[utoipa::path(post, path = "/drops", request_body = NewDrop, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this drop: sent again it is made once.")),
    responses((status = 201, body = DropView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn add_drop(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<NewDrop>,
) -> Answer<(StatusCode, Json<DropView>)> {
    caller.require(Role::Forecaster.as_str())?;
    let keyed = Keyed::of(&headers, caller.name(), "POST /drops", &new)?;
    let ((title, places), drops) = (new.read()?, service.community.drops.clone());
    let made = service.community.once.run(&keyed, move |connection| {
        async move { Ok(DropView::of(drops.insert(connection, title, places).await?, None)) }.boxed()
    });
    Ok((StatusCode::CREATED, Json(made.await?.value)))
}

/// Asks for a coupon of a drop: one a person, to those who come first.
///
/// Whoever has one is told it again. With 409 there is none left.
#[utoipa::path(post, path = "/drops/{id}/coupon", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = CouponView), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn ask(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<CouponView>> {
    let coupon = service.community.drops.ask(number(&id, "drop")?, caller.name()).await?;
    let outcome = match coupon {
        Some((_, true)) => "granted",
        Some((_, false)) => "again",
        None => "none_left",
    };
    metrics::counter!("weather_coupons_total", "outcome" => outcome).increment(1);
    let none_left = || Problem::new(StatusCode::CONFLICT, "none_left", "all coupons of this drop are taken");
    coupon.map(|(coupon, _)| Json(coupon.into())).ok_or_else(none_left)
}
