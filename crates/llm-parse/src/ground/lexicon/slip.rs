//! Which changes of a Korean syllable are slips: one letter of it, where that makes no other word.
//!
//! Korean nouns and stems are short and dense: 입사 and 퇴사, 전주 and 진주 are words all. So a syllable is a slip for another
//! only where the two are spelled alike, where the new one is no syllable of Korean words, or deep in a long word or an
//! ending.

use super::common::COMMON_KOREAN;
use super::korean::{is_odd, is_verbal, letters, sound_alike};
use super::neighbours::NEIGHBOURS;

/// Syllables that carry a tense or turn a verb into another: lost or gained they are no slip.
const INFIXES: &[char] = &[
    '었', '았', '였', '했', '겠', '시', '셨', '이', '히', '리', '기', '우', '구', '추', '되', '하', '려',
    '면', '지', '고', '만', '도',
];

/// Last syllables of endings, each of which says something else.
const LAST: &[char] = &[
    '고', '며', '면', '서', '니', '자', '지', '다', '요', '까', '네', '라', '나', '죠', '던', '데', '게',
    '도', '만', '든', '러', '려',
];

/// A word and how much of it is its base: a noun without its particle, a verb without its ending.
#[derive(Clone, Copy, Debug)]
pub(in crate::ground) struct Base {
    /// Its syllables.
    len: usize,
    verbal: bool,
    /// Whether it is a noun, alone or before a verb that is made of it: 사용, 사용하다.
    nominal: bool,
    /// Whether everybody knows the noun, so that its look decides.
    everyday: bool,
}

impl Base {
    /// Measures `word`, whose particle leaves `stem`.
    pub(in crate::ground) fn new(word: &str, stem: &str) -> Self {
        // "달리기" is a noun, whatever its end looks like
        let stem = if is_in(COMMON_KOREAN, word) { word } else { stem };
        let noun = is_in(COMMON_KOREAN, stem);
        let verbal = is_verbal(word) && !noun;
        let len = if verbal { verb_base(word) } else { stem.chars().count() };
        let made = verbal && word.chars().nth(len).is_some_and(|c| "하했한할해함합되됐된될됩돼".contains(c));
        Self {
            len,
            verbal,
            nominal: !verbal || made,
            everyday: noun || is_in(COMMON_KOREAN, text(word, len)),
        }
    }

    /// Tells whether everybody knows it, so that it is no name.
    pub(in crate::ground) const fn is_everyday(self) -> bool {
        self.everyday
    }
}

/// Tells whether everyday Korean has the base of `word`, whose particle leaves `stem`.
pub(in crate::ground) fn is_known(word: &str, stem: &str) -> bool {
    let base = text(word, Base::new(word, stem).len);
    [base, stem, word].into_iter().any(|known| is_in(COMMON_KOREAN, known) || is_in(NEIGHBOURS, known))
}

fn text(word: &str, syllables: usize) -> &str {
    word.char_indices().nth(syllables).and_then(|(end, _)| word.get(..end)).unwrap_or(word)
}

fn is_in(words: &[&str], word: &str) -> bool {
    words.binary_search(&word).is_ok()
}

/// Counts the syllables of a verb before its ending: 시작 of 시작했습니다, 달렸 of 달렸습니다, 먹 of 먹었어요.
fn verb_base(word: &str) -> usize {
    let chars: Vec<char> = word.chars().collect();
    let made = ['하', '했', '한', '할', '해', '함', '합', '되', '됐', '된', '될', '됩', '돼'];
    if let Some(at) = chars.iter().skip(1).position(|c| made.contains(c)) {
        return at + 1;
    }
    let last = |c: &char| letters(*c).map_or(0, |[_, _, last]| last);
    if let Some(at) = chars.iter().position(|c| last(c) == PAST) {
        return if at > 0 && matches!(chars.get(at), Some('었' | '았' | '였')) { at } else { at + 1 };
    }
    if let Some(at) = chars
        .windows(2)
        .position(|pair| pair.first().is_some_and(|c| last(c) == 17) && pair.get(1) == Some(&'니'))
    {
        return if at > 0 && chars.get(at) == Some(&'습') { at } else { at + 1 };
    }
    chars.len().saturating_sub(1).max(1)
}

/// The final ㅆ, which marks the past.
const PAST: u32 = 20;

