//! What a quote cuts off at its ends, or leaves out at an ellipsis.

use super::edit::Alignment;
use super::lexicon::Part;
use super::skeleton::{Case, Class, Skeleton, Word};
use super::{Miss, lexicon};

/// Refuses a place that begins or ends inside a number or a word, or leaves a negation at its ends out: the `un-` of a word,
/// the 불 of 불합격, the 못했다 behind 합격하지, the `Nobody` before a predicate.
pub(super) fn cut_words(
    text: &str,
    source: &Skeleton,
    quote: &Skeleton,
    found: &Alignment,
) -> Result<(), Miss> {
    cut_front(text, source, found)?;
    cut_end(text, source, quote, found)
}

fn cut_front(text: &str, source: &Skeleton, found: &Alignment) -> Result<(), Miss> {
    let first = source.word_at(found.start);
    let Some(word) = source.words.get(first) else { return Ok(()) };
    let start = found.start.max(word.start);
    let (left_out, rest) = (source.slice(word.start, start), source.slice(start, word.end));
    if !left_out.is_empty() {
        return front_within(word, left_out, rest);
    }
    let before = beside(text, source, first, Side::Before);
    if let Some(last) = before.last().filter(|last| last.gap != Gap::Space) {
        match (last.class, word.class, last.gap) {
            // "km" of "10km", "12" of "B12", "year plan" of "5-year plan"
            (Class::Number, Class::Hangul | Class::Latin, _) | (Class::Latin, Class::Number, Gap::None) => {
                return Err(Miss::Number);
            }
            (Class::Latin, Class::Latin, Gap::Hyphen) => {
                return Err(lexicon::loses_compound(last.text, rest));
            }
            (Class::Latin, Class::Hangul, Gap::None) if lexicon::is_particle(rest) => {
                return Err(Miss::Wording);
            }
            _ => {}
        }
    }
    let parts: Vec<Part<'_>> = before.iter().map(Beside::part).collect();
    let here = Part { text: rest, digits: word.class == Class::Number, glued: true };
    let next = source.words.get(first + 1).map(|next| source.word_text(next));
    if lexicon::goes_on(&parts, here, next) {
        return Err(Miss::Number);
    }
    let words: Vec<&str> = before.iter().map(|word| word.text).collect();
    if lexicon::negates_next(&words, rest) || lexicon::denies_subject(&words, rest) {
        return Err(Miss::Negation);
    }
    Ok(())
}

/// Judges a front within a word: only a Korean compound may lose its first noun.
fn front_within(word: &Word, left_out: &str, rest: &str) -> Result<(), Miss> {
    match word.class {
        Class::Number => Err(Miss::Number),
        Class::Latin if lexicon::OPPOSITES.contains(&left_out) && left_out != "a" => Err(Miss::Negation),
        Class::Latin if divides_letters(left_out, rest) => Err(torn(word)),
        Class::Hangul if lexicon::loses_prefix(left_out, rest) => Err(Miss::Negation),
        Class::Hangul if lexicon::cuts_korean(left_out, rest) => Err(Miss::Number),
        Class::Hangul if lexicon::tears_front(rest) => Err(Miss::Name),
        _ => Ok(()),
    }
}

