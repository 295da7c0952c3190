//! Byte scanning: the input window, white space, punctuation in all its widths, bounded lookahead.

/// Bounds how far a decision may look ahead, in bytes; decisions are the same however the text arrived.
pub(super) const LOOK: usize = 512;

/// Is the text so far, and whether more may come.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) eof: bool,
}

/// Is the next byte that is not white space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Solid {
    At { at: usize, byte: u8, newline: bool },
    End,
    Wait,
}

/// Is an answer that may need more text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tri {
    Yes,
    No,
    Wait,
}

impl Tri {
    pub(super) const fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Stands for `“”„‟`.
pub(super) const CURLY_DOUBLE: u8 = 1;
/// Stands for `‘’‚‛`.
pub(super) const CURLY_SINGLE: u8 = 2;
/// Stands for `「`.
pub(super) const CORNER: u8 = 3;
/// Stands for `『`.
pub(super) const WHITE_CORNER: u8 = 4;
/// Stands for `«`.
pub(super) const GUILLEMET: u8 = 5;
/// Stands for `＂`.
pub(super) const WIDE_DOUBLE: u8 = 6;
/// Stands for `＇`.
pub(super) const WIDE_SINGLE: u8 = 14;
/// Stands for `…`.
pub(super) const ELLIPSIS: u8 = 15;

impl<'a> Input<'a> {
    pub(super) fn new(text: &'a str, eof: bool) -> Self {
        Self { text, bytes: text.as_bytes(), eof }
    }

    pub(super) fn len(self) -> usize {
        self.bytes.len()
    }

    /// Returns the byte, or 0 past the end.
    #[inline]
    pub(super) fn at(self, i: usize) -> u8 {
        self.bytes.get(i).copied().unwrap_or(0)
    }

    pub(super) fn slice(self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or("")
    }

    /// Returns the length of white space or invisible characters at `i`, 0 if there is none.
    #[inline]
    pub(super) fn space(self, i: usize) -> usize {
        match self.at(i) {
            b' ' | b'\n' | b'\r' | b'\t' | 0x0B | 0x0C => 1,
            0xC2 | 0xE1 | 0xE2 | 0xE3 | 0xEF => self.wide_space(i),
            _ => 0,
        }
    }

    pub(super) fn wide_space(self, i: usize) -> usize {
        match (self.at(i), self.at(i + 1), self.at(i + 2)) {
            (0xC2, 0xA0 | 0x85 | 0xAD, _) => 2,
            (0xE2, 0x80, 0x80..=0x8F | 0xA8..=0xAF)
            | (0xE2, 0x81, 0x9F..=0xA4)
            | (0xE1, 0x9A, 0x80)
            | (0xE3, 0x80, 0x80)
            | (0xEF, 0xBB, 0xBF) => 3,
            _ => 0,
        }
    }

    /// Finds the next byte from `i` that is not white space; gives up after [`LOOK`] bytes of it.
    #[inline]
    pub(super) fn solid(self, i: usize) -> Solid {
        let mut at = i;
        let mut newline = false;
        loop {
            let byte = self.at(at);
            if byte > b' ' && byte < 0x80 {
                return Solid::At { at, byte, newline };
            }
            if at >= self.len() {
                return if self.eof { Solid::End } else { Solid::Wait };
            }
            let len = self.space(at);
            if len == 0 {
                return Solid::At { at, byte, newline };
            }
            newline |= byte == b'\n';
            at += len;
            if at - i > LOOK {
                return Solid::End;
            }
        }
    }

    /// Reads the character at `i` as ASCII punctuation, whatever its width, with its length in bytes.
    #[inline]
    pub(super) fn punct(self, i: usize) -> (u8, usize) {
        let byte = self.at(i);
        if byte < 0x80 { (byte, 1) } else { self.wide_punct(i) }
    }

