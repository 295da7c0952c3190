//! Lines: list markers, wrapped lines, numbered items and dates within a line.

use crate::text::Span;

/// Columns from which on an English line is long enough to have been wrapped by a program.
const WRAP_COLUMNS: usize = 50;

/// One line of the text, without its line break.
pub(super) struct Line<'a> {
    pub(super) span: Span,
    text: &'a str,
    /// Bytes of the list marker and the white space around it.
    marker: usize,
    /// The number of a numbered item.
    pub(super) number: Option<u32>,
}

impl Line<'_> {
    /// Returns what follows the list marker.
    pub(super) fn content(&self) -> &str {
        self.text.get(self.marker..).unwrap_or_default()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Tells whether the sentence goes on in `next`: a long English line, broken between two words.
    pub(super) fn wraps_into(&self, next: &Self) -> bool {
        let last = self.text.trim_end().chars().next_back();
        next.marker == 0
            && next.text.starts_with(char::is_lowercase)
            && last.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | '-' | ')'))
            && self.text.trim_end().len() >= WRAP_COLUMNS
    }
}

/// Cuts `text` into lines.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split(['\n', '\r', '\u{2028}', '\u{2029}', '\u{0B}', '\u{0C}', '\u{85}']).map(move |line| {
        let from = start;
        let end = from + line.len();
        start = end + text.get(end..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let (marker, number) = marker(line);
        Line { span: Span::new(from, end), text: line, marker, number }
    })
}

/// Measures the list marker at the start of `line`: `-`, `1.`, `(2)`, `가.`, `①`, `[x]`, `##`, `Q:` are some.
fn marker(line: &str) -> (usize, Option<u32>) {
    let body = line.trim_start();
    let indent = line.len() - body.len();
    let spaced = |length: usize| {
        let rest = body.get(length..).unwrap_or_default();
        let text = rest.trim_start();
        (text.len() < rest.len() && !text.is_empty()).then_some(indent + line.len() - indent - text.len())
    };
    let Some(first) = body.chars().next() else { return (0, None) };
    if matches!(
        first,
        '-' | '*'
            | '+'
            | '•'
            | '·'
            | '◦'
            | '▪'
            | '■'
            | '□'
            | '▶'
            | '▷'
            | '●'
            | '○'
            | '✓'
            | '✔'
            | '☐'
            | '☑'
            | '→'
            | '※'
            | '>'
    ) {
        return (spaced(first.len_utf8()).unwrap_or(0), None);
    }
    if first == '#' {
        return (spaced(body.len() - body.trim_start_matches('#').len()).unwrap_or(0), None);
    }
    if let Some(circled) = u32::from(first).checked_sub(0x2460).filter(|index| *index < 20) {
        let length = first.len_utf8();
        let text = body.get(length..).unwrap_or_default().trim_start();
        return (line.len() - text.len(), Some(circled + 1));
    }
    let (inner, opened) = match body.strip_prefix(['(', '[']) {
        Some(inner) => (inner, 1),
        None => (body, 0),
    };
    let digits = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (label, number) = if (1..=3).contains(&digits) {
        (digits, inner.get(..digits).and_then(|digits| digits.parse().ok()))
    } else {
        // one letter or one of 가나다라…: a label only with what closes it
        (
            inner
                .chars()
                .next()
                .filter(|c| c.is_ascii_alphabetic() || "가나다라마바사아자차카타파하".contains(*c))
                .map_or(0, char::len_utf8),
            None,
        )
    };
    let closing = inner.get(label..).and_then(|rest| rest.chars().next());
    let closes = match closing {
        Some(')' | ']') => true,
        Some('.' | ':') => opened == 0 && (label > 0),
        _ => false,
    };
    if label == 0 || !closes || (opened == 0 && closing == Some(']')) {
        return (0, None);
    }
    (spaced(opened + label + 1).unwrap_or(0), number)
}

/// Reads the next number of a list that runs on within a line: ` 2. 런지` after item 1.
pub(super) fn inline_number(rest: &str, last: Option<u32>) -> Option<u32> {
    let wanted = last?.checked_add(1)?;
    let rest = rest.trim_start_matches(' ');
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 || digits > 3 || rest.get(..digits)?.parse() != Ok(wanted) {
        return None;
    }
    let after = rest.get(digits..)?;
    let text = after.strip_prefix(['.', ')'])?;
    (text.starts_with(' ') && !text.trim_start().starts_with(|c: char| c.is_ascii_digit())).then_some(wanted)
}

/// Tells whether a date such as `2024. 1. 15.` goes on after a full stop behind digits.
pub(super) fn date_goes_on(rest: &str, dated: bool) -> bool {
    let next = rest.trim_start_matches(' ');
    if next.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    // after "1. 15." the sentence goes on with the day's event, in Korean
    dated && next.starts_with(|c: char| super::words::is_syllable(c) || c == '(')
}
