//! Between candidates: prose, code fences, reasoning blocks, and where the next value may start.

use super::closer::{Found, find_quote};
use super::document::{Origin, clip};
use super::machine::{Machine, Recorded, Shape, State};
use super::scan::{Input, LOOK, Solid, Tri, is_ident, is_quote};
use crate::report::Rule;
use crate::tree::Span;

/// Is the fence that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    start: usize,
    mark: u8,
    len: usize,
    language: Span,
    body: usize,
    /// Candidates before it.
    candidates: usize,
}

/// Is a fenced block in which no value was found, to be looked at again at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Values in brackets were found in it.
    pub(super) holds_values: bool,
    pub(super) body: Span,
    pub(super) language: Span,
    pub(super) thinking: bool,
}

/// Is what is known about the text around the value that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) fence: Option<Fence>,
    pub(super) thinking: bool,
    /// The value stands inside a string.
    pub(super) quoted: bool,
    pub(super) blocks: Vec<Block>,
    /// Fences and reasoning blocks, tags included.
    pub(super) reasoning: Vec<Span>,
    /// A reasoning block that was not closed yet.
    pub(super) reasoning_from: Option<Span>,
    /// The first tag that is no reasoning tag.
    pub(super) tag: Option<usize>,
    /// A text of this length holds no `-->` behind the comment that was opened last.
    unclosed: Option<usize>,
    /// Candidates and blocks before a `</think>` that was not opened, which are reasoning all of them.
    taken_back: (usize, usize),
}

impl Surroundings {
    pub(super) fn in_fence(&self) -> bool {
        self.fence.is_some()
    }
}

const REASONING: &[&str] =
    &["think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "analysis"];

/// Is a tag that opens or closes a reasoning block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Open(usize),
    Close(usize),
    Other,
    Wait,
}

fn reasoning_tag(cx: Input<'_>, at: usize) -> Tag {
    let close = cx.at(at + 1) == b'/';
    let from = at + 1 + usize::from(close);
    let mut end = from;
    while cx.at(end).is_ascii_alphabetic() && end - from < 12 {
        end += 1;
    }
    if end >= cx.len() && !cx.eof && end - from < 12 {
        return Tag::Wait;
    }
    let name = cx.slice(from, end);
    if !REASONING.iter().any(|tag| tag.eq_ignore_ascii_case(name)) {
        return Tag::Other;
    }
    match cx.solid(end) {
        Solid::Wait => Tag::Wait,
        Solid::At { at, byte: b'>', .. } => {
            if close {
                Tag::Close(at + 1)
            } else {
                Tag::Open(at + 1)
            }
        }
        _ => Tag::Other,
    }
}

/// Tells whether nothing but one text stands in the brace: `the field {"name"} is not used`.
fn lone_text(cx: Input<'_>, quote: usize) -> Tri {
    match find_quote(cx, quote + 1, b'"') {
        Found::Wait => Tri::Wait,
        Found::At(end) => match cx.solid(end) {
            Solid::Wait => Tri::Wait,
            Solid::At { byte, .. } => Tri::from(byte == b'}'),
            Solid::End => Tri::No,
        },
        Found::End | Found::Far => Tri::No,
    }
}

impl Machine {
    pub(super) fn prose(&mut self, cx: Input<'_>) -> bool {
        if let Some(open) = self.around.reasoning_from {
            return self.reasoning(cx, open);
        }
        loop {
            let rest = cx.bytes.get(self.pos..).unwrap_or(&[]);
            let step = rest.iter().position(|b| matches!(b, b'{' | b'[' | b'`' | b'~' | b'<' | 0xEF | 0xE3));
            let Some(step) = step else {
                self.pos = cx.len();
                return cx.eof && self.end_prose(cx);
            };
            let at = self.pos + step;
            self.pos = at;
            let moved = match cx.at(at) {
                b'{' => self.brace(cx, at, 1),
                b'[' => self.bracket(cx, at, 1),
                b'`' | b'~' => self.ticks(cx, at),
                b'<' => self.tag(cx, at),
                _ => match cx.wide_punct(at) {
                    (b'{', len) => self.brace(cx, at, len),
                    (b'[', len) if cx.at(at) == 0xEF => self.bracket(cx, at, len),
                    _ => {
                        self.pos = cx.after_char(at);
                        Tri::No
                    }
                },
            };
            match moved {
                Tri::Yes => return true,
                Tri::No => {}
                Tri::Wait => return false,
            }
        }
    }

