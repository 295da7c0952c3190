//! The HTTP API: races, the runner's one endpoint, and payments.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use pumasi_core::ErrorKind;
use pumasi_core::event::EventId;
use pumasi_saga::store::Status;
use pumasi_saga::{Decision, Signal};
use serde_json::{Value, json};
use support::auth::{self, Bearer, Caller};
use support::body::Object;
use support::decision::reason;
use support::once::{self, Keyed};
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::{Id, Ids};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::books::{Bar, Paid, Race};
use super::input::{CompletedEvent, EventType, GatewayEvent, NewBar, NewRace, Role, RunnersAnswer, Said};
use super::view::{About, DrawView, PaymentView, RaceView, Received, RegistrationView, WITHDRAWN};
use crate::saga::{PaymentCompleted, RegistrationKey};

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Race registration", description = "Races, and registrations that are taken to their end, or back."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(races, add_race))
        .routes(routes!(race))
        .routes(routes!(barred))
        .routes(routes!(bar, unbar))
        .routes(routes!(drawn, draw))
        .routes(routes!(mine, register, withdraw))
        .routes(routes!(pay))
        .routes(routes!(about))
}

/// What the payment gateway calls, which signs, and is not told to come back later.
pub(super) fn gateway() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(webhook))
}

/// Lists races, those made last first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/races", params(PageQuery), responses((status = 200, body = Vec<RaceView>), (status = 400, body = Problem)))]
async fn races(State(service): Shared, paging: Paging) -> Answer<(HeaderMap, Json<Vec<RaceView>>)> {
    let races = service.books.races(paging.after_id()?, paging.rows()).await?;
    let (link, Json(races)) = paging.page(races, |(race, _)| race.id.clone());
    let views = races.into_iter().map(|(race, places)| RaceView::of(race, places));
    Ok((link, Json(views.collect::<Result<_, _>>()?)))
}

/// Makes a race; sent again under the same `Idempotency-Key`, the same. Takes an organiser.
#[utoipa::path(post, path = "/races", request_body = NewRace, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this race, 1 to 255 characters.")), responses(
    (status = 201, body = RaceView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn add_race(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<NewRace>,
) -> Answer<(StatusCode, Json<RaceView>)> {
    caller.require(Role::Organiser.as_str())?;
    // Its places are of the sagas' books, and in no transaction with its row.
    let key = Keyed::of(&headers, caller.name(), "POST /races", &())?.name("race").to_string();
    let wanted = new.into_race(caller.name())?;
    let race = service.books.add(&key, wanted.clone()).await?;
    if !race.is_as(&wanted) {
        return Err(once::used_for_another());
    }
    Ok((StatusCode::CREATED, Json(service.race_view(race).await?)))
}

/// Shows a race.
#[utoipa::path(get, path = "/races/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = RaceView), (status = 404, body = Problem)))]
async fn race(State(service): Shared, Id(id): Id) -> Answer<Json<RaceView>> {
    let race = service.books.race(&id).await?;
    Ok(Json(service.race_view(race).await?))
}

/// Lists who is barred from a race, and why, in the order of their names. Takes the race's organiser.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/races/{id}/barred", params(("id" = String, Path), PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<Bar>), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
async fn barred(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<Bar>>)> {
    let race = service.own_race(&caller, &id).await?;
    let after = paging.after_id()?.unwrap_or_default();
    let bars = service.books.barred(&race.id, after, paging.rows()).await?;
    Ok(paging.page(bars, |bar| bar.runner.clone()))
}

/// Bars a runner from a race: a registration is undone when it comes to that. Takes the race's organiser.
#[utoipa::path(put, path = "/races/{id}/barred/{runner}", params(("id" = String, Path), ("runner" = String, Path)),
    request_body = NewBar, security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn bar(
    State(service): Shared,
    caller: Caller,
    Ids(race, runner): Ids,
    Object(new): Object<NewBar>,
) -> Answer<StatusCode> {
    let race = service.own_race(&caller, &race).await?;
    service.books.bar(&race.id, auth::name(&runner)?, caller.name(), reason(&new.why)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a runner in again who was barred; what was undone stays undone until the runner begins anew. Takes the race's organiser.
#[utoipa::path(delete, path = "/races/{id}/barred/{runner}", params(("id" = String, Path), ("runner" = String, Path)),
    security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
async fn unbar(State(service): Shared, caller: Caller, Ids(race, runner): Ids) -> Answer<StatusCode> {
    let race = service.own_race(&caller, &race).await?;
    let no_bar = || Problem::not_found("bar");
    let runner = auth::name(&runner).map_err(|_| no_bar())?;
    if !service.books.unbar(&race.id, runner).await? {
        return Err(no_bar());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Shows a draw, with all that is needed to draw again.
#[utoipa::path(get, path = "/races/{id}/draw", params(("id" = String, Path)), responses(
    (status = 200, body = DrawView), (status = 404, body = Problem)))]
async fn drawn(State(service): Shared, Id(id): Id) -> Answer<Json<DrawView>> {
    let race = service.books.race(&id).await?;
    let draw = race.draw()?.ok_or_else(|| Problem::not_found("draw"))?;
    let entrants = service.books.entrants(&race.id).await?;
    Ok(Json(DrawView::of(draw, entrants.canonical())))
}

/// Draws a lottery, once. Those whose turn it is are called up in the background. Takes the race's organiser.
#[utoipa::path(post, path = "/races/{id}/draw", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = DrawView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn draw(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<DrawView>> {
    let race = service.own_race(&caller, &id).await?;
    let draw = service.books.draw(&race).await?;
    service.books.calls.notify_one();
    let entrants = service.books.entrants(&race.id).await?;
    Ok(Json(DrawView::of(draw, entrants.canonical())))
}

/// Shows the caller's registration.
#[utoipa::path(get, path = "/races/{id}/registration", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = RegistrationView), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn mine(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<RegistrationView>> {
    let race = service.books.race(&id).await?;
    let key = RegistrationKey::new(caller.name(), &race.id);
    Ok(Json(service.registration(&key, &race).await?.0))
}

