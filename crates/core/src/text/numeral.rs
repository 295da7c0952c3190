//! Numbers in words, English and Korean.

/// The digits of Sino-Korean numerals, from one on.
pub const SINO_DIGITS: [char; 9] = ['일', '이', '삼', '사', '오', '육', '칠', '팔', '구'];

/// What multiplies them: ten, a hundred, a thousand, ten thousand, a hundred million, a million million.
pub const SINO_POWERS: [char; 6] = ['십', '백', '천', '만', '억', '조'];

const POWERS: [u64; 6] = [10, 100, 1_000, MYRIAD, 100_000_000, 1_000_000_000_000];

/// From here on powers multiply all that stands before them: 이십만.
const MYRIAD: u64 = 10_000;

const ENGLISH_ONES: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
    sixteen seventeen eighteen nineteen";
const ENGLISH_TENS: &str = "ten twenty thirty forty fifty sixty seventy eighty ninety";

const NATIVE_TENS: [(&str, u64); 10] = [
    ("열", 10),
    ("스물", 20),
    ("스무", 20),
    ("서른", 30),
    ("마흔", 40),
    ("쉰", 50),
    ("예순", 60),
    ("일흔", 70),
    ("여든", 80),
    ("아흔", 90),
];
const NATIVE_ONES: [(&str, u64); 15] = [
    ("하나", 1),
    ("한", 1),
    ("둘", 2),
    ("두", 2),
    ("셋", 3),
    ("세", 3),
    ("석", 3),
    ("넷", 4),
    ("네", 4),
    ("넉", 4),
    ("다섯", 5),
    ("여섯", 6),
    ("일곱", 7),
    ("여덟", 8),
    ("아홉", 9),
];

/// Returns the number that an English word stands for, from one to nineteen, and in tens to ninety.
///
/// ```
/// use pumasi_core::text::english_numeral;
///
/// assert_eq!(english_numeral("seventeen"), Some(17));
/// assert_eq!(english_numeral("seventy"), Some(70));
/// assert_eq!(english_numeral("hundred"), None);
/// ```
pub fn english_numeral(word: &str) -> Option<u32> {
    let place = |names: &str| (1..).zip(names.split(' ')).find(|(_, name)| *name == word).map(|(at, _)| at);
    place(ENGLISH_ONES).or_else(|| place(ENGLISH_TENS).map(|tens: u32| tens * 10))
}

/// A Korean numeral that a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KoreanNumeral<'a> {
    /// The number.
    pub value: u64,
    /// How it is written.
    pub literal: &'a str,
    /// What follows it.
    pub rest: &'a str,
}

impl<'a> KoreanNumeral<'a> {
    fn new(text: &'a str, rest: &'a str, value: u64) -> Option<Self> {
        let literal = text.strip_suffix(rest)?;
        (value > 0).then_some(Self { value, literal, rest })
    }

    /// Tells whether it is of the native ones that nothing is counted with: 하나, 열둘.
    pub fn stands_alone(&self) -> bool {
        ["하나", "둘", "셋", "넷"].iter().any(|one| self.literal.ends_with(one))
    }
}

/// Reads a native Korean numeral at the start of a text: 세 (개), 스물다섯, 하나.
///
/// Whether it is one is for the caller to tell, by what follows: 두통 and 네모 begin with numerals, too.
///
/// ```
/// use pumasi_core::text::native_numeral;
///
/// let read = native_numeral("열두 명").unwrap();
/// assert_eq!((read.value, read.literal, read.rest), (12, "열두", " 명"));
/// assert!(native_numeral("하나").is_some_and(|one| one.stands_alone()));
/// assert_eq!(native_numeral("달리기"), None);
/// ```
pub fn native_numeral(text: &str) -> Option<KoreanNumeral<'_>> {
    let (tens, rest) = begins(text, &NATIVE_TENS).unwrap_or((0, text));
    let (ones, rest) = begins(rest, &NATIVE_ONES).unwrap_or((0, rest));
    KoreanNumeral::new(text, rest, tens + ones)
}

fn begins<'a>(text: &'a str, names: &[(&str, u64)]) -> Option<(u64, &'a str)> {
    names.iter().find_map(|(name, value)| Some((*value, text.strip_prefix(name)?)))
}

