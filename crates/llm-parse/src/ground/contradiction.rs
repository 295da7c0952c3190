//! What a task says against what its quote and its post say.

use std::collections::HashSet;

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

/// What stands in a source, gathered once for all texts that are held against it.
pub(crate) struct Known {
    terms: HashSet<String>,
    /// How its Korean words begin: the initial, and with the vowel.
    initials: HashSet<u32>,
    begins: HashSet<(u32, u32)>,
    skeleton: Skeleton,
}

impl Known {
    pub(crate) fn new(source: &str) -> Self {
        let skeleton = Skeleton::new(source);
        let first = skeleton.words.iter().filter_map(|word| beginning(skeleton.word_text(word)));
        let begins: HashSet<(u32, u32)> = first.collect();
        Self {
            terms: terms(source),
            initials: begins.iter().map(|first| first.0).collect(),
            begins,
            skeleton,
        }
    }

    /// Tells whether none of the terms of `text` stands in the source, though both are written in the same script.
    ///
    /// Korean verbs change within their stem (쓰기, 썼다): a word that begins with the same letters may be the same one;
    /// initial and vowel, or the initial alone where the stem has one syllable.
    pub(crate) fn lacks(&self, text: &str) -> bool {
        let claimed = terms(text);
        if claimed.is_empty() || !claimed.is_disjoint(&self.terms) {
            return false;
        }
        let named = Skeleton::new(text);
        let begins_alike = named.words.iter().any(|word| {
            let word = named.word_text(word);
            beginning(word).is_some_and(|first| {
                self.begins.contains(&first)
                    || (word.chars().count() <= 2 && self.initials.contains(&first.0))
            })
        });
        !begins_alike && shares_script(&self.skeleton, &named)
    }
}

