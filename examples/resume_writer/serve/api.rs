//! The API of owners: have a résumé written, edit it by instruction, share it, hear of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use support::auth::{Bearer, Caller};
use support::body::{Object, text};
use support::once::Keyed;
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::{Id, Ids};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::view::{
    About, Accepted, EditRow, EditView, Instruction, NoticeView, ResumeRow, ResumeView, ShareKey, Wanted,
};
use crate::desk::now;
use crate::store::Kept;

pub(super) type Shared = State<Arc<Service>>;
pub(super) type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Résumé writer", description = "Résumés out of GitHub accounts: every line with the commit or repository that proves it."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list, ask))
        .routes(routes!(show, remove))
        .routes(routes!(retry))
        .routes(routes!(edits, instruct))
        .routes(routes!(edit, withdraw))
        .routes(routes!(accept))
        .routes(routes!(share, unshare))
        .routes(routes!(notices))
        .routes(routes!(about))
}

/// Asks for a résumé of a GitHub account; `GET /resumes/{id}` tells when it is written.
///
/// Sent again under the same `Idempotency-Key` it is written once. Of résumés, retries and instructions, each of which takes one call of
/// the model or several, one person has so many within 24 hours: with 429, `Retry-After` says when the next one is allowed. One person
/// keeps 20 résumés, those that failed among them: with 409, one has to be deleted first.
#[utoipa::path(post, path = "/resumes", request_body = Wanted, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this résumé, 1 to 255 characters.")),
    responses((status = 202, body = Accepted), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 429, body = Problem)))]
async fn ask(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(wanted): Object<Wanted>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=100).contains(&wanted.account.len()) || !wanted.account.bytes().all(fits) {
        return Err(Problem::invalid("an account's name is 1 to 100 letters, digits and hyphens"));
    }
    let keyed = Keyed::of(&headers, caller.name(), "POST /resumes", &wanted)?;
    let id = service.desk.ask(&keyed, caller.name(), &wanted.account, wanted.language).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id })))
}

/// Lists the caller's own résumés, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/resumes", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<ResumeRow>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list(
    State(service): Shared,
    caller: Caller,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<ResumeRow>>)> {
    let resumes = service.desk.store.of(caller.name(), paging.after_moment()?, paging.rows()).await?;
    Ok(paging.page_of(resumes, |resume| format!("{},{}", resume.at, resume.id), ResumeRow::from))
}

/// Shows a résumé of the caller's, with what was refused and why.
#[utoipa::path(get, path = "/resumes/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = ResumeView), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn show(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<ResumeView>> {
    Ok(Json(ResumeView::of(service.own(&caller, &id).await?)?))
}

/// Deletes a résumé of the caller's, with its comments and likes; its link is dead with the answer.
#[utoipa::path(delete, path = "/resumes/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn remove(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    let kept = service.own(&caller, &id).await?;
    service.desk.store.remove(&kept.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has a résumé of the caller's written anew that has failed; sent again, while it is being written, it changes nothing.
#[utoipa::path(post, path = "/resumes/{id}/retry", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 202, body = Accepted), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 429, body = Problem)))]
async fn retry(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<(StatusCode, Json<Accepted>)> {
    let kept = service.own(&caller, &id).await?;
    service.desk.store.retry(&kept, now()).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id: kept.id })))
}

/// Gives an instruction for a version; what it comes to is proposed, and changes nothing until it is accepted.
///
/// Sent again under the same `Idempotency-Key` it is given once, and is a conflict once it was withdrawn. A version that is not the present one is a conflict, and so is a
/// sixth instruction while five for the same résumé are under way: one of them can be withdrawn.
#[utoipa::path(post, path = "/resumes/{id}/edits", params(("id" = String, Path),
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this instruction, 1 to 255 characters.")),
    request_body = Instruction, security(("bearer" = [])), responses((status = 202, body = Accepted), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
async fn instruct(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Id(id): Id,
    Object(wanted): Object<Instruction>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    let instruction = text("an instruction", &wanted.instruction, 1_000)?;
    let kept = service.own(&caller, &id).await?;
    let keyed = Keyed::of(&headers, caller.name(), &format!("POST /resumes/{}/edits", kept.id), &wanted)?;
    let id = service.desk.instruct(&keyed, caller.name(), &kept.id, wanted.version, instruction).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id })))
}

