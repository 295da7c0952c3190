//! The API of entries, and of orders of places in them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use pumasi_core::event::EventId;
use pumasi_core::time::{Clock as _, SystemClock};
use pumasi_saga::store::{Query, Status};
use pumasi_saga::{Decision, Error, ErrorKind, Snapshot};
use support::auth::Caller;
use support::body::Object;
use support::once::Keyed;
use support::paging::PageOf;
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{NewDecision, NewEntry, NewOrder, OrdersQuery, Partner, Role};
use super::view::{EntryView, OrderView};
use crate::board::{Buyer, Removed};
use crate::entries::Entry;
use crate::orders::{CHARGE, ORDER, OrderKey};
use crate::shop::Order;

/// How many orders of an entry are looked at in one question.
const BUYERS_AT_ONCE: usize = 100;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(entry, remove))
        .routes(routes!(mine, order, withdraw))
        .routes(routes!(orders))
        .routes(routes!(decide))
        .routes(routes!(partner, set_partner))
}

/// Writes a post or a party; or, as a tutor, a project or a lecture. It is found soon after.
///
/// With 404 the same request wrote it before, and it was taken back since.
#[utoipa::path(post, path = "/entries", request_body = NewEntry, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this entry: sent again it is written once.")),
    responses((status = 201, body = EntryView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem)))]
async fn add(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<NewEntry>,
) -> Answer<(StatusCode, Json<EntryView>)> {
    if new.kind.has_places() {
        caller.require(Role::Tutor.as_str())?;
    }
    let keyed = Keyed::of(&headers, caller.name(), "POST /entries", &new)?;
    let entry = new.by(caller.name(), EventId::random().to_string(), SystemClock.now())?;
    let written = service.board.write(&keyed, entry).await?;
    // Sent again, it may have been taken back meanwhile.
    let entry = service.entry(&written.id).await?;
    Ok((StatusCode::CREATED, Json(service.entry_view(entry, None).await?)))
}

/// Shows an entry, how many of its places are free, and to whoever has a token how their own order of it stands.
#[utoipa::path(get, path = "/entries/{id}", params(("id" = String, Path)), security((), ("bearer" = [])), responses(
    (status = 200, body = EntryView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn entry(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    Id(id): Id,
) -> Answer<Json<EntryView>> {
    let entry = service.entry(&id).await?;
    let order = match caller {
        Some(Extension(caller)) if entry.places > 0 => {
            let key = OrderKey { entry: id, person: caller.name().to_string() };
            let found = service.orders.snapshots(&[key]).await?.pop().flatten();
            found.map(|snapshot| snapshot.view.status)
        }
        _ => None,
    };
    Ok(Json(service.entry_view(entry, order).await?))
}

/// Takes an entry back that nobody has ordered, or whose orders were all undone: the author's own, or for an operator any.
#[utoipa::path(delete, path = "/entries/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn remove(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    let entry = service.entry(&id).await?;
    if entry.author != **caller.name() {
        caller.require(Role::Operator.as_str())?;
    }
    let ordered = || Problem::new(StatusCode::CONFLICT, "ordered", "somebody has ordered a place in it");
    let buyers = service.board.buyers(&entry.id).await?;
    if !service.are_undone(&entry.id, &buyers).await? {
        return Err(ordered());
    }
    match service.board.remove(&entry.id, &buyers, SystemClock.now()).await? {
        Removed::Done => Ok(StatusCode::NO_CONTENT),
        Removed::Missing => Err(Problem::not_found("entry")),
        Removed::Ordered => Err(ordered()),
    }
}

/// Shows the caller's order.
#[utoipa::path(get, path = "/entries/{id}/order", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = OrderView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn mine(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<OrderView>> {
    Ok(Json(service.order(&id, caller.name()).await?))
}

/// Orders a place for the caller: holds it, pays for it and confirms it; or undoes all of that, and says why.
///
/// Whoever has an order is told of that one. One that was undone begins anew with `again`.
#[utoipa::path(post, path = "/entries/{id}/order", params(("id" = String, Path)), request_body = NewOrder, security(("bearer" = [])),
    responses((status = 200, body = OrderView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem)))]
