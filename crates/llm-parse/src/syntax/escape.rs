//! Escapes and control characters in strings.

use super::document::clip;
use super::machine::Machine;
use super::scan::{Input, LOOK, Solid, Tri, is_ident};
use super::string::Verdict;
use crate::report::Rule;

impl Machine {
    pub(super) fn copied(&mut self, cx: Input<'_>, upto: usize) {
        let mut string = self.string;
        if string.copy.is_none() {
            string.copy = Some(clip(self.tree.scratch.len()));
        }
        self.tree.scratch.push_str(cx.slice(string.run, upto));
        string.run = upto;
        self.string = string;
    }

    pub(super) fn replace(&mut self, cx: Input<'_>, len: usize, with: Option<char>) {
        let at = self.pos;
        self.copied(cx, at);
        self.tree.scratch.extend(with);
        self.pos = at + len;
        self.string.run = self.pos;
    }

    /// Handles a backslash: `Some(true)` when the string is over, `None` when more text is needed.
    pub(super) fn escape(&mut self, cx: Input<'_>, quote: u8) -> Option<bool> {
        let at = self.pos;
        if at + 1 >= cx.len() {
            if !cx.eof {
                return None;
            }
            self.replace(cx, 1, None);
            return Some(false);
        }
        if quote == b'\\' {
            return self.over_escape(cx);
        }
        if self.string.slashed && cx.at(at + 1) == b'\'' {
            return self.slashed_quote(cx, '\'');
        }
        self.unescape(cx, at, 1)
    }

    /// Reads the escape whose letter stands `skip` bytes after `at`.
    pub(super) fn unescape(&mut self, cx: Input<'_>, at: usize, skip: usize) -> Option<bool> {
        let letter = cx.at(at + skip);
        let len = skip + 1;
        let plain = match letter {
            b'"' => {
                if self.string.odd_escape && self.string.quote == b'"' && !self.string.triple {
                    // `"C:\dir\",`: the backslash belongs to a path and the quote closes the string.
                    match self.judge(cx, at + skip, 1) {
                        Verdict::Wait => return None,
                        Verdict::Close if !matches!(cx.solid(at + len), Solid::End) => {
                            self.ambiguous(Rule::InvalidEscape, at, at + len);
                            self.close_string(cx, at + skip, at + len, true);
                            return Some(true);
                        }
                        _ => {}
                    }
                }
                '"'
            }
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(cx, at, skip),
            b'x' => {
                if at + len + 2 > cx.len() && !cx.eof {
                    return None;
                }
                if let Some(code) = hex(cx, at + len, 2) {
                    self.repaired(Rule::InvalidEscape, at, at + len + 2);
                    self.replace(cx, len + 2, char::from_u32(code));
                    return Some(false);
                }
                return Some(self.keep_escape(at, skip));
            }
            b'\'' | b'`' => {
                self.cosmetic(Rule::InvalidEscape, at, at + len);
                char::from(letter)
            }
            b'\n' => {
                self.repaired(Rule::InvalidEscape, at, at + len);
                self.replace(cx, len, None);
                return Some(false);
            }
            b'\r' => {
                if at + len >= cx.len() && !cx.eof {
                    return None;
                }
                let len = len + usize::from(cx.at(at + len) == b'\n');
                self.repaired(Rule::InvalidEscape, at, at + len);
                self.replace(cx, len, None);
                return Some(false);
            }
            _ => return Some(self.keep_escape(at, skip)),
        };
        self.replace(cx, len, Some(plain));
        Some(false)
    }

    /// Keeps an escape that means nothing as it stands.
    pub(super) fn keep_escape(&mut self, at: usize, skip: usize) -> bool {
        self.string.odd_escape = true;
        self.repaired(Rule::InvalidEscape, at, at + skip);
        self.pos = at + skip;
        false
    }

    pub(super) fn unicode(&mut self, cx: Input<'_>, at: usize, skip: usize) -> Option<bool> {
        let digits = at + skip + 1;
        if cx.at(digits) == b'{' {
            let window = cx.bytes.get(digits + 1..(digits + 9).min(cx.len())).unwrap_or(&[]);
            let Some(close) = window.iter().position(|b| *b == b'}') else {
                if digits + 9 > cx.len() && !cx.eof {
                    return None;
                }
                return Some(self.keep_escape(at, skip));
            };
            let code = hex(cx, digits + 1, close).and_then(char::from_u32);
            let Some(code) = code else { return Some(self.keep_escape(at, skip)) };
            self.repaired(Rule::InvalidEscape, at, digits + close + 2);
            self.replace(cx, digits + close + 2 - at, Some(code));
            return Some(false);
        }
        if digits + 4 > cx.len() {
            let rest = cx.bytes.get(digits..).unwrap_or(&[]);
            if rest.iter().all(u8::is_ascii_hexdigit) {
                if !cx.eof {
                    return None;
                }
                // Half an escape at the end of the text.
                self.replace(cx, cx.len() - at, None);
                return Some(false);
            }
        }
        let Some(high) = hex(cx, digits, 4) else { return Some(self.keep_escape(at, skip)) };
        let len = digits + 4 - at;
        if let Some(plain) = char::from_u32(high) {
            self.replace(cx, len, Some(plain));
            return Some(false);
        }
        if high < 0xDC00 {
            let second = at + len;
            let need = second + skip + 5;
            if need > cx.len() && !cx.eof {
                return None;
            }
            let marked = cx.at(second) == b'\\' && cx.at(second + skip) == b'u';
            if marked
                && let Some(low) = hex(cx, second + skip + 1, 4)
                && (0xDC00..0xE000).contains(&low)
            {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                self.replace(cx, len + skip + 5, char::from_u32(code));
                return Some(false);
            }
        }
        self.lossy(Rule::LoneSurrogate, at, at + len);
        self.replace(cx, len, Some('\u{FFFD}'));
        Some(false)
    }

