//! The chunker: by structure first, by tokens where that is not enough.

use std::sync::Arc;

use pumasi_core::text::Span;
use unicode_segmentation::UnicodeSegmentation;

use super::blocks::{Part, parts};
use super::{Chunker, CountTokens, EstimatedTokens, Section, readable};
use crate::document::Document;
use crate::{Error, ErrorKind, Result};

/// Cuts by structure (pages, headings, code, tables, sentences of Korean and English) into chunks of limited tokens.
///
/// A chunk is whole sentences or lines, as many as fit, of one section; the last of them are repeated at the beginning of the next
/// chunk as overlap. Only a sentence that is by itself too long is cut inside: at white space where it has any, else between
/// characters as people see them. Title and headings are read before each chunk and count; they get at most a third of the
/// room.
///
/// ```
/// use pumasi_core::text::Span;
/// use pumasi_rag::Document;
/// use pumasi_rag::chunk::{Chunker, StructureChunker};
///
/// let document = Document::markdown("a", "# 부상\n\n## 무릎\n\n통증이 있으면 쉽니다. 얼음찜질을 합니다.\n");
/// let sections = StructureChunker::new().chunk(&document)?;
/// assert_eq!(sections[0].headings, ["부상", "무릎"]);
/// assert_eq!(sections[0].chunks[0].of(&document.text), "통증이 있으면 쉽니다. 얼음찜질을 합니다.");
/// # Ok::<(), pumasi_rag::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StructureChunker {
    counter: Arc<dyn CountTokens>,
    max_tokens: usize,
    overlap_tokens: usize,
    section_tokens: usize,
}

impl Default for StructureChunker {
    fn default() -> Self {
        Self::new()
    }
}

impl StructureChunker {
    /// The longest text of a document, in bytes: a longer one should be several documents.
    pub const MAX_TEXT_BYTES: usize = 64 << 20;

    /// Makes a chunker of chunks of 256 [estimated](EstimatedTokens) tokens with an overlap of 32, in sections of 512.
    pub fn new() -> Self {
        Self::counting(EstimatedTokens)
    }

    /// Makes a chunker that counts by the embedder's own tokenizer; otherwise as [`new`](Self::new).
    pub fn counting(counter: impl CountTokens + 'static) -> Self {
        Self { counter: Arc::new(counter), max_tokens: 256, overlap_tokens: 32, section_tokens: 512 }
    }

