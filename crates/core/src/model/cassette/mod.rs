//! Recordings of real calls, replayed in tests.
//!
//! A [`Cassette`] is a JSON file of what was asked and what was answered. It holds requests and answers, and nothing of
//! the transport: no key, no header, no address. What looks like a credential inside a text is replaced too.

mod chat;
mod embed;
mod scrub;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use chat::RecordedModel;
pub use embed::RecordedEmbedder;
#[cfg(feature = "openai")]
pub(in crate::model) use scrub::scrub;

use super::{ChatChunk, Embedding, ModelCapabilities, Usage};
use crate::{Error, ErrorKind, Result, Retry};

/// The format this code writes, and the only one it reads.
const FORMAT: u32 = 1;

/// A file of recorded calls: of one chat model, of one embedder, or of both. Clones share it.
///
/// Recorded under the [key](super::ChatRequest::key) of the request; calls with equal requests keep their order, and the last
/// answer stands for all further ones. Every recording is written to the file at once, whole, by renaming; the file
/// is small and the calls are tests', so writing it blocks.
///
/// `Debug` shows the path and counts, never texts.
///
/// ```
/// use pumasi_core::model::{
///     Cassette, ChatModel, ChatRequest, Message, RecordedModel, Reply, ScriptedModel,
/// };
///
/// # futures_util::FutureExt::now_or_never(async {
/// // Once, with the real model:
/// let cassette = Cassette::in_memory(); // or `Cassette::create("tests/cassettes/capital.json")`
/// let model = RecordedModel::record(&cassette, ScriptedModel::new([Reply::text("서울")]));
/// let request = ChatRequest::new([Message::user("한국의 수도는?")]);
/// model.complete(request.clone()).await?;
///
/// // Ever after, without it:
/// let model = RecordedModel::replay(&cassette)?;
/// assert_eq!(model.complete(request).await?.text(), "서울");
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap()?;
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Cassette {
    shared: Arc<Shared>,
}

