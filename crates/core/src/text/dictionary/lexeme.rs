//! A morpheme as the dictionary describes it.

use std::borrow::Cow;
use std::fmt;

use super::lattice::Step;
use super::lexicon::Lexicon;
use crate::text::Span;
use crate::text::analyze::{Morpheme, Role};

/// A morpheme of a text, or several that have grown together. `Debug` does not show the text.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Lexeme<'a> {
    /// The bytes of the text that it takes.
    pub span: Span,
    /// Its parts of speech in the Sejong tag set as mecab-ko-dic writes it: `NNG`, or `VV+EP` where several have grown together;
    /// empty where the dictionary has no word of the kind at all.
    pub tag: &'a str,
    /// Whether the dictionary has the word; if not, it was made up of characters of one kind.
    pub known: bool,
    /// Whether it has parts.
    composed: bool,
    lexicon: &'a Lexicon,
    entry: u32,
}

impl fmt::Debug for Lexeme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lexeme")
            .field("span", &self.span)
            .field("tag", &self.tag)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// A part of a [`Lexeme`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part<'a> {
    /// Its dictionary form.
    pub form: &'a str,
    /// Its part of speech.
    pub tag: &'a str,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("tag", &self.tag).finish_non_exhaustive()
    }
}

impl<'a> Lexeme<'a> {
    pub(super) fn new(span: Span, lexicon: &'a Lexicon, step: Step) -> Self {
        let (tag, composed) = lexicon.tag(step.entry);
        Self { span, tag, known: step.known, composed, lexicon, entry: step.entry }
    }

    /// Returns what it consists of: the nouns of a compound, the stem and the endings of an inflected word; nothing where it is
    /// one morpheme.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        // tag, meaning, final consonant, reading, type, first tag, last tag, expression
        let feature = if self.composed { self.lexicon.feature(self.entry) } else { "" };
        let expression = feature.splitn(8, ',').nth(7).unwrap_or_default();
        let parts = expression.split('+').filter(|part| !part.is_empty());
        parts.filter_map(|part| {
            let mut fields = part.split('/');
            Some(Part { form: fields.next()?, tag: fields.next()? })
        })
    }

    /// Appends what it adds to the pieces of a word: for a compound each noun, for an inflected word its stem.
    pub(super) fn add_pieces<'w>(&self, word: &'w str, pieces: &mut Vec<Morpheme<'w>>) {
        let range = self.span.range();
        let surface = self.span.of(word);
        // a compound's nouns follow each other letter by letter
        let mut rest = surface;
        let follows = |part: Part<'_>| {
            let next = rest.strip_prefix(part.form).filter(|_| !part.form.is_empty());
            next.is_some_and(|next| {
                rest = next;
                true
            })
        };
        let nouns = self.parts().all(follows) && rest.is_empty();
        if nouns {
            let mut start = range.start;
            for part in self.parts() {
                let end = start + part.form.len();
                let form = Cow::Borrowed(word.get(start..end).unwrap_or_default());
                pieces.push(Morpheme { range: start..end, form, role: role(part.tag) });
                start = end;
            }
            return;
        }
        let stem = self.parts().find(|part| role(part.tag) == Role::Content);
        let (form, role) = match (stem, self.parts().next()) {
            (Some(stem), _) => (Cow::Owned(stem.form.to_owned()), Role::Content),
            (None, Some(_)) => (Cow::Borrowed(surface), Role::Function),
            (None, None) => (Cow::Borrowed(surface), role(self.tag)),
        };
        pieces.push(Morpheme { range, form, role });
    }
}

/// Particles (J), endings (E), suffixes that make verbs and adjectives (XSV, XSA), copulas (VC) and auxiliary verbs (VX) say
/// nothing of their own; all else does, what is unknown above all.
fn role(tag: &str) -> Role {
    let function =
        matches!(tag.as_bytes(), [b'J' | b'E', ..] | [b'X', b'S', b'V' | b'A', ..] | [b'V', b'C' | b'X', ..]);
    if function { Role::Function } else { Role::Content }
}
