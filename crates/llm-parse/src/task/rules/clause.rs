//! Sentences fall into clauses where a question or a list of wishes does.

use std::ops::Range;

/// A part of a sentence that can hold one task.
pub(super) struct Clause<'a> {
    pub(super) span: Range<usize>,
    pub(super) words: &'a str,
}

pub(super) const SPACE: &[char] = &[' ', '\t', '\n', '\r', '\u{3000}'];
pub(super) const SENTENCE_END: &[char] = &[' ', '\t', '\n', '\r', '\u{3000}', '.', '!', '。', ';', ','];

/// Shrinks a range so that it neither begins with white space nor ends with one of `ends`.
pub(super) fn trim(text: &str, range: Range<usize>, ends: &[char]) -> Range<usize> {
    let Some(part) = text.get(range.clone()) else { return range };
    let left = part.trim_start_matches(SPACE);
    let kept = left.trim_end_matches(ends);
    let start = range.start + part.len() - left.len();
    start..start + kept.len()
}

/// Cuts a sentence after Korean clause ends before a comma ("…할까요, …", "…했고, …").
pub(super) fn clauses(text: &str, sentence: Range<usize>) -> Vec<Clause<'_>> {
    const ENDS: [&str; 4] = ["까요", "나요", "습니다", "어요"];
    let mut clauses = Vec::new();
    let mut start = sentence.start;
    let Some(whole) = text.get(sentence.clone()) else { return clauses };
    for (at, _) in whole.match_indices(',') {
        if whole.get(..at).is_some_and(|before| ENDS.iter().any(|end| before.ends_with(end))) {
            push(text, start..sentence.start + at, &mut clauses);
            start = sentence.start + at + 1;
        }
    }
    push(text, start..sentence.end, &mut clauses);
    clauses
}

fn push<'a>(text: &'a str, range: Range<usize>, clauses: &mut Vec<Clause<'a>>) {
    let span = trim(text, range, SPACE);
    if let Some(words) = text.get(span.clone())
        && !words.is_empty()
    {
        clauses.push(Clause { span, words });
    }
}