    /// Handles a backslash in a document that was escaped once too often: `\"` is a quote, `\\n` an escape.
    pub(super) fn over_escape(&mut self, cx: Input<'_>) -> Option<bool> {
        let at = self.pos;
        match cx.at(at + 1) {
            b'"' => self.slashed_quote(cx, '"'),
            b'\\' => {
                if at + 2 >= cx.len() {
                    if !cx.eof {
                        return None;
                    }
                    self.replace(cx, 2, None);
                    return Some(false);
                }
                if cx.at(at + 2) == b'\\' {
                    if at + 3 >= cx.len() && !cx.eof {
                        return None;
                    }
                    let with = if cx.at(at + 3) == b'"' { '"' } else { '\\' };
                    self.replace(cx, 4.min(cx.len() - at), Some(with));
                    return Some(false);
                }
                self.unescape(cx, at, 2)
            }
            _ => self.unescape(cx, at, 1),
        }
    }

    /// Handles a quote with a backslash before it, in a string that was opened so.
    fn slashed_quote(&mut self, cx: Input<'_>, quote: char) -> Option<bool> {
        let at = self.pos;
        match self.judge(cx, at, 2) {
            Verdict::Wait => return None,
            Verdict::Inner => {
                self.repaired(Rule::UnescapedQuote, at, at + 2);
                self.string.inner += 1;
                self.replace(cx, 2, Some(quote));
                return Some(false);
            }
            Verdict::Ends(end) => {
                self.repaired(Rule::MissingQuote, end, end);
                self.close_string(cx, end, end, true);
            }
            Verdict::Close | Verdict::Maybe | Verdict::Doubled | Verdict::OuterKey => {
                self.close_string(cx, at, at + 2, true);
            }
        }
        Some(true)
    }

    pub(super) fn control(&mut self, cx: Input<'_>, byte: u8) -> Option<bool> {
        let at = self.pos;
        if byte == b'\n' && self.around.in_fence() && !self.string.triple {
            match self.fence_in_string(cx, at) {
                Tri::Wait => return None,
                Tri::Yes => {
                    if let Some(end) = self.before_closers(cx, at) {
                        self.ambiguous(Rule::MissingQuote, end, end);
                        self.close_string(cx, end, end, true);
                        return Some(true);
                    }
                    self.lossy(Rule::MissingQuote, at, at);
                    self.close_string(cx, at, at, false);
                    return Some(true);
                }
                Tri::No => {}
            }
        }
        if !self.string.controls && !self.string.triple && self.string.quote != b'`' {
            self.string.controls = true;
            self.repaired(Rule::ControlCharacter, at, at + 1);
        }
        self.pos += 1;
        Some(false)
    }

    /// Tells whether the line after `at` closes the fence around the string, and not one inside it.
    pub(super) fn fence_in_string(&mut self, cx: Input<'_>, at: usize) -> Tri {
        let mut i = at + 1;
        while matches!(cx.at(i), b' ' | b'\t') && i - at < 12 {
            i += 1;
        }
        let run = if matches!(cx.at(i), b'`' | b'~') { cx.run(i) } else { 0 };
        if i + run >= cx.len() && !cx.eof && run < 64 {
            return Tri::Wait;
        }
        if run < 3 {
            return Tri::No;
        }
        if is_ident(cx.at(i + run)) {
            self.string.fenced = true;
            return Tri::No;
        }
        if self.string.fenced {
            self.string.fenced = false;
            return Tri::No;
        }
        // A bare fence: it closes the outer one unless the string is properly closed further on.
        let from = i + run;
        let window = cx.bytes.get(from..(from + LOOK).min(cx.len())).unwrap_or(&[]);
        if window.len() < LOOK && !cx.eof {
            return Tri::Wait;
        }
        let mut quotes = memchr::memchr_iter(self.string.quote, window);
        let closed = quotes.any(|q| {
            let rest = window.get(q + 1..).unwrap_or(&[]).trim_ascii_start();
            matches!(rest.first(), Some(b',' | b'}' | b']'))
        });
        Tri::from(!closed)
    }
}

fn hex(cx: Input<'_>, from: usize, len: usize) -> Option<u32> {
    let digits = cx.bytes.get(from..from + len)?;
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    digits.iter().try_fold(0_u32, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}
