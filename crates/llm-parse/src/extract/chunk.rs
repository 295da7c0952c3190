//! Cutting a long source at the ends of sentences, with overlap.

use std::ops::Range;

use super::TokenMeter;

/// How a source that is too long for one question is cut.
///
/// A part ends at the end of a sentence, where one is near; the next part repeats the last sentences of the part before,
/// so that what is said across the border is seen whole at least once.
///
/// ```
/// use pumasi_llm_parse::extract::{Chunking, TokenMeter};
///
/// let text = "첫째, 매일 달렸다. 둘째, 일찍 잤다. 셋째, 물을 마셨다.";
/// let parts = Chunking::new(24).with_overlap(8).cut(text, &TokenMeter::estimate());
/// assert!(parts.len() > 1);
/// assert_eq!((parts.first().map(|part| part.start), parts.last().map(|part| part.end)), (Some(0), Some(text.len())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunking {
    max_tokens: u64,
    overlap: u64,
}

impl Chunking {
    /// Cuts into parts of at most `max_tokens` tokens (at least 1), which overlap by up to an eighth of that.
    pub const fn new(max_tokens: u64) -> Self {
        let max_tokens = if max_tokens == 0 { 1 } else { max_tokens };
        Self { max_tokens, overlap: max_tokens / 8 }
    }

    /// Sets by how many tokens two neighbouring parts overlap; at most half a part.
    #[must_use]
    pub const fn with_overlap(mut self, tokens: u64) -> Self {
        self.overlap = if tokens > self.max_tokens / 2 { self.max_tokens / 2 } else { tokens };
        self
    }

    /// Returns the most tokens of a part.
    pub const fn max_tokens(&self) -> u64 {
        self.max_tokens
    }

    /// Cuts `source` into byte ranges that cover it, in order; one range if it is short enough.
    pub fn cut(&self, source: &str, counter: &TokenMeter) -> Vec<Range<usize>> {
        if counter.count(source) <= self.max_tokens {
            return std::iter::once(0..source.len()).collect();
        }
        let pieces = self.pieces(source, counter);
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut first = 0;
        while let Some(start) = pieces.get(first) {
            let mut tokens = 0;
            let mut next = first;
            let mut end = start.range.end;
            while let Some(piece) = pieces.get(next) {
                if next > first && tokens + piece.tokens > self.max_tokens {
                    break;
                }
                tokens += piece.tokens;
                end = piece.range.end;
                next += 1;
            }
            parts.push(start.range.start..end);
            if next >= pieces.len() {
                break;
            }
            first = self.overlap_from(&pieces, first, next);
        }
        parts
    }

    /// Finds the piece at which the part after `first..next` begins: later than `first`, so that the cutting ends.
    fn overlap_from(&self, pieces: &[Piece], first: usize, next: usize) -> usize {
        // the first new piece must still fit beside what is repeated
        let room = pieces.get(next).map_or(0, |piece| self.max_tokens.saturating_sub(piece.tokens));
        let limit = self.overlap.min(room);
        let mut begin = next;
        let mut tokens = 0;
        while begin > first + 1 {
            let Some(piece) = pieces.get(begin - 1) else { break };
            if tokens + piece.tokens > limit {
                break;
            }
            tokens += piece.tokens;
            begin -= 1;
        }
        begin
    }

    /// Cuts at sentences, and a sentence that is too long at white space, or anywhere.
    fn pieces(&self, source: &str, counter: &TokenMeter) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for range in sentence_ranges(source) {
            let mut rest = range;
            while let Some(text) = source.get(rest.clone()).filter(|text| !text.is_empty()) {
                let piece = self.piece(text, counter);
                pieces.push(Piece { range: rest.start..rest.start + piece.end, tokens: piece.tokens });
                rest.start += piece.end;
            }
        }
        pieces
    }

    /// Takes a piece from the front of `text`: all of it if it fits, else up to white space where there is some, and at
    /// least one character.
    ///
    /// Nothing much longer than the piece is counted, so that one endless sentence is cut in linear time.
    fn piece(&self, text: &str, counter: &TokenMeter) -> Head {
        let count = |end: usize| counter.count(text.get(..end).unwrap_or_default());
        let first = text.chars().next().map_or(0, char::len_utf8);
        // prose has some four bytes a token; from there by doubling
        let guess = usize::try_from(self.max_tokens.saturating_mul(4)).unwrap_or(usize::MAX);
        let mut over = text.floor_char_boundary(guess).max(first);
        let mut fits = Head { end: first, tokens: 0 };
        loop {
            let tokens = count(over);
            if tokens > self.max_tokens {
                break;
            }
            fits = Head { end: over, tokens };
            if over == text.len() {
                return fits;
            }
            over = text.ceil_char_boundary(over.saturating_mul(2));
        }
        // nearly full is full
        let enough = self.max_tokens - self.max_tokens / 16;
        while fits.tokens < enough {
            let middle = text.ceil_char_boundary(fits.end + (over - fits.end).div_ceil(2));
            if middle >= over {
                break;
            }
            let tokens = count(middle);
            if tokens <= self.max_tokens {
                fits = Head { end: middle, tokens };
            } else {
                over = middle;
            }
        }
        let head = text.get(..fits.end).unwrap_or_default();
        let end = head
            .rfind(char::is_whitespace)
            .map(|at| at + head.get(at..).and_then(|tail| tail.chars().next()).map_or(0, char::len_utf8))
            .filter(|at| *at > fits.end / 2)
            .unwrap_or(fits.end);
        Head { end, tokens: count(end) }
    }
}

/// The front of a text: where it ends, in bytes, and its tokens.
struct Head {
    end: usize,
    tokens: u64,
}

struct Piece {
    range: Range<usize>,
    tokens: u64,
}

/// Returns the sentences of `source`, each with the white space that follows it, so that together they cover it.
fn sentence_ranges(source: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for sentence in pumasi_core::text::sentences(source) {
        if sentence.start > start {
            ranges.push(start..sentence.start);
            start = sentence.start;
        }
    }
    if start < source.len() {
        ranges.push(start..source.len());
    }
    ranges
}
