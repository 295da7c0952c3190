//! Clauses of a sentence.

/// A clause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause<'a> {
    pub(crate) text: &'a str,
    pub(crate) question: bool,
}

/// Splits at sentence marks, at dashes between words, and where a contrast begins ("not A but B", 'A가 아니라 B').
pub(crate) fn clauses(text: &str) -> Vec<Clause<'_>> {
    // "B보다 A에 가깝다", "B에서 A로 바뀜": the first is what it is not, or no longer.
    let is_nearer = text.contains("가깝");
    let is_changed = ["바뀌", "바뀜", "바뀐", "변경", "전환"].iter().any(|word| text.contains(word));
    let mut out = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_space = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
        // `!x` and `a != x` deny, and end nothing.
        let before = text.get(start..at).and_then(|head| head.chars().next_back());
        let opens = before
            .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '=' | ':' | '"' | '*' | '`'))
            && chars.peek().is_some_and(|(_, next)| {
                next.is_alphanumeric() || matches!(next, '=' | '(' | '*' | '"' | '`')
            });
        if c == '!' && opens {
            continue;
        }
        let ends = matches!(c, '\n' | ';' | '!' | '?' | '。' | '？' | '！' | '，' | '；' | '(' | ')' | '—')
            || (matches!(c, '.' | ',' | ':') && next_space);
        // "x - because of y"
        let dash = matches!(c, '-' | '–') && next_space && before.is_some_and(char::is_whitespace);
        if ends || dash && text.get(start..at).is_some_and(|head| !head.trim().is_empty()) {
            push(&mut out, text, start, at, matches!(c, '?' | '？'));
            start = at + c.len_utf8();
            continue;
        }
        let rest = text.get(at..).unwrap_or("");
        if c == ' ' {
            // "anything but x", "everything but x" deny x and are one clause.
            let denies = text.get(start..at).is_some_and(|head| {
                ["anything", "everything"].iter().any(|word| ends_with_ignore_case(head, word))
            });
            for word in [" but ", " rather ", " instead ", " however "] {
                if starts_with_ignore_case(rest, word) && !denies {
                    push(&mut out, text, start, at, false);
                    start = at + 1;
                }
            }
        }
        let contrast = CONTRASTS_KO.iter().find(|word| rest.starts_with(**word)).copied();
        let nearer = || ["보다는 ", "보다 "].into_iter().find(|word| is_nearer && rest.starts_with(word));
        let changed = || ["에서 "].into_iter().find(|word| is_changed && rest.starts_with(word));
        if let Some(word) = contrast.or_else(nearer).or_else(changed) {
            let end = at + word.len();
            push(&mut out, text, start, end, false);
            start = end;
        }
    }
    push(&mut out, text, start, text.len(), false);
    out
}

/// End the clause of what is not meant.
const CONTRASTS_KO: &[&str] = &["아니라", "아니고", "말고", "라기보다는", "라기보다"];

fn push<'a>(out: &mut Vec<Clause<'a>>, text: &'a str, start: usize, end: usize, question: bool) {
    if let Some(part) = text.get(start..end) {
        if !part.trim().is_empty() {
            out.push(Clause { text: part, question });
        } else if question && let Some(last) = out.last_mut() {
            last.question = true;
        }
    }
}

fn starts_with_ignore_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn ends_with_ignore_case(text: &str, suffix: &str) -> bool {
    let from = text.len().saturating_sub(suffix.len());
    text.get(from..).is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
}

/// The text takes back what it said before: "no wait", 아니 잠깐.
pub(crate) fn retracts(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "no wait",
        "no, wait",
        "scratch that",
        "i was wrong",
        "i take that back",
        "on second thought",
        "wait,",
        "아니 잠깐",
        "아니, 잠깐",
        "정정",
    ]
    .iter()
    .any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::clauses;

    #[test]
    fn splits_contrasts() {
        let texts = |text| clauses(text).iter().map(|c| c.text.trim()).collect::<Vec<_>>();
        assert_eq!(texts("not A but B."), ["not A", "but B"]);
        assert_eq!(texts("A가 아니라 B입니다."), ["A가 아니라", "B입니다"]);
        assert_eq!(texts("A라기보다는 B"), ["A라기보다는", "B"]);
        assert_eq!(texts("A보다 B에 가깝다"), ["A보다", "B에 가깝다"]);
        assert_eq!(texts("A에서 B로 바뀜"), ["A에서", "B로 바뀜"]);
        assert_eq!(texts("A보다 B"), ["A보다 B"]);
        assert_eq!(texts("It is anything but A."), ["It is anything but A"]);
        assert_eq!(texts("v1.2 is it, yes"), ["v1.2 is it", "yes"]);
        assert_eq!(texts("A - no B - C-3"), ["A", "no B", "C-3"]);
        assert_eq!(texts("- it is !A, x != B!"), ["- it is !A", "x != B"]);
    }
}
