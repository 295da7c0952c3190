//! Sentences that stand in a source word for word, and what of the source's sentence they leave out.

use pumasi_core::text::{Span, normalize};

use super::denials::denies_in_english;
use super::lexicon::{DENYING_KOREAN, FORBIDDEN, NOMINAL};
use super::words::{Word, words};

/// The fewest characters of a quote.
const SHORTEST: usize = 8;

/// Words that deny what stands with them, beside those that negate.
const REVOKING: &[&str] = &[
    "myth",
    "false",
    "untrue",
    "wrong",
    "mistake",
    "mistaken",
    "nobody",
    "none",
    "nothing",
    "hardly",
    "rarely",
    "seldom",
    "few",
    "unlike",
    "refuse",
    "refuses",
    "reject",
    "rejects",
    "ineffective",
    "useless",
];
const REVOKING_KOREAN: &[&str] =
    &["거짓", "오해", "속설", "틀린", "틀렸", "틀립", "잘못", "아니", "아닙", "아닌", "낭설", "헛소문"];

/// Words that bound what stands behind them.
const BOUNDING: &[&str] = &[
    "only", "except", "until", "under", "over", "above", "below", "most", "least", "than", "within", "up",
    "about", "around", "nearly", "almost", "before", "after", "during", "for", "in", "at",
];

/// A text without what does not tell sentences apart, and where its sentences stand in it.
pub(super) struct Plain {
    text: String,
    sentences: Vec<Span>,
}

/// What of a source a sentence has word for word.
pub(super) enum Quote {
    /// These of its sentences, by their places, with nothing left out that changes them.
    Whole(Vec<usize>),
    /// A part of one, with something left out.
    Part(Vec<LeftOut>),
    Nothing,
}

/// What a quote leaves out before or behind it.
pub(super) struct LeftOut {
    words: Vec<Word>,
    /// Whether it denies the quote itself.
    denies: bool,
    /// Whether it says in which case the quote holds.
    pub(super) is_condition: bool,
}

impl Plain {
    /// Reads sentences.
    pub(super) fn of<'a>(sentences: impl Iterator<Item = &'a str>) -> Self {
        let mut plain = Self { text: String::new(), sentences: Vec::new() };
        for sentence in sentences {
            if !plain.text.is_empty() {
                plain.text.push(' ');
            }
            let start = plain.text.len();
            plain.text.push_str(&one_spaced(sentence));
            plain.sentences.push(Span::new(start, plain.text.len()));
        }
        plain
    }

    /// Finds a sentence in it.
    pub(super) fn find(&self, sentence: &str) -> Quote {
        let wanted = one_spaced(sentence);
        let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '%' | '‰' | '°' | '℃' | '℉');
        let wanted =
            wanted.trim_end_matches(|c| !is_inner(c)).trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut part = Quote::Nothing;
        if wanted.chars().count() < SHORTEST {
            return part;
        }
        for (start, _) in self.text.match_indices(wanted) {
            let end = start + wanted.len();
            let (before, after) = (self.text.get(..start), self.text.get(end..));
            let before = before.unwrap_or_default();
            if !begins_here(before) || !ends_here(after.unwrap_or_default()) {
                if before.ends_with("non-") && matches!(part, Quote::Nothing) {
                    part =
                        Quote::Part(vec![LeftOut { words: Vec::new(), denies: true, is_condition: false }]);
                }
                continue;
            }
            let touched =
                self.sentences.iter().enumerate().filter(|(_, span)| span.start < end && start < span.end);
            let touched: Vec<(usize, Span)> = touched.map(|(at, span)| (at, *span)).collect();
            let (Some((_, first)), Some((_, last))) = (touched.first(), touched.last()) else { continue };
            let before = self.text.get(first.start..start).unwrap_or_default();
            let after = self.text.get(end..last.end).unwrap_or_default();
            let left: Vec<LeftOut> =
                [(before, true), (after, false)].into_iter().filter_map(left_out).collect();
            if left.is_empty() {
                return Quote::Whole(touched.into_iter().map(|(at, _)| at).collect());
            }
            let changes = |left: &[LeftOut]| left.iter().any(LeftOut::changes);
            if !matches!(&part, Quote::Part(known) if !changes(known)) {
                part = Quote::Part(left);
            }
        }
        part
    }
}

