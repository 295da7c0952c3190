//! The end of an answer: what is only known once all of it was read.

use super::aside::{is_set_aside, leads_to_value};
use super::closer::{Found, find_quote};
use super::cue::{self, Neighbours};
use super::document::{Candidate, Cue, Document, LARGEST, Limits, Origin, Recycled, clip};
use super::key::key_at;
use super::literal::classify;
use super::machine::{Machine, Shape, State};
use super::prose::Block;
use super::scan::{Input, Solid, Tri, is_quote};
use crate::report::Rule;
use crate::tree::{Kind, NONE, Node, NodeId, Quote, Span, Text};

/// Reads a whole answer, in memory that is at hand.
pub(crate) fn read(source: &str, limits: &Limits, memory: Recycled) -> Document {
    // Places are kept in 32 bits; what lies beyond them is not read.
    let end = source.floor_char_boundary(LARGEST);
    let whole = end == source.len();
    let source = source.get(..end).unwrap_or("");
    let mut machine = Machine { tree: memory.tree, fixes: memory.fixes, ..Machine::new(limits) };
    // Answers have a value every 20 bytes or so; growing in steps would copy the nodes time and again.
    machine.tree.nodes.reserve((source.len() / 20).min(1 << 16));
    machine.fixes.reserve((source.len() / 64).min(1 << 14));
    machine.run(Input::new(source, true));
    let mut document = machine.into_document(source);
    if !whole {
        document.mark_cut_short();
    }
    document
}

fn trim(source: &str, span: Span) -> Span {
    let text = span.of(source);
    let start = span.start + (text.len() - text.trim_start().len());
    Span::new(start, start + text.trim().len())
}

impl Machine {
    /// Takes a single step loop to the end of one value.
    pub(super) fn run_value(&mut self, cx: Input<'_>) {
        while !matches!(self.state, State::Closed | State::Prose | State::Done) && self.step(cx) {}
    }

    /// Completes the candidates after the last step.
    pub(crate) fn into_document(mut self, source: &str) -> Document {
        let cx = Input::new(source, true);
        self.log = None;
        if self.candidates.len() > self.limits.max_values() {
            let candidates = self.candidates;
            return Document {
                tree: self.tree,
                candidates,
                fixes: self.fixes,
                reasoning: None,
                cut_short: true,
            };
        }
        let area = self.area(source);
        self.mark_whole(area);
        self.blocks(cx);
        let first = self.candidates.len();
        let structured = self.candidates.iter().any(|c| !c.thinking);
        let whole = self.candidates.iter().any(|c| !c.thinking && c.origin == Origin::Whole);
        let fields = !whole && !area.is_empty() && self.rest(cx, area, structured);
        self.sequences(cx, area);
        let added: Vec<Candidate> = self.candidates.drain(first..).collect();
        // A reading of the whole answer comes before its parts, unless one object makes up most of it.
        let most = self.candidates.iter().any(|c| {
            !c.thinking && self.tree.node(c.root).kind() == Kind::Object && c.span.len() * 2 > area.len()
        });
        let (mut front, back): (Vec<Candidate>, Vec<Candidate>) = added.into_iter().partition(|c| {
            let lines = matches!(c.origin, Origin::Yaml | Origin::Markdown);
            // `Answer: [1, 2]` is the list first.
            let one = structured && lines && self.tree.children(c.root).nth(1).is_none();
            c.span.start <= area.start && c.span.end >= area.end && !(most && lines) && !one
        });
        if fields {
            // What stands in the fields of an answer without its braces is no answer of its own.
            self.candidates.retain(|c| c.thinking || !area.contains(c.span));
        }
        front.append(&mut self.candidates);
        front.extend(back);
        self.candidates = front;
        self.surroundings(source);
        self.text(source, area);
        // Values that stand in reasoning come last.
        let (mut candidates, thinking): (Vec<Candidate>, Vec<Candidate>) =
            self.candidates.iter().partition(|c| !c.thinking);
        candidates.extend(thinking);
        let reasoning = self.around.reasoning.first().copied();
        Document { tree: self.tree, candidates, fixes: self.fixes, reasoning, cut_short: false }
    }

