//! The HTTP API.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use futures_util::{FutureExt as _, Stream, StreamExt, stream};
use pumasi_core::ErrorKind;
use pumasi_core::event::Actor;
use pumasi_core::filter::Filter;
use pumasi_core::time::Timestamp;
use pumasi_llm_parse::task::{
    Post, PostKind, RuleTaskExtractor, Task, TaskPlace, TaskQuery, TaskRecord, TaskState, check_filter,
};
use support::auth::{Bearer, Caller, Token};
use support::body::Object;
use support::client::Client;
use support::listeners::{Full, Whose};
use support::once::{self, Keyed};
use support::paging::PageOf;
use support::problem::Problem;
use support::query::{Id, bad};
use support::tokens::LIFETIME;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::spawn_blocking;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::members::Nicknames;
use super::news::News;
use super::query::{self, Cursor, PostsQuery, TasksQuery};
use super::view::{
    About, Accepted, MAX_VERSION, MatchView, MemberChange, MemberView, NewPost, PostRow, PostView, Role,
    TaskRow, WantsToken,
};
use super::{Service, rehearsal};

type Shared = State<Arc<Service>>;
type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Every task", description = "Posts in, tasks out: each with the words it comes from."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list, create))
        .routes(routes!(show, replace, remove))
        .routes(routes!(tasks))
        .routes(routes!(retry))
        .routes(routes!(matches))
        .routes(routes!(member, sync_member))
        .routes(routes!(token))
        .routes(routes!(about))
}

/// The routes that stay open as long as whoever asks: no limit of time stands over them.
pub(super) fn endless() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Accepts a post; its tasks follow.
///
/// After an answer that got lost, or an error of the server, the post may be accepted or not: sent again under the same
/// `Idempotency-Key` it is accepted once, and answered alike within a day, whatever became of it since. Whose token it is has written it: a member, or a moderator.
#[utoipa::path(post, path = "/posts", request_body = NewPost, security(("bearer" = [])), params(
    ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this post, 1 to 255 characters.")),
    responses((status = 202, body = Accepted), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn create(
    State(service): Shared,
    caller: Caller,
    headers: HeaderMap,
    Object(post): Object<NewPost>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    may_write(&caller)?;
    let keyed = Keyed::of(&headers, caller.name(), "POST /posts", &post)?;
    // The bus drops what has the name of an earlier one, and keeps no text to compare once that was edited: what is asked for under a
    // key is noted before.
    let id = keyed.name("every-task").to_string();
    let post = post.into_post(id.clone(), Some(caller.name().to_string())).map_err(Problem::invalid)?;
    let noted = service.once.run(&keyed, |_| async { Ok(()) }.boxed()).await?;
    let submitted = service.pipeline.submit(post, 1, Some(Actor::new(&**caller.name()))).await;
    match submitted.map_err(|error| (error.kind(), error)) {
        // It was accepted before, and edited or deleted since.
        Err((ErrorKind::Conflict, _)) if !noted.is_new => {}
        Err((ErrorKind::Conflict, _)) => return Err(once::used_for_another()),
        Err((_, error)) => return Err(error.into()),
        Ok(_) => {}
    }
    Ok((StatusCode::ACCEPTED, Json(Accepted { id, version: 1 })))
}

/// Accepts an edit of whoever wrote the post; its tasks are found anew.
#[utoipa::path(put, path = "/posts/{id}", params(("id" = String, Path)), request_body = NewPost, security(("bearer" = [])), responses(
    (status = 202, body = Accepted), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn replace(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(post): Object<NewPost>,
) -> Answer<(StatusCode, Json<Accepted>)> {
    may_write(&caller)?;
    let post = post.into_post(id.clone(), Some(caller.name().to_string())).map_err(Problem::invalid)?;
    let _editing = service.editing.lock().await;
    let record = service.record(&id).await?;
    if !has_written(&caller, &record) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "only who wrote a post may edit it"));
    }
    let version = record.version + 1;
    service.pipeline.submit(post, version, Some(Actor::new(&**caller.name()))).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id, version })))
}

