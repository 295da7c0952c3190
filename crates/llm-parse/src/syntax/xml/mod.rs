//! XML answers: elements become fields, repeated ones lists, attributes fields beside them.

mod markup;

use std::collections::HashMap;

use self::markup::{Markup, Misses, markup};
use super::cue;
use super::document::{Candidate, Cue, Origin, clip};
use super::literal::classify;
use super::machine::Machine;
use super::scan::Input;
use crate::report::Rule;
use crate::tree::{Kind, NONE, Node, NodeId, Quote, Span, Text};

/// Is an element that is open.
struct Element {
    node: u32,
    name: Span,
    /// The name as its closing tag repeats it.
    tag: Span,
    children: Vec<u32>,
    text: Vec<Span>,
    cdata: bool,
    content: usize,
}

impl Machine {
    /// Reads the elements from `from` on; tells whether there were any.
    #[expect(clippy::too_many_lines, reason = "one loop over the markup, an arm per kind")]
    pub(super) fn xml(&mut self, cx: Input<'_>, area: Span, from: usize, origin: Origin) -> bool {
        let cx = Input::new(cx.slice(0, area.end), true);
        let fixes = clip(self.fixes.len());
        let top = clip(self.tree.nodes.len());
        self.tree.nodes.push(Node::new(Kind::Object, clip(from), clip(from)));
        let root = Element {
            node: top,
            name: Span::new(from, from),
            tag: Span::new(from, from),
            children: Vec::new(),
            text: Vec::new(),
            cdata: false,
            content: from,
        };
        let mut stack = vec![root];
        let mut open: HashMap<&str, usize> = HashMap::new();
        let mut misses = Misses::default();
        let mut at = from;
        let mut end = from;
        let mut closed = 0_usize;
        let mut too_deep = false;
        while let Some(step) = memchr::memchr(b'<', cx.bytes.get(at..).unwrap_or(&[])) {
            let here = at + step;
            if stack.len() == 1 && !cx.slice(at, here).trim().is_empty() {
                // Text after the last element: what follows is another matter.
                break;
            }
            push_text(cx, &mut stack, at, here);
            match markup(cx, here, &mut misses) {
                Markup::Text => {
                    let next = here + 1;
                    if stack.len() == 1 {
                        break;
                    }
                    if let Some(element) = stack.last_mut() {
                        element.text.push(Span::new(here, next));
                    }
                    at = next;
                    continue;
                }
                Markup::Skip { end } => at = end,
                Markup::Data { text, end } => {
                    if let Some(element) = stack.last_mut() {
                        element.text.push(text);
                        element.cdata = true;
                    }
                    at = end;
                }
                Markup::Open { tag, name, attributes, empty, end: after } => {
                    if stack.len() > self.limits.max_depth() {
                        too_deep = true;
                        break;
                    }
                    let mut name = name;
                    let generic = matches!(tag.of(cx.text), "parameter" | "param" | "arg" | "field");
                    let node = clip(self.tree.nodes.len());
                    self.tree.nodes.push(Node::new(Kind::Object, clip(here), clip(after)));
                    let mut children = Vec::new();
                    for (key, value) in attributes {
                        if generic && key.of(cx.text) == "name" {
                            name = value;
                            continue;
                        }
                        children.push(self.leaf(cx, key, value, false));
                    }
                    let element =
                        Element { node, name, tag, children, text: Vec::new(), cdata: false, content: after };
                    *open.entry(tag.of(cx.text)).or_insert(0) += 1;
                    stack.push(element);
                    at = after;
                    if empty {
                        end = after;
                        closed += 1;
                        self.close_top(cx, &mut stack, &mut open, after, true);
                    }
                }
                Markup::Close { tag, end: after } => {
                    let name = tag.of(cx.text);
                    if open.get(name).is_none_or(|count| *count == 0) {
                        // A closing tag without an opening one.
                        if stack.len() == 1 {
                            break;
                        }
                        self.repaired(Rule::ExtraCloser, here, after);
                        at = after;
                        continue;
                    }
                    closed += 1;
                    while let Some(element) = stack.last() {
                        let fits = element.tag.of(cx.text) == name;
                        if !fits {
                            self.repaired(Rule::MissingCloser, here, here);
                        }
                        self.close_top(cx, &mut stack, &mut open, if fits { after } else { here }, true);
                        if fits {
                            break;
                        }
                    }
                    at = after;
                    end = after;
                }
            }
            if stack.len() == 1 {
                end = end.max(at);
            }
        }
        if stack.len() > 1 {
            push_text(cx, &mut stack, at, cx.len());
            end = cx.len();
            self.lossy(if too_deep { Rule::DepthLimit } else { Rule::Truncated }, at.min(end), end);
        }
        let nested = stack.len() > 2 || stack.iter().any(|element| !element.children.is_empty());
        if closed == 0 && !nested {
            self.tree.nodes.truncate(top as usize);
            self.fixes.truncate(fixes as usize);
            return false;
        }
        let complete = stack.len() == 1;
        while stack.len() > 1 {
            self.close_top(cx, &mut stack, &mut open, end, false);
        }
        let Some(root) = stack.pop() else { return false };
        let count = root.children.len();
        let only = root.children.first().copied().unwrap_or(NONE);
        let wraps_json = count == 1 && self.wraps_candidate(cx, only);
        self.link(cx, top, root.children);
        if let Some(node) = self.tree.nodes.get_mut(top as usize) {
            node.end = clip(end);
            node.text_end = clip(end);
            node.set_complete(complete);
        }
        if count == 0 || wraps_json {
            return false;
        }
        self.cosmetic(Rule::Xml, from, end);
        let fixes = (fixes, clip(self.fixes.len()));
        let mut candidate = Candidate {
            span: Span::new(from, end),
            origin,
            cue: Cue::None,
            root: NodeId(top),
            complete,
            thinking: false,
            operand: false,
            before: (0, 0),
            after: (0, 0),
            fixes,
        };
        let denied =
            self.tree.node(NodeId(only)).key_span().is_some_and(|name| cue::denies(name.of(cx.text)));
        if count == 1 && !denied {
            // The content of a single root element first, then the element itself.
            self.candidates.push(Candidate { root: NodeId(only), ..candidate });
        }
        candidate.root = NodeId(top);
        self.candidates.push(candidate);
        true
    }

