//! Clauses of a sentence, and whether they deny, ask or hedge what they name.

/// What a clause does to the thing that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    Affirmed,
    Denied,
    /// A question, a condition, a choice: neither said nor denied.
    Open,
}

/// A clause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause<'a> {
    pub(crate) text: &'a str,
    pub(crate) question: bool,
}

/// Splits at sentence marks, and where a contrast begins ("not A but B", 'A가 아니라 B').
pub(crate) fn clauses(text: &str) -> Vec<Clause<'_>> {
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
        if ends {
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
        for word in ["아니라", "아니고", "말고"] {
            if rest.starts_with(word) {
                let end = at + word.len();
                push(&mut out, text, start, end, false);
                start = end;
            }
        }
    }
    push(&mut out, text, start, text.len(), false);
    out
}

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

const IDIOMS: &[&str] = &[
    "no doubt",
    "의심의 여지가 없",
    "without a doubt",
    "without doubt",
    "beyond doubt",
    "beyond a doubt",
    "beyond any doubt",
    "without question",
    "no question",
    "not only",
    "nothing but",
    "no other than",
    "none other than",
    "no matter",
    "not surprisingly",
    "no mistake",
    "의심할 여지 없이",
    "의심의 여지 없이",
    "의심할 여지가 없",
    "틀림없",
    "다름 아닌",
    "다름아닌",
    "뿐만 아니라",
    "뿐 아니라",
    "뿐만아니라",
    "문제없",
];

const DENIALS: &[&str] = &[
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "none",
    "cannot",
    "without",
    "hardly",
    "scarcely",
    "barely",
    "nowhere",
    "nothing",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "doesn't",
    "don't",
    "didn't",
    "won't",
    "wouldn't",
    "can't",
    "couldn't",
    "shouldn't",
    "ain't",
    "hasn't",
    "haven't",
    "isnt",
    "doesnt",
    "dont",
    "non",
    "wrong",
    "incorrect",
    "false",
    "untrue",
    "unlike",
    "except",
    "excluding",
    "rejected",
    "denied",
    "fails",
    "lacks",
    "opposite",
    "rather than",
    "instead of",
    "far from",
    "anything but",
    "everything but",
    "out of the question",
    "denies",
    "no longer",
    "nicht",
];

const DENIALS_KO: &[&str] = &[
    "아니",
    "아닙",
    "아닌",
    "아님",
    "아녜",
    "아냐",
    "않",
    "못하",
    "못합",
    "못한",
    "못함",
    "없",
    "말고",
    "빼고",
    "제외",
    "반대",
    "틀렸",
    "틀린",
    "틀림",
    "잘못",
    "불가",
    "안됨",
    "안 됨",
    "안돼",
    "거짓",
    "보기 어렵",
    "보기는 어렵",
    "보기 힘들",
    "보기는 힘들",
    "말하기 어렵",
    "말하기는 어렵",
];

const OPEN: &[&str] = &[
    "if",
    "whether",
    "either",
    "unless",
    "maybe",
    "perhaps",
    "possibly",
    "might",
    "could",
    "unclear",
    "doubt",
    "doubts",
    "doubtful",
    "wish",
    "used to be",
    "would have",
    "unsure",
    "uncertain",
    "between",
    "versus",
    "vs",
    "would be",
    "hesitate",
    "supposedly",
    "allegedly",
    "at least",
    "at most",
    "higher than",
    "lower than",
    "better than",
    "worse than",
    "less than",
    "more than",
    "above \u{1}",
    "below \u{1}",
    "under \u{1}",
];

const OPEN_KO: &[&str] = &[
    "인지",
    "일지",
    "혹은",
    "또는",
    "이거나",
    "거나",
    "아마",
    "만약",
    "라면",
    "일 수도",
    "것 같",
    "듯",
    "까요",
    "모르",
    "줄 알았",
];

/// Say of the label before them that it is a bound.
const BOUNDS_KO: &[&str] = &["이상", "이하", "미만", "초과", "에서", "부터"];

/// Tells whether `word` follows the thing that is named.
fn is_right_after(text: &str, word: &str) -> bool {
    text.split_once('\u{1}').is_some_and(|(_, rest)| rest.trim_start().starts_with(word))
}

/// What `clause` does to the thing named in it; `named` is where that stands, and is not searched itself.
pub(crate) fn stance(clause: &str, question: bool, named: Option<(usize, usize)>) -> Stance {
    let mut text = clause.to_lowercase().replace('’', "'");
    if let (Some((start, end)), true) = (named, text.len() == clause.len())
        && let (Some(head), Some(tail)) = (text.get(..start), text.get(end..))
    {
        text = format!("{head}\u{1}{tail}");
    }
    for idiom in IDIOMS {
        if text.contains(idiom) {
            text = text.replace(idiom, " ");
        }
    }
    if DENIALS.iter().any(|word| has_word(&text, word))
        || DENIALS_KO.iter().any(|word| text.contains(word))
        || has_an(&text)
        || has_zero_share(&text)
    {
        return Stance::Denied;
    }
    if question
        || OPEN.iter().any(|word| has_word(&text, word))
        || OPEN_KO.iter().any(|word| text.contains(word))
        || BOUNDS_KO.iter().any(|word| is_right_after(&text, word))
        || (has_word(&text, "too") && has_word(&text, "to be"))
    {
        return Stance::Open;
    }
    Stance::Affirmed
}

/// A short text that denies.
pub(crate) fn denies(text: &str) -> bool {
    stance(text, false, None) == Stance::Denied
}

/// The Korean adverb 안 ("not") as a word of its own.
fn has_an(text: &str) -> bool {
    text.split_whitespace().any(|word| word == "안" || word == "못")
}

/// “0% x”: none of it.
fn has_zero_share(text: &str) -> bool {
    text.match_indices("0%").any(|(at, _)| {
        text.get(..at)
            .is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',')))
    })
}

fn has_word(text: &str, word: &str) -> bool {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(word)) {
        let (start, end) = (from + at, from + at + word.len());
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(end..).and_then(|t| t.chars().next());
        let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '\'');
        if free(before) && free(after) {
            return true;
        }
        from = end;
    }
    false
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
    use super::{Stance, clauses, stance};

    #[test]
    fn tells_denial_from_affirmation() {
        for text in [
            "this is not x",
            "it isn't x",
            "x가 아닙니다",
            "x이 아님",
            "절대 x 아니다",
            "안 x",
            "far from x",
            "x is wrong",
            "anything but x",
            "x라고 보기 어렵습니다",
        ] {
            assert_eq!(stance(text, false, None), Stance::Denied, "{text}");
        }
        for text in ["no doubt x", "definitely x", "틀림없이 x입니다", "not only x", "안내 x", "notable x"]
        {
            assert_eq!(stance(text, false, None), Stance::Affirmed, "{text}");
        }
        assert_eq!(stance("is it x", true, None), Stance::Open);
        assert_eq!(stance("아마 x", false, None), Stance::Open);
    }

    #[test]
    fn splits_contrasts() {
        let texts = |text| clauses(text).iter().map(|c| c.text.trim()).collect::<Vec<_>>();
        assert_eq!(texts("not A but B."), ["not A", "but B"]);
        assert_eq!(texts("A가 아니라 B입니다."), ["A가 아니라", "B입니다"]);
        assert_eq!(texts("It is anything but A."), ["It is anything but A"]);
        assert_eq!(texts("v1.2 is it, yes"), ["v1.2 is it", "yes"]);
    }
}
