//! A compiled Korean dictionary of MeCab, read and searched in Rust.

mod binary;
mod lattice;
mod lexeme;
mod lexicon;
mod matrix;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

pub use lexeme::{Lexeme, Part};

use super::Span;
use super::analyze::{Morpheme, Morphology};
use crate::{Error, ErrorKind, Result};
use binary::read;
use lattice::Lattice;
use lexicon::{Categories, Lexicon};
use matrix::Matrix;

/// The environment variable that names the dictionary's folder.
const VARIABLE: &str = "PUMASI_KO_DIC";

/// Where packages of operating systems, MeCab's own installer and `scripts/ko-dic` put it.
const PLACES: [&str; 7] = [
    "/usr/lib/mecab/dic/mecab-ko-dic",
    "/usr/local/lib/mecab/dic/mecab-ko-dic",
    "/usr/lib64/mecab/dic/mecab-ko-dic",
    "/usr/lib/x86_64-linux-gnu/mecab/dic/mecab-ko-dic",
    "/usr/lib/aarch64-linux-gnu/mecab/dic/mecab-ko-dic",
    "/opt/homebrew/lib/mecab/dic/mecab-ko-dic",
    "/var/lib/mecab/dic/mecab-ko-dic",
];

/// The most bytes that are looked at together: longer lines are cut at a space, or where there is none at a character.
const LONGEST: usize = 1 << 14;

/// The Korean dictionary `mecab-ko-dic` in the compiled form that MeCab reads, and the search for the cheapest way to take a
/// text apart by it.
///
/// The dictionary is no part of this crate. It is found in a folder with `sys.dic`, `unk.dic`, `char.bin`, `matrix.bin` and
/// `dicrc`; Python's package `python-mecab-ko-dic` carries one (Apache-2.0), and so do packages of several systems. Opening reads
/// some 100 MB, within some tenths of a second, and keeps about 85 MB: share one behind an `Arc`.
///
/// It gives what MeCab (the fork `mecab-ko`) gives, with its costs, its rules for unknown words and its penalty for a space before
/// a particle; of words that cost the same it takes the one that MeCab takes. Time grows linearly with the text.
///
/// As a [`Morphology`] it serves an [`Analyzer`](super::Analyzer), which keeps stem and bigrams of every word beside the morphemes:
/// what the dictionary does not know or takes apart wrongly is found all the same.
///
/// ```
/// use pumasi_core::text::{Analyzer, Dictionary};
///
/// let analyzer = match Dictionary::find() {
///     Ok(dictionary) => {
///         let words = dictionary.lexemes("한강에서 달렸다");
///         let stem = words.iter().flat_map(|word| word.parts()).next();
///         assert_eq!(stem.map(|part| (part.form, part.tag)), Some(("달리", "VV")));
///         Analyzer::default().with_morphology(dictionary)
///     }
///     // Korean works without one
///     Err(_) => Analyzer::default(),
/// };
/// assert!(analyzer.tokens("러닝크루").iter().any(|token| token.text == "크루"));
/// ```
pub struct Dictionary {
    known: Lexicon,
    unknown: Lexicon,
    categories: Categories,
    matrix: Matrix,
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary").field("entries", &self.known.len()).finish_non_exhaustive()
    }
}

thread_local! {
    /// What a search needs, kept for the next one.
    static LATTICE: RefCell<Lattice> = RefCell::new(Lattice::default());
}

impl Dictionary {
    /// Opens the dictionary of a folder. Reads the disk, for some tenths of a second.
    ///
    /// # Errors
    ///
    /// `NotFound` where a file is missing, `Storage` where one cannot be read or is no dictionary in UTF-8 that MeCab 0.996 has
    /// compiled.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let mut known = Lexicon::read(&read(folder, "sys.dic")?, "sys.dic")?;
        let mut unknown = Lexicon::read(&read(folder, "unk.dic")?, "unk.dic")?;
        let categories = Categories::read(&read(folder, "char.bin")?, &unknown)?;
        let settings = String::from_utf8_lossy(&read(folder, "dicrc")?).into_owned();
        let matrix = Matrix::read(&read(folder, "matrix.bin")?, &settings, &mut [&mut known, &mut unknown])?;
        Ok(Self { known, unknown, categories, matrix })
    }

    /// Opens the dictionary that the environment variable `PUMASI_KO_DIC` names, or else the first one in the usual places: where
    /// packages of MeCab and `scripts/ko-dic` put it.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none; as [`open`](Self::open) for the one that was found.
    pub fn find() -> Result<Self> {
        if let Some(folder) = std::env::var_os(VARIABLE) {
            return Self::open(folder);
        }
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        let own = cache.map(|cache| cache.join("pumasi/ko-dic"));
        let mut places = own.into_iter().chain(PLACES.iter().map(PathBuf::from));
        match places.find(|place| place.join("sys.dic").is_file()) {
            Some(place) => Self::open(place),
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("no Korean dictionary in the usual places: name its folder in {VARIABLE}"),
            )),
        }
    }

    /// Takes a text apart into morphemes; white space belongs to none.
    ///
    /// Lines are taken apart one by one, as MeCab does.
    pub fn lexemes(&self, text: &str) -> Vec<Lexeme<'_>> {
        let mut lexemes = Vec::with_capacity(text.len() / 4);
        self.for_each(text, |lexeme| lexemes.push(lexeme));
        lexemes
    }

    /// Hands each morpheme of a text to `visit`.
    pub fn for_each<'a>(&'a self, text: &str, mut visit: impl FnMut(Lexeme<'a>)) {
        // taken out, so that a visitor may take texts apart itself
        let mut lattice = LATTICE.take();
        let mut from = 0;
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let length = piece(rest);
            let line = rest.get(..length).unwrap_or_default().trim_end_matches(['\n', '\r']);
            for step in lattice.cheapest(self, line) {
                let lexicon = if step.known { &self.known } else { &self.unknown };
                let span = Span::new(from + step.start as usize, from + step.end as usize);
                visit(Lexeme::new(span, lexicon, step));
            }
            from += length;
        }
        LATTICE.replace(lattice);
    }
}

/// Measures what is taken apart at once: a line with its end, or the start of a very long one.
fn piece(text: &str) -> usize {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end).unwrap_or_default();
    if let Some(line) = head.find('\n') {
        return line + 1;
    }
    if end == text.len() {
        return end;
    }
    head.rfind(' ').filter(|space| *space > 0).unwrap_or(end)
}

impl Morphology for Dictionary {
    fn split<'a>(&self, word: &'a str, pieces: &mut Vec<Morpheme<'a>>) {
        self.for_each(word, |lexeme| lexeme.add_pieces(word, pieces));
    }
}

#[cfg(test)]
mod tests;
