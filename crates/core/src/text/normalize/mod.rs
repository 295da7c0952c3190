//! Normal forms of a text that remember where each piece came from.

mod width;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::Span;

/// Normalises `text` for comparing: NFC, usual width, folded case, nothing invisible.
///
/// Short for `Normalizer::default().normalize(text)`.
///
/// ```
/// use pumasi_core::text::{Span, normalize};
///
/// let source = "Ｋａｆｋａ는 \u{1112}\u{1161}\u{11AB}글";
/// let normal = normalize(source);
/// assert_eq!(normal.as_str(), "kafka는 한글");
/// let at = normal.as_str().find("한").unwrap_or_default();
/// assert_eq!(normal.source_span(Span::new(at, at + 3)).of(source), "\u{1112}\u{1161}\u{11AB}");
/// ```
pub fn normalize(text: &str) -> Normalized {
    Normalizer::default().normalize(text)
}

/// Chooses what [`normalize`] does; all of it by default.
///
/// NFC (Unicode Standard Annex 15) is always made: Hangul written as letters (NFD, as macOS file names carry it) becomes
/// syllables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Normalizer {
    width: bool,
    case: bool,
    invisible: bool,
}

impl Default for Normalizer {
    fn default() -> Self {
        Self { width: true, case: true, invisible: true }
    }
}

impl Normalizer {
    /// Makes a normaliser that makes NFC and nothing else.
    pub const fn nfc() -> Self {
        Self { width: false, case: false, invisible: false }
    }

    /// Turns full-width and half-width forms into those of usual width (`Ａ` to `A`, `ｶﾞ` to `ガ`, U+3000 to a space).
    #[must_use]
    pub const fn with_width(mut self) -> Self {
        self.width = true;
        self
    }

    /// Folds case as CaseFolding.txt's full folding does (`ß` to `ss`), Cherokee and dotless `ı` apart.
    #[must_use]
    pub const fn with_case(mut self) -> Self {
        self.case = true;
        self
    }

    /// Removes what cannot be seen: zero-width spaces and joiners, soft hyphens, marks of direction, variation
    /// selectors, tags and the byte order mark.
    #[must_use]
    pub const fn without_invisible(mut self) -> Self {
        self.invisible = true;
        self
    }

    /// Normalises `text`; linear in its length.
    pub fn normalize(self, text: &str) -> Normalized {
        let mut out =
            Builder { text: String::with_capacity(text.len()), segments: Vec::new(), source_len: text.len() };
        let mut cluster = Cluster::default();
        for (offset, raw) in text.char_indices() {
            if self.invisible && is_invisible(raw) {
                continue;
            }
            let span = Span::new(offset, offset + raw.len_utf8());
            let c = if self.width { width::usual(raw) } else { raw };
            if starts_cluster(c) {
                cluster.flush(self, &mut out);
            }
            cluster.push(c, span);
        }
        cluster.flush(self, &mut out);
        out.finish()
    }
}

/// One or more characters that normalise together; most often one.
#[derive(Default)]
struct Cluster {
    chars: Vec<char>,
    span: Span,
}

impl Cluster {
    fn push(&mut self, c: char, span: Span) {
        self.span = if self.chars.is_empty() { span } else { self.span.cover(span) };
        self.chars.push(c);
    }

    fn flush(&mut self, rules: Normalizer, out: &mut Builder) {
        match *self.chars.as_slice() {
            [] => return,
            [c] if c.is_ascii() => {
                out.one(if rules.case { c.to_ascii_lowercase() } else { c }, self.span);
            }
            [c] if is_plain(c) => out.one(c, self.span),
            _ => {
                let decomposed = self.chars.iter().copied().nfd();
                let start = out.text.len();
                if rules.case {
                    let folded: String = decomposed.flat_map(fold).collect();
                    out.text.extend(folded.nfc());
                } else {
                    out.text.extend(decomposed.nfc());
                }
                out.segment(start, self.span);
            }
        }
        self.chars.clear();
    }
}

/// Tells whether no character before `c` can change with it, so that normalising may start anew at `c`.
fn starts_cluster(c: char) -> bool {
    if c.is_ascii() || is_plain(c) {
        return true;
    }
    let mut first = None;
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(c);
    canonical_combining_class(first) == 0
        && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
        // a syllable's vowel and final letters join what precedes them
        && !('\u{1160}'..='\u{11FF}').contains(&first)
}

/// Tells whether `c` is a character of Korean, Chinese or Japanese text that no rule here changes.
fn is_plain(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}' | '\u{4E00}'..='\u{9FFF}' | '\u{3130}'..='\u{318F}' | '\u{2010}'..='\u{2027}')
}