    fn end_prose(&mut self, cx: Input<'_>) -> bool {
        // A bare fence after a value, never closed, is the end of one that was not opened: what follows is talk.
        if let Some(fence) = self.around.fence.take()
            && (fence.candidates == 0 || !fence.language.is_empty())
        {
            self.close_block(cx, fence, cx.len());
        }
        self.state = State::Done;
        true
    }

    // ---- fences ----

    fn ticks(&mut self, cx: Input<'_>, at: usize) -> Tri {
        let run = cx.run(at);
        if at + run >= cx.len() && !cx.eof && run < 256 {
            return Tri::Wait;
        }
        if run < 3 || (cx.at(at) == b'~' && !cx.starts_line(at)) {
            self.pos = at + run;
            return Tri::No;
        }
        let mark = cx.at(at);
        let after = at + run;
        let mut end = after;
        while end < cx.len()
            && end - after < 32
            && (is_ident(cx.at(end)) || matches!(cx.at(end), b'+' | b'.' | b'#'))
        {
            end += 1;
        }
        if end >= cx.len() && !cx.eof && end - after < 32 {
            return Tri::Wait;
        }
        // the limit may fall inside a character
        while end > after && end < cx.len() && cx.at(end) & 0xc0 == 0x80 {
            end -= 1;
        }
        if let Some(fence) = self.around.fence {
            if fence.mark != mark || run < fence.len {
                self.pos = after;
                return Tri::No;
            }
            self.close_block(cx, fence, at);
            self.around.fence = None;
            if end == after {
                self.pos = after;
                return Tri::No;
            }
        }
        let language = Span::new(after, end);
        // On the fence's own line only a language may stand; what follows on it is taken as the body.
        self.around.fence =
            Some(Fence { start: at, mark, len: run, language, body: end, candidates: self.candidates.len() });
        self.pos = end;
        Tri::No
    }

    fn close_block(&mut self, cx: Input<'_>, fence: Fence, end: usize) {
        let body = cx.slice(fence.body, end);
        let holds_values = fence.candidates < self.candidates.len();
        // Brackets may be values of what the block writes line by line.
        let lines = matches!(fence.language.of(cx.text), "" | "yaml" | "yml" | "text");
        if (!holds_values || lines) && !body.trim().is_empty() {
            self.around.blocks.push(Block {
                holds_values,
                body: Span::new(fence.body, end),
                language: fence.language,
                thinking: self.around.thinking,
            });
        }
    }

    /// Tells whether a closing fence stands at `pos`.
    pub(super) fn fence_ends(&self, cx: Input<'_>) -> Tri {
        if cx.at(self.pos) != b'`' && cx.at(self.pos) != b'~' {
            return Tri::No;
        }
        cx.has(self.pos, b"```")
    }

    /// Tells whether the fence at `pos`, where a value has to be, opens a block of code that is the value.
    pub(super) fn code_opens(&self, cx: Input<'_>) -> Tri {
        if self.shape() == Shape::Object && self.key.is_none() {
            return Tri::No;
        }
        if !self.around.in_fence() || !cx.starts_line(self.pos) {
            return Tri::Yes;
        }
        let after = self.pos + cx.run(self.pos);
        if after >= cx.len() && !cx.eof {
            return Tri::Wait;
        }
        // A fence that closes names no language.
        Tri::from(cx.at(after).is_ascii_alphanumeric())
    }

    // ---- tags ----

