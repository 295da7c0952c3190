//! Numbers in words, in Korean and English.

use super::numbers::scaled;

/// English numerals from two on, as they add up; a hundred and a thousand multiply.
const ENGLISH: &[(&str, f64)] = &[
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fourteen", 14.0),
    ("fifteen", 15.0),
    ("sixteen", 16.0),
    ("seventeen", 17.0),
    ("eighteen", 18.0),
    ("nineteen", 19.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];

/// Sino-Korean digits, and what multiplies them.
const DIGITS: &[(char, f64)] = &[
    ('일', 1.0),
    ('이', 2.0),
    ('삼', 3.0),
    ('사', 4.0),
    ('오', 5.0),
    ('육', 6.0),
    ('칠', 7.0),
    ('팔', 8.0),
    ('구', 9.0),
];
const MULTIPLIERS: &[(char, f64)] = &[('십', 10.0), ('백', 100.0), ('천', 1_000.0)];

/// Native Korean numerals: tens and ones, as they stand before a counter and alone.
const TENS: &[(&str, f64)] = &[
    ("열", 10.0),
    ("스물", 20.0),
    ("스무", 20.0),
    ("서른", 30.0),
    ("마흔", 40.0),
    ("쉰", 50.0),
    ("예순", 60.0),
    ("일흔", 70.0),
    ("여든", 80.0),
    ("아흔", 90.0),
];
const ONES: &[(&str, f64)] = &[
    ("한", 1.0),
    ("두", 2.0),
    ("세", 3.0),
    ("네", 4.0),
    ("석", 3.0),
    ("넉", 4.0),
    ("다섯", 5.0),
    ("여섯", 6.0),
    ("일곱", 7.0),
    ("여덟", 8.0),
    ("아홉", 9.0),
];

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
                let number = ENGLISH.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
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
    let (mut value, mut part, mut digit, mut length) = (0.0, 0.0, None, 0);
    let mut signs = 0;
    let mut multiplies = false;
    for c in rest.chars() {
        if let Some((_, one)) = DIGITS.iter().find(|(sign, _)| *sign == c).filter(|_| digit.is_none()) {
            digit = Some(*one);
        } else if let Some((_, factor)) = MULTIPLIERS.iter().find(|(sign, _)| *sign == c) {
            part += factor * digit.take().unwrap_or(1.0);
            multiplies = true;
        } else if c == '만' && value == 0.0 {
            let thousands: f64 = part + digit.take().unwrap_or(0.0);
            value = 10_000.0 * f64::max(thousands, 1.0);
            part = 0.0;
            multiplies = true;
        } else if !(c == ' ' && value > 0.0 && part == 0.0 && digit.is_none()) {
            break;
        }
        signs += 1;
        length += c.len_utf8();
    }
    // 이만 오천; but not the space before a unit
    length = rest.get(..length)?.trim_end().len();
    value += part + digit.unwrap_or(0.0);
    let after = rest.get(length..)?;
    let is_apart = after.starts_with(' ');
    let (number, name) = scaled(value, after)?;
    let is_sign = name.is_ascii() || name.chars().nth(1).is_some();
    let is_measured = match signs {
        0 => false,
        // 사 주세요, 이 사람, 구 년 is no number of its own
        1 if !multiplies => is_apart && value > 2.0 && (is_sign || matches!(name, "분" | "초" | "년" | "회")),
        // 천장, 백일, 만일
        1 => is_apart || is_sign || matches!(name, "원" | "번" | "회" | "명"),
        _ => true,
    };
    (is_measured && number.value > 0.0).then_some((length, value))
}

/// Tells whether a word is a Korean numeral, whole.
pub(super) fn is_numeral(word: &str) -> bool {
    let has = |list: &[(char, f64)], c: char| list.iter().any(|(sign, _)| *sign == c);
    let multiplies = |c| has(MULTIPLIERS, c) || c == '만';
    if word.contains(multiplies) && word.chars().all(|c| multiplies(c) || has(DIGITS, c)) {
        return true;
    }
    let strip = |list: &[(&str, f64)], rest: &str| {
        list.iter().find_map(|(word, _)| rest.strip_prefix(word)).map_or(rest.len(), str::len)
    };
    let after_tens = strip(TENS, word);
    let rest = word.get(word.len() - after_tens..).unwrap_or_default();
    !word.is_empty() && (rest.is_empty() || strip(ONES, rest) == 0)
}

/// Reads a native Korean numeral: 두 번, 세트, 열세 살; but not 두통, 네모, 열이 나면: what follows is a space or a counter.
pub(super) fn numeral(rest: &str) -> Option<(usize, f64)> {
    let begins = |list: &[(&str, f64)], rest: &str| {
        list.iter().find(|(word, _)| rest.starts_with(word)).map(|(word, value)| (word.len(), *value))
    };
    let (tens, ten) = begins(TENS, rest).unwrap_or_default();
    let (ones, one) = begins(ONES, rest.get(tens..)?).unwrap_or_default();
    let after = rest.get(tens + ones..)?;
    if rest.get(tens..).is_some_and(|rest| rest.starts_with(['석', '넉'])) {
        let counted = after.trim_start();
        let is_counted = counted.starts_with(['달', '장', '잔']) || counted.starts_with("주 ");
        return is_counted.then_some((tens + ones, ten + one));
    }
    if ones == 0 && rest.starts_with("쉰 ") {
        // 쉰 살; but not 사흘 쉰 뒤에
        let is_counted = after.trim_start().starts_with(['명', '살', '개', '번', '장', '권']);
        return is_counted.then_some((tens, ten));
    }
    let is_counted = after.starts_with([
        ' ', '번', '시', '달', '주', '켤', '걸', '명', '가', '살', '권', '장', '개', '컵', '잔', '병', '마',
        '대', '배', '줄', '조', '차', '군', '사',
    ]);
    (tens + ones > 0 && is_counted).then_some((tens + ones, ten + one))
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