    /// Returns the part of the answer that is no reasoning, without the white space around it.
    fn area(&self, source: &str) -> Span {
        let all = Span::new(0, source.len());
        let Some(last) = self.around.reasoning.last() else { return trim(source, all) };
        let after = trim(source, Span::new(last.end, source.len()));
        if !after.is_empty() {
            return after;
        }
        let from = self.around.reasoning.iter().rev().nth(1).map_or(0, |span| span.end);
        trim(source, Span::new(from, last.start))
    }

    fn mark_whole(&mut self, area: Span) {
        for candidate in &mut self.candidates {
            if candidate.origin == Origin::Prose && !candidate.thinking && candidate.span == area {
                candidate.origin = Origin::Whole;
            }
        }
    }

    // ---- fenced blocks without a value ----

    fn blocks(&mut self, cx: Input<'_>) {
        // While blocks are read, the values found before stay as they are: in order.
        let from = self.candidates.len();
        let mut found = Vec::new();
        for block in std::mem::take(&mut self.around.blocks) {
            self.block_value(cx, block);
            found.extend(
                self.candidates
                    .drain(from..)
                    .map(|candidate| Candidate { thinking: block.thinking, ..candidate }),
            );
        }
        self.candidates.append(&mut found);
        self.candidates.sort_by_key(|candidate| candidate.span.start);
    }

    fn block_value(&mut self, cx: Input<'_>, block: Block) {
        let body = trim(cx.text, block.body);
        if body.is_empty() {
            return;
        }
        if block.holds_values {
            self.outlines(cx, Span::new(block.body.start, body.end), None, true);
            return;
        }
        let origin = Origin::Fence { language: block.language };
        let language = block.language.of(cx.text).to_ascii_lowercase();
        let yaml = matches!(language.as_str(), "yaml" | "yml" | "toml" | "ini" | "markdown" | "md");
        if !yaml && self.bare(cx, body, origin) {
            return;
        }
        if matches!(language.as_str(), "xml" | "html" | "")
            && cx.at(body.start) == b'<'
            && self.xml(cx, body, body.start, origin)
        {
            return;
        }
        // Keep the indentation of the first line.
        let lines = Span::new(block.body.start, body.end);
        if self.outlines(cx, lines, Some(origin), false) {
            return;
        }
        self.plain_text(body, origin, false);
    }

    // ---- the rest of the answer ----

