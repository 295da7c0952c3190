//! Whether a sentence follows from the passages that it cites, as far as words and numbers can tell.

mod denials;
mod empty;
mod lexicon;
mod limits;
mod numbers;
mod numerals;
mod opposites;
mod opposition;
mod order;
mod periods;
mod pieces;
mod places;
mod quote;
mod roles;
mod rules;
mod turned;
mod units;
mod wanted;
mod words;

use std::borrow::Cow;
use std::fmt;

use pumasi_core::text::{Normalizer, Span, sentences};

use super::event::{Doubt, Evidence, Source, Verdict};
use denials::spend;
use numbers::{Number, numbers};
use quote::{Plain, Quote};
use rules::{is_allowing, is_crossed, is_denied, is_replaced, is_waved_through};
use turned::Turns;
use units::Unit;
use wanted::Wanted;
pub(super) use words::words;
use words::{Kind, Word};

/// How much of what a sentence says must stand in its sources.
const COVERED: f32 = 0.7;

/// How much of it, where it speaks of something that they do not name.
const COVERED_WITH_NEWS: f32 = 0.85;

/// How much less a word of a question counts that all passages have.
const COMMON: f32 = 0.7;

/// How much more a word of a question counts that stands in a passage's title or headings.
const IN_A_TITLE: f32 = 1.5;

/// How much of a passage's share is left if it lacks the kind of number that is asked for.
const WITHOUT_THE_NUMBER: f32 = 0.6;

/// How many sentences of the sources may bear out one of the answer.
const MOST_EVIDENCE: usize = 3;

/// From how many bytes on a sentence is read in parts.
const LONG: usize = 2_000;

/// Checks sentences against sources.
///
/// A sentence is borne out if one to three sentences of the sources that it cites (with their headings) have its numbers with their
/// units, its names, most of what its words say, and deny and oppose nothing that it says. What it owes to the question's own words it
/// need not have from a source. Built once for an answer.
///
/// Measured on labelled sets of sentences in Korean and English; see `tests/it/grounding.rs` and `turned.rs`. It is no judge of meaning: a paraphrase in
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
    plain: Plain,
    sentences: Vec<Claim>,
    /// The words of its title and headings.
    place: Vec<Word>,
    place_numbers: Vec<Number>,
}

/// What a sentence says.
struct Claim {
    span: Span,
    text: Box<str>,
    words: Vec<Word>,
    numbers: Vec<Number>,
}

impl Claim {
    fn new(text: &str, span: Span) -> Self {
        let text = composed(text);
        let (mut words, numbers) = (words(&text), numbers(&text));
        if numbers.iter().any(|number| number.limit.is_denied) {
            spend(&mut words, &text);
        }
        Self { span, text: text.into(), words, numbers }
    }

    fn is_korean(&self) -> bool {
        self.words.iter().any(Word::is_korean)
    }

    /// The numbers that are claimed, and not said by the way.
    fn claimed(&self) -> impl Iterator<Item = &Number> {
        self.numbers.iter().filter(|number| !number.is_weak)
    }

    fn has(&self, word: &Word) -> bool {
        self.words.iter().any(|known| known.bears_out(word))
    }

    /// How many words say something, and how many of those the other has.
    fn share(&self, other: &Self) -> (usize, usize) {
        let said = || self.words.iter().filter(|word| !word.is_empty);
        (said().filter(|word| other.has(word)).count(), said().count())
    }

    fn counts(&self, number: Number) -> bool {
        self.numbers.iter().any(|known| known.bears_out(number))
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
        let mut all: Option<(Verdict, Vec<Evidence>)> = None;
        for part in bounded(sentence, Span::new(0, sentence.len())) {
            let Some((verdict, evidence)) = self.check_bounded(part.of(sentence), cited) else { continue };
            if verdict.is_unsupported() {
                return Some((verdict, evidence));
            }
            let Some((known, found)) = &mut all else {
                all = Some((verdict, evidence));
                continue;
            };
            found.extend(evidence);
            found.truncate(MOST_EVIDENCE);
            if *known != verdict {
                let is_unchecked =
                    matches!((*known, verdict), (Verdict::Unchecked, _) | (_, Verdict::Unchecked));
                *known = if is_unchecked { Verdict::Unchecked } else { Verdict::Supported };
            }
        }
        all
    }

