//! Where sentences begin and end, in Korean and in English.
//!
//! Rules, not a model; each is meant to be wrong seldom and harmlessly (two sentences kept together rather than one cut).
//! The lists of abbreviations and endings are our own; the general shape (terminators, then closers, then space) is that
//! of Unicode Standard Annex 29, section 5.

mod lines;
mod words;

use lines::Line;

use super::Span;

/// Splits `text` into sentences, in order, without the white space around them; linear in its length.
///
/// A sentence ends
///
/// - at `.`, `!`, `?` and their CJK forms, with the quotes, brackets, emoji and `ㅋㅋ` that follow; but not within a
///   decimal, an address, a date (`2024. 1. 15.`), after an abbreviation (`e.g.`, `Dr.`) or an initial, nor where a
///   Korean quotation goes on (`"가자."라고 했다`);
/// - at an ellipsis only where a new sentence clearly begins;
/// - after a polite Korean ending (`-습니다`, `-어요`) even where the writer left the full stop out;
/// - at a line break, unless an English line was merely wrapped; a list item is a sentence of its own, its marker included.
///
/// Every visible character is in exactly one sentence.
///
/// ```
/// use pumasi_core::text::sentences;
///
/// let text = "3.5km를 뛰었다.좋았어요ㅋㅋ Dr. Kim said \"Go!\" Then we left";
/// let parts: Vec<_> = sentences(text).into_iter().map(|span| span.of(text)).collect();
/// assert_eq!(parts, ["3.5km를 뛰었다.", "좋았어요ㅋㅋ", "Dr. Kim said \"Go!\"", "Then we left"]);
/// ```
pub fn sentences(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    // where a sentence that a wrapped line left open began
    let mut open: Option<usize> = None;
    let mut before: Option<Line<'_>> = None;
    for line in lines::lines(text) {
        if let Some(previous) = before.take()
            && !previous.wraps_into(&line)
        {
            close(text, &mut open, previous.span.end, &mut found);
        }
        if line.is_blank() {
            continue;
        }
        open.get_or_insert(line.span.start);
        split_line(text, &line, &mut open, &mut found);
        before = Some(line);
    }
    close(text, &mut open, text.len(), &mut found);
    found
}

/// Ends the open sentence at `end`; text without a letter, digit or symbol goes to the sentence before it.
fn close(text: &str, open: &mut Option<usize>, end: usize, found: &mut Vec<Span>) {
    let Some(start) = open.take() else { return };
    let raw = text.get(start..end).unwrap_or_default();
    let trimmed = raw.trim();
    if trimmed.is_empty() {
        return;
    }
    let start = start + (raw.len() - raw.trim_start().len());
    let span = Span::new(start, start + trimmed.len());
    if !trimmed.chars().any(char::is_alphanumeric)
        && let Some(last) = found.last_mut()
        && !text.get(last.end..span.start).unwrap_or_default().contains('\n')
    {
        last.end = span.end;
        return;
    }
    found.push(span);
}

/// Finds the sentence ends within one line.
fn split_line(text: &str, line: &Line<'_>, open: &mut Option<usize>, found: &mut Vec<Span>) {
    let content = line.content();
    let base = line.span.end - content.len();
    let mut chars = content.char_indices().peekable();
    // the word before the stop: letters and digits since the last break
    let mut word_start = 0;
    let mut last_number: Option<u32> = line.number;
    let mut dated = false;
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            let word = words::end_of(content, word_start, at);
            let rest = content.get(at..).unwrap_or_default();
            if word.is_empty() {
                // within a run of spaces: the first of them has decided
            } else if words::ends_politely(word) && !words::continues_quotation(rest) {
                close(text, open, base + at, found);
                open.get_or_insert(base + at);
            } else if let Some(number) = lines::inline_number(rest, last_number) {
                close(text, open, base + at, found);
                open.get_or_insert(base + at);
                last_number = Some(number);
            }
            word_start = at + c.len_utf8();
            continue;
        }
        if !is_stop(c) && !is_emotive_start(content, at, c) {
            continue;
        }
        // the whole run: stops, closers, emoji
        let mut tail = Tail::default();
        tail.take(c);
        let mut end = at + c.len_utf8();
        while let Some(&(next_at, next)) = chars.peek() {
            if !tail.takes(next, content.get(next_at..).unwrap_or_default()) {
                break;
            }
            tail.take(next);
            end = next_at + next.len_utf8();
            chars.next();
        }
        let mut word = words::end_of(content, word_start, at);
        if word.is_empty() && tail.emotive {
            // an emoji after a space: the word before the space counts
            word = words::end_of(content, 0, at).split_whitespace().next_back().unwrap_or_default();
        }
        let rest = content.get(end..).unwrap_or_default();
        let numbered = last_number.is_some_and(|number| word.parse() == Ok(number)) && tail.is_dot();
        if numbered {
            continue;
        }
        if tail.is_dot() && words::is_number(word) && lines::date_goes_on(rest, dated) {
            dated = true;
            continue;
        }
        dated = false;
        if tail.ends_sentence(word, rest) {
            close(text, open, base + end, found);
            open.get_or_insert(base + end);
            word_start = end;
        }
    }
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '．' | '！' | '？' | '｡' | '‼' | '⁇' | '⁈' | '⁉')
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | ')'
            | ']'
            | '}'
            | '”'
            | '’'
            | '»'
            | '」'
            | '』'
            | '》'
            | '〉'
            | '】'
            | '）'
            | '］'
            | '〕'
            | '*'
            | '_'
            | '`'
    )
}