async fn order(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewOrder>,
) -> Answer<Json<OrderView>> {
    let entry = service.entry(&id).await?;
    if entry.places == 0 {
        return Err(Problem::new(StatusCode::CONFLICT, "nothing_to_order", "there are no places in this"));
    }
    let key = OrderKey { entry: entry.id.clone(), person: caller.name().to_string() };
    let only_undone = "only an order that was undone begins anew";
    let begun = if new.again {
        service.orders.restart_undone(&key).await
    } else {
        service.shop.places(&entry).await?;
        if !service.shop.note(&key).await? {
            return Err(Problem::not_found("entry"));
        }
        service.orders.start(&key).await
    };
    begun.map_err(|error| in_order_words(error, only_undone))?;
    Ok(Json(service.order(&key.entry, &key.person).await?))
}

/// Takes the caller's order back, as long as it is not confirmed: everything is undone.
///
/// With 409 it is confirmed, or undone, maybe at this moment. With 504 it is at work, and is taken back when it comes to that, unless it is
/// confirmed first: look again.
#[utoipa::path(delete, path = "/entries/{id}/order", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = OrderView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem), (status = 504, body = Problem)))]
async fn withdraw(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<OrderView>> {
    let key = OrderKey { entry: id, person: caller.name().to_string() };
    let decision = Decision::cancel(Arc::clone(caller.name()), "withdrawn by the buyer");
    let decided = service.orders.decide(&key, decision).await;
    decided
        .map_err(|error| in_order_words(error, "an order that is confirmed, or undone, is not taken back"))?;
    Ok(Json(service.order(&key.entry, &key.person).await?))
}

/// Lists orders, the newest first: the caller's, or for an operator everybody's; or, for an operator, those that stand as `status` says.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one. With `status` each page has its newest first.
#[utoipa::path(get, path = "/orders", params(OrdersQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<OrderView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn orders(
    State(service): Shared,
    caller: Caller,
    PageOf(paging, wanted): PageOf<OrdersQuery>,
) -> Answer<(HeaderMap, Json<Vec<OrderView>>)> {
    let (link, orders) = if let Some(status) = wanted.status {
        caller.require(Role::Operator.as_str())?;
        let limit = NonZeroUsize::new(paging.rows()).unwrap_or(NonZeroUsize::MIN);
        let mut query = Query::new().with_saga(ORDER).with_statuses([status]).with_limit(limit);
        if let Some(after) = paging.after_as(|after| after.parse().ok())? {
            query = query.with_after(after);
        }
        let found = service.sagas.query(&query).await?;
        let (link, Json(found)) = paging.page(found, |summary| summary.head.id.to_string());
        let key = |key: &str| serde_json::from_str::<OrderKey>(key).ok();
        let keys: Vec<OrderKey> = found.iter().filter_map(|summary| key(&summary.head.key)).collect();
        (link, service.shop.orders_of(&keys).await?)
    } else {
        let person = (!caller.is(Role::Operator.as_str())).then(|| &**caller.name());
        let orders = service.shop.orders(person, paging.after_id()?, paging.rows()).await?;
        let (link, Json(orders)) = paging.page(orders, |order| order.id.clone());
        (link, orders)
    };
    Ok((link, Json(service.order_views(orders).await?)))
}

