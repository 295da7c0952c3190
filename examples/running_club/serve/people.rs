//! The API of what people do: runs, crews, achievements, recaps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use pumasi_core::time::Timestamp;
use support::auth::Caller;
use support::body::Object;
use support::once::Keyed;
use support::paging::{PageOf, PageQuery, Paging};
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{CrewInput, MembershipInput, RecapInput, RecapsQuery, Role, RunInput};
use super::view::{AskedView, BadgeView, CrewView, JobView, MeView, NewsView, RecapView, RunView};
use crate::badges::{Achievement, BADGES};
use crate::club::JOBS;
use crate::recaps::Wanted;
use crate::runs::{Run, TakenBack};

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(runs, record))
        .routes(routes!(take_back))
        .routes(routes!(crews, found))
        .routes(routes!(me))
        .routes(routes!(join, leave))
        .routes(routes!(achievements))
        .routes(routes!(news))
        .routes(routes!(recaps, ask_for_recaps))
        .routes(routes!(jobs))
}

/// Records a run of the caller's. It stands as it is recorded, unless it is taken back; boards, achievements and notices follow.
#[utoipa::path(post, path = "/runs", request_body = RunInput, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this run: sent again it is recorded once.")),
    responses((status = 201, body = RunView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn record(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<RunInput>,
) -> Answer<(StatusCode, Json<RunView>)> {
    let keyed = Keyed::of(&headers, caller.name(), "POST /runs", &new)?;
    let new = new.read(service.club.boards.now())?;
    let run = service.club.record(&keyed, caller.name(), new).await?;
    let view = service.run_view(run.value)?;
    metrics::counter!("club_runs_total").increment(run.is_new.into());
    Ok((StatusCode::CREATED, Json(view)))
}

/// Takes back a run of the caller's that was recorded by mistake, unless a week or a month that it counts in is closed.
///
/// Boards and achievements follow; recaps so far that tell of it go. What Slack was told stays told.
#[utoipa::path(delete, path = "/runs/{run}", params(("run" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn take_back(State(service): Shared, caller: Caller, Id(run): Id) -> Answer<StatusCode> {
    match service.club.take_back(caller.name(), &run).await? {
        TakenBack::Done => {
            metrics::counter!("club_runs_taken_back_total").increment(1);
            Ok(StatusCode::NO_CONTENT)
        }
        TakenBack::Missing => Err(Problem::not_found("run")),
        TakenBack::Closed => {
            let closed = "the week or the month that the run counts in is closed: it stays";
            Err(Problem::new(StatusCode::CONFLICT, "closed", closed))
        }
        TakenBack::NotKept => {
            let not_kept = "the boards have runs from before runs could be taken back: those of this week and month stay";
            Err(Problem::new(StatusCode::CONFLICT, "not_kept", not_kept))
        }
    }
}

/// Lists the caller's runs, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/runs", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<RunView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn runs(
    State(service): Shared,
    caller: Caller,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<RunView>>)> {
    let before = paging.after_moment()?.map(|(at, id)| (Timestamp::from_micros(at), id.to_owned()));
    let runs = service.club.runs.newest(caller.name(), before, paging.rows()).await?;
    let (link, Json(runs)) = paging.page(runs, |run| format!("{},{}", run.began_at.as_micros(), run.id));
    Ok((link, Json(runs.into_iter().map(|run| service.run_view(run)).collect::<Answer<_>>()?)))
}

/// Lists crews by name.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/crews", params(PageQuery), responses((status = 200, body = Vec<CrewView>), (status = 400, body = Problem)))]
async fn crews(State(service): Shared, paging: Paging) -> Answer<(HeaderMap, Json<Vec<CrewView>>)> {
    let after = paging.after_id()?.unwrap_or_default();
    let crews = service.club.crews.list(after, paging.rows()).await?;
    Ok(paging.page_of(crews, |crew| crew.name.clone(), CrewView::from))
}

/// Founds a crew, which the caller joins.
#[utoipa::path(post, path = "/crews", request_body = CrewInput, security(("bearer" = [])), responses(
    (status = 201), (status = 200, description = "The caller founded it before."), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem)))]
