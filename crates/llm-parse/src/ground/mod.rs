//! Where a quote stands in its source, and whether it says what it is quoted for.
//!
//! A model that is asked to quote copies almost: another kind of quotation mark, a space less, a letter wrong. An
//! [`Aligner`] finds such a quote and returns its exact bytes in the source. It refuses what only looks like a quote: a
//! changed number, name or negation is another statement, however few letters it takes.
//!
//! That a quote [exists](Aligner::locate) is one question; whether it [supports](support) the value it is given for is
//! another. Whether a quote came from the source or from an example of the prompt is told by [`Aligner::origin`]. Claims over
//! many sources are held against the one that each names by [`Records`].
//!
//! What is a slip, and what is not:
//!
//! | difference | verdict |
//! |---|---|
//! | Unicode form, width, case, white space, line breaks, punctuation | none: [`Fit::Normalized`] |
//! | a Korean particle more or less, or another of a like role (은 for 이 or 을); an English article less; a compound written apart | [`Fit::Fuzzy`] |
//! | one letter of an English word added, lost, changed or swapped, giving no other word of the source or of everyday language | [`Fit::Fuzzy`] |
//! | a Korean syllable spelled as it sounds, one that no word has, or one letter of it in an ending or a long word | [`Fit::Fuzzy`] |
//! | a digit, sign, decimal point, unit or number word; a part of a number cut off | [`Miss::Number`] |
//! | `not`, `never`, `-n't`, `without`, 안, 못, 않, 없, 아니, an `un-` or 불- cut off, what an ellipsis leaves out; `hypo-` for `hyper-`, `ex-` for `in-` | [`Miss::Negation`] |
//! | a letter of a name: a capitalised word, a word before 씨 or 님, a surname and two syllables; a syllable of a short Korean noun | [`Miss::Name`] |
//! | a word added, lost or replaced; Korean particles that change places, or one of another role (까지 for 부터, 를 for 가) | [`Miss::Wording`] |
//!
//! ```
//! use pumasi_llm_parse::ground::{Aligner, Fit, Miss};
//!
//! let source = "작년 봄부터 매일 아침 10km를 달렸습니다.\nI “never” skipped a run in the rain.";
//! let aligner = Aligner::new(source);
//! let found = aligner.locate("매일 아침 10km 달렷습니다").ok_or("not in the source")?;
//! assert_eq!(found.span.of(source), "매일 아침 10km를 달렸습니다");
//! assert!(matches!(found.fit, Fit::Fuzzy { .. }));
//! assert_eq!(aligner.lookup("매일 아침 100km를 달렸습니다").miss, Some(Miss::Number));
//! assert_eq!(aligner.locate("I \"never\" skipped a run").map(|found| found.fit), Some(Fit::Normalized));
//! # Ok::<(), &str>(())
//! ```

mod claim;
#[cfg(feature = "extract")]
mod contradiction;
mod cut;
mod edit;
mod index;
mod judge;
mod lexicon;
mod records;
mod skeleton;
mod support;
pub(crate) mod time;
mod verify;

use std::fmt;
use std::ops::Range;

use memchr::memmem;
use pumasi_core::text::{CharOffsets, Span as Bytes};
use serde::Serialize;

#[cfg(feature = "extract")]
pub(crate) use contradiction::{Known, bears_out, denies, length_support, names_number, names_time, opposes};
pub use records::{Claim, Proof, Record, Records, Unproven};
#[cfg(feature = "extract")]
pub(crate) use support::date_support;
pub use support::{Doubt, Support, support};

use crate::Span;
use edit::{Alignment, Ends, Step, align};
use index::Seeds;
use skeleton::Skeleton;
use verify::Vocabulary;

/// The most equally good places that are returned.
const MOST_PLACES: usize = 16;

/// The shortest quote in which slips are looked for, in letters and digits.
const SHORTEST_FUZZY: usize = 5;

/// The longest one.
const LONGEST_FUZZY: usize = 20_000;

/// The most edits in one quote.
const MOST_EDITS: usize = 32;

/// The most places that are compared in full with one quote.
const MOST_COMPARED: usize = 24;

/// The most cells of tables that comparing one quote fills, but for its two likeliest places.
const MOST_CELLS: usize = 1 << 21;