/// Lower case, and one space between words.
fn one_spaced(text: &str) -> String {
    let normal = normalize(text);
    normal.as_str().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Tells whether a word may begin behind a text: not within a word, a number, or what a hyphen joins.
fn begins_here(before: &str) -> bool {
    let mut back = before.chars().rev();
    match back.next() {
        None => true,
        Some(c) if c.is_alphanumeric() => false,
        Some(
            '-' | '–' | '−' | '~' | '.' | ',' | ':' | '/' | '+' | '±' | '\'' | '’' | '$' | '€' | '₩' | '£',
        ) => {
            !back.next().is_some_and(char::is_alphanumeric)
                && !before.ends_with(['−', '+', '±', '$', '€', '₩', '£', '~'])
        }
        Some(_) => true,
    }
}

/// Tells whether a word may end before a text.
fn ends_here(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        None => true,
        Some(c) if c.is_alphanumeric() || matches!(c, '%' | '‰' | '°' | '℃' | '℉') => false,
        Some('-' | '–' | '−' | '~' | '.' | ',' | ':' | '/' | '\'' | '’') => {
            !chars.next().is_some_and(char::is_alphanumeric)
        }
        Some(_) => true,
    }
}

/// Tells of a piece beside a quote what it does to it; `None` if it does nothing.
///
/// What a comma or the like parts from the quote changes it if it denies, conditions or bounds; what stands in the quote's own clause
/// does if it says anything.
fn left_out((text, is_before): (&str, bool)) -> Option<LeftOut> {
    let parts = [',', ':', '(', ')', '|', '—'];
    let own = if is_before { text.rsplit(parts).next() } else { text.split(parts).next() };
    let own = own.unwrap_or_default();
    let said = words(text);
    let is_condition = said.iter().any(is_conditional);
    let bounds = said.iter().any(|word| {
        let is_only = word.is_korean() && word.raw.ends_with('만') && word.stem.len() < word.raw.len();
        is_only || BOUNDING.contains(&word.raw.as_str())
    });
    let has_digits = text.contains(|c: char| c.is_ascii_digit());
    let says = own.contains(char::is_alphanumeric);
    let changes = is_condition || bounds || has_digits || says || denying(text, &said).next().is_some();
    let near = words(own);
    let last = near.len().saturating_sub(1);
    let denies = denying(own, &near).any(|at| match near.get(at) {
        // in Korean what stands before the quote denies its own verb, unless it leads to the quote's first word
        Some(word) if is_before && word.is_korean() => {
            at == last && !word.raw.ends_with(['고', '면', '도', '서', '니'])
        }
        // instead of it, to avoid it: something else is denied
        Some(word) if is_before && ELSEWHERE.contains(&word.raw.as_str()) => at == last,
        Some(_) => true,
        None => false,
    });
    changes.then_some(LeftOut { words: said, denies, is_condition })
}

/// English words that deny what is named with them, and nothing further on.
const ELSEWHERE: &[&str] = &[
    "without", "avoid", "avoids", "avoiding", "away", "rather", "instead", "skip", "stop", "stops", "unlike",
];

/// Finds the words that deny.
fn denying<'a>(text: &'a str, said: &'a [Word]) -> impl Iterator<Item = usize> + 'a {
    let denies = move |(at, word): &(usize, &Word)| {
        let raw = word.raw.as_str();
        if word.is_korean() {
            let before = at.checked_sub(1).and_then(|at| said.get(at));
            let forbids =
                raw.starts_with(['마', '말']) && before.is_some_and(|word| word.raw.ends_with('지'));
            let begins = |list: &[&str]| list.iter().any(|denying| raw.starts_with(denying));
            forbids || matches!(raw, "안" | "못") || begins(DENYING_KOREAN) || begins(REVOKING_KOREAN)
        } else {
            let tail = text.find(raw).and_then(|at| text.get(at..)).unwrap_or_default();
            FORBIDDEN.contains(&raw) || REVOKING.contains(&raw) || denies_in_english(raw, tail)
        }
    };
    said.iter().enumerate().filter(denies).map(|(at, _)| at)
}

