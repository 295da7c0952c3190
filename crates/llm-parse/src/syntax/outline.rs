//! Line by line: YAML, key-value lists and Markdown lists.
//!
//! Follows the block styles of YAML 1.2 (chapter 8) as far as models use them, on an explicit stack of indentations.

use super::document::{Origin, clip};
use super::machine::{Key, Machine, Shape, State};
use super::scan::{Input, is_quote};
use super::word::classify;
use crate::report::{Rule, Severity};
use crate::tree::{Kind, Node, Quote, Span, Text};

#[derive(Clone, Copy)]
struct Level {
    indent: usize,
    list: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Line {
    start: usize,
    /// Where its text starts.
    pub(super) text: usize,
    pub(super) end: usize,
}

/// Is what a line starts with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// A list marker and its length with the blanks after it.
    Item {
        len: usize,
        markdown: bool,
    },
    /// A key: its text, and where the value starts.
    Field {
        name: Span,
        quoted: bool,
        value: usize,
    },
    None,
}

pub(super) fn lines(cx: Input<'_>, from: usize, to: usize) -> impl Iterator<Item = Line> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let rest = cx.bytes.get(at..to).unwrap_or(&[]);
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let raw = rest.get(..len).unwrap_or(&[]);
        let blanks = raw.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let trimmed = raw.trim_ascii_end().len().max(blanks);
        let line = Line { start: at, text: at + blanks, end: at + trimmed };
        at += len + 1;
        Some(line)
    })
}

pub(super) fn is_blank(line: Line) -> bool {
    line.text >= line.end
}

/// Recognises what stands at `at` on a line that ends at `end`.
fn entry(cx: Input<'_>, at: usize, end: usize) -> Entry {
    let text = cx.slice(at, end);
    let bytes = text.as_bytes();
    let blank = |i: usize| bytes.get(i).is_none_or(|b| *b == b' ' || *b == b'\t');
    let marker = match bytes {
        [b'-', ..] if blank(1) => Some((1, false)),
        [b'*' | b'+', ..] if blank(1) => Some((1, true)),
        [0xE2, 0x80, 0xA2, ..] => Some((3, true)),
        [b'0'..=b'9', ..] => {
            let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            (digits <= 3 && matches!(bytes.get(digits), Some(b'.' | b')')) && blank(digits + 1))
                .then_some((digits + 1, true))
        }
        _ => None,
    };
    if let Some((len, markdown)) = marker {
        let blanks = bytes.get(len..).unwrap_or(&[]).iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        return Entry::Item { len: len + blanks, markdown };
    }
    field(cx, at, end)
}

fn field(cx: Input<'_>, at: usize, end: usize) -> Entry {
    let (first, len) = cx.punct(at);
    if matches!(first, b'{' | b'[' | b'<' | b'|' | b'#' | b'&' | b'>' | b'`') {
        return Entry::None;
    }
    if is_quote(first) && first != b'`' {
        let super::string::Found::At(close) = super::string::find_quote(cx, at + len, first) else {
            return Entry::None;
        };
        let (colon, width) = cx.punct(close);
        let after = close + width;
        if close < end && colon == b':' && (after >= end || cx.space(after) > 0 || width > 1) {
            let closer = if first < b' ' { 3 } else { 1 };
            return Entry::Field { name: Span::new(at + len, close - closer), quoted: true, value: after };
        }
        return Entry::None;
    }
    let mut i = at;
    while i < end && i - at <= 80 {
        let (byte, width) = cx.punct(i);
        let after = i + width;
        let colon =
            byte == b':' && (after >= end || cx.space(after) > 0 || width > 1 || cx.at(after) == b'*');
        let equals = byte == b'=' && i > at && cx.at(i - 1) == b' ' && cx.at(after) == b' ';
        if colon || equals {
            let name = cx.slice(at, i);
            let plain = unemphasised(name);
            let words = plain.split_whitespace().take(7).count();
            let talk = plain.contains(['?', '!', ',', '"', '(', '`']) || plain.contains(". ");
            if plain.is_empty() || words > 5 || talk {
                return Entry::None;
            }
            let from = at + name.find(plain).unwrap_or(0);
            let bold = cx.slice(after, end).bytes().take_while(|b| *b == b'*').count();
            return Entry::Field {
                name: Span::new(from, from + plain.len()),
                quoted: false,
                value: after + bold,
            };
        }
        i = cx.after_char(i);
    }
    Entry::None
}