    /// Skips `<!-- … -->`, and whatever was commented out with it; one that is never closed is text.
    fn comment(&mut self, cx: Input<'_>, at: usize) -> Option<Tri> {
        let rest = cx.bytes.get(at..).unwrap_or(&[]);
        if !rest.starts_with(b"<!--") {
            return (!cx.eof && b"<!--".starts_with(rest)).then_some(Tri::Wait);
        }
        if cx.eof && self.around.unclosed == Some(cx.len()) {
            self.pos = at + 4;
            return Some(Tri::No);
        }
        let from = self.memo.max(at + 4);
        match memchr::memmem::find(cx.bytes.get(from..).unwrap_or(&[]), b"-->") {
            Some(end) => self.pos = from + end + 3,
            None if !cx.eof => {
                self.memo = cx.len().saturating_sub(2).max(at + 4);
                return Some(Tri::Wait);
            }
            None => {
                self.around.unclosed = Some(cx.len());
                self.pos = at + 4;
            }
        }
        self.memo = 0;
        Some(Tri::No)
    }

    fn tag(&mut self, cx: Input<'_>, at: usize) -> Tri {
        if let Some(comment) = self.comment(cx, at) {
            return comment;
        }
        match reasoning_tag(cx, at) {
            Tag::Wait => Tri::Wait,
            Tag::Other => {
                let next = cx.at(at + 1);
                if (next.is_ascii_alphabetic() || next >= 0x80)
                    && self.around.tag.is_none()
                    && !self.around.thinking
                {
                    self.around.tag = Some(at);
                }
                self.pos = at + 1;
                Tri::No
            }
            Tag::Open(end) => {
                if self.around.thinking || self.around.in_fence() {
                    self.pos = end;
                    return Tri::No;
                }
                self.around.reasoning_from = Some(Span::new(at, end));
                self.pos = end;
                self.memo = end;
                Tri::Yes
            }
            Tag::Close(end) => {
                if !self.around.thinking && !self.around.in_fence() {
                    // The answer began inside a block whose opening tag was in the prompt.
                    let (candidates, blocks) = std::mem::replace(
                        &mut self.around.taken_back,
                        (self.candidates.len(), self.around.blocks.len()),
                    );
                    for number in candidates..self.candidates.len() {
                        let Some(candidate) = self.candidates.get_mut(number) else { continue };
                        if !std::mem::replace(&mut candidate.thinking, true) {
                            self.log_record(Recorded::Retracted { candidate: number });
                        }
                    }
                    for block in self.around.blocks.iter_mut().skip(blocks) {
                        block.thinking = true;
                    }
                    let from = self.around.reasoning.last().map_or(0, |span| span.end);
                    self.around.reasoning.push(Span::new(from, end));
                    self.around.tag = None;
                }
                self.pos = end;
                Tri::No
            }
        }
    }

    /// Looks for the end of the reasoning block, then reads what stands in it as one piece.
    fn reasoning(&mut self, cx: Input<'_>, open: Span) -> bool {
        let mut from = self.memo.max(open.end);
        let (close, end) = loop {
            let rest = cx.bytes.get(from..).unwrap_or(&[]);
            let Some(step) = memchr::memmem::find(rest, b"</") else {
                if !cx.eof {
                    self.memo = cx.len().saturating_sub(1).max(open.end);
                    return false;
                }
                break (cx.len(), cx.len());
            };
            match reasoning_tag(cx, from + step) {
                Tag::Close(end) => break (from + step, end),
                Tag::Wait => {
                    self.memo = from + step;
                    return false;
                }
                _ => from += step + 2,
            }
        };
        self.memo = 0;
        self.around.reasoning_from = None;
        self.around.thinking = true;
        self.pos = open.end;
        self.state = State::Prose;
        let piece = Input::new(cx.slice(0, close), true);
        self.run(piece);
        self.around.thinking = false;
        self.around.fence = None;
        self.around.reasoning.push(Span::new(open.start, end));
        self.pos = end;
        self.state = State::Prose;
        true
    }

