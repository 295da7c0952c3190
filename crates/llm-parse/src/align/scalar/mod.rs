//! What the text of one scalar says: numbers, truth values, labels, dates, nothing.

pub(crate) mod boolean;
mod boxed;
mod clause;
pub(crate) mod currency;
pub(crate) mod date;
pub(crate) mod decimal;
pub(crate) mod fuzzy;
pub(crate) mod label;
mod marks;
pub(crate) mod null;
pub(crate) mod number;
mod number_word;
pub(crate) mod stance;
pub(crate) mod unit;

/// Tells whether a list of words, parted by blanks, has `word`.
fn holds(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// Tells whether `word` begins with one of a list.
fn begins(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|start| word.starts_with(start))
}
