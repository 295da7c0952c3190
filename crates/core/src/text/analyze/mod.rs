//! The one analyzer: the terms that stand for a Korean or English text in every engine.

mod korean;
mod morphology;
mod runs;
mod stop;
mod token;

use std::fmt;
use std::sync::Arc;

use rust_stemmers::{Algorithm, Stemmer};

pub use morphology::{Morpheme, Morphology, Particles, Role};
pub use token::{Token, TokenKind, TokenRef};

use super::{Normalized, Span, normalize};
use runs::{Run, Script};

/// The longest word that is stemmed, in bytes; longer ones are no words.
const LONGEST_STEMMED: usize = 64;

/// The longest term, in bytes; longer ones are cut, so that no term outgrows what engines hold.
const LONGEST_TERM: usize = 255;

/// The longest unit that makes a compound with its number, in bytes.
const LONGEST_UNIT: usize = 24;

/// Turns a text into terms, the same for documents and queries, memory and every foreign engine.
///
/// - **Korean**: each word is stripped of its particles and endings, and both the stem and the bigrams of the word are
///   terms. The stem finds other forms of the word, the bigrams find parts of compounds and names that no list knows;
///   nothing is dropped by part of speech. Of what may be a noun of one syllable with a particle (`책을`) the noun is one too.
///   A stem of two syllables is its own bigram, and so a term twice: as a word of
///   its own it weighs more than as a part of another (KorQuAD, nDCG@10: .956 so, .946 with the one term). With a
///   [dictionary](Self::with_morphology) each morpheme that carries meaning is a term too, in its dictionary form.
/// - **English**: lower case, the Snowball English stemmer (Porter2). Function words are terms of [`TokenKind::Stop`]:
///   indexes and queries leave them out unless there is nothing else. In capitals (`IT`, `AS`) they are words.
/// - **Numbers**: without thousands separators; with a unit written onto them (`10km`, `5만원`) also as one compound.
/// - **Hanja, Kana**: bigrams, as Lucene's `CJKBigramFilter` makes them. Other scripts: whole words.
///
/// Terms come in order of position. Takes time linear in the text.
///
/// ```
/// use pumasi_core::text::Analyzer;
///
/// let analyzer = Analyzer::default();
/// let terms: Vec<_> = analyzer.tokens("Kafka는 에어팟으로 10km를").into_iter().map(|token| token.text).collect();
/// assert_eq!(terms, ["kafka", "에어팟", "에어", "어팟", "10", "10km", "km"]);
/// ```
#[derive(Clone)]
pub struct Analyzer {
    morphology: Option<Arc<dyn Morphology>>,
    english: Arc<Stemmer>,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self { morphology: None, english: Arc::new(Stemmer::create(Algorithm::English)) }
    }
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer").field("morphology", &self.morphology).finish_non_exhaustive()
    }
}

impl Analyzer {
    /// Takes Korean words apart with `morphology` too, a [`Dictionary`](super::Dictionary) say: what carries meaning becomes a term
    /// beside the word's stem and bigrams. Documents and queries must be analyzed alike.
    ///
    /// A morpheme that is the stem is a term once more, as it is of those that a word is mostly made of (KorQuAD, nDCG@10: .959 so,
    /// .957 with the one term, .956 without a dictionary, .952 of bigrams alone; chosen on half of its articles).
    #[must_use]
    pub fn with_morphology(mut self, morphology: impl Morphology + 'static) -> Self {
        self.morphology = Some(Arc::new(morphology));
        self
    }

    /// Returns the terms of `text`, with their spans in it.
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(text.len() / 4);
        self.for_each(text, |token| tokens.push(token.to_owned()));
        tokens
    }

    /// Hands each term of `text` to `visit`, without making a string of it.
    pub fn for_each(&self, text: &str, mut visit: impl FnMut(TokenRef<'_>)) {
        let normal = normalize(text);
        let mut out = Output { normal: &normal, position: 0, visit: &mut visit };
        let mut pieces = Vec::new();
        let mut runs = runs::runs(normal.as_str()).peekable();
        let mut before = Script::Symbol;
        while let Some(run) = runs.next() {
            let next = runs.peek().filter(|next| next.joined);
            let after_number = std::mem::replace(&mut before, run.script) == Script::Number && run.joined;
            match run.script {
                Script::Hangul => self.hangul(&run, after_number, &mut pieces, &mut out),
                Script::Ideographic => out.bigrams(run.text, run.start),
                Script::Number => out.number(&run, next),
                Script::Word => self.word(&run, next, text, &mut out),
                Script::Symbol => out.next(run.text, run.span(), TokenKind::Symbol),
            }
        }
    }

    fn word(&self, run: &Run<'_>, next: Option<&Run<'_>>, source: &str, out: &mut Output<'_, '_>) {
        let text = run.text;
        if let Some(number) = next.filter(|next| next.script == Script::Number) {
            let whole = Span::new(run.start, number.span().end);
            out.emit(whole.of(out.normal.as_str()), whole, TokenKind::Compound);
        }
        if stop::is_stop(text) && !is_acronym(out.normal.source_span(run.span()).of(source)) {
            out.next(text, run.span(), TokenKind::Stop);
        } else if text.is_ascii() && text.len() <= LONGEST_STEMMED {
            let text = text.strip_suffix("'s").unwrap_or(text);
            out.next(&self.english.stem(text), run.span(), TokenKind::Word);
        } else {
            out.next(text, run.span(), TokenKind::Word);
        }
    }

    fn hangul<'a>(
        &self,
        run: &Run<'a>,
        after_number: bool,
        pieces: &mut Vec<Morpheme<'a>>,
        out: &mut Output<'_, '_>,
    ) {
        // a particle written onto a number or a foreign word: "Kafka는", "10km를"
        if run.joined && korean::is_particle(run.text, after_number) {
            return;
        }
        pieces.clear();
        if let Some(morphology) = &self.morphology {
            morphology.split(run.text, pieces);
            pieces.retain(|piece| piece.role == Role::Content && !piece.form.is_empty());
        } else if let Some(noun) = korean::noun(run.text).filter(|_| !after_number) {
            pieces.push(Morpheme { range: 0..noun.len(), form: noun.into(), role: Role::Content });
        }
        out.korean(korean::stem(run.text), run.start, pieces);
    }
}

