//! How documents are cut, and how each piece knows where it came from.
//!
//! A document becomes *sections* (the parents: what a model is given to read) and each section *chunks* (what is embedded and
//! searched). Both are spans of the document's text, in bytes, on character boundaries; a chunk lies within its section.

mod blocks;
mod structure;
mod tokens;

use std::fmt;

use pumasi_core::text::Span;

pub use structure::StructureChunker;
pub use tokens::{CountTokens, EstimatedTokens};

use crate::Result;
use crate::document::{Document, Fingerprint};

/// A part of a document that stands for itself, and the chunks in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// The headings above it, outermost first, without the document's title.
    pub headings: Vec<String>,
    /// Where it stands in the document.
    pub span: Span,
    /// What is embedded and searched before each chunk's own text: title and headings, cut to what there is room for.
    pub context: String,
    /// Where its chunks stand in the document, in order; they may overlap.
    pub chunks: Vec<Span>,
}

impl Section {
    /// Makes a section without chunks.
    pub fn new(headings: Vec<String>, span: Span, context: impl Into<String>) -> Self {
        Self { headings, span, context: context.into(), chunks: Vec::new() }
    }

    /// Sets where its chunks stand.
    #[must_use]
    pub fn with_chunks(mut self, chunks: Vec<Span>) -> Self {
        self.chunks = chunks;
        self
    }
}

/// Returns what the embedder reads and the terms are taken of: the context, a line break, and the chunk's own text.
pub fn readable(context: &str, text: &str) -> String {
    if context.is_empty() { text.to_owned() } else { format!("{context}\n{text}") }
}

/// Identifies a chunk by what it says: the document's id, the context, the text, and which of equal chunks it is.
///
/// A chunk whose text and headings have not changed keeps its id, wherever it has moved, and so its vector.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ChunkId(pub Fingerprint);

impl ChunkId {
    /// Identifies the `nth` chunk (from 0) of the document with this context and text.
    pub fn new(document: &str, context: &str, text: &str, nth: u32) -> Self {
        let nth = nth.to_le_bytes();
        Self(Fingerprint::of([document.as_bytes(), context.as_bytes(), text.as_bytes(), &nth]))
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Cuts documents.
///
/// What every implementation guarantees:
///
/// 1. **Whole characters.** Every span begins and ends on a character boundary of the document's text.
/// 2. **Nesting.** Sections are in order and do not overlap; a chunk lies within its section, is not empty, and begins after the
///    chunk before it.
/// 3. **Nothing is lost.** Every letter and digit of the text is in a chunk or in a heading of a section, but for tags and links in headings.
/// 4. **Room.** [`readable`] of a section's context and a chunk is no longer than the chunker was told.
/// 5. **Determinism.** The same document is cut in the same places, and [`name`](Self::name) changes when that changes.
pub trait Chunker: fmt::Debug + Send + Sync {
    /// Names the chunker with its settings and version: documents cut by another name are cut again.
    fn name(&self) -> String;

    /// Cuts a document.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a document that cannot be cut.
    fn chunk(&self, document: &Document) -> Result<Vec<Section>>;
}