struct Shared {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tape: Tape,
    /// How often each request was replayed.
    replayed: BTreeMap<String, usize>,
    /// The requests recorded since the file was opened: their older answers are gone.
    fresh: BTreeSet<String>,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct Tape {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chat_model: Option<ChatModelHeader>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedder: Option<EmbedderHeader>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    chat: BTreeMap<String, Episode>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    embeddings: BTreeMap<String, EmbeddedText>,
}

#[derive(Clone, Serialize, Deserialize)]
struct ChatModelHeader {
    name: String,
    capabilities: ModelCapabilities,
}

#[derive(Clone, Serialize, Deserialize)]
struct EmbedderHeader {
    name: String,
    dimensions: usize,
}

/// A request, for whoever reads the file, and its answers in order.
#[derive(Serialize, Deserialize)]
struct Episode {
    request: Value,
    answers: Vec<Answer>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Answer {
    #[serde(default)]
    model: String,
    chunks: Vec<ChatChunk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize, Deserialize)]
struct EmbeddedText {
    text: String,
    vector: Embedding,
}

/// An error, without its source.
#[derive(Clone, Serialize, Deserialize)]
struct Failure {
    kind: ErrorKind,
    message: String,
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let retry_after_ms = match error.retry() {
            Retry::After(delay) => Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            Retry::Never | Retry::Now => None,
        };
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            retryable: error.retry().is_retryable(),
            retry_after_ms,
            usage: error.usage(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let retry = match failure.retry_after_ms {
            _ if !failure.retryable => Retry::Never,
            Some(delay) => Retry::After(Duration::from_millis(delay)),
            None => Retry::Now,
        };
        Self::new(failure.kind, failure.message).with_retry(retry).with_known_usage(failure.usage)
    }
}

impl Cassette {
    /// Opens a file of recordings.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such file, `Storage` if it cannot be read, `InvalidInput` if it is no cassette.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let json = std::fs::read_to_string(&path).map_err(|source| {
            let kind = match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Storage,
            };
            Error::new(kind, format!("the cassette {} cannot be read", path.display())).with_source(source)
        })?;
        Self::parse(&json, Some(path))
    }

    /// Begins an empty cassette, which takes the place of the file at `path` with its first recording.
    pub fn create(path: impl Into<PathBuf>) -> Self {
        Self::new(Tape { format: FORMAT, ..Tape::default() }, Some(path.into()))
    }

    /// Begins an empty cassette without a file.
    pub fn in_memory() -> Self {
        Self::new(Tape { format: FORMAT, ..Tape::default() }, None)
    }

    /// Reads a cassette from JSON, for files that are compiled in with `include_str!`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no cassette.
    pub fn from_json(json: &str) -> Result<Self> {
        Self::parse(json, None)
    }

    /// Writes the cassette as JSON, in the form of the file.
    ///
    /// # Errors
    ///
    /// `Storage` if a recorded value cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        render(&self.lock().tape)
    }

    /// Counts the requests and texts that are recorded.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.tape.chat.len() + state.tape.embeddings.len()
    }

    /// Tells whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn new(tape: Tape, path: Option<PathBuf>) -> Self {
        let state = Mutex::new(State { tape, ..State::default() });
        Self { shared: Arc::new(Shared { path, state }) }
    }

    fn parse(json: &str, path: Option<PathBuf>) -> Result<Self> {
        let named = path.as_deref().map_or_else(|| "in memory".to_owned(), |path| path.display().to_string());
        let tape: Tape = serde_json::from_str(json).map_err(|source| {
            // serde's message could quote the file's text, so only the place of the error is told.
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the cassette {named} is not valid at line {} column {}",
                    source.line(),
                    source.column()
                ),
            )
        })?;
        if tape.format != FORMAT {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the cassette {named} has format {}, and only format {FORMAT} is read", tape.format),
            ));
        }
        Ok(Self::new(tape, path))
    }

    /// Changes the tape and writes the file.
    fn record(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = self.lock();
        change(&mut state);
        match &self.shared.path {
            Some(path) => save(path, &render(&state.tape)?),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> String {
        self.shared.path.as_deref().map_or_else(|| "in memory".to_owned(), |path| path.display().to_string())
    }

    fn missing(&self, what: &str, key: &str) -> Error {
        let short = key.get(..12).unwrap_or(key);
        Error::new(
            ErrorKind::NotFound,
            format!(
                "no recording of {what} {short} in the cassette {} ({} recorded): record it with the real model",
                self.name(),
                self.len()
            ),
        )
    }

    fn without(&self, what: &str) -> Error {
        Error::new(ErrorKind::NotFound, format!("the cassette {} has no recording of {what}", self.name()))
    }
}

impl fmt::Debug for Cassette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cassette").field("path", &self.shared.path).field("recorded", &self.len()).finish()
    }
}

/// Writes JSON for people to read and review.
fn render(tape: &Tape) -> Result<String> {
    let unwritable =
        |source| Error::new(ErrorKind::Storage, "a recording cannot be written as JSON").with_source(source);
    let mut value = serde_json::to_value(tape).map_err(unwritable)?;
    scrub_strings(&mut value);
    let mut json = serde_json::to_string_pretty(&value).map_err(unwritable)?;
    json.push('\n');
    Ok(json)
}

fn scrub_strings(value: &mut Value) {
    match value {
        Value::String(text) => *text = scrub::scrub(text),
        Value::Array(items) => items.iter_mut().for_each(scrub_strings),
        Value::Object(map) => map.values_mut().for_each(scrub_strings),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes beside the file and renames, so that a reader or a crash never meets half a file.
fn save(path: &Path, json: &str) -> Result<()> {
    let failed = |source: std::io::Error| {
        Error::new(ErrorKind::Storage, format!("the cassette {} cannot be written", path.display()))
            .with_source(source)
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    std::fs::write(&beside, json).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