/// Lists the instructions for a résumé of the caller's, the newest first: those under way, what was proposed, and what became of it.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/resumes/{id}/edits", params(("id" = String, Path), PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<EditRow>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn edits(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<EditRow>>)> {
    let kept = service.own(&caller, &id).await?;
    let edits = service.desk.store.edits(&kept.id, paging.after_moment()?, paging.rows()).await?;
    Ok(paging.page_of(edits, |edit| format!("{},{}", edit.at, edit.id), EditRow::from))
}

/// Takes an instruction back that is not accepted: the model is not asked for it any more, and another one can be given in its place.
#[utoipa::path(delete, path = "/resumes/{id}/edits/{edit}", params(("id" = String, Path), ("edit" = String, Path)),
    security(("bearer" = [])), responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn withdraw(State(service): Shared, caller: Caller, Ids(id, edit): Ids) -> Answer<StatusCode> {
    let kept = service.own(&caller, &id).await?;
    if !service.desk.store.withdraw(&kept.id, &edit).await? {
        return Err(Problem::not_found("instruction"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what an instruction comes to: the difference, and what is not done.
#[utoipa::path(get, path = "/resumes/{id}/edits/{edit}", params(("id" = String, Path), ("edit" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = EditView), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn edit(State(service): Shared, caller: Caller, Ids(id, edit): Ids) -> Answer<Json<EditView>> {
    let kept = service.own(&caller, &id).await?;
    let edit = service.desk.store.edit(&kept.id, &edit).await?;
    Ok(Json(EditView::of(edit.ok_or_else(|| Problem::not_found("instruction"))?)?))
}

/// Makes a proposal the next version, if the résumé is still the version that it was made for.
///
/// Sent again, after an answer that got lost, it has the same answer.
#[utoipa::path(post, path = "/resumes/{id}/edits/{edit}/accept", params(("id" = String, Path), ("edit" = String, Path)),
    security(("bearer" = [])), responses((status = 200, body = ResumeView), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn accept(State(service): Shared, caller: Caller, Ids(id, edit): Ids) -> Answer<Json<ResumeView>> {
    let kept = service.own(&caller, &id).await?;
    let (version, resume) = service.desk.accept(&kept.id, &edit).await?;
    Ok(Json(ResumeView::of(kept.at_version(version, &resume)?)?))
}

/// Opens a résumé to whoever has the key, which is told once; an earlier key opens nothing any more.
#[utoipa::path(post, path = "/resumes/{id}/share", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 201, body = ShareKey), (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
async fn share(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<(StatusCode, Json<ShareKey>)> {
    let kept = service.own(&caller, &id).await?;
    if kept.state != "ready" {
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", "the résumé is not written yet"));
    }
    let key = service.desk.share(&kept.id).await?;
    Ok((StatusCode::CREATED, Json(ShareKey { key })))
}

/// Closes a résumé to everybody but its owner.
#[utoipa::path(delete, path = "/resumes/{id}/share", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn unshare(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    let kept = service.own(&caller, &id).await?;
    service.desk.store.share(&kept.id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what people did with the caller's résumés, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/notices", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<NoticeView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn notices(
    State(service): Shared,
    caller: Caller,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<NoticeView>>)> {
    let notices = service.desk.store.notices(caller.name(), paging.after_moment()?, paging.rows()).await?;
    Ok(paging.page_of(notices, |notice| format!("{},{}", notice.at, notice.id), NoticeView::from))
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Answer<Json<About>> {
    let writer = &service.desk.writer;
    Ok(Json(About {
        model: writer.name().to_owned(),
        offline: writer.is_offline(),
        account: service.desk.accounts.sample()?,
        instructions: service.samples.clone(),
        development: service.keys.hands_out(),
    }))
}

impl Service {
    /// A résumé of the caller's: of those of others it is not told that they exist.
    async fn own(&self, caller: &Caller, id: &str) -> Answer<Kept> {
        let kept = self.desk.store.get(id).await?.filter(|kept| kept.owner == **caller.name());
        kept.ok_or_else(|| Problem::not_found("résumé"))
    }
}
