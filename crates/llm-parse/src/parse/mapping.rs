//! Brackets that are one value of an outline - a mapping, list or table written line by line, or elements - and not an
//! answer of their own.

use super::choose::takes_any;
use crate::align::{Aligner, is_no_answer};
use crate::schema::Schema;
use crate::schema::fold;
use crate::schema::shape::Kind as ShapeKind;
use crate::syntax::{Candidate, Cue, Document, Origin};
use crate::tree::{Kind, NodeId, Span};

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

/// The outlines of an answer, and the brackets that belong to them.
#[derive(Default)]
pub(super) struct Outlines {
    /// The outlines that hold brackets as values of theirs.
    pub(super) around: Vec<usize>,
    /// Those brackets.
    pub(super) held: Vec<usize>,
}

/// Brackets in the order of the answer, those around others first.
pub(super) fn in_order(document: &Document, mut brackets: Vec<usize>) -> Vec<usize> {
    let candidates = document.candidates();
    brackets.sort_by_key(|at| {
        candidates.get(*at).map_or((0, 0), |c| (c.span().start, usize::MAX - c.span().end))
    });
    brackets
}

/// The brackets, in order, that an outline is written around.
fn inside<'b>(document: &Document, outline: &Candidate, brackets: &'b [usize]) -> &'b [usize] {
    let candidates = document.candidates();
    let start = |at: &usize| candidates.get(*at).map_or(0, |c| c.span().start);
    let from = brackets.partition_point(|at| start(at) < outline.span().start);
    let to = brackets.partition_point(|at| start(at) < outline.span().end);
    brackets.get(from..to).unwrap_or(&[])
}

fn is_outline_around(outline: &Candidate, inner: &Candidate) -> bool {
    let lines =
        matches!(outline.origin(), Origin::Yaml | Origin::Markdown | Origin::Xml | Origin::Fence { .. });
    lines && outline.span() != inner.span() && outline.span().contains(inner.span())
}

/// Finds out which of the brackets, in order, are values of one of the outlines.
pub(super) fn outlines(
    aligner: &mut Aligner<'_>,
    document: &Document,
    raw: &str,
    schema: &Schema,
    outlines: &[usize],
    brackets: &[usize],
) -> Outlines {
    let candidates = document.candidates();
    let mut found = Outlines::default();
    for at in outlines {
        let Some(outline) = candidates.get(*at) else { continue };
        let inner: Vec<usize> = inside(document, outline, brackets)
            .iter()
            .copied()
            .filter(|at| candidates.get(*at).is_some_and(|inner| is_outline_around(outline, inner)))
            .collect();
        if inner.is_empty() {
            continue;
        }
        let mut look = Look { document, raw, schema, held: Vec::new(), likely: Vec::new() };
        look.node(outline.root(), &inner, false, false);
        if !look.likely.is_empty() {
            // Nothing but the schema tells an item that holds brackets from words around them.
            aligner.set_prose(false);
            let (slot, fit) = aligner.root(outline.root());
            let taken = document.tree().node(slot.node).span();
            let fits = |at: &usize| {
                let inner = candidates.get(*at).map_or(taken, Candidate::span);
                fit.errors == 0 && taken != inner && taken.contains(inner)
            };
            look.held.extend(look.likely.iter().copied().filter(fits));
        }
        if !look.held.is_empty() {
            found.around.push(*at);
            found.held.append(&mut look.held);
        }
    }
    found.held.sort_unstable();
    found
}

/// A walk down an outline to the brackets in it.
struct Look<'a> {
    document: &'a Document,
    raw: &'a str,
    schema: &'a Schema,
    held: Vec<usize>,
    /// Held if the outline fits the schema.
    likely: Vec<usize>,
}

