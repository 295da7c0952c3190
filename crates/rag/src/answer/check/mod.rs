//! Whether a sentence follows from the passages that it cites, as far as words and numbers can tell.

mod lexicon;
mod numbers;
mod words;

use std::fmt;

use pumasi_core::text::{Span, normalize, sentences};

use super::event::{Doubt, Evidence, Source, Verdict};
use lexicon::OPPOSITES;
use numbers::{Number, Unit, numbers};
pub(super) use words::words;
use words::{Kind, Word};

/// How much of what a sentence says must stand in its sources.
const COVERED: f32 = 0.7;

/// How much of it, where it speaks of something that they do not name.
const COVERED_WITH_NEWS: f32 = 0.85;

/// How much less a word of a question counts that all passages have.
const COMMON: f32 = 0.7;

/// How many sentences of the sources may bear out one of the answer.
const MOST_EVIDENCE: usize = 3;

/// Checks sentences against sources.
///
/// A sentence is borne out if one to three sentences of the sources that it cites (with their headings) have its numbers with their
/// units, its names, most of what its words say, and deny and oppose nothing that it says. What it owes to the question's own words it
/// need not have from a source. Built once for an answer.
///
/// Measured on a labelled set of sentences in Korean and English; see `tests/it/grounding.rs`. It is no judge of meaning: a paraphrase in
/// wholly other words is doubted, and a false sentence in the source's own words, with its numbers, passes.
///
/// ```
/// use pumasi_rag::answer::{Doubt, Grounding, Verdict};
///
/// let grounding = Grounding::of("언제 다시 달리나요?", ["통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다."]);
/// assert!(matches!(grounding.check("아프면 사흘은 쉬세요.", &[1]), Some((Verdict::Supported, _))));
/// let wrong = grounding.check("아프면 열흘은 쉬세요.", &[1]).map(|(verdict, _)| verdict);
/// assert_eq!(wrong, Some(Verdict::Unsupported(Doubt::Number)));
/// ```
pub struct Grounding {
    sources: Vec<Read>,
    question: Vec<Word>,
}

/// A source, taken apart.
struct Read {
    number: u32,
    start: usize,
    normal: String,
    sentences: Vec<Claim>,
    /// The words of its title and headings.
    place: Vec<Word>,
    place_numbers: Vec<Number>,
}

/// What a sentence says.
struct Claim {
    span: Span,
    words: Vec<Word>,
    numbers: Vec<Number>,
}

impl Claim {
    fn new(text: &str, span: Span) -> Self {
        Self { span, words: words(text), numbers: numbers(text) }
    }

    fn is_korean(&self) -> bool {
        self.words.iter().any(Word::is_korean)
    }
}

impl Grounding {
    /// Takes the sources of an answer to `question` apart.
    pub fn new(question: &str, sources: &[Source]) -> Self {
        let read = |source: &Source| Read::new(source.number, source.span.start, &source.place, &source.text);
        Self { sources: sources.iter().map(read).collect(), question: words(question) }
    }