/// Tells whether a word that reads like a function word is a name in capitals: IT, AS, BE.
fn is_acronym(source: &str) -> bool {
    (2..=3).contains(&source.chars().count()) && source.chars().all(char::is_uppercase)
}

/// Where the terms of one text go.
struct Output<'a, 'v> {
    normal: &'a Normalized,
    position: u32,
    visit: &'v mut dyn FnMut(TokenRef<'_>),
}

impl Output<'_, '_> {
    /// Hands out a term at the current position.
    fn emit(&mut self, text: &str, span: Span, kind: TokenKind) {
        let mut end = text.len().min(LONGEST_TERM);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        let span = self.normal.source_span(span);
        (self.visit)(TokenRef { text, span, kind, position: self.position });
    }

    /// Hands out the last term at the current position.
    fn next(&mut self, text: &str, span: Span, kind: TokenKind) {
        self.emit(text, span, kind);
        self.position = self.position.saturating_add(1);
    }

    fn number(&mut self, run: &Run<'_>, unit: Option<&Run<'_>>) {
        let digits: String = run.text.chars().filter(|c| *c != ',').collect();
        self.emit(&digits, run.span(), TokenKind::Number);
        let unit = unit.and_then(|unit| match unit.script {
            Script::Word => Some((unit.text, unit.span())),
            Script::Hangul => {
                let unit_text = korean::unit(unit.text);
                (!unit_text.is_empty())
                    .then(|| (unit_text, Span::new(unit.start, unit.start + unit_text.len())))
            }
            _ => None,
        });
        if let Some((unit, span)) = unit.filter(|(unit, _)| unit.len() <= LONGEST_UNIT) {
            let compound = [digits.as_str(), unit].concat();
            self.emit(&compound, run.span().cover(span), TokenKind::Compound);
        }
        self.position = self.position.saturating_add(1);
    }

    /// Hands out a Korean word without its endings, the morphemes in it, and its bigrams.
    fn korean(&mut self, word: &str, start: usize, pieces: &[Morpheme<'_>]) {
        let mut pieces = pieces.iter().peekable();
        let mut morphemes = |out: &mut Self, end: usize| {
            while let Some(piece) = pieces.next_if(|piece| piece.range.start < end) {
                out.emit(
                    &piece.form,
                    Span::new(start + piece.range.start, start + piece.range.end),
                    TokenKind::Stem,
                );
            }
        };
        let span = Span::new(start, start + word.len());
        let mut chars = word.char_indices().map(|(at, c)| (at, at + c.len_utf8())).peekable();
        let first = chars.next();
        if chars.peek().is_none() {
            morphemes(self, usize::MAX);
            self.next(word, span, TokenKind::Stem);
            return;
        }
        self.emit(word, span, TokenKind::Stem);
        let mut from = first.map_or(0, |(at, _)| at);
        while let Some((at, end)) = chars.next() {
            // a morpheme stands where the bigram does that it begins with, one of the last syllable where the last bigram does
            morphemes(self, if chars.peek().is_some() { at } else { usize::MAX });
            let pair = word.get(from..end).unwrap_or_default();
            self.next(pair, Span::new(start + from, start + end), TokenKind::Bigram);
            from = at;
        }
    }

    fn bigrams(&mut self, text: &str, start: usize) {
        let mut before: Option<usize> = None;
        let mut any = false;
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            if let Some(from) = before {
                any = true;
                let pair = text.get(from..end).unwrap_or_default();
                self.next(pair, Span::new(start + from, start + end), TokenKind::Bigram);
            }
            before = Some(at);
        }
        if !any {
            self.next(text, Span::new(start, start + text.len()), TokenKind::Bigram);
        }
    }
}

#[cfg(test)]
mod tests;
