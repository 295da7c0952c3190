//! What a word says about the stop after it.

/// Never ends a sentence: a title or a connective that is written with a stop.
const OPEN: &[&str] = &[
    "adm", "approx", "asst", "ca", "capt", "cf", "col", "dept", "dr", "e.g", "eq", "eqs", "esp", "est",
    "fig", "figs", "gen", "gov", "hon", "i.e", "incl", "lt", "maj", "messrs", "mr", "mrs", "ms", "mt", "nos",
    "pp", "pres", "prof", "ref", "refs", "rep", "rev", "sen", "sgt", "sr", "st", "tel", "viz", "vol", "vols",
    "vs",
];

/// Ends a sentence only where a new one clearly begins.
const EITHER: &[&str] = &[
    "a.m", "al", "apr", "aug", "ave", "blvd", "co", "corp", "dec", "ed", "etc", "feb", "ft", "hr", "hrs",
    "inc", "jan", "jr", "jul", "jun", "km", "lb", "lbs", "ltd", "mar", "min", "mins", "no", "nov", "oct",
    "oz", "p.m", "ph.d", "rd", "sec", "sep", "sept", "u.k", "u.s", "u.s.a", "yr", "yrs",
];

/// Words that, capitalised, begin a sentence far more often than they are a name.
const STARTERS: &[&str] = &[
    "A", "After", "Also", "An", "And", "As", "At", "Before", "But", "For", "He", "Her", "His", "How",
    "However", "I", "If", "In", "It", "Its", "My", "No", "On", "Our", "She", "So", "Some", "That", "The",
    "Their", "Then", "There", "These", "They", "This", "Those", "To", "We", "What", "When", "Where", "Who",
    "Why", "With", "You", "Your",
];

/// Syllables that end a Korean sentence, given that a stop or an emoji follows.
const FINAL: &[char] = &[
    '다', '요', '까', '죠', '네', '지', '군', '래', '자', '라', '음', '함', '임', '됨', '듯', '오', '나',
    '냐', '니', '어', '아', '해', '줘', '봐', '걸', '게', '데', '야', '중', '완', '료', '용', '욥', '쥬',
    '당', '슴', '짐', '김', '림', '움',
];

/// Polite endings that end a sentence even without a stop; the word must be longer than the ending.
const POLITE: &[&str] = &[
    "습니다",
    "습니까",
    "ㅂ니다",
    "십시오",
    "합시다",
    "겠어요",
    "어요",
    "아요",
    "해요",
    "예요",
    "에요",
    "세요",
    "네요",
    "데요",
    "군요",
    "나요",
    "까요",
    "게요",
    "래요",
    "돼요",
    "려요",
    "워요",
    "와요",
    "줘요",
    "져요",
    "겨요",
    "봐요",
    "거든요",
    "잖아요",
    "지요",
];

/// What goes on with a quotation before it.
const QUOTING: &[&str] = &[
    "라고",
    "라는",
    "라며",
    "라면서",
    "라던",
    "라니",
    "란",
    "이라고",
    "이라는",
    "이라며",
    "이라니",
    "고",
    "는",
    "며",
    "하고",
    "하며",
    "하면서",
    "하는",
    "하던",
    "했다",
    "했어",
    "했고",
    "했지",
    "면서",
    "던데",
    "길래",
    "냐고",
    "냐며",
    "자고",
    "자며",
    "다고",
    "다며",
    "다는",
    "를",
    "을",
    "이",
    "가",
    "은",
    "의",
    "에",
    "와",
    "과",
    "도",
    "로",
    "으로",
    "만",
    "처럼",
    "같은",
    "라",
];

/// Quotation words that also stand after a space.
const SPACED_QUOTING: &[&str] = &[
    "라고",
    "라는",
    "라며",
    "라면서",
    "이라고",
    "이라는",
    "이라며",
    "하고",
    "하며",
    "하면서",
    "하는",
    "냐고",
    "다고",
    "라",
];

/// The most bytes of a word that are looked at, so that text without a space costs no more.
const LONGEST: usize = 64;