/// Reads a Sino-Korean numeral at the start of a text: 삼십, 백오십, 이만 오천.
///
/// It ends before what cannot go on with it, such as a second digit (십이 of 십이일, which are days). Whether it is one is for the
/// caller to tell, by what follows: 사람 and 천장 begin with numerals, too.
///
/// ```
/// use pumasi_core::text::sino_numeral;
///
/// let read = sino_numeral("이만 오천 원").unwrap();
/// assert_eq!((read.value, read.literal, read.rest), (25_000, "이만 오천", " 원"));
/// assert_eq!(sino_numeral("십이일").map(|read| (read.value, read.rest)), Some((12, "일")));
/// assert_eq!(sino_numeral("달리기"), None);
/// ```
pub fn sino_numeral(text: &str) -> Option<KoreanNumeral<'_>> {
    let (mut total, mut group, mut digit) = (0_u64, 0_u64, 0_u64);
    // the last of the powers below and from ten thousand on, each of which is followed by smaller ones
    let (mut small, mut large) = (u64::MAX, u64::MAX);
    let mut rest = text;
    loop {
        // 이만 오천
        let after_large = total > 0 && group == 0 && digit == 0;
        let apart = rest.strip_prefix(' ').filter(|_| after_large);
        let mut signs = apart.unwrap_or(rest).chars();
        let Some(sign) = signs.next() else { break };
        let one = (1..).zip(SINO_DIGITS).find(|(_, known)| *known == sign);
        let power = POWERS.into_iter().zip(SINO_POWERS).find(|(_, known)| *known == sign);
        match (one, power) {
            (Some((one, _)), _) if digit == 0 => digit = one,
            (_, Some((power, _))) if power < small.min(MYRIAD) => {
                group += power * digit.max(1);
                (digit, small) = (0, power);
            }
            (_, Some((power, _))) if power >= MYRIAD && power < large => {
                total += power * (group + digit).max(1);
                (group, digit, small, large) = (0, 0, u64::MAX, power);
            }
            _ => break,
        }
        rest = signs.as_str();
    }
    KoreanNumeral::new(text, rest, total + group + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_words_are_numbers() {
        for (word, number) in [("one", 1), ("ten", 10), ("nineteen", 19), ("twenty", 20), ("ninety", 90)] {
            assert_eq!(english_numeral(word), Some(number), "{word}");
        }
        for word in ["", "zero", "Two", "twenty one", "hundred"] {
            assert_eq!(english_numeral(word), None, "{word}");
        }
    }

    #[test]
    fn native_numerals_end_where_they_end() {
        for (text, value, rest) in [
            ("한", 1, ""),
            ("하나만", 1, "만"),
            ("열심히", 10, "심히"),
            ("열하나", 11, ""),
            ("스무 개", 20, " 개"),
            ("아흔아홉번", 99, "번"),
            ("두두", 2, "두"),
        ] {
            let read = native_numeral(text).map(|read| (read.value, read.rest));
            assert_eq!(read, Some((value, rest)), "{text}");
        }
        let alone = |text| native_numeral(text).is_some_and(|read| read.stands_alone());
        assert!(alone("열둘") && alone("넷") && !alone("열두") && !alone("다섯") && !alone("스물"));
    }

    #[test]
    fn sino_numerals_end_where_they_cannot_go_on() {
        for (text, value, rest) in [
            ("육", 6, ""),
            ("삼십오분", 35, "분"),
            ("천 원", 1_000, " 원"),
            ("백이십", 120, ""),
            ("삼천이백만", 32_000_000, ""),
            ("만 이천 오백", 12_000, " 오백"),
            ("일억 이천만 원", 120_000_000, " 원"),
            ("이삼십", 2, "삼십"),
            ("십이백", 12, "백"),
            ("백천", 100, "천"),
            ("만만", 10_000, "만"),
            ("만 만", 10_000, " 만"),
        ] {
            let read = sino_numeral(text).map(|read| (read.value, read.rest));
            assert_eq!(read, Some((value, rest)), "{text}");
        }
        let most = "구천구백구십구조구천구백구십구억구천구백구십구만구천구백구십구";
        assert_eq!(sino_numeral(most).map(|read| read.value), Some(9_999_999_999_999_999));
        assert!(sino_numeral("").is_none() && sino_numeral(" 일").is_none() && sino_numeral("영").is_none());
    }
}
