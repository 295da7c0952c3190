//! What the sentences after a value say of it: that it is wrong, replaced by another one, or none at all.
//!
//! A sentence counts only if it speaks of the value: its subject is “this”, “the above”, “the answer”, a key of the value, or
//! the writer. What it says of the source, and what it says under a condition, is no remark on the value.

use super::super::document::Cue;
use super::{english, korean};

/// Bounds the text that is looked at right after a value, and at the end of the answer, in bytes.
const HEAD: usize = 480;
const TAIL: usize = 240;
/// How many sentences of each are looked at.
const SENTENCES: usize = 6;
/// Bounds the text of the value in which a name or another value is looked up, in bytes.
const VALUE: usize = 4096;

/// Is one sentence after a value, and what it may refer to.
#[derive(Clone, Copy)]
pub(super) struct Sentence<'a> {
    pub(super) text: &'a str,
    /// It stands on the value's own line.
    pub(super) beside: bool,
    /// “Sorry.”, “아차.” stands alone before it.
    pub(super) interjected: bool,
    value: &'a str,
}

impl<'a> Sentence<'a> {
    /// Creates a sentence about the value written as `value`.
    pub(super) fn new(text: &'a str, value: &'a str) -> Self {
        let mut to = value.len().min(VALUE);
        while !value.is_char_boundary(to) {
            to -= 1;
        }
        Self { text, beside: false, interjected: false, value: value.get(..to).unwrap_or("") }
    }

    /// Tells whether the value has a key of this name.
    pub(super) fn is_key(&self, name: &str) -> bool {
        self.found(name).any(|rest| {
            rest.trim_start_matches(['"', '\'', '*', ' ']).starts_with([':', '=', '：', '>', '|'])
        })
    }

    /// Tells whether the value says this already.
    pub(super) fn holds(&self, word: &str) -> bool {
        self.found(word).next().is_some()
    }

    /// Returns what follows each place of a word, whatever its letter case.
    fn found<'s>(&'s self, word: &'s str) -> impl Iterator<Item = &'s str> {
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let places = self.value.char_indices().filter(move |(at, _)| {
            !word.is_empty()
                && self.value.get(*at..at + word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word))
                && !self.value.get(..*at).is_some_and(|before| before.ends_with(inside))
        });
        places
            .filter_map(move |(at, _)| self.value.get(at + word.len()..))
            .filter(move |rest| !rest.starts_with(inside))
    }
}

/// Reads what the first sentences after a value say of it, and where no other value follows, also what the last ones say.
///
/// `among` tells that it is one of several values.
pub(super) fn remark(after: &str, value: &str, value_follows: bool, among: bool) -> Cue {
    let head = head(after, HEAD);
    let mut found = read(head, value, true, value_follows, among);
    let rest = after.get(head.len()..).unwrap_or("").trim_end();
    if found == Cue::None && !value_follows && !rest.is_empty() {
        found = read(tail(rest, TAIL), value, false, false, among);
    }
    found
}

fn read(text: &str, value: &str, first: bool, value_follows: bool, among: bool) -> Cue {
    let mut found = Cue::None;
    let mut count = 0;
    let mut headed = false;
    let mut interjected = false;
    let end = text.trim_end().len();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let beside = first && at == 0;
        at += line.len();
        let line = spoken(line);
        if !line.contains(char::is_alphanumeric) {
            continue;
        }
        if line.trim_end_matches(['*', '_', ' ']).ends_with([':', '：']) {
            // What it announces is the next value, or the correction on the lines below.
            headed = super::heads_correction(line);
            if value_follows && at >= end {
                break;
            }
            if headed || (!beside && line.split_whitespace().count() < 4) {
                continue;
            }
        }
        if headed && !value_follows {
            return if english::is_nothing(line) || korean::is_nothing(line) { found } else { Cue::Rejected };
        }
        for sentence in sentences(line) {
            if among && super::gap::counts_off(sentence) {
                return Cue::None;
            }
            let sentence = Sentence { beside, interjected, ..Sentence::new(sentence, value) };
            let says = if sentence.text.chars().any(is_hangul) {
                korean::says(sentence)
            } else {
                english::says(sentence)
            };
            interjected = english::is_interjection(sentence.text) || korean::is_interjection(sentence.text);
            match says {
                Cue::Rejected => return Cue::Rejected,
                Cue::None => {}
                cue if found == Cue::None => found = cue,
                _ => {}
            }
            count += 1;
            if count >= SENTENCES {
                return found;
            }
        }
    }
    found
}

pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣' | 'ㄱ'..='ㅣ')
}

/// Takes fences, rules, tags, emphasis and marks of quotes and lists off the start of a line.
fn spoken(line: &str) -> &str {
    let mut line = line.trim();
    loop {
        let before = line.len();
        line = line.trim_start_matches(|c: char| {
            c.is_whitespace()
                || matches!(
                    c,
                    '`' | '~' | '*' | '_' | '#' | '-' | '>' | '(' | '[' | '=' | '•' | '※' | '/' | ';'
                )
        });
        if let Some((tag, rest)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>'))
            && !tag.contains(char::is_whitespace)
        {
            line = rest;
        }
        if line.len() == before {
            return line;
        }
    }
}

/// Cuts a line into sentences.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .char_indices()
            .find(|(at, c)| {
                let next = rest.get(at + c.len_utf8()..).unwrap_or("");
                matches!(c, '.' | '!' | '?' | '。')
                    && (*c == '。'
                        || next.is_empty()
                        || next.starts_with(|c: char| c.is_whitespace() || matches!(c, ')' | '*' | '"')))
            })
            .map_or(rest.len(), |(at, c)| at + c.len_utf8());
        let (sentence, next) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = next.trim_start();
        Some(sentence)
    })
}

fn head(text: &str, most: usize) -> &str {
    let mut to = text.len().min(most);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    text.get(..to).unwrap_or("")
}

/// Returns the whole sentences at the end of a text, as far as they fit.
fn tail(text: &str, most: usize) -> &str {
    let mut from = text.len().saturating_sub(most);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let cut = text.get(from..).unwrap_or("");
    if from == 0 {
        return cut;
    }
    let stop = cut.find(['\n', '!', '?', '。']).into_iter().chain(cut.find(". ")).min();
    stop.and_then(|stop| cut.get(stop + 1..)).unwrap_or("")
}