fn cut_end(text: &str, source: &Skeleton, quote: &Skeleton, found: &Alignment) -> Result<(), Miss> {
    let Some(end) = found.end.checked_sub(1) else { return Ok(()) };
    let last = source.word_at(end);
    if let Some(word) = source.words.get(last).filter(|word| word.start <= end) {
        let left_out = source.slice(found.end, word.end.max(found.end));
        let kept = source.slice(word.start.max(found.start), found.end);
        end_within(word, source.slice(word.start, found.end), left_out)?;
        let after = beside(text, source, last, Side::After);
        let words: Vec<&str> = after.iter().map(|word| word.text).collect();
        if matches!(word.class, Class::Hangul | Class::Latin)
            && lexicon::loses_negation(kept, left_out, &words)
        {
            return Err(Miss::Negation);
        }
        if left_out.is_empty() {
            end_of_part(text, source, last, word, &after)?;
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

/// Judges an end within a word: a particle, an ending or the second noun of a Korean compound may be left out.
fn end_within(word: &Word, kept: &str, left_out: &str) -> Result<(), Miss> {
    if left_out.is_empty() {
        return Ok(());
    }
    match word.class {
        Class::Number => Err(Miss::Number),
        Class::Latin if matches!(left_out, "n't" | "'t") || left_out.starts_with("less") => {
            Err(Miss::Negation)
        }
        Class::Latin if matches!(left_out, "s" | "'s") && word.case != Case::Inner => Ok(()),
        Class::Latin if divides_letters(kept, left_out) && !left_out.starts_with('\'') => Err(torn(word)),
        Class::Hangul if lexicon::cuts_korean(kept, left_out) => Err(Miss::Number),
        Class::Hangul if lexicon::tears_end(kept, left_out) => Err(Miss::Name),
        _ => Ok(()),
    }
}

/// Judges an end between two words that belong together: the parts of a number, of a compound with a hyphen.
fn end_of_part(
    text: &str,
    source: &Skeleton,
    last: usize,
    word: &Word,
    after: &[Beside<'_>],
) -> Result<(), Miss> {
    let Some(next) = after.first() else { return Ok(()) };
    let kept = source.word_text(word);
    if next.gap == Gap::Hyphen && word.class == Class::Latin && next.class == Class::Latin {
        return Err(lexicon::loses_compound(kept, next.text));
    }
    let mut before = beside(text, source, last, Side::Before);
    before.push(Beside { text: kept, class: word.class, gap: next.gap });
    let mut parts: Vec<Part<'_>> = before.iter().map(Beside::part).collect();
    let mut ahead = after.iter().map(Beside::part);
    let Some(mut first) = ahead.next() else { return Ok(()) };
    let mut second = ahead.next();
    // "one hundred" of "one hundred and five"
    if first.text == "and"
        && let Some(number) = second
    {
        parts.push(first);
        first = number;
        second = ahead.next();
    }
    let magnitude = next.class == Class::Latin && is_magnitude(next.text, false);
    // a magnitude behind a number in words or digits is told apart from a sign or a part of it
    if lexicon::goes_on(&parts, first, second.map(|part| part.text))
        || (word.class == Class::Number && magnitude)
    {
        return Err(Miss::Number);
    }
    Ok(())
}

/// A piece of a word that is written in letters as most alphabets are, with gaps between words.
fn divides_letters(left: &str, right: &str) -> bool {
    let spaced = |c: char| c < '\u{530}' && (c.is_alphabetic() || c == '\'');
    left.chars().next_back().is_some_and(spaced) && right.chars().next().is_some_and(spaced)
}

/// Names what a piece of a word is: of a name, if it is written as one.
fn torn(word: &Word) -> Miss {
    if word.case == Case::Lower { Miss::Wording } else { Miss::Name }
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

/// What stands between two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    None,
    Space,
    Hyphen,
}

/// A word near an end of the quote, and what parts it from the next one towards the quote.
#[derive(Clone, Copy, Debug)]
struct Beside<'a> {
    text: &'a str,
    class: Class,
    gap: Gap,
}

impl<'a> Beside<'a> {
    fn part(&self) -> Part<'a> {
        Part { text: self.text, digits: self.class == Class::Number, glued: self.gap == Gap::None }
    }
}

/// The words next to one in the order of the text, as far as nothing but white space or a hyphen stands between: up to
/// eight before it, or four behind it.
fn beside<'a>(text: &str, source: &'a Skeleton, at: usize, side: Side) -> Vec<Beside<'a>> {
    let gap = |left: usize, right: usize| {
        let end = source.words.get(left).map(|word| source.source(word.start, word.end).end)?;
        let start = source.words.get(right).map(|word| source.source(word.start, word.end).start)?;
        match text.get(end..start)? {
            "" => Some(Gap::None),
            "-" | "\u{2010}" | "\u{2011}" => Some(Gap::Hyphen),
            gap => gap.chars().all(|c| c != '\n' && c.is_whitespace()).then_some(Gap::Space),
        }
    };
    let mut found = Vec::new();
    let mut here = at;
    let most = if side == Side::Before { 8 } else { 4 };
    while found.len() < most {
        let next = match side {
            Side::Before => here.checked_sub(1).and_then(|next| Some((next, gap(next, here)?))),
            Side::After => gap(here, here + 1).map(|gap| (here + 1, gap)),
        };
        let Some((next, gap)) = next else { break };
        let Some(word) = source.words.get(next) else { break };
        found.push(Beside { text: source.word_text(word), class: word.class, gap });
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
