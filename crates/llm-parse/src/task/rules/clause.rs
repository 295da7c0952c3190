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

/// Cuts a sentence where a clause that can hold a task of its own ends.
///
/// A story's deeds are cut apart after a plain 고 as well; a question's wishes keep theirs, since the wish stands at the
/// end alone.
pub(super) fn clauses(text: &str, sentence: Range<usize>, story: bool) -> Vec<Clause<'_>> {
    let mut clauses = Vec::new();
    let mut start = sentence.start;
    let Some(whole) = text.get(sentence.clone()) else { return clauses };
    for (at, c) in whole.char_indices() {
        if !matches!(c, ' ' | ',' | ';') && !is_pictograph(c) {
            continue;
        }
        let (Some(before), Some(after)) =
            (text.get(start..sentence.start + at), whole.get(at + c.len_utf8()..))
        else {
            continue;
        };
        if is_pictograph(c) {
            if ends_at_pictograph(before, after) {
                push(text, start..sentence.start + at, &mut clauses);
                start = sentence.start + at + c.len_utf8();
            }
            continue;
        }
        if ends_korean(before, after, c, story) || ends_english(before, after, c) {
            push(text, start..sentence.start + at, &mut clauses);
            start = sentence.start + at + c.len_utf8();
        }
    }
    push(text, start..sentence.end, &mut clauses);
    clauses
}

/// Emoji and the characters that join and colour them (Unicode's pictographic blocks).
pub(super) fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{fe0f}' | '\u{200d}')
}

/// Tells whether an emoji stands where a full stop would, not for a word: "외웠어요😊 달렸어요", but "I ❤ running".
fn ends_at_pictograph(before: &str, after: &str) -> bool {
    const ENDS: [char; 12] = ['요', '다', '죠', '음', '함', '까', '네', '임', '.', '!', '?', '~'];
    let after = after.trim_start_matches(|c: char| is_pictograph(c) || c.is_whitespace());
    let before =
        before.trim_end_matches(|c: char| is_pictograph(c) || c.is_whitespace() || "ㅋㅎㅠㅜ^".contains(c));
    before.is_empty()
        || after.is_empty()
        || before.ends_with(ENDS)
        || after.starts_with(|c: char| c.is_ascii_uppercase())
}

/// "…할까요, …", "…했고 …", "책을 읽고 글을 썼다".
fn ends_korean(before: &str, after: &str, mark: char, story: bool) -> bool {
    const ENDS: [&str; 4] = ["까요", "나요", "습니다", "어요"];
    if mark == ',' && ENDS.iter().any(|end| before.ends_with(end)) {
        return true;
    }
    let linked = ["고", "으며"].iter().find_map(|end| before.strip_suffix(end));
    let Some(stem) = linked.filter(|stem| !stem.ends_with(char::is_whitespace)) else { return false };
    if stem.chars().last().is_some_and(has_past_mark) && !stem.ends_with(['있', '겠']) {
        return true;
    }
    story
        && before.ends_with('고')
        && !["그리", "라", "다", "냐", "자", "싶", "있", "말", "참", "최", "광", "데리", "가지"]
            .iter()
            .any(|word| stem.ends_with(word))
        && has_object(stem)
        && has_object(after.split([',', ';']).next().unwrap_or(after))
}

/// 했, 었, 갔: the syllable ends in ㅆ.
fn has_past_mark(c: char) -> bool {
    matches!(c, '가'..='힣') && (u32::from(c) - 0xac00) % 28 == 20
}

fn has_object(words: &str) -> bool {
    words.split(SPACE).any(|word| word.chars().count() > 1 && word.ends_with(['을', '를']))
}

/// "…, then I …", "… and I …", "…; …", and a list of past forms: "I cut sugar, joined a gym, and ran".
fn ends_english(before: &str, after: &str, mark: char) -> bool {
    const SUBJECTS: [&str; 14] = [
        "and I ",
        "and i ",
        "and we ",
        "but I ",
        "but i ",
        "but we ",
        "so I ",
        "so we ",
        "then I ",
        "then we ",
        "and I'",
        "and then ",
        "then ",
        "and I’",
    ];
    match mark {
        ';' => !before.trim().is_empty(),
        ' ' => SUBJECTS.iter().take(8).any(|subject| after.starts_with(subject)) && !before.ends_with(','),
        _ => {
            let after = after.trim_start();
            SUBJECTS.iter().any(|subject| after.starts_with(subject))
                || super::english::is_past_phrase(after.strip_prefix("and ").unwrap_or(after))
                    && super::english::deed(before).is_some()
        }
    }
}

fn push<'a>(text: &'a str, range: Range<usize>, clauses: &mut Vec<Clause<'a>>) {
    let span = trim(text, range, SPACE);
    if let Some(words) = text.get(span.clone())
        && !words.is_empty()
    {
        clauses.push(Clause { span, words });
    }
}