/// Folds the case of one character: lower, upper, lower again reaches every full folding but those excepted.
fn fold(c: char) -> impl Iterator<Item = char> {
    let kept = c == 'ı' || ('\u{13A0}'..='\u{13FF}').contains(&c) || ('\u{AB70}'..='\u{ABBF}').contains(&c);
    let changed = (!kept).then(|| c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
    kept.then_some(c).into_iter().chain(changed.into_iter().flatten())
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E01EF}'
    )
}

/// A stretch of normalised text and where it came from.
#[derive(Clone, Copy, Debug)]
struct Segment {
    normal: usize,
    source: Span,
    /// Whether each byte came from the byte at the same distance; otherwise the stretch is one piece.
    linear: bool,
}

struct Builder {
    text: String,
    segments: Vec<Segment>,
    source_len: usize,
}

impl Builder {
    fn one(&mut self, c: char, span: Span) {
        let start = self.text.len();
        self.text.push(c);
        if c.len_utf8() == span.len() {
            if let Some(last) = self.segments.last_mut()
                && last.linear
                && last.source.end == span.start
            {
                last.source.end = span.end;
                return;
            }
            self.segments.push(Segment { normal: start, source: span, linear: true });
        } else {
            self.segments.push(Segment { normal: start, source: span, linear: false });
        }
    }

    fn segment(&mut self, normal: usize, source: Span) {
        if self.text.len() > normal {
            self.segments.push(Segment { normal, source, linear: false });
        }
    }

    fn finish(self) -> Normalized {
        Normalized { text: self.text, segments: self.segments, source_len: self.source_len }
    }
}

/// A normalised text and, for each of its positions, the bytes of the source it stands for.
#[derive(Clone)]
pub struct Normalized {
    text: String,
    segments: Vec<Segment>,
    source_len: usize,
}

impl std::fmt::Debug for Normalized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Normalized")
            .field("len", &self.text.len())
            .field("source_len", &self.source_len)
            .finish_non_exhaustive()
    }
}

impl Normalized {
    /// Returns the normalised text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes the normalised text out.
    pub fn into_string(self) -> String {
        self.text
    }

    /// Returns the bytes of the source that the bytes `span` of the normalised text stand for.
    ///
    /// The result lies on character boundaries of the source. Characters that were made from several (NFD Hangul, a
    /// letter with its accents) are never cut: a span that touches them covers them. Invisible characters that were
    /// removed are covered only between two that were kept. An empty span maps to an empty one.
    pub fn source_span(&self, span: Span) -> Span {
        let start = self.at(span.start).map_or(self.source_len, |(segment, offset)| {
            segment.source.start + if segment.linear { self.floor(offset, segment.normal) } else { 0 }
        });
        if span.is_empty() {
            return Span::new(start, start);
        }
        let last = span.end.min(self.text.len()).saturating_sub(1);
        let end = self.at(last).map_or(self.source_len, |(segment, offset)| {
            if segment.linear {
                segment.source.start + self.ceil(offset, segment.normal)
            } else {
                segment.source.end
            }
        });
        Span::new(start, end)
    }

    /// Returns the bytes of the normalised text that stand for the bytes `span` of the source, whole pieces only grown.
    pub fn normal_span(&self, span: Span) -> Span {
        let from = self.segments.partition_point(|segment| segment.source.end <= span.start);
        let Some(first) = self.segments.get(from) else { return Span::new(self.text.len(), self.text.len()) };
        let inside = span.start.saturating_sub(first.source.start);
        let start = first.normal + if first.linear { self.floor(inside, first.normal) } else { 0 };
        if span.is_empty() {
            return Span::new(start, start);
        }
        let past = self.segments.partition_point(|segment| segment.source.start < span.end);
        let end = match past.checked_sub(1).and_then(|index| self.segments.get(index)) {
            Some(last) if last.linear && span.end < last.source.end => {
                let inside = span.end.saturating_sub(last.source.start).saturating_sub(1);
                last.normal + self.ceil(inside, last.normal)
            }
            _ => self.segments.get(past).map_or(self.text.len(), |next| next.normal),
        };
        Span::new(start, end)
    }

    /// Finds the segment that holds byte `normal`, and how far in.
    fn at(&self, normal: usize) -> Option<(Segment, usize)> {
        if normal >= self.text.len() {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.normal <= normal).checked_sub(1)?;
        let segment = *self.segments.get(index)?;
        Some((segment, normal - segment.normal))
    }

