//! Whether the differences between a quote and a place in the source are slips.

use std::collections::HashMap;

use super::Miss;
use super::cut::cut_words;
use super::edit::{Alignment, Step};
use super::judge::{Slip, judge};
use super::lexicon;
use super::skeleton::{Case, Class, Skeleton, Word};

/// What the source knows of its own words.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    words: HashMap<Box<str>, Usage>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    /// Written in lower case.
    lower: bool,
    /// Capitalised where no sentence begins, or followed by what follows a person's name.
    name: bool,
}

impl Vocabulary {
    pub(super) fn new(source: &Skeleton) -> Self {
        let mut words: HashMap<Box<str>, Usage> = HashMap::new();
        for (index, word) in source.words.iter().enumerate() {
            let text = source.word_text(word);
            match word.class {
                Class::Latin => {
                    let usage = entry(&mut words, text);
                    usage.lower |= word.case == Case::Lower;
                    usage.name |= word.case == Case::Inner
                        || (word.case == Case::Capital
                            && !word.first
                            && text != "i"
                            && !text.starts_with("i'"));
                }
                Class::Hangul => {
                    let called =
                        source.words.get(index + 1).filter(|next| next.class == Class::Hangul).is_some_and(
                            |next| {
                                let next = source.word_text(next);
                                lexicon::HONORIFICS.iter().any(|title| {
                                    !title.starts_with('이')
                                        && next.strip_prefix(title).is_some_and(|rest| {
                                            lexicon::same_but_particles("가", &["가", rest].concat())
                                        })
                                })
                            },
                        );
                    entry(&mut words, text).name |= called;
                    for title in lexicon::HONORIFICS {
                        if let Some(stem) = text.strip_suffix(title).filter(|stem| stem.chars().count() >= 2)
                        {
                            // "지민이가": only after a final consonant
                            let last = stem.chars().next_back().and_then(lexicon::letters);
                            let name = !title.starts_with('이') || last.is_some_and(|[_, _, last]| last != 0);
                            entry(&mut words, stem).name |= name && !matches!(*title, "형" | "양" | "군");
                        }
                    }
                }
                Class::Ideographic | Class::Number | Class::Gap => {}
            }
        }
        Self { words }
    }

    pub(super) fn knows(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    fn usage(&self, word: &str) -> Usage {
        self.words.get(word).copied().unwrap_or_default()
    }

    pub(super) fn is_latin_name(&self, word: &Word, text: &str) -> bool {
        if text.chars().nth(1).is_none() {
            return word.case != Case::Lower && text != "i" && text != "a";
        }
        let usage = self.usage(text);
        if word.case == Case::Inner {
            return true;
        }
        if word.case == Case::Lower {
            return false;
        }
        if word.first {
            usage.name && !usage.lower || !usage.lower && !is_common(text) && !self.has_lower_form(text)
        } else {
            true
        }
    }

    /// Tells whether another form of the word stands in lower case in the source: `Running` and `run`.
    fn has_lower_form(&self, text: &str) -> bool {
        if text.len() > 5 && ["ing", "ed", "ly", "er", "es"].iter().any(|ending| text.ends_with(ending)) {
            return true;
        }
        ["s", "d", "es", "ed", "ing", "ly", "er"].iter().any(|ending| {
            self.usage(&[text, ending].concat()).lower
                || text.strip_suffix(ending).is_some_and(|stem| self.usage(stem).lower)
        })
    }

    pub(super) fn is_korean_name(&self, stem: &str) -> bool {
        self.usage(stem).name || lexicon::is_full_name(stem)
    }
}

fn entry<'a>(words: &'a mut HashMap<Box<str>, Usage>, text: &str) -> &'a mut Usage {
    if !words.contains_key(text) {
        words.insert(text.into(), Usage::default());
    }
    words.entry(text.into()).or_default()
}

pub(super) fn is_common(text: &str) -> bool {
    lexicon::COMMON.binary_search(&text).is_ok()
}

/// One word of the source and what the quote has in its place, as ranges of characters.
struct Pair<'a> {
    word: &'a Word,
    quote: std::ops::Range<usize>,
}

