//! Markdown tables: a list of objects, a row each.

use super::document::{Origin, clip};
use super::line::{Line, is_blank, lines};
use super::machine::{Key, Machine, Shape, State};
use super::region::Region;
use super::scan::Input;
use crate::report::Rule;
use crate::tree::{Kind, Node, Quote, Span, Text};

impl Machine {
    /// Attaches a cell whose text holds bars that do not end it.
    fn attach_unescaped(&mut self, word: &str, cell: Span) {
        let start = self.tree.scratch.len();
        self.tree.scratch.push_str(&word.replace("\\|", "|"));
        let text = Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true };
        let mut node = Node::new(Kind::String(Quote::None), clip(cell.start), clip(cell.end));
        node.set_text(text);
        node.set_complete(true);
        self.attach(node);
    }

    /// Reads a region whose lines begin with bars; `false` if it has no line under its header.
    pub(super) fn table(
        &mut self,
        cx: Input<'_>,
        region: Region,
        origin: Option<Origin>,
        fixes: u32,
    ) -> bool {
        let rows: Vec<Line> =
            lines(cx, region.start, region.end).filter(|l| !is_blank(*l) && cx.at(l.text) == b'|').collect();
        let (Some(head), Some(rule)) = (rows.first(), rows.get(1)) else { return false };
        if !cx.slice(rule.text, rule.end).bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' ')) {
            return false;
        }
        let names = cells(cx, *head);
        self.begin_candidate(region.start, origin.unwrap_or(Origin::Markdown), fixes);
        self.push_frame(Shape::Array, region.start, region.start);
        for row in rows.iter().skip(2) {
            self.push_frame(Shape::Object, row.text, row.text);
            if self.state == State::Skip {
                break;
            }
            let cells = cells(cx, *row);
            if let Some(surplus) = cells.get(names.len()) {
                self.lossy(Rule::DroppedText, surplus.start, row.end);
            }
            for (name, cell) in names.iter().zip(cells) {
                let text = Text { start: clip(name.start), end: clip(name.end), owned: false };
                let hash = self.hash_key(cx, text);
                self.key = Some(Key { start: text.start, end: text.end, text, quoted: false, hash });
                let word = cell.of(cx.text);
                if word.contains("\\|") {
                    self.attach_unescaped(word, cell);
                    continue;
                }
                let kind = if word.is_empty() { Kind::Null } else { self.unquoted(word, cell.start) };
                self.attach_plain(kind, cell);
            }
            self.pop(cx, row.end, true);
        }
        while !self.stack.is_empty() {
            self.pop(cx, region.end, true);
        }
        self.repaired(Rule::MarkdownTable, region.start, region.end);
        self.pos = region.end;
        self.finish_candidate(cx);
        self.state = State::Done;
        true
    }
}

/// Splits a row at its bars; `\|` is no bar.
fn cells(cx: Input<'_>, line: Line) -> Vec<Span> {
    let text = cx.slice(line.text, line.end);
    let inner = text.strip_prefix('|').unwrap_or(text);
    let mut at = line.text + (text.len() - inner.len());
    let inner = inner.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(inner);
    let mut spans = Vec::new();
    let mut escaped = false;
    let bar = |c: char| {
        let ends = c == '|' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    };
    for cell in inner.split(bar) {
        let trimmed = cell.trim();
        let start = at + (cell.len() - cell.trim_start().len());
        spans.push(Span::new(start, start + trimmed.len()));
        at += cell.len() + 1;
    }
    spans
}