/// Registers the caller: takes the answer to what is needed next, and says what is needed then.
///
/// The first call begins the registration, with an answer or without. What was answered before is answered alike, and changes
/// nothing; an answer that is not due, or another than was given, is a 409 that names what is due.
#[utoipa::path(post, path = "/races/{id}/registration", params(("id" = String, Path)), request_body = Said,
    security(("bearer" = [])), responses(
    (status = 200, body = RegistrationView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
async fn register(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(said): Object<Said>,
) -> Answer<Json<RegistrationView>> {
    let race = service.books.race(&id).await?;
    let key = RegistrationKey::new(caller.name(), &race.id);
    let handle = service.handle(race.is_lottery);
    if said.again {
        handle.restart_undone(&key).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => conflict("only a registration that was undone begins anew"),
            _ => no_registration(error),
        })?;
    }
    match (said.answer, said.value) {
        (Some(answer), Some(value)) => {
            return Ok(Json(service.answer(&key, &race, answer, &value).await?));
        }
        (None, None) if said.again => {}
        (None, None) => {
            handle.start(&key).await?;
        }
        _ => return Err(Problem::invalid("an answer has a name, `answer`, and a `value`")),
    }
    Ok(Json(service.registration(&key, &race).await?.0))
}

/// Takes the caller's registration back: everything is undone.
///
/// A registration that is confirmed, or undone, is not taken back: that is a 409, also where it is confirmed at this moment. With 504 it
/// is at work, and will be taken back when it comes to it, unless it is confirmed first: look again.
#[utoipa::path(delete, path = "/races/{id}/registration", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = RegistrationView), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 504, body = Problem)))]
async fn withdraw(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<RegistrationView>> {
    let race = service.books.race(&id).await?;
    let key = RegistrationKey::new(caller.name(), &race.id);
    let decision = Decision::cancel(Arc::clone(caller.name()), WITHDRAWN);
    service.handle(race.is_lottery).decide(&key, decision).await.map_err(no_registration)?;
    Ok(Json(service.registration(&key, &race).await?.0))
}

/// Pays, in development, as the gateway's own page would let the runner do: the gateway then tells us by its webhook.
///
/// Only for whom the payment is, and only where there is no other gateway.
#[utoipa::path(post, path = "/payments/{id}/pay", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = PaymentView), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn pay(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<PaymentView>> {
    if !service.plays_gateway {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "payments are made at the gateway"));
    }
    let payment = service.books.payment(&id).await?.filter(|payment| payment.runner == **caller.name());
    let payment = payment.ok_or_else(|| Problem::not_found("payment"))?;
    let event =
        json!({"type": "payment.completed", "payment": id, "amount_krw": payment.amount_krw}).to_string();
    // A payment is paid once: the gateway tells of it under one id.
    let event_id = payment.paid_by.unwrap_or_else(|| EventId::random().to_string());
    let headers = service.secret.sign(&event_id, seconds_now(), event.as_bytes());
    service.paid(&headers, event.as_bytes()).await?;
    let payment = service.books.payment(&id).await?.ok_or_else(|| Problem::not_found("payment"))?;
    Ok(Json(payment.into()))
}

/// Takes what the gateway tells, signed as Standard Webhooks says: a secret that begins with `whsec_` is base64 of the key, any other is
/// the key itself.
///
/// Only `payment.completed` changes something; other types are acknowledged. An event that comes again is answered alike. Money that comes too late, or twice, is given back.
#[utoipa::path(post, path = "/payments/webhook", request_body = GatewayEvent,
    params(("webhook-id" = String, Header), ("webhook-timestamp" = String, Header), ("webhook-signature" = String, Header)),
    responses((status = 200, body = Received), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 413, body = Problem), (status = 422, body = Problem)))]
