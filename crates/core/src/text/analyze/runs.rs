//! Runs of one script within a normalised text.

use unicode_normalization::char::canonical_combining_class;

use crate::text::Span;

/// How a run is turned into terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Hangul,
    Ideographic,
    Number,
    Word,
    Symbol,
}

/// Neighbouring characters of one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) text: &'a str,
    /// Where it begins in the normalised text.
    pub(super) start: usize,
    pub(super) script: Script,
    /// Whether it follows the run before it without a gap.
    pub(super) joined: bool,
}

impl Run<'_> {
    pub(super) const fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }
}

/// Cuts a normalised text into runs; what belongs to no run separates them.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Run<'_>> {
    let mut at = 0;
    let mut ended = usize::MAX;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            let first = rest.chars().next()?;
            let Some(script) = script(first) else {
                at += first.len_utf8();
                continue;
            };
            let length = match script {
                Script::Number => number(rest),
                Script::Symbol => first.len_utf8(),
                Script::Word => word(rest),
                Script::Hangul | Script::Ideographic => {
                    rest.find(|c| self::script(c) != Some(script)).unwrap_or(rest.len())
                }
            };
            let start = at;
            at += length;
            let joined = ended == start && script != Script::Symbol;
            ended = at;
            return Some(Run { text: rest.get(..length)?, start, script, joined });
        }
    })
}

fn script(c: char) -> Option<Script> {
    match c {
        'a'..='z' => Some(Script::Word),
        '0'..='9' => Some(Script::Number),
        '\0'..='\u{7F}' => None,
        '가'..='힣' => Some(Script::Hangul),
        '\u{4E00}'..='\u{9FFF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{3040}'..='\u{30FF}'
        | '々'
        | '\u{20000}'..='\u{323AF}' => (c != '・').then_some(Script::Ideographic),
        '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}' => Some(Script::Symbol),
        _ if c.is_alphanumeric() => Some(Script::Word),
        _ => None,
    }
}

/// Measures the word at the start of `rest`: letters, accents, apostrophes between letters; `c++`, `c#`, `f#`.
fn word(rest: &str) -> usize {
    let mut chars = rest.char_indices().peekable();
    let mut end = 0;
    while let Some((at, c)) = chars.next() {
        let apostrophe = matches!(c, '\'' | '\u{2019}')
            && chars.peek().is_some_and(|(_, next)| script(*next) == Some(Script::Word));
        let accent = !c.is_ascii() && canonical_combining_class(c) != 0;
        if !(script(c) == Some(Script::Word) || (at > 0 && (apostrophe || accent))) {
            break;
        }
        end = at + c.len_utf8();
    }
    let tail = rest.get(end..).unwrap_or_default();
    if end == 1 {
        let sign = if tail.starts_with("++") { 2 } else { usize::from(tail.starts_with('#')) };
        if sign > 0 && !tail.get(sign..).unwrap_or_default().starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            return end + sign;
        }
    }
    end
}

/// Measures the number at the start of `rest`: digits, thousands separators, decimal points.
fn number(rest: &str) -> usize {
    let digits = |from: usize| {
        rest.as_bytes()
            .get(from..)
            .map_or(0, |tail| tail.iter().take_while(|byte| byte.is_ascii_digit()).count())
    };
    let mut end = digits(0);
    loop {
        let next = digits(end + 1);
        match rest.as_bytes().get(end) {
            Some(b'.') if next > 0 => end += 1 + next,
            Some(b',') if next == 3 => end += 1 + next,
            _ => return end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        runs(text).map(|run| run.text).collect()
    }

    #[test]
    fn cuts_between_scripts_and_keeps_numbers_whole() {
        assert_eq!(
            cut("kafka는 1,234.5kg, 3,14 v2.0.1"),
            ["kafka", "는", "1,234.5", "kg", "3", "14", "v", "2.0.1"]
        );
        assert_eq!(cut("c++ c# don't 'quoted' ㅋㅋ"), ["c++", "c#", "don't", "quoted", "ㅋㅋ"]);
        assert_eq!(cut("學校에서 カメラ・レンズ🏃🏃"), ["學校", "에서", "カメラ", "レンズ", "🏃", "🏃"]);
    }
}
