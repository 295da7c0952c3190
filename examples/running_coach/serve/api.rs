//! The HTTP API.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use pumasi_core::filter::{Field, Filter};
use pumasi_rag::answer::{AnswerEvent, Ask};
use pumasi_rag::memory::Conversation;
use pumasi_rag::sse::{Resumed, last_event_id};
use pumasi_rag::store::Entry;
use pumasi_rag::{DocumentRecord, Question};
use serde::{Deserialize, Serialize};
use support::auth::{Bearer, Caller};
use support::body::Object;
use support::client::Client;
use support::language::Language;
use support::paging::{PageQuery, Paging};
use support::problem::Problem;
use support::query::{Id, Known, bad};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::upload::{self, NewDocument};
use super::{ADMIN, Service};

const TOPIC: Field<String> = Field::new("topic");

type Shared = State<Arc<Service>>;
type Answer<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(title = "Running coach", description = "Answers from stored knowledge, with the source of each sentence."),
    modifiers(&Bearer)
)]
struct Document;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(ask, resume))
        .routes(routes!(list))
        .routes(routes!(show, store, remove))
        .routes(routes!(about))
}

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[schema(min_length = 1, max_length = 2000, example = "무릎 앞쪽이 아픈데 뛰어도 될까요?")]
    question: String,
    /// A name that the client drew by chance: who knows it goes on with the conversation.
    #[schema(min_length = 16, max_length = 64)]
    conversation: Option<String>,
    /// Only from knowledge about this.
    topic: Option<String>,
}

/// The most characters of a question.
const LONGEST: usize = 2_000;

/// Streams the answer as server-sent events.
///
/// `retrieved` tells the sources, `delta` the words, `citation` which sentence rests on which source and whether that bears it out,
/// `done` how it ended, `error` why it broke off.
///
/// A model answers as many questions a day as `/about` tells; one beyond that is answered as where there is no model, with sentences of
/// the sources, which its words and its `outcome`, `extracted`, say. So is one for which the model cannot be reached, where `unreachable`
/// names why. What was answered before is given again whatever was asked today.
#[utoipa::path(post, path = "/answers", request_body = Asked, responses(
    (status = 200, body = String, content_type = "text/event-stream"), (status = 400, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
async fn ask(
    State(service): Shared,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Object(asked): Object<Asked>,
) -> Answer<Response> {
    let text = asked.question.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(Problem::invalid(format!("a question has 1 to {LONGEST} characters")));
    }
    let name = asked.conversation;
    if name.as_ref().is_some_and(|name| !(16..=64).contains(&name.chars().count())) {
        return Err(Problem::invalid("the name of a conversation has 16 to 64 characters"));
    }
    let conversation = name.as_ref().map_or_else(Conversation::new, |name| service.memory.get(name));
    let mut question = Question::new(text);
    if let Some(topic) = asked.topic.filter(|topic| !topic.is_empty()) {
        question = question.with_filter(TOPIC.eq(topic));
    }
    let is_first = conversation.turns.is_empty();
    let ask = Ask::from(question).in_conversation(conversation);
    let answer = service.answer(ask, is_first, client.map(|Extension(client)| client)).await;
    let language = Language::of(&headers);
    let answer = answer.map(move |event| told(event, language));
    let stream = match name {
        Some(name) => service.streams.open(service.memory.record(&name, text, answer)),
        None => service.streams.open(answer),
    };
    Ok(stream.into_response())
}

/// What a reader is told: of an error its kind, in the reader's language. The rest, as where the model is, goes to the log.
fn told(event: AnswerEvent, language: Language) -> AnswerEvent {
    let AnswerEvent::Error(mut failure) = event else { return event };
    tracing::warn!(kind = failure.kind.as_str(), reason = failure.message, "an answer broke off");
    let kind = failure.kind.as_str();
    failure.message = Language::korean(kind)
        .filter(|_| language == Language::Korean)
        .unwrap_or_else(|| kind.replace('_', " "));
    AnswerEvent::Error(failure)
}

impl Service {
    /// Answers: as before, if it was answered before; else with the model, as long as it may be asked today.
    async fn answer(
        &self,
        ask: Ask,
        is_first: bool,
        client: Option<Client>,
    ) -> BoxStream<'static, AnswerEvent> {
        if self.coach.model().is_none() {
            return self.without_model.ask(ask).boxed();
        }
        match self.coach.recall(&ask).await {
            Ok(Some(answer)) => return answer.boxed(),
            Ok(None) => {}
            // Whoever looks the question up will tell.
            Err(error) => tracing::warn!(%error, "what was answered before is not known"),
        }
        match self.allowance.count(client).await {
            Some(counted) => counted.unless_unanswered(is_first, self.coach.ask(ask)).boxed(),
            None => self.without_model.ask(ask).boxed(),
        }
    }
}

/// Goes on with an answer whose connection broke, after the event that `Last-Event-ID` names; 204 if that was the last one.
#[utoipa::path(get, path = "/answers", params(("Last-Event-ID" = String, Header)), responses(
    (status = 200, body = String, content_type = "text/event-stream"), (status = 204), (status = 400, body = Problem),
    (status = 404, body = Problem)))]
