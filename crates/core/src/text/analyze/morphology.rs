//! The seam for taking Korean words apart by more than a list of endings.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a piece of a word does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Carries meaning: is indexed.
    Content,
    /// A particle or an ending: adds no term of its own.
    Function,
}

/// A piece of a Korean word. `Debug` does not show the piece itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Morpheme<'a> {
    /// The bytes of the word that it takes.
    pub range: Range<usize>,
    /// Its dictionary form, which need not be a part of the word (`달렸` is `달리`).
    pub form: Cow<'a, str>,
    /// What it does.
    pub role: Role,
}

impl fmt::Debug for Morpheme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Morpheme")
            .field("range", &self.range)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Takes a Korean word apart, by a dictionary say.
///
/// An [`Analyzer`](super::Analyzer) asks it for each run of Hangul syllables. What a morphology must keep:
///
/// 1. ranges lie within the word, on character boundaries, in order, and do not overlap;
/// 2. it is a pure function of the word, so that documents and queries agree;
/// 3. it takes time linear in the word.
///
/// Stem and bigrams of the word are terms beside what it says: no token is ever lost.
pub trait Morphology: fmt::Debug + Send + Sync {
    /// Appends the pieces of `word`, which is a run of Hangul syllables in NFC.
    fn split<'a>(&self, word: &'a str, pieces: &mut Vec<Morpheme<'a>>);
}

impl<M: Morphology + ?Sized> Morphology for Arc<M> {
    fn split<'a>(&self, word: &'a str, pieces: &mut Vec<Morpheme<'a>>) {
        (**self).split(word, pieces);
    }
}

/// The particles and endings that are stripped by list, as a morphology: no dictionary, and never more than leaves a stem of two
/// syllables. An analyzer strips them anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Particles;

impl Morphology for Particles {
    fn split<'a>(&self, word: &'a str, pieces: &mut Vec<Morpheme<'a>>) {
        let stem = super::korean::stem(word);
        pieces.push(Morpheme { range: 0..stem.len(), form: Cow::Borrowed(stem), role: Role::Content });
        if stem.len() < word.len() {
            let form = Cow::Borrowed(word.get(stem.len()..).unwrap_or_default());
            pieces.push(Morpheme { range: stem.len()..word.len(), form, role: Role::Function });
        }
    }
}
