//! Where the quotes of a value stand in its source.

use serde::{Deserialize, Serialize};

/// What happens to the fields that are marked as quotes.
///
/// A field is marked in its type's schema: `#[schemars(extend("x-quote" = true))]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grounding {
    /// Quotes are not looked up.
    Off,
    /// Quotes are looked up, and what was found or missed stands in [`Extraction::grounding`](super::Extraction).
    #[default]
    Report,
    /// As `Report`; and a quote that is not in the source, or was copied from an example, is asked for again, and turns
    /// its item (or the value) down if it stays so.
    Require,
}

/// A place in a source, in bytes and in characters; half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceSpan {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The first character (`char`), counted from the beginning of the source.
    pub char_start: usize,
    /// The character after the last.
    pub char_end: usize,
}

impl SourceSpan {
    /// Makes a span of bytes of `source`, counting its characters; `None` if it does not fall on characters of it.
    ///
    /// ```
    /// use pumasi_llm_parse::extract::SourceSpan;
    ///
    /// let span = SourceSpan::of("매일 달렸다", 7..16).ok_or("not on a character")?;
    /// assert_eq!((span.char_start, span.char_end), (3, 6));
    /// assert!(SourceSpan::of("매일", 1..3).is_none());
    /// # Ok::<(), &str>(())
    /// ```
    pub fn of(source: &str, bytes: std::ops::Range<usize>) -> Option<Self> {
        let before = source.get(..bytes.start)?;
        let inside = source.get(bytes.start..bytes.end)?;
        let char_start = before.chars().count();
        Some(Self {
            start: bytes.start,
            end: bytes.end,
            char_start,
            char_end: char_start + inside.chars().count(),
        })
    }

    /// Returns the text of the span in `source`; `None` if `source` is another text.
    pub fn text<'a>(&self, source: &'a str) -> Option<&'a str> {
        source.get(self.start..self.end)
    }
}

/// How a quote differs from the place in the source that it was found at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuoteFit {
    /// Not at all.
    Exact,
    /// In Unicode form, width, case, quotation marks or white space only.
    Normalized,
    /// By typing errors or particles; numbers, names and negations agree.
    Fuzzy {
        /// How many characters differ.
        edits: u32,
    },
}

/// Whether what a quote is given for follows from it. That a quote *exists* says nothing about this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Support {
    /// Nobody has looked, or words alone cannot tell.
    #[default]
    Unchecked,
    /// The quote supports the value.
    Supported,
    /// The quote exists, but does not support the value.
    Unsupported,
}

/// A quote that stands in the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quote {
    /// The field, as a JSON Pointer into the value.
    pub path: String,
    /// Where it stands in the whole source.
    pub span: SourceSpan,
    /// How it differs from what stands there.
    pub fit: QuoteFit,
    /// How close it is, from 0 to 1; 1 is exact.
    pub score: f32,
    /// Whether it supports the value it is given for.
    pub support: Support,
}

impl Quote {
    /// Makes a quote whose support nobody has looked at.
    pub fn new(path: impl Into<String>, span: SourceSpan, fit: QuoteFit, score: f32) -> Self {
        Self { path: path.into(), span, fit, score, support: Support::Unchecked }
    }

    /// Sets whether it supports the value it is given for.
    #[must_use]
    pub fn with_support(mut self, support: Support) -> Self {
        self.support = support;
        self
    }
}

/// Why a quote has no place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missing {
    /// The source does not say it.
    NotInSource,
    /// The source does not say it, but an example of the prompt does.
    CopiedFromExample,
}

/// A quote that does not stand in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissingQuote {
    /// The field, as a JSON Pointer into the value.
    pub path: String,
    /// Why.
    pub reason: Missing,
}

impl MissingQuote {
    /// Makes the record of a quote at `path` that has no place.
    pub fn new(path: impl Into<String>, reason: Missing) -> Self {
        Self { path: path.into(), reason }
    }
}

/// What was found of a value's quotes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grounded {
    /// The quotes that stand in the source, in the order of the value.
    pub quotes: Vec<Quote>,
    /// Those that do not, in the order of the value.
    pub missing: Vec<MissingQuote>,
}

impl Grounded {
    /// Makes the record of quotes found and missing.
    pub fn new(quotes: Vec<Quote>, missing: Vec<MissingQuote>) -> Self {
        Self { quotes, missing }
    }

    /// Returns the share of quotes that stand in the source, from 0 to 1; `None` if there are no quotes.
    #[expect(clippy::cast_precision_loss, reason = "counts of quotes are small")]
    pub fn share(&self) -> Option<f64> {
        let all = self.quotes.len() + self.missing.len();
        (all > 0).then(|| self.quotes.len() as f64 / all as f64)
    }

    /// Returns the quote of the field at `path` (a JSON Pointer).
    pub fn at(&self, path: &str) -> Option<&Quote> {
        self.quotes.iter().find(|quote| quote.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_counts_missing_quotes_and_has_no_value_without_any() {
        assert_eq!(Grounded::default().share(), None);
        let span = SourceSpan::of("abc", 0..3).unwrap();
        let found = Quote::new("/0/quote", span, QuoteFit::Exact, 1.0);
        let missed = MissingQuote::new("/1/quote", Missing::NotInSource);
        let grounded = Grounded::new(vec![found], vec![missed]);
        assert_eq!(grounded.share(), Some(0.5));
        assert!(grounded.at("/0/quote").is_some() && grounded.at("/1/quote").is_none());
    }
}
