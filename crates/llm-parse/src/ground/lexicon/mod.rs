//! Words and syllables that decide whether a difference is a slip of the keyboard or another meaning.

mod common;
mod cut;
mod english;
mod korean;
mod neighbours;
mod number;
mod prefix;
mod slip;
mod tear;

pub(super) use common::COMMON;
#[cfg(test)]
pub(super) use common::COMMON_KOREAN;
pub(super) use cut::{denies_subject, loses_negation, negates_next};
pub(super) use english::{
    are_confused, are_neighbours, are_variants, begins_as_a_word, differ_in_doubling, is_word, opposes,
};
pub(super) use korean::{
    HONORIFICS, Role, is_full_name, is_particle, is_verbal, letters, may_stand_for, roles, same_but_particles,
};
#[cfg(test)]
pub(super) use neighbours::NEIGHBOURS;
pub(super) use number::{Part, cuts_korean, goes_on, loses_compound};
pub(super) use prefix::loses_prefix;
pub(super) use slip::{Base, is_known, is_slip, is_stray, may_swap};
pub(super) use tear::{tears_end, tears_front};

use super::Miss;

/// English words that negate.
pub(super) const NEGATIONS: &[&str] = &[
    "ain't",
    "aren't",
    "barely",
    "can't",
    "cannot",
    "couldn't",
    "didn't",
    "doesn't",
    "don't",
    "except",
    "fail",
    "failed",
    "few",
    "hadn't",
    "hardly",
    "hasn't",
    "haven't",
    "isn't",
    "little",
    "mustn't",
    "neither",
    "never",
    "no",
    "nobody",
    "non",
    "none",
    "nor",
    "not",
    "nothing",
    "nowhere",
    "only",
    "rarely",
    "refused",
    "scarcely",
    "seldom",
    "shouldn't",
    "unless",
    "until",
    "wasn't",
    "weren't",
    "without",
    "won't",
    "wouldn't",
];

/// English words that deny what is said, wherever in the sentence they stand.
pub(super) const DENIALS: &[&str] = &[
    "barely", "cannot", "failed", "hardly", "neither", "never", "no", "nobody", "none", "nor", "not",
    "nothing", "rarely", "refused", "scarcely", "seldom", "without",
];

/// Korean syllables that negate: an edit that touches one is never a slip.
pub(super) const NEGATING: &[char] = &['안', '못', '않', '없', '아', '니', '말', '비', '불', '무', '미'];

/// First syllables that turn a Korean noun or verb into its opposite or another: 부동의, 재입원.
pub(super) const OPPOSING: &[char] =
    &['가', '무', '미', '반', '부', '불', '비', '역', '재', '전', '탈', '피'];

/// Syllables that name a period or a time: 매일, 매월.
pub(super) const PERIODS: &[char] = &['일', '주', '월', '년', '달', '해', '분', '초', '시', '번'];

/// Beginnings that turn an English word into its opposite.
pub(super) const OPPOSITES: &[&str] =
    &["a", "anti", "counter", "de", "dis", "il", "im", "in", "ir", "mis", "non", "over", "un", "under"];

/// Words for numbers.
pub(super) const NUMBERS: &[&str] = &[
    "billion",
    "dozen",
    "double",
    "eight",
    "eighteen",
    "eighth",
    "eighty",
    "eleven",
    "fifteen",
    "fifth",
    "fifty",
    "first",
    "five",
    "forty",
    "four",
    "fourteen",
    "fourth",
    "half",
    "hundred",
    "last",
    "million",
    "nine",
    "nineteen",
    "ninety",
    "ninth",
    "once",
    "one",
    "quarter",
    "second",
    "seven",
    "seventeen",
    "seventh",
    "seventy",
    "six",
    "sixteen",
    "sixth",
    "sixty",
    "ten",
    "tenth",
    "third",
    "thirteen",
    "thirty",
    "thousand",
    "three",
    "thrice",
    "triple",
    "twelfth",
    "twelve",
    "twenty",
    "twice",
    "two",
    "zero",
    "다섯",
    "둘",
    "마흔",
    "서른",
    "셋",
    "쉰",
    "스무",
    "스물",
    "아홉",
    "여덟",
    "여섯",
    "열",
    "예순",
    "일곱",
    "하나",
];

/// Syllables that Korean numbers are made of.
pub(super) const NUMERALS: &[char] = &[
    '일', '이', '삼', '사', '오', '육', '칠', '팔', '구', '십', '백', '천', '만', '억', '조', '영', '공',
    '한', '두', '세', '네', '첫', '반',
];
