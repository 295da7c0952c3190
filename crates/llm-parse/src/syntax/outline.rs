//! Line by line: YAML, key-value lists and Markdown lists.
//!
//! Follows the block styles of YAML 1.2 (chapter 8) as far as models use them, on an explicit stack of indentations.

use super::document::{Origin, clip};
use super::line::{Entry, Line, entry, is_blank, lines, not_an_item};
use super::literal::classify;
use super::machine::{Key, Machine, Shape, State};
use super::region::Region;
use super::scan::Input;
use crate::report::{Rule, Severity};
use crate::tree::{Kind, Node, Quote, Span, Text};

#[derive(Clone, Copy)]
struct Level {
    indent: usize,
    list: bool,
}

impl Machine {
    /// Reads outlines in a stretch of text; with `only_whole`, only one that takes all of it.
    pub(super) fn outlines(
        &mut self,
        cx: Input<'_>,
        area: Span,
        origin: Option<Origin>,
        only_whole: bool,
    ) -> bool {
        let regions = self.regions(cx, area, only_whole);
        let mut found = false;
        for region in regions {
            let enough = region.entries > 1 || (region.whole && (!only_whole || is_flow(cx, region)));
            if !enough {
                continue;
            }
            found |= self.outline(cx, region, origin);
        }
        found
    }

    /// Reads the outlines amid other text that hold a value in brackets, which may be a value of theirs.
    pub(super) fn outlines_around(&mut self, cx: Input<'_>, area: Span) {
        for region in self.regions(cx, area, false) {
            let first = self.candidates.partition_point(|candidate| candidate.span.start < region.start);
            let holds = self.candidates.get(first).is_some_and(|inner| {
                inner.span.end <= region.end
                    && inner.span.start > region.start
                    && inner.origin == Origin::Prose
            });
            if holds && (region.entries > 1 || is_flow(cx, region)) {
                self.outline(cx, region, None);
            }
        }
    }

    /// Reads one outline.
    fn outline(&mut self, cx: Input<'_>, region: Region, origin: Option<Origin>) -> bool {
        let first = lines(cx, region.start, region.end).find(|line| !is_blank(*line));
        let Some(first) = first else { return false };
        let fixes = clip(self.fixes.len());
        if cx.at(first.text) == b'|' {
            return self.table(cx, region, origin, fixes);
        }
        let cx = Input::new(cx.slice(0, region.end), true);
        self.begin_candidate(region.start, origin.unwrap_or(Origin::Yaml), fixes);
        self.in_vain = 0;
        let mut levels: Vec<Level> = Vec::new();
        let mut markdown = false;
        let mut skip = region.start;
        let mut last_indent = None::<usize>;
        for line in lines(cx, region.start, region.end) {
            if is_blank(line) || line.start < skip {
                continue;
            }
            let text = cx.slice(line.text, line.end);
            if text.starts_with('#') {
                self.cosmetic(Rule::Comment, line.text, line.end);
                continue;
            }
            if text == "---" || text == "..." {
                continue;
            }
            let read = self.entries(cx, line, &mut levels, &mut last_indent, &mut markdown, region.end);
            let Some(end) = read else {
                self.lossy(Rule::DroppedText, line.text, region.end);
                break;
            };
            skip = end;
        }
        if let Some(lead) = region.lead {
            self.lossy(Rule::DroppedText, lead.start, lead.end);
        }
        if let Some(end) = region.odd_item {
            self.lossy(Rule::DroppedText, region.end, end);
        }
        self.settle(cx, region.end);
        while !self.stack.is_empty() {
            self.pop(cx, region.end, true);
        }
        let Some(open) = self.open else { return false };
        if open.root as usize >= self.tree.nodes.len() {
            self.open = None;
            return false;
        }
        let rule = if markdown { Rule::MarkdownList } else { Rule::Yaml };
        if let (true, None, Some(open)) = (markdown, origin, &mut self.open) {
            open.origin = Origin::Markdown;
        }
        self.fix(
            rule,
            if markdown { Severity::Repaired } else { Severity::Cosmetic },
            region.start,
            region.end,
        );
        self.pos = region.end;
        self.finish_candidate(cx);
        self.state = State::Done;
        true
    }

    /// Gives a key or item that has no value a null.
    fn settle(&mut self, _cx: Input<'_>, at: usize) {
        if let Some(key) = self.key {
            let end = key.end.min(clip(at));
            let mut node = Node::new(Kind::Null, end, end);
            node.set_complete(true);
            self.attach(node);
        }
    }