async fn webhook(State(service): Shared, headers: HeaderMap, body: Bytes) -> Answer<Json<Received>> {
    service.paid(&headers, &body).await?;
    Ok(Json(Received { received: true }))
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    Json(About {
        development: service.keys.hands_out(),
        plays_gateway: service.plays_gateway,
        payment_seconds: service.payment.as_secs(),
    })
}

fn conflict(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, "conflict", detail)
}

fn no_registration(error: pumasi_saga::Error) -> Problem {
    match error.kind() {
        ErrorKind::NotFound => Problem::not_found("registration"),
        _ => error.into(),
    }
}

/// An answer in which what is null is left out, as it is where it is kept.
fn without_null(answer: &Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Service {
    /// Returns a race to its organiser alone.
    pub(super) async fn own_race(&self, caller: &Caller, id: &str) -> Answer<Race> {
        caller.require(Role::Organiser.as_str())?;
        let race = self.books.race(id).await?;
        if race.organiser != **caller.name() {
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this is another organiser's race"));
        }
        Ok(race)
    }

    async fn race_view(&self, race: Race) -> Answer<RaceView> {
        let places = self.books.places(&race.id).await?;
        Ok(RaceView::of(race, places)?)
    }

    /// Takes an event of the gateway: when this returns, it is safe.
    async fn paid(&self, headers: &HeaderMap, body: &[u8]) -> Answer<()> {
        let id = self.secret.verify(headers, body, seconds_now())?;
        let invalid = |error: serde_json::Error| Problem::invalid(error.to_string());
        let EventType { kind } = serde_json::from_slice(body).map_err(invalid)?;
        if kind != "payment.completed" {
            // A gateway sends again what is refused, and gives the webhook up in the end.
            metrics::counter!("race_gateway_events_ignored_total").increment(1);
            return Ok(());
        }
        let event: CompletedEvent = serde_json::from_slice(body).map_err(invalid)?;
        let payment = self.books.payment(&event.payment).await?;
        let payment = payment.ok_or_else(|| Problem::not_found("payment"))?;
        let race = self.books.race(&payment.race).await?;
        let paid = self.books.take_payment(&payment.id, id, event.amount_krw).await?;
        let key = RegistrationKey::new(&payment.runner, &race.id);
        let handle = self.handle(race.is_lottery);
        // A registration that asks for another payment by now does not take it for that one.
        if paid != Paid::Surplus {
            let completed = PaymentCompleted { payment: payment.id, amount_krw: event.amount_krw };
            handle.signal(&key, Signal::from(completed).with_id(id)).await?;
        }
        if paid != Paid::InTime {
            tracing::warn!(?paid, "money was given back");
        }
        Ok(())
    }

    /// Takes an answer that is due, or that was given before.
    async fn answer(
        &self,
        key: &RegistrationKey,
        race: &Race,
        answer: RunnersAnswer,
        value: &Value,
    ) -> Answer<RegistrationView> {
        answer.check_fields(value)?;
        let (handle, name) = (self.handle(race.is_lottery), answer.as_str());
        let stands = match handle.view(key).await {
            // It may be on its way to the question, after a stop.
            Ok(view) if view.status == Status::Running => Some(handle.start(key).await?),
            Ok(view) => Some(view),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let due = match &stands {
            Some(view) => view.next.as_deref(),
            None => Some(RunnersAnswer::AgreeTerms.as_str()),
        };
        if due == Some(name) {
            handle.advance(key, Signal::json(name, value)).await?;
        } else if stands.is_none() {
            return Err(conflict(format!(
                "{name} is not due: {} is due",
                RunnersAnswer::AgreeTerms.as_str()
            )));
        }
        let (view, snapshot) = self.registration(key, race).await?;
        let due = match &view.next {
            Some(next) => format!("{next} is due"),
            None => "nothing is due".to_owned(),
        };
        match snapshot.output::<Value>(name)? {
            Some(given) if without_null(&given) == without_null(value) => Ok(view),
            Some(_) => Err(conflict(format!("{name} was answered otherwise already: {due}"))),
            None => Err(conflict(format!("{name} is not due: {due}"))),
        }
    }

    /// Shows a registration.
    pub(super) async fn registration(
        &self,
        key: &RegistrationKey,
        race: &Race,
    ) -> Answer<(RegistrationView, pumasi_saga::Snapshot)> {
        let snapshot = self.handle(race.is_lottery).snapshot(key).await.map_err(no_registration)?;
        let payment = match snapshot.output::<crate::steps::PaymentRef>("start_payment")? {
            Some(crate::steps::PaymentRef(id)) => self.books.payment(&id).await?,
            None => None,
        };
        Ok((RegistrationView::of(key, race, &snapshot, payment)?, snapshot))
    }
}