fn is_conditional(word: &Word) -> bool {
    if !word.is_korean() {
        return ["if", "unless", "when", "whenever", "provided"].contains(&word.raw.as_str());
    }
    let is_case = ["때", "경우"].iter().any(|noun| {
        word.raw.strip_prefix(noun).is_some_and(|rest| rest.is_empty() || NOMINAL.contains(&rest))
    });
    is_case || (word.raw.ends_with('면') && word.raw.chars().nth(1).is_some())
}

impl LeftOut {
    /// Tells whether the quote says something else without it.
    pub(super) const fn changes(&self) -> bool {
        self.denies || self.is_condition
    }

    /// Tells whether it speaks of nothing that was asked about: a condition that the question names is no news to who asks.
    pub(super) fn is_unasked(&self, question: &[Word]) -> bool {
        !self.words.iter().any(|word| !word.is_empty && question.iter().any(|asked| asked.is(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_begin_and_end_where_words_do() {
        for text in ["wait 1", "미", "un", "a non-", "3.", "3,", "18~", "−", "i'", "costs $"] {
            assert!(!begins_here(text), "{text}");
        }
        for text in ["", "wait ", "- ", "그는 \"", "(", "끝. "] {
            assert!(begins_here(text), "{text}");
        }
        for text in ["를", "0", ".5 km", ",000", "%", "-free", "~20", "'s"] {
            assert!(!ends_here(text), "{text}");
        }
        for text in ["", ".", ". 그리고", ", then", ")", " km"] {
            assert!(ends_here(text), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let plain = Plain::of(
            [
                "열이 나지 않으면 가볍게 달려도 됩니다.",
                "It helps, and you should drink water early.",
                "물을 자주 마십니다.",
            ]
            .into_iter(),
        );
        let Quote::Part(left) = plain.find("가볍게 달려도 됩니다.") else { panic!() };
        assert!(left[0].is_condition);
        assert!(matches!(plain.find("it helps, and you should"), Quote::Part(left) if !left[0].changes()));
        for (source, quote) in [
            ("Do not take gels with sports drinks.", "Take gels with sports drinks."),
            (
                "No doctor recommends running through bone pain.",
                "Doctor recommends running through bone pain.",
            ),
            (
                "It is a myth that you should drink as much as possible.",
                "You should drink as much as possible.",
            ),
            ("아프지 않은 사람은 매일 달려도 됩니다.", "사람은 매일 달려도 됩니다."),
            ("약을 먹고 나서 달려도 된다는 말은 틀립니다.", "약을 먹고 나서 달려도 된다는"),
        ] {
            let Quote::Part(left) = Plain::of(std::iter::once(source)).find(quote) else {
                panic!("{source}")
            };
            assert!(left[0].denies, "{source}");
        }
        for (source, quote) in [
            ("Instead of stretching walk for ten minutes.", "Walk for ten minutes."),
            ("무릎을 굽히지 말고 천천히 20분을 걷습니다.", "천천히 20분을 걷습니다."),
        ] {
            let Quote::Part(left) = Plain::of(std::iter::once(source)).find(quote) else {
                panic!("{source}")
            };
            assert!(!left[0].changes(), "{source}");
        }
        for (whole, places) in [
            ("물을 자주  마십니다", vec![2]),
            ("IT HELPS, and you should drink water early. 물을 자주 마십니다.", vec![1, 2]),
        ] {
            assert!(matches!(plain.find(whole), Quote::Whole(found) if found == places), "{whole}");
        }
        assert!(matches!(plain.find("에서 달려도 됩니다"), Quote::Nothing));
    }
}