    /// Reads one line; returns from where to go on, `None` when it is no part of the outline.
    fn entries(
        &mut self,
        cx: Input<'_>,
        line: Line,
        levels: &mut Vec<Level>,
        last_indent: &mut Option<usize>,
        markdown: &mut bool,
        limit: usize,
    ) -> Option<usize> {
        let mut at = line.text;
        let mut pending_item = false;
        loop {
            let column = at - line.start;
            if at >= line.end {
                if pending_item {
                    // `-` alone: the item follows on deeper lines, or is null.
                    let next = lines(cx, (line.end + 1).min(limit), limit).find(|l| !is_blank(*l));
                    if next.is_none_or(|next| next.text - next.start <= line.text - line.start) {
                        self.attach_plain(Kind::Null, Span::new(line.end, line.end));
                    }
                }
                return Some(line.end);
            }
            let what = entry(cx, at, line.end);
            if what == Entry::None {
                return Some(self.scalar_line(cx, line, at, levels, pending_item, last_indent, limit));
            }
            let list = matches!(what, Entry::Item { .. });
            // An entry that stands less deep closes what is open below it.
            while let Some(top) = levels.last().copied() {
                let deeper = top.indent > column;
                let list_ends = top.indent == column && top.list && !list;
                if !(deeper || list_ends) {
                    break;
                }
                self.settle(cx, line.start);
                levels.pop();
                self.pop(cx, line.start.saturating_sub(1), true);
            }
            match levels.last().copied() {
                Some(top) if top.indent == column && top.list == list => {
                    self.settle(cx, line.start);
                }
                top => {
                    let under_key = top.is_some_and(|top| !top.list) && self.key.is_some();
                    let under_item = top.is_some_and(|top| top.list);
                    if !(under_key || under_item || top.is_none()) {
                        return None;
                    }
                    if top.is_none()
                        && self.open.is_some_and(|open| (open.root as usize) < self.tree.nodes.len())
                    {
                        return None;
                    }
                    if self.stack.len() >= self.limits.max_depth() {
                        self.lossy(Rule::DepthLimit, at, limit);
                        return None;
                    }
                    self.push_frame(if list { Shape::Array } else { Shape::Object }, at, at);
                    if let Some(frame) = self.stack.last_mut() {
                        frame.bare = true;
                    }
                    levels.push(Level { indent: column, list });
                }
            }
            match what {
                Entry::Item { len, markdown: other } => {
                    *markdown |= other;
                    at += len;
                    *last_indent = Some(column);
                    pending_item = true;
                }
                Entry::Field { name, quoted, value } => {
                    let text = Text { start: clip(name.start), end: clip(name.end), owned: false };
                    let hash = self.hash_key(cx, text);
                    self.key = Some(Key { start: clip(at), end: clip(value), text, quoted, hash });
                    *last_indent = Some(column);
                    let blanks =
                        cx.slice(value, line.end).len() - cx.slice(value, line.end).trim_start().len();
                    let from = value + blanks;
                    if from >= line.end || comment_at(cx.slice(from, line.end)) == Some(0) {
                        return Some(line.end);
                    }
                    return Some(self.value_text(cx, line, from, column, limit));
                }
                Entry::None => {}
            }
        }
    }