    /// Tells whether an element only wraps a value that was read already.
    fn wraps_candidate(&self, cx: Input<'_>, id: u32) -> bool {
        let node = self.tree.node(NodeId(id));
        let text = node.text();
        if matches!(node.kind, Kind::Object | Kind::Array) || text.owned {
            return false;
        }
        let inner = Span::new(text.start as usize, text.end as usize);
        let blank = |from: usize, to: usize| cx.slice(from, to).trim().is_empty();
        let from = self.candidates.partition_point(|c| c.span.start < inner.start);
        let values = self.candidates.get(from..).unwrap_or(&[]).iter();
        values.take_while(|c| c.span.start <= inner.end).any(|c| {
            inner.contains(c.span) && blank(inner.start, c.span.start) && blank(c.span.end, inner.end)
        })
    }

    fn leaf(&mut self, cx: Input<'_>, key: Span, value: Span, cdata: bool) -> u32 {
        let id = clip(self.tree.nodes.len());
        let text = self.decode(cx, value);
        let word = if text.owned { "" } else { value.of(cx.text) };
        let kind = if cdata { Kind::String(Quote::None) } else { xml_kind(word, text.owned) };
        let mut node = Node::new(kind, clip(value.start), clip(value.end));
        node.set_text(text);
        node.set_complete(true);
        let name = Text { start: clip(key.start), end: clip(key.end), owned: false };
        node.set_key(name.start, name.end, name, false);
        self.tree.nodes.push(node);
        id
    }

