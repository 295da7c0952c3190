//! What a task says against what its quote and its post say.

use super::lexicon;
use super::skeleton::Skeleton;
use super::support::{Doubt, Support, negates, numbers, shares_script, terms};
use super::time::{self, Length};

/// Tells whether a text names any number, in digits or in words.
pub(crate) fn names_number(text: &str) -> bool {
    !numbers(&Skeleton::new(text)).is_empty()
}

/// Tells whether a text says anything of a day or a length of time, or says it relative to the day of writing.
pub(crate) fn names_time(text: &str) -> bool {
    const RELATIVE: [&str; 34] = [
        "today", "tomorrow", "tonight", "next", "this", "week", "month", "year", "day", "hour", "minute",
        "morning", "evening", "night", "오늘", "내일", "모레", "글피", "다음", "이번", "올해", "내년",
        "주말", "연말", "월말", "요일", "나절", "동안", "시간", "하루", "주일", "까지", "개월", "안에",
    ];
    let lower = text.to_lowercase();
    !time::days(text).is_empty()
        || !time::lengths(text).is_empty()
        || RELATIVE.iter().any(|word| lower.contains(word))
}

/// Tells whether at least half of the terms of `text` stand in `quote`.
pub(crate) fn bears_out(quote: &str, text: &str) -> bool {
    let (said, claimed) = (terms(quote), terms(text));
    claimed.intersection(&said).count() * 2 >= claimed.len()
}

/// Tells whether none of the terms of `text` stands in `source`, though both are written in the same script.
///
/// Korean verbs change within their stem (쓰기, 썼다): a word that begins with the same letters may be the same one.
pub(crate) fn is_foreign(source: &str, text: &str) -> bool {
    let (known, claimed) = (terms(source), terms(text));
    if claimed.is_empty() || !claimed.is_disjoint(&known) {
        return false;
    }
    let (said, named) = (Skeleton::new(source), Skeleton::new(text));
    let begins_alike = named.words.iter().any(|word| {
        let word = named.word_text(word);
        said.words.iter().any(|other| alike(word, said.word_text(other)))
    });
    !begins_alike && shares_script(&said, &named)
}

/// Tells whether two Korean words begin alike: initial and vowel, or the initial alone where the stem has one syllable.
fn alike(one: &str, other: &str) -> bool {
    let first = |word: &str| word.chars().next().and_then(lexicon::letters);
    let (Some([initial, vowel, _]), Some([other_initial, other_vowel, _])) = (first(one), first(other))
    else {
        return false;
    };
    initial == other_initial && (vowel == other_vowel || one.chars().count() <= 2)
}

/// Tells whether `quote` denies the very deed that `text` names: "I do not want to buy a car" for "Buy a car".
///
/// A negation elsewhere in the quote is none of the deed, and to stop something is another way to say that it is not done.
pub(crate) fn denies(quote: &str, text: &str) -> bool {
    const ENDING: [&str; 24] = [
        "stop", "quit", "avoid", "cut", "skip", "drop", "give", "refrain", "without", "no", "reduce",
        "resist", "끊", "피하", "줄이", "그만", "멈추", "금지", "포기", "참", "삼가", "거르", "버티", "막",
    ];
    let (said, claimed) = (Skeleton::new(quote), Skeleton::new(text));
    let lower = text.to_lowercase();
    let mut first = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let ends = first.next().is_some_and(|word| ENDING.contains(&word))
        || ENDING.iter().any(|word| !word.is_ascii() && lower.contains(word));
    if ends || negates(&claimed) || !bears_out(quote, text) {
        return false;
    }
    let words: Vec<&str> = said.words.iter().map(|word| said.word_text(word)).collect();
    if words.iter().any(|word| word.chars().any(|c| ('가'..='힣').contains(&c))) {
        // Korean negates at the end: 사고 싶지 않아요, 사지 못했어요, 안 샀어요
        let Some(last) = words.last() else { return false };
        let before = words.len().checked_sub(2).and_then(|at| words.get(at)).copied().unwrap_or_default();
        let ending = last.rsplit_once('지').map_or(*last, |(_, rest)| rest);
        let denied = |word: &str| ["않", "못", "말"].iter().any(|mark| word.starts_with(mark));
        return denied(ending) || matches!(before, "안" | "못");
    }
    // English negates before the verb: the first word of the text is it
    let verb = claimed.words.first().map(|word| claimed.word_text(word)).unwrap_or_default();
    let Some(at) = words.iter().position(|word| *word == verb) else { return false };
    words
        .get(at.saturating_sub(5)..at)
        .unwrap_or_default()
        .iter()
        .any(|word| matches!(*word, "not" | "never" | "cannot") || word.ends_with("n't"))
}

