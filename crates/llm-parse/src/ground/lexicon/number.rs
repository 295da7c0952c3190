//! Numbers that are written in several parts, and the signs before them.

use pumasi_core::text::{SINO_DIGITS, SINO_POWERS, english_numeral};

use super::Miss;

/// English words for places in an order, below ten.
const ORDINALS: &[&str] =
    &["eighth", "fifth", "first", "fourth", "ninth", "second", "seventh", "sixth", "third"];
const MAGNITUDES: &[&str] = &["billion", "dozen", "hundred", "million", "thousand", "trillion"];

/// Words that turn a number's sign.
const SIGNS: &[&str] = &["minus", "negative", "마이너스", "영하"];

/// Korean tens and ones as native words.
const NATIVE_TENS: &[&str] = &["열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔"];
const NATIVE_ONES: &[&str] =
    &["하나", "한", "둘", "두", "셋", "세", "넷", "네", "다섯", "여섯", "일곱", "여덟", "아홉"];

/// A word beside another one, and whether it is a number in digits.
#[derive(Clone, Copy, Debug)]
pub(in crate::ground) struct Part<'a> {
    pub(in crate::ground) text: &'a str,
    pub(in crate::ground) digits: bool,
    /// Whether nothing at all stands between it and the word behind it.
    pub(in crate::ground) glued: bool,
}

