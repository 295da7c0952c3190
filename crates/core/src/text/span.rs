//! Spans in bytes, and the way from bytes to characters.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A half-open range of bytes of a text, both ends on character boundaries.
///
/// ```
/// use pumasi_core::text::Span;
///
/// let text = "물 마시기";
/// assert_eq!(Span::new(0, 3).of(text), "물");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// Makes the span `start..end`; an end before the start counts as the start.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// Returns the length in bytes.
    pub const fn len(self) -> usize {
        self.end - self.start
    }

    /// Tells whether the span holds no byte.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the text under the span; empty when the span does not fit `source`.
    pub fn of(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or_default()
    }

    /// Tells whether the two spans share a byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Tells whether `other` lies wholly within this span.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Returns the smallest span that holds both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Returns the span as a range, for indexing.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.range()
    }
}

/// Bytes between two remembered character counts.
const STRIDE: usize = 256;

/// Converts byte offsets of one text into character offsets and back; built in one pass, answers in constant time.
///
/// A character here is a Unicode scalar value (`char`), as Python's and JSON tools' offsets count it.
///
/// ```
/// use pumasi_core::text::{CharOffsets, Span};
///
/// let text = "5km 달리기";
/// let chars = CharOffsets::new(text);
/// assert_eq!(chars.to_chars(Span::new(4, 13)), 4..7);
/// assert_eq!(chars.to_bytes(4..7), Span::new(4, 13));
/// ```
#[derive(Clone)]
pub struct CharOffsets<'a> {
    text: &'a str,
    /// How many characters begin before byte `i * STRIDE`.
    before: Vec<usize>,
}

impl fmt::Debug for CharOffsets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CharOffsets")
            .field("bytes", &self.text.len())
            .field("chars", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> CharOffsets<'a> {
    /// Counts the characters of `text`.
    pub fn new(text: &'a str) -> Self {
        let mut count = 0;
        let mut before = Vec::with_capacity(text.len() / STRIDE + 1);
        for block in text.as_bytes().chunks(STRIDE) {
            before.push(count);
            count += starts(block);
        }
        before.push(count);
        Self { text, before }
    }

    /// Returns the number of characters.
    pub fn len(&self) -> usize {
        self.before.last().copied().unwrap_or_default()
    }

    /// Tells whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns how many characters begin before `byte`; past the end counts as the end.
    pub fn char_at(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        let block = byte / STRIDE;
        let tail = self.text.as_bytes().get(block * STRIDE..byte).map_or(0, starts);
        self.before.get(block).copied().unwrap_or_default() + tail
    }

    /// Returns the byte where the `char`-th character begins; past the end counts as the end.
    pub fn byte_at(&self, char: usize) -> usize {
        let block = self.before.partition_point(|&count| count <= char).saturating_sub(1);
        let mut left = char - self.before.get(block).copied().unwrap_or_default().min(char);
        let from = block * STRIDE;
        for (offset, byte) in self.text.as_bytes().iter().enumerate().skip(from) {
            if is_start(*byte) {
                if left == 0 {
                    return offset;
                }
                left -= 1;
            }
        }
        self.text.len()
    }

    /// Converts a span of bytes into a range of characters.
    pub fn to_chars(&self, span: Span) -> Range<usize> {
        self.char_at(span.start)..self.char_at(span.end)
    }

    /// Converts a range of characters into a span of bytes.
    pub fn to_bytes(&self, chars: Range<usize>) -> Span {
        Span::new(self.byte_at(chars.start), self.byte_at(chars.end))
    }
}

const fn is_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

fn starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_start(**byte)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_character_offset_goes_to_bytes_and_back(text in "\\PC{0,600}") {
            let chars = CharOffsets::new(&text);
            prop_assert_eq!(chars.len(), text.chars().count());
            for (index, (byte, _)) in text.char_indices().enumerate() {
                prop_assert_eq!(chars.char_at(byte), index);
                prop_assert_eq!(chars.byte_at(index), byte);
            }
            prop_assert_eq!(chars.byte_at(chars.len()), text.len());
            prop_assert_eq!(chars.char_at(text.len()), chars.len());
        }
    }

    #[test]
    fn offsets_past_the_end_count_as_the_end() {
        let chars = CharOffsets::new("가나");
        assert_eq!(chars.byte_at(9), 6);
        assert_eq!(chars.char_at(99), 2);
        assert_eq!(Span::new(2, 99).of("가나"), "");
    }
}