/// Deletes a post: its text and tasks are gone with the answer; whoever listens is told. Takes whoever wrote it, or a moderator.
///
/// Sent again, after an answer that got lost, it is accepted again until that is done.
#[utoipa::path(delete, path = "/posts/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 202, body = Accepted), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn remove(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<(StatusCode, Json<Accepted>)> {
    let _editing = service.editing.lock().await;
    let version = match service.store.get(&id).await? {
        // Whoever began it might; whose it was is gone with the text.
        Some(record) if record.state == TaskState::Withdrawing => record.version,
        Some(record) if record.state != TaskState::Withdrawn => {
            is_in_charge(&caller, &record)?;
            record.version + 1
        }
        _ => return Err(Problem::not_found("post")),
    };
    service.pipeline.withdraw(&id, version, Some(Actor::new(&**caller.name()))).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id, version })))
}

/// Begins a failed post anew. Takes whoever wrote it, or a moderator.
#[utoipa::path(post, path = "/posts/{id}/retry", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 202), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
async fn retry(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    is_in_charge(&caller, &service.record(&id).await?)?;
    service.pipeline.retry(&id, Some(Actor::new(&**caller.name()))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lists posts, those accepted last first, whatever was edited since.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/posts", params(PostsQuery), responses((status = 200, body = Vec<PostRow>), (status = 400, body = Problem)))]
async fn list(
    State(service): Shared,
    PageOf(paging, wanted): PageOf<PostsQuery>,
) -> Answer<(HeaderMap, Json<Vec<PostRow>>)> {
    let query = wanted.state.map_or_else(TaskQuery::default, |state| TaskQuery::in_state(state.into()));
    let query = query.with_limit(NonZeroUsize::MIN.saturating_add(paging.limit()));
    let query = match query::place(&paging)? {
        Some(place) => query.newest_after(place),
        None => query.newest_first(),
    };
    let records = service.store.list(&query).await?;
    let (link, Json(records)) = paging.page(records, |record| query::written(&record.place()));
    let nicknames = service.nicknames(&records).await?;
    Ok((link, Json(records.into_iter().filter_map(|record| PostRow::of(record, &nicknames)).collect())))
}

/// Shows a post and its tasks.
#[utoipa::path(get, path = "/posts/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = PostView), (status = 404, body = Problem)))]
async fn show(State(service): Shared, Id(id): Id) -> Answer<Json<PostView>> {
    let record = service.record(&id).await?;
    let nicknames = service.nicknames([&record]).await?;
    PostView::of(record, &nicknames).map(Json).ok_or_else(|| Problem::not_found("post"))
}

/// Lists the tasks of all posts that match a filter, those of the newest post first, each post's in their order.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/tasks", params(TasksQuery), responses((status = 200, body = Vec<TaskRow>), (status = 400, body = Problem)))]
async fn tasks(
    State(service): Shared,
    PageOf(paging, wanted): PageOf<TasksQuery>,
) -> Answer<(HeaderMap, Json<Vec<TaskRow>>)> {
    let filter: Option<Filter> = wanted
        .filter
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| bad(error.to_string()))?;
    if let Some(filter) = &filter {
        check_filter(filter).map_err(|error| bad(error.message().to_owned()))?;
    }
    let (mut rows, rows_wanted) = (Vec::new(), paging.rows());
    service
        .each_extracted(Cursor::read(&paging)?, |place, post, task| {
            if filter.as_ref().is_none_or(|filter| filter.matches(&task.fields(post))) {
                let cursor = Cursor { post: place.clone(), order: task.order };
                rows.push((cursor, TaskRow::of(post, task)));
            }
            rows.len() < rows_wanted
        })
        .await?;
    Ok(paging.page_of(rows, |(cursor, _)| cursor.write(), |(_, row)| row))
}

/// Shows which stories did what the question needs.
///
/// Few are matched at once: whoever asks for more at the same time, or when many wait, is told to come back.
#[utoipa::path(get, path = "/posts/{id}/matches", params(("id" = String, Path)), responses(
    (status = 200, body = Vec<MatchView>), (status = 404, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
async fn matches(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    client: Option<Extension<Client>>,
    Id(id): Id,
) -> Answer<Json<Vec<MatchView>>> {
    let needs = service.record(&id).await?.tasks;
    let whose = Whose::of(caller.as_deref(), client.map(|Extension(client)| client));
    let counted = service.waiting.admit(&whose).map_err(is_busy)?;
    // Stories are read and paired for two requests at once, and the pairing goes on when nobody waits for it any more.
    let stopping = |_| bad("the service is stopping");
    let place = Arc::clone(&service.matching).acquire_owned().await.map_err(stopping)?;
    let (mut deeds, mut stories) = (Vec::new(), Vec::new());
    service
        .each_extracted(None, |_, post, task| {
            if post.kind == PostKind::Story && post.id != id {
                stories.push((post.id.clone(), post.title.clone()));
                deeds.push(task);
            }
            true
        })
        .await?;
    let (runtime, matching) = (Handle::current(), Arc::clone(&service));
    let views = spawn_blocking(move || {
        let _held = (place, counted);
        let found = runtime.block_on(matching.matcher.match_tasks(&needs, &deeds))?;
        let views = found.iter().filter_map(|found| MatchView::of(found, &needs, &deeds, &stories));
        Ok::<_, Problem>(views.collect())
    });
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "other", "the matching panicked");
    views.await.map_err(failed)?.map(Json)
}

fn is_busy(full: Full) -> Problem {
    let problem = match full {
        Full::Yours | Full::Network => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "you, or others in your network, are matching tasks already",
        ),
        Full::All => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "many are matching tasks just now")
        }
    };
    let hint = "ask again after as many seconds as Retry-After says: matching the tasks of many stories takes its time";
    problem.with_hint(hint).with_retry_after(Duration::from_secs(2))
}