/// Returns the end of the word `content[start..end]`.
pub(super) fn end_of(content: &str, start: usize, end: usize) -> &str {
    let mut from = start.max(end.saturating_sub(LONGEST));
    while !content.is_char_boundary(from) {
        from += 1;
    }
    content.get(from..end).unwrap_or_default()
}

pub(super) fn is_syllable(c: char) -> bool {
    ('가'..='힣').contains(&c)
}

pub(super) fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
    !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Tells whether the Korean word ends as a sentence does, so that the slightest sign after it is a stop.
pub(super) fn ends_finally(word: &str) -> bool {
    let mut back = word.chars().rev().skip_while(|c| matches!(c, '"' | '\'' | '”' | '’' | ')' | ']'));
    back.next().is_some_and(|last| FINAL.contains(&last)) && back.next().is_some_and(is_syllable)
}

/// Tells whether the word is a polite verb form that ends a sentence even without a stop.
pub(super) fn ends_politely(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !is_syllable(c));
    // names of buttons, and so nouns as often as not
    if matches!(word, "좋아요" | "싫어요" | "슬퍼요" | "화나요" | "가나요" | "어서와요") {
        return false;
    }
    // -ㅂ니다, -ㅂ니까: the syllable before has the final consonant ㅂ
    let formal = word.strip_suffix("니다").or_else(|| word.strip_suffix("니까")).is_some_and(|stem| {
        stem.chars().next_back().is_some_and(|c| is_syllable(c) && (u32::from(c) - 0xAC00) % 28 == 17)
    });
    let plain = POLITE.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending));
    (formal || plain) && word.chars().count() >= 3
}

/// Tells whether `rest` goes on with a quotation: `"…"라고 했다`, `"…" 하고 말했다`.
pub(super) fn continues_quotation(rest: &str) -> bool {
    let next = rest.trim_start_matches(' ');
    let spaced = next.len() < rest.len();
    let end = next.find(|c: char| !is_syllable(c)).unwrap_or(next.len());
    let word = next.get(..end).unwrap_or_default();
    if word.is_empty() {
        return false;
    }
    if spaced {
        return SPACED_QUOTING.contains(&word);
    }
    QUOTING.contains(&word) || ["라고", "라는", "라며", "이라"].iter().any(|start| word.starts_with(start))
}

/// Tells whether the full stop after `word` belongs to it, given that `next` follows after white space.
pub(super) fn is_abbreviation(word: &str, next: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    if word.is_empty() || word.len() > 8 || !word.is_ascii() {
        return false;
    }
    let lower = word.to_ascii_lowercase();
    if OPEN.binary_search(&lower.as_str()).is_ok() {
        return true;
    }
    let end = next.find(|c: char| !c.is_alphanumeric()).unwrap_or(next.len());
    let starter = STARTERS.contains(&next.get(..end).unwrap_or_default());
    let fresh = next.starts_with(char::is_uppercase) || next.starts_with(is_syllable);
    if EITHER.binary_search(&lower.as_str()).is_ok() {
        return match lower.as_str() {
            // "No. 5" and "Apr. 3", but "No. Then" and "in May."
            "no" | "jan" | "feb" | "mar" | "apr" | "jun" | "jul" | "aug" | "sep" | "sept" | "oct" | "nov"
            | "dec" | "sec" => next.starts_with(|c: char| c.is_ascii_digit()),
            "km" | "lb" | "lbs" | "oz" | "ft" | "hr" | "hrs" | "min" | "mins" | "yr" | "yrs" | "ed" => {
                next.starts_with(char::is_lowercase)
            }
            "etc" | "inc" | "ltd" | "corp" | "co" => !fresh,
            _ => !starter && !next.starts_with(is_syllable),
        };
    }
    // an initial: "J. Smith", "U.N. report"
    let initials =
        word.split('.').all(|part| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_uppercase()));
    initials && word != "I" && !starter && next.starts_with(|c: char| c.is_alphanumeric() && c.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_searched_by_halves_are_sorted() {
        assert!(OPEN.is_sorted());
        assert!(EITHER.is_sorted());
    }
}