/// Takes Markdown's emphasis off a key; an underscore of its own (`_id`, `__typename`) stays.
fn unemphasised(name: &str) -> &str {
    let name = name.trim_matches(['*', ' ']);
    let inner = name.trim_matches('_');
    let words = inner.contains(' ') || !inner.is_ascii();
    if name.starts_with('_') && name.ends_with('_') && words { inner } else { name }
}

/// Tells a list item that says "and so on", or that was struck out, from one that is meant.
pub(super) fn not_an_item(text: &str) -> Option<Rule> {
    if let Some(inner) = text.strip_prefix("~~").and_then(|rest| rest.strip_suffix("~~")) {
        return (!inner.is_empty() && !inner.contains("~~")).then_some(Rule::DroppedText);
    }
    let after = text.trim_start_matches(['.', '…']);
    let dots = text.starts_with("...") || text.starts_with('…');
    let rest = after.trim();
    let more = rest.split_whitespace().any(|word| matches!(word, "more" | "others" | "rest" | "remaining"));
    let goes_on = dots && (rest.is_empty() || rest.starts_with('(') || more);
    let words = matches!(
        text.trim_matches(['(', ')', '[', ']', '*', ' ']),
        "이하 생략" | "이하생략" | "중략" | "후략" | "생략" | "등등" | "omitted" | "etc." | "and so on"
    );
    (goes_on || words).then_some(Rule::Ellipsis)
}

/// Is a stretch of lines that reads as one outline.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) end: usize,
    entries: usize,
    whole: bool,
    /// Where a line right below it ends that looks like one more item and is none: `-3` after `- 2`.
    odd_item: Option<usize>,
    /// A line above it that leads in, and may be a key without its value: `name:` and a blank line.
    lead: Option<Span>,
}

/// Words of a line that announces an answer.
const ANNOUNCES: &[&str] = &[
    "answer",
    "answers",
    "result",
    "results",
    "output",
    "response",
    "json",
    "yaml",
    "final",
    "here",
    "following",
    "below",
    "data",
    "summary",
    "list",
    "format",
    "example",
    "draft",
    "note",
    "답",
    "정답",
    "답변",
    "결과",
    "출력",
    "응답",
    "최종",
    "다음",
    "아래",
    "요약",
    "목록",
    "예시",
    "초안",
    "참고",
];

