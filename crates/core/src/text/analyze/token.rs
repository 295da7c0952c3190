//! What an analyzer makes of a text.

use std::fmt;

use crate::text::Span;

/// What a token is, and so how it may be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// A stemmed word in a script with spaces.
    Word,
    /// An English function word; worth matching only where a query has nothing else.
    Stop,
    /// A number without its thousands separators.
    Number,
    /// A number with the unit that was written onto it (`10km`, `5만원`), or letters with digits (`iphone15`).
    Compound,
    /// A Korean word without its particles and endings.
    Stem,
    /// Two neighbouring Korean, Chinese or Japanese characters; one, where a word has no more.
    Bigram,
    /// An emoji or another symbol that stands for a word.
    Symbol,
}

/// One term of a text. `Debug` shows where it stands, never what it says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    /// The term, normalised and stemmed: equal terms match.
    pub text: String,
    /// The bytes of the source it stands for (with particles and endings left out).
    pub span: Span,
    /// What it is.
    pub kind: TokenKind,
    /// Its place among the terms, from 0: words that follow each other have growing positions, and the terms of one
    /// word (stem, first bigram, compound) share one.
    pub position: u32,
}

/// A [`Token`] whose text is borrowed, for callers that count terms and keep none. `Debug` does not show the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenRef<'a> {
    /// The term, normalised and stemmed: equal terms match.
    pub text: &'a str,
    /// The bytes of the source it stands for.
    pub span: Span,
    /// What it is.
    pub kind: TokenKind,
    /// Its place among the terms, from 0.
    pub position: u32,
}

impl TokenRef<'_> {
    /// Makes a token that owns its text.
    pub fn to_owned(self) -> Token {
        Token { text: self.text.to_owned(), span: self.span, kind: self.kind, position: self.position }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, span, kind, position } = self;
        TokenRef { text, span: *span, kind: *kind, position: *position }.fmt(f)
    }
}

impl fmt::Debug for TokenRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("span", &self.span)
            .field("kind", &self.kind)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