/// The most bytes between two parts of a quote with an ellipsis.
const LONGEST_ELLIPSIS: usize = 4_096;

/// How a quote differs from the place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fit {
    /// Not at all.
    Exact,
    /// In Unicode form, width, case, white space or punctuation only.
    Normalized,
    /// By slips or particles; numbers, names and negations agree.
    Fuzzy {
        /// Letters and digits that differ.
        edits: u32,
    },
}

/// Why a quote has no place in the source, as its nearest place tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Miss {
    /// The quote has no letter or digit.
    Empty,
    /// Nothing like it stands there.
    NotFound,
    /// A number or its unit differs.
    Number,
    /// A name, or a short noun that may be one, differs.
    Name,
    /// One of the two negates.
    Negation,
    /// Words were added, left out or replaced.
    Wording,
}

/// A quote's place in the source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Grounded {
    /// The place in bytes of the source, on character boundaries.
    pub span: Span,
    /// The place in characters (`char`) of the source.
    pub chars: Range<usize>,
    /// How the quote differs from it.
    pub fit: Fit,
    /// How close it is, from 0 to 1; 1 is exact.
    pub score: f32,
    /// The places of the parts, where the quote has an ellipsis (`a … b`); otherwise the one place.
    pub parts: Vec<Span>,
    /// Whether another place fits equally well; see [`Lookup::found`].
    pub ambiguous: bool,
}

/// All that is known of a quote.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lookup {
    /// The places that fit best, all equally, in the order of the source; at most 16.
    pub found: Vec<Grounded>,
    /// Why there is none.
    pub miss: Option<Miss>,
}

/// Where the words of a quote come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// From the source.
    Source(Grounded),
    /// From the example of this index, and not from the source: it leaked through the model into the answer.
    Example(usize),
    /// From neither.
    Nowhere(Miss),
}

/// Finds quotes in one source, whose index is built once.
///
/// Building takes time and memory linear in the source. Looking a quote up is linear in the source at worst (two searches
/// for it as it is, at the speed of `memchr`) and, where that fails, bounded by the quote's length: seeds are looked up,
/// and the few likeliest places compared in full.
pub struct Aligner<'a> {
    source: &'a str,
    skeleton: Skeleton,
    seeds: Seeds,
    known: Vocabulary,
    chars: CharOffsets<'a>,
}

impl fmt::Debug for Aligner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aligner").field("source_len", &self.source.len()).finish_non_exhaustive()
    }
}

/// A place as it is found, in bytes.
#[derive(Clone, Debug)]
struct Place {
    bytes: Bytes,
    fit: Fit,
    score: f32,
    parts: Vec<Bytes>,
}

impl<'a> Aligner<'a> {
    /// Indexes `source`.
    pub fn new(source: &'a str) -> Self {
        let skeleton = Skeleton::new(source);
        let seeds = Seeds::new(&skeleton.chars);
        let known = Vocabulary::new(&skeleton);
        Self { source, skeleton, seeds, known, chars: CharOffsets::new(source) }
    }

    /// Returns the source.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// Finds the place of `quote`: the first of the best ones.
    ///
    /// What stands in the source letter by letter is found there with [`Fit::Exact`], but for a piece that
    /// - begins or ends inside a number: `0 km` is not a quote of `10 km`, `$10` none of `$10k`, `다섯 명` none of `스물다섯 명`;
    /// - begins or ends inside a word: `Anna` of `Annabelle`, `김민` of `김민수`, `war` of `anti-war`. A Korean particle or ending
    ///   may be left out, and one noun of a compound;
    /// - leaves out what negates it or takes it back: `able` of `unable`, `합격` of `불합격` or `합격 취소`, `합격하지` of
    ///   `합격하지 못했다`, `finish` of `not finish` or `failed to finish`, `passed` of `Nobody passed`, `Tom may leave` of
    ///   `except Tom may leave`, `the drug works` of `no evidence that the drug works`, `물을 마시면` of `물을 마시면 안 됩니다`.
    ///
    /// Looked at are the eight words before the quote and the four behind it, as far as no punctuation or line break parts
    /// them from it, and these are compared with lists of words: negations and words of leaving out, of failing, stopping and
    /// denying, and the subject of an English clause. A condition (`if it rains`), a wish, hearsay, irony, and what is denied
    /// in another sentence or behind a comma are not told.
    pub fn locate(&self, quote: &str) -> Option<Grounded> {
        self.lookup(quote).found.into_iter().next()
    }

