//! Whether a word of the quote is a slip for a word of the source, or another word.

use pumasi_core::text::{Analyzer, Morphology as _, Particles};

use super::Miss;
use super::lexicon;
use super::skeleton::{Class, Skeleton, Word};
use super::verify::{Vocabulary, extra, is_common};

pub(super) enum Slip {
    Particle,
    /// A particle of another role in its place.
    Role(lexicon::Role, lexicon::Role),
    Typo,
}

/// Judges what the quote has for a word of the source. Only a slip is let through: what a reader could take for another word
/// is another word.
pub(super) fn judge(
    source: &Skeleton,
    known: &Vocabulary,
    word: &Word,
    ours: &str,
    theirs: &str,
    whole: bool,
) -> Result<Slip, Miss> {
    match word.class {
        Class::Number => Err(Miss::Number),
        Class::Gap | Class::Ideographic => Err(Miss::Wording),
        Class::Latin => latin(known, word, ours, theirs),
        Class::Hangul => {
            let before = source.words.get(source.word_at(word.start).wrapping_sub(1));
            let unit = word.unit
                || before.is_some_and(|before| before.class == Class::Number && before.end == word.start);
            hangul(known, ours, theirs, unit, whole)
        }
    }
}

fn latin(known: &Vocabulary, word: &Word, ours: &str, theirs: &str) -> Result<Slip, Miss> {
    if theirs.is_empty() {
        return match ours {
            "a" | "an" | "the" => Ok(Slip::Particle),
            _ => Err(extra(ours, Class::Latin)),
        };
    }
    if theirs.chars().any(|c| c.is_ascii_digit()) || word.unit && ours.len() <= 3 {
        return Err(Miss::Number);
    }
    let joined: String = theirs.chars().filter(|c| *c != ' ' && *c != '\'').collect();
    if lexicon::NEGATIONS.contains(&theirs) || lexicon::NEGATIONS.contains(&ours) {
        return if joined == ours.replace('\'', "") && ours != "nowhere" {
            Ok(Slip::Particle)
        } else {
            Err(Miss::Negation)
        };
    }
    // "sever" and "severe" have one stem and are two words
    let by_e = ours.strip_suffix('e') == Some(theirs) || theirs.strip_suffix('e') == Some(ours);
    let same_stem = same_stem(ours, theirs) && !(by_e && lexicon::is_word(theirs));
    let other_word = (known.knows(theirs) || is_common(theirs) || lexicon::is_word(theirs)) && !same_stem;
    if lexicon::NUMBERS.contains(&theirs) || (lexicon::NUMBERS.contains(&ours) && (other_word || same_stem)) {
        return Err(Miss::Number);
    }
    if known.is_latin_name(word, ours) {
        return Err(Miss::Name);
    }
    if joined == ours {
        return Ok(Slip::Particle);
    }
    if let Some(reason) = lexicon::opposes(ours, theirs) {
        return Err(reason);
    }
    if lexicon::are_variants(ours, theirs) {
        return Ok(Slip::Typo);
    }
    if other_word || lexicon::are_confused(ours, theirs) {
        return Err(Miss::Wording);
    }
    let (a, b): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    // an "a" before the first letter negates: "atypical", "amoral"
    let prefixed = theirs.strip_prefix('a') == Some(ours) || ours.strip_prefix('a') == Some(theirs);
    let slip = match distance(&a, &b) {
        1 => a.len() >= 2 && !other_first_letter(&a, &b, theirs),
        // two slips stand apart; two letters side by side are another beginning, end or word: prednisone, prednisolone
        2 => {
            a.len() >= 9
                && !are_exchanged(&a, &b)
                && changed(&a, &b).is_none_or(|(ours, theirs)| ours.len().max(theirs.len()) > 2)
        }
        _ => false,
    };
    let slip = slip || lexicon::differ_in_doubling(ours, theirs);
    if slip && !prefixed { Ok(Slip::Typo) } else { Err(Miss::Wording) }
}

/// Tells whether two letters that do not stand side by side changed places: `customers`, `costumers`.
fn are_exchanged(ours: &[char], theirs: &[char]) -> bool {
    let differing: Vec<_> = ours.iter().zip(theirs).filter(|(one, two)| one != two).collect();
    ours.len() == theirs.len() && matches!(differing.as_slice(), [(a, b), (c, d)] if a == d && b == c)
}

/// Tells whether the first letter was replaced by one that is no neighbour on the keyboard, with a word's look: who writes
/// by slip keeps the first letter.
fn other_first_letter(ours: &[char], theirs: &[char], word: &str) -> bool {
    match (ours, theirs) {
        // "ileum", "pileum": a letter in front begins another word
        (_, [_, rest @ ..]) if rest == ours && rest.first() != theirs.first() => {
            lexicon::begins_as_a_word(word)
        }
        ([one, rest @ ..], [two, other @ ..]) => {
            one != two
                && rest == other
                && !lexicon::are_neighbours(*one, *two)
                && lexicon::begins_as_a_word(word)
        }
        _ => false,
    }
}