/// Tells whether the last word of `before` and the words from `first` on are parts of one number, or a sign and its number:
/// `스물` and `다섯`, `1억` and `5천만`, `hundred and` and `five`, `10` and `000`, `영하` and `5`.
pub(in crate::ground) fn goes_on(before: &[Part<'_>], first: Part<'_>, next: Option<&str>) -> bool {
    let Some(last) = before.last() else { return false };
    if SIGNS.contains(&last.text) && (first.digits || is_english(first.text) || starts_korean(first.text)) {
        return true;
    }
    if first.digits {
        // "10 000", "2 1/2", "2 million 500"
        let group =
            first.text.len() == 3 && last.text.len() <= 3 && first.text.bytes().all(|b| b.is_ascii_digit());
        return last.digits && (group || first.text.contains('/'))
            || !last.digits && MAGNITUDES.contains(&last.text)
            || is_korean_power(before);
    }
    if first.text.is_ascii() {
        let counted = |part: Option<&Part<'_>>| part.is_some_and(|part| part.digits || is_english(part.text));
        let linked = match before {
            [.., one, and] if and.text == "and" => MAGNITUDES.contains(&one.text).then_some(one),
            _ => None,
        };
        return match first.text {
            // "two and a half hours", "half a million"
            "a" | "an" if next == Some("half") => {
                last.text == "and" && counted(before.len().checked_sub(2).and_then(|at| before.get(at)))
            }
            "a" | "an" => last.text == "half" && next.is_some_and(|next| MAGNITUDES.contains(&next)),
            "half" => {
                matches!(before, [.., one, and, a] if a.text == "a" && and.text == "and" && counted(Some(one)))
            }
            word if MAGNITUDES.contains(&word) => {
                counted(Some(last)) || matches!(before, [.., half, a] if a.text == "a" && half.text == "half")
            }
            word if is_english(word) => {
                linked.is_some()
                    || MAGNITUDES.contains(&last.text)
                    || is_english_tens(last.text) && is_english_one(word)
            }
            _ => false,
        };
    }
    starts_korean(first.text)
        && (is_korean_power(before)
            || NATIVE_TENS.contains(&last.text) && NATIVE_ONES.iter().any(|one| first.text.starts_with(one)))
}

/// Tells whether a Korean word is cut within a number: `스물` off `다섯`, `백` off `오십만`.
pub(in crate::ground) fn cuts_korean(left: &str, right: &str) -> bool {
    let tens = NATIVE_TENS.iter().any(|tens| left.ends_with(tens));
    if tens && NATIVE_ONES.iter().any(|one| right.starts_with(one)) {
        return true;
    }
    let number = |c: char| SINO_DIGITS.contains(&c) || SINO_POWERS.contains(&c);
    let numeral = !left.is_empty() && left.chars().all(number);
    let head: Vec<char> = right.chars().take_while(|c| number(*c)).collect();
    // "이사" is a move, "오십만" a number
    let power = |chars: &[char]| chars.iter().any(|c| SINO_POWERS.contains(c));
    let left_power = left.chars().any(|c| SINO_POWERS.contains(&c));
    numeral && !head.is_empty() && (power(&head) || left_power)
}

/// Names what is lost when a word is cut off a hyphen: `twenty` off `five`, `non` off `smoking`.
pub(in crate::ground) fn loses_compound(left: &str, right: &str) -> Miss {
    if is_english(left) || is_english(right) || left.bytes().any(|b| b.is_ascii_digit()) {
        Miss::Number
    } else if super::OPPOSITES.contains(&left)
        || matches!(
            left,
            "ex" | "post" | "pre" | "pro" | "pseudo" | "half" | "semi" | "never" | "no" | "not" | "quasi"
        )
        || matches!(right, "free" | "less" | "proof")
    {
        Miss::Negation
    } else {
        Miss::Wording
    }
}

fn is_english(word: &str) -> bool {
    is_english_one(word) || is_english_tens(word) || MAGNITUDES.contains(&word)
}

/// Tells whether an English word is a number below twenty, or a place below the tenth.
fn is_english_one(word: &str) -> bool {
    ORDINALS.contains(&word) || english_numeral(word).is_some_and(|number| number < 20)
}

fn is_english_tens(word: &str) -> bool {
    english_numeral(word).is_some_and(|number| number >= 20)
}

fn starts_korean(word: &str) -> bool {
    let numerals = word.chars().take_while(|c| SINO_DIGITS.contains(c) || SINO_POWERS.contains(c)).count();
    numerals >= 2 || word.starts_with(SINO_POWERS) || NATIVE_ONES.iter().any(|one| word.starts_with(one))
}

/// Tells whether the words end in a power of ten that a smaller part may follow: `1억`, `3만`, `이백`.
fn is_korean_power(before: &[Part<'_>]) -> bool {
    let Some(last) = before.last().filter(|last| last.text.ends_with(SINO_POWERS)) else { return false };
    if !last.text.chars().all(|c| SINO_DIGITS.contains(&c) || SINO_POWERS.contains(&c)) {
        return false;
    }
    let counted = before
        .len()
        .checked_sub(2)
        .and_then(|at| before.get(at))
        .is_some_and(|part| part.digits && part.glued);
    counted || last.text.chars().nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part<'_> {
        Part { text, digits: text.starts_with(|c: char| c.is_ascii_digit()), glued: true }
    }

    #[test]
    fn parts_of_one_number_go_on() {
        for (before, first, next) in [
            (&["hundred", "and"][..], "five", None),
            (&["twenty"], "five", None),
            (&["two", "and"], "a", Some("half")),
            (&["half"], "a", Some("million")),
            (&["5"], "million", None),
            (&["10"], "000", None),
            (&["minus"], "5", None),
            (&["영하"], "5", None),
            (&["1", "억"], "5", None),
            (&["이백"], "오십만", None),
            (&["서른"], "두", None),
        ] {
            let before: Vec<_> = before.iter().map(|text| part(text)).collect();
            assert!(goes_on(&before, part(first), next), "{before:?} {first}");
        }
        for (before, first, next) in [
            (&["cats", "and"][..], "five", None),
            (&["ten"], "people", None),
            (&["day"], "10", None),
            (&["3"], "5", None),
            (&["이"], "사람", None),
            (&["하나만"], "다섯", None),
            (&["half"], "a", Some("day")),
        ] {
            let before: Vec<_> = before.iter().map(|text| part(text)).collect();
            assert!(!goes_on(&before, part(first), next), "{before:?} {first}");
        }
        assert!(cuts_korean("스물", "다섯") && cuts_korean("백", "오십만"));
        assert!(!cuts_korean("이", "사했다") && !cuts_korean("아침", "운동"));
    }
}
