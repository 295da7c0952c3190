//! What is known: documents, and what stays of them in a store.

#[cfg(any(feature = "html", feature = "text"))]
mod encoding;
mod fingerprint;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "pdf")]
mod pdf;
mod tenant;
#[cfg(feature = "text")]
mod text;

use std::fmt;

use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use fingerprint::Fingerprint;
#[cfg(feature = "html")]
pub use html::HtmlLoader;
#[cfg(feature = "pdf")]
pub use pdf::PdfLoader;
pub use tenant::Tenant;
#[cfg(feature = "text")]
pub use text::TextLoader;

use crate::{Error, ErrorKind, Result};

/// How the text of a document is written, which tells where its parts begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Paragraphs between blank lines; a form feed begins a page.
    #[default]
    Plain,
    /// CommonMark with tables: headings begin sections.
    Markdown,
}

/// A document that is to become knowledge.
///
/// Spans of its [chunks](crate::chunk) are bytes of [`text`](Self::text), as it is given here. `Debug` shows the id and sizes, never
/// what the document says.
///
/// ```
/// use pumasi_rag::Document;
///
/// let document = Document::markdown("injury/knee", "# 무릎 통증\n\n통증이 있으면 달리기를 쉽니다.")
///     .with_title("부상 안내")
///     .with_metadata("topic", "injury");
/// assert_eq!(document.metadata["topic"], "injury");
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// Identifies the document within its tenant: a path, a URL, a number. 1 to [`MAX_ID_BYTES`](Self::MAX_ID_BYTES) bytes.
    pub id: String,
    /// What the document is called; may be empty. Chunks are found by it too.
    pub title: String,
    /// What the document says.
    pub text: String,
    /// How the text is written.
    pub format: Format,
    /// Where a reader finds the document.
    pub uri: Option<String>,
    /// What [filters](pumasi_core::filter::Filter) ask for; nested at most [`MAX_METADATA_DEPTH`](Self::MAX_METADATA_DEPTH) deep.
    pub metadata: Map<String, Value>,
    /// When what it says was last true or looked over; retrieval can prefer what is newer.
    pub updated_at: Option<Timestamp>,
}

impl Document {
    /// The longest id, in bytes.
    pub const MAX_ID_BYTES: usize = 512;
    /// How deep lists and objects may stand within each other in a field of the metadata.
    pub const MAX_METADATA_DEPTH: usize = 64;

    /// Makes a document of plain text.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: String::new(),
            text: text.into(),
            format: Format::Plain,
            uri: None,
            metadata: Map::new(),
            updated_at: None,
        }
    }

    /// Makes a document of Markdown.
    pub fn markdown(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(id, text).with_format(Format::Markdown)
    }

    /// Sets what the document is called.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets how the text is written.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets where a reader finds the document.
    #[must_use]
    pub fn with_uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// Sets a field that filters can ask for.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Sets when what it says was last true.
    #[must_use]
    pub fn with_updated_at(mut self, at: Timestamp) -> Self {
        self.updated_at = Some(at);
        self
    }

    /// Checks an id.
    pub(crate) fn check_id(id: &str) -> Result<()> {
        if !id.is_empty() && id.len() <= Self::MAX_ID_BYTES && !id.contains('\0') {
            return Ok(());
        }
        let max = Self::MAX_ID_BYTES;
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("a document's id must have 1 to {max} bytes and no NUL"),
        ))
    }

    /// Checks that readers of what a store writes can follow it.
    pub(crate) fn check_metadata(id: &str, metadata: &Map<String, Value>) -> Result<()> {
        let most = Self::MAX_METADATA_DEPTH;
        if metadata.values().all(|value| is_nested_at_most(value, most)) {
            return Ok(());
        }
        Err(invalid(format!("the metadata of document {id:?} is nested more than {most} deep")))
    }

    /// Checks what can be known before anything is made of it: the id, the metadata, and that it says something and is text.
    pub(crate) fn check(&self) -> Result<()> {
        Self::check_id(&self.id)?;
        Self::check_metadata(&self.id, &self.metadata)?;
        let id = &self.id;
        if self.text.chars().all(|c| c.is_whitespace() || c.is_control() || c == '\u{FEFF}') {
            return Err(invalid(format!("document {id:?} has no text")));
        }
        let characters = self.text.chars().count();
        let strange = self.text.chars().filter(|c| is_strange(*c)).count();
        // a text has some of these; other files, read as one, are full of them
        if strange * 20 > characters {
            return Err(invalid(format!(
                "document {id:?} is no text: of {characters} characters {strange} are none"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("id", &self.id)
            .field("format", &self.format)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// Tells whether lists and objects stand at most so deep within each other; it looks no deeper.
fn is_nested_at_most(value: &Value, depth: usize) -> bool {
    let Some(within) = depth.checked_sub(1) else { return !value.is_array() && !value.is_object() };
    match value {
        Value::Array(items) => items.iter().all(|item| is_nested_at_most(item, within)),
        Value::Object(fields) => fields.values().all(|field| is_nested_at_most(field, within)),
        _ => true,
    }
}

/// Tells whether a character is what bytes become that are no text.
fn is_strange(c: char) -> bool {
    let is_terminal = c == '\u{1B}' || ('\u{7F}'..='\u{9F}').contains(&c);
    c == '\u{FFFD}' || (c.is_control() && !c.is_whitespace() && !is_terminal)
}

/// What a store knows of a document, beside its sections and chunks.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentRecord {
    /// The document's id.
    pub id: String,
    /// What it is called; may be empty.
    pub title: String,
    /// Where a reader finds it.
    pub uri: Option<String>,
    /// What filters ask for.
    pub metadata: Map<String, Value>,
    /// When what it says was last true.
    pub updated_at: Option<Timestamp>,
    /// Of all that the document's chunks and this record were made of.
    pub fingerprint: Fingerprint,
}

impl DocumentRecord {
    /// Takes what a store keeps of `document`.
    pub fn new(document: &Document, fingerprint: Fingerprint) -> Self {
        Self {
            id: document.id.clone(),
            title: document.title.clone(),
            uri: document.uri.clone(),
            metadata: document.metadata.clone(),
            updated_at: document.updated_at,
            fingerprint,
        }
    }

    /// Reads what a store wrote. Metadata that is nested too deep to be read, which was once taken, is left out: the rest is there.
    #[cfg(any(feature = "embedded", feature = "postgres"))]
    pub(crate) fn read(json: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct WithoutMetadata {
            id: String,
            title: String,
            uri: Option<String>,
            updated_at: Option<Timestamp>,
            fingerprint: Fingerprint,
        }
        serde_json::from_slice(json).or_else(|error| {
            let rest: WithoutMetadata = serde_json::from_slice(json)?;
            let WithoutMetadata { id, title, uri, updated_at, fingerprint } = rest;
            tracing::warn!(document = id, %error, "metadata of a document cannot be read, and is left out");
            Ok(Self { id, title, uri, metadata: Map::new(), updated_at, fingerprint })
        })
    }
}

impl fmt::Debug for DocumentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentRecord")
            .field("id", &self.id)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
