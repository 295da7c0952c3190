//! What an edit changes, line by line, and within a line word by word.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use utoipa::ToSchema;

use crate::resume::{Line, Resume, Section};

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It stays.
    Same,
    /// It says it in other words.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// Some words, and whether both texts have them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Words {
    /// `same`, `added` or `removed`.
    pub(crate) fate: Fate,
    pub(crate) text: String,
}

/// A line before and after.
#[derive(Serialize, ToSchema)]
pub(crate) struct Change {
    pub(crate) fate: Fate,
    pub(crate) section: Section,
    pub(crate) line: String,
    pub(crate) words: Vec<Words>,
    /// The record that proves it now, or did.
    pub(crate) record: String,
    pub(crate) quote: String,
    pub(crate) url: String,
    /// Whether the words say it: else it is not shared.
    pub(crate) is_said: bool,
}

/// Tells what becomes of each line, in the order of the sections; new lines stand behind the others.
pub(crate) fn changes(before: &Resume, after: &Resume) -> Vec<Change> {
    let mut changes: Vec<Change> = before
        .lines
        .iter()
        .map(|old| match after.lines.iter().find(|new| new.id == old.id) {
            None => change(Fate::Removed, old, vec![Words { fate: Fate::Removed, text: old.text.clone() }]),
            Some(new) if new == old => {
                change(Fate::Same, new, vec![Words { fate: Fate::Same, text: new.text.clone() }])
            }
            Some(new) => change(Fate::Changed, new, words(&old.text, &new.text)),
        })
        .collect();
    let added = after.lines.iter().filter(|new| before.lines.iter().all(|old| old.id != new.id));
    changes.extend(
        added.map(|new| change(Fate::Added, new, vec![Words { fate: Fate::Added, text: new.text.clone() }])),
    );
    changes.sort_by_key(|change| change.section);
    changes
}

fn change(fate: Fate, line: &Line, words: Vec<Words>) -> Change {
    Change {
        fate,
        section: line.section,
        line: line.id.clone(),
        words,
        is_said: line.is_said,
        record: line.record.clone(),
        quote: line.quote.clone(),
        url: line.url.clone(),
    }
}

fn words(before: &str, after: &str) -> Vec<Words> {
    let mut runs: Vec<Words> = Vec::new();
    for change in TextDiff::from_words(before, after).iter_all_changes() {
        let fate = match change.tag() {
            ChangeTag::Equal => Fate::Same,
            ChangeTag::Delete => Fate::Removed,
            ChangeTag::Insert => Fate::Added,
        };
        match runs.last_mut().filter(|run| run.fate == fate) {
            Some(run) => run.text.push_str(change.value()),
            None => runs.push(Words { fate, text: change.value().to_owned() }),
        }
    }
    runs
}
