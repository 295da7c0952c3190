//! What of a text counts when a quote is compared with it, with the way back to its bytes.

use pumasi_core::text::{Span as Bytes, normalize};

/// What a character of the skeleton is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Hangul,
    Latin,
    Ideographic,
    Number,
    /// The gap between two Latin words or two numbers.
    Gap,
}

/// How a word is written in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    /// The first letter is a capital.
    Capital,
    /// A later letter is a capital: `USA`, `iPhone`.
    Inner,
}

/// A run of one class without a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Its first character in the skeleton, and the one after its last.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    pub(super) case: Case,
    /// Whether it is the first word of a sentence or a line.
    pub(super) first: bool,
    /// Whether it stands directly after a number, and so may be its unit.
    pub(super) unit: bool,
}

/// A text without what may differ between a quote and its source: case, width, white space, punctuation.
///
/// Kept are letters and digits, what belongs to a number (sign, decimal point, `%`, currency), `+` and `#`, an apostrophe
/// between letters, and one gap between two Latin words or two numbers, so that `the rapist` and `1 0` stay what they are.
/// Korean needs no gaps: where writers put spaces varies.
#[derive(Clone, Debug, Default)]
pub(super) struct Skeleton {
    pub(super) chars: Vec<char>,
    /// The bytes of the source that each character stands for.
    pub(super) bytes: Vec<Bytes>,
    pub(super) words: Vec<Word>,
    /// The characters as one string, and where each begins in it.
    pub(super) text: String,
    starts: Vec<usize>,
}

impl Skeleton {
    pub(super) fn new(source: &str) -> Self {
        let normal = normalize(source);
        let text = normal.as_str();
        let mut skeleton = Self::default();
        let mut gap = true;
        let mut fresh = true;
        let mut before = '\n';
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map_or('\n', |(_, next)| *next);
            let after = text.get(at + c.len_utf8()..).unwrap_or_default();
            let Some((kept, class)) = keep(before, c, next, after) else {
                // a thousands separator is no gap
                if !(c == ',' && before.is_ascii_digit() && next.is_ascii_digit()) {
                    gap = true;
                    fresh |=
                        matches!(c, '.' | '!' | '?' | '…' | '\n' | '\r' | ':' | '"' | '“' | '。' | '•' | '*');
                }
                before = c;
                continue;
            };
            let span = normal.source_span(Bytes::new(at, at + c.len_utf8()));
            let capital =
                source.get(span.start..).and_then(|rest| rest.chars().next()).is_some_and(char::is_uppercase);
            skeleton.push(kept, class, span, capital, gap, fresh);
            if class != Class::Number {
                fresh = false;
            }
            gap = false;
            before = c;
        }
        skeleton
    }

    fn push(&mut self, c: char, class: Class, span: Bytes, capital: bool, gap: bool, fresh: bool) {
        let last = self.words.last().copied();
        let joins = last.is_some_and(|word| word.class == class && !gap);
        if joins {
            if let Some(word) = self.words.last_mut() {
                word.end += 1;
                if capital {
                    word.case = Case::Inner;
                }
            }
        } else {
            if gap
                && let Some(last) = last
                && last.class == class
                && matches!(class, Class::Latin | Class::Number)
            {
                let end = self.bytes.last().map_or(0, |bytes| bytes.end);
                self.raw(' ', Bytes::new(end, span.start));
            }
            let start = self.chars.len();
            let unit = last.is_some_and(|word| word.class == Class::Number) && class != Class::Number;
            let case = if capital { Case::Capital } else { Case::Lower };
            self.words.push(Word { start, end: start + 1, class, case, first: fresh, unit });
        }
        self.raw(c, span);
    }

    fn raw(&mut self, c: char, span: Bytes) {
        self.starts.push(self.text.len());
        self.text.push(c);
        self.chars.push(c);
        self.bytes.push(span);
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    /// Returns the character that begins at byte `offset` of [`text`](Self::text).
    pub(super) fn char_at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start < offset)
    }

    /// Returns the characters `start..end` as a string.
    pub(super) fn slice(&self, start: usize, end: usize) -> &str {
        let from = self.starts.get(start).copied().unwrap_or(self.text.len());
        let to = self.starts.get(end).copied().unwrap_or(self.text.len());
        self.text.get(from..to).unwrap_or_default()
    }

    /// Returns the bytes of the source under the characters `start..end`, which is not empty.
    pub(super) fn source(&self, start: usize, end: usize) -> Bytes {
        let from = self.bytes.get(start).map_or(0, |bytes| bytes.start);
        let to = self.bytes.get(end.saturating_sub(1)).map_or(from, |bytes| bytes.end);
        Bytes::new(from, to)
    }

    /// Returns the index of the word that holds the character `at`, or of the next one.
    pub(super) fn word_at(&self, at: usize) -> usize {
        self.words.partition_point(|word| word.end <= at)
    }

    /// Returns the word that holds the character `at`.
    pub(super) fn word_of(&self, at: usize) -> Option<&Word> {
        self.words.get(self.word_at(at)).filter(|word| word.start <= at)
    }

    pub(super) fn word_text(&self, word: &Word) -> &str {
        self.slice(word.start, word.end)
    }
}

/// Decides whether `c` counts, as what, and of which class.
fn keep(before: char, c: char, next: char, after: &str) -> Option<(char, Class)> {
    if c.is_ascii_digit() {
        return Some((c, Class::Number));
    }
    if ('가'..='힣').contains(&c) || ('\u{3131}'..='\u{318E}').contains(&c) {
        return Some((c, Class::Hangul));
    }
    if matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{323AF}') {
        return (c != '・').then_some((c, Class::Ideographic));
    }
    if c.is_alphabetic() || c.is_numeric() {
        return Some((c, Class::Latin));
    }
    let digit_before = before.is_ascii_digit();
    let digit_next = next.is_ascii_digit();
    match c {
        '.' | ':' | '/' if digit_before && digit_next => Some((c, Class::Number)),
        // a comma before exactly three digits only groups them
        ',' if digit_before && digit_next => {
            let digits = after.bytes().take(4).take_while(u8::is_ascii_digit).count();
            (digits != 3).then_some((c, Class::Number))
        }
        '-' | '−' | '–' | '—' | '~' | '∼' | '〜' if digit_before && digit_next => {
            Some(('~', Class::Number))
        }
        '-' | '−' if digit_next && !before.is_alphanumeric() => Some(('-', Class::Number)),
        '%' | '‰' | '°' | '℃' | '℉' if digit_before => Some((c, Class::Number)),
        '$' | '₩' | '€' | '¥' | '£' | '\\' if digit_next => {
            Some((if c == '\\' { '₩' } else { c }, Class::Number))
        }
        '+' | '#' if before.is_alphanumeric() || before == '+' || digit_next => Some((c, Class::Latin)),
        '\'' | '’' | '‘' | '`' if before.is_alphabetic() && next.is_alphabetic() && !is_hangul(next) => {
            Some(('\'', Class::Latin))
        }
        _ => None,
    }
}

fn is_hangul(c: char) -> bool {
    ('가'..='힣').contains(&c)
}
