//! The words of a sentence that claim something, and whether the sentence denies them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use pumasi_core::text::{Analyzer, Span, TokenKind};

use super::lexicon::{DENYING_ENGLISH, DENYING_KOREAN, EMPTY_ENGLISH, EMPTY_KOREAN, SAME};

/// How many words after it an English negation reaches.
const REACH: usize = 6;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Korean noun, or what stands like one.
    Noun,
    /// A Korean verb or adjective.
    Verb,
    /// An English word.
    English,
    /// An English name: written with a capital within a sentence.
    Name,
}

/// A word that claims something.
#[derive(Clone, Debug)]
pub(in crate::answer) struct Word {
    pub(super) stem: String,
    /// As it is written, in lower case; a Korean one with its particles and endings.
    pub(super) raw: String,
    pub(super) kind: Kind,
    pub(super) is_denied: bool,
    /// Whether it says nothing by itself.
    pub(super) is_empty: bool,
    /// Which sets of words that are the same it stands in.
    meanings: u64,
    /// Its first two syllables, where they are Hangul.
    head: [Option<[u32; 3]>; 2],
}

impl Word {
    /// Tells how much it says: a verb less than a noun, since it is said in other words more often.
    pub(super) fn weight(&self) -> f32 {
        match self.kind {
            // one syllable is too little to tell what it is
            Kind::Noun if self.raw.chars().nth(1).is_none() => 0.5,
            Kind::Noun | Kind::Name => 1.0,
            Kind::English => 0.9,
            Kind::Verb => 0.6,
        }
    }

    /// Tells whether two words are forms of one.
    pub(super) fn is(&self, other: &Self) -> bool {
        if self.stem == other.stem || self.raw == other.raw || self.meanings & other.meanings != 0 {
            return true;
        }
        match (self.is_korean(), other.is_korean()) {
            (true, true) => is_korean_form(self, other),
            (false, false) => is_english_form(&self.stem, &other.stem),
            _ => false,
        }
    }

    /// Tells whether it begins as another noun does: 근육, 근력. Half of such words mean nearly the same.
    pub(super) fn is_akin(&self, other: &Self) -> bool {
        let same_first = || self.raw.chars().next() == other.raw.chars().next();
        let is_compound = |word: &Self| word.is_korean() && word.stem.chars().nth(1).is_some();
        is_compound(self) && is_compound(other) && same_first()
    }

    /// Tells whether it names a day of the week or a month, which is as exact as a number.
    pub(super) fn is_date(&self) -> bool {
        const DATES: [&str; 19] = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        self.stem.ends_with("요일") || (self.kind == Kind::Name && DATES.contains(&self.raw.as_str()))
    }

    /// Tells whether it is a Korean noun that the sentence is about, or that something is done to: one that needs a source.
    pub(super) fn is_argument(&self) -> bool {
        let particle = self.raw.get(self.stem.len()..).unwrap_or_default();
        self.kind == Kind::Noun
            && self.stem.chars().nth(1).is_some()
            && self.raw.starts_with(&self.stem)
            && matches!(particle, "을" | "를" | "이" | "가" | "은" | "는" | "로" | "으로")
    }

    pub(super) fn is_korean(&self) -> bool {
        matches!(self.kind, Kind::Noun | Kind::Verb)
    }
}

/// Which sets of [`SAME`] a word stands in, one bit each.
fn meanings(stem: &str, raw: &str, kind: Kind) -> u64 {
    let stands_for = |entry: &str| {
        if matches!(kind, Kind::Noun | Kind::Verb) {
            // one syllable begins too many nouns
            let is_long = || entry.chars().nth(1).is_some();
            raw.starts_with(entry)
                && (kind == Kind::Verb || is_long() || stem == entry || raw.chars().nth(2).is_none())
        } else {
            stem == entry || raw == entry
        }
    };
    let first = raw.chars().next().or_else(|| stem.chars().next());
    let candidates = first.and_then(|first| SAME_BY_FIRST.get(&first)).map(Vec::as_slice).unwrap_or_default();
    candidates.iter().filter(|(entry, _)| stands_for(entry)).fold(0, |all, (_, bit)| all | bit)
}

/// Words by the letter that they begin with: a word is held against few of them.
type ByFirst<T> = LazyLock<HashMap<char, Vec<T>>>;

