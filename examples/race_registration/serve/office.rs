//! The organiser's side: every registration, its history, and decisions; and news of both.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use futures_util::{Stream, StreamExt as _, stream};
use pumasi_saga::store::{Query, SagaId, SagaStore as _, Watched};
use serde_json::json;
use support::auth::Caller;
use support::body::Object;
use support::client::Client;
use support::language::Language;
use support::listeners::Whose;
use support::paging::PageOf;
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::books::Race;
use super::input::{NewDecision, RegistrationsQuery, Role};
use super::view::{RegistrationDetail, RegistrationRow};
use crate::saga::RegistrationKey;

/// How many registrations are read at once, and how often for one page.
const PAGE: NonZeroUsize = NonZeroUsize::new(500).expect("it is not zero");
const PAGES: usize = 10;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(decide))
}

/// The routes that stay open as long as whoever asks: no limit of time stands over them.
pub(super) fn endless() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Lists the registrations of the caller's races, in the order of their identifiers. Takes an organiser.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one. A page looks through 5,000 registrations of all races at
/// most, and so may have fewer rows than were asked for, or none, and go on.
#[utoipa::path(get, path = "/registrations", params(RegistrationsQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<RegistrationRow>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem)))]
async fn list(
    State(service): Shared,
    caller: Caller,
    PageOf(paging, wanted): PageOf<RegistrationsQuery>,
) -> Answer<(HeaderMap, Json<Vec<RegistrationRow>>)> {
    caller.require(Role::Organiser.as_str())?;
    let mut query = Query::new().with_statuses(wanted.status).with_limit(PAGE);
    if let Some(step) = wanted.step {
        query = query.with_step(step);
    }
    if let Some(after) = paging.after_as(|after| after.parse().ok())? {
        query = query.with_after(after);
    }
    let (mut found, mut looked_at, mut more) = (Vec::new(), None, false);
    'page: for _ in 0..PAGES {
        let registrations = service.store.query(&query).await?;
        more = registrations.len() == PAGE.get();
        let rows: Vec<_> = registrations
            .into_iter()
            .map(|summary| (summary.head.id, RegistrationRow::of(summary)))
            .collect();
        let races = rows.iter().filter_map(|(_, row)| Some(row.as_ref()?.race.clone())).collect();
        let own = service.books.organised(caller.name(), &races).await?;
        for (id, row) in rows {
            if let Some((mut row, race)) = row.and_then(|row| own.get(&row.race).map(|race| (row, race))) {
                if found.len() == paging.limit() {
                    more = true;
                    break 'page;
                }
                row.race_name = Some(race.name.clone());
                found.push((race.is_lottery, row));
            }
            looked_at = Some(id);
        }
        let Some(last) = looked_at.filter(|_| more) else { break };
        query = query.with_after(last);
    }
    service.tell_who_cancelled(&mut found).await?;
    let found = found.into_iter().map(|(_, row)| row).collect();
    let last = looked_at.filter(|_| more).map(|id| id.to_string());
    Ok((paging.link(last.as_deref()), Json(found)))
}

/// Shows a registration in full: steps, history, decisions and diagram. Takes the race's organiser.
#[utoipa::path(get, path = "/registrations/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = RegistrationDetail), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
async fn show(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<RegistrationDetail>> {
    let (key, race) = service.find(&caller, &id).await?;
    service.detail(&key, &race).await.map(Json)
}

/// Decides about a registration; who and why are recorded. Takes the race's organiser.
///
/// What fits depends on where it stands: `retry`, `skip` and `force_done` where it needs an operator, `force_failed` at a
/// confirmation of which nobody knows whether it happened, `resume_forward` in a rollback that stands, `place_anew` and `cancel`
/// before the confirmation. What does not fit, or not any more, is a 409. With 504 the registration is at work, and has not come to the
/// decision: among the decisions stands later what became of it.
#[utoipa::path(post, path = "/registrations/{id}/decisions", params(("id" = String, Path)), request_body = NewDecision,
    security(("bearer" = [])), responses(
    (status = 200, body = RegistrationDetail), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 504, body = Problem)))]
async fn decide(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewDecision>,
) -> Answer<Json<RegistrationDetail>> {
    let (key, race) = service.find(&caller, &id).await?;
    service.handle(race.is_lottery).decide(&key, new.by(caller.name())?).await?;
    service.detail(&key, &race).await.map(Json)
}