    /// Reads what no bracket told; `true` if the answer as a whole is an object without its braces.
    fn rest(&mut self, cx: Input<'_>, area: Span, structured: bool) -> bool {
        let fields = self.opens_with_key(cx, area);
        if (!structured || fields) && self.bare(cx, area, Origin::Bare) {
            return fields;
        }
        if let Some(tag) = self.around.tag.filter(|tag| area.contains(Span::new(*tag, *tag))) {
            let inside = self.candidates.iter().any(|c| c.span.start <= tag && tag < c.span.end);
            if !inside && self.xml(cx, area, tag, Origin::Xml) {
                return false;
            }
        }
        // The first line keeps its indentation.
        let line = cx.text.get(..area.start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
        let from = line.max(self.around.reasoning.last().map_or(0, |span| span.end)).min(area.start);
        let lines = Span::new(from, area.end);
        if !self.outlines(cx, lines, None, structured) && structured {
            self.outlines_around(cx, lines);
        }
        false
    }

    fn opens_with_key(&self, cx: Input<'_>, area: Span) -> bool {
        is_quote(cx.punct(area.start).0) && key_at(cx, area.start, false) == Tri::Yes
    }

    /// Reads a stretch that consists of fields, items or one value without brackets around them.
    fn bare(&mut self, cx: Input<'_>, area: Span, origin: Origin) -> bool {
        let text = area.of(cx.text);
        let (first, len) = cx.punct(area.start);
        let shape = if is_quote(first) {
            match find_quote(cx, area.start + len, first) {
                Found::At(end) => match cx.solid(end) {
                    Solid::At { byte: b':' | b'=', .. } => Shape::Object,
                    Solid::At { byte: b',' | b'+', .. } | Solid::End => Shape::Array,
                    Solid::At { .. } if text.len() > len && text.ends_with(['"', '\'']) => Shape::Array,
                    _ => return false,
                },
                Found::Far if text.ends_with(['"', '\'', '”', '`']) => Shape::Array,
                _ => return false,
            }
        } else {
            let (kind, _) = classify(text);
            if kind != Kind::Word && text.len() < 400 {
                return self.single(cx, area, kind, origin);
            }
            match first {
                b'(' => Shape::Array,
                b'0'..=b'9' | b'-' | b'+' | b'.' | b't' | b'f' | b'n' | b'T' | b'F' | b'N' if items(text) => {
                    Shape::Array
                }
                _ if call(text) => Shape::Array,
                _ if one_line_fields(text) => Shape::Object,
                _ => return false,
            }
        };
        let fixes = clip(self.fixes.len());
        let nodes = self.tree.nodes.len();
        let count = self.read_items(cx, area.start, area.end, shape);
        let rest =
            cx.slice(self.pos, area.end).trim_matches(|c: char| c.is_whitespace() || "}]);,".contains(c));
        if count == 0 || !rest.is_empty() {
            self.tree.nodes.truncate(nodes);
            self.fixes.truncate(fixes as usize);
            return false;
        }
        let mut root = clip(nodes);
        let mut origin = origin;
        if shape == Shape::Array && count == 1 {
            root = self.tree.nodes.get(nodes).map_or(root, |node| node.first_child);
            if origin == Origin::Bare {
                origin = Origin::Whole;
            }
        } else {
            self.repaired(Rule::MissingOpener, area.start, area.start);
        }
        let complete = self.tree.node(NodeId(root)).is_complete();
        self.push_candidate(area, origin, root, complete, fixes);
        true
    }

    fn single(&mut self, cx: Input<'_>, area: Span, kind: Kind, origin: Origin) -> bool {
        let fixes = clip(self.fixes.len());
        let root = clip(self.tree.nodes.len());
        let mut node = Node::new(kind, clip(area.start), clip(area.end));
        node.set_complete(true);
        self.tree.nodes.push(node);
        if let (_, Some((rule, severity))) = classify(area.of(cx.text)) {
            self.fix(rule, severity, area.start, area.end);
        }
        let origin = if origin == Origin::Bare { Origin::Whole } else { origin };
        self.push_candidate(area, origin, root, true, fixes);
        true
    }

    fn push_candidate(&mut self, span: Span, origin: Origin, root: u32, complete: bool, fixes: u32) {
        self.candidates.push(Candidate {
            span,
            origin,
            cue: Cue::None,
            root: NodeId(root),
            complete,
            thinking: false,
            operand: false,
            before: (0, 0),
            after: (0, 0),
            fixes: (fixes, clip(self.fixes.len())),
        });
    }

    // ---- several values in a row ----

    fn sequences(&mut self, cx: Input<'_>, area: Span) {
        let mut groups: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        for i in 1..=self.candidates.len() {
            let joined = match (self.candidates.get(i - 1), self.candidates.get(i)) {
                (Some(a), Some(b)) => {
                    let value = |c: &Candidate| {
                        matches!(c.origin, Origin::Prose | Origin::Whole | Origin::Fence { .. })
                    };
                    let gap = cx.slice(a.span.end, b.span.start);
                    let near =
                        gap.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '，' | '、'));
                    value(a)
                        && value(b)
                        && !a.thinking
                        && !b.thinking
                        && a.span.end <= b.span.start
                        && near.is_empty()
                }
                _ => false,
            };
            if !joined {
                if i - from > 1 {
                    groups.push((from, i));
                }
                from = i;
            }
        }
        for (from, to) in groups {
            let members: Vec<Candidate> = self.candidates.get(from..to).unwrap_or(&[]).to_vec();
            let (Some(first), Some(last)) = (members.first(), members.last()) else { continue };
            let span = Span::new(first.span.start, last.span.end);
            let fixes = clip(self.fixes.len());
            let (a, b) = (first.fixes.0 as usize, last.fixes.1 as usize);
            let copied = self.fixes.get(a..b).unwrap_or(&[]).to_vec();
            self.fixes.extend(copied);
            self.repaired(Rule::Sequence, span.start, span.end);
            let root = clip(self.tree.nodes.len());
            let mut list = Node::new(Kind::Array, clip(span.start), clip(span.end));
            list.first_child = first.root.0;
            list.set_complete(last.complete);
            self.tree.nodes.push(list);
            for (i, member) in members.iter().enumerate() {
                let next = members.get(i + 1).map_or(NONE, |next| next.root.0);
                if let Some(node) = self.tree.nodes.get_mut(member.root.0 as usize) {
                    node.next = next;
                }
            }
            let mut span = span;
            let tail = cx.slice(span.end, area.end);
            if tail.chars().all(|c| c.is_whitespace() || matches!(c, ',' | ';')) {
                span.end = area.end.max(span.end);
            }
            self.push_candidate(span, Origin::Sequence, root, last.complete, fixes);
        }
    }

    // ---- plain text ----

    fn text(&mut self, source: &str, area: Span) {
        let (text, thinking) = if area.is_empty() {
            (self.around.reasoning.last().copied().unwrap_or(area), !self.around.reasoning.is_empty())
        } else {
            (area, false)
        };
        self.plain_text(text, Origin::Text, thinking);
        if let Some(last) = self.candidates.last_mut() {
            last.cue = cue::headed(text.of(source));
        }
    }

    fn plain_text(&mut self, span: Span, origin: Origin, thinking: bool) {
        let fixes = clip(self.fixes.len());
        let root = clip(self.tree.nodes.len());
        let mut node = Node::new(Kind::String(Quote::None), clip(span.start), clip(span.end));
        node.set_text(Text { start: clip(span.start), end: clip(span.end), owned: false });
        node.set_complete(true);
        self.tree.nodes.push(node);
        self.repaired(Rule::PlainText, span.start, span.end);
        self.push_candidate(span, origin, root, true, fixes);
        if let Some(last) = self.candidates.last_mut() {
            last.thinking = thinking;
        }
    }

    // ---- the text around each candidate ----

    /// What stands around a value in brackets ends at the next such value: `Draft: {…}` is read as a field as well.
    fn surroundings(&mut self, source: &str) {
        let (own, other): (Vec<usize>, Vec<usize>) =
            (0..self.candidates.len()).partition(|at| self.candidates.get(*at).is_some_and(explicit));
        for order in [own, other] {
            self.surround(source, order);
        }
        self.runs(source);
    }

    fn surround(&mut self, source: &str, mut order: Vec<usize>) {
        order.sort_by_key(|i| {
            self.candidates.get(*i).map_or((0, 0), |c| (c.span.start, usize::MAX - c.span.end))
        });
        // A line such as `Correction: price: 5` is no value beside the one above it.
        let starts: Vec<Span> = order
            .iter()
            .filter_map(|i| self.candidates.get(*i))
            .filter(|c| c.origin != Origin::Yaml || !cue::is_remark(&self.tree, c.root, source))
            .map(|c| c.span)
            .collect();
        // The next start after each candidate's end, by a second pointer: ends are not sorted, but bounded by halves.
        let reasoning_end = self.around.reasoning.last().map_or(0, |span| span.end);
        let mut reached = 0;
        let mut previous = Span::default();
        // Where labels stand matters only where there are several values.
        let layout = match (starts.first(), starts.len()) {
            (Some(first), 2..) => {
                let last = order.iter().filter_map(|i| self.candidates.get(*i)).map(|c| c.span.end).max();
                cue::layout(
                    source.get(reasoning_end.min(first.start)..first.start).unwrap_or(""),
                    last.and_then(|end| source.get(end..)).unwrap_or(""),
                )
            }
            _ => cue::Layout::default(),
        };
        for index in order {
            let Some(candidate) = self.candidates.get_mut(index) else { continue };
            let span = candidate.span;
            let floor = if candidate.thinking { 0 } else { reasoning_end.min(span.start) };
            let from = reached.max(floor).min(span.start);
            let next = starts.partition_point(|other| other.start < span.end);
            let to = starts.get(next).map_or(source.len(), |other| other.start);
            let (reached_before, known) = (reached, previous);
            if span.end > reached {
                previous = span;
            }
            reached = reached.max(span.end);
            let mut before = source.get(from..span.start).unwrap_or("");
            if let Origin::Fence { language } = candidate.origin {
                before =
                    source.get(from..language.start.max(from)).unwrap_or("").trim_end_matches(['`', '~']);
            }
            // The end of the fence before this value is not part of what leads to it.
            let lead = before
                .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~' | ';' | ')' | ','));
            let after = source.get(span.end..to.max(span.end)).unwrap_or("");
            let trail = after
                .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~' | ';' | ')' | ','));
            if lead.chars().any(char::is_alphanumeric) {
                let start = from + (before.len() - lead.len());
                candidate.before = (clip(start), clip(start + lead.trim_end().len()));
            }
            if trail.chars().any(char::is_alphanumeric) {
                let start = span.end + (after.len() - trail.len());
                candidate.after = (clip(start), clip(start + trail.trim_end().len()));
            }
            let values = Neighbours {
                before: reached_before > floor,
                previous: known.of(source),
                after: next < starts.len(),
                layout,
            };
            candidate.cue = cue::cue(before, span.of(source), after, values);
            if matches!(
                candidate.origin,
                Origin::Yaml | Origin::Markdown | Origin::Fence { .. } | Origin::Bare
            ) && let Some(said) = cue::outline(&self.tree, candidate.root, source)
            {
                candidate.cue = said;
            }
            if matches!(candidate.origin, Origin::Yaml | Origin::Markdown)
                && cue::ends_corrected(span.of(source))
            {
                candidate.cue = Cue::Rejected;
            }
            let inside = match candidate.origin {
                Origin::Fence { language } => language.end.clamp(from, span.start),
                _ => from,
            };
            if explicit(candidate) && is_set_aside(source.get(inside..span.start).unwrap_or(""), after) {
                candidate.cue = Cue::Rejected;
            }
            candidate.operand = candidate.origin == Origin::Prose
                && self.tree.node(candidate.root).kind() == Kind::Array
                && leads_to_value(after);
        }
    }
}

