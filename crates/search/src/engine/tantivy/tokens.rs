//! Terms on their way into the index: written into one string by whoever analyzes, and read from it by the index.
//!
//! The index takes terms that are made elsewhere as `PreTokenizedString` too, and carries that as JSON to the thread that writes,
//! which takes a third of the time that a document costs.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::terms::Term;

/// What the tokenizer is called in an index.
pub(super) const TOKENS: &str = "pumasi_terms";

/// The longest term that an index takes, in bytes; it leaves out those that are longer.
const LONGEST: usize = 65_530;

/// Numbers below this are one symbol.
const BASE: u32 = 0xD000;

/// Writes terms: each with its length and its place before it.
pub(super) fn written(terms: &[Term]) -> String {
    let mut out = String::with_capacity(terms.iter().map(|term| term.text.len() + 8).sum());
    for term in terms {
        let Some(length) = u32::try_from(term.text.len()).ok().filter(|_| term.text.len() <= LONGEST) else {
            continue;
        };
        for number in [length / BASE, length % BASE, term.position / BASE, term.position % BASE] {
            out.push(symbol(number));
        }
        out.push_str(&term.text);
    }
    out
}

/// A number as a character; those that stand for nothing alone are left out.
fn symbol(number: u32) -> char {
    let number = if number < 0xD800 { number } else { number + 0x800 };
    char::from_u32(number).unwrap_or(char::MAX)
}

fn number(symbol: char) -> u32 {
    let number = u32::from(symbol);
    if number < 0xD800 { number } else { number - 0x800 }
}

/// Reads what [`written`] wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(Token);

pub(super) struct Stream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for Tokens {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.0.reset();
        Stream { rest: text, token: &mut self.0 }
    }
}

impl Stream<'_> {
    fn next(&mut self) -> Option<()> {
        let mut symbols = self.rest.chars();
        let mut read = || Some(number(symbols.next()?));
        let length = read()?.checked_mul(BASE)?.checked_add(read()?)?;
        let position = read()?.checked_mul(BASE)?.checked_add(read()?)?;
        let (text, rest) = symbols.as_str().split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(text);
        self.token.position = position as usize;
        Some(())
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        self.next().is_some()
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pumasi_core::text::TokenKind;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(terms in proptest::collection::vec((".{0,40}", any::<u32>()), 0..20)) {
            let term = |(text, position): &(String, u32)| Term {
                text: text.clone(), position: *position, kind: TokenKind::Word, chained: true,
            };
            let text = written(&terms.iter().map(term).collect::<Vec<_>>());
            let (mut tokens, mut read) = (Tokens::default(), Vec::new());
            tokens.token_stream(&text).process(&mut |token| {
                read.push((token.text.clone(), u32::try_from(token.position).unwrap_or_default()));
            });
            prop_assert_eq!(read, terms);
        }

        #[test]
        fn what_nobody_wrote_is_read_without_a_panic(text in ".{0,60}") {
            Tokens::default().token_stream(&text).process(&mut |_| {});
        }
    }

    #[test]
    fn a_term_that_no_index_takes_is_left_out() {
        let term = |length: usize| Term {
            text: "가".repeat(length),
            position: 0,
            kind: TokenKind::Word,
            chained: true,
        };
        let text = written(&[term(30_000), term(21_843)]);
        let mut lengths = Vec::new();
        Tokens::default().token_stream(&text).process(&mut |token| lengths.push(token.text.len()));
        assert_eq!(lengths, [65_529]);
    }
}