/// Streams what happens to registrations, as server-sent events: to a runner the own ones, to an organiser those of the own races.
///
/// An event is named `changed`, with a row as in the list, or `missed`, if changes came too fast to be told. One may listen 20 times at
/// once, and a quarter of all that may listen from one network.
#[utoipa::path(get, path = "/registrations/events", security(("bearer" = [])), responses(
    (status = 200, body = String, content_type = "text/event-stream"), (status = 401, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
async fn events(
    State(service): Shared,
    caller: Caller,
    client: Option<Extension<Client>>,
) -> Answer<Sse<impl Stream<Item = Result<Event, axum::Error>>>> {
    let place = service.listeners.admit(&Whose::of(Some(&caller), client.map(|Extension(client)| client)))?;
    let (shutdown, language) = (service.shutdown.clone(), Language::spoken());
    let missed = || Event::default().event("missed").json_data(json!({}));
    let state = (service.store.watch(), Races::default(), service, caller, place);
    let news = stream::unfold(state, move |(mut changes, mut races, service, caller, place)| async move {
        loop {
            let event = match changes.next().await? {
                Watched::Changed(head) => {
                    let Some(row) = RegistrationRow::of_head(head) else { continue };
                    let is_own = row.runner == **caller.name();
                    match races.are_of(&service, &caller, &row.race).await {
                        Ok(false) if !is_own => continue,
                        Err(_) if !is_own => missed(),
                        _ => language.speak(|| Event::default().event("changed").json_data(row)),
                    }
                }
                _ => missed(),
            };
            return Some((event, (changes, races, service, caller, place)));
        }
    });
    let until_stop = news.take_until(async move { shutdown.triggered().await });
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Whose races they are; a race stays its organiser's.
#[derive(Default)]
struct Races(HashMap<String, bool>);

impl Races {
    /// Tells whether the caller organises a race.
    async fn are_of(&mut self, service: &Service, caller: &Caller, race: &str) -> Answer<bool> {
        if !caller.is(Role::Organiser.as_str()) {
            return Ok(false);
        }
        if let Some(known) = self.0.get(race) {
            return Ok(*known);
        }
        let is_own = service.books.race(race).await?.organiser == **caller.name();
        self.0.insert(race.to_owned(), is_own);
        Ok(is_own)
    }
}

fn saga_id(text: &str) -> Answer<SagaId> {
    text.parse().map_err(|_| Problem::not_found("registration"))
}

impl Service {
    /// Finds a registration by its identifier, for the organiser of its race.
    async fn find(&self, caller: &Caller, id: &str) -> Answer<(RegistrationKey, Race)> {
        caller.require(Role::Organiser.as_str())?;
        let stored =
            self.store.load(saga_id(id)?).await?.ok_or_else(|| Problem::not_found("registration"))?;
        let key: RegistrationKey =
            serde_json::from_str(&stored.head.key).map_err(|_| Problem::not_found("registration"))?;
        let race = self.own_race(caller, &key.competition).await?;
        Ok((key, race))
    }

    /// Says of those that somebody took back who did, and why: one question for each kind of race.
    async fn tell_who_cancelled(&self, rows: &mut [(bool, RegistrationRow)]) -> Answer<()> {
        for of_lotteries in [false, true] {
            let cancelled =
                rows.iter_mut().filter(|(is_lottery, row)| *is_lottery == of_lotteries && row.is_cancelled());
            let (keys, rows): (Vec<_>, Vec<_>) =
                cancelled.map(|(_, row)| (RegistrationKey::new(&row.runner, &row.race), row)).unzip();
            if keys.is_empty() {
                continue;
            }
            let snapshots = self.handle(of_lotteries).snapshots(&keys).await?;
            for (row, snapshot) in rows.into_iter().zip(snapshots) {
                if let Some(snapshot) = snapshot {
                    row.tell_who(&snapshot);
                }
            }
        }
        Ok(())
    }

    async fn detail(&self, key: &RegistrationKey, race: &Race) -> Answer<RegistrationDetail> {
        let (registration, snapshot) = self.registration(key, race).await?;
        Ok(RegistrationDetail::of(registration, &snapshot))
    }
}
