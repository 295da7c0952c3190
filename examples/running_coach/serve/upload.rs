//! What an admin sends: text, Markdown, HTML or PDF becomes a document.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use pumasi_core::text::Normalizer;
use pumasi_rag::Document;
use pumasi_rag::document::{HtmlLoader, PdfLoader, TextLoader};
use serde::Deserialize;
use support::problem::Problem;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

/// The longest title or topic, in characters.
const LONGEST: usize = 200;

/// A document with its title, as JSON.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDocument {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// What it says, in Markdown.
    #[schema(min_length = 1)]
    text: String,
    /// What it is about.
    #[serde(default)]
    #[schema(max_length = 200)]
    topic: String,
}

/// What a file does not say of itself.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// What a file is called; else as it calls itself, else by its name. JSON has its own.
    #[param(max_length = 200)]
    title: Option<String>,
    /// What a file is about. JSON has its own.
    #[param(max_length = 200)]
    topic: Option<String>,
}

/// Makes a document of what was sent, by its `Content-Type`.
pub(super) async fn document(
    id: String,
    about: About,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Document, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let name = id.rsplit('/').next().unwrap_or_default().to_owned();
    let mut document = match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => {
            if !body.trim_ascii_start().starts_with(b"{") {
                return Err(Problem::invalid("the body is not a JSON object"));
            }
            let new: NewDocument =
                serde_json::from_slice(&body).map_err(|error| Problem::invalid(error.to_string()))?;
            let about = About { title: Some(new.title), topic: Some(new.topic) };
            return finished(Document::markdown(id, new.text), about, "");
        }
        media @ ("text/plain" | "text/markdown") => {
            let loader = if media == "text/plain" { TextLoader::new() } else { TextLoader::markdown() };
            let loader = loader.with_content_type(kind);
            read(move || loader.load(id, &body)).await?
        }
        "text/html" => {
            let loader = HtmlLoader::new().with_content_type(kind);
            read(move || loader.load(id, &body)).await?
        }
        "application/pdf" => read(move || PdfLoader::new().load(id, &body)).await?,
        _ => {
            let detail =
                "knowledge is application/json, text/plain, text/markdown, text/html or application/pdf";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_input", detail));
        }
    };
    // Where a page says that it is, is a claim of whoever wrote it.
    document.uri = None;
    finished(document, about, &name)
}

/// Reads a file, which computes, and belongs away from the threads that answer others.
async fn read(
    load: impl FnOnce() -> pumasi_rag::Result<Document> + Send + 'static,
) -> Result<Document, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "other", "reading the file panicked");
    spawn_blocking(load).await.map_err(failed)?.map_err(|error| unreadable(&error))
}

/// Whatever a reader has against a file, it is the file's: damaged, locked by a password, or without a word in it.
fn unreadable(error: &pumasi_rag::Error) -> Problem {
    Problem::invalid(error.message().to_owned())
}

fn finished(document: Document, about: About, name: &str) -> Result<Document, Problem> {
    let is_line = |text: &str| text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
    let title = match about.title {
        Some(title) => title,
        None if !document.title.trim().is_empty() => document.title.chars().take(LONGEST).collect(),
        None => name.to_owned(),
    };
    let topic = about.topic.unwrap_or_default();
    let is_blank =
        |text: &str| Normalizer::default().without_invisible().normalize(text).as_str().trim().is_empty();
    if is_blank(&title) || is_blank(&document.text) {
        return Err(Problem::invalid("a document has a title and a text"));
    }
    if !is_line(&title) || !is_line(&topic) {
        return Err(Problem::invalid(format!("title and topic are lines of at most {LONGEST} characters")));
    }
    Ok(document.with_title(title).with_metadata("topic", topic))
}