fn is_emotive(c: char) -> bool {
    matches!(c, 'ㅋ' | 'ㅎ' | 'ㅠ' | 'ㅜ' | '~' | '^' | '♥' | '♡' | '\u{200D}' | '\u{FE0F}' | '\u{20E3}')
        || matches!(c, '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}' | '\u{E0020}'..='\u{E007F}')
}

/// Tells whether an emoji or a `ㅋㅋ` begins here that may stand for a full stop: directly after a word or a space.
fn is_emotive_start(content: &str, at: usize, c: char) -> bool {
    if !is_emotive(c) {
        return false;
    }
    // a lone "~" between digits or letters is a range
    c != '~' || !content.get(at + 1..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
}

/// What stands at the end of a sentence.
#[derive(Default)]
struct Tail {
    dots: usize,
    marks: usize,
    ellipses: usize,
    cjk: bool,
    closed: bool,
    emotive: bool,
}

impl Tail {
    fn take(&mut self, c: char) {
        match c {
            '.' | '．' => self.dots += 1,
            '…' => self.ellipses += 1,
            '。' | '｡' => self.cjk = true,
            '！' | '？' => {
                self.marks += 1;
                self.cjk = true;
            }
            _ if is_stop(c) => self.marks += 1,
            _ if is_closer(c) => self.closed = true,
            _ => self.emotive = true,
        }
    }

    /// Tells whether `next`, with which `rest` begins, still belongs to the tail.
    fn takes(&self, next: char, rest: &str) -> bool {
        if is_stop(next) || is_emotive(next) {
            return true;
        }
        if is_closer(next) {
            // after a bare emoji a quote would open, not close
            return !self.emotive
                || self.dots + self.marks > 0
                || !matches!(next, '"' | '\'' | '*' | '_' | '`');
        }
        // "끝! 😊": an emoji after one space goes with the sentence before it
        next == ' ' && !self.emotive && rest.chars().nth(1).is_some_and(|c| is_emotive(c) && c != '^')
    }

    fn is_dot(&self) -> bool {
        self.dots == 1 && self.marks == 0 && self.ellipses == 0 && !self.cjk && !self.closed && !self.emotive
    }

    fn is_ellipsis(&self) -> bool {
        self.marks == 0 && !self.cjk && (self.ellipses > 0 || self.dots > 1)
    }

    /// Decides, from the word before and the text after, whether the sentence ends here.
    fn ends_sentence(&self, word: &str, rest: &str) -> bool {
        let spaced = rest.starts_with(char::is_whitespace);
        let next = rest.trim_start();
        if next.is_empty() {
            return true;
        }
        if self.cjk {
            return !(self.closed && words::continues_quotation(rest));
        }
        if words::continues_quotation(rest) && (self.closed || spaced) {
            return false;
        }
        let stops = self.dots + self.marks;
        if stops == 0 && self.ellipses == 0 {
            // emoji or ㅋㅋ alone
            return words::ends_finally(word)
                || (spaced && next.starts_with(char::is_uppercase) && word.ends_with(char::is_lowercase));
        }
        if !spaced {
            // "좋았다.그리고": no space, but an ending before and Hangul after
            return !self.closed && words::ends_finally(word) && next.starts_with(words::is_syllable);
        }
        if self.is_ellipsis() {
            return words::ends_finally(word)
                || (next.starts_with(char::is_uppercase)
                    && !next.starts_with("I ")
                    && !next.starts_with("I'"));
        }
        if next.starts_with(char::is_lowercase) && (self.closed || next.starts_with(is_closer)) {
            return false;
        }
        if self.marks > 0 || self.emotive {
            return true;
        }
        !words::is_abbreviation(word, next)
    }
}

#[cfg(test)]
mod tests;
