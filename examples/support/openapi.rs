//! The OpenAPI document, with what every operation has in common, and what holds requests to it.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::{self, Content, OpenApi, RefOr, ResponseBuilder, Schema};

use crate::query::bad;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const PROBLEM: &str = "application/problem+json";

/// Serves the document at `/openapi.json`.
pub fn router<S: Clone + Send + Sync + 'static>(mut document: OpenApi) -> Router<S> {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            if path.contains('{') {
                tell_unreadable(operation);
            }
            tell_problems(operation);
        }
    }
    Router::new().route("/openapi.json", get(|| async move { Json(document) }))
}

/// Tells of operations that whoever asks too often is told to come back to later.
pub fn tell_rate(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        operations.into_iter().flatten().for_each(tell_too_many);
    }
}

fn tell_too_many(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    responses.entry("429".to_owned()).or_insert_with(|| {
        RefOr::T(problem("Asked too often: `Retry-After` says for how many seconds to wait"))
    });
}

/// A path may hold what is no UTF-8.
fn tell_unreadable(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    responses
        .entry("400".to_owned())
        .or_insert_with(|| RefOr::T(problem("The address, or the request, cannot be read")));
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
    responses
        .entry("default".to_owned())
        .or_insert_with(|| RefOr::T(problem("What went wrong, and what to do about it")));
    // Whoever goes on being refused is slowed down, whatever else stands around the operation.
    if responses.contains_key("401") {
        tell_too_many(operation);
    }
}

fn problem(description: &str) -> openapi::Response {
    let schema: RefOr<Schema> = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new().description(description).content(PROBLEM, Content::new(Some(schema))).build()
}

/// The operations of a document that take query parameters.
#[derive(Clone, Debug)]
pub struct Queries(Arc<HashSet<(Method, String)>>);

impl Queries {
    /// Reads the document.
    pub fn of(document: &OpenApi) -> Self {
        let takes = |operation: &Option<Operation>| {
            let mut parameters = operation.iter().flat_map(|operation| &operation.parameters).flatten();
            parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query))
        };
        let mut all = HashSet::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
            ];
            let taking = operations.into_iter().filter(|(_, operation)| takes(operation));
            all.extend(taking.map(|(method, _)| (method, path.clone())));
        }
        Self(Arc::new(all))
    }

    /// Refuses parameters where the operation takes none.
    pub async fn only_where_declared(
        State(Self(declared)): State<Self>,
        request: Request,
        next: Next,
    ) -> Response {
        let query = request.uri().query().unwrap_or_default();
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let is_declared = path.is_none_or(|path| declared.contains(&(method, path)));
        if query.is_empty() || is_declared {
            return next.run(request).await;
        }
        let name = query.split(['=', '&']).next().unwrap_or_default();
        bad(format!("unknown parameter `{name}`: this path takes no query parameters")).into_response()
    }
}