    pub(super) fn wide_punct(self, i: usize) -> (u8, usize) {
        let byte = match (self.at(i), self.at(i + 1), self.at(i + 2)) {
            (0xC2, 0xAB, _) => return (GUILLEMET, 2),
            (0xE2, 0x80, 0x9C..=0x9F) => CURLY_DOUBLE,
            (0xE2, 0x80, 0x98..=0x9B) => CURLY_SINGLE,
            (0xE2, 0x80, 0xA6) => ELLIPSIS,
            (0xE3, 0x80, 0x8C) => CORNER,
            (0xE3, 0x80, 0x8E) => WHITE_CORNER,
            (0xE3, 0x80, 0x81) | (0xEF, 0xBC, 0x8C) => b',',
            (0xE3, 0x80, 0x90) | (0xEF, 0xBC, 0xBB) => b'[',
            (0xE3, 0x80, 0x91) | (0xEF, 0xBC, 0xBD) => b']',
            (0xEF, 0xBD, 0x9B) => b'{',
            (0xEF, 0xBD, 0x9D) => b'}',
            (0xEF, 0xBC, 0x9A) => b':',
            (0xEF, 0xBC, 0x9B) => b';',
            (0xEF, 0xBC, 0x9D) => b'=',
            (0xEF, 0xBC, 0x88) => b'(',
            (0xEF, 0xBC, 0x89) => b')',
            (0xEF, 0xBC, 0x82) => WIDE_DOUBLE,
            (0xEF, 0xBC, 0x87) => WIDE_SINGLE,
            (lead, _, _) => return (lead, 1),
        };
        (byte, 3)
    }

    /// Tells whether `word` stands at `i`; waits when the text ends inside it.
    pub(super) fn has(self, i: usize, word: &[u8]) -> Tri {
        let rest = self.bytes.get(i..).unwrap_or(&[]);
        if rest.len() >= word.len() {
            return Tri::from(rest.starts_with(word));
        }
        if !self.eof && word.starts_with(rest) { Tri::Wait } else { Tri::No }
    }

    /// Counts how often the byte at `i` is repeated from there.
    pub(super) fn run(self, i: usize) -> usize {
        let byte = self.at(i);
        self.bytes.get(i..).unwrap_or(&[]).iter().take_while(|b| **b == byte).count()
    }

    /// Tells whether only blanks stand between the start of the line and `i` (looks back at most 16 bytes).
    pub(super) fn starts_line(self, i: usize) -> bool {
        for back in 1..=16 {
            if back > i {
                return true;
            }
            match self.at(i - back) {
                b'\n' => return true,
                b' ' | b'\t' | b'\r' | b'>' => {}
                _ => return false,
            }
        }
        false
    }

    /// Returns the end of the character that starts at `i`.
    pub(super) fn after_char(self, i: usize) -> usize {
        let mut end = i + 1;
        while end < self.len() && self.at(end) & 0xC0 == 0x80 {
            end += 1;
        }
        end.min(self.len())
    }
}

/// Tells whether a byte may stand in an unquoted single-word key.
#[inline]
pub(super) fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte == b'-' || byte >= 0x80
}

/// Tells whether the (folded) character opens a string.
#[inline]
pub(super) fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`' | CURLY_DOUBLE..=WIDE_DOUBLE | WIDE_SINGLE)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const SLASHES: u64 = ONES * b'\\' as u64;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Finds the next `quote`, backslash or control character from `i`, eight bytes at a time
/// (the zero-byte test of Mycroft, “Hacker's Delight” 6-1).
#[inline]
pub(super) fn string_stop(bytes: &[u8], mut i: usize, quote: u8) -> usize {
    let quotes = ONES * u64::from(quote);
    while let Some(chunk) = bytes.get(i..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let q = word ^ quotes;
        let s = word ^ SLASHES;
        let hit = ((q.wrapping_sub(ONES) & !q)
            | (s.wrapping_sub(ONES) & !s)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if hit != 0 {
            return i + (hit.trailing_zeros() / 8) as usize;
        }
        i += 8;
    }
    while let Some(&byte) = bytes.get(i) {
        if byte == quote || byte == b'\\' || byte < 0x20 {
            break;
        }
        i += 1;
    }
    i
}