async fn resume(State(service): Shared, headers: HeaderMap) -> Answer<Response> {
    let last = last_event_id(&headers).ok_or_else(|| bad("the header Last-Event-ID is missing"))?;
    match service.streams.resume(last) {
        Resumed::Unknown => Err(Problem::not_found("answer; it is kept for a few minutes")),
        resumed => Ok(resumed.into_response()),
    }
}

/// A document in a list.
#[derive(Serialize, ToSchema)]
struct Row {
    id: String,
    title: String,
    topic: Option<String>,
}

impl Row {
    fn of(record: DocumentRecord) -> Self {
        let topic = record.metadata.get("topic").and_then(|topic| topic.as_str()).map(str::to_owned);
        Self { id: record.id, title: record.title, topic: topic.filter(|topic| !topic.is_empty()) }
    }
}

/// Lists the documents in the order of their identifiers.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/knowledge", params(PageQuery), responses((status = 200, body = Vec<Row>), (status = 400, body = Problem)))]
async fn list(State(service): Shared, paging: Paging) -> Answer<(HeaderMap, Json<Vec<Row>>)> {
    let after = paging.after_id()?.unwrap_or_default();
    let records = service.knowledge.store.scan(after, paging.rows()).await?;
    Ok(paging.page_of(records, |last| last.id.clone(), Row::of))
}

/// A document whole, as answers cite it.
#[derive(Serialize, ToSchema)]
struct Whole {
    #[serde(flatten)]
    row: Row,
    /// Its sections, in order.
    sections: Vec<Section>,
}

/// A section of a document.
#[derive(Serialize, ToSchema)]
struct Section {
    /// The headings above it, outermost first.
    headings: Vec<String>,
    /// Where it begins, in bytes of the document: a source's span counts alike.
    start: usize,
    text: String,
}

/// Shows a document, so that a source can be read in its place.
///
/// A `/` of the identifier is written as `%2F`.
#[utoipa::path(get, path = "/knowledge/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Whole), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn show(State(service): Shared, Id(id): Id) -> Answer<Json<Whole>> {
    let found = service.knowledge.store.entries(&[&id]).await?.pop().flatten();
    let Entry { record, sections, .. } = found.ok_or_else(|| Problem::not_found("document"))?;
    let sections = sections
        .into_iter()
        .map(|section| Section { headings: section.headings, start: section.span.start, text: section.text })
        .collect();
    Ok(Json(Whole { row: Row::of(record), sections }))
}

/// Stores a document, in place of one with the same identifier. Takes an admin.
///
/// The body is JSON, or a file: a text, Markdown, a page of HTML, or a PDF with text in it. A `/` of the identifier is written
/// as `%2F`.
#[utoipa::path(put, path = "/knowledge/{id}", params(("id" = String, Path), upload::About), security(("bearer" = [])),
    request_body(content((NewDocument = "application/json"), (String = "text/plain"), (String = "text/markdown"),
        (String = "text/html"), (Vec<u8> = "application/pdf"))),
    responses((status = 201), (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem), (status = 501, body = Problem)))]
async fn store(
    State(service): Shared,
    caller: Caller,
    Id(id): Id,
    Known(about): Known<upload::About>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<StatusCode> {
    caller.require(ADMIN)?;
    // a path that ends so names what is above it
    if matches!(id.as_str(), "." | "..") {
        return Err(Problem::invalid("an identifier is no `.` and no `..`"));
    }
    let document = upload::document(id, about, &headers, body).await?;
    let _alone = service.storing.of(&document.id).await;
    let report = service.knowledge.ingest().run([document]).await?;
    match report.rejected.first() {
        Some(rejected) => Err(Problem::invalid(rejected.error.to_string())),
        None if report.added > 0 => Ok(StatusCode::CREATED),
        None => Ok(StatusCode::NO_CONTENT),
    }
}

/// Removes a document; what was answered from it is not given again. Takes an admin.
#[utoipa::path(delete, path = "/knowledge/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem)))]
async fn remove(State(service): Shared, caller: Caller, Id(id): Id) -> Answer<StatusCode> {
    caller.require(ADMIN)?;
    match service.knowledge.store.remove(&[&id]).await? {
        0 => Err(Problem::not_found("document")),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Who answers.
#[derive(Serialize, ToSchema)]
struct About {
    /// The model; none where answers are sentences of the sources.
    model: Option<String>,
    documents: u64,
    /// How many questions a day the model answers; none where there is no model.
    model_questions: Option<ModelQuestions>,
}

/// How many questions a day (UTC) a model answers.
#[derive(Serialize, ToSchema)]
struct ModelQuestions {
    per_address: u32,
    in_all: u32,
}

/// Tells who answers, and from how much.
#[utoipa::path(get, path = "/about", responses((status = 200, body = About)))]
async fn about(State(service): Shared) -> Answer<Json<About>> {
    let counts = service.knowledge.store.count(&Filter::And(Vec::new())).await?;
    let model = service.coach.model().map(str::to_owned);
    let limits = service.allowance.limits();
    let model_questions = model
        .is_some()
        .then(|| ModelQuestions { per_address: limits.per_address(), in_all: limits.in_all() });
    Ok(Json(About { model, documents: counts.documents, model_questions }))
}
