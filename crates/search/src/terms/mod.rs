//! The terms that stand for a document in every engine.

mod prefix;

use pumasi_core::text::TokenKind;
use serde_json::Value as Json;

use crate::schema::Schema;
use crate::schema::text_at;

pub(crate) use prefix::{key as prefix_key, words as prefix_words};

/// Positions between two fields, so that no phrase runs from one into the next.
const GAP: u32 = 100;

/// A term and its place.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) text: String,
    pub(crate) position: u32,
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Whether it is one of the terms that follow each other (words, bigrams), which phrases are made of; if not, it stands
    /// beside one (stems, compounds).
    pub(crate) chained: bool,
}

/// All terms of a document.
#[derive(Default)]
pub(crate) struct Terms {
    /// Those of all text fields, one after the other.
    pub(crate) all: Vec<Term>,
    /// Those of the fields that are kept apart, each with its field's place in the schema.
    pub(crate) apart: Vec<(usize, Vec<Term>)>,
    /// What words begin with, for each field that has prefixes.
    pub(crate) prefixes: Vec<(usize, Vec<String>)>,
}

/// Takes a document's text apart.
pub(crate) fn terms(schema: &Schema, source: &Json) -> Terms {
    let mut out = Terms::default();
    let mut next: u32 = 0;
    for (index, field) in schema.texts().iter().enumerate() {
        let text = text_at(source, field.path());
        if text.is_empty() {
            continue;
        }
        let own = analyze(schema, &text);
        if schema.apart().any(|(apart, _)| apart == index) {
            out.apart.push((index, own.clone()));
        }
        if field.has_prefixes() {
            out.prefixes.push((index, prefix_words(&text)));
        }
        let end = own.last().map_or(next, |last| next.saturating_add(last.position).saturating_add(GAP));
        out.all.extend(
            own.into_iter().map(|term| Term { position: term.position.saturating_add(next), ..term }),
        );
        next = end;
    }
    out
}

/// Takes a text apart. Function words are left out, their places kept, unless there is nothing else.
pub(crate) fn analyze(schema: &Schema, text: &str) -> Vec<Term> {
    let mut kept = Vec::with_capacity(text.len() / 4);
    let mut stops = Vec::new();
    schema.analyzer().for_each(text, |token| {
        let term = || Term {
            text: token.text.to_owned(),
            position: token.position,
            kind: token.kind,
            chained: !matches!(token.kind, TokenKind::Stem | TokenKind::Compound),
        };
        if token.kind != TokenKind::Stop {
            kept.push(term());
        } else if kept.is_empty() {
            stops.push(term());
        }
    });
    let mut terms = if kept.is_empty() { stops } else { kept };
    chain(&mut terms);
    terms
}

/// Lets a term that stands alone at its place, a stem of one syllable say, be one that phrases are made of.
fn chain(terms: &mut [Term]) {
    let mut start = 0;
    while let Some(first) = terms.get(start) {
        let position = first.position;
        let length = terms.iter().skip(start).take_while(|term| term.position == position).count();
        if let Some(group) = terms.get_mut(start..start + length)
            && !group.iter().any(|term| term.chained)
            && let Some(last) = group.last_mut()
        {
            last.chained = true;
        }
        start += length;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TextField;

    #[test]
    fn fields_do_not_run_into_each_other_and_apart_ones_are_kept_twice() {
        let schema = Schema::new("posts")
            .with_text(TextField::new("title").boosted(2.0))
            .with_text(TextField::new("body"));
        let terms = terms(&schema, &json!({"title": "한강 러닝", "body": "of the river"}));
        let last_of_title =
            terms.apart.first().and_then(|(_, own)| own.last()).map_or(0, |term| term.position);
        assert_eq!(terms.apart.len(), 1);
        let body: Vec<_> = terms.all.iter().filter(|term| term.position > last_of_title).collect();
        assert_eq!(body.iter().map(|term| term.text.as_str()).collect::<Vec<_>>(), ["river"]);
        assert!(body.iter().all(|term| term.position >= last_of_title + GAP));
    }

    #[test]
    fn every_place_has_one_chained_term() {
        let schema = Schema::new("posts");
        for text in ["집 가는 러닝크루에서 10km를", "the of", "LG전자의 iPhone15"] {
            let terms = analyze(&schema, text);
            let mut places: Vec<_> = terms.iter().map(|term| term.position).collect();
            places.dedup();
            let chained = terms.iter().filter(|term| term.chained).count();
            assert_eq!(chained, places.len(), "{text}");
        }
    }
}
