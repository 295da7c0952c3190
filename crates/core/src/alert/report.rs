//! How alerts read in Slack.

use std::fmt::Write as _;

use super::ledger::{Batch, Entry};
use super::rules::{MESSAGE, Rules};
use crate::slack::escape;
use crate::time::Timestamp;

/// The longest text of one kind of error, in bytes; ten of them stay below the 40,000 characters that Slack takes.
const ENTRY_BYTES: usize = 3_000;

/// Who speaks.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) service: String,
    pub(super) node: Option<String>,
}

impl Identity {
    /// Writes a message; `down_since` says from when on Slack did not take any.
    pub(super) fn report(&self, batch: &Batch, down_since: Option<Timestamp>, rules: &Rules) -> String {
        let mut text = format!(":rotating_light: *{}*", escape(&self.service));
        if let Some(node) = &self.node {
            let _ = write!(text, " on {}", escape(node));
        }
        let _ = write!(
            text,
            ": {}, {}",
            counted(batch.entries.len() as u64, "kind of error", "kinds of errors"),
            counted(batch.count() + batch.spilled, "error", "errors")
        );
        if let Some(since) = down_since {
            let _ = write!(text, "\nSlack took no messages since {}.", second(since));
        }
        if batch.spilled > 0 {
            let more = counted(batch.spilled, "more error was", "more errors were");
            let _ = write!(text, "\n{more} counted and not kept.");
        }
        for entry in &batch.entries {
            text.push('\n');
            text.push_str(&paragraph(entry, rules));
        }
        text
    }
}

fn paragraph(entry: &Entry, rules: &Rules) -> String {
    let metadata = entry.metadata;
    let mut text = format!("*{}* ×{} `{}`", metadata.level(), entry.count, escape(metadata.target()));
    if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
        let _ = write!(text, " {}:{line}", escape(file));
    }
    let _ = write!(text, " · {}", second(entry.first));
    if entry.last > entry.first {
        let _ = write!(text, " to {}", second(entry.last));
    }
    let sample = &entry.sample;
    let shown: Vec<(&str, String)> = sample
        .fields
        .iter()
        .filter_map(|(name, value)| Some((*name, rules.redacted(name, value)?)))
        .collect();
    if let Some((_, message)) = shown.iter().find(|(name, _)| *name == MESSAGE) {
        let _ = write!(text, "\n> {}", one_line(message));
    }
    let fields: Vec<String> = shown
        .iter()
        .filter(|(name, _)| *name != MESSAGE)
        .map(|(name, value)| format!("{name}={}", one_line(value)))
        .collect();
    if !fields.is_empty() {
        let _ = write!(text, "\n> {}", fields.join(" "));
    }
    text.truncate(text.floor_char_boundary(ENTRY_BYTES));
    if !sample.withheld.is_empty() {
        let _ = write!(text, "\n> withheld: {}", sample.withheld.join(", "));
    }
    if let Some(trace) = &sample.trace {
        let _ = write!(text, "\n> trace {trace}");
    }
    text
}

/// A value in one line, so that it stays within its quote and pretends to be nothing else.
fn one_line(text: &str) -> String {
    escape(text).split(char::is_control).collect::<Vec<_>>().join(" ")
}

fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000)
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