    /// Takes texts apart that are cited as 1, 2, 3 …, for answers that were recorded elsewhere.
    pub fn of<'a>(question: &str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let read = |(number, text)| Read::new(number, 0, "", text);
        Self { sources: (1..).zip(texts).map(read).collect(), question: words(question) }
    }

    /// Checks a sentence, given without its marks, against the sources of these numbers, and says where they bear it out.
    ///
    /// `None` for a sentence that cites nothing and claims no number, which is the assistant's own voice: a greeting, a question, a word
    /// of comfort.
    pub fn check(&self, sentence: &str, cited: &[u32]) -> Option<(Verdict, Vec<Evidence>)> {
        let claim = Claim::new(sentence, Span::new(0, sentence.len()));
        if cited.is_empty() {
            return self.check_uncited(&claim);
        }
        let sources: Vec<&Read> =
            self.sources.iter().filter(|source| cited.contains(&source.number)).collect();
        if let Some(evidence) = quoted(sentence, &sources) {
            return Some((Verdict::Quoted, vec![evidence]));
        }
        let found = self.evidence(&claim, &sources);
        let verdict = self.judge(&claim, &found, &sources);
        let evidence = found.iter().map(|(source, claim)| source.evidence(claim.span)).collect();
        Some((verdict, if verdict.is_unsupported() { Vec::new() } else { evidence }))
    }

    /// Doubts a sentence without a citation only where it claims numbers that nothing has.
    fn check_uncited(&self, claim: &Claim) -> Option<(Verdict, Vec<Evidence>)> {
        let claimed = claim.numbers.iter().filter(|number| number.unit != Unit::None);
        let known = |number: &&Number| {
            let mut all =
                self.sources.iter().flat_map(|source| &source.sentences).flat_map(|claim| &claim.numbers);
            all.any(|known| known.bears_out(**number))
        };
        let is_invented = claimed.into_iter().any(|number| !known(&number));
        is_invented.then(|| (Verdict::Unsupported(Doubt::NoSource), Vec::new()))
    }

    /// Chooses the sentences that say most of what is claimed: each adds something to those before it.
    fn evidence<'a>(&self, claim: &Claim, sources: &[&'a Read]) -> Vec<(&'a Read, &'a Claim)> {
        let mut left: Vec<&Word> = claim.words.iter().filter(|word| !word.is_empty).collect();
        let mut wanted: Vec<Number> = claim.numbers.clone();
        let mut chosen: Vec<(&Read, &Claim)> = Vec::new();
        while chosen.len() < MOST_EVIDENCE {
            let gain = |candidate: &Claim| -> f32 {
                let has = |word: &&&Word| candidate.words.iter().any(|known| known.is(word));
                let words: f32 = left.iter().filter(has).map(|word| word.weight()).sum();
                let counted = wanted
                    .iter()
                    .filter(|number| candidate.numbers.iter().any(|known| known.bears_out(**number)));
                words + 1.5 * f32::from(u8::try_from(counted.count()).unwrap_or(u8::MAX))
            };
            let candidates =
                sources.iter().flat_map(|source| source.sentences.iter().map(move |claim| (*source, claim)));
            let mut best: Option<(f32, (&Read, &Claim))> = None;
            for candidate in candidates {
                let gained = gain(candidate.1);
                if gained > 0.0 && best.is_none_or(|(most, _)| gained > most) {
                    best = Some((gained, candidate));
                }
            }
            let Some((_, (source, found))) = best else { break };
            left.retain(|word| !found.words.iter().any(|known| known.is(word)));
            wanted.retain(|number| !found.numbers.iter().any(|known| known.bears_out(*number)));
            chosen.push((source, found));
        }
        chosen
    }

    fn judge(&self, claim: &Claim, found: &[(&Read, &Claim)], sources: &[&Read]) -> Verdict {
        let places = || sources.iter().flat_map(|source| &source.place_numbers);
        let known_numbers = || found.iter().flat_map(|(_, claim)| &claim.numbers).chain(places());
        let lacks = |number: &Number| !known_numbers().any(|known| known.bears_out(*number));
        if claim.numbers.iter().any(lacks) {
            return Verdict::Unsupported(Doubt::Number);
        }
        let known: Vec<&Word> = found
            .iter()
            .flat_map(|(_, claim)| &claim.words)
            .chain(sources.iter().flat_map(|source| &source.place))
            .collect();
        let is_known = |word: &Word| known.iter().any(|known| known.is(word));
        let is_asked = |word: &Word| self.question.iter().any(|asked| asked.is(word));
        let is_other_language = sources
            .iter()
            .flat_map(|source| &source.sentences)
            .all(|sentence| sentence.words.is_empty() || sentence.is_korean() != claim.is_korean());
        if is_other_language {
            return Verdict::Unchecked;
        }
        let is_new_name =
            |word: &Word| word.kind == Kind::Name && !word.is_empty && !is_known(word) && !is_asked(word);
        if claim.words.iter().any(is_new_name) {
            return Verdict::Unsupported(Doubt::Name);
        }
        if claim.words.iter().any(|word| word.is_date() && !known.iter().any(|known| known.stem == word.stem))
        {
            return Verdict::Unsupported(Doubt::Number);
        }
        if is_denied(claim, found) {
            return Verdict::Unsupported(Doubt::Negation);
        }
        if found.first().is_some_and(|(_, best)| is_opposed(claim, best)) {
            return Verdict::Unsupported(Doubt::Opposite);
        }
        let is_akin = |word: &Word| known.iter().any(|known| known.is_akin(word));
        // numbers that agree with their units say as much as words
        let agreed = claim.numbers.iter().filter(|number| number.unit != Unit::None).count();
        let agreed = f32::from(u8::try_from(agreed).unwrap_or(u8::MAX));
        let (mut total, mut covered) = (agreed, agreed);
        let mut is_new = false;
        for word in claim.words.iter().filter(|word| !word.is_empty) {
            if is_known(word) {
                total += word.weight();
                covered += word.weight();
            } else if !is_asked(word) {
                total += word.weight();
                covered += if is_akin(word) { word.weight() / 2.0 } else { 0.0 };
                is_new |= word.is_argument() && !is_akin(word);
            }
        }
        let needed = if is_new { COVERED_WITH_NEWS } else { COVERED };
        if total > 0.0 && covered / total < needed {
            return Verdict::Unsupported(Doubt::Words);
        }
        if total == 0.0 && claim.numbers.is_empty() {
            return Verdict::Unsupported(Doubt::Words);
        }
        Verdict::Supported
    }
}

