//! Whole numbers written in words, in English and Korean, read only where every word is understood.

use pumasi_core::text::{
    KoreanNumeral, SINO_DIGITS, SINO_POWERS, english_numeral, native_numeral, sino_numeral,
};

use super::decimal::Decimal;
use super::unit;

const MAX_WORDS: usize = 16;

/// Reads a text that is a number in words and nothing else (a counter or a unit may follow a Korean one).
pub(crate) fn read(text: &str) -> Option<Decimal> {
    let lower = text.trim().to_lowercase();
    if lower.is_empty() || lower.len() > 200 {
        return None;
    }
    let (minus, words) = signed(&lower);
    let value = if words.is_ascii() { english(words) } else { korean(words) }?;
    Some(Decimal::whole(if minus { -value } else { value }))
}

/// Takes the sign off the front: `-five`, `minus five`, 마이너스 다섯.
fn signed(text: &str) -> (bool, &str) {
    let spaced = |rest: &&str| rest.starts_with(' ');
    let rest = text
        .strip_prefix(['-', '\u{2212}', '–'])
        .or_else(|| text.strip_prefix("minus").filter(spaced))
        .or_else(|| text.strip_prefix("negative").filter(spaced))
        .or_else(|| text.strip_prefix("마이너스").filter(spaced))
        .or_else(|| text.strip_prefix("영하").filter(spaced));
    (rest.is_some(), rest.unwrap_or(text).trim_start())
}

fn english(text: &str) -> Option<i128> {
    // A hyphen joins two words; a dash between them makes a range.
    if text.starts_with('-') || text.ends_with('-') || text.contains("- ") || text.contains(" -") {
        return None;
    }
    let words: Vec<&str> = text.split([' ', '-', ',']).filter(|word| !word.is_empty()).collect();
    if words.is_empty() || words.len() > MAX_WORDS {
        return None;
    }
    let (mut total, mut group): (i128, i128) = (0, 0);
    let mut last_scale = i128::MAX;
    // The size of the last word, so that "five five" and "twenty eleven" are refused.
    let mut room: i128 = i128::MAX;
    let mut any = false;
    let mut after_and = false;
    for word in &words {
        if *word == "and" {
            if !any || after_and {
                return None;
            }
            after_and = true;
            continue;
        }
        if let Some(value) = small(word) {
            if value >= room {
                return None;
            }
            group += value;
            room = if value >= 20 { 10 } else { 1 };
            if value == 0 && words.len() > 1 {
                return None;
            }
        } else if *word == "hundred" {
            if !(1..100).contains(&group) {
                return None;
            }
            group *= 100;
            room = 100;
        } else if *word == "dozen" {
            return (words.len() == 2 && group > 0).then_some(group * 12);
        } else {
            let scale: i128 = match *word {
                "thousand" => 1_000,
                "million" => 1_000_000,
                "billion" => 1_000_000_000,
                "trillion" => 1_000_000_000_000,
                _ => return None,
            };
            if group == 0 || scale >= last_scale {
                return None;
            }
            total += group * scale;
            group = 0;
            last_scale = scale;
            room = 1000;
        }
        any = true;
        after_and = false;
    }
    (any && !after_and).then_some(total + group)
}

fn small(word: &str) -> Option<i128> {
    if word == "zero" { Some(0) } else { english_numeral(word).map(i128::from) }
}

fn korean(text: &str) -> Option<i128> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // lime and a cheek are no numbers
    let is_word = matches!(compact.as_str(), "석회" | "넉살");
    let native =
        native_numeral(&compact).filter(|read| !is_word && (!needs_counter(read) || !read.rest.is_empty()));
    let (value, rest) = match (native, compact.strip_prefix('영')) {
        (Some(read), _) => (read.value, read.rest),
        (None, Some(rest)) => (0, rest),
        (None, None) => sino_numeral(&compact).map(|read| (read.value, read.rest))?,
    };
    // Not 이삼 and 백천, of which only a part can be read.
    if native.is_none() && (rest.starts_with(SINO_DIGITS) || rest.starts_with(SINO_POWERS)) {
        return None;
    }
    let counter = rest.is_empty()
        || unit::named(rest).is_some()
        || matches!(rest, "원" | "가지" | "단계" | "권" | "마리" | "대" | "장" | "곳");
    // A lone syllable such as 이 or 일 is a word far more often than a number.
    let long_enough =
        native.is_some() || compact.chars().count() - rest.chars().count() >= 2 || !rest.is_empty();
    (counter && long_enough).then_some(i128::from(value))
}

/// 한, 두 and 네 stand only before a counter; alone 네 means yes.
fn needs_counter(read: &KoreanNumeral<'_>) -> bool {
    read.value < 10 && read.literal.chars().nth(1).is_none() && !read.stands_alone()
}

#[cfg(test)]
mod tests {
    use super::read;

    fn whole(text: &str) -> Option<i128> {
        read(text).and_then(super::Decimal::to_integer).map(|(value, _)| value)
    }

    #[test]
    fn reads_english_words() {
        for (text, expected) in [
            ("three", 3),
            ("twenty-five", 25),
            ("one hundred and five", 105),
            ("two dozen", 24),
            ("three hundred thousand", 300_000),
            ("One million two hundred", 1_000_200),
            ("-five", -5),
            ("- five", -5),
            ("minus twenty-five", -25),
            ("negative three", -3),
        ] {
            assert_eq!(whole(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn reads_korean_words() {
        for (text, expected) in [
            ("세 개", 3),
            ("스물다섯", 25),
            ("삼만 오천", 35_000),
            ("열두 명", 12),
            ("백이십", 120),
            ("다섯", 5),
            ("오천 원", 5000),
            ("-다섯", -5),
            ("마이너스 오천 원", -5000),
        ] {
            assert_eq!(whole(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand_wholly() {
        for text in [
            "one and a half",
            "a few",
            "five five",
            "twenty eleven",
            "네",
            "이",
            "세상",
            "many",
            "hundred",
            "일",
            "twenty - five",
            "five-",
            "--five",
            "-일",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