    fn check_bounded(&self, sentence: &str, cited: &[u32]) -> Option<(Verdict, Vec<Evidence>)> {
        let claim = Claim::new(sentence, Span::new(0, sentence.len()));
        if cited.is_empty() {
            return self.check_uncited(&claim);
        }
        let sources: Vec<&Read> =
            self.sources.iter().filter(|source| cited.contains(&source.number)).collect();
        let quotes: Vec<Quote> = sources.iter().map(|source| source.plain.find(sentence)).collect();
        for (source, quote) in sources.iter().zip(&quotes) {
            if let Quote::Whole(places) = quote {
                let spans = places.iter().filter_map(|at| source.sentences.get(*at)).map(|claim| claim.span);
                return Some((
                    Verdict::Quoted,
                    spans.take(MOST_EVIDENCE).map(|span| source.evidence(span)).collect(),
                ));
            }
        }
        let found = self.evidence(&claim, &sources);
        let verdict = match self.judge(&claim, &found, &sources) {
            doubted if doubted.is_unsupported() => doubted,
            verdict => self.doubt_of_part(&quotes).map_or(verdict, Verdict::Unsupported),
        };
        let evidence = found.iter().map(|(source, claim)| source.evidence(claim.span)).collect();
        Some((verdict, if verdict.is_unsupported() { Vec::new() } else { evidence }))
    }

    /// Doubts a sentence that leaves out what the source's own denies or makes it depend on.
    fn doubt_of_part(&self, quotes: &[Quote]) -> Option<Doubt> {
        let parts = || {
            quotes.iter().filter_map(|quote| if let Quote::Part(left) = quote { Some(left) } else { None })
        };
        let changes = |left: &&quote::LeftOut| left.changes() && left.is_unasked(&self.question);
        let worst = parts().map(|left| left.iter().find(changes));
        // another source may have it without
        let worst = worst.collect::<Option<Vec<_>>>()?;
        let left = worst.first()?;
        Some(if left.is_condition { Doubt::Condition } else { Doubt::Negation })
    }