impl Look<'_> {
    fn span(&self, at: usize) -> Span {
        self.document.candidates().get(at).map_or_else(Span::default, Candidate::span)
    }

    fn kind(&self, node: NodeId) -> Kind {
        self.document.tree().node(node).kind()
    }

    fn is_bracket(&self, node: NodeId) -> bool {
        self.document.tree().node(node).span().of(self.raw).starts_with(['{', '['])
    }

    /// Walks into a list or an object that is no bracket; `part` tells that it is part of a value of the schema, `row` that it
    /// is an item of a list.
    fn node(&mut self, node: NodeId, inner: &[usize], part: bool, row: bool) {
        let tree = self.document.tree();
        let object = self.kind(node) == Kind::Object;
        let mut rest = inner;
        let mut facts: Option<Facts> = None;
        for child in tree.children(node) {
            let span = tree.node(child).span();
            let before = rest.iter().take_while(|at| self.span(**at).start < span.start).count();
            rest = rest.get(before..).unwrap_or(&[]);
            let within = rest.iter().take_while(|at| self.span(**at).start < span.end).count();
            if within == 0 {
                if rest.is_empty() {
                    break;
                }
                continue;
            }
            let (mine, further) = rest.split_at_checked(within).unwrap_or((rest, &[]));
            rest = further;
            let mine: Vec<usize> = mine.iter().copied().filter(|at| span.contains(self.span(*at))).collect();
            let facts = facts.get_or_insert_with(|| self.facts(node));
            if object {
                self.field(child, &mine, facts, part, row);
            } else {
                self.item(child, &mine, facts, part);
            }
        }
    }

    fn field(&mut self, child: NodeId, inner: &[usize], facts: &Facts, part: bool, row: bool) {
        let key = self.document.tree().key(child, self.raw).unwrap_or("");
        let compound = is_compound(self.document, child);
        let known = is_known(self.schema, key);
        let beside = facts.known > usize::from(known && !compound);
        // A row of a list leads in to nothing.
        let lead = !(known || row && beside) && LEADS.contains(&&*fold(key));
        let any = takes_any(self.schema) && facts.fields > 1 && facts.names;
        // Nor is what a key denies an answer.
        let denied = !known && self.is_plain(inner) && is_denial(key);
        let part =
            denied || (part && !lead) || (!lead && (beside || (known && compound && facts.strange == 0)));
        self.value(child, inner, part, any);
    }

    fn item(&mut self, child: NodeId, inner: &[usize], facts: &Facts, part: bool) {
        let pair = self.kind(child) == Kind::Object && {
            let mut fields = self.document.tree().children(child);
            let key = fields.next().and_then(|field| self.document.tree().key(field, self.raw)).unwrap_or("");
            fields.next().is_none()
                && facts.pairs > 0
                && (is_known(self.schema, key) || !LEADS.contains(&&*fold(key)))
        };
        if self.kind(child) == Kind::Object && !self.is_bracket(child) {
            self.node(child, inner, part || pair, true);
            return;
        }
        // A row of brackets is read as one elsewhere.
        let words = facts.items > facts.brackets;
        let led = LEADS.contains(&&*fold(
            self.document.tree().text(child, self.raw).split([' ', '[', '{']).next().unwrap_or(""),
        ));
        let plain = words && facts.plain == facts.items - facts.brackets;
        self.value(child, inner, part || plain, words && !facts.sentences && !led);
    }

    /// Tells whether no words speak for or against brackets.
    fn is_plain(&self, inner: &[usize]) -> bool {
        let candidates = self.document.candidates();
        inner.iter().all(|at| candidates.get(*at).is_some_and(|inner| inner.cue() == Cue::None))
    }

    /// Settles what is in a value, a bracket itself or words around some, or goes on into it.
    fn value(&mut self, child: NodeId, inner: &[usize], part: bool, likely: bool) {
        if is_compound(self.document, child) && !self.is_bracket(child) {
            self.node(child, inner, part, false);
            return;
        }
        if part {
            self.held.extend_from_slice(inner);
        } else if likely {
            let candidates = self.document.candidates();
            let told = |at: &&usize| candidates.get(**at).is_some_and(|inner| inner.cue() == Cue::None);
            self.likely.extend(inner.iter().filter(told));
        }
    }

    fn facts(&self, node: NodeId) -> Facts {
        let tree = self.document.tree();
        let mut facts = Facts { names: true, ..Facts::default() };
        for child in tree.children(node) {
            let key = tree.key(child, self.raw);
            let compound = is_compound(self.document, child);
            let sentence = !compound && is_sentence(tree.text(child, self.raw));
            facts.sentences |= sentence;
            if let Some(key) = key {
                facts.fields += 1;
                let known = is_known(self.schema, key);
                facts.known += usize::from(!compound && known);
                facts.strange += usize::from(compound && !known);
                facts.names &=
                    key.split_whitespace().count() <= 2 && !LEADS.contains(&&*fold(key)) && !sentence;
                continue;
            }
            facts.items += 1;
            facts.brackets += usize::from(self.is_bracket(child));
            facts.plain += usize::from(matches!(self.kind(child), Kind::Number | Kind::Bool(_) | Kind::Null));
            let mut fields = tree.children(child);
            let known = |field: NodeId| {
                !is_compound(self.document, field)
                    && tree.key(field, self.raw).is_some_and(|key| is_known(self.schema, key))
            };
            let pair = self.kind(child) == Kind::Object
                && fields.next().is_some_and(known)
                && fields.next().is_none();
            facts.pairs += usize::from(pair);
        }
        facts
    }
}