/// Tells whether syllable `one` at `at` of a word was meant where `two` is written; `next` follows it in the word.
pub(in crate::ground) fn is_slip(base: Base, at: usize, one: char, two: char, next: Option<char>) -> bool {
    let (Some([i, v, f]), Some([other_i, other_v, other_f])) = (letters(one), letters(two)) else {
        return letters(one).is_some() && is_odd(two);
    };
    if sound_alike(one, two) {
        return at > 0 || !is_another(one, two, next);
    }
    if is_odd(two) {
        return true;
    }
    let ending = at >= base.len;
    // a syllable of a short noun makes another noun: 이혼 and 이온, 가격 and 가결
    let glided = at == 0 && matches!(other_v, 2 | 6 | 12 | 17) && glide(v) == glide(other_v) && f == other_f;
    let lost = base.everyday && i == other_i && (glided || (v == other_v && other_f == 0));
    if !ending && base.len <= 2 && base.nominal && is_nominal(two) && !lost {
        return matches!((one, two), ('할', '활') | ('한', '안') | ('째', '채'));
    }
    if ending && next.is_none() && LAST.contains(&one) && LAST.contains(&two) {
        return false;
    }
    // deep enough for its look to decide
    let deep = ending || base.len >= 3 || base.everyday;
    match (i == other_i, v == other_v, f == other_f) {
        (false, true, true) => {
            let (series, other_series) = (series(i), series(other_i));
            let tense = series == other_series;
            // "할꺼예요"
            let thing = matches!(one, '거' | '것' | '게' | '걸' | '겁')
                || matches!(two, '거' | '것' | '게' | '걸' | '겁');
            // 희한, 희안; 했습니다, 했읍니다
            let breath = matches!((i, other_i), (11, 18) | (18, 11)) || (one, two) == ('습', '읍');
            // 통째, 통채
            let strong = matches!((i, other_i), (13, 14) | (14, 13));
            tense && (thing || at > 0 && (deep || strong)) || breath && at > 0
        }
        // 먹었다 and 먹였다, 쉬었다 and 쉬웠다: in the past a vowel is a verb's
        (true, false, true) if f == PAST => matches!((one, two), ('었', '았') | ('았', '었')),
        (true, false, true) => {
            // 역활 for 역할
            let glide = glide(v) == glide(other_v) && (at > 0 || base.len >= 2);
            glide || deep
        }
        (true, true, false) if f == PAST => match other_f {
            0 => !is_bare_stem(two) || next.is_none_or(|next| matches!(next, '습' | '어' | '음' | '으')),
            // the present and the future: 갔다, 간다, 갈
            4 | 8 | 16 | 17 => false,
            _ => deep,
        },
        (true, true, false) if other_f == PAST => {
            // 가다 and 갔다, but no tense within 천천히
            !next.is_some_and(|next| "습어음으다고지네는던을나기거구".contains(next))
                || (f != 0 && f != 4 && deep)
        }
        (true, true, false) => deep,
        _ => false,
    }
}

/// Tells whether a syllable is built as those are that Chinese characters are read as, of which most nouns are made.
fn is_nominal(syllable: char) -> bool {
    letters(syllable).is_some_and(|[initial, vowel, last]| {
        !matches!(initial, 1 | 4 | 8 | 10 | 13 | 15)
            && matches!(last, 0 | 1 | 4 | 8 | 16 | 17 | 21)
            && (last == 0 || last == 21 || !matches!(vowel, 3 | 5 | 7 | 10 | 11 | 12 | 15 | 16 | 19))
    })
}

/// Tells whether two syllables that sound alike begin two words all the same: 내가 and 네가, 개 and 게, 묶다 and 묵다.
fn is_another(one: char, two: char, next: Option<char>) -> bool {
    let pair = (one.min(two), one.max(two));
    match pair {
        ('묵', '묶') => true,
        ('내', '네') | ('개', '게') | ('새', '세') => {
            next.is_none_or(|next| "가는를도의게에로".contains(next))
        }
        _ => false,
    }
}

/// Tells whether syllable `x`, which one of the two words has more, is a slip: written twice, or in a long word or in 습니다.
pub(in crate::ground) fn is_stray(
    base: Base,
    at: usize,
    x: char,
    before: Option<char>,
    after: Option<char>,
) -> bool {
    if at == 0 || base.verbal && INFIXES.contains(&x) {
        return false;
    }
    let twice = before == Some(x) || after == Some(x);
    twice
        || (base.verbal && at >= base.len && matches!(x, '습' | '어' | '요'))
        || (at < base.len && base.len >= 4)
}

/// Tells whether two neighbouring syllables of a word may have changed places.
pub(in crate::ground) fn may_swap(base: Base, at: usize) -> bool {
    if base.verbal { at > 0 || base.len >= 3 } else { base.len >= if base.everyday { 3 } else { 4 } }
}

/// Plain, tense and aspirated consonants are one series.
const fn series(initial: u32) -> u32 {
    match initial {
        1 | 15 => 0,
        4 | 16 => 3,
        8 | 17 => 7,
        10 => 9,
        13 | 14 => 12,
        other => other,
    }
}

/// A vowel without its glide: ㅑ as ㅏ, ㅘ as ㅏ.
const fn glide(vowel: u32) -> u32 {
    match vowel {
        2 | 9 => 0,
        3 | 10 => 1,
        6 | 14 => 4,
        7 | 15 => 5,
        12 => 8,
        17 => 13,
        other => other,
    }
}

/// Tells whether a syllable can be a verb's stem as it stands, so that an ending without a tense may follow: 가, 보내.
fn is_bare_stem(syllable: char) -> bool {
    letters(syllable).is_some_and(|[initial, vowel, last]| {
        last == 0
            && match vowel {
                0 | 4 => initial != 11,
                1 | 5 => syllable != '해',
                6 => matches!(initial, 15 | 17),
                _ => false,
            }
    })
}
