//! Strings: scanning, escapes, and the decision which quote ends one.

use super::closer::{
    Found, Unfinished, closed_by_double, closer_lead, closes_wide, code_starts, find_quote, mixed_closer,
};
use super::document::clip;
use super::machine::{Key, Machine, Shape, State};
use super::scan::{CORNER, CURLY_DOUBLE, Input, Tri, WHITE_CORNER, string_stop};
use crate::report::{Rule, Severity};
use crate::tree::{Kind, Node, Quote, Text};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Role {
    #[default]
    Key,
    /// The value of a field.
    Field,
    /// An item of a list or an argument.
    Item,
}

/// Is the string that is being read.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one string")]
pub(super) struct Str {
    /// Where its quote (or its prefix) stands.
    pub(super) start: usize,
    pub(super) content: usize,
    /// What was not yet copied, when it has to be.
    pub(super) run: usize,
    /// Where its copy starts in the tree's buffer.
    pub(super) copy: Option<u32>,
    /// The folded opening quote; a backslash stands for `\"`.
    pub(super) quote: u8,
    /// Opened by two quotes, so two close it.
    pub(super) doubled: bool,
    pub(super) triple: bool,
    pub(super) role: Role,
    /// Its quotes belong to the text.
    pub(super) kept: bool,
    /// Opened by `\'`, as in a document that was escaped once too often.
    pub(super) slashed: bool,
    /// Quotes inside it so far.
    pub(super) inner: u32,
    /// Raw control characters were reported.
    pub(super) controls: bool,
    /// An unknown escape was seen.
    pub(super) odd_escape: bool,
    /// Inside a fence that was opened inside the string.
    pub(super) fenced: bool,
    /// The quotes after this point up to `parity_end` were counted.
    pub(super) parity_from: usize,
    pub(super) parity_end: usize,
    pub(super) parity: u32,
}

/// Is what a quote inside a string is taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Close,
    /// It closes the string, but another reading is possible.
    Maybe,
    Inner,
    /// It closes the string and stands twice.
    Doubled,
    /// The string is no item but the next key of the object around: the list was not closed.
    OuterKey,
    /// The string ended before it, at this offset; its closing quote is missing.
    Ends(usize),
    Wait,
}

impl Machine {
    /// Opens the string whose quote stands at `pos`.
    pub(super) fn open_string(&mut self, cx: Input<'_>, role: Role) -> bool {
        self.open_prefixed(cx, role, 0)
    }

    /// Opens the string whose quote `\'` stands at `pos`.
    pub(super) fn open_slashed(&mut self, cx: Input<'_>, role: Role) -> bool {
        let start = self.pos;
        if !self.open_prefixed(cx, role, 1) {
            return false;
        }
        self.string.slashed = self.string.quote == b'\'';
        self.repaired(Rule::OverEscaped, start, start + 2);
        true
    }

