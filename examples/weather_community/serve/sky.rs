//! The API of posts: what the sky looks like nearby, what people think of it, and how many saw it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use futures_util::FutureExt as _;
use pumasi_core::time::{Clock as _, SystemClock};
use pumasi_search::reactions::{Counts, Reaction, Vote};
use pumasi_search::views::Viewer;
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
use super::input::{NearQuery, NewPost, NewReaction, Role, number};
use super::view::{PostView, SeenView, TallyView};
use crate::posts::Post;

pub(super) fn router() -> OpenApiRouter<std::sync::Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(nearby, add))
        .routes(routes!(post, remove))
        .routes(routes!(react))
        .routes(routes!(see))
}

/// Lists posts near a place, the newest first; by default within 5 km.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/posts", params(NearQuery), responses((status = 200, body = Vec<PostView>), (status = 400, body = Problem)))]
async fn nearby(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    PageOf(paging, wanted): PageOf<NearQuery>,
) -> Answer<(HeaderMap, Json<Vec<PostView>>)> {
    let circle = wanted.circle()?;
    let posts = service.community.posts.within(circle, paging.after_number()?, paging.rows()).await?;
    let (link, Json(posts)) = paging.page(posts, |post| post.id.to_string());
    Ok((link, Json(service.post_views(posts, name(caller.as_ref()), Some(circle.center)).await?)))
}

/// Posts how the sky looks somewhere.
#[utoipa::path(post, path = "/posts", request_body = NewPost, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this post: sent again it is posted once.")),
    responses((status = 201, body = PostView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn add(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(new): Object<NewPost>,
) -> Answer<(StatusCode, Json<PostView>)> {
    let keyed = Keyed::of(&headers, caller.name(), "POST /posts", &new)?;
    let (new, posts) = (new.by(caller.name())?, service.community.posts.clone());
    let made = service.community.once.run(&keyed, move |connection| {
        async move {
            let post = posts.insert(connection, new).await?;
            Ok(PostView::of(post, None, Counts::default(), 0, Reaction::None))
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(made.await?.value)))
}

/// Shows a post.
#[utoipa::path(get, path = "/posts/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = PostView), (status = 404, body = Problem)))]
async fn post(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    Id(id): Id,
) -> Answer<Json<PostView>> {
    let post = service.post(&id).await?;
    let views = service.post_views(vec![post], name(caller.as_ref()), None).await?;
    views.into_iter().next().map(Json).ok_or_else(|| Problem::not_found("post"))
}

/// Takes a post back: the author's own, or for a forecaster any.
#[utoipa::path(delete, path = "/posts/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    let post = service.post(&id).await?;
    if post.author != **caller.name() {
        caller.require(Role::Forecaster.as_str())?;
    }
    // A caller that hangs up does not leave it half done.
    let community = service.community.clone();
    let gone = tokio::spawn(async move { community.withdraw(post.id).await }).await;
    gone.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "other", "the post could not be deleted")
    })??;
    Ok(StatusCode::NO_CONTENT)
}

/// Likes or dislikes a post, or takes that back: one reaction a person.
#[utoipa::path(put, path = "/posts/{id}/reaction", params(("id" = String, Path)), request_body = NewReaction, security(("bearer" = [])),
    responses((status = 200, body = TallyView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn react(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(new): Object<NewReaction>,
) -> Answer<Json<TallyView>> {
    let post = service.post(&id).await?;
    let vote = Vote::new(post.id.to_string(), &**caller.name(), new.reaction, SystemClock.now());
    let tally = service.community.reactions.cast(&[vote]).await?.pop();
    metrics::counter!("weather_votes_total").increment(1);
    tally.map(|tally| Json(tally.into())).ok_or_else(|| Problem::not_found("post"))
}

/// Counts that the caller looks at a post: once an hour.
#[utoipa::path(post, path = "/posts/{id}/views", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = SeenView), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn see(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<Json<SeenView>> {
    let post = service.post(&id).await?;
    let seen = service.community.views.see(&post.id.to_string(), Viewer::Member(caller.name())).await?;
    metrics::counter!("weather_views_total", "counted" => if seen.counted { "yes" } else { "no" })
        .increment(1);
    Ok(Json(seen.into()))
}

fn name(caller: Option<&Extension<Caller>>) -> Option<&str> {
    caller.map(|Extension(caller)| &**caller.name())
}

impl Service {
    async fn post(&self, id: &str) -> Answer<Post> {
        let post = self.community.posts.post(number(id, "post")?).await?;
        post.ok_or_else(|| Problem::not_found("post"))
    }

    async fn post_views(
        &self,
        posts: Vec<Post>,
        person: Option<&str>,
        from: Option<pumasi_core::filter::GeoPoint>,
    ) -> Answer<Vec<PostView>> {
        let ids: Vec<String> = posts.iter().map(|post| post.id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let counts = self.community.reactions.counts(&ids).await?;
        let views = self.community.views.totals(&ids).await?;
        let mine = match person {
            Some(person) => self.community.reactions.reactions(person, &ids).await?,
            None => vec![Reaction::None; ids.len()],
        };
        let each = posts.into_iter().zip(counts).zip(views).zip(mine);
        Ok(each
            .map(|(((post, counts), views), mine)| PostView::of(post, from, counts, views, mine))
            .collect())
    }
}
