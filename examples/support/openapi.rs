//! The OpenAPI document, with what every operation has in common.

use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{Content, OpenApi, RefOr, Response, ResponseBuilder, Schema};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const PROBLEM: &str = "application/problem+json";

/// Serves the document at `/openapi.json`.
pub fn router<S: Clone + Send + Sync + 'static>(mut document: OpenApi) -> Router<S> {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        operations.into_iter().flatten().for_each(tell_problems);
    }
    Router::new().route("/openapi.json", get(|| async move { Json(document) }))
}

/// Every error is a problem: those that the operation names, and those that may meet any request.
fn tell_problems(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove(JSON)
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
        // The description tells of the events; as a text the stream has no form that could be checked.
        if let Some(stream) = response.content.get_mut(EVENTS) {
            *stream = RefOr::T(Content::new(None::<RefOr<Schema>>));
        }
    }
    responses.entry("default".to_owned()).or_insert_with(|| RefOr::T(any_problem()));
}

fn any_problem() -> Response {
    let schema: RefOr<Schema> = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description("What went wrong, and what to do about it")
        .content(PROBLEM, Content::new(Some(schema)))
        .build()
}