    /// Opens a string after a prefix of `prefix` bytes.
    pub(super) fn open_prefixed(&mut self, cx: Input<'_>, role: Role, prefix: usize) -> bool {
        let start = self.pos;
        let at = start + prefix;
        let (mut quote, mut len) = cx.punct(at);
        let (mut triple, mut doubled) = (false, false);
        match quote {
            b'"' if cx.at(at + 1) != b'"' && at + 1 < cx.len() => {}
            b'"' | b'\'' | b'`' => {
                if at + 3 >= cx.len() && !cx.eof && cx.run(at) + at >= cx.len() {
                    return false;
                }
                let run = cx.run(at);
                if run >= 3 && triple_opens(cx, at) {
                    triple = true;
                    len = 3;
                } else if run == 2 && (cx.at(at + 2).is_ascii_alphanumeric() || cx.at(at + 2) >= 0x80) {
                    // `""text""`
                    match find_quote(cx, at + 2, quote) {
                        Found::Wait => return false,
                        Found::At(end) if cx.at(end) == quote => doubled = true,
                        Found::At(end) if end >= cx.len() && !cx.eof => return false,
                        _ => {}
                    }
                }
            }
            CURLY_DOUBLE => match mixed_closer(cx, at + len) {
                Tri::Wait => return false,
                Tri::Yes => quote = b'"',
                Tri::No => {}
            },
            b'\\' => {
                quote = b'\\';
                len = 2;
                self.repaired(Rule::OverEscaped, at, at + 2);
            }
            _ => {}
        }
        if quote == b'\'' && !triple && !doubled && role != Role::Key {
            match closed_by_double(cx, at + len, role) {
                Tri::Wait => return false,
                Tri::Yes => {
                    quote = b'"';
                    self.repaired(Rule::QuoteForm, at, at + len);
                }
                Tri::No => {}
            }
        }
        // `{name: 「text」}`: brackets that belong to the text, unless the keys are written with them, too.
        let kept = matches!(quote, CORNER | WHITE_CORNER)
            && role != Role::Key
            && !self.key.is_some_and(|key| key.quoted && cx.at(key.start as usize) == 0xE3);
        let mut content = if kept { at } else { at + if doubled { 2 } else { len } };
        if triple && quote == b'`' {
            match code_starts(cx, content) {
                Ok(code) => content = code,
                Err(Unfinished) => return false,
            }
        }
        if doubled {
            len = 2;
            self.repaired(Rule::QuoteForm, at, at + 2);
        } else if triple {
            self.repaired(Rule::QuoteForm, at, at + 3);
        } else if kept {
            self.cosmetic(Rule::UnquotedString, at, at + len);
        } else if !matches!(quote, b'"' | b'\\') || len == 3 {
            self.cosmetic(Rule::QuoteForm, at, at + len);
        }
        self.string =
            Str { start, content, run: content, quote, triple, doubled, kept, role, ..Str::default() };
        self.pos = content.max(at + len);
        self.memo = 0;
        self.state = State::Str;
        true
    }

    pub(super) fn in_string(&mut self, cx: Input<'_>) -> bool {
        let quote = self.string.quote;
        let (lead, wide) = closer_lead(quote);
        loop {
            let i = string_stop(cx.bytes, self.pos, lead);
            self.pos = i;
            let Some(&byte) = cx.bytes.get(i) else {
                return cx.eof && self.cut_string(cx);
            };
            if byte == b'\\' {
                match self.escape(cx, quote) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            } else if byte == lead {
                let len = if wide { closes_wide(cx, i, quote) } else { Some(1) };
                let Some(len) = len else {
                    self.pos += 1;
                    continue;
                };
                match self.at_quote(cx, i, len) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            } else {
                match self.control(cx, byte) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            }
        }
    }

