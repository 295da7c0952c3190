//! What goes into a store, and what comes out of it.

#[cfg(any(feature = "postgres", feature = "qdrant"))]
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use pumasi_core::model::{Embedder, Embedding};
use pumasi_core::text::Span;
use serde::{Deserialize, Serialize};

use crate::chunk::ChunkId;
use crate::document::{Document, DocumentRecord};
use crate::{Error, ErrorKind, Result};

/// Which vectors a store holds: those of two embedders cannot be compared, and mixing them is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Space {
    /// The [name](Embedder::name) of the embedder, with its version.
    pub embedder: String,
    /// How many numbers a vector has.
    pub dimensions: usize,
}

impl Space {
    /// Makes the space of an embedder.
    pub fn of(embedder: &(impl Embedder + ?Sized)) -> Self {
        Self { embedder: embedder.name().to_owned(), dimensions: embedder.dimensions() }
    }

    /// Checks that a vector is of this space, as far as can be seen: its length, and that its numbers are finite.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with the numbers.
    pub fn check(&self, vector: &[f32]) -> Result<()> {
        if vector.len() == self.dimensions && vector.iter().all(|number| number.is_finite()) {
            return Ok(());
        }
        let Self { embedder, dimensions } = self;
        let length = vector.len();
        Err(invalid(format!(
            "a vector of {length} numbers, all of which must be finite, is not one of the {dimensions} of {embedder}"
        )))
    }

    /// Checks that a store which holds vectors of `held` may be opened for this space.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with both names.
    pub fn check_held(&self, held: &Self) -> Result<()> {
        if self == held {
            return Ok(());
        }
        Err(invalid(format!(
            "the store holds vectors of {} ({} numbers), not of {} ({}): embed the knowledge anew in another store",
            held.embedder, held.dimensions, self.embedder, self.dimensions
        )))
    }
}

/// A section of a document, with its text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SectionEntry {
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Where it stands in the document.
    pub span: Span,
    /// What it says.
    pub text: String,
}

impl SectionEntry {
    /// Makes a section.
    pub fn new(headings: Vec<String>, span: Span, text: impl Into<String>) -> Self {
        Self { headings, span, text: text.into() }
    }
}

impl fmt::Debug for SectionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SectionEntry").field("span", &self.span).finish_non_exhaustive()
    }
}

/// A chunk with its vector and terms; its text is the part of its section that its span says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChunkEntry {
    /// Identifies the chunk.
    pub id: ChunkId,
    /// Which of the entry's sections it is in.
    pub section: usize,
    /// Where it stands in the document.
    pub span: Span,
    /// Its vector, of length one.
    pub embedding: Embedding,
    /// How often it holds each of its terms, by [`term_id`](pumasi_core::text::term_id), in order of the ids.
    pub terms: Vec<(u32, u32)>,
}

impl ChunkEntry {
    /// Makes a chunk.
    pub fn new(
        id: ChunkId,
        section: usize,
        span: Span,
        embedding: Embedding,
        terms: Vec<(u32, u32)>,
    ) -> Self {
        Self { id, section, span, embedding, terms }
    }

    /// Returns how many terms it has, repetitions counted.
    pub fn length(&self) -> u32 {
        self.terms.iter().fold(0, |sum: u32, (_, count)| sum.saturating_add(*count))
    }
}

impl fmt::Debug for ChunkEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkEntry").field("id", &self.id).field("span", &self.span).finish_non_exhaustive()
    }
}

/// A document as a store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// What is known of the document.
    pub record: DocumentRecord,
    /// Its sections, in order.
    pub sections: Vec<SectionEntry>,
    /// Its chunks, in order.
    pub chunks: Vec<ChunkEntry>,
}

impl Entry {
    /// Makes an entry.
    pub fn new(record: DocumentRecord, sections: Vec<SectionEntry>, chunks: Vec<ChunkEntry>) -> Self {
        Self { record, sections, chunks }
    }

    /// The most chunks of a document. What has more should be several documents.
    pub const MAX_CHUNKS: usize = 65_536;

    /// Checks that the entry agrees with itself and with the space; stores call this before they write.
    ///
    /// Limits that all stores share: a document has at most [`MAX_CHUNKS`](Self::MAX_CHUNKS) chunks, its metadata is nested at most
    /// [`Document::MAX_METADATA_DEPTH`] deep, and a chunk holds a term at most 65,535 times.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming the document.
    pub fn check(&self, space: &Space) -> Result<()> {
        self.check_but_vectors()?;
        self.chunks.iter().try_for_each(|chunk| space.check(&chunk.embedding))
    }