/// The first two letters of a Korean word.
fn beginning(word: &str) -> Option<(u32, u32)> {
    let [initial, vowel, _] = word.chars().next().and_then(lexicon::letters)?;
    Some((initial, vowel))
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
    let words: Vec<&str> = said.words.iter().map(|word| said.word_text(word)).collect();
    if denies_korean_verb(&words, text) && !negates(&claimed) {
        return true;
    }
    let lower = text.to_lowercase();
    let mut first = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let ends = first.next().is_some_and(|word| ENDING.contains(&word))
        || ENDING.iter().any(|word| !word.is_ascii() && lower.contains(word));
    if ends || negates(&claimed) || !bears_out(quote, text) {
        return false;
    }
    if words.iter().any(|word| word.chars().any(|c| ('가'..='힣').contains(&c))) {
        // Korean negates at the end: 사고 싶지 않아요, 사지 못했어요, 안 샀어요
        let Some((last, before)) = korean_end(&words) else { return false };
        if is_obligation(&words) {
            return false;
        }
        let ending = last.rsplit_once('지').map_or(last, |(_, rest)| rest);
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

/// The last word in Hangul and the one before it.
fn korean_end<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let mut back = words.iter().rev().skip_while(|word| !word.chars().any(|c| ('가'..='힣').contains(&c)));
    let last = back.next()?;
    Some((last, back.next().copied().unwrap_or_default()))
}

/// Tells whether words say that something has to be done, by denying twice: “외우지 않으면 안 돼요”.
fn is_obligation(words: &[&str]) -> bool {
    let barred =
        |word: &str| word == "안" || ["안돼", "안되", "안됩"].iter().any(|mark| word.starts_with(mark));
    words.windows(2).enumerate().any(|(at, pair)| {
        let [condition, other] = pair else { return false };
        let denied =
            condition.contains('않') || at.checked_sub(1).and_then(|at| words.get(at)) == Some(&"안");
        condition.ends_with('면') && denied && barred(other)
    })
}

/// Tells whether a Korean quote ends by denying the verb of a title: `끊지 못했어요`, `끊는 데 실패했어요` for `담배 끊기`.
///
/// That the same verb stands there makes it sure, whatever else the title says.
fn denies_korean_verb(words: &[&str], title: &str) -> bool {
    let last = title.split_whitespace().next_back().unwrap_or_default();
    let Some(stem) = last.trim_end_matches('.').strip_suffix('기').filter(|stem| !stem.is_empty()) else {
        return false;
    };
    let Some((last, before)) = korean_end(words).filter(|_| !is_obligation(words)) else { return false };
    let joined = |word: &str| word.strip_suffix('지').is_some_and(|head| head.ends_with(stem));
    if let Some((head, ending)) = last.rsplit_once('지')
        && head.ends_with(stem)
        && ending.starts_with(['않', '못'])
    {
        return true;
    }
    if last.starts_with(['않', '못']) && joined(before.trim_end_matches(['는', '도', '를'])) {
        return true;
    }
    if matches!(before, "안" | "못") && last.starts_with(stem) {
        return true;
    }
    let failed = last.contains("실패") && !last.contains("실패하지");
    failed && words.iter().rev().take(4).any(|word| word.starts_with(stem))
}

/// Words of which one is the other's opposite, in their base forms.
const ANTONYMS: &[(&str, &str)] = &[
    ("gain", "lose"),
    ("increase", "decrease"),
    ("increase", "reduce"),
    ("raise", "lower"),
    ("buy", "sell"),
    ("start", "stop"),
    ("start", "quit"),
    ("begin", "stop"),
    ("begin", "quit"),
    ("join", "leave"),
    ("add", "remove"),
    ("save", "spend"),
    ("borrow", "lend"),
    ("accept", "reject"),
    ("accept", "refuse"),
    ("pass", "fail"),
    ("win", "lose"),
    ("more", "less"),
    ("more", "fewer"),
    ("early", "late"),
    ("earlier", "later"),
];

/// Beginnings of Korean words in a quote, and of the opposite ones in a title.
const ANTONYMS_KO: &[(&str, &str)] = &[
    ("늘리", "줄이"),
    ("늘렸", "줄이"),
    ("늘어", "줄이"),
    ("줄이", "늘리"),
    ("줄였", "늘리"),
    ("줄어", "늘리"),
    ("쪘", "빼"),
    ("찌웠", "빼"),
    ("뺐", "찌우"),
    ("빠졌", "찌우"),
    ("팔았", "사기"),
    ("샀", "팔"),
    ("시작", "그만두"),
    ("시작", "중단"),
    ("그만두", "시작"),
    ("그만뒀", "시작"),
    ("중단", "시작"),
    ("일찍", "늦게"),
    ("늦게", "일찍"),
    ("가입", "탈퇴"),
    ("탈퇴", "가입"),
    ("올렸", "내리"),
    ("내렸", "올리"),
    ("입사", "퇴사"),
    ("퇴사", "입사"),
];

/// Words that turn what stands beside them, so that an opposite may say the same.
const TURNS: &[&str] = &[
    "stop", "stopped", "avoid", "avoided", "instead", "than", "from", "before", "after", "used", "back",
    "too", "대신", "말고", "보다", "전에", "뒤에", "후에", "다시",
];

/// Tells whether `quote` says the opposite of a word of `text`: "I gained 5 kg" for "Lose 5 kg", "I run weekly" for "Run
/// daily". `quote` may name base forms beside its own words.
pub(crate) fn opposes(quote: &str, text: &str) -> bool {
    if !bears_out(quote, text) {
        return false;
    }
    let (said, wanted) = (periods(&quote.to_lowercase()), periods(&text.to_lowercase()));
    if !said.is_empty() && !wanted.is_empty() && wanted.iter().all(|period| !said.contains(period)) {
        return true;
    }
    let (said, claimed) = (Skeleton::new(quote), Skeleton::new(text));
    let words = |text: &Skeleton| {
        text.words.iter().map(|word| text.word_text(word).to_owned()).collect::<Vec<String>>()
    };
    let (there, here) = (words(&said), words(&claimed));
    let turned = there.iter().chain(&here).any(|word| TURNS.contains(&word.as_str()));
    if negates(&said) || negates(&claimed) || turned {
        return false;
    }
    let has = |words: &[String], base: &str| words.iter().any(|word| is_form_of(word, base));
    let only = |one: &str, other: &str| {
        has(&here, one) && !has(&here, other) && has(&there, other) && !has(&there, one)
    };
    let begins = |words: &[String], stem: &str| words.iter().any(|word| word.starts_with(stem));
    ANTONYMS.iter().any(|(one, other)| only(one, other) || only(other, one))
        || ANTONYMS_KO.iter().any(|(quoted, titled)| {
            begins(&there, quoted)
                && begins(&here, titled)
                && !begins(&there, titled)
                && !begins(&here, quoted)
        })
}

/// Tells whether an English word is a regular form of a verb, or the word itself.
fn is_form_of(word: &str, base: &str) -> bool {
    let silent = base.strip_suffix('e').and_then(|stem| word.strip_prefix(stem));
    word == base
        || silent.is_some_and(|end| matches!(end, "ed" | "ing"))
        || word.strip_prefix(base).is_some_and(|end| {
            let doubled =
                end.strip_prefix(|c| base.ends_with(c)).is_some_and(|end| matches!(end, "ed" | "ing"));
            doubled || matches!(end, "s" | "es" | "ed" | "ing")
        })
}

/// The periods in which a text says that something happens: a day, a week, a month, a year.
fn periods(text: &str) -> Vec<&'static str> {
    const FORMS: [(&str, &[&str]); 4] = [
        ("day", &["daily", "every day", "each day", "everyday", "매일", "날마다"]),
        ("week", &["weekly", "every week", "each week", "매주", "주마다"]),
        ("month", &["monthly", "every month", "each month", "매달", "매월", "달마다"]),
        ("year", &["yearly", "annually", "every year", "each year", "매년", "해마다"]),
    ];
    let named = FORMS.iter().filter(|(_, forms)| forms.iter().any(|form| text.contains(form)));
    named.map(|(period, _)| *period).collect()
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
            assert!(!Known::new(source).lacks(text), "{text}");
        }
        assert!(Known::new("러스트를 배우고 싶습니다").lacks("자동차 팔기"));
        assert!(Known::new("I want to learn Rust").lacks("Sell the house"));
        assert!(!Known::new("I want to learn Rust").lacks("러스트 배우기"));
    }

    #[test]
    fn a_quote_may_deny_the_deed_or_something_beside_it() {
        for (quote, deed) in [
            ("I do not want to buy a car", "Buy a car"),
            ("I don't plan to buy a car", "Buy a car"),
            ("자동차를 사고 싶지 않아요", "자동차 사기"),
            ("자동차는 안 샀어요", "자동차 사기"),
            ("자동차를 사지 못했습니다.", "자동차 사기"),
            ("담배를 끊지 못했어요", "담배 끊기"),
            ("결국 담배를 끊지는 못했습니다 ㅠㅠ", "담배 끊기"),
            ("담배를 못 끊었어요", "담배 끊기"),
            ("담배 끊기에 실패했어요", "담배 끊기"),
            ("담배를 끊는 데 실패했습니다", "담배 끊기"),
            ("야식을 줄이지 않았어요", "야식 줄이기"),
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
            ("담배를 끊었어요", "담배 끊기"),
            ("담배를 피우지 않았어요", "담배 끊기"),
            ("실패하지 않고 담배를 끊었어요", "담배 끊기"),
            ("단어를 외우지 않으면 안 돼요", "단어 외우기"),
            ("담배를 끊지 않으면 안 됩니다", "담배 끊기"),
        ] {
            assert!(!denies(quote, deed), "{quote}");
        }
    }

    #[test]
    fn an_opposite_word_or_another_period_contradicts() {
        for (quote, title) in [
            ("I gained 5 kg", "Lose 5 kg"),
            ("I run weekly", "Run daily"),
            ("run every week", "Run daily"),
            ("I quit lifting weights in spring", "Start lifting weights in spring"),
            ("몸무게가 5kg 쪘어요", "몸무게 5kg 빼기"),
            ("매주 영어 단어를 외웠어요", "매일 영어 단어 외우기"),
            ("운동 시간을 늘렸어요", "운동 시간 줄이기"),
        ] {
            assert!(opposes(quote, title), "{quote}");
        }
        for (quote, title) in [
            ("I lost 5 kg", "Lost 5 kg"),
            ("I gained 5 kg of muscle and lose fat", "Lose fat, gain muscle"),
            ("I ran daily and swam weekly", "Run daily"),
            ("I did not gain 5 kg", "Lose 5 kg"),
            ("I stopped eating late", "Eat early"),
            ("I sold the car before I bought a bike", "Buy a bike"),
            ("살이 5kg 쪄서 5kg 빼기로 했어요", "5kg 빼기"),
            ("늦게 자지 않았어요", "일찍 자기"),
            ("매일 단어를 외웠어요", "매일 단어 외우기"),
        ] {
            assert!(!opposes(quote, title), "{quote}");
        }
    }
}
