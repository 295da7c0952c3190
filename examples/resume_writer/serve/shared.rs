//! The API of those who have the key of a shared résumé: read it, like it, speak of it.
//!
//! The key travels in a header, and in the page's address behind a `#`: neither reaches a log, and no other page hears of it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use support::auth::Caller;
use support::body::{Object, text};
use support::once::Keyed;
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::view::{CommentView, LikesView, NewComment, NewLike, Role, SharedView};
use crate::desk::now;
use crate::resume::Resume;
use crate::store::{Kept, Social};

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(like))
        .routes(routes!(comments, comment))
        .routes(routes!(uncomment))
}

/// The résumé whose key the header `Share-Key` has: 404 without, and to every key that opens nothing.
struct Opened(Kept, Resume);

impl FromRequestParts<Arc<Service>> for Opened {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Answer<Self> {
        let key = parts.headers.get("share-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        let found = service.desk.shared(key).await?;
        found.map(|(kept, resume)| Self(kept, resume)).ok_or_else(|| Problem::not_found("shared résumé"))
    }
}

impl Opened {
    fn social(&self, kind: &str, caller: &Caller) -> Social {
        Social {
            owner: self.0.owner.clone(),
            resume: self.0.id.clone(),
            kind: kind.to_owned(),
            person: caller.name().to_string(),
            at: now().as_micros(),
        }
    }
}

/// Shows a shared résumé; what was refused, or is not proven word by word, stays with its owner.
#[utoipa::path(get, path = "/shared", params(("Share-Key" = String, Header)), responses(
    (status = 200, body = SharedView), (status = 404, body = Problem)))]
async fn show(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    Opened(kept, resume): Opened,
) -> Answer<Json<SharedView>> {
    let name = caller.as_ref().map(|caller| &**caller.name());
    let likes = service.desk.store.likes(&kept.id, name).await?;
    let own = name == Some(kept.owner.as_str());
    Ok(Json(SharedView::of(kept, resume, likes, own)))
}

/// Likes a shared résumé, once a person, or takes that back. Nobody likes their own.
#[utoipa::path(put, path = "/shared/like", params(("Share-Key" = String, Header)), request_body = NewLike, security(("bearer" = [])),
    responses((status = 200, body = LikesView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn like(
    State(service): Shared,
    caller: Caller,
    opened: Opened,
    Object(new): Object<NewLike>,
) -> Answer<Json<LikesView>> {
    if opened.0.owner == **caller.name() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "nobody likes their own résumé"));
    }
    service.desk.store.like(&opened.social("like", &caller), new.like).await?;
    let (likes, liked) = service.desk.store.likes(&opened.0.id, Some(caller.name())).await?;
    Ok(Json(LikesView { likes, liked }))
}

/// Lists what was said, the newest first.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/shared/comments", params(("Share-Key" = String, Header), PageQuery), responses(
    (status = 200, body = Vec<CommentView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn comments(
    State(service): Shared,
    Opened(kept, _): Opened,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<CommentView>>)> {
    let comments = service.desk.store.comments(&kept.id, paging.after_number()?, paging.rows()).await?;
    Ok(paging.page_of(comments, |comment| comment.number.to_string(), CommentView::from))
}

/// Says something; the owner is told later.
///
/// Sent again under the same `Idempotency-Key` it is said once.
#[utoipa::path(post, path = "/shared/comments", params(("Share-Key" = String, Header),
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this comment, 1 to 255 characters.")),
    request_body = NewComment, security(("bearer" = [])), responses((status = 201, body = CommentView), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn comment(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    opened: Opened,
    Object(new): Object<NewComment>,
) -> Answer<(StatusCode, Json<CommentView>)> {
    let text = text("a comment", &new.text, 1_000)?.to_owned();
    let keyed =
        Keyed::of(&headers, caller.name(), &format!("POST /shared/comments of {}", opened.0.id), &new)?;
    let said = service.desk.store.comment(&keyed, opened.social("comment", &caller), text).await?;
    Ok((StatusCode::CREATED, Json(said.into())))
}

/// Deletes a comment: one's own, or any for the résumé's owner and a moderator.
#[utoipa::path(delete, path = "/shared/comments/{number}", params(("number" = i64, Path, minimum = 1), ("Share-Key" = String, Header)),
    security(("bearer" = [])), responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn uncomment(
    State(service): Shared,
    caller: Caller,
    Opened(kept, _): Opened,
    Id(number): Id,
) -> Answer<StatusCode> {
    let number: i64 = number.parse().map_err(|_| Problem::not_found("comment"))?;
    let may_any = kept.owner == **caller.name() || caller.is(Role::Moderator.as_str());
    let store = &service.desk.store;
    let author = (!may_any).then(|| &**caller.name());
    if store.uncomment(&kept.id, number, author).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let up_to = store.comments(&kept.id, Some(number.saturating_add(1)), 1).await?;
    let is_there = up_to.iter().any(|comment| comment.number == number);
    if is_there {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "this is somebody else's comment"));
    }
    Err(Problem::not_found("comment"))
}