/// Tells whether brackets of its own made a candidate.
pub(super) fn explicit(candidate: &Candidate) -> bool {
    matches!(candidate.origin, Origin::Whole | Origin::Fence { .. } | Origin::Prose)
}

/// Tells whether a text is a list of literals without its opening bracket: `1, 2, 3` or `1, 2, 3]`.
fn items(text: &str) -> bool {
    let text = text.strip_suffix(']').map_or(text, str::trim_end);
    text.contains(',')
        && text.len() < 100_000
        && !mixes_commas(text)
        && text.split(',').all(|item| classify(item.trim()).0 != Kind::Word)
}

/// Tells whether some commas of a row may stand inside of numbers: `1,234, 5,678`.
fn mixes_commas(text: &str) -> bool {
    let mut spaced = false;
    let mut grouped = false;
    for part in text.split(',').skip(1) {
        spaced |= part.starts_with(char::is_whitespace);
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        grouped |= digits == 3;
    }
    spaced && grouped
}

/// Tells whether a text is one line of fields: `name: Mina, age: 3`.
fn one_line_fields(text: &str) -> bool {
    if text.contains('\n') || text.len() > 4096 {
        return false;
    }
    let mut fields = 0;
    for part in text.split(',') {
        let Some((key, _)) = part.split_once([':', '=']) else { continue };
        let key = key.trim();
        if key.is_empty() || key.split_whitespace().count() > 2 || key.contains(['.', '?', '!', '"']) {
            return false;
        }
        fields += 1;
    }
    fields > 1
}

/// Tells whether a text is a call: `Task(title="x")`.
fn call(text: &str) -> bool {
    let Some(open) = text.find('(') else { return false };
    let name = text.get(..open).unwrap_or("");
    text.ends_with(')')
        && !name.is_empty()
        && name.len() < 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}
