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
            loop {
                let text = source.get(rest.clone()).unwrap_or_default();
                let tokens = counter.count(text);
                if tokens <= self.max_tokens {
                    pieces.push(Piece { range: rest, tokens });
                    break;
                }
                let length = self.fitting(text, counter);
                let end = rest.start + length;
                let head = source.get(rest.start..end).unwrap_or_default();
                pieces.push(Piece { range: rest.start..end, tokens: counter.count(head) });
                rest = end..rest.end;
                if rest.is_empty() {
                    break;
                }
            }
        }
        pieces
    }

    /// Finds how many bytes of `text` fit into a part: at least one character, up to white space where there is some.
    fn fitting(&self, text: &str, counter: &TokenMeter) -> usize {
        // no tokenizer makes a token of much more than a dozen characters of prose: looking at the head alone keeps
        // the cutting of one endless sentence linear
        let window = usize::try_from(self.max_tokens.saturating_mul(16)).unwrap_or(usize::MAX);
        let bounds: Vec<usize> =
            text.char_indices().skip(1).map(|(at, _)| at).chain([text.len()]).take(window).collect();
        let fits = |end: &usize| counter.count(text.get(..*end).unwrap_or_default()) <= self.max_tokens;
        let count = bounds.partition_point(fits);
        let end = bounds.get(count.saturating_sub(1)).copied().unwrap_or(text.len());
        let head = text.get(..end).unwrap_or_default();
        head.rfind(char::is_whitespace)
            .map(|at| at + head.get(at..).and_then(|tail| tail.chars().next()).map_or(0, char::len_utf8))
            .filter(|at| *at > end / 2)
            .unwrap_or(end)
    }
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