static SAME_BY_FIRST: ByFirst<(&str, u64)> = LazyLock::new(|| {
    let mut by_first: HashMap<char, Vec<(&str, u64)>> = HashMap::new();
    for (at, same) in SAME.iter().take(64).enumerate() {
        for (entry, first) in same.iter().filter_map(|entry| Some((*entry, entry.chars().next()?))) {
            by_first.entry(first).or_default().push((entry, 1 << at));
        }
    }
    by_first
});

static EMPTY_BY_FIRST: ByFirst<&str> = LazyLock::new(|| {
    let mut by_first: HashMap<char, Vec<&str>> = HashMap::new();
    for (entry, first) in EMPTY_KOREAN.iter().filter_map(|entry| Some((*entry, entry.chars().next()?))) {
        by_first.entry(first).or_default().push(entry);
    }
    by_first
});

/// Initial, vowel and final of a Hangul syllable (Unicode Standard, 3.12).
fn letters(c: char) -> Option<[u32; 3]> {
    let index = u32::from(c).checked_sub(0xAC00).filter(|index| *index < 11_172)?;
    Some([index / 588, index % 588 / 28, index % 28])
}

fn is_korean_form(one: &Word, other: &Word) -> bool {
    let shared = one.raw.chars().zip(other.raw.chars()).take_while(|(a, b)| a == b).count();
    if let ([Some(a), Some(b)], [Some(c), Some(d)]) = (one.head, other.head) {
        let is_verb = one.kind == Kind::Verb || other.kind == Kind::Verb;
        if a == c && b.first() == d.first() && (is_verb || b.get(1) == d.get(1)) {
            // 바꾸실, 바꿉니다; 늘렸기, 늘린
            return true;
        }
    }
    let (short, long) =
        if one.stem.chars().count() <= other.stem.chars().count() { (one, other) } else { (other, one) };
    let shortest = short.stem.chars().count();
    if shared >= 2 && shared >= shortest.min(3) {
        return true;
    }
    // a compound: 거리 in 장거리
    if shortest >= 2 && long.raw.contains(&short.stem) {
        return true;
    }
    if one.kind != Kind::Verb || other.kind != Kind::Verb {
        return shared >= 1 && shortest == 1 && short.stem == long.stem.chars().take(1).collect::<String>();
    }
    // verbs change within their stem: 쉬세요, 쉽니다; 걷고, 걸어
    let mut pairs = one.raw.chars().zip(other.raw.chars());
    let Some((a, b)) = pairs.next() else { return false };
    if a == b {
        return true;
    }
    let (Some(a), Some(b)) = (letters(a), letters(b)) else { return false };
    let second = pairs.next().and_then(|(a, b)| Some((letters(a)?, letters(b)?)));
    let goes_on = second.is_none_or(|(a, b)| a.first() == b.first());
    a.first() == b.first()
        && a.get(1) == b.get(1)
        && (goes_on || a.get(2) == Some(&0) || b.get(2) == Some(&0))
}

fn is_english_form(one: &str, other: &str) -> bool {
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let shortest = one.len().min(other.len());
    shared >= 4 && shared + 1 >= shortest
}

/// Endings that only verbs and adjectives have.
const VERBAL: &[&str] = &[
    "다", "요", "까", "죠", "고", "며", "서", "면", "지", "게", "니", "자", "던", "는데", "지만", "도록",
    "려고", "거나", "어", "아", "여", "해", "할", "한", "된", "될", "기", "음", "함", "됨", "는", "은", "을",
    "ㄴ", "려", "야", "습니",
];

/// Words that are read as numbers.
const NUMERALS: &[&str] = &[
    "한",
    "두",
    "세",
    "네",
    "다섯",
    "여섯",
    "일곱",
    "여덟",
    "아홉",
    "열",
    "열흘",
    "이틀",
    "사흘",
    "나흘",
    "보름",
    "반",
    "반으로",
    "절반",
    "half",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "twice",
    "week",
    "weeks",
    "day",
    "days",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "percent",
    "year",
    "years",
    "month",
    "months",
    "주에는",
    "주에",
    "주",
    "주간",
    "일주일에",
    "일주일",
    "시간",
    "주째에는",
    "당",
];

