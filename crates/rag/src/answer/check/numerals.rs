//! Numbers in words, in Korean and English.

use pumasi_core::text::{SINO_DIGITS, english_numeral, native_numeral, sino_numeral};

use super::numbers::scaled;

/// Further than that what is claimed is written in digits.
const MOST: u64 = 100_000_000;

/// Reads an English numeral: forty-five, two hundred and fifty.
pub(super) fn english(rest: &str) -> Option<(usize, f64)> {
    let (mut value, mut length, mut at) = (0.0, 0, 0);
    while let Some(tail) = rest.get(at..) {
        let word = tail.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let last = value % 100.0;
        match word {
            "hundred" if value < 100.0 => value = 100.0 * f64::max(value, 1.0),
            "thousand" if value < 1_000.0 => value = 1_000.0 * f64::max(value, 1.0),
            "and" if value >= 100.0 && last == 0.0 => {
                at += word.len() + 1;
                continue;
            }
            "one" if last >= 20.0 && last % 10.0 == 0.0 => value += 1.0,
            _ => {
                let number = english_numeral(word).filter(|number| *number > 1).map(f64::from);
                // five to ten, forty five; but not two three
                let adds =
                    |number: &f64| last == 0.0 || (last >= 20.0 && last % 10.0 == 0.0 && *number < 10.0);
                let Some(number) = number.filter(adds) else { break };
                value += number;
            }
        }
        at += word.len();
        length = at;
        if !rest.get(at..).is_some_and(|tail| tail.starts_with([' ', '-'])) {
            break;
        }
        at += 1;
    }
    (value > 0.0).then_some((length, value))
}

/// Tells whether an English word is a numeral.
pub(super) fn is_english_numeral(word: &str) -> bool {
    english(word).is_some_and(|(length, _)| length == word.len())
}

/// Reads a Sino-Korean numeral that something is counted with: 백오십 ml, 천 km, 삼십 일; but not 천장, 백신, 만약.
pub(super) fn sino(rest: &str) -> Option<(usize, f64)> {
    let read = sino_numeral(rest).filter(|read| read.value < MOST)?;
    let value = f64::from(u32::try_from(read.value).ok()?);
    let (number, name) = scaled(value, read.rest)?;
    let is_apart = read.rest.starts_with(' ');
    let is_sign = name.is_ascii() || name.chars().nth(1).is_some();
    let is_measured = match (read.literal.chars().nth(1), value < 10.0) {
        // 사 주세요, 이 사람, 구 년 is no number of its own
        (None, true) => is_apart && value > 2.0 && (is_sign || matches!(name, "분" | "초" | "년" | "회")),
        // 천장, 백일, 만일
        (None, false) => is_apart || is_sign || matches!(name, "원" | "번" | "회" | "명"),
        (Some(_), _) => true,
    };
    (is_measured && number.value > 0.0).then_some((read.literal.len(), value))
}

/// Tells whether a word is a Korean numeral, whole.
pub(super) fn is_numeral(word: &str) -> bool {
    let multiplies = |c| matches!(c, '십' | '백' | '천' | '만');
    if word.contains(multiplies) && word.chars().all(|c| multiplies(c) || SINO_DIGITS.contains(&c)) {
        return true;
    }
    native_numeral(word).is_some_and(|read| read.rest.is_empty() && !read.stands_alone())
}

/// Reads a native Korean numeral: 두 번, 세트, 열세 살; but not 두통, 네모, 열이 나면: what follows is a space or a counter.
pub(super) fn numeral(rest: &str) -> Option<(usize, f64)> {
    let read = native_numeral(rest).filter(|read| !read.stands_alone())?;
    let counted = read.rest.trim_start();
    let is_counted = if read.literal.ends_with(['석', '넉']) {
        counted.starts_with(['달', '장', '잔']) || counted.starts_with("주 ")
    } else if read.literal == "쉰" && read.rest.starts_with(' ') {
        // 쉰 살; but not 사흘 쉰 뒤에
        counted.starts_with(['명', '살', '개', '번', '장', '권'])
    } else {
        read.rest.starts_with([
            ' ', '번', '시', '달', '주', '켤', '걸', '명', '가', '살', '권', '장', '개', '컵', '잔', '병',
            '마', '대', '배', '줄', '조', '차', '군', '사',
        ])
    };
    let value = f64::from(u32::try_from(read.value).ok()?);
    is_counted.then_some((read.literal.len(), value))
}

/// Multiplies by what Korean writes behind a number: `2만`, `3천`.
pub(super) fn magnitude(value: f64, after: &str) -> (f64, &str) {
    for (sign, factor) in [('만', 10_000.0), ('천', 1_000.0), ('백', 100.0), ('억', 100_000_000.0)] {
        if let Some(rest) = after.strip_prefix(sign) {
            return (value * factor, rest);
        }
    }
    (value, after)
}