    // ---- where a value may start ----

    fn start_value(&mut self, cx: Input<'_>, at: usize, len: usize, shape: Shape) -> Tri {
        let fixes = clip(self.fixes.len());
        let origin = match self.around.fence {
            Some(fence) => {
                self.cosmetic(Rule::Fence, fence.start, fence.body);
                Origin::Fence { language: fence.language }
            }
            None => Origin::Prose,
        };
        self.around.quoted = at > 0 && matches!(cx.at(at - 1), b'"' | b'\'' | b'`');
        self.begin_candidate(at, origin, fixes);
        if len > 1 {
            self.repaired(Rule::FullWidth, at, at + len);
        }
        self.push_frame(shape, at, at + len);
        Tri::Yes
    }

    fn brace(&mut self, cx: Input<'_>, at: usize, len: usize) -> Tri {
        let before = if at == 0 { b'\n' } else { cx.at(at - 1) };
        let glued = before.is_ascii_alphanumeric() && !glued_label(cx, at)
            || matches!(before, b'\\' | b'$' | b'^' | b'_' | b'%' | b'#');
        let go = match cx.solid(at + len) {
            Solid::Wait => return Tri::Wait,
            Solid::End => !glued,
            Solid::At { at: next, .. } => {
                let (byte, _) = cx.punct(next);
                match byte {
                    b'"' if !cx.starts_line(at) && !self.around.in_fence() => match lone_text(cx, next) {
                        Tri::Wait => return Tri::Wait,
                        Tri::Yes => false,
                        Tri::No => true,
                    },
                    b'"' | b'\'' => true,
                    // `{\"a\": 1}`, not LaTeX's `\boxed{\frac`
                    b'\\' if glued && next + 1 >= cx.len() && !cx.eof => return Tri::Wait,
                    b'\\' => !glued || matches!(cx.at(next + 1), b'"' | b'n'),
                    b'}' | b'{' | b'[' | b'/' | b'#' | b'.' => !glued,
                    _ if is_quote(byte) => !glued,
                    _ if glued => false,
                    _ if cx.starts_line(at) || self.around.in_fence() => true,
                    _ => return self.worth(cx, at, len, next),
                }
            }
        };
        if go {
            return self.start_value(cx, at, len, Shape::Object);
        }
        self.pos = at + len;
        Tri::No
    }

    /// Tells whether an unquoted opening in running text looks like an object: a key and a colon, or items.
    fn worth(&mut self, cx: Input<'_>, at: usize, len: usize, next: usize) -> Tri {
        let window = cx.bytes.get(next..(next + 64).min(cx.len())).unwrap_or(&[]);
        let stop = window.iter().position(|b| matches!(b, b':' | b'=' | b',' | b'}' | b'{' | b'\n'));
        let go = match stop.and_then(|stop| window.get(stop)) {
            Some(b':' | b'=' | b',') => true,
            None if window.len() < 64 && !cx.eof => return Tri::Wait,
            _ => false,
        };
        if go {
            return self.start_value(cx, at, len, Shape::Object);
        }
        self.pos = at + len;
        Tri::No
    }