/// Particles before which a noun stands.
const NOMINAL: &[&str] = &[
    "을", "를", "이", "가", "은", "는", "에", "의", "로", "와", "과", "도", "만", "에서", "에게", "까지",
    "부터", "보다", "으로", "처럼", "마다", "에는", "에도", "에선", "으론", "이나", "들",
];

/// Tells whether a Korean word stands like a verb or an adjective.
fn is_verbal(raw: &str, stem: &str) -> bool {
    let rest = raw.get(stem.len()..).unwrap_or_default();
    if NOMINAL.contains(&rest) && !raw.ends_with("하는") && !raw.ends_with("되는") && !raw.ends_with("있는")
    {
        // 걷는, 늘이는, 쉬는 are verbs
        if rest == "도" {
            // 뛰어도, 달려도
            return stem.ends_with(['어', '아', '여', '해', '려', '와', '워', '겨', '쳐', '져', '펴', '켜']);
        }
        return rest == "는"
            && stem.ends_with(['걷', '늘', '이', '쉬', '뛰', '먹', '하', '자', '리', '오', '우', '보']);
    }
    raw.chars().count() >= 2 && VERBAL.iter().any(|ending| raw.ends_with(ending))
}

/// Reads the words of a text, in order.
pub(in crate::answer) fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<(Word, Span)> = Vec::new();
    let mut denials: Vec<(usize, bool)> = Vec::new();
    let mut clause_ends: HashSet<usize> = HashSet::new();
    let mut end = 0;
    Analyzer::default().for_each(text, |token| {
        if !matches!(token.kind, TokenKind::Word | TokenKind::Stop | TokenKind::Stem | TokenKind::Bigram) {
            return;
        }
        if token.span.start < end {
            return;
        }
        let gap = text.get(end..token.span.start).unwrap_or_default();
        if gap.contains([',', ';', ':', '.', '!', '?', '\n', '(', ')']) {
            clause_ends.insert(found.len());
        }
        let tail = text.get(token.span.start..).unwrap_or_default();
        let is_hangul = tail.starts_with(|c| ('가'..='힣').contains(&c));
        let raw_len = if is_hangul {
            tail.find(|c| !('가'..='힣').contains(&c)).unwrap_or(tail.len())
        } else {
            token.span.len()
        };
        let raw = tail.get(..raw_len).unwrap_or_default().to_lowercase();
        let is_first = found.is_empty() || gap.contains(['.', '!', '?', '\n', ':', '"']);
        let capital = tail.starts_with(char::is_uppercase);
        let shouted = raw_len > 1
            && tail.get(..raw_len).is_some_and(|raw| raw.chars().all(|c| c.is_uppercase() || c.is_numeric()));
        let kind = if is_hangul {
            if is_verbal(&raw, token.text) { Kind::Verb } else { Kind::Noun }
        } else if (capital && !is_first && raw != "i" && !raw.starts_with("i'")) || shouted {
            Kind::Name
        } else {
            Kind::English
        };
        let before = text.get(..token.span.start).unwrap_or_default();
        let after_digit = before.ends_with(|c: char| c.is_ascii_digit());
        let is_empty = token.kind == TokenKind::Stop || after_digit || is_empty(&raw, is_hangul);
        if is_hangul {
            // 하지 마세요, 하지 말고; but not 마십니다
            let forbids = raw.starts_with(['마', '말'])
                && found.last().is_some_and(|(word, _)| word.raw.ends_with('지'));
            let denies = DENYING_KOREAN.iter().any(|denying| raw.starts_with(denying));
            if denies || forbids || matches!(raw.as_str(), "안" | "못") {
                denials.push((found.len(), true));
            }
        } else if raw == "avoided" || raw == "skipped" {
            // should be avoided: what stands before it
            let from =
                (0..found.len()).rev().take_while(|at| !clause_ends.contains(&(at + 1))).last().unwrap_or(0);
            for (word, _) in found.iter_mut().skip(from) {
                word.is_denied = !word.is_empty;
            }
        } else if DENYING_ENGLISH.contains(&raw.as_str()) || raw.ends_with("n't") || raw.ends_with("n’t") {
            denials.push((found.len(), false));
        }
        end = token.span.start + raw_len;
        let (stem, meanings) = (token.text.to_owned(), meanings(token.text, &raw, kind));
        let mut syllables = raw.chars().map(letters);
        let head = [syllables.next().flatten(), syllables.next().flatten()];
        found.push((Word { stem, raw, kind, is_denied: false, is_empty, meanings, head }, token.span));
    });
    let mut words: Vec<Word> = found.into_iter().map(|(word, _)| word).collect();
    for (at, is_korean) in denials {
        deny(&mut words, at, is_korean, &clause_ends);
    }
    words
}

