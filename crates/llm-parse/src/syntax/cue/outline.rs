//! What a key of an outline says of the other keys: `Example:` above them, `Correction: price: 5` below them.

use super::super::document::Cue;
use super::remark::{Sentence, is_hangul};
use super::{cue, is_correction_word, is_one_of, words};
use crate::tree::{Kind, NodeId, Tree};

/// How many keys are looked at.
const KEYS: usize = 256;
/// Bounds the length of a key that may be a remark, in bytes.
const LONG: usize = 96;

/// Reads what keys of a mapping written line by line say of the whole.
pub(in super::super) fn outline(tree: &Tree, root: NodeId, source: &str) -> Option<Cue> {
    let node = tree.node(root);
    if node.kind() != Kind::Object {
        return None;
    }
    // Values that stand in braces of their own are looked at by themselves.
    if source.get(node.span().start..).is_some_and(|text| text.starts_with(['{', '[', '<', '｛'])) {
        return None;
    }
    let mut children = tree.children(root);
    let first = children.next()?;
    let heading = tree.key(first, source).filter(|key| key.len() < LONG && is_empty(tree, first, source));
    if let Some(heading) = heading
        && tree.children(root).nth(1).is_some()
    {
        let said = lead(heading);
        if matches!(said, Cue::Example | Cue::Schema | Cue::Draft | Cue::Rejected) {
            return Some(said);
        }
    }
    let corrected = tree.children(root).skip(1).take(KEYS).any(|child| {
        let Some(key) = tree.key(child, source).filter(|key| key.len() < LONG) else { return false };
        corrects(key, tree, child, root, source)
    });
    corrected.then_some(Cue::Rejected)
}

/// Tells whether a name says that what it holds is not the answer: `example`, `wrong_answer`, `초안`, `The wrong answer is`.
pub(crate) fn denies(name: &str) -> bool {
    let negative = |cue| matches!(cue, Cue::Example | Cue::Schema | Cue::Draft | Cue::Rejected);
    if name.len() > LONG {
        return false;
    }
    super::verdict::verdict(name).is_some_and(|said| negative(said.cue))
        || (name.contains(' ') && negative(lead(name)))
}

/// Reads a heading above a value.
fn lead(heading: &str) -> Cue {
    cue(&format!("{heading}:"), "", "", super::Neighbours { after: true, ..Default::default() })
}

/// Tells whether a mapping of one key is a remark on what stands before it: `Correction: price: 5`.
pub(in super::super) fn is_remark(tree: &Tree, root: NodeId, source: &str) -> bool {
    let mut children = tree.children(root);
    tree.node(root).kind() == Kind::Object
        && children.next().and_then(|child| tree.key(child, source)).is_some_and(|key| {
            let lower = key.get(..key.floor_char_boundary(LONG)).unwrap_or("").to_lowercase();
            let first = words(&lower).next().unwrap_or("");
            is_correction_word(first) || interjects(first)
        })
        && children.next().is_none()
}

/// Tells whether the last paragraph of an outline corrects one of its keys: `Correction: price: 5`.
pub(in super::super) fn ends_corrected(body: &str) -> bool {
    let from = body.ceil_char_boundary(body.len().saturating_sub(240));
    let Some((before, last)) = body.get(from..).and_then(|tail| tail.rsplit_once("\n\n")) else {
        return false;
    };
    let lower = last.to_lowercase();
    let mut list = words(&lower);
    let first = list.next().unwrap_or("");
    let named = Sentence::new("", body.get(..body.len() - last.len()).unwrap_or(""));
    !before.trim().is_empty()
        && (is_correction_word(first) || interjects(first))
        && list.take(8).any(|word| {
            let stem = ["은", "는", "이", "가"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            named.is_key(stem)
        })
}

fn interjects(word: &str) -> bool {
    is_one_of(
        word,
        &[
            "actually",
            "oops",
            "whoops",
            "wait",
            "sorry",
            "no",
            "apologies",
            "err",
            "hmm",
            "correction",
            "erratum",
        ],
    ) || matches!(word, "사실" | "아니" | "앗" | "아차" | "잠깐" | "죄송합니다" | "정정" | "정정하면")
}

fn is_empty(tree: &Tree, node: NodeId, source: &str) -> bool {
    !matches!(tree.node(node).kind(), Kind::Object | Kind::Array)
        && tree.node(node).span().of(source).trim().is_empty()
        || tree.node(node).kind() == Kind::Null && tree.node(node).span().is_empty()
}

/// `Actually, price: 5`, `Correction: price: 5`, `정정: 가격은 5`
fn corrects(key: &str, tree: &Tree, child: NodeId, root: NodeId, source: &str) -> bool {
    let lower = key.trim_matches(['*', '_', ' ']).to_lowercase();
    let mut list = words(&lower);
    let first = list.next().unwrap_or("");
    let more: Vec<&str> = list.collect();
    let known = |name: &str| {
        tree.children(root).take(KEYS).any(|other| {
            other != child && tree.key(other, source).is_some_and(|key| key.trim().eq_ignore_ascii_case(name))
        })
    };
    let interjected = interjects(first);
    if interjected && more.last().is_some_and(|last| known(last)) {
        return true;
    }
    if !more.is_empty() || !(is_correction_word(first) || interjected) {
        return false;
    }
    // The value names another key of the mapping, or is a sentence about it.
    let node = tree.node(child);
    let value = match node.kind() {
        Kind::Object | Kind::Array => {
            return tree.children(child).any(|inner| tree.key(inner, source).is_some_and(known));
        }
        _ => tree.text(child, source),
    };
    let value = value.get(..value.floor_char_boundary(240)).unwrap_or("");
    words(value).take(8).any(|word| {
        known(word)
            || (word.chars().any(is_hangul)
                && ["은", "는", "이", "가", "을", "를"]
                    .iter()
                    .any(|end| word.strip_suffix(end).is_some_and(known)))
    })
}