    /// Reads a line that starts with neither a marker nor a key.
    #[expect(clippy::too_many_arguments, reason = "the state of one line, passed on as it is")]
    fn scalar_line(
        &mut self,
        cx: Input<'_>,
        line: Line,
        at: usize,
        levels: &[Level],
        pending_item: bool,
        last_indent: &mut Option<usize>,
        limit: usize,
    ) -> usize {
        if pending_item && let Some(rule) = not_an_item(cx.slice(at, line.end)) {
            self.lossy(rule, at, line.end);
            return line.end;
        }
        if pending_item || self.key.is_some() {
            let indent = levels.last().map_or(0, |level| level.indent);
            return self.value_text(cx, line, at, indent, limit);
        }
        // A deeper line goes on with the text before it.
        let last = self.stack.last().map(|frame| frame.last as usize);
        let text = last.and_then(|last| self.tree.nodes.get(last).map(|node| (last, node.kind)));
        if last_indent.is_some_and(|indent| line.text - line.start > indent)
            && let Some((last, kind)) = text
            && !matches!(kind, Kind::Array | Kind::Object)
        {
            let start = self.tree.scratch.len();
            self.tree.scratch.push(' ');
            self.tree.scratch.push_str(cx.slice(at, line.end));
            let text = Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true };
            self.join(cx, text, line.end, true);
            if let Some(node) = self.tree.nodes.get_mut(last) {
                node.kind = Kind::String(Quote::None);
            }
            return line.end;
        }
        self.lossy(Rule::DroppedText, at, line.end);
        line.end
    }

    /// Reads the value that starts at `from`; returns where it ends.
    fn value_text(&mut self, cx: Input<'_>, line: Line, from: usize, indent: usize, limit: usize) -> usize {
        let text = cx.slice(from, line.end);
        let first = text.as_bytes().first().copied().unwrap_or(0);
        match first {
            b'|' | b'>' if text.bytes().all(|b| matches!(b, b'|' | b'>' | b'+' | b'-' | b'0'..=b'9')) => {
                return self.block(cx, line, from, indent, limit);
            }
            b'&' | b'!' => {
                // An anchor or tag says nothing about the value.
                let len = text.find(' ').unwrap_or(text.len());
                self.lossy(Rule::YamlReference, from, from + len);
                let rest = text.get(len..).unwrap_or("");
                let next = from + len + (rest.len() - rest.trim_start().len());
                if next >= line.end {
                    return line.end;
                }
                if !matches!(cx.at(next), b'&' | b'!') {
                    return self.value_text(cx, line, next, indent, limit);
                }
            }
            b'*' if text.len() > 1
                && text.bytes().skip(1).all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
            {
                self.lossy(Rule::YamlReference, from, line.end);
            }
            b'{' | b'[' | b'"' | b'\'' => {
                // What reads over the lines below in vain is read again as lines; that must not happen at every line.
                let end =
                    if self.in_vain > limit { line.end } else { flow_end(cx, line, from, indent, limit) };
                if self.embedded(cx, from, end) {
                    return end;
                }
                self.in_vain += end - line.end;
            }
            _ => {}
        }
        let end = from + comment_at(text).unwrap_or(text.len());
        let word = cx.slice(from, end).trim_end();
        let kind = match word {
            "~" => Kind::Null,
            _ => self.unquoted(word, from),
        };
        if end < line.end {
            // Behind words it may be more of them.
            let severity = if kind == Kind::Word { Severity::Lossy } else { Severity::Cosmetic };
            self.fix(Rule::Comment, severity, end, line.end);
        }
        self.attach_plain(kind, Span::new(from, from + word.len()));
        line.end
    }

    /// Recognises what stands without quotes; a number that may be none (`010`) is told.
    pub(super) fn unquoted(&mut self, word: &str, from: usize) -> Kind {
        let (kind, rule) = classify(word);
        if let Some((rule, Severity::Ambiguous)) = rule {
            self.fix(rule, Severity::Ambiguous, from, from + word.len());
        }
        kind
    }

    pub(super) fn attach_plain(&mut self, kind: Kind, span: Span) {
        let mut node = Node::new(kind, clip(span.start), clip(span.end));
        node.set_complete(true);
        self.attach(node);
    }

    /// Reads `from..to` as one JSON-like value below the top frame.
    pub(super) fn embedded(&mut self, cx: Input<'_>, from: usize, to: usize) -> bool {
        let nodes = self.tree.nodes.len();
        let fixes = self.fixes.len();
        let key = self.key.take();
        let stack = std::mem::take(&mut self.stack);
        let (objects, arrays) = (self.objects, self.arrays);
        let count = self.read_items(cx, from, to, Shape::Array);
        let fits = count == 1 && self.pos >= to;
        let item = self.tree.nodes.get(nodes).map_or(crate::tree::NONE, |wrapper| wrapper.first_child);
        self.stack = stack;
        self.objects = objects;
        self.arrays = arrays;
        self.key = key;
        let value = self.tree.nodes.get(item as usize).copied();
        let Some(mut value) = value.filter(|_| fits) else {
            self.tree.nodes.truncate(nodes);
            self.fixes.truncate(fixes);
            return false;
        };
        // The wrapper stays in the arena, belonging to nothing.
        value.next = crate::tree::NONE;
        self.attach(value);
        true
    }

    /// Reads `from..to` as the inside of a bracket that is not there; returns the number of items.
    pub(super) fn read_items(&mut self, cx: Input<'_>, from: usize, to: usize, shape: Shape) -> u32 {
        let piece = Input::new(cx.slice(0, to), true);
        self.stack.clear();
        self.objects = 0;
        self.arrays = 0;
        self.key = None;
        self.memo = 0;
        self.push_frame(shape, from, from);
        if let Some(frame) = self.stack.last_mut() {
            frame.bare = true;
        }
        self.run_value(piece);
        let count = self.closed.map_or(0, |frame| frame.count);
        self.closed = None;
        self.state = State::Done;
        count
    }

    /// Reads a block scalar (`|` keeps line breaks, `>` folds them).
    fn block(&mut self, cx: Input<'_>, line: Line, from: usize, indent: usize, limit: usize) -> usize {
        let header = cx.slice(from, line.end);
        let folded = header.starts_with('>');
        let strip = header.contains('-');
        let start = self.tree.scratch.len();
        let mut own = None::<usize>;
        let mut end = line.end;
        let mut blanks = 0_usize;
        for next in lines(cx, (line.end + 1).min(limit), limit) {
            let depth = next.text - next.start;
            if is_blank(next) {
                blanks += 1;
                continue;
            }
            if depth <= indent && own.is_none_or(|own| depth < own) {
                break;
            }
            let base = *own.get_or_insert(depth);
            if self.tree.scratch.len() > start {
                let breaks = if folded { if blanks == 0 { 0 } else { blanks } } else { blanks + 1 };
                if folded && blanks == 0 {
                    self.tree.scratch.push(' ');
                }
                self.tree.scratch.extend(std::iter::repeat_n('\n', breaks));
            }
            blanks = 0;
            let cut = next.start + base.min(depth);
            self.tree.scratch.push_str(cx.slice(cut, next.end));
            end = next.end;
        }
        if !strip && self.tree.scratch.len() > start {
            self.tree.scratch.push('\n');
        }
        let mut node = Node::new(Kind::String(Quote::None), clip(from), clip(end));
        node.set_text(Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true });
        node.set_complete(true);
        self.attach(node);
        end
    }
}