    fn bracket(&mut self, cx: Input<'_>, at: usize, len: usize) -> Tri {
        let before = if at == 0 { b'\n' } else { cx.at(at - 1) };
        let glued = (before.is_ascii_alphanumeric() && !glued_label(cx, at))
            || matches!(before, b')' | b']' | b'_' | b'\\' | b'!' | b'^');
        let line = cx.starts_line(at);
        // `[1, 2] [3]`: right behind another list.
        let row = self.candidates.last().is_some_and(|last| {
            cx.at(last.span.end.wrapping_sub(1)) == b']'
                && at.saturating_sub(last.span.end) < 64
                && cx.slice(last.span.end, at).chars().all(|c| c.is_whitespace() || c == ',')
        });
        let glued = glued && !row && !behind_tag(cx, at);
        // `Elements: [1, 2`: announced by a colon.
        let line = line || row || after_colon(cx, at);
        let go = match cx.solid(at + len) {
            Solid::Wait => return Tri::Wait,
            Solid::End => !glued,
            Solid::At { at: next, .. } => {
                let (byte, _) = cx.punct(next);
                match byte {
                    _ if glued => false,
                    b'{' | b'[' | b'\\' | b'"' | b'\'' => true,
                    _ => {
                        // A citation, a checkbox, a link and a placeholder stand on one line and hold no comma.
                        let window = cx.bytes.get(next..(next + 64).min(cx.len())).unwrap_or(&[]);
                        let close = window.iter().position(|b| matches!(b, b']' | b'\n' | b',' | b'{'));
                        match close.and_then(|i| window.get(i).map(|b| (i, *b))) {
                            Some((i, b']')) => {
                                let after = next + i + 1;
                                let item = list_marker(cx, at);
                                match cx.solid(after) {
                                    Solid::Wait => return Tri::Wait,
                                    _ if item || cx.at(after) == b'(' || cx.at(after) == b':' => false,
                                    Solid::End | Solid::At { newline: true, .. } => line || byte == b']',
                                    Solid::At {
                                        byte: b'`' | b'}' | b']' | b'<' | b'\'' | b'"' | b',',
                                        ..
                                    } => line,
                                    Solid::At { .. } => self.around.in_fence() && line || byte == b']',
                                }
                            }
                            Some((_, b',')) => match closes_on_line(cx, next) {
                                Tri::Wait => return Tri::Wait,
                                closes => line || closes == Tri::Yes,
                            },
                            Some(_) => line || self.around.in_fence(),
                            None if window.len() < 64 && !cx.eof => return Tri::Wait,
                            None => line,
                        }
                    }
                }
            }
        };
        if go {
            return self.start_value(cx, at, len, Shape::Array);
        }
        self.pos = at + len;
        Tri::No
    }
}

/// Tells whether a colon and blanks stand right before `at`.
fn after_colon(cx: Input<'_>, at: usize) -> bool {
    let before = cx.bytes.get(at.saturating_sub(8)..at).unwrap_or(&[]).trim_ascii_end();
    before.last() == Some(&b':')
}

/// Tells whether a tag in capitals stands right before `at`: `[TOOL_CALLS][…]`.
fn behind_tag(cx: Input<'_>, at: usize) -> bool {
    let before = cx.bytes.get(at.saturating_sub(32)..at).unwrap_or(&[]);
    let name = |tag: &[u8]| {
        let letters = tag.iter().rev().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
        letters > 2 && tag.len().checked_sub(letters + 1).and_then(|open| tag.get(open)) == Some(&b'[')
    };
    before.strip_suffix(b"]").is_some_and(name)
}

/// Tells whether a Markdown list marker stands before `at` on its line.
fn list_marker(cx: Input<'_>, at: usize) -> bool {
    at >= 2 && cx.at(at - 1) == b' ' && matches!(cx.at(at - 2), b'-' | b'*' | b'+') && cx.starts_line(at - 2)
}

/// Tells whether a bracket closes on the line of `from`.
fn closes_on_line(cx: Input<'_>, from: usize) -> Tri {
    let window = cx.bytes.get(from..(from + LOOK).min(cx.len())).unwrap_or(&[]);
    match memchr::memchr2(b']', b'\n', window).and_then(|i| window.get(i)) {
        Some(byte) => Tri::from(*byte == b']'),
        None if window.len() < LOOK && !cx.eof => Tri::Wait,
        None => Tri::No,
    }
}

/// Tells whether the word glued to a bracket is a label such as `json{`.
fn glued_label(cx: Input<'_>, at: usize) -> bool {
    let from = at.saturating_sub(4);
    matches!(cx.bytes.get(from..at), Some(b"json" | b"JSON" | b"Json"))
}