    /// Checks a batch, and keeps the last of its entries with the same id, by their ids.
    #[cfg(any(feature = "postgres", feature = "qdrant"))]
    pub(crate) fn latest(batch: Vec<Self>, space: &Space) -> Result<BTreeMap<String, Self>> {
        batch.iter().try_for_each(|entry| entry.check(space))?;
        Ok(batch.into_iter().map(|entry| (entry.record.id.clone(), entry)).collect())
    }

    /// Checks all but the vectors, which are made later.
    pub(crate) fn check_but_vectors(&self) -> Result<()> {
        let id = &self.record.id;
        Document::check_id(id)?;
        Document::check_metadata(id, &self.record.metadata)?;
        let broken = |what: &str| Err(invalid(format!("the entry of document {id:?} {what}")));
        if self.sections.iter().any(|section| section.span.len() != section.text.len()) {
            return broken("has a section whose text is not as long as its span");
        }
        Self::check_count(id, self.chunks.len())?;
        let mut seen = HashSet::with_capacity(self.chunks.len());
        for chunk in &self.chunks {
            if !seen.insert(chunk.id) {
                return broken("has a chunk twice");
            }
            if !chunk.terms.is_sorted_by(|(a, _), (b, _)| a < b) {
                return broken("has terms that are not in order");
            }
            if chunk.terms.iter().any(|(_, count)| !(1..=0xFFFF).contains(count)) {
                return broken("has a term that it holds never, or more than 65,535 times");
            }
            if self.text(chunk).is_none_or(str::is_empty) {
                return broken("has a chunk that does not lie in its section");
            }
        }
        Ok(())
    }

    pub(crate) fn check_count(id: &str, chunks: usize) -> Result<()> {
        if chunks <= Self::MAX_CHUNKS {
            return Ok(());
        }
        let most = Self::MAX_CHUNKS;
        Err(invalid(format!(
            "document {id:?} has {chunks} chunks, more than {most}: make several documents of it"
        )))
    }

    /// Returns what a chunk says.
    pub fn text(&self, chunk: &ChunkEntry) -> Option<&str> {
        let section = self.sections.get(chunk.section)?;
        let start = chunk.span.start.checked_sub(section.span.start)?;
        section.text.get(start..start + chunk.span.len())
    }

    /// Returns a chunk as a search finds it.
    pub(crate) fn passage(&self, chunk: &ChunkEntry, record: &Arc<DocumentRecord>) -> Option<Passage> {
        let section = self.sections.get(chunk.section)?.clone();
        let passage = Passage::new(chunk.id, Arc::clone(record), section, chunk.span);
        Some(passage.with_embedding(chunk.embedding.clone()))
    }
}

/// A chunk as a store returns it: with all that an answer needs.
///
/// `Debug` shows where it stands, never what it says.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Passage {
    /// Identifies the chunk.
    pub id: ChunkId,
    /// The document that it is of.
    pub document: Arc<DocumentRecord>,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Where it stands in the document's text, in bytes.
    pub span: Span,
    /// What it says.
    pub text: String,
    /// Where the section that it is in stands.
    pub section_span: Span,
    /// What the section says: for a model that is to read more than what was found.
    pub section_text: String,
    /// Its vector.
    #[serde(skip)]
    pub embedding: Embedding,
}

impl Passage {
    /// Makes a passage, for stores.
    pub fn new(id: ChunkId, document: Arc<DocumentRecord>, section: SectionEntry, span: Span) -> Self {
        let start = span.start.saturating_sub(section.span.start);
        let text = section.text.get(start..start + span.len()).unwrap_or_default().to_owned();
        Self {
            id,
            document,
            headings: section.headings,
            span,
            text,
            section_span: section.span,
            section_text: section.text,
            embedding: Embedding::new(),
        }
    }

    /// Sets the vector.
    #[must_use]
    pub fn with_embedding(mut self, embedding: Embedding) -> Self {
        self.embedding = embedding;
        self
    }

    /// Names the place for a reader: the document's title (or id) and the headings, `부상 안내 > 무릎`.
    pub fn place(&self) -> String {
        let name = if self.document.title.is_empty() { &self.document.id } else { &self.document.title };
        let mut names = vec![name.as_str()];
        names.extend(self.headings.iter().map(String::as_str));
        names.dedup();
        names.join(" > ")
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage")
            .field("id", &self.id)
            .field("document", &self.document.id)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
