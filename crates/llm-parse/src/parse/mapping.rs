//! Brackets that are one value of a mapping written line by line, not an answer of their own.

use super::choose::takes_any;
use crate::schema::Schema;
use crate::schema::fold;
use crate::schema::shape::Kind as ShapeKind;
use crate::syntax::{Candidate, Cue, Document, Origin};
use crate::tree::{Kind, NodeId};

/// Each bracket is looked for in each outline: with more brackets than this, they are answers of their own.
pub(super) const MAX_BRACKETS: usize = 256;

/// Keys that lead in to an answer or talk about it.
const LEADS: &[&str] = &[
    "answer",
    "finalanswer",
    "result",
    "results",
    "json",
    "output",
    "response",
    "thought",
    "thoughts",
    "note",
    "reasoning",
    "explanation",
    "action",
    "actioninput",
    "observation",
    "final",
    "here",
    "draft",
    "question",
    "input",
    "task",
    "summary",
    "confidence",
    "step",
    "답",
    "정답",
    "답변",
    "최종답변",
    "결과",
    "출력",
    "응답",
    "생각",
    "설명",
    "참고",
    "이유",
    "질문",
    "입력",
    "요약",
    "초안",
    "최종",
    "비고",
];

/// Tells whether one of the outlines holds the candidate `at` as the value of one of two or more keys.
///
/// A schema has to know one of the keys beside it; without one, the keys must not lead in to an answer, and their values
/// must not be sentences.
pub(super) fn holds(document: &Document, raw: &str, schema: &Schema, outlines: &[usize], at: usize) -> bool {
    let candidates = document.candidates();
    let Some(inner) = candidates.get(at) else { return false };
    outlines.iter().filter_map(|at| candidates.get(*at)).any(|outline| {
        is_outline_around(outline, inner) && is_value_of(document, raw, schema, outline, inner)
    })
}

/// Tells whether the candidate `at` is an outline around one of those that are `held`.
pub(super) fn is_around(candidates: &[Candidate], at: usize, held: &[usize]) -> bool {
    candidates.get(at).is_some_and(|outline| {
        held.iter().filter_map(|held| candidates.get(*held)).any(|inner| is_outline_around(outline, inner))
    })
}

fn is_outline_around(outline: &Candidate, inner: &Candidate) -> bool {
    let lines = matches!(outline.origin(), Origin::Yaml | Origin::Fence { .. });
    lines && outline.span() != inner.span() && outline.span().contains(inner.span())
}

fn is_value_of(
    document: &Document,
    raw: &str,
    schema: &Schema,
    outline: &Candidate,
    inner: &Candidate,
) -> bool {
    let tree = document.tree();
    if tree.node(outline.root()).kind() != Kind::Object {
        return false;
    }
    let holds = |child: NodeId| tree.node(child).span().contains(inner.span());
    let mut others = tree.children(outline.root()).filter(|child| !holds(*child)).peekable();
    if others.peek().is_none() || !tree.children(outline.root()).any(holds) {
        return false;
    }
    let shapes = schema.shapes();
    if let ShapeKind::Record(record) = &shapes.get(shapes.root).kind {
        let known = |key: &str| {
            record.exact.contains_key(key) || record.folded.get(&fold(key)).copied().flatten().is_some()
        };
        let leads = tree
            .children(outline.root())
            .filter(|child| holds(*child))
            .filter_map(|child| tree.key(child, raw))
            .any(|key| !known(key) && LEADS.contains(&&*fold(key)));
        let plain = |child: &NodeId| !matches!(tree.node(*child).kind(), Kind::Object | Kind::Array);
        return !leads && others.filter(plain).filter_map(|child| tree.key(child, raw)).any(known);
    }
    takes_any(schema)
        && inner.cue() == Cue::None
        && others.all(|child| {
            let sentence = matches!(tree.node(child).kind(), Kind::String(_) | Kind::Word)
                && tree.text(child, raw).trim_end().ends_with(['.', '!', '?', ':', '。']);
            !sentence
        })
        && tree
            .children(outline.root())
            .filter_map(|child| tree.key(child, raw))
            .all(|key| key.split_whitespace().count() <= 2 && !LEADS.contains(&&*fold(key)))
}