    /// Doubts a sentence without a citation only where it claims numbers that nothing has.
    fn check_uncited(&self, claim: &Claim) -> Option<(Verdict, Vec<Evidence>)> {
        let claimed = claim.claimed().filter(|number| number.unit != Unit::None);
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
        let wanted = claim.numbers.iter().filter(|number| !number.is_weak || number.is_period());
        let mut wanted: Vec<Number> = wanted.copied().collect();
        let mut chosen: Vec<(&Read, &Claim)> = Vec::new();
        while chosen.len() < MOST_EVIDENCE {
            let gain = |candidate: &Claim| -> f32 {
                let has = |word: &&&Word| candidate.words.iter().any(|known| known.is(word));
                let words: f32 = left.iter().filter(has).map(|word| word.weight()).sum();
                let counted = wanted.iter().filter(|number| candidate.counts(**number));
                // another number of its kind may stand where the claim has its own
                let is_replaced = |number: &&Number| {
                    !candidate.counts(**number)
                        && candidate.numbers.iter().any(|known| known.is_of_the_kind_of(**number))
                };
                let replaced = wanted.iter().filter(is_replaced).map(|_| 0.25);
                let counted = counted.map(|number| if number.is_weak { 0.5 } else { 1.5 });
                words + counted.chain(replaced).sum::<f32>()
            };
            let candidates =
                sources.iter().flat_map(|source| source.sentences.iter().map(move |claim| (*source, claim)));
            let mut best: Option<(f32, (&Read, &Claim))> = None;
            for candidate in candidates {
                let gained = gain(candidate.1);
                if gained >= 0.5 && best.is_none_or(|(most, _)| gained > most) {
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
        if claim.claimed().any(lacks) || found.first().is_some_and(|(_, best)| is_replaced(claim, best)) {
            return Verdict::Unsupported(Doubt::Number);
        }
        // a sentence that shares but one word speaks of something else
        let speaks = |(at, (_, other)): &(usize, &(&Read, &Claim))| {
            let (held, all) = other.share(claim);
            *at == 0 || claim.share(other).0 > 1 || held == all
        };
        let known: Vec<&Word> =
            found.iter().enumerate().filter(speaks).flat_map(|(_, (_, claim))| &claim.words).collect();
        let is_placed = |word: &Word| {
            sources.iter().any(|source| source.place.iter().any(|known| known.stem == word.stem))
        };
        let is_known = |word: &Word| known.iter().any(|known| known.bears_out(word)) || is_placed(word);
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
        let turns = Turns::of(claim, found);
        if turns.is_replaced {
            return Verdict::Unsupported(Doubt::Number);
        }
        if turns.is_crossed || turns.is_undenied {
            return Verdict::Unsupported(Doubt::Opposite);
        }
        // who turns it twice says the same
        if turns.is_turned() && (turns.is_opposed || !turns.is_denied_otherwise) {
            return Verdict::Unsupported(Doubt::Opposite);
        }
        if !turns.is_turned() && !turns.is_relieved && is_denied(claim, found) {
            return Verdict::Unsupported(Doubt::Negation);
        }
        let is_near = |other: &Claim| {
            let (shared, said) = claim.share(other);
            shared * 2 >= said
        };
        let near = || {
            found
                .iter()
                .enumerate()
                .filter(|(at, (_, other))| *at == 0 || is_near(other))
                .map(|(_, (_, other))| *other)
        };
        if is_crossed(claim, found) || (is_waved_through(claim) && !near().any(is_allowing)) {
            return Verdict::Unsupported(Doubt::Opposite);
        }
        let is_akin = |word: &Word| known.iter().any(|known| known.is_akin(word));
        // numbers that agree with their units say as much as words
        let agreed = claim.claimed().filter(|number| number.unit != Unit::None).count();
        let by_the_way = claim.numbers.iter().filter(|number| number.is_weak && number.unit.is_time());
        let by_the_way =
            by_the_way.filter(|number| known_numbers().any(|known| known.bears_out(**number))).count();
        let agreed = f32::from(u8::try_from(agreed).unwrap_or(u8::MAX))
            + 0.5 * f32::from(u8::try_from(by_the_way).unwrap_or(u8::MAX));
        let (mut total, mut covered) = (agreed, agreed);
        let mut is_new = false;
        for (at, word) in claim.words.iter().enumerate().filter(|(_, word)| !word.is_empty) {
            if is_known(word) {
                total += word.weight();
                covered += word.weight();
            } else if !is_asked(word) {
                let weight = word.weight_as_new(at == 0);
                total += weight;
                covered += if is_akin(word) { weight / 2.0 } else { 0.0 };
                is_new |= word.is_argument() && !is_akin(word);
            }
        }
        let needed = if is_new { COVERED_WITH_NEWS } else { COVERED };
        // a word whose opposite is denied is said as well
        if turns.is_relieved {
            covered = total.min(covered + 0.5);
        }
        if total > 0.0 && covered / total < needed {
            return Verdict::Unsupported(Doubt::Words);
        }
        if total == 0.0 && claim.numbers.is_empty() {
            return Verdict::Unsupported(Doubt::Words);
        }
        Verdict::Supported
    }
}

/// Divides a sentence that is too long to hold each of its words against those of another, at spaces where it has any.
fn bounded(text: &str, sentence: Span) -> Vec<Span> {
    let mut from = sentence.start;
    let mut spans = Vec::new();
    for (at, c) in sentence.of(text).char_indices() {
        let at = sentence.start + at;
        if at - from >= LONG && (c.is_whitespace() || at - from >= 2 * LONG) {
            spans.push(Span::new(from, at));
            from = at + if c.is_whitespace() { c.len_utf8() } else { 0 };
        }
    }
    if from < sentence.end || spans.is_empty() {
        spans.push(Span::new(from, sentence.end));
    }
    spans
}

/// Divides a sentence where a semicolon does.
fn clauses(text: &str, sentence: Span) -> Vec<Span> {
    let mut from = sentence.start;
    let mut spans = Vec::new();
    for piece in sentence.of(text).split_inclusive(';') {
        let end = from + piece.len();
        let begin = end - piece.trim_start().len();
        spans.push(Span::new(begin, end));
        from = end;
    }
    spans
}

/// Returns a text with its Hangul in syllables, however it is written: file names and texts of macOS have letters.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    let is_apart = |c| matches!(c, '\u{300}'..='\u{36F}' | '\u{1100}'..='\u{11FF}');
    if text.contains(is_apart) {
        Cow::Owned(Normalizer::nfc().normalize(text).into_string())
    } else {
        Cow::Borrowed(text)
    }
}

impl Read {
    fn new(number: u32, start: usize, place: &str, text: &str) -> Self {
        let spans: Vec<Span> = sentences(text)
            .into_iter()
            .flat_map(|span| clauses(text, span))
            .flat_map(|span| bounded(text, span))
            .collect();
        Self {
            number,
            start,
            plain: Plain::of(spans.iter().map(|span| span.of(text))),
            sentences: spans.into_iter().map(|span| Claim::new(span.of(text), span)).collect(),
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
/// A word that most of the passages have tells them apart less than one that few have, and counts less; one that stands in a title
/// or a heading says what all of the text is about, and counts more. A passage without the kind of number that is asked for
/// answers hardly, whatever its words.
pub(super) fn coverage<'a>(
    question: &str,
    passages: impl IntoIterator<Item = (String, &'a str)>,
) -> Vec<f32> {
    let question = &composed(question);
    let asked: Vec<Word> = words(question).into_iter().filter(|word| !word.is_empty).collect();
    let wanted = Wanted::of(question);
    // how much of each word a passage has, and how much of all that it could be asked for
    let held: Vec<(Vec<f32>, f32)> = passages
        .into_iter()
        .map(|(place, text)| {
            let (place, known) = (words(&place), words(text));
            let has = |words: &[Word], word: &Word| words.iter().any(|known| known.bears_out(word));
            let held = asked.iter().map(|word| match (has(&place, word), has(&known, word)) {
                (true, _) => IN_A_TITLE,
                (false, true) => 1.0,
                (false, false) => 0.0,
            });
            (held.collect(), if wanted.is_in(&composed(text)) { 1.0 } else { WITHOUT_THE_NUMBER })
        })
        .collect();
    let count =
        |at: usize| held.iter().filter(|(held, _)| held.get(at).is_some_and(|held| *held > 0.0)).count();
    let number = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    let weigh = |(at, word): (usize, &Word)| {
        word.weight() * (1.0 - COMMON * number(count(at)) / number(held.len().max(4)))
    };
    let weights: Vec<f32> = asked.iter().enumerate().map(weigh).collect();
    let share = |(held, answers): &(Vec<f32>, f32)| -> f32 {
        let covered: f32 = weights.iter().zip(held).map(|(weight, held)| weight * held).sum();
        let missing: f32 =
            weights.iter().zip(held).filter(|(_, held)| **held == 0.0).map(|(weight, _)| weight).sum();
        if covered > 0.0 { answers * covered / (covered + missing) } else { 0.0 }
    };
    held.iter().map(share).collect()
}

/// Scores how much a sentence has of what a question asks for.
pub(super) fn speaks_of(question: &[Word], sentence: &[Word]) -> f32 {
    let asked = question.iter().filter(|word| !word.is_empty);
    asked.filter(|word| sentence.iter().any(|known| known.is(word))).map(Word::weight).sum()
}