/// Checks each difference of the alignment; returns why the place is not the quote.
pub(super) fn verify(
    text: &str,
    source: &Skeleton,
    quote: &Skeleton,
    known: &Vocabulary,
    found: &Alignment,
) -> Result<(), Miss> {
    let heavier =
        |one: Miss, other: Option<Miss>| other.filter(|other| weight(*other) > weight(one)).unwrap_or(one);
    let cut = cut_words(text, source, quote, found).err();
    let pairs = pair(source, quote, found).map_err(|reason| heavier(reason, cut))?;
    let mut slips = 0_usize;
    let mut particles = 0_usize;
    let mut turned = Vec::new();
    let mut worst: Option<(u8, Miss)> = cut.map(|reason| (weight(reason), reason));
    for pair in &pairs {
        let from = pair.word.start.max(found.start);
        let to = pair.word.end.min(found.end);
        let ours = source.slice(from, to);
        let theirs = quote.slice(pair.quote.start, pair.quote.end);
        if ours == theirs {
            continue;
        }
        let whole = from == pair.word.start && to == pair.word.end;
        match judge(source, known, pair.word, ours, theirs, whole) {
            Ok(Slip::Particle) => particles += 1,
            Ok(Slip::Role(one, other)) => {
                particles += 1;
                // "철수가 영희를", "철수를 영희가"
                if one != other && turned.contains(&(other, one)) {
                    worst = worst.max(Some((weight(Miss::Wording), Miss::Wording)));
                }
                turned.push((one, other));
            }
            Ok(Slip::Typo) => slips += 1,
            Err(reason) => worst = worst.max(Some((weight(reason), reason))),
        }
    }
    if let Some((_, reason)) = worst {
        return Err(reason);
    }
    let words = pairs.len();
    if slips > (words / 4).max(1) || particles > (words / 2).max(1) { Err(Miss::Wording) } else { Ok(()) }
}

/// Orders the reasons by what they tell.
const fn weight(miss: Miss) -> u8 {
    match miss {
        Miss::Number => 4,
        Miss::Negation => 3,
        Miss::Name => 2,
        Miss::Wording => 1,
        Miss::Empty | Miss::NotFound => 0,
    }
}

/// Lays the words of the source and the pieces of the quote side by side.
fn pair<'a>(source: &'a Skeleton, quote: &Skeleton, found: &Alignment) -> Result<Vec<Pair<'a>>, Miss> {
    // for each character of the place: the characters of the quote aligned with it
    let mut aligned: Vec<std::ops::Range<usize>> = Vec::with_capacity(found.end - found.start);
    let mut inserted: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    for step in &found.steps {
        match step {
            Step::Match | Step::Substitute => {
                aligned.push(at..at + 1);
                at += 1;
            }
            Step::Insert => {
                inserted.push((aligned.len(), at));
                at += 1;
            }
            Step::Delete => aligned.push(at..at),
            Step::Swap => {
                aligned.push(at..at + 1);
                aligned.push(at + 1..at + 2);
                at += 2;
            }
        }
    }
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for word in
        source.words.iter().skip(source.word_at(found.start)).take_while(|word| word.start < found.end)
    {
        let from = word.start.max(found.start) - found.start;
        let to = word.end.min(found.end) - found.start;
        let covered = aligned.get(from..to).unwrap_or_default();
        let start = covered.first().map_or(0, |range| range.start);
        let end = covered.last().map_or(start, |range| range.end);
        pairs.push(Pair { word, quote: start..end });
        spans.push((from, to));
    }
    for (before, at) in inserted {
        if quote.chars.get(at) == Some(&' ') {
            continue;
        }
        // inside a word its range covers the insertion already
        if spans.iter().any(|(from, to)| *from < before && before < *to) {
            continue;
        }
        let left = spans.iter().rposition(|(_, to)| *to <= before);
        let right = spans.iter().position(|(from, _)| *from >= before);
        let owner = quote.word_of(at);
        let shares = |neighbour: Option<usize>| {
            neighbour.and_then(|index| pairs.get(index)).filter(|pair| !pair.quote.is_empty()).is_some_and(
                |pair| {
                    owner.is_some_and(|owner| {
                        owner.start < pair.quote.end
                            && pair.quote.start < owner.end
                            && owner.class == pair.word.class
                    })
                },
            )
        };
        let target = if shares(left) {
            left
        } else if shares(right) {
            right
        } else {
            None
        };
        match target.and_then(|index| pairs.get_mut(index)) {
            Some(pair) => pair.quote = pair.quote.start.min(at)..pair.quote.end.max(at + 1),
            None if owner.is_some_and(|owner| lexicon::is_particle(quote.word_text(owner))) => {}
            // a word that the source does not have at all
            None => {
                return Err(extra(
                    owner.map_or("", |owner| quote.word_text(owner)),
                    owner.map_or(Class::Gap, |owner| owner.class),
                ));
            }
        }
    }
    Ok(pairs)
}

/// Names what kind of word the quote has too many of.
pub(super) fn extra(text: &str, class: Class) -> Miss {
    match class {
        Class::Number => Miss::Number,
        Class::Latin if lexicon::NEGATIONS.contains(&text) => Miss::Negation,
        Class::Hangul if text.starts_with(['안', '못', '않', '없']) => Miss::Negation,
        _ => Miss::Wording,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_searched_by_halves_are_sorted() {
        assert!(
            lexicon::COMMON.is_sorted(),
            "{:?}",
            lexicon::COMMON.windows(2).find(|pair| pair[0] > pair[1])
        );
        for list in [lexicon::COMMON_KOREAN, lexicon::NEIGHBOURS] {
            assert!(list.is_sorted(), "{:?}", list.windows(2).find(|pair| pair[0] > pair[1]));
        }
    }
}