    /// Resolves the entities of XML 1.0, section 4.6, and character references.
    fn decode(&mut self, cx: Input<'_>, span: Span) -> Text {
        let text = span.of(cx.text);
        if !text.contains('&') {
            return Text { start: clip(span.start), end: clip(span.end), owned: false };
        }
        let start = self.tree.scratch.len();
        push_decoded(&mut self.tree.scratch, text);
        Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true }
    }

    fn close_top<'a>(
        &mut self,
        cx: Input<'a>,
        stack: &mut Vec<Element>,
        open: &mut HashMap<&'a str, usize>,
        end: usize,
        complete: bool,
    ) {
        let Some(element) = stack.pop() else { return };
        if let Some(count) = open.get_mut(element.tag.of(cx.text)) {
            *count = count.saturating_sub(1);
        }
        let solid = |span: &&Span| !span.of(cx.text).trim().is_empty();
        let first = element.text.iter().find(solid).copied();
        let several = element.text.iter().filter(solid).take(2).count() > 1;
        let text = match first {
            None => None,
            Some(first) if !several => {
                let raw = first.of(cx.text);
                let lead = raw.len() - raw.trim_start().len();
                let span = if element.cdata {
                    first
                } else {
                    Span::new(first.start + lead, first.start + lead + raw.trim().len())
                };
                let text = if element.cdata {
                    Text { start: clip(span.start), end: clip(span.end), owned: false }
                } else {
                    self.decode(cx, span)
                };
                Some((span, text))
            }
            Some(first) => {
                let start = self.tree.scratch.len();
                let mut buffer = String::new();
                for span in &element.text {
                    push_decoded(&mut buffer, span.of(cx.text));
                }
                self.tree.scratch.push_str(buffer.trim());
                let text = Text { start: clip(start), end: clip(self.tree.scratch.len()), owned: true };
                let last = element.text.last().map_or(first.end, |span| span.end);
                Some((Span::new(first.start, last), text))
            }
        };
        let name = Text { start: clip(element.name.start), end: clip(element.name.end), owned: false };
        let mut children = element.children;
        let mut kind = Kind::Object;
        match (&text, children.is_empty()) {
            (Some((span, text)), true) => {
                let word = if text.owned { "" } else { span.of(cx.text) };
                kind = if element.cdata { Kind::String(Quote::None) } else { xml_kind(word, text.owned) };
            }
            (Some((span, text)), false) => {
                // Text beside attributes or elements.
                let id = clip(self.tree.nodes.len());
                let word = if text.owned { "" } else { span.of(cx.text) };
                let mut node = Node::new(xml_kind(word, text.owned), clip(span.start), clip(span.end));
                node.set_text(*text);
                node.set_complete(complete);
                let from = clip(self.tree.scratch.len());
                self.tree.scratch.push_str("#text");
                let key = Text { start: from, end: clip(self.tree.scratch.len()), owned: true };
                node.set_key(clip(span.start), clip(span.start), key, false);
                self.tree.nodes.push(node);
                children.push(id);
            }
            (None, true) => kind = Kind::String(Quote::None),
            (None, false) => {}
        }
        let listed = kind == Kind::Object && self.is_list(cx, element.name.of(cx.text), &children);
        if listed {
            kind = Kind::Array;
        }
        if let Some(node) = self.tree.nodes.get_mut(element.node as usize) {
            node.kind = kind;
            node.end = clip(end).max(node.start);
            node.set_complete(complete);
            node.set_key(name.start, name.end, name, false);
            match (&text, kind) {
                (Some((_, text)), Kind::Object | Kind::Array) => {
                    let _ = text;
                    node.text_end = node.end;
                }
                (Some((_, text)), _) => node.set_text(*text),
                (None, Kind::String(_)) => {
                    let here = clip(element.content.min(end));
                    node.set_text(Text { start: here, end: here, owned: false });
                }
                (None, _) => node.text_end = node.end,
            }
        }
        if listed {
            self.chain(element.node, &children);
        } else {
            self.link(cx, element.node, children);
        }
        if let Some(parent) = stack.last_mut() {
            parent.children.push(element.node);
        }
    }

    /// Tells whether an element is a list of its children: `<tags><tag>…`, `<list><item>…`.
    fn is_list(&self, cx: Input<'_>, name: &str, children: &[u32]) -> bool {
        let mut names = children.iter().map(|id| self.tree.key(NodeId(*id), cx.text).unwrap_or(""));
        let Some(first) = names.next() else { return false };
        if !names.all(|other| other == first) {
            return false;
        }
        let plural = name
            .strip_prefix(first)
            .is_some_and(|rest| matches!(rest, "s" | "es" | "_list" | "List" | "list"))
            || first.strip_suffix('y').is_some_and(|stem| name == format!("{stem}ies"));
        plural || matches!(first, "item" | "li" | "entry" | "element")
    }

    fn chain(&mut self, parent: u32, children: &[u32]) {
        for pair in children.windows(2) {
            if let [from, to] = pair
                && let Some(node) = self.tree.nodes.get_mut(*from as usize)
            {
                node.next = *to;
            }
        }
        if let Some(last) = children.last()
            && let Some(node) = self.tree.nodes.get_mut(*last as usize)
        {
            node.next = NONE;
        }
        if let Some(node) = self.tree.nodes.get_mut(parent as usize) {
            node.first_child = children.first().copied().unwrap_or(NONE);
        }
    }

    /// Links children below a parent, equal names as one list.
    fn link(&mut self, cx: Input<'_>, parent: u32, children: Vec<u32>) {
        let mut groups: Vec<Vec<u32>> = Vec::new();
        {
            let mut place: HashMap<&str, usize> = HashMap::new();
            for id in children {
                let name = self.tree.key(NodeId(id), cx.text).unwrap_or("");
                if let Some(group) = place.get(name).and_then(|i| groups.get_mut(*i)) {
                    group.push(id);
                } else {
                    place.insert(name, groups.len());
                    groups.push(vec![id]);
                }
            }
        }
        let mut linked = Vec::with_capacity(groups.len());
        for group in groups {
            let (Some(first), Some(last)) = (group.first().copied(), group.last().copied()) else { continue };
            if group.len() == 1 {
                linked.push(first);
                continue;
            }
            let (opening, tail) = (*self.tree.node(NodeId(first)), *self.tree.node(NodeId(last)));
            let id = clip(self.tree.nodes.len());
            let mut list = Node::new(Kind::Array, opening.start, tail.end);
            list.copy_key(&opening);
            list.set_complete(tail.is_complete());
            self.tree.nodes.push(list);
            self.chain(id, &group);
            linked.push(id);
        }
        self.chain(parent, &linked);
    }
}

fn push_text(cx: Input<'_>, stack: &mut [Element], from: usize, to: usize) {
    let deep = stack.len() > 1;
    if let Some(element) = stack.last_mut()
        && deep
        && from < to
        && !cx.slice(from, to).is_empty()
    {
        element.text.push(Span::new(from, to));
    }
}

fn xml_kind(word: &str, owned: bool) -> Kind {
    if owned || word.len() > 64 {
        return Kind::Word;
    }
    classify(word).0
}

fn push_decoded(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at..).unwrap_or("");
        let window = rest.as_bytes();
        let end = window.iter().take(12).position(|b| *b == b';');
        let decoded = end.and_then(|end| entity(rest.get(1..end)?).map(|c| (c, end)));
        if let Some((c, end)) = decoded {
            out.push(c);
            rest = rest.get(end + 1..).unwrap_or("");
        } else {
            out.push('&');
            rest = rest.get(1..).unwrap_or("");
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        _ => {
            let code = name.strip_prefix('#')?;
            let value = match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => code.parse().ok()?,
            };
            char::from_u32(value)?
        }
    })
}