/// Shows what this service knows of a member.
#[utoipa::path(get, path = "/members/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = MemberView), (status = 404, body = Problem)))]
async fn member(State(service): Shared, Id(id): Id) -> Answer<Json<MemberView>> {
    let nickname = service.members.nicknames([id.as_str()]).await?.of(&id);
    let nickname = nickname.ok_or_else(|| Problem::not_found("member"))?;
    Ok(Json(MemberView { id, nickname }))
}

/// Takes a change of a member from the membership service: it goes the way of that service's events, by version.
///
/// For a membership service that does not publish on the topic `members` itself. Takes its token.
#[utoipa::path(put, path = "/members/{id}", params(("id" = String, Path)), request_body = MemberChange, security(("bearer" = [])),
    responses((status = 202), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
async fn sync_member(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Object(change): Object<MemberChange>,
) -> Answer<StatusCode> {
    caller.require(Role::Membership.as_str())?;
    if !(1..=MAX_VERSION).contains(&change.version) {
        return Err(Problem::invalid(format!("a version is 1 to {MAX_VERSION}")));
    }
    let nickname = change.nickname.map(nickname).transpose()?;
    service.members.publish(&id, change.version, nickname).await?;
    Ok(StatusCode::ACCEPTED)
}

fn nickname(text: String) -> Answer<String> {
    let is_line =
        !text.trim().is_empty() && text.chars().count() <= 50 && !text.chars().any(char::is_control);
    if is_line { Ok(text) } else { Err(Problem::invalid("a nickname is a line of 1 to 50 characters")) }
}

/// Hands out a token, in development, and plays the membership service for whoever gives a nickname.
#[utoipa::path(post, path = "/tokens", request_body = WantsToken, responses(
    (status = 201, body = Token), (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn token(State(service): Shared, Object(wanted): Object<WantsToken>) -> Answer<Token> {
    let token = service.keys.hand_out(&wanted.name, wanted.role.as_str(), LIFETIME)?;
    if let Some(text) = wanted.nickname {
        let now: Timestamp = SystemTime::now().into();
        let version = u64::try_from(now.as_micros()).unwrap_or_default();
        service.members.publish(wanted.name.trim(), version, Some(nickname(text)?)).await?;
    }
    Ok(token)
}

/// Tells who finds the tasks.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Json<About> {
    let extractor = service.extractor.version().to_owned();
    let offline = extractor == RuleTaskExtractor::NAME;
    let development = service.keys.hands_out();
    Json(About { offline, rehearsal: offline.then_some(rehearsal::WORD), extractor, development })
}

/// Streams what happens to posts, as server-sent events.
///
/// An event is named `accepted`, `started` (with every attempt), `extracted`, `failed` or `withdrawn`; its data is JSON with
/// `post_id`, and where they are known `version`, the number of `tasks`, or the `reason` and the `attempts`. `missed` stands
/// for events that came too fast to be told. `started` may overtake `accepted`; `GET /posts/{id}` says how far a post is.
///
/// One may listen 20 times at once with a token, and 50 times from one network without; when very many listen, there still is room for
/// those with one.
#[utoipa::path(get, path = "/events", responses((status = 200, body = String, content_type = "text/event-stream"),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
async fn events(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    client: Option<Extension<Client>>,
) -> Answer<Sse<impl Stream<Item = Result<Event, axum::Error>>>> {
    let whose = Whose::of(caller.as_deref(), client.map(|Extension(client)| client));
    let place = service.places.admit(&whose)?;
    let shutdown = service.shutdown.clone();
    let state = (service.listeners.subscribe(), place);
    let news = stream::unfold(state, |(mut news, place)| async move {
        let told = match news.recv().await {
            Ok(told) => told,
            Err(RecvError::Lagged(_)) => News::missed(),
            Err(RecvError::Closed) => return None,
        };
        Some((Event::default().event(told.stage.as_str()).json_data(&told), (news, place)))
    });
    let until_stop = news.take_until(async move { shutdown.triggered().await });
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn has_written(caller: &Caller, record: &TaskRecord) -> bool {
    record.post.as_ref().and_then(|post| post.author.as_deref()) == Some(&**caller.name())
}

/// Lets people pass: the membership service's token is for telling of members, and no member of that name would have written.
fn may_write(caller: &Caller) -> Answer<()> {
    if is_a_person(caller) {
        return Ok(());
    }
    let detail = "members and moderators write posts, the membership service does not";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
}

fn is_a_person(caller: &Caller) -> bool {
    [Role::Member, Role::Moderator].into_iter().any(|role| caller.is(role.as_str()))
}

/// Lets whoever wrote a post pass, and a moderator.
fn is_in_charge(caller: &Caller, record: &TaskRecord) -> Answer<()> {
    if is_a_person(caller) && has_written(caller, record) {
        Ok(())
    } else {
        caller.require(Role::Moderator.as_str())
    }
}

impl Service {
    /// The nicknames of those who wrote these posts.
    async fn nicknames<'a>(&self, records: impl IntoIterator<Item = &'a TaskRecord>) -> Answer<Nicknames> {
        let authors = records.into_iter().filter_map(|record| record.post.as_ref()?.author.as_deref());
        Ok(self.members.nicknames(authors).await?)
    }

    /// Hands every known task behind the cursor to `visit`, with the place of its post, until it returns false.
    async fn each_extracted(
        &self,
        after: Option<Cursor>,
        mut visit: impl FnMut(&TaskPlace, &Post, Task) -> bool,
    ) -> Answer<()> {
        let mut query = TaskQuery::in_state(TaskState::Extracted).newest_first();
        let mut first = None;
        if let Some(Cursor { post, order }) = after {
            let rest = self.store.get(&post.post_id).await?;
            first = rest.filter(|record| record.state == TaskState::Extracted).map(|mut record| {
                record.tasks.retain(|task| task.order > order);
                record
            });
            query = query.newest_after(post);
        }
        loop {
            let page = self.store.list(&query).await?;
            let next = page.last().map(TaskRecord::place);
            for record in first.take().into_iter().chain(page) {
                let place = record.place();
                let Some(post) = record.post else { continue };
                for task in record.tasks {
                    if !visit(&place, &post, task) {
                        return Ok(());
                    }
                }
            }
            let Some(next) = next else { return Ok(()) };
            query = query.newest_after(next);
        }
    }

    /// The record of a post that is not withdrawn.
    async fn record(&self, id: &str) -> Answer<TaskRecord> {
        let record = self.store.get(id).await?;
        record.filter(|record| !record.state.is_deleted()).ok_or_else(|| Problem::not_found("post"))
    }
}
