//! The API of todos: everybody's own, edited in several places at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use support::auth::Caller;
use support::body::Object;
use support::etag::{Precondition, etag, stale};
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{NewTodo, todo_id};
use super::view::TodoView;
use crate::todos::{Deleted, Written};

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, write, delete))
}

/// Lists the caller's todos, by their names.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/todos", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, body = Vec<TodoView>, headers(("Link" = String, description = "The next page, if there is one"))),
    (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn list(
    State(service): Shared,
    caller: Caller,
    paging: Paging,
) -> Answer<(HeaderMap, Json<Vec<TodoView>>)> {
    let todos = service.todos.list(caller.name(), paging.after_id()?, paging.rows()).await?;
    Ok(paging.page_of(todos, |todo| todo.id.clone(), TodoView::from))
}

/// Shows a todo of the caller's; its ETag names the version.
#[utoipa::path(get, path = "/todos/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = TodoView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn show(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<(HeaderMap, Json<TodoView>)> {
    let todo = service.todos.todo(caller.name(), &id).await?.ok_or_else(|| Problem::not_found("todo"))?;
    Ok((etag(todo.version), Json(todo.into())))
}

/// Writes a todo of the caller's: a new one with `If-None-Match: *`, or over the version that was read with `If-Match`.
///
/// With 412 another version stands, which somebody wrote meanwhile: nothing is overwritten. The same write again, whose answer was
/// lost, is answered alike.
#[utoipa::path(put, path = "/todos/{id}", request_body = NewTodo, security(("bearer" = [])), params(
    ("id" = String, Path, description = "The caller's own name for it: 1 to 64 letters, digits, hyphens and underscores."),
    ("If-Match" = Option<String>, Header, description = "The ETag of the version that is written over."),
    ("If-None-Match" = Option<String>, Header, description = "`*` for one that is new.")),
    responses((status = 200, body = TodoView), (status = 201, body = TodoView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 409, body = Problem), (status = 412, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 428, body = Problem)))]
async fn write(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    Object(new): Object<NewTodo>,
) -> Answer<(StatusCode, HeaderMap, Json<TodoView>)> {
    let (id, based_on) = (todo_id(&id)?, Precondition::of(&headers)?);
    let written = service.todos.write(caller.name(), id, new.text()?, new.done, &based_on).await?;
    let todo = match written {
        Written::Done(todo) => todo,
        Written::Stale(standing) => {
            metrics::counter!("dev_search_todo_conflicts_total").increment(1);
            return Err(told_stale(standing.map(|todo| todo.version)));
        }
    };
    let status = if based_on == Precondition::New { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, etag(todo.version), Json(todo.into())))
}

/// Deletes a todo of the caller's, if the version that was read still stands.
#[utoipa::path(delete, path = "/todos/{id}", security(("bearer" = [])), params(("id" = String, Path),
    ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read.")),
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
    (status = 412, body = Problem), (status = 428, body = Problem)))]
async fn delete(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    match service.todos.delete(caller.name(), &id, &Precondition::of(&headers)?).await? {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::Missing => Err(Problem::not_found("todo")),
        Deleted::Stale(standing) => {
            metrics::counter!("dev_search_todo_conflicts_total").increment(1);
            Err(told_stale(Some(standing.version)))
        }
    }
}

fn told_stale(standing: Option<u64>) -> Problem {
    stale(match standing {
        Some(version) => format!("version {version} stands, which was written meanwhile"),
        None => "there is no such todo any more".to_owned(),
    })
}