    /// Finds the place of `quote` that lies nearest to byte `hint` of the source, among the best ones.
    pub fn locate_near(&self, quote: &str, hint: usize) -> Option<Grounded> {
        self.lookup(quote).found.into_iter().min_by_key(|found| found.span.start.abs_diff(hint))
    }

    /// Finds all best places of `quote`, or tells why there is none.
    pub fn lookup(&self, quote: &str) -> Lookup {
        match self.search(quote) {
            Ok(places) => {
                let ambiguous = places.len() > 1;
                Lookup {
                    found: places.into_iter().map(|place| self.grounded(place, ambiguous)).collect(),
                    miss: None,
                }
            }
            Err(miss) => Lookup { found: Vec::new(), miss: Some(miss) },
        }
    }

    /// Tells whether `quote` comes from the source, or else from one of the `examples` of the prompt.
    ///
    /// ```
    /// use pumasi_llm_parse::ground::{Aligner, Origin};
    ///
    /// let examples = [Aligner::new("I run 5 km every morning before work.")];
    /// let source = Aligner::new("매일 저녁 30분씩 걷습니다.");
    /// assert_eq!(source.origin("run 5 km every morning", &examples), Origin::Example(0));
    /// ```
    pub fn origin(&self, quote: &str, examples: &[Aligner<'_>]) -> Origin {
        let lookup = self.lookup(quote);
        if let Some(found) = lookup.found.into_iter().next() {
            return Origin::Source(found);
        }
        match examples.iter().position(|example| example.search(quote).is_ok()) {
            Some(index) => Origin::Example(index),
            None => Origin::Nowhere(lookup.miss.unwrap_or(Miss::NotFound)),
        }
    }

    fn grounded(&self, place: Place, ambiguous: bool) -> Grounded {
        let public = |bytes: Bytes| Span::new(bytes.start, bytes.end);
        Grounded {
            span: public(place.bytes),
            chars: self.chars.to_chars(place.bytes),
            fit: place.fit,
            score: place.score,
            parts: place.parts.into_iter().map(public).collect(),
            ambiguous,
        }
    }

    fn search(&self, quote: &str) -> Result<Vec<Place>, Miss> {
        let bare = Skeleton::new(quote);
        if bare.len() == 0 {
            return Err(Miss::Empty);
        }
        let mut miss = Miss::NotFound;
        for text in [quote, quote.trim()] {
            match self.exact(text, &bare) {
                Ok(places) if places.is_empty() => {}
                Ok(places) => return Ok(places),
                Err(reason) => miss = reason,
            }
        }
        match self.normalized(quote, &bare) {
            Ok(places) if places.is_empty() => {}
            Ok(places) => return Ok(places),
            Err(reason) => miss = reason,
        }
        match self.elided(quote) {
            Ok(Some(place)) => return Ok(vec![place]),
            Ok(None) => {}
            Err(reason) => miss = reason,
        }
        match self.fuzzy(quote, &bare) {
            // a cut number or negation says more than that nothing else was found
            Err(Miss::NotFound | Miss::Wording) if miss != Miss::NotFound => Err(miss),
            other => other,
        }
    }

    /// Finds the quote as it is.
    fn exact(&self, quote: &str, bare: &Skeleton) -> Result<Vec<Place>, Miss> {
        let mut places = Vec::new();
        let mut miss = None;
        for start in memmem::find_iter(self.source.as_bytes(), quote.as_bytes()).take(4 * MOST_PLACES) {
            let bytes = Bytes::new(start, start + quote.len());
            let from = self.skeleton.bytes.partition_point(|piece| piece.end <= bytes.start);
            let to = self.skeleton.bytes.partition_point(|piece| piece.start < bytes.end);
            if from < to {
                let found = Alignment { start: from, end: to, edits: 0, steps: Vec::new() };
                if let Err(reason) = cut::cut_words(self.source, &self.skeleton, bare, &found) {
                    miss = Some(reason);
                    continue;
                }
            }
            places.push(Place { bytes, fit: Fit::Exact, score: 1.0, parts: vec![bytes] });
            if places.len() == MOST_PLACES {
                break;
            }
        }
        match miss {
            Some(miss) if places.is_empty() => Err(miss),
            _ => Ok(places),
        }
    }

    /// Finds the quote but for what the skeleton leaves out.
    fn normalized(&self, quote: &str, bare: &Skeleton) -> Result<Vec<Place>, Miss> {
        let mut places = Vec::new();
        let mut miss = None;
        for offset in
            memmem::find_iter(self.skeleton.text.as_bytes(), bare.text.as_bytes()).take(4 * MOST_PLACES)
        {
            let start = self.skeleton.char_at(offset);
            let found = Alignment { start, end: start + bare.len(), edits: 0, steps: Vec::new() };
            if let Err(reason) = cut::cut_words(self.source, &self.skeleton, bare, &found) {
                miss = Some(reason);
                continue;
            }
            let bytes = self.with_punctuation(quote, bare, &found);
            places.push(Place { bytes, fit: Fit::Normalized, score: 0.99, parts: vec![bytes] });
            if places.len() == MOST_PLACES {
                break;
            }
        }
        match miss {
            Some(miss) if places.is_empty() => Err(miss),
            _ => Ok(places),
        }
    }

    /// Finds the parts of a quote with an ellipsis, one after the other; what the ellipsis leaves out must not negate them.
    fn elided(&self, quote: &str) -> Result<Option<Place>, Miss> {
        if !quote.contains('…') && !quote.contains("...") {
            return Ok(None);
        }
        let parts: Vec<&str> = quote
            .split('…')
            .flat_map(|part| part.split("..."))
            .map(|part| {
                part.trim_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '[' | ']' | '(' | ')'))
            })
            .filter(|part| !part.is_empty())
            .collect();
        if parts.len() > 8 || (parts.len() < 2 && parts.first() == Some(&quote)) {
            return Ok(None);
        }
        let mut spans: Vec<Bytes> = Vec::new();
        let mut fit = Fit::Normalized;
        let mut score: f32 = 0.99;
        for part in parts {
            let bare = Skeleton::new(part);
            let after = spans.last().map_or(0, |span| span.end);
            let mut cut = None;
            let mut places = Vec::new();
            let ways: [&dyn Fn() -> Result<Vec<Place>, Miss>; 3] =
                [&|| self.exact(part, &bare), &|| self.normalized(part, &bare), &|| self.fuzzy(part, &bare)];
            for way in ways {
                match way() {
                    Ok(found) => places = found,
                    Err(reason) => cut = cut.or(Some(reason)),
                }
                if !places.is_empty() {
                    break;
                }
            }
            if places.is_empty() {
                // a cut number or negation says more than that nothing was found
                return cut
                    .filter(|reason| matches!(reason, Miss::Number | Miss::Negation))
                    .map_or(Ok(None), Err);
            }
            let place = places.into_iter().find(|place| {
                place.bytes.start >= after
                    && (spans.is_empty() || place.bytes.start - after <= LONGEST_ELLIPSIS)
            });
            let Some(place) = place else { return Ok(None) };
            if !spans.is_empty()
                && self.source.get(after..place.bytes.start).is_some_and(cut::elides_negation)
            {
                return Err(Miss::Negation);
            }
            fit = fit.max(place.fit);
            score = score.min(place.score);
            spans.push(place.bytes);
        }
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(None) };
        Ok(Some(Place { bytes: first.cover(*last), fit, score, parts: spans }))
    }

    /// Finds the quote but for slips.
    fn fuzzy(&self, quote: &str, bare: &Skeleton) -> Result<Vec<Place>, Miss> {
        let length = bare.len();
        if !(SHORTEST_FUZZY..=LONGEST_FUZZY).contains(&length) {
            return Err(Miss::NotFound);
        }
        let most = (length / 6 + 1).min(MOST_EDITS);
        if length > self.skeleton.len() + most {
            return Err(Miss::NotFound);
        }
        let slack = most + 2;
        // a long quote shares so many seeds with its place that few are worth a look
        let places = (MOST_CELLS / (length * (2 * slack + 1))).clamp(2, MOST_COMPARED);
        let mut best: Vec<Alignment> = Vec::new();
        let mut nearest = (usize::MAX, Miss::NotFound);
        for diagonal in self.seeds.diagonals(&bare.chars, slack, places) {
            let Some(found) = align(&bare.chars, &self.skeleton.chars, diagonal, slack, most, Ends::Free)
            else {
                continue;
            };
            let snapped = self.snap(bare, &found, slack, most);
            let fits = snapped.is_some();
            let found = snapped.unwrap_or(found);
            let edits = found.edits;
            match verify::verify(self.source, &self.skeleton, bare, &self.known, &found) {
                Ok(()) if !fits => {}
                Ok(()) => {
                    let least = best.first().map_or(usize::MAX, |best| best.edits);
                    if edits < least {
                        best.clear();
                    }
                    if edits <= least
                        && best.len() < MOST_PLACES
                        && best.iter().all(|other| other.start != found.start)
                    {
                        best.push(found);
                    }
                }
                Err(miss) if edits < nearest.0 => nearest = (edits, miss),
                Err(_) => {}
            }
        }
        // a place that differs in a number but is nearer than the best one is what was quoted, wrongly
        if best.first().is_none_or(|best| nearest.0 < best.edits) {
            return Err(nearest.1);
        }
        best.sort_by_key(|found| found.start);
        Ok(best
            .into_iter()
            .map(|found| {
                let bytes = self.with_punctuation(quote, bare, &found);
                let score = 1.0 - ratio(found.edits.max(1), length);
                let edits = u32::try_from(found.edits).unwrap_or(u32::MAX);
                Place { bytes, fit: Fit::Fuzzy { edits }, score, parts: vec![bytes] }
            })
            .collect())
    }

    /// Moves the ends of a place to the ends of its words where the quote's own first or last letter is the wrong one.
    fn snap(&self, bare: &Skeleton, found: &Alignment, slack: usize, most: usize) -> Option<Alignment> {
        let (mut start, mut end) = (found.start, found.end);
        if found.steps.first().is_some_and(|step| *step != Step::Match)
            && let Some(word) = self.skeleton.word_of(start)
        {
            start = word.start;
        }
        if found.steps.last().is_some_and(|step| *step != Step::Match)
            && let Some(word) = end.checked_sub(1).and_then(|last| self.skeleton.word_of(last))
        {
            end = word.end;
        }
        if (start, end) == (found.start, found.end) {
            return Some(found.clone());
        }
        let text = self.skeleton.chars.get(start..end)?;
        let fixed = align(&bare.chars, text, 0, slack + most, most, Ends::Fixed)?;
        Some(Alignment { start, end, edits: fixed.edits, steps: fixed.steps })
    }

    /// Returns the bytes of a place, with the punctuation around it that the quote has too.
    fn with_punctuation(&self, quote: &str, bare: &Skeleton, found: &Alignment) -> Bytes {
        let mut bytes = self.skeleton.source(found.start, found.end);
        let inner = bare.source(0, bare.len());
        let tail = quote.get(inner.end..).unwrap_or_default().trim_end();
        for wanted in tail.chars() {
            match self.source.get(bytes.end..).and_then(|rest| rest.chars().next()) {
                Some(next) if like(next) == like(wanted) => bytes.end += next.len_utf8(),
                _ => break,
            }
        }
        let head = quote.get(..inner.start).unwrap_or_default().trim_start();
        for wanted in head.chars().rev() {
            match self.source.get(..bytes.start).and_then(|rest| rest.chars().next_back()) {
                Some(next) if like(next) == like(wanted) => bytes.start -= next.len_utf8(),
                _ => break,
            }
        }
        bytes
    }
}

/// Brings punctuation that people and models use for each other to one form.
fn like(c: char) -> char {
    match c {
        '“' | '”' | '„' | '«' | '»' | '「' | '」' | '『' | '』' | '＂' | '‘' | '’' | '\'' | '`' => {
            '"'
        }
        '–' | '—' | '−' | '－' | '〜' | '~' => '-',
        '，' | '、' => ',',
        '．' | '。' => '.',
        '！' => '!',
        '？' => '?',
        '（' => '(',
        '）' => ')',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a score needs no such precision")]
fn ratio(part: usize, whole: usize) -> f32 {
    (part as f32 / whole.max(1) as f32).clamp(0.01, 1.0)
}

#[cfg(test)]
mod prose;
#[cfg(test)]
mod tests;