/// Finds the comment at the end of a line: a `#` between blanks, or behind a number or a literal; not `issue #12` or
/// `#general`.
fn comment_at(text: &str) -> Option<usize> {
    text.match_indices('#').map(|(at, _)| at).find(|at| {
        let (before, after) = text.split_at(*at);
        (before.is_empty() || before.ends_with([' ', '\t']))
            && (after.get(1..).is_none_or(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
                || ((1..40).contains(&before.len()) && classify(before.trim_end()).0 != Kind::Word))
    })
}

/// Tells whether a region begins with a key whose value is in brackets: `tags: [x, y]`.
fn is_flow(cx: Input<'_>, region: Region) -> bool {
    let first = lines(cx, region.start, region.end).find(|line| !is_blank(*line));
    first.is_some_and(|line| match entry(cx, line.text, line.end) {
        Entry::Field { value, .. } => cx.slice(value, line.end).trim_start().starts_with(['[', '{']),
        _ => false,
    })
}

/// Finds the end of a flow value: of the line on which its own bracket or quote closes. Lines after its own belong to it
/// while they are deeper, blank, or begin with a closing bracket.
fn flow_end(cx: Input<'_>, line: Line, from: usize, indent: usize, limit: usize) -> usize {
    let mut open = 0_usize;
    let mut quote = 0_u8;
    let mut escaped = false;
    let mut at = from;
    let mut end = line.end;
    loop {
        for byte in cx.bytes.get(at..end).unwrap_or(&[]) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quote != 0 => escaped = true,
                _ if quote != 0 && *byte != quote => {}
                _ if quote != 0 => {
                    quote = 0;
                    if open == 0 {
                        return end;
                    }
                }
                b'"' => quote = b'"',
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        return end;
                    }
                }
                _ => {}
            }
        }
        if open == 0 && quote == 0 {
            return end;
        }
        let next = lines(cx, (end + 1).min(limit), limit).next();
        match next {
            Some(next)
                if is_blank(next)
                    || next.text - next.start > indent
                    || matches!(cx.at(next.text), b'}' | b']') =>
            {
                at = next.start;
                end = next.end.max(next.start);
            }
            _ => return end,
        }
    }
}
