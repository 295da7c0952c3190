//! The HTTP API.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use pumasi_core::filter::{Field, Filter};
use pumasi_rag::answer::Ask;
use pumasi_rag::memory::Conversation;
use pumasi_rag::sse::last_event_id;
use pumasi_rag::{Document, Question};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use support::problem::Problem;

use super::Service;

const TOPIC: Field<String> = Field::new("topic");

type Shared = State<Arc<Service>>;
type Answer<T> = Result<T, Problem>;

pub(super) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/answers", post(ask).get(resume))
        .route("/knowledge", get(list))
        .route("/knowledge/{*id}", put(store).delete(remove))
        .route("/about", get(about))
}

/// A question. `conversation` is a name that the client drew by chance: who knows it goes on with the conversation.
#[derive(Deserialize)]
struct Asked {
    question: String,
    conversation: Option<String>,
    topic: Option<String>,
}

/// The most characters of a question.
const LONGEST: usize = 2_000;

/// Streams the answer as server-sent events.
async fn ask(State(service): Shared, body: Result<Json<Asked>, JsonRejection>) -> Answer<Response> {
    let Json(asked) =
        body.map_err(|error| Problem::new(error.status(), "invalid_input", error.body_text()))?;
    let text = asked.question.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(Problem::invalid(format!("a question has 1 to {LONGEST} characters")));
    }
    let name = asked.conversation.filter(|name| (16..=64).contains(&name.len()));
    let conversation = name.as_ref().map_or_else(Conversation::new, |name| service.memory.get(name));
    let mut question = Question::new(text);
    if let Some(topic) = asked.topic.filter(|topic| !topic.is_empty()) {
        question = question.with_filter(TOPIC.eq(topic));
    }
    let answer = service.coach.ask(Ask::from(question).in_conversation(conversation));
    let stream = match name {
        Some(name) => service.streams.open(service.memory.record(&name, text, answer)),
        None => service.streams.open(answer),
    };
    Ok(stream.into_response())
}

/// Goes on with an answer whose connection broke, after the event that `Last-Event-ID` names.
async fn resume(State(service): Shared, headers: HeaderMap) -> Answer<Response> {
    let last = last_event_id(&headers).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_input", "the header Last-Event-ID is missing")
    })?;
    Ok(service.streams.resume(last).into_response())
}

#[derive(Serialize)]
struct Row {
    id: String,
    title: String,
    topic: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    after: String,
}

/// Lists the documents in the order of their ids, 200 a page.
async fn list(State(service): Shared, Query(page): Query<Page>) -> Answer<Json<Vec<Row>>> {
    let records = service.knowledge.store.scan(&page.after, 200).await?;
    let topic = |value: Option<&serde_json::Value>| value.and_then(|topic| topic.as_str()).map(str::to_owned);
    let row = |record: pumasi_rag::DocumentRecord| Row {
        topic: topic(record.metadata.get("topic")),
        id: record.id,
        title: record.title,
    };
    Ok(Json(records.into_iter().map(row).collect()))
}

/// What an admin knows.
#[derive(Deserialize)]
struct NewDocument {
    title: String,
    text: String,
    #[serde(default)]
    topic: String,
}

/// Stores a document, in place of one with the same id.
async fn store(
    State(service): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<NewDocument>, JsonRejection>,
) -> Answer<StatusCode> {
    service.admit(&headers)?;
    let Json(new) = body.map_err(|error| Problem::new(error.status(), "invalid_input", error.body_text()))?;
    if new.text.trim().is_empty() || new.title.trim().is_empty() {
        return Err(Problem::invalid("a document has a title and a text"));
    }
    let document = Document::markdown(id, new.text).with_title(new.title).with_metadata("topic", new.topic);
    let report = service.knowledge.ingest().run([document]).await?;
    match report.rejected.first() {
        Some(rejected) => Err(Problem::invalid(rejected.error.to_string())),
        None if report.added > 0 => Ok(StatusCode::CREATED),
        None => Ok(StatusCode::NO_CONTENT),
    }
}

/// Removes a document; what was answered from it is not given again.
async fn remove(State(service): Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer<StatusCode> {
    service.admit(&headers)?;
    match service.knowledge.store.remove(&[&id]).await? {
        0 => Err(Problem::not_found("document")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

#[derive(Serialize)]
struct About {
    model: Option<String>,
    documents: u64,
}

/// Tells who answers, and from how much.
async fn about(State(service): Shared) -> Answer<Json<About>> {
    let counts = service.knowledge.store.count(&Filter::And(Vec::new())).await?;
    Ok(Json(About { model: service.coach.model().map(str::to_owned), documents: counts.documents }))
}

impl Service {
    /// Lets an admin in.
    fn admit(&self, headers: &HeaderMap) -> Answer<()> {
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        // hashes, so that how long the comparison takes says nothing of the token
        let is_admin = given.is_some_and(|given| Sha256::digest(given) == Sha256::digest(&self.admin_token));
        if is_admin {
            return Ok(());
        }
        Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "this takes an admin's token"))
    }
}