    /// Sets the most tokens of a chunk with its context; at least 16. The embedder must read that many.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: usize) -> Self {
        self.max_tokens = tokens.max(16);
        self
    }

    /// Sets how many tokens a chunk may repeat of the one before it; at most half a chunk is.
    #[must_use]
    pub fn with_overlap_tokens(mut self, tokens: usize) -> Self {
        self.overlap_tokens = tokens;
        self
    }

    /// Sets about how many tokens a section has: what a model is given to read for a chunk that was found.
    ///
    /// An assistant gives sections of up to its budget's [`passage_tokens`](crate::answer::Budget::passage_tokens), and of longer ones
    /// the chunk alone.
    #[must_use]
    pub fn with_section_tokens(mut self, tokens: usize) -> Self {
        self.section_tokens = tokens;
        self
    }

    /// Returns title and headings as they are read before each chunk, cut to a third of the room.
    fn context(&self, document: &Document, headings: &[String]) -> String {
        let mut lines: Vec<&str> = vec![document.title.trim()];
        lines.extend(headings.iter().map(String::as_str));
        lines.dedup();
        lines.retain(|line| !line.is_empty());
        let room = self.max_tokens / 3;
        // the innermost heading says most
        while !lines.is_empty() {
            let context = lines.join(" > ");
            let Some(window) = self.beyond(&context, room) else { return context };
            if lines.len() == 1 {
                let fits = self.longest_prefix(&context, window, room);
                return context.get(..fits).unwrap_or_default().trim_end().to_owned();
            }
            lines.remove(0);
        }
        String::new()
    }

    /// Returns how many bytes from the start of `text` have more than `room` tokens, at most about twice as many as needed; `None`
    /// where the whole has no more. It counts what it returns, not the whole.
    fn beyond(&self, text: &str, room: usize) -> Option<usize> {
        // a token is seldom longer than 8 bytes
        let mut window = room.saturating_mul(8).max(64);
        loop {
            let end = text.floor_char_boundary(window);
            if self.counter.count(text.get(..end).unwrap_or_default()) > room {
                return Some(end);
            }
            if end == text.len() {
                return None;
            }
            window = window.saturating_mul(2);
        }
    }

    /// Returns how many of the first `window` bytes of `text`, which are too many, have at most `room` tokens: to white space where
    /// there is any in the later half, else to the end of a character as people see it. At least one `char`.
    fn longest_prefix(&self, text: &str, mut window: usize, room: usize) -> usize {
        let ends: Vec<usize> = text
            .get(..window)
            .unwrap_or_default()
            .grapheme_indices(true)
            .map(|(at, piece)| at + piece.len())
            .collect();
        let fits = |end: usize| self.counter.count(text.get(..end).unwrap_or_default()) <= room;
        let count = ends.partition_point(|end| fits(*end));
        let Some(end) = count.checked_sub(1).and_then(|last| ends.get(last)).copied() else {
            // a single character as people see it, of many code points: cut between those
            window = ends.first().copied().unwrap_or(window);
            let points = text.get(..window).unwrap_or_default().char_indices();
            let ends: Vec<usize> = points.map(|(at, c)| at + c.len_utf8()).collect();
            let count = ends.partition_point(|end| fits(*end)).max(1);
            return ends.get(count - 1).copied().unwrap_or(text.len());
        };
        if end == text.len() {
            return end;
        }
        let spaces = text.get(..end).unwrap_or_default().rmatch_indices(char::is_whitespace);
        spaces.map(|(at, _)| at).find(|at| *at > end / 2).unwrap_or(end)
    }

    /// Cuts units that are by themselves too long, and counts all.
    fn counted(&self, text: &str, units: &[Span], room: usize) -> Vec<(Span, usize)> {
        let mut counted = Vec::with_capacity(units.len());
        for unit in units {
            let mut rest = *unit;
            loop {
                let Some(window) = self.beyond(rest.of(text), room) else {
                    counted.push((rest, self.counter.count(rest.of(text))));
                    break;
                };
                let piece = self.longest_prefix(rest.of(text), window, room);
                let head = Span::new(rest.start, rest.start + piece);
                counted.push((head, self.counter.count(head.of(text))));
                let tail = Span::new(head.end, rest.end).of(text);
                rest.start = rest.end - tail.trim_start().len();
                if rest.is_empty() {
                    break;
                }
            }
        }
        counted
    }

    fn sections(&self, document: &Document, part: &Part, out: &mut Vec<Section>) -> Result<()> {
        let text = &document.text;
        let context = self.context(document, &part.headings);
        let spent = if context.is_empty() { 0 } else { self.counter.count(&readable(&context, "")) };
        // a count of a whole may be a token or two above the sum of its parts'
        let room = self.max_tokens.saturating_sub(spent + 2).max(1);
        let units = self.counted(text, &part.units, room);
        let mut rest = units.as_slice();
        while !rest.is_empty() {
            let mut tokens = 0;
            let fitting = rest.iter().take_while(|(_, count)| {
                tokens += count;
                tokens <= self.section_tokens.max(self.max_tokens)
            });
            let (units, later) = rest.split_at(fitting.count().max(1));
            rest = later;
            let (Some((first, _)), Some((last, _))) = (units.first(), units.last()) else { break };
            let span = Span::new(first.start, last.end);
            let chunks = self.chunks(text, &context, units, room)?;
            out.push(Section::new(part.headings.clone(), span, context.as_str()).with_chunks(chunks));
        }
        Ok(())
    }

    fn chunks(&self, text: &str, context: &str, units: &[(Span, usize)], room: usize) -> Result<Vec<Span>> {
        let mut chunks: Vec<Span> = Vec::new();
        let (mut from, mut covered) = (0, 0);
        while covered < units.len() {
            let mut tokens = 0;
            let window = units.get(from..).unwrap_or_default();
            let mut count = window
                .iter()
                .take_while(|(_, count)| {
                    tokens += count;
                    tokens <= room
                })
                .count()
                .max(1);
            // what the sum of parts does not tell, such as long white space between them
            let span = loop {
                let (Some((first, _)), Some((last, _))) = (window.first(), window.get(count - 1)) else {
                    return Ok(chunks);
                };
                let span = Span::new(first.start, last.end);
                if self.beyond(&readable(context, span.of(text)), self.max_tokens).is_none() {
                    break Some(span);
                }
                if count == 1 {
                    break None;
                }
                count -= 1;
            };
            if from + count <= covered {
                // with its overlap nothing new fits
                from = covered;
                continue;
            }
            let Some(span) = span else {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "a chunk of {} tokens is too small for a single piece of the text",
                        self.max_tokens
                    ),
                ));
            };
            chunks.push(span);
            covered = from + count;
            from = covered - self.overlap(units.get(from..covered).unwrap_or_default());
        }
        Ok(chunks)
    }

    /// Returns how many of the last units are repeated: never all of them.
    fn overlap(&self, units: &[(Span, usize)]) -> usize {
        let most = self.overlap_tokens.min(self.max_tokens / 2);
        let mut tokens = 0;
        let repeated = units.iter().skip(1).rev().take_while(|(_, count)| {
            tokens += count;
            tokens <= most
        });
        repeated.count()
    }
}

impl Chunker for StructureChunker {
    fn name(&self) -> String {
        let Self { counter, max_tokens, overlap_tokens, section_tokens } = self;
        format!("structure-2-{}-{max_tokens}-{overlap_tokens}-{section_tokens}", counter.name())
    }

    fn chunk(&self, document: &Document) -> Result<Vec<Section>> {
        if document.text.len() > Self::MAX_TEXT_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "a document of {} bytes is longer than the {} that are cut at once",
                    document.text.len(),
                    Self::MAX_TEXT_BYTES
                ),
            ));
        }
        let mut sections = Vec::new();
        for part in &parts(document) {
            self.sections(document, part, &mut sections)?;
        }
        Ok(sections)
    }
}
