//! Where the words of a clause name labels.

use crate::align::scalar::boolean::{answers, words};
use crate::schema::fold;
use crate::schema::shape::Labels;

/// A label that a clause names.
pub(super) struct Hit {
    pub(super) number: u32,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The text writes the label as the schema does, or at least in capitals or quotes.
    marked: bool,
}

/// Labels that stand in `clause` as whole words; of overlapping ones the longest.
pub(super) fn hits(clause: &str, labels: &Labels) -> Vec<Hit> {
    let words: Vec<(usize, &str)> = words(clause).collect();
    let longest = labels
        .items
        .iter()
        .flat_map(|label| std::iter::once(&label.text).chain(&label.aliases))
        .map(|name| name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).count().max(1))
        .max()
        .unwrap_or(1)
        .min(8);
    let mut out: Vec<Hit> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let mut matched = None;
        for len in (1..=longest).rev() {
            let (Some((start, _)), Some((last, last_word))) = (words.get(at), words.get(at + len - 1)) else {
                continue;
            };
            let end = last + last_word.len();
            let Some(text) = clause.get(*start..end) else { continue };
            if let Some((number, end)) = whole(text, *start, labels) {
                let text = clause.get(*start..end).unwrap_or("");
                if glued(clause, *start, end) {
                    continue;
                }
                // "no idea" is no answer
                if text.eq_ignore_ascii_case("no") && !answers(clause, *start, end) {
                    continue;
                }
                let number_text = labels.items.get(number as usize).map_or("", |label| &*label.text);
                let marked = is_marked(clause, *start, end, text, number_text);
                matched = Some((Hit { number, start: *start, end, marked }, len));
                break;
            }
        }
        match matched {
            Some((hit, len)) => {
                at += len;
                // An article or a common word is not a label: single letters have to stand out.
                if hit.marked || hit.end - hit.start > 1 {
                    out.push(hit);
                }
            }
            None => at += 1,
        }
    }
    out
}

/// Single-letter labels count only where they are set apart; longer ones in any case.
fn is_marked(clause: &str, start: usize, end: usize, text: &str, label: &str) -> bool {
    let before = clause.get(..start).unwrap_or("").chars().next_back();
    let after = clause.get(end..).unwrap_or("").chars().next();
    let quoted = matches!(before, Some('"' | '\'' | '*' | '`' | '(' | '[' | '“' | '‘'));
    // "A" at the start of a sentence, or "I", is a word of English, unless what follows is no noun and no verb.
    let is_word = matches!(text, "a" | "A" | "I" | "i");
    text == label
        && (quoted
            || (!is_word && text.chars().count() == 1)
            || (is_word && after.is_none() && (before.is_some() || clause.len() == text.len()))
            || (is_word && stands_alone(clause.get(end..).unwrap_or(""), text)))
}

/// Tells from what follows an "A" or "I" that it is a name: a particle, a sign, "or", "and", and "is" after an "A".
fn stands_alone(after: &str, letter: &str) -> bool {
    const JOINS: &[&str] = &["or", "and", "vs", "versus", "nor", "또는", "혹은", "및"];
    const TELLS: &[&str] =
        &["is", "beats", "wins", "over", "because", "since", "as", "seems", "looks", "fits"];
    let rest = after.trim_start();
    let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    after.starts_with(|c: char| matches!(c, '가'..='힣' | ',' | '/' | ')'))
        || rest.starts_with(['=', '>', '<', '≥', '≤', '&', '+', '|', '→'])
        || JOINS.contains(&word)
        || (letter.eq_ignore_ascii_case("a") && TELLS.contains(&word))
}

/// A sign that belongs to the word follows or precedes it: `B+` is not `B`, `non-refundable` is not `refundable`.
fn glued(clause: &str, start: usize, end: usize) -> bool {
    let before = clause.get(..start).unwrap_or("");
    let after = clause.get(end..).unwrap_or("").chars();
    let mut after = after.clone().zip(after.skip(1).map(Some).chain([None]));
    let after = after.next();
    let joined_after = match after {
        Some(('+' | '#', _)) => true,
        Some(('-' | '_' | '/' | '&' | '.', Some(next))) => next.is_alphanumeric(),
        _ => false,
    };
    let mut back = before.chars().rev();
    let joined_before = match (back.next(), back.next()) {
        (Some('-' | '_' | '/' | '&' | '.'), Some(previous)) => previous.is_alphanumeric(),
        _ => false,
    };
    joined_after || joined_before || cut_from_number(clause, start, end)
}

/// Digits that are a part of a number: of `-5`, `1:5`, `5,1`.
fn cut_from_number(clause: &str, start: usize, end: usize) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let (Some(text), Some(before), Some(after)) =
        (clause.get(start..end), clause.get(..start), clause.get(end..))
    else {
        return false;
    };
    let joint = |c: Option<char>| {
        c.is_some_and(|c| {
            matches!(c, ' ' | ':' | ',' | '.' | '/' | '~' | '*' | '\'' | '-' | '–' | '\u{2212}')
        })
    };
    let (mut before, mut after) = (before.chars().rev(), after.chars());
    let (last, next) = (before.next(), after.next());
    let signed = matches!(last, Some('-' | '–' | '\u{2212}' | '±' | '√' | '.'));
    (digit(text.chars().next()) && (signed || (joint(last) && digit(before.next()))))
        || (digit(text.chars().next_back()) && joint(next) && digit(after.next()))
}

/// Which label `text` is; a Korean particle or ending may follow. Returns where the label ends.
fn whole(text: &str, start: usize, labels: &Labels) -> Option<(u32, usize)> {
    if let Some(Some(number)) = labels.folded.get(&fold(text)) {
        return Some((*number, start + text.len()));
    }
    let last = text.chars().next_back()?;
    if !matches!(last, '가'..='힣') {
        return None;
    }
    for ending in ENDINGS {
        if let Some(stem) = text.strip_suffix(ending)
            && stem.chars().count() >= 1
            && let Some(Some(number)) = labels.folded.get(&fold(stem))
        {
            return Some((*number, start + stem.len()));
        }
    }
    None
}

/// Particles and endings that may follow a noun, longest first.
const ENDINGS: &[&str] = &[
    "이라기보다는",
    "이라기보다",
    "이라기에는",
    "이라기엔",
    "라기보다는",
    "라기보다",
    "이었습니다",
    "이라고",
    "적이라고",
    "적입니다",
    "적이에요",
    "적이고",
    "적이며",
    "적으로",
    "적이다",
    "적이지",
    "입니다",
    "이에요",
    "이라는",
    "이므로",
    "으로는",
    "이지",
    "이고",
    "이며",
    "이다",
    "이란",
    "라고",
    "예요",
    "에요",
    "으로",
    "에서",
    "부터",
    "까지",
    "보다",
    "적인",
    "적",
    "이라",
    "인",
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "로",
    "와",
    "과",
    "도",
    "만",
    "에",
    "의",
    "임",
    "다",
    "고",
];