/// Tells whether the claim denies what its evidence says, or says what that denies.
fn is_denied(claim: &Claim, found: &[(&Read, &Claim)]) -> bool {
    let denies = |words: &[Word]| words.iter().any(|word| word.is_denied);
    // only somebody may: the others may not
    let is_only = |word: &Word| {
        word.raw == "only"
            || (word.is_korean() && word.raw.ends_with('만') && word.stem.len() < word.raw.len())
    };
    if denies(&claim.words) && found.iter().any(|(_, claim)| claim.words.iter().any(is_only)) {
        return false;
    }
    // a sentence that shares but one word speaks of something else
    let shared = |evidence: &Claim| {
        let said = claim.words.iter().filter(|word| !word.is_empty);
        said.filter(|word| evidence.words.iter().any(|known| known.is(word))).count()
    };
    let near = found.iter().enumerate().filter(|(at, (_, claim))| *at == 0 || shared(claim) > 1);
    let near: Vec<&Claim> = near.map(|(_, (_, claim))| *claim).collect();
    claim.words.iter().filter(|word| !word.is_empty).any(|word| {
        let same = |evidence: &Claim| {
            evidence.words.iter().any(|known| known.is(word) && known.is_denied == word.is_denied)
        };
        let has = |evidence: &Claim| evidence.words.iter().any(|known| known.is(word));
        let mut evidence = near.iter().copied().filter(|claim| has(claim)).peekable();
        // where both deny something, how far each denial reaches is not known well enough
        evidence.peek().is_some()
            && evidence.all(|other| !same(other) && denies(&other.words) != denies(&claim.words))
    })
}

/// Tells whether the claim has a word whose opposite stands in the sentence that bears it out best, and the word itself does not.
fn is_opposed(claim: &Claim, best: &Claim) -> bool {
    let stands = |side: &[&str], words: &[Word]| {
        let is_one = |word: &Word, entry: &str| {
            if word.is_korean() { word.raw.starts_with(entry) } else { word.raw == entry }
        };
        words.iter().any(|word| side.iter().any(|entry| is_one(word, entry)))
    };
    let has = |one: &[&str], other: &[&str], words: &[Word]| stands(one, words) && !stands(other, words);
    OPPOSITES.iter().any(|(one, other)| {
        (has(one, other, &claim.words) && has(other, one, &best.words))
            || (has(other, one, &claim.words) && has(one, other, &best.words))
    })
}

/// Finds a sentence that stands in a source word for word.
fn quoted(sentence: &str, sources: &[&Read]) -> Option<Evidence> {
    let wanted = plain(sentence);
    if wanted.chars().count() < 8 {
        return None;
    }
    let source = sources.iter().find(|source| source.normal.contains(&wanted))?;
    let whole =
        source.sentences.iter().find(|claim| claim.span.len() >= sentence.trim().len().saturating_sub(4));
    let best = source.sentences.iter().find(|claim| {
        // the sentence of the source that the quote begins in
        claim.words.first().zip(words(sentence).first()).is_some_and(|(a, b)| a.raw == b.raw)
    });
    best.or(whole).map(|claim| source.evidence(claim.span))
}

/// Lower case, one space between words, no punctuation at the ends.
fn plain(text: &str) -> String {
    let normal = normalize(text);
    let words: Vec<&str> = normal.as_str().split_whitespace().collect();
    words.join(" ").trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

impl Read {
    fn new(number: u32, start: usize, place: &str, text: &str) -> Self {
        let claims = sentences(text).into_iter().map(|span| Claim::new(span.of(text), span));
        Self {
            number,
            start,
            normal: plain(text),
            sentences: claims.collect(),
            place: words(place),
            place_numbers: numbers(place),
        }
    }

    fn evidence(&self, span: Span) -> Evidence {
        Evidence { source: self.number, span: Span::new(self.start + span.start, self.start + span.end) }
    }
}

impl fmt::Debug for Grounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grounding").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// Tells for each passage (place and text) what share of what a question asks for it has.
///
/// A word that most of the passages have tells them apart less than one that few have, and counts less.
pub(super) fn coverage<'a>(
    question: &str,
    passages: impl IntoIterator<Item = (String, &'a str)>,
) -> Vec<f32> {
    let asked: Vec<Word> = words(question).into_iter().filter(|word| !word.is_empty).collect();
    let held: Vec<Vec<bool>> = passages
        .into_iter()
        .map(|(place, text)| {
            let mut known = words(&place);
            known.extend(words(text));
            asked.iter().map(|word| known.iter().any(|known| known.is(word))).collect()
        })
        .collect();
    let count = |at: usize| held.iter().filter(|held| held.get(at) == Some(&true)).count();
    let number = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    let weigh = |(at, word): (usize, &Word)| {
        word.weight() * (1.0 - COMMON * number(count(at)) / number(held.len().max(4)))
    };
    let weights: Vec<f32> = asked.iter().enumerate().map(weigh).collect();
    let total: f32 = weights.iter().sum();
    let share = |held: &Vec<bool>| -> f32 {
        let covered: f32 =
            weights.iter().zip(held).filter(|(_, held)| **held).map(|(weight, _)| weight).sum();
        if total > 0.0 { covered / total } else { 0.0 }
    };
    held.iter().map(share).collect()
}

/// Scores how much a sentence has of what a question asks for.
pub(super) fn speaks_of(question: &[Word], sentence: &[Word]) -> f32 {
    let asked = question.iter().filter(|word| !word.is_empty);
    asked.filter(|word| sentence.iter().any(|known| known.is(word))).map(Word::weight).sum()
}
