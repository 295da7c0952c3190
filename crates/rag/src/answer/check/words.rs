//! The words of a sentence that claim something, and whether the sentence denies them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use pumasi_core::text::{Analyzer, Span, TokenKind};

use super::composed;
use super::denials::{denies_in_english, deny, deny_back};
use super::empty::{EMPTY_ENGLISH, EMPTY_KOREAN};
use super::lexicon::{
    ALLOWED, BEING, DENYING_KOREAN, DEPENDENT, FORBIDDEN, IRREGULAR, NOMINAL, NUMERALS, SAME, UNDOING_KOREAN,
    UNDONE, VERBAL,
};
use super::numerals::{english, is_english_numeral, is_numeral, numeral};
use super::units::is_unit;

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
    /// Whether a number in digits stands before it.
    pub(super) is_counted: bool,
    /// Whether a comma or another mark stands before it.
    pub(super) is_apart: bool,
    /// Which sets of words that are the same it stands in.
    meanings: u128,
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

    /// Tells whether it is a form of the other, and says something: the 일 of 7일 is no 일수.
    pub(super) fn bears_out(&self, other: &Self) -> bool {
        self.is(other) && (!self.is_empty || self.raw == other.raw || self.stem.chars().nth(1).is_some())
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

    pub(super) fn is_topic(&self) -> bool {
        self.is_argument() && self.raw.ends_with(['은', '는'])
    }

    /// Tells whether it is a Korean noun that the sentence is about, or that something is done to: one that needs a source.
    pub(super) fn is_argument(&self) -> bool {
        let particle = self.raw.get(self.stem.len()..).unwrap_or_default();
        self.kind == Kind::Noun
            && self.stem.chars().nth(1).is_some()
            && self.raw.starts_with(&self.stem)
            && matches!(
                particle,
                "을" | "를"
                    | "이"
                    | "가"
                    | "은"
                    | "는"
                    | "로"
                    | "으로"
                    | "입니다"
                    | "이에요"
                    | "예요"
                    | "이다"
            )
    }

    /// Tells how much it says where no source has it: what one does is said in other words more often than to what.
    pub(super) fn weight_as_new(&self, is_first: bool) -> f32 {
        match self.kind {
            Kind::Verb => 0.4,
            Kind::English if is_first || self.raw.ends_with("ly") => 0.45,
            _ => self.weight(),
        }
    }

    /// Tells whether it makes what it stands with a condition.
    pub(super) fn is_condition(&self) -> bool {
        const WORDS: [&str; 8] = ["if", "when", "whenever", "unless", "above", "below", "once", "until"];
        if self.is_korean() {
            self.raw.ends_with('면') || self.raw.ends_with("라도") || self.raw.starts_with('때')
        } else {
            WORDS.contains(&self.raw.as_str())
        }
    }

    /// Tells whether a Korean word begins with an entry of a list, also where an ending closes its last syllable: 느립니다, 느리.
    pub(super) fn begins_like(&self, entry: &str) -> bool {
        if self.raw.starts_with(entry) {
            return true;
        }
        let Some((at, last)) = entry.char_indices().next_back().filter(|(at, _)| *at > 0) else {
            return false;
        };
        let rest = entry.get(..at).and_then(|begin| self.raw.strip_prefix(begin));
        let here = rest.and_then(|rest| rest.chars().next()).and_then(letters);
        let (Some(here), Some(open)) = (here, letters(last)) else { return false };
        open[2] == 0 && here[..2] == open[..2] && matches!(here[2], 4 | 8 | 16 | 17 | 20)
    }

    pub(super) fn is_korean(&self) -> bool {
        matches!(self.kind, Kind::Noun | Kind::Verb)
    }
}

