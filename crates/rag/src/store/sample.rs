//! Entries for tests.

use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, Span, SparseVector};
use serde_json::{Map, Value};

use super::{ChunkEntry, Entry, SectionEntry};
use crate::chunk::ChunkId;
use crate::document::{Document, DocumentRecord, Fingerprint};

/// Makes the entry of a document whose sections are its lines, and whose chunks are the words of each, two by two.
pub(crate) fn entry(id: &str, text: &str, dimensions: usize) -> Entry {
    entry_with(id, text, dimensions, Map::new())
}

/// As [`entry`], with metadata.
pub(crate) fn entry_with(id: &str, text: &str, dimensions: usize, metadata: Map<String, Value>) -> Entry {
    let dimensions = std::num::NonZeroUsize::new(dimensions).unwrap_or(std::num::NonZeroUsize::MIN);
    let embedder = HashingEmbedder::with_dimensions(dimensions);
    let analyzer = Analyzer::default();
    let (mut sections, mut chunks): (Vec<SectionEntry>, Vec<ChunkEntry>) = (Vec::new(), Vec::new());
    let mut start = 0;
    for line in text.split('\n') {
        let words: Vec<usize> = line
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| word.as_ptr() as usize - line.as_ptr() as usize)
            .collect();
        let end = start + line.len();
        let ends = words.iter().skip(2).step_by(2).copied().chain([line.len()]);
        for (from, to) in words.iter().step_by(2).zip(ends) {
            let span = Span::new(start + from, start + to);
            let text = span.of(text);
            let nth = u32::try_from(chunks.len()).unwrap_or_default();
            let terms = SparseVector::counts(text, &analyzer);
            let chunk = ChunkEntry::new(
                ChunkId::new(id, "", text, nth),
                sections.len(),
                span,
                embedder.embed_one(text),
                terms,
            );
            chunks.push(chunk);
        }
        sections.push(SectionEntry::new(vec![format!("줄 {}", sections.len())], Span::new(start, end), line));
        start = end + 1;
    }
    let mut document = Document::new(id, text);
    document.metadata = metadata;
    let fingerprint = Fingerprint::of([id.as_bytes(), text.as_bytes()]);
    Entry::new(DocumentRecord::new(&document, fingerprint), sections, chunks)
}