fn is_empty(raw: &str, is_hangul: bool) -> bool {
    if NUMERALS.contains(&raw) {
        // numbers are compared as such
        return true;
    }
    if !is_hangul {
        return EMPTY_ENGLISH.binary_search(&raw).is_ok()
            || raw.ends_with("n't")
            || raw.ends_with("n’t")
            || raw.contains('\'');
    }
    let first = raw.chars().next();
    let candidates =
        first.and_then(|first| EMPTY_BY_FIRST.get(&first)).map(Vec::as_slice).unwrap_or_default();
    candidates.iter().any(|empty| {
        raw.strip_prefix(empty).is_some_and(|rest| {
            // one syllable begins too many words: it stands alone, or before a particle
            empty.chars().nth(1).is_some() || rest.is_empty() || NOMINAL.contains(&rest)
        })
    })
}

/// Marks what the negation at `at` denies.
fn deny(words: &mut [Word], at: usize, is_korean: bool, clause_ends: &HashSet<usize>) {
    if is_korean {
        let comes_before_its_verb =
            words.get(at).is_some_and(|word| matches!(word.raw.as_str(), "안" | "못"));
        let next = words.get(at + 1).filter(|word| comes_before_its_verb && !word.is_empty);
        // 안 합니다; else the nearest word before that says something: 달리지 않습니다, 할 수 없습니다, 달리면 안 됩니다
        let target = match next {
            Some(_) => Some(at + 1),
            None => (at.saturating_sub(REACH)..at)
                .rev()
                .find(|place| words.get(*place).is_some_and(|word| !word.is_empty)),
        };
        if let Some(word) = target.and_then(|target| words.get_mut(target)) {
            word.is_denied = !word.is_denied;
        }
        return;
    }
    for place in at + 1..(at + 1 + REACH).min(words.len()) {
        if clause_ends.contains(&place) {
            break;
        }
        if let Some(word) = words.get_mut(place) {
            if matches!(word.raw.as_str(), "but" | "and" | "because" | "so" | "with" | "or") && place > at + 1
            {
                break;
            }
            if !word.is_empty {
                word.is_denied = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(text: &str) -> Vec<String> {
        words(text).into_iter().filter(|word| word.is_denied).map(|word| word.raw).collect()
    }

    #[test]
    fn finds_what_is_denied() {
        assert_eq!(denied("작은 물집은 터뜨리지 않습니다."), ["터뜨리지"]);
        assert_eq!(denied("통증이 있으면 달리지 마세요."), ["달리지"]);
        assert_eq!(denied("열이 나면 달리면 안 됩니다."), ["달리면"]);
        assert_eq!(denied("Do not stretch it, walk instead."), ["stretch"]);
        assert_eq!(denied("Dogs aren't allowed at group runs."), ["allowed", "group", "runs"]);
        assert!(denied("천천히 달립니다. Run slowly.").is_empty());
    }

    #[test]
    fn forms_of_one_word_are_the_same() {
        let word = |text: &str| words(text).remove(0);
        for (one, other) in [
            ("쉬세요", "쉽니다"),
            ("걸어", "걷고"),
            ("줄여서", "줄입니다"),
            ("장거리", "거리는"),
            ("드세요", "먹습니다"),
            ("훈련량을", "훈련은"),
            ("바꾸실", "바꿉니다"),
            ("running", "runs"),
            ("recovery", "recover"),
            ("strengthen", "strength"),
        ] {
            assert!(word(one).is(&word(other)), "{one} {other}");
        }
        for (one, other) in
            [("발바닥이", "발뒤꿈치가"), ("무릎이", "무게가"), ("rest", "race"), ("달리기", "달걀은")]
        {
            assert!(!word(one).is(&word(other)), "{one} {other}");
        }
    }

    #[test]
    fn the_list_of_empty_words_is_sorted_as_the_search_needs() {
        assert!(EMPTY_ENGLISH.is_sorted());
        assert!(SAME.len() <= 64, "one bit each");
    }
}
