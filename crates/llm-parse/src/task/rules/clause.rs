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
    let Some(whole) = text.get(sentence.clone()) else { return clauses };
    let objects = if story { Objects::of(whole) } else { Objects::default() };
    let mut start = 0;
    let mut emoji = Emoji::default();
    for (at, c) in whole.char_indices() {
        let (Some(before), Some(after)) = (whole.get(start..at), whole.get(at + c.len_utf8()..)) else {
            continue;
        };
        let ends = if is_pictograph(c) {
            emoji.ends_clause(whole, start, at)
        } else {
            matches!(c, ' ' | ',' | ';')
                && (ends_korean(before, c, || objects.on_both_sides(start, at))
                    || ends_english(before, after, c))
        };
        emoji.pass(at, c);
        if ends {
            push(text, sentence.start + start..sentence.start + at, &mut clauses);
            start = at + c.len_utf8();
        }
    }
    push(text, sentence.start + start..sentence.end, &mut clauses);
    clauses
}

/// Emoji and the characters that join and colour them (Unicode's pictographic blocks).
pub(super) fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{fe0f}' | '\u{200d}')
}

/// What stands on both sides of a run of emoji; kept, so that a long run is looked over once.
#[derive(Default)]
struct Emoji {
    /// Where the last word before here ends, and its last character.
    word_end: usize,
    last: Option<char>,
    /// Where the next word after the run begins.
    next: usize,
}

impl Emoji {
    fn pass(&mut self, at: usize, c: char) {
        if !(is_pictograph(c) || c.is_whitespace() || "ㅋㅎㅠㅜ^".contains(c)) {
            self.word_end = at + c.len_utf8();
            self.last = Some(c);
        }
    }

    /// Tells whether an emoji stands where a full stop would, not for a word: "외웠어요😊 달렸어요", but "I ❤ running".
    fn ends_clause(&mut self, whole: &str, start: usize, at: usize) -> bool {
        const ENDS: [char; 12] = ['요', '다', '죠', '음', '함', '까', '네', '임', '.', '!', '?', '~'];
        if self.next <= at {
            let rest = whole.get(at..).unwrap_or_default();
            let after = rest.trim_start_matches(|c: char| is_pictograph(c) || c.is_whitespace());
            self.next = whole.len() - after.len();
        }
        let after = whole.get(self.next..).unwrap_or_default();
        self.word_end <= start
            || self.last.is_none_or(|last| ENDS.contains(&last))
            || after.is_empty()
            || after.starts_with(|c: char| c.is_ascii_uppercase())
    }
}

/// The words of a sentence that are objects: "책을", "영어를".
#[derive(Default)]
struct Objects {
    /// Where each begins and ends; the third says that a comma or semicolon ends it.
    words: Vec<(usize, usize, bool)>,
    /// The commas and semicolons.
    marks: Vec<usize>,
}

impl Objects {
    fn of(whole: &str) -> Self {
        let mut objects = Self::default();
        let mut start = 0;
        for (at, c) in whole.char_indices().chain([(whole.len(), ' ')]) {
            let mark = matches!(c, ',' | ';');
            if mark {
                objects.marks.push(at);
            }
            if mark || SPACE.contains(&c) {
                if whole.get(start..at).is_some_and(is_object) {
                    objects.words.push((start, at, mark));
                }
                start = at + c.len_utf8();
            }
        }
        objects
    }

    /// Tells whether an object stands between `start` and the word that ends at `at`, and another one between there and
    /// the next mark.
    fn on_both_sides(&self, start: usize, at: usize) -> bool {
        let next = self.words.partition_point(|word| word.0 < at);
        let before = self.words.iter().take(next).rev().take_while(|word| word.0 >= start);
        let mark = self.marks.get(self.marks.partition_point(|mark| *mark <= at)).copied();
        let after = self.words.get(next).is_some_and(|word| mark.is_none_or(|mark| word.1 <= mark));
        // "책을,": what a comma sets apart is no object of the verb behind it.
        after && before.take(64).any(|word| !word.2)
    }
}

fn is_object(word: &str) -> bool {
    word.ends_with(['을', '를']) && word.chars().nth(1).is_some()
}

/// "…할까요, …", "…했고 …", "책을 읽고 글을 썼다".
fn ends_korean(before: &str, mark: char, both_have_objects: impl FnOnce() -> bool) -> bool {
    const ENDS: [&str; 4] = ["까요", "나요", "습니다", "어요"];
    if mark == ',' && ENDS.iter().any(|end| before.ends_with(end)) {
        return true;
    }
    let linked = ["고", "으며"].iter().find_map(|end| before.strip_suffix(end));
    let Some(stem) = linked.filter(|stem| !stem.ends_with(char::is_whitespace)) else { return false };
    if stem.chars().last().is_some_and(has_past_mark) && !stem.ends_with(['있', '겠']) {
        return true;
    }
    before.ends_with('고')
        && !["그리", "라", "다", "냐", "자", "싶", "있", "말", "참", "최", "광", "데리", "가지"]
            .iter()
            .any(|word| stem.ends_with(word))
        && both_have_objects()
}

/// 했, 었, 갔: the syllable ends in ㅆ.
fn has_past_mark(c: char) -> bool {
    matches!(c, '가'..='힣') && (u32::from(c) - 0xac00) % 28 == 20
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
            // A deed is said in a few words; what is longer is not looked over at every comma.
            let (near, short) = (head(after, LONGEST), before.len() <= LONGEST);
            SUBJECTS.iter().any(|subject| after.starts_with(subject))
                || super::english::is_past_phrase(near.strip_prefix("and ").unwrap_or(near))
                    && short
                    && super::english::deed(before).is_some()
        }
    }
}

/// The longest clause, in bytes, in which a list of deeds is looked for.
const LONGEST: usize = 400;

fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

fn push<'a>(text: &'a str, range: Range<usize>, clauses: &mut Vec<Clause<'a>>) {
    let span = trim(text, range, SPACE);
    if let Some(words) = text.get(span.clone())
        && !words.is_empty()
    {
        clauses.push(Clause { span, words });
    }
}