    /// Handles a quote: `Some(true)` when the string is over, `None` when more text is needed.
    #[inline]
    fn at_quote(&mut self, cx: Input<'_>, at: usize, len: usize) -> Option<bool> {
        if self.string.triple {
            let run = cx.run(at);
            if run < 3 {
                if at + run >= cx.len() && !cx.eof {
                    return None;
                }
                if at + run < cx.len() || run == 0 {
                    self.pos = at + run;
                    return Some(false);
                }
                // The closing quotes were cut off.
                self.close_string(cx, at, at + run, true);
                return Some(true);
            }
            if at + run >= cx.len() && !cx.eof {
                return None;
            }
            self.close_string(cx, at + run - 3, at + run, true);
            return Some(true);
        }
        if self.string.doubled {
            if at + 1 >= cx.len() && !cx.eof {
                return None;
            }
            if cx.at(at + 1) == self.string.quote {
                self.close_string(cx, at, at + 2, true);
                return Some(true);
            }
            self.pos = at + 1;
            return Some(false);
        }
        // The common cases: `"key":` and a value before a bracket or the next key.
        if self.string.role == Role::Key && cx.at(at + len) == b':' {
            self.close_string(cx, at, at + len, true);
            return Some(true);
        }
        if self.plainly_closed(cx, at + len) {
            self.close_string(cx, at, at + len, true);
            return Some(true);
        }
        if self.string.quote == b'\'' && cx.at(at + 1) == b'\'' {
            // `'it''s'`: two quotes between letters are one, as YAML and SQL write it
            if at + 2 >= cx.len() && !cx.eof {
                return None;
            }
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
            if at > self.string.content && letter(cx.at(at - 1)) && letter(cx.at(at + 2)) {
                self.repaired(Rule::InvalidEscape, at, at + 2);
                self.replace(cx, 2, Some('\''));
                return Some(false);
            }
        }
        match self.judge(cx, at, len) {
            Verdict::Wait => None,
            Verdict::Close => {
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Maybe => {
                self.ambiguous(Rule::UnescapedQuote, at, at + len);
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Inner => {
                self.string.inner += 1;
                if self.string.parity_end > at && at > self.string.parity_from {
                    self.string.parity = self.string.parity.saturating_sub(1);
                }
                if self.string.quote != b'\'' || !cx.at(at + 1).is_ascii_alphabetic() {
                    self.repaired(Rule::UnescapedQuote, at, at + len);
                }
                self.pos = at + len;
                Some(false)
            }
            Verdict::Doubled => {
                self.repaired(Rule::QuoteForm, at, at + 2 * len);
                self.close_string(cx, at, at + 2 * len, true);
                Some(true)
            }
            Verdict::OuterKey => {
                let start = self.string.start;
                self.ambiguous(Rule::MissingCloser, start, start);
                self.pop(cx, start, true);
                self.string.role = Role::Key;
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Ends(end) => {
                // A curly quote was meant to close the string.
                let after = if cx.punct(end).0 == CURLY_DOUBLE { end + 3 } else { end };
                if self.string.role == Role::Item {
                    self.ambiguous(Rule::MissingQuote, end, after);
                } else {
                    self.repaired(Rule::MissingQuote, end, after);
                }
                let content = self.without_other_quote(cx, end);
                self.close_string(cx, content, after, true);
                Some(true)
            }
        }
    }

    /// Drops a quote of another kind that was meant to close the string: `"key': 1`.
    fn without_other_quote(&mut self, cx: Input<'_>, end: usize) -> usize {
        let content = cx.slice(self.string.content, end);
        if self.string.role == Role::Key
            && self.string.quote == b'"'
            && let Some(name) = content.strip_suffix(['“', '”']).filter(|name| !name.contains(['“', '”']))
        {
            return self.string.content + name.len();
        }
        let other = match self.string.quote {
            b'"' => cx.at(end.wrapping_sub(1)),
            b'\'' if cx.at(end.wrapping_sub(1)) == b'"' => b'"',
            _ => return end,
        };
        let from = self.string.content.max(self.string.run);
        if !matches!(other, b'\'' | b'`' | b'"') || end < from + 2 {
            return end;
        }
        if memchr::memchr(other, cx.bytes.get(from..end - 1).unwrap_or(&[])).is_some() {
            return end;
        }
        if self.string.role != Role::Key {
            self.ambiguous(Rule::MissingQuote, end - 1, end);
        }
        end - 1
    }

    /// Returns where a string ended whose closing quote is missing before the brackets at `to`: `{"a": {"b": "c}}`.
    pub(super) fn before_closers(&self, cx: Input<'_>, to: usize) -> Option<usize> {
        if self.string.role == Role::Key || self.string.triple || !matches!(self.string.quote, b'"' | b'\'') {
            return None;
        }
        let from = self.string.content.max(self.string.run);
        let text = cx.slice(from, to);
        let body = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '}' | ']'));
        let mut open = self.stack.iter().rev();
        let mut closed = 0;
        for byte in text.get(body.len()..).unwrap_or("").bytes().filter(|b| matches!(b, b'}' | b']')) {
            let Some(frame) = open.next() else { break };
            if (frame.shape == Shape::Object) != (byte == b'}') {
                return None;
            }
            closed += 1;
        }
        // A bracket that was opened inside the text belongs to it.
        (closed > 0 && !body.contains(['{', '['])).then_some(from + body.len())
    }

    // ---- the end of a string ----

    pub(super) fn cut_string(&mut self, cx: Input<'_>) -> bool {
        let end = cx.len();
        if self.string.role == Role::Key && self.string.copy.is_none() {
            // `"key: 1}`: the key's closing quote is missing.
            let content = cx.slice(self.string.content, end);
            if let Some(colon) = content.find(':').filter(|colon| {
                content
                    .get(colon + 1..)
                    .is_some_and(|rest| rest.starts_with(' ') && rest.contains(['}', ']', '\n']))
            }) {
                let at = self.string.content + colon;
                self.repaired(Rule::MissingQuote, at, at);
                let content = self.without_other_quote(cx, at);
                self.close_string(cx, content, at, true);
                return true;
            }
        }
        if let Some(at) = self.before_closers(cx, end) {
            self.ambiguous(Rule::MissingQuote, at, at);
            self.close_string(cx, at, at, true);
            return true;
        }
        self.lossy(Rule::Truncated, end, end);
        let role = self.string.role;
        self.close_string(cx, end, end, false);
        if role == Role::Key {
            self.key = None;
            self.state = State::Key;
        }
        true
    }

    pub(super) fn close_string(&mut self, cx: Input<'_>, content_end: usize, end: usize, complete: bool) {
        let string = self.string;
        let code = string.triple && string.quote == b'`' && content_end > string.run.max(string.content);
        let content_end = match () {
            () if string.kept && complete => end,
            () if code && cx.at(content_end - 1) == b'\n' => content_end - 1,
            () => content_end,
        };
        let text = match string.copy {
            Some(start) => {
                self.tree.scratch.push_str(cx.slice(string.run, content_end));
                Text { start, end: clip(self.tree.scratch.len()), owned: true }
            }
            None => Text { start: clip(string.content), end: clip(content_end), owned: false },
        };
        let text = self.undouble(cx, text);
        self.pos = end;
        self.memo = 0;
        if string.role == Role::Key {
            if let Some(frame) = self.stack.last_mut() {
                frame.loose = false;
            }
            let hash = self.hash_key(cx, text);
            self.key = Some(Key { start: clip(string.start), end: clip(end), text, quoted: true, hash });
            self.state = State::AfterKey;
            return;
        }
        if self.joining {
            self.joining = false;
            self.join(cx, text, end, complete);
            return;
        }
        let mut node =
            Node::new(Kind::String(form(string.quote, string.triple)), clip(string.start), clip(end));
        node.set_text(text);
        node.set_complete(complete);
        self.scalar(node);
    }

    /// Takes the inner pair off `""text""`.
    fn undouble(&mut self, cx: Input<'_>, text: Text) -> Text {
        let string = self.string;
        if string.inner < 2 || text.owned || !matches!(string.quote, b'"' | b'\'') {
            return text;
        }
        let (first, last) = (cx.at(text.start as usize), cx.at((text.end as usize).wrapping_sub(1)));
        if first == string.quote && last == string.quote && text.end >= text.start + 2 {
            self.fix(Rule::QuoteForm, Severity::Ambiguous, text.start as usize, text.end as usize);
            return Text { start: text.start + 1, end: text.end - 1, owned: false };
        }
        text
    }

    /// Appends a literal to the string before it.
    pub(super) fn join(&mut self, cx: Input<'_>, text: Text, end: usize, complete: bool) {
        self.state = State::AfterValue;
        let Some(last) = self.stack.last().map(|frame| frame.last) else { return };
        let Some(mut node) = self.tree.nodes.get(last as usize).copied() else { return };
        let old = node.text();
        let mut added = String::new();
        let from: &str = if text.owned { &self.tree.scratch } else { cx.text };
        added.push_str(from.get(text.start as usize..text.end as usize).unwrap_or(""));
        if text.owned {
            self.tree.scratch.truncate(text.start as usize);
        }
        let start = if old.owned && old.end as usize == self.tree.scratch.len() {
            old.start
        } else {
            let start = clip(self.tree.scratch.len());
            if old.owned {
                let copy =
                    self.tree.scratch.get(old.start as usize..old.end as usize).unwrap_or("").to_owned();
                self.tree.scratch.push_str(&copy);
            } else {
                self.tree.scratch.push_str(cx.slice(old.start as usize, old.end as usize));
            }
            start
        };
        self.tree.scratch.push_str(&added);
        node.end = clip(end);
        node.set_complete(complete);
        node.set_text(Text { start, end: clip(self.tree.scratch.len()), owned: true });
        if let Some(slot) = self.tree.nodes.get_mut(last as usize) {
            *slot = node;
        }
    }
}

fn form(quote: u8, triple: bool) -> Quote {
    match quote {
        _ if triple => Quote::Triple,
        b'\'' => Quote::Single,
        b'`' => Quote::Backtick,
        b'"' | b'\\' => Quote::Double,
        _ => Quote::Typographic,
    }
}

/// Tells three quotes that open a string from an empty string and a quote.
fn triple_opens(cx: Input<'_>, at: usize) -> bool {
    !matches!(cx.at(at + 3), b',' | b'}' | b']' | b':')
}
