//! What people type, read as words, phrases and signs. Everything can be read.

use crate::schema::Schema;

/// What a piece of a query asks of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occur {
    /// Nothing was said.
    Plain,
    /// They must have it.
    Must,
    /// They must not.
    Not,
}

/// How a piece is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By its terms.
    Word,
    /// By its terms, next to each other.
    Phrase,
    /// By its beginning.
    Prefix,
}

/// A piece of a query.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Piece<'q> {
    pub(super) occur: Occur,
    pub(super) kind: Kind,
    /// Where to look: a field that is kept apart, or the whole document.
    pub(super) field: Option<usize>,
    pub(super) text: &'q str,
    /// Whether either this one or the piece before it will do.
    pub(super) or: bool,
}

/// Reads a query.
pub(super) fn parse<'q>(schema: &Schema, text: &'q str) -> Vec<Piece<'q>> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    let mut or = false;
    while !rest.is_empty() {
        // nothing here looks further than to the end of a piece: ten thousand quotes are as many pieces
        let behind = rest.strip_prefix("OR").or_else(|| rest.strip_prefix('|'));
        if let Some(behind) = behind.filter(|behind| behind.starts_with(char::is_whitespace))
            && !pieces.is_empty()
            && !behind.trim_start().is_empty()
        {
            or = true;
            rest = behind.trim_start();
            continue;
        }
        let (occur, unsigned) = sign(rest);
        let (field, body) = field(schema, unsigned);
        let (kind, text, behind) = body_of(body);

        let piece = Piece { occur, kind, field, text, or: or && occur != Occur::Not };
        if piece.text.chars().any(|c| !c.is_whitespace()) {
            pieces.push(piece);
        }
        or = false;
        rest = behind.trim_start();
    }
    pieces
}

/// Reads a text as words only.
pub(super) fn words(text: &str) -> Vec<Piece<'_>> {
    let word = |text| Piece { occur: Occur::Plain, kind: Kind::Word, field: None, text, or: false };
    text.split_whitespace().map(word).collect()
}

/// Takes a phrase, a word or the beginning of one off the front.
fn body_of(body: &str) -> (Kind, &str, &str) {
    if let Some((inner, behind)) = quoted(body) {
        return (Kind::Phrase, inner, behind);
    }
    let end = body.find(|c: char| c.is_whitespace() || is_quote(c)).unwrap_or(body.len());
    let (word, behind) = body.split_at(end);
    match word.strip_suffix('*').filter(|stem| !stem.is_empty()) {
        Some(stem) => (Kind::Prefix, stem, behind),
        None => (Kind::Word, word, behind),
    }
}

fn sign(text: &str) -> (Occur, &str) {
    let signed = |occur, rest: &'_ str| {
        rest.starts_with(|c: char| !c.is_whitespace() && c != '-' && c != '+').then_some(occur)
    };
    if let Some(rest) = text.strip_prefix('-')
        && let Some(occur) = signed(Occur::Not, rest)
    {
        return (occur, rest);
    }
    match text.strip_prefix('+') {
        Some(rest) if signed(Occur::Must, rest).is_some() => (Occur::Must, rest),
        _ => (Occur::Plain, text),
    }
}

fn field<'q>(schema: &Schema, text: &'q str) -> (Option<usize>, &'q str) {
    let end = text.find(|c: char| c == ':' || c.is_whitespace() || is_quote(c));
    let named = end.and_then(|end| Some((text.get(..end)?, text.get(end..)?.strip_prefix(':')?)));
    let named = named.filter(|(_, rest)| rest.starts_with(|c: char| !c.is_whitespace()));
    match named.and_then(|(name, rest)| Some((schema.named(name)?, rest))) {
        Some(found) => found,
        None => (None, text),
    }
}

const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”')
}

/// Takes a phrase off the front; one that is not closed goes on to the end.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix(is_quote)?;
    Some(inner.split_once(is_quote).unwrap_or((inner, "")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::TextField;

    fn schema() -> Schema {
        Schema::new("posts").with_text(TextField::new("title").boosted(2.0)).with_text(TextField::new("body"))
    }

    fn read(text: &str) -> Vec<(Occur, Kind, Option<usize>, String, bool)> {
        let pieces = parse(&schema(), text);
        pieces.into_iter().map(|p| (p.occur, p.kind, p.field, p.text.to_owned(), p.or)).collect()
    }

    #[test]
    fn reads_signs_phrases_fields_and_alternatives() {
        use {Kind::*, Occur::*};
        let said = |occur, kind, text: &str| (occur, kind, None, text.to_owned(), false);
        assert_eq!(
            read("한강 +러닝 -광고"),
            [said(Plain, Word, "한강"), said(Must, Word, "러닝"), said(Not, Word, "광고")]
        );
        assert_eq!(
            read(r#"-"광고 문의" “첫 마라톤”"#),
            [said(Not, Phrase, "광고 문의"), said(Plain, Phrase, "첫 마라톤")]
        );
        assert_eq!(read("title:러닝 body:러닝").first().map(|p| p.2), Some(Some(0)));
        assert_eq!(read("body:러닝"), [said(Plain, Word, "body:러닝")]);
        assert_eq!(read("mara*"), [said(Plain, Prefix, "mara")]);
        assert_eq!(read("a OR b").iter().map(|p| p.4).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn signs_that_stand_for_themselves_are_text() {
        assert_eq!(read("C++ - well-known e-mail").len(), 4);
        assert_eq!(read("OR"), [(Occur::Plain, Kind::Word, None, "OR".to_owned(), false)]);
        assert_eq!(read("\"\"  "), []);
        assert_eq!(read("\"열린 것").len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read(text in r#"[a-c"“”+\-:*|가 ORtitle\n]{0,40}"#) {
            let _ = parse(&schema(), &text);
        }
    }
}