async fn found(State(service): Shared, caller: Caller, Object(new): Object<CrewInput>) -> Answer<StatusCode> {
    let club = &service.club;
    let is_new = club.crews.found(new.name()?, caller.name(), club.boards.now()).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

/// Tells who the caller is to the club.
#[utoipa::path(get, path = "/me", security(("bearer" = [])), responses((status = 200, body = MeView), (status = 401, body = Problem)))]
async fn me(State(service): Shared, caller: Caller) -> Answer<Json<MeView>> {
    let crew = service.club.crews.of(caller.name()).await?;
    Ok(Json(MeView { name: caller.name().as_ref().to_owned(), crew }))
}

/// Lets the caller run with a crew, and no longer with another: runs that are recorded from now on count for it.
#[utoipa::path(put, path = "/me/crew", request_body = MembershipInput, security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn join(
    State(service): Shared,
    caller: Caller,
    Object(wanted): Object<MembershipInput>,
) -> Answer<StatusCode> {
    service.club.crews.join(caller.name(), wanted.crew()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the caller run alone.
#[utoipa::path(delete, path = "/me/crew", security(("bearer" = [])), responses((status = 204), (status = 401, body = Problem)))]
async fn leave(State(service): Shared, caller: Caller) -> Answer<StatusCode> {
    service.club.crews.leave(caller.name()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the badges that there are, and when the caller earned each.
#[utoipa::path(get, path = "/achievements", security(("bearer" = [])), responses(
    (status = 200, body = Vec<BadgeView>), (status = 401, body = Problem)))]
async fn achievements(State(service): Shared, caller: Caller) -> Answer<Json<Vec<BadgeView>>> {
    let earned = service.club.badges.of(caller.name()).await?;
    Ok(Json(BADGES.iter().map(|badge| BadgeView::of(badge, &earned)).collect()))
}

/// Lists the club's achievements, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/news", params(PageQuery), responses(
    (status = 200, body = Vec<NewsView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem)))]
async fn news(State(service): Shared, paging: Paging) -> Answer<(HeaderMap, Json<Vec<NewsView>>)> {
    let after = paging.after_as(|after| {
        let mut parts = after.splitn(3, ',');
        let (at, badge, runner) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some((at, runner, badge))
    })?;
    let latest = service.club.badges.latest(after, paging.rows()).await?;
    let key =
        |earned: &Achievement| format!("{},{},{}", earned.earned_at.as_micros(), earned.badge, earned.runner);
    Ok(paging.page_of(latest, key, NewsView::from))
}

/// Lists the caller's recaps, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/recaps", params(RecapsQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<RecapView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn recaps(
    State(service): Shared,
    caller: Caller,
    PageOf(paging, wanted): PageOf<RecapsQuery>,
) -> Answer<(HeaderMap, Json<Vec<RecapView>>)> {
    let before = paging.after_number()?.map(Timestamp::from_micros);
    let recaps = service.club.recaps.of(caller.name(), wanted.span, before, paging.rows()).await?;
    Ok(paging.page_of(recaps, |last| last.window.start().as_micros().to_string(), RecapView::from))
}

/// Asks for everybody's recaps of the week or month so far; for an organiser.
#[utoipa::path(post, path = "/recaps", request_body = RecapInput, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this request: sent again they are made once.")),
    responses((status = 202, body = AskedView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn ask_for_recaps(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(input): Object<RecapInput>,
) -> Answer<(StatusCode, Json<AskedView>)> {
    caller.require(Role::Organiser.as_str())?;
    let club = &service.club;
    let now = club.boards.now();
    let window = club.calendar.window(input.span, now)?;
    let wanted = Wanted::of(input.span, &window, now);
    let keyed = Keyed::of(&headers, caller.name(), "POST /recaps", &input)?;
    let asked = club.ask_for_recaps(&keyed, wanted).await?;
    let (from, until) = (asked.begins_at.to_string(), asked.until.to_string());
    Ok((StatusCode::ACCEPTED, Json(AskedView { span: input.span, from, until })))
}

/// Lists what became of the scheduled jobs, the newest first; for an organiser.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/jobs", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<JobView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
async fn jobs(
    State(service): Shared,
    caller: Caller,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<JobView>>)> {
    caller.require(Role::Organiser.as_str())?;
    let after = paging.after_moment()?;
    let mut runs = Vec::new();
    for (job, _) in JOBS {
        // As many as are kept: some hundreds.
        runs.extend(service.club.schedule.history(job, u32::MAX).await?);
    }
    runs.retain(|run| after.is_none_or(|after| (run.due.as_micros(), run.job.as_str()) < after));
    runs.sort_unstable_by(|one, other| (other.due, &other.job).cmp(&(one.due, &one.job)));
    runs.truncate(paging.rows());
    Ok(paging.page_of(runs, |run| format!("{},{}", run.due.as_micros(), run.job), JobView::from))
}

impl Service {
    fn run_view(&self, run: Run) -> Answer<RunView> {
        let club = &self.club;
        let can_be_taken_back = club.can_be_taken_back(&run)?;
        let in_time = club.counts(&run)?;
        Ok(RunView::of(run, in_time, can_be_taken_back))
    }
}