/// Checks a length of time against a quote. A quote that names none says nothing of it; one that says how long and how
/// often leaves open which of the two, or their product, is meant.
pub(crate) fn length_support(quote: &str, length: Length) -> Support {
    let named = time::lengths(quote);
    if named.is_empty() {
        return Support::Unknown;
    }
    if named.iter().any(|named| named.equals(length)) {
        return Support::Supported;
    }
    let counts = numbers(&Skeleton::new(quote));
    let counts: Vec<u64> = counts
        .into_iter()
        .filter_map(|count| u64::try_from(count / 1000).ok())
        .filter(|count| *count > 1)
        .collect();
    let product = |named: &Length| counts.iter().any(|count| named.times(*count).equals(length));
    let sum = named.iter().copied().reduce(Length::plus).is_some_and(|sum| sum.equals(length));
    if sum || named.iter().any(product) {
        return Support::Unknown;
    }
    Support::Unsupported(Doubt::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::support;

    #[test]
    fn compares_lengths_of_time_whatever_their_unit() {
        let minutes = Length::of_minutes;
        assert_eq!(length_support("매일 한 시간 반씩", minutes(90)), Support::Supported);
        assert_eq!(length_support("takes half an hour", minutes(45)), Support::Unsupported(Doubt::Number));
        assert_eq!(length_support("30분씩 주 3회", minutes(90)), Support::Unknown);
        assert_eq!(length_support("매일 달렸다", minutes(90)), Support::Unknown);
        assert_eq!(support("매일 90분 공부했다", "1시간 30분 공부하기"), Support::Supported);
    }

    #[test]
    fn verbs_that_change_within_their_stem_are_the_same_verbs() {
        for (source, text) in [
            ("매일 아침 30분씩 달렸습니다", "달리기"),
            ("일기를 썼어요", "쓰기"),
            ("나는 매일 뛰었다", "뛰기"),
            ("I want to learn Rust", "Learn it"),
        ] {
            assert!(!is_foreign(source, text), "{text}");
        }
        assert!(is_foreign("러스트를 배우고 싶습니다", "자동차 팔기"));
        assert!(is_foreign("I want to learn Rust", "Sell the house"));
        assert!(!is_foreign("I want to learn Rust", "러스트 배우기"));
    }

    #[test]
    fn a_quote_may_deny_the_deed_or_something_beside_it() {
        for (quote, deed) in [
            ("I do not want to buy a car", "Buy a car"),
            ("I don't plan to buy a car", "Buy a car"),
            ("자동차를 사고 싶지 않아요", "자동차 사기"),
            ("자동차는 안 샀어요", "자동차 사기"),
            ("자동차를 사지 못했습니다.", "자동차 사기"),
        ] {
            assert!(denies(quote, deed), "{quote}");
        }
        for (quote, deed) in [
            ("I want to buy a car", "Buy a car"),
            ("I want to buy a car that does not break", "Buy a car"),
            ("포기하지 않고 매일 달렸어요", "매일 달리기"),
            ("I did not eat sugar", "Stop eating sugar"),
            ("설탕을 먹지 않았어요", "설탕 끊기"),
            ("설탕을 먹지 않았어요", "설탕 먹지 않기"),
        ] {
            assert!(!denies(quote, deed), "{quote}");
        }
    }
}
