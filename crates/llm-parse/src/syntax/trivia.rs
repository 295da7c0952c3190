//! White space and comments.

use super::document::clip;
use super::line::not_an_item;
use super::machine::{Machine, State, Trivia};
use super::scan::{Input, LOOK};
use crate::report::Rule;

/// Tells whether a byte starts neither white space nor a comment.
#[inline]
fn is_plain(byte: u8) -> bool {
    byte > b' ' && byte < 0x80 && !matches!(byte, b'/' | b'#' | b'\\')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

impl Machine {
    /// Skips white space and comments.
    #[expect(clippy::inline_always, reason = "twice a token: calls of it cost a thirtieth of a messy answer")]
    #[inline(always)]
    pub(super) fn trivia(&mut self, cx: Input<'_>) -> Trivia {
        // Mostly there is nothing to skip, or a single blank.
        if cx.at(self.pos) == b' ' {
            self.pos += 1;
        }
        if is_plain(cx.at(self.pos)) { Trivia::Solid } else { self.skip_trivia(cx) }
    }

    #[inline(never)]
    fn skip_trivia(&mut self, cx: Input<'_>) -> Trivia {
        loop {
            let byte = cx.at(self.pos);
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.pos += 1,
                b'/' | b'#' | b'\\' | 0x0B | 0x0C | 0xC2 | 0xE1 | 0xE2 | 0xE3 | 0xEF => {
                    if let Some(done) = self.odd_trivia(cx) {
                        return done;
                    }
                }
                0 if self.pos >= cx.len() => {
                    return if cx.eof { Trivia::End } else { Trivia::Wait };
                }
                _ => return Trivia::Solid,
            }
        }
    }

    /// Skips a comment or unusual white space; `None` when something was skipped.
    pub(super) fn odd_trivia(&mut self, cx: Input<'_>) -> Option<Trivia> {
        let start = self.pos;
        let (byte, next) = (cx.at(start), cx.at(start + 1));
        let last = start + 1 >= cx.len();
        match byte {
            b'/' | b'\\' if last && !cx.eof => Some(Trivia::Wait),
            b'/' if next == b'/' => self.line_comment(cx),
            b'/' if next == b'*' => self.block_comment(cx),
            b'#' if self.state == State::Value && self.key.is_some() => {
                if last && !cx.eof {
                    Some(Trivia::Wait)
                } else if next == b' ' || last {
                    self.line_comment(cx)
                } else {
                    Some(Trivia::Solid)
                }
            }
            b'#' if self.state == State::Value && is_word(next) && !cx.starts_line(start) => {
                // `[#one, #two]`: a tag, unless the line goes on without an end to the list.
                let window = cx.bytes.get(start..(start + LOOK).min(cx.len())).unwrap_or(&[]);
                match memchr::memchr2(b']', b'\n', window).and_then(|at| window.get(at)) {
                    None if window.len() < LOOK && !cx.eof => Some(Trivia::Wait),
                    Some(b']') => Some(Trivia::Solid),
                    _ => self.line_comment(cx),
                }
            }
            b'#' if last && !cx.eof => Some(Trivia::Wait),
            b'#' => self.line_comment(cx),
            b'\\' if matches!(next, b'n' | b't' | b'r') => {
                self.pos += 2;
                self.escaped_blanks = true;
                self.repaired(Rule::OverEscaped, start, self.pos);
                None
            }
            b'\\' if next == b'\n' || next == b'\r' => {
                self.pos += 1;
                None
            }
            _ => {
                let len = cx.space(start);
                if len == 0 {
                    return Some(Trivia::Solid);
                }
                self.pos += len;
                let rule = match cx.slice(start, start + len) {
                    "\u{200B}" | "\u{200C}" | "\u{200D}" | "\u{2060}" | "\u{FEFF}" | "\u{AD}"
                    | "\u{200E}" | "\u{200F}" => Rule::InvisibleCharacter,
                    _ => Rule::WhiteSpaceForm,
                };
                let mut end = self.pos;
                while cx.space(end) == len && cx.at(end) == byte {
                    end += len;
                }
                self.pos = end;
                match self.fixes.last_mut() {
                    // A run that comes in pieces is one run.
                    Some(last) if last.rule == rule && last.end as usize == start => last.end = clip(end),
                    _ => self.cosmetic(rule, start, end),
                }
                None
            }
        }
    }

    pub(super) fn line_comment(&mut self, cx: Input<'_>) -> Option<Trivia> {
        let from = self.memo.max(self.pos);
        let Some(len) = memchr::memchr(b'\n', cx.bytes.get(from..).unwrap_or(&[])) else {
            if !cx.eof {
                self.memo = cx.len();
                return Some(Trivia::Wait);
            }
            self.commented(cx, cx.len(), 0);
            self.pos = cx.len();
            return Some(Trivia::End);
        };
        self.commented(cx, from + len, 0);
        self.pos = from + len + 1;
        None
    }

    /// Notes a comment that ends at `end` with a mark of `close` bytes; one that says `… more items` stands for what was left
    /// out.
    fn commented(&mut self, cx: Input<'_>, end: usize, close: usize) {
        let start = self.pos;
        let text = cx.slice(start, end - close).trim_start_matches(['/', '#', '*']).trim();
        match not_an_item(text) {
            Some(Rule::Ellipsis) => self.lossy(Rule::Ellipsis, start, end),
            _ => self.cosmetic(Rule::Comment, start, end),
        }
    }

    pub(super) fn block_comment(&mut self, cx: Input<'_>) -> Option<Trivia> {
        let from = self.memo.max(self.pos + 2);
        let Some(len) = memchr::memmem::find(cx.bytes.get(from..).unwrap_or(&[]), b"*/") else {
            if !cx.eof {
                self.memo = cx.len().saturating_sub(1).max(self.pos + 2);
                return Some(Trivia::Wait);
            }
            self.lossy(Rule::Comment, self.pos, cx.len());
            self.pos = cx.len();
            return Some(Trivia::End);
        };
        self.commented(cx, from + len + 2, 2);
        self.pos = from + len + 2;
        None
    }
}