/// Which sets of [`SAME`] a word stands in, one bit each.
fn meanings(stem: &str, raw: &str, kind: Kind) -> u128 {
    let stands_for = |entry: &str| {
        if matches!(kind, Kind::Noun | Kind::Verb) {
            // one syllable begins too many nouns
            let is_long = || entry.chars().nth(1).is_some();
            // 주에; but not 주식
            let is_alone = |rest: &str| kind == Kind::Verb || stem == entry || NOMINAL.contains(&rest);
            raw.strip_prefix(entry).is_some_and(|rest| is_long() || is_alone(rest))
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

static SAME_BY_FIRST: ByFirst<(&str, u128)> = LazyLock::new(|| {
    let mut by_first: HashMap<char, Vec<(&str, u128)>> = HashMap::new();
    for (at, same) in SAME.iter().take(128).enumerate() {
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
    // a compound: 거리 in 장거리; but not 적절 in 부적절
    if shortest >= 2 && long.raw.contains(&short.stem) {
        return !is_undone(long, short);
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
    // ㄴ, ㄹ, ㅁ, ㅂ and ㅆ come with endings: 쉬세요, 쉽니다; but not 마시고, 맞추고
    let is_ending = |one: &[u32; 3], other: &[u32; 3]| {
        one.get(2) == Some(&0) && other.get(2).is_some_and(|last| matches!(last, 0 | 4 | 8 | 16 | 17 | 20))
    };
    // ㄹ goes before ㅂ: 들지, 듭니다
    let is_dropped = |one: &[u32; 3], other: &[u32; 3]| one.get(2) == Some(&8) && other.get(2) == Some(&17);
    let is_form = |one: &[u32; 3], other: &[u32; 3]| is_ending(one, other) || is_dropped(one, other);
    a.first() == b.first() && a.get(1) == b.get(1) && (goes_on || is_form(&a, &b) || is_form(&b, &a))
}

/// Tells whether a word is another one with a syllable before it that denies it: 미성년자, 부적절한, unsafe.
pub(super) fn is_undone(long: &Word, short: &Word) -> bool {
    if long.is_korean() != short.is_korean() {
        return false;
    }
    if long.is_korean() {
        return short.stem.chars().nth(1).is_some()
            && UNDOING_KOREAN.iter().any(|prefix| {
                long.raw.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with(&short.stem))
            });
    }
    let bare = |prefix: &str| {
        let rest = long.raw.strip_prefix(prefix)?;
        Some(rest.strip_prefix('-').unwrap_or(rest))
    };
    let is_form = |rest: &str| rest == short.raw && rest.chars().nth(3).is_some();
    ["un", "non"].iter().any(|prefix| bare(prefix).is_some_and(is_form))
        || ["in", "im", "ir", "il", "dis"].iter().any(|prefix| {
            bare(prefix).is_some_and(|rest| is_form(rest) && UNDONE.iter().any(|word| rest.starts_with(word)))
        })
}

fn is_english_form(one: &str, other: &str) -> bool {
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let shortest = one.len().min(other.len());
    shared >= 4 && shared + 1 >= shortest
}

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
    let text = &*composed(text);
    let mut found: Vec<(Word, Span)> = Vec::new();
    let mut denials: Vec<(usize, bool, bool)> = Vec::new();
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
        let is_apart = gap.contains([',', ';', ':', '.', '!', '?', '\n', '(', ')']);
        let is_counted = gap.contains(|c: char| c.is_ascii_digit());
        if is_apart {
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
        let after_numeral = found.last().is_some_and(|(word, _)| is_numeral(&word.raw));
        let is_empty = token.kind == TokenKind::Stop
            || is_of_a_number(before, tail, raw_len)
            || after_digit
            || is_empty(&raw, is_hangul)
            || is_numeral(&raw)
            || is_english_numeral(&raw)
            || is_unit(&raw)
            || (is_hangul && after_numeral && token.text.chars().nth(1).is_none());
        if is_hangul {
            // 하지 마세요, 하지 말고; but not 마십니다
            let forbids = raw.starts_with(['마', '말'])
                && found.last().is_some_and(|(word, _)| word.raw.ends_with('지'));
            let denies = DENYING_KOREAN.iter().any(|denying| raw.starts_with(denying));
            if denies || forbids || matches!(raw.as_str(), "안" | "못") {
                denials.push((found.len(), true, false));
            }
        } else if FORBIDDEN.contains(&raw.as_str()) {
            // should be avoided: what stands before it
            deny_back(&mut found, &clause_ends, matches!(raw.as_str(), "avoided" | "skipped"));
        } else if denies_in_english(&raw, tail) {
            let after_being = found.last().is_some_and(|(word, _)| BEING.contains(&word.raw.as_str()));
            let before_being = tail.get(raw.len()..).is_some_and(|after| after.starts_with(" be "));
            let is_of_all = tail
                .get(raw.len()..)
                .is_some_and(|after| ALLOWED.iter().any(|word| after.trim_start().starts_with(word)));
            let is_of_being =
                after_being || before_being || raw.starts_with("isn") || raw.starts_with("aren");
            if is_of_being {
                // receipts are not needed: nor the receipts
                deny_back(&mut found, &clause_ends, is_of_all);
            }
            // not without: with
            let begins = clause_ends.iter().filter(|end| **end <= found.len()).max().copied().unwrap_or(0);
            let is_undone = |(at, ..): &mut (usize, bool, bool)| {
                let is_without = |word: &Word| word.raw == "without";
                *at >= begins
                    && (raw == "without" || found.get(*at).is_some_and(|(word, _)| is_without(word)))
            };
            if denials.pop_if(is_undone).is_none() {
                denials.push((found.len(), false, is_of_being));
            }
        }
        end = token.span.start + raw_len;
        let base = IRREGULAR.iter().find(|(form, _)| *form == raw).map_or(token.text, |(_, base)| base);
        let (stem, meanings) = (base.to_owned(), meanings(base, &raw, kind));
        let mut syllables = raw.chars().map(letters);
        let head = [syllables.next().flatten(), syllables.next().flatten()];
        let word = Word { stem, raw, kind, is_denied: false, is_empty, is_counted, is_apart, meanings, head };
        found.push((word, token.span));
    });
    let mut words: Vec<Word> = found.into_iter().map(|(word, _)| word).collect();
    // 맞추는 것: what stands before such a noun is a verb
    for at in 1..words.len() {
        let is_dependent =
            words.get(at).is_some_and(|word| DEPENDENT.iter().any(|noun| word.raw.starts_with(noun)));
        if let Some(word) = words.get_mut(at - 1).filter(|word| is_dependent && word.raw.ends_with('는')) {
            word.kind = Kind::Verb;
        }
        let is_after_a_verb = words.get(at - 1).is_some_and(|word| word.kind == Kind::Verb);
        // 28도가 넘는 날에는: if
        if let Some(word) = words
            .get_mut(at)
            .filter(|word| is_after_a_verb && word.raw == "날" || word.raw.starts_with("날에"))
        {
            word.is_empty = true;
        }
    }
    // 없으면 탈 수 없습니다: with it
    let is_condition = |(at, is_korean, _): &(usize, bool, bool)| {
        *is_korean && words.get(*at).is_some_and(|word| word.raw.ends_with('면'))
    };
    if let [first, .., last] = denials.as_slice()
        && is_condition(first)
        && last.1
    {
        denials.remove(0);
        denials.pop();
    }
    for (at, is_korean, has_denied) in denials {
        deny(&mut words, at, is_korean, has_denied, &clause_ends);
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
            || FORBIDDEN.contains(&raw)
            || raw.ends_with("n't")
            || raw.ends_with("n’t")
            || raw.strip_suffix("'s").map_or(raw.contains('\''), |owner| {
                ["it", "that", "he", "she", "what", "there", "here", "who", "let"].contains(&owner)
            });
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

/// Tells whether a word belongs to the number behind it, with which it is compared: 오전 7시, longer than 30.
fn is_of_a_number(before: &str, tail: &str, length: usize) -> bool {
    let (word, after) = tail.split_at_checked(length).unwrap_or((tail, ""));
    let after = after.strip_prefix(' ').unwrap_or_default();
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) || english(text).is_some();
    // 7 in the evening
    let is_behind = before.trim_end().ends_with("in the") || before.trim_end().ends_with("at");
    let before = before.trim_end().trim_end_matches("in the").trim_end_matches("at").trim_end();
    if is_behind && ["morning", "afternoon", "evening", "night"].contains(&word) {
        return before.ends_with(|c: char| c.is_ascii_digit());
    }
    // alternate days: every second day
    if word == "alternate" {
        return ["day", "week", "month"].iter().any(|unit| after.starts_with(unit));
    }
    let is_half = ["오전", "오후", "아침", "저녁", "새벽", "밤"].contains(&word);
    (is_half && (is_number(after) || numeral(after).is_some()))
        || after.strip_prefix("than ").is_some_and(|number| word.ends_with("er") && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(SAME.len() <= 128, "one bit each");
    }
}