/// What the fields or items of one node have in common.
#[derive(Default)]
struct Facts {
    fields: usize,
    /// Plain fields that the schema knows.
    known: usize,
    /// Lists and objects under keys that it does not know.
    strange: usize,
    /// No key leads in to an answer, and no value is a sentence.
    names: bool,
    items: usize,
    brackets: usize,
    /// Items that are numbers, truth values or nothing.
    plain: usize,
    /// Items that are one plain field that the schema knows.
    pairs: usize,
    sentences: bool,
}

/// `rejected: […]`; what is said in more words is for those who read words.
fn is_denial(key: &str) -> bool {
    !key.trim().contains(char::is_whitespace) && is_no_answer(key)
}

fn is_sentence(text: &str) -> bool {
    text.trim_end().ends_with(['.', '!', '?', ':', '。'])
}

/// Tells whether an outline is one key with a bracket in its value, which is no value of its own unless the schema knows the key:
/// `Answer: [1, 2]`.
pub(super) fn is_lead_in(
    document: &Document,
    raw: &str,
    schema: &Schema,
    brackets: &[usize],
    at: usize,
) -> bool {
    let all = document.candidates();
    let Some(outline) = all.get(at).filter(|outline| outline.origin() == Origin::Yaml) else { return false };
    let tree = document.tree();
    let only = |node: NodeId| {
        let mut children = tree.children(node);
        children.next().filter(|_| children.next().is_none())
    };
    // A row of several fields is one row of a list.
    let row =
        |child: NodeId| tree.node(child).kind() == Kind::Object && tree.children(child).nth(1).is_some();
    let list = tree.node(outline.root()).kind() == Kind::Array;
    let denies = |child: NodeId| tree.key(child, raw).is_some_and(is_denial);
    let one = only(outline.root()).is_some_and(|child| !(denies(child) || list && row(child)));
    let around = |at: &usize| all.get(*at).is_some_and(|inner| is_outline_around(outline, inner));
    one && inside(document, outline, brackets).iter().any(around)
        && !is_known_pair(document, raw, schema, outline)
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
        .is_some_and(|key| record.knows(key))
}

/// Tells whether some object of the schema has a field of this name.
fn is_known(schema: &Schema, key: &str) -> bool {
    schema
        .shapes()
        .all
        .iter()
        .any(|shape| matches!(&shape.kind, ShapeKind::Record(record) if record.knows(key)))
}