/// Tells whether a line such as `name:` may be a key that has no value, rather than words that lead in.
fn may_be_key(name: &str) -> bool {
    let announces = |word: &str| {
        let word = word.to_lowercase();
        ANNOUNCES.contains(&&*word)
            || (!word.is_ascii()
                && ANNOUNCES.iter().any(|known| !known.is_ascii() && word.starts_with(known)))
    };
    name.split_whitespace().count() < 3 && !name.split(|c: char| !c.is_alphanumeric()).any(announces)
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
            if region.entries < 2 && (only_whole || !region.whole) {
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
            if region.entries > 1 && holds {
                self.outline(cx, region, None);
            }
        }
    }

    fn regions(&self, cx: Input<'_>, area: Span, only_whole: bool) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        let mut open: Option<Region> = None;
        let mut base = 0;
        let mut lead: Option<Line> = None;
        let mut set_aside: Option<Span> = None;
        let mut first = true;
        let mut blank = false;
        let mut skip = 0;
        let mut candidates = self.candidates.iter().peekable();
        for line in lines(cx, area.start, area.end) {
            if is_blank(line) {
                if let Some(key) = lead.take()
                    && open.is_some_and(|region| region.start == key.start)
                {
                    // `Here it is:` and a blank line: the lead-in, not a key.
                    open = None;
                    first = true;
                    set_aside = Some(Span::new(key.text, key.end));
                }
                blank = true;
                continue;
            }
            while candidates.next_if(|c| c.span().end <= line.start).is_some() {}
            if let Some(candidate) = candidates.peek()
                && candidate.span().start < line.start
            {
                skip = skip.max(candidate.span().end);
            }
            let indent = line.text - line.start;
            let text = cx.slice(line.text, line.end);
            let fence = text.starts_with("```") || text.starts_with("~~~");
            let kind = if fence { Entry::None } else { entry(cx, line.text, line.end) };
            let mark = text.starts_with('#') || text == "---" || text == "...";
            let row = text.starts_with('|');
            let goes_on = open.is_some() && (indent > base || mark || (line.start < skip));
            let is_entry = (kind != Entry::None || row) && line.start >= skip;
            if is_entry || goes_on {
                let count = usize::from(is_entry);
                match &mut open {
                    Some(region) if !(blank && indent < base) => {
                        region.end = line.end;
                        region.entries += count;
                    }
                    _ => {
                        regions.extend(open.take());
                        base = indent;
                        open = Some(Region {
                            start: line.start,
                            end: line.end,
                            entries: count,
                            whole: first,
                            odd_item: None,
                            lead: set_aside.take().filter(|lead| {
                                let name = lead.of(cx.text).trim_end_matches([':', '：']);
                                matches!(kind, Entry::Field { .. }) && may_be_key(unemphasised(name))
                            }),
                        });
                    }
                }
                set_aside = None;
                let bare_key = matches!(kind, Entry::Field { value, .. } if value >= line.end);
                lead = (bare_key && open.is_some_and(|region| region.start == line.start)).then_some(line);
            } else if !(mark && open.is_none()) {
                if let (Some(region), false, true) = (&mut open, blank, text.starts_with(['-', '*', '+'])) {
                    region.odd_item = (cx.at(region.start + base) == cx.at(line.text)).then_some(line.end);
                }
                regions.extend(open.take());
                if only_whole {
                    return Vec::new();
                }
                first = false;
                for region in &mut regions {
                    region.whole = false;
                }
            }
            blank = false;
        }
        if let Some(key) = lead
            && open.is_some_and(|region| region.start == key.start && region.entries == 1)
        {
            open = None;
        }
        regions.extend(open);
        if regions.len() > 1 {
            for region in &mut regions {
                region.whole = false;
            }
            if only_whole {
                return Vec::new();
            }
        }
        regions
    }

    fn outline(&mut self, cx: Input<'_>, region: Region, origin: Option<Origin>) -> bool {
        let first = lines(cx, region.start, region.end).find(|line| !is_blank(*line));
        let Some(first) = first else { return false };
        let fixes = clip(self.fixes.len());
        if cx.at(first.text) == b'|' {
            return self.table(cx, region, origin, fixes);
        }
        let cx = Input::new(cx.slice(0, region.end), true);
        self.begin_candidate(region.start, origin.unwrap_or(Origin::Yaml), fixes);
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
                    if from >= line.end || cx.at(from) == b'#' {
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
        if last_indent.is_some_and(|indent| line.text - line.start > indent) && !self.stack.is_empty() {
            let start = self.tree.scratch.len();
            self.tree.scratch.push(' ');
            self.tree.scratch.push_str(cx.slice(at, line.end));
            let text = Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true };
            self.join(cx, text, line.end, true);
            if let Some(last) = self.stack.last().map(|frame| frame.last)
                && let Some(node) = self.tree.nodes.get_mut(last as usize)
                && !matches!(node.kind, Kind::Array | Kind::Object)
            {
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
                let end = flow_end(cx, line, from, indent, limit);
                if self.embedded(cx, from, end) {
                    return end;
                }
            }
            _ => {}
        }
        let end = from + text.find(" #").unwrap_or(text.len());
        if end < line.end {
            self.cosmetic(Rule::Comment, end + 1, line.end);
        }
        let word = cx.slice(from, end).trim_end();
        let kind = match word {
            "~" => Kind::Null,
            _ => self.unquoted(word, from),
        };
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
        let root = self.tree.nodes.len().saturating_sub(1);
        if let Some(frame) = self.stack.last_mut() {
            frame.bare = true;
        }
        self.run_value(piece);
        let count = self.closed.map_or(0, |frame| frame.count);
        self.closed = None;
        self.state = State::Done;
        let _ = root;
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

/// Finds the end of a flow value: its line, and the deeper or closing lines after it while brackets are open.
fn flow_end(cx: Input<'_>, line: Line, from: usize, indent: usize, limit: usize) -> usize {
    let mut open = 0_i64;
    let mut end = line.end;
    let mut quote = 0_u8;
    let mut at = from;
    loop {
        for byte in cx.bytes.get(at..end).unwrap_or(&[]) {
            match byte {
                _ if quote != 0 && *byte == quote => {
                    quote = 0;
                }
                b'"' => quote = b'"',
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
        }
        if open <= 0 && quote == 0 {
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