    /// Goes back from `base + offset` to the start of its character, and returns the distance from `base`.
    fn floor(&self, offset: usize, base: usize) -> usize {
        let mut at = base + offset;
        while at > base && !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at - base
    }

    /// Goes on from `base + offset` to the end of the character that holds it, and returns the distance from `base`.
    fn ceil(&self, offset: usize, base: usize) -> usize {
        let mut at = base + offset + 1;
        while at < self.text.len() && !self.text.is_char_boundary(at) {
            at += 1;
        }
        at - base
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        normalize(text).into_string()
    }

    #[test]
    fn makes_hangul_letters_syllables_and_maps_each_back() {
        let source: String = "한국어 텍스트".nfd().collect();
        let normal = normalize(&source);
        assert_eq!(normal.as_str(), "한국어 텍스트");
        let span = normal.source_span(Span::new(3, 6));
        assert_eq!(span.of(&source).nfc().collect::<String>(), "국");
        assert_eq!(normal.normal_span(span), Span::new(3, 6));
    }

    #[test]
    fn folds_width_case_and_removes_what_cannot_be_seen() {
        assert_eq!(normal("ＡＢＣ　１２３！"), "abc 123!");
        assert_eq!(normal("ｶﾞｷﾞ"), "ガギ");
        assert_eq!(normal("Straße ΣΊΣΥΦΟΣ"), "strasse σίσυφοσ");
        assert_eq!(normal("러\u{200B}닝\u{FEFF} so\u{AD}ft"), "러닝 soft");
        assert_eq!(normal("e\u{200B}\u{301}"), "é");
        assert_eq!(normal("①㎞ Ⅳ"), "①㎞ ⅳ");
        assert_eq!(normal("女金"), "女金");
    }

    #[test]
    fn spans_do_not_reach_into_removed_characters_at_their_ends() {
        let source = "\u{FEFF}러닝\u{200B}크루";
        let normal = normalize(source);
        assert_eq!(normal.source_span(Span::new(0, 6)).of(source), "러닝");
        assert_eq!(normal.source_span(Span::new(0, 12)).of(source), "러닝\u{200B}크루");
    }

    #[test]
    fn each_compatibility_hanja_keeps_its_own_span() {
        let source = "\u{F90A}\u{F981}";
        let normal = normalize(source);
        assert_eq!(normal.source_span(Span::new(3, 6)), Span::new(3, 6));
    }

    #[test]
    fn debug_shows_no_text() {
        assert!(!format!("{:?}", normalize("비밀번호")).contains("비밀"));
    }

    fn tricky() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "a",
            "É",
            "e\u{301}",
            "ß",
            "한",
            "\u{1112}",
            "\u{1161}",
            "\u{11AB}",
            "ｶ",
            "ﾞ",
            "Ａ",
            "\u{200B}",
            "　",
            "İ",
            "\u{345}",
            "α",
            "\u{301}",
            "🏃",
            "\u{FE0F}",
            "金",
            "ŉ",
            "ǰ",
            "가\u{11A8}",
            "\n",
            "\u{F90A}",
            "Ω",
            "각",
        ]);
        prop_oneof![prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat()), "\\PC{0,60}"]
    }

    proptest! {
        #[test]
        fn is_idempotent_and_nfc(text in tricky()) {
            let once = normal(&text);
            prop_assert_eq!(&normal(&once), &once);
            prop_assert!(unicode_normalization::is_nfc(&once));
        }

        #[test]
        fn equivalent_texts_have_one_normal_form(text in tricky()) {
            let decomposed: String = text.nfd().collect();
            let plain = Normalizer::nfc().normalize(&text).into_string();
            prop_assert_eq!(&plain, &text.nfc().collect::<String>());
            prop_assert_eq!(Normalizer::nfc().normalize(&decomposed).into_string(), plain);
        }

        #[test]
        fn every_character_maps_to_a_span_that_normalises_to_hold_it(text in tricky()) {
            let normal = normalize(&text);
            let mut last = 0;
            for (at, c) in normal.as_str().char_indices() {
                let span = normal.source_span(Span::new(at, at + c.len_utf8()));
                prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
                prop_assert!(span.start >= last && !span.is_empty());
                last = span.start;
                let piece = normalize(span.of(&text));
                prop_assert!(piece.as_str().contains(c), "{:?} not in {:?}", c, piece.as_str());
                prop_assert!(normal.normal_span(span).contains(Span::new(at, at + c.len_utf8())));
            }
            prop_assert_eq!(normal.source_span(Span::new(0, 0)).len(), 0);
        }
    }
}