/// Returns what differs between two words, without what they share at either end.
fn changed<'a>(ours: &'a [char], theirs: &'a [char]) -> Option<(&'a [char], &'a [char])> {
    let shared = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let (ours, theirs) = (ours.get(shared..)?, theirs.get(shared..)?);
    let end = ours.iter().rev().zip(theirs.iter().rev()).take_while(|(a, b)| a == b).count();
    Some((ours.get(..ours.len() - end)?, theirs.get(..theirs.len() - end)?))
}

/// Tells whether two English words are forms of one: `move` and `moved`.
fn same_stem(one: &str, other: &str) -> bool {
    let term = |word: &str| Analyzer::default().tokens(word).into_iter().next().map(|token| token.text);
    term(one) == term(other)
}

fn hangul(known: &Vocabulary, ours: &str, theirs: &str, unit: bool, whole: bool) -> Result<Slip, Miss> {
    let (a, b): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    if theirs.is_empty() {
        return if lexicon::is_particle(ours) { Ok(Slip::Particle) } else { Err(extra(ours, Class::Hangul)) };
    }
    if !theirs.chars().all(|c| lexicon::letters(c).is_some() || c == ' ') {
        return Err(Miss::Wording);
    }
    let (ours_changed, theirs_changed) = changed(&a, &b).unwrap_or_default();
    let at = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let particles = lexicon::same_but_particles(ours, theirs);
    let negates = |changed: &[char]| changed.iter().any(|c| lexicon::NEGATING.contains(c));
    let negating = negates(ours_changed) || negates(theirs_changed);
    if particles
        && !(negating
            && (ours.contains('않') || theirs.contains('않') || ours.contains('없') || theirs.contains('없')))
    {
        return match lexicon::roles(ours, theirs) {
            Some((one, other)) if !lexicon::may_stand_for(one, other) => Err(Miss::Wording),
            Some((one, other)) => Ok(Slip::Role(one, other)),
            None => Ok(Slip::Particle),
        };
    }
    let opposed = at == 0
        && matches!((ours_changed, theirs_changed), ([one], []) | ([], [one]) if lexicon::OPPOSING.contains(one));
    if negating || opposed {
        return Err(Miss::Negation);
    }
    let counts = |changed: &[char]| changed.iter().any(|c| lexicon::NUMERALS.contains(c));
    let dates = |changed: &[char]| matches!(changed, [one] if lexicon::PERIODS.contains(one));
    if unit
        || lexicon::NUMBERS.contains(&theirs)
        || lexicon::NUMBERS.contains(&ours)
        || (counts(ours_changed) && counts(theirs_changed))
        || (dates(ours_changed) && dates(theirs_changed))
    {
        return Err(Miss::Number);
    }
    let (stem, other) = (stem(ours), stem(theirs));
    let base = lexicon::Base::new(ours, stem);
    if known.is_korean_name(stem) && !lexicon::is_verbal(ours) && !base.is_everyday() {
        return Err(Miss::Name);
    }
    if known.knows(theirs)
        || (other != stem && known.knows(other))
        || (lexicon::is_known(theirs, other) && !theirs.starts_with(stem))
    {
        return Err(Miss::Wording);
    }
    if distance(&a, &b) > 1 || a.len() < if whole { 2 } else { 3 } {
        return Err(Miss::Name);
    }
    let before = at.checked_sub(1).and_then(|before| a.get(before)).copied();
    let slip = match (ours_changed, theirs_changed) {
        ([one], [two]) => lexicon::is_slip(base, at, *one, *two, a.get(at + 1).copied()),
        ([x], []) => lexicon::is_stray(base, at, *x, before, a.get(at + 1).copied()),
        ([], [x]) => lexicon::is_stray(base, at, *x, before, a.get(at).copied()),
        ([_, _], [_, _]) => lexicon::may_swap(base, at),
        _ => false,
    };
    if slip { Ok(Slip::Typo) } else { Err(Miss::Name) }
}

/// Returns a Korean word without its particle, as the analyzer strips it.
fn stem(word: &str) -> &str {
    let mut pieces = Vec::with_capacity(2);
    Particles.split(word, &mut pieces);
    pieces.first().and_then(|piece| word.get(piece.range.clone())).unwrap_or(word)
}

/// Counts the edits between two words, swaps of neighbours as one.
fn distance(a: &[char], b: &[char]) -> usize {
    let longest = a.len().max(b.len());
    if longest > 256 {
        return longest;
    }
    super::edit::align(a, b, 0, longest, longest, super::edit::Ends::Fixed)
        .map_or(longest, |found| found.edits)
}
