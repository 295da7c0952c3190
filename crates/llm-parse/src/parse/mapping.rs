//! Brackets that are one value of a mapping written line by line, not an answer of their own.

use super::choose::takes_any;
use crate::schema::Schema;
use crate::schema::fold;
use crate::schema::shape::{Kind as ShapeKind, Record};
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

/// Tells whether an outline is one key with a bracket in its value, which is no value of its own unless the schema knows the key:
/// `Answer: [1, 2]`.
pub(super) fn is_lead_in(
    document: &Document,
    raw: &str,
    schema: &Schema,
    candidates: &[usize],
    at: usize,
) -> bool {
    let all = document.candidates();
    let Some(outline) = all.get(at).filter(|outline| outline.origin() == Origin::Yaml) else { return false };
    let mut children = document.tree().children(outline.root());
    let one = children.next().is_some() && children.next().is_none();
    let around = |at: &usize| all.get(*at).is_some_and(|inner| is_outline_around(outline, inner));
    one && candidates.iter().any(around) && !is_known_pair(document, raw, schema, outline)
}

fn is_compound(document: &Document, node: NodeId) -> bool {
    matches!(document.tree().node(node).kind(), Kind::Object | Kind::Array)
}

/// Tells whether the first key of an outline is one of the schema's, and its value a list or an object.
fn is_known_pair(document: &Document, raw: &str, schema: &Schema, outline: &Candidate) -> bool {
    let shapes = schema.shapes();
    let ShapeKind::Record(record) = &shapes.get(shapes.root).kind else { return false };
    let tree = document.tree();
    tree.children(outline.root())
        .next()
        .filter(|child| is_compound(document, *child))
        .and_then(|child| tree.key(child, raw))
        .is_some_and(|key| knows(record, key))
}

fn knows(record: &Record, key: &str) -> bool {
    record.exact.contains_key(key) || record.folded.get(&fold(key)).copied().flatten().is_some()
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
    if !tree.children(outline.root()).any(holds) {
        return false;
    }
    if others.peek().is_none() {
        return is_known_pair(document, raw, schema, outline);
    }
    let shapes = schema.shapes();
    if let ShapeKind::Record(record) = &shapes.get(shapes.root).kind {
        let known = |key: &str| knows(record, key);
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