/// Decides about an order; who and why are recorded. Takes an operator.
///
/// Where it needs an operator, `retry` fits, and `skip` and `force_done` where it cannot be undone, `force_failed` at a confirmation of which
/// nobody knows whether it happened; `cancel` before the confirmation. What does not fit, or not any more, is a 409. With 504 the order is at
/// work, and has not come to the decision: look again.
#[utoipa::path(post, path = "/orders/{id}/decisions", params(("id" = String, Path)), request_body = NewDecision,
    security(("bearer" = [])), responses((status = 200, body = OrderView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
async fn decide(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewDecision>,
) -> Answer<Json<OrderView>> {
    caller.require(Role::Operator.as_str())?;
    let order = service.shop.order_with(&id).await?.ok_or_else(|| Problem::not_found("order"))?;
    let key = OrderKey { entry: order.entry, person: order.person };
    let decided = service.orders.decide(&key, new.by(caller.name())?).await;
    let too_late = "the decision does not fit where the order stands by now";
    decided.map_err(|error| in_order_words(error, too_late))?;
    Ok(Json(service.order(&key.entry, &key.person).await?))
}

/// Tells how the payment partner is.
#[utoipa::path(get, path = "/partner", responses((status = 200, body = Partner)))]
async fn partner(State(service): Shared) -> Json<Partner> {
    Json(Partner { mood: service.shop.mood() })
}

/// Says how the payment partner is, to see what becomes of orders. Takes an operator.
#[utoipa::path(put, path = "/partner", request_body = Partner, security(("bearer" = [])), responses(
    (status = 200, body = Partner), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn set_partner(
    State(service): Shared,
    caller: Caller,
    Object(wanted): Object<Partner>,
) -> Answer<Json<Partner>> {
    caller.require(Role::Operator.as_str())?;
    service.shop.set_mood(wanted.mood);
    tracing::warn!(mood = ?wanted.mood, "the payment partner was changed");
    Ok(Json(wanted))
}

/// Tells whoever ordered of an error of the engine that drives orders, which speaks of what it drives.
fn in_order_words(error: Error, conflict: &str) -> Problem {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        return Problem::not_found("order");
    }
    let mut problem = Problem::from(error);
    problem.detail = match kind {
        ErrorKind::InvalidInput => problem.detail,
        ErrorKind::Conflict => conflict.to_owned(),
        ErrorKind::Overloaded | ErrorKind::Timeout => {
            "the order is at work: look again in a moment".to_owned()
        }
        _ => "orders cannot be worked on".to_owned(),
    };
    problem
}

impl Service {
    async fn entry(&self, id: &str) -> Answer<Entry> {
        self.board.entry(id).await?.ok_or_else(|| Problem::not_found("entry"))
    }

    async fn entry_view(&self, entry: Entry, order: Option<Status>) -> Answer<EntryView> {
        let places = self.shop.places(&entry).await?;
        Ok(EntryView::of(entry, places, order))
    }

    async fn order(&self, entry: &str, person: &str) -> Answer<OrderView> {
        let order = self.shop.order(entry, person).await?.ok_or_else(|| Problem::not_found("order"))?;
        self.order_views(vec![order]).await?.pop().ok_or_else(|| Problem::not_found("order"))
    }

    /// Tells whether everything that these people ordered of an entry was undone.
    async fn are_undone(&self, entry: &str, buyers: &[Buyer]) -> Answer<bool> {
        let key = |(person, _): &Buyer| OrderKey { entry: entry.to_owned(), person: person.clone() };
        for buyers in buyers.chunks(BUYERS_AT_ONCE) {
            let found = self.orders.snapshots(&buyers.iter().map(key).collect::<Vec<_>>()).await?;
            let is_undone = |found: &Option<Snapshot>| {
                found.as_ref().is_some_and(|order| order.view.status == Status::Compensated)
            };
            if !found.iter().all(is_undone) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How orders stand, by one question to the sagas and one to the charges.
    async fn order_views(&self, orders: Vec<Order>) -> Answer<Vec<OrderView>> {
        let key = |order: &Order| OrderKey { entry: order.entry.clone(), person: order.person.clone() };
        let snapshots = self.orders.snapshots(&orders.iter().map(key).collect::<Vec<_>>()).await?;
        // One whose process died before it began was never acknowledged.
        let begun = orders.into_iter().zip(snapshots).filter_map(|(order, found)| Some((order, found?)));
        let begun: Vec<(Order, Snapshot)> = begun.collect();
        let charging = |snapshot: &Snapshot| {
            let step = snapshot.steps.iter().find(|step| &*step.name == CHARGE)?;
            Some(step.key.clone())
        };
        let keys: Vec<String> = begun.iter().filter_map(|(_, snapshot)| charging(snapshot)).collect();
        let charges = self.shop.charges(&keys).await?;
        let view = |(order, snapshot): (Order, Snapshot)| {
            let charge = charging(&snapshot).and_then(|key| charges.get(&key));
            OrderView::of(order, &snapshot, charge)
        };
        Ok(begun.into_iter().map(view).collect::<pumasi_core::Result<_>>()?)
    }
}
