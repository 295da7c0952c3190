//! What a quote cuts off at its ends, or leaves out at an ellipsis.

use super::edit::Alignment;
use super::skeleton::{Class, Skeleton};
use super::{Miss, lexicon};

/// Refuses a place that begins or ends inside a number, or leaves a negation at its ends out: the `un-` of a word, the
/// 불 of 불합격, the 못했다 behind 합격하지.
pub(super) fn cut_words(
    text: &str,
    source: &Skeleton,
    quote: &Skeleton,
    found: &Alignment,
) -> Result<(), Miss> {
    let first = source.word_at(found.start);
    if let Some(word) = source.words.get(first) {
        let left_out = source.slice(word.start, found.start.max(word.start));
        let rest = source.slice(found.start.max(word.start), word.end);
        if left_out.is_empty() {
            let before: Vec<&str> = neighbours(text, source, first, Side::Before);
            if lexicon::negates_next(&before, rest) {
                return Err(Miss::Negation);
            }
        }
        match word.class {
            Class::Number if !left_out.is_empty() => return Err(Miss::Number),
            Class::Latin if lexicon::OPPOSITES.contains(&left_out) && left_out != "a" => {
                return Err(Miss::Negation);
            }
            Class::Hangul if lexicon::loses_prefix(left_out, rest) => return Err(Miss::Negation),
            _ => {}
        }
    }
    let Some(end) = found.end.checked_sub(1) else { return Ok(()) };
    let last = source.word_at(end);
    if let Some(word) = source.words.get(last).filter(|word| word.start <= end) {
        let left_out = source.slice(found.end, word.end.max(found.end));
        let kept = source.slice(word.start, found.end);
        if word.class == Class::Number && left_out.contains(|c: char| c.is_ascii_digit()) {
            return Err(Miss::Number);
        }
        if left_out == "n't" || left_out == "'t" {
            return Err(Miss::Negation);
        }
        let after = neighbours(text, source, last, Side::After);
        if matches!(word.class, Class::Hangul | Class::Latin)
            && lexicon::loses_negation(kept, left_out, &after)
        {
            return Err(Miss::Negation);
        }
    }
    // a number that goes on with a magnitude: "5" of "5만", "$10" of "$10k", "10" of "10 million"
    let ends_in_number = quote.words.last().is_some_and(|word| word.class == Class::Number);
    if ends_in_number
        && let Some(next) = source.word_of(found.end).filter(|next| next.start == found.end && next.unit)
        && is_magnitude(source.word_text(next), touches(source, found.end))
    {
        return Err(Miss::Number);
    }
    Ok(())
}

/// Tells whether the character at `at` stands directly behind the one before it.
fn touches(source: &Skeleton, at: usize) -> bool {
    let end = at.checked_sub(1).and_then(|before| source.bytes.get(before)).map(|bytes| bytes.end);
    source.bytes.get(at).map(|bytes| bytes.start) == end
}

fn is_magnitude(unit: &str, glued: bool) -> bool {
    let korean = unit.starts_with(['십', '백', '천', '만', '억', '조']);
    let word = matches!(
        unit,
        "hundred" | "thousand" | "million" | "billion" | "trillion" | "dozen" | "mn" | "bn" | "tn"
    );
    korean || word || (glued && matches!(unit, "k" | "m" | "mm" | "b" | "t"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// The words next to one, as far as nothing but white space stands between: up to two before it, or four behind it.
fn neighbours<'a>(text: &str, source: &'a Skeleton, at: usize, side: Side) -> Vec<&'a str> {
    let gap = |left: usize, right: usize| {
        let end = source.words.get(left).map(|word| source.source(word.start, word.end).end)?;
        let start = source.words.get(right).map(|word| source.source(word.start, word.end).start)?;
        text.get(end..start).filter(|gap| gap.chars().all(|c| c != '\n' && c.is_whitespace()))
    };
    let mut found = Vec::new();
    let mut here = at;
    let most = if side == Side::Before { 2 } else { 4 };
    while found.len() < most {
        let next = match side {
            Side::Before => here.checked_sub(1).filter(|next| gap(*next, here).is_some()),
            Side::After => Some(here + 1).filter(|next| gap(here, *next).is_some()),
        };
        let Some(next) = next else { break };
        found.extend(source.words.get(next).map(|word| source.word_text(word)));
        here = next;
    }
    if side == Side::Before {
        found.reverse();
    }
    found
}

/// Tells whether what an ellipsis leaves out negates what stands beside it: in the sentence of either part.
pub(super) fn elides_negation(left_out: &str) -> bool {
    let ends = |c: char| matches!(c, '.' | '!' | '?' | '。' | '\n');
    let (head, tail) = match (left_out.find(ends), left_out.rfind(ends)) {
        (Some(first), Some(last)) => (left_out.get(..first), left_out.get(last..)),
        _ => (Some(left_out), None),
    };
    [head, tail].into_iter().flatten().any(|piece| {
        let skeleton = Skeleton::new(piece);
        skeleton.words.iter().any(|word| {
            let text = skeleton.word_text(word);
            match word.class {
                Class::Latin => lexicon::DENIALS.contains(&text) || text.ends_with("n't"),
                Class::Hangul => {
                    matches!(text, "안" | "못")
                        || text.starts_with(['않', '못', '없'])
                        || text.contains("지않")
                        || text.contains("지못")
                        || ["아니다", "아니었", "아닙", "아닌"].iter().any(|no| text.starts_with(no))
                }
                _ => false,
            }
        })
    })
}
