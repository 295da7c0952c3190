//! The sign by which a model says that the passages hold no answer, in a text that arrives in pieces.

/// What a model answers when the passages do not: not shown to anybody.
pub(super) const NO_ANSWER: &str = "NO_ANSWER";

/// Takes the sign out of an answer: in either case, and with whatever models put around it.
///
/// A word that goes on behind it (`NO_ANSWER이 아니라`) is no sign.
#[derive(Debug, Default)]
pub(super) struct Sign {
    /// What may still be a part of the sign, or of what stands around it.
    held: String,
    /// Whether something was passed on that says anything.
    has_said: bool,
    /// Whether what was passed on ends within a word, for all that is known.
    is_in_word: bool,
    is_seen: bool,
    is_first: bool,
}

/// What stands in a text.
enum Place {
    Sign {
        start: usize,
        end: usize,
    },
    /// The sign may begin here.
    Open(usize),
    Nothing,
}

impl Sign {
    /// Takes the next piece; returns what is known to be none of the sign.
    pub(super) fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.read(false)
    }

    /// Ends the answer; returns what was held back.
    pub(super) fn finish(&mut self) -> String {
        self.read(true)
    }

    /// Tells whether the sign was there.
    pub(super) const fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Tells whether it came before anything else.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first
    }

    fn read(&mut self, is_end: bool) -> String {
        let mut shown = String::new();
        loop {
            let (until, next) = match place(&self.held, self.is_in_word, is_end) {
                Place::Sign { start, end } => (start, Some(end)),
                Place::Open(start) => (start, None),
                Place::Nothing => (self.held.len(), None),
            };
            let text = self.held.get(..until).unwrap_or_default();
            let says = self.has_said || text.contains(char::is_alphanumeric);
            if let Some(last) = text.chars().next_back() {
                self.is_in_word = last.is_alphanumeric();
            }
            if let Some(end) = next {
                self.is_first |= !says && !self.is_seen;
                self.is_seen = true;
                if says {
                    shown.push_str(text);
                }
                self.is_in_word = false;
                self.held.drain(..end);
            } else {
                if says || is_end {
                    shown.push_str(text);
                    self.held.drain(..until);
                }
                self.has_said = says;
                return shown;
            }
            self.has_said = says;
        }
    }
}

/// Tells whether a character may stand around the sign.
const fn is_around(c: char) -> bool {
    matches!(
        c,
        '*' | '`'
            | '"'
            | '\''
            | '“'
            | '”'
            | '‘'
            | '’'
            | '「'
            | '」'
            | '['
            | ']'
            | '('
            | ')'
            | '{'
            | '}'
            | '<'
            | '>'
            | '_'
            | '~'
            | '#'
    )
}

/// Finds the first sign of a text, with what stands around it.
fn place(text: &str, is_in_word: bool, is_end: bool) -> Place {
    let before = |at: usize| text.get(..at).unwrap_or_default();
    let begin = |at: usize| before(at).trim_end_matches(is_around).len();
    for (at, _) in text.match_indices(['N', 'n']) {
        if before(at).chars().next_back().map_or(is_in_word, char::is_alphanumeric) {
            continue;
        }
        // Markdown may write the underscore with a backslash
        let (mut wanted, mut end) = (NO_ANSWER.chars().peekable(), at);
        for c in text.get(at..).unwrap_or_default().chars() {
            match wanted.peek() {
                Some('_') if c == '\\' => {}
                Some(sign) if sign.eq_ignore_ascii_case(&c) => {
                    wanted.next();
                }
                _ => break,
            }
            end += c.len_utf8();
        }
        let rest = text.get(end..).unwrap_or_default();
        if wanted.peek().is_some() {
            if rest.is_empty() && !is_end {
                return Place::Open(begin(at));
            }
            continue;
        }
        let after = rest.trim_start_matches(is_around);
        if after.is_empty() && !is_end {
            return Place::Open(begin(at));
        }
        if rest.starts_with(char::is_alphanumeric) {
            continue;
        }
        // a full stop behind it ends nothing else
        let after = after.strip_prefix('.').unwrap_or(after);
        return Place::Sign { start: begin(at), end: text.len() - after.len() };
    }
    let open = begin(text.len());
    if open < text.len() && !is_end { Place::Open(open) } else { Place::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, size: usize) -> (String, bool, bool) {
        let mut sign = Sign::default();
        let mut shown = String::new();
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(size) {
            shown.push_str(&sign.push(&piece.iter().collect::<String>()));
        }
        shown.push_str(&sign.finish());
        (shown.trim().to_owned(), sign.is_seen(), sign.is_first())
    }

    #[test]
    fn the_sign_is_seen_however_it_is_written_and_never_shown() {
        for text in [
            "NO_ANSWER",
            " NO_ANSWER\n",
            "**NO_ANSWER**",
            "`NO_ANSWER`",
            "\"NO_ANSWER\"",
            "[NO_ANSWER]",
            "no_answer",
            "No_Answer.",
            "NO\\_ANSWER",
            "“NO_ANSWER”",
            "***`NO_ANSWER`***",
        ] {
            for size in [1, 2, 5, 100] {
                assert_eq!(read(text, size), (String::new(), true, true), "{text} {size}");
            }
        }
        for size in [1, 3, 100] {
            let told = "자료에는 없습니다.".to_owned();
            assert_eq!(read("자료에는 없습니다. NO_ANSWER", size), (told.clone(), true, false));
            assert_eq!(read("자료에는 없습니다. **NO_ANSWER**.", size), (told, true, false));
        }
    }

    #[test]
    fn what_is_no_sign_is_shown_as_it_is() {
        for text in [
            "NO_ANSWER이 아니라, 사흘 쉽니다 [1].",
            "NO, rest [1].",
            "사흘 [1] **쉽니다** (n).",
            "No answer is simple [1].",
            "UNNO_ANSWER",
            "n",
            "[1]",
            "NO_ANSWERS [2]",
            "",
        ] {
            for size in [1, 2, 100] {
                assert_eq!(read(text, size), (text.to_owned(), false, false), "{text} {size}");
            }
        }
    }
}
