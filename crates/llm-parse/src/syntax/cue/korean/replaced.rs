//! Sentences that put something in the place of a value or of a part of it.

use super::super::is_correction_word;
use super::super::remark::Sentence;
use super::{INTERJECTIONS, ends, is_nothing, starts};

/// Interjections that only what was wrong calls for.
const STRONG: &[&str] =
    &["아차", "앗", "아니", "아뇨", "잠깐", "잠깐만", "잠깐만요", "죄송합니다", "미안합니다"];
/// What a value may be said to be without being another one: “이 값은 추정치입니다”.
const KEPT: &[&str] = &[
    "",
    "전부",
    "추정치",
    "이상",
    "예상치",
    "정상",
    "동일",
    "그대로",
    "부분",
    "이유",
    "때문",
    "결과",
    "답",
    "정답",
    "것",
    "근사치",
    "대략",
];
/// Verbs with which a correction is done as it is said: “정정합니다”, not “수정했습니다”.
const PERFORMED: &[&str] =
    &["합니다", "하겠습니다", "할게요", "습니다", "겠습니다", "을게요", "드립니다", "드리겠습니다", "해요"];

fn is_digit(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Tells whether a word claims a value: `2입니다`, `3개예요`.
fn claims(word: &str) -> bool {
    const ENDS: &[&str] =
        &["입니다", "이에요", "예요", "이다", "임", "습니다", "네요", "여야", "이어야", "이고", "고요"];
    is_digit(word) && ends(word, ENDS)
}

/// Takes the copula off a word.
fn bare(word: &str) -> Option<&str> {
    ["이었습니다", "였습니다", "입니다", "이에요", "예요"].iter().find_map(|end| word.strip_suffix(end))
}

/// Tells whether a sentence puts something in the place of the value or of a part of it.
pub(super) fn is_replaced(text: &str, words: &[&str], sentence: Sentence<'_>) -> bool {
    let first = words.first().copied().unwrap_or("");
    let behind = text.split_once(first).map_or("", |(_, rest)| rest);
    // “정정: …”, “**정정** …”
    let behind = behind.trim_start_matches([' ', '_']);
    if is_correction_word(first) && behind.starts_with(['*', ':', '：', ',', '-', '–', '—', ')']) {
        return words.len() > 1 && !is_nothing(text);
    }
    let performed = |word: &&str| {
        let stems = ["정정", "취소", "바로잡", "수정", "철회"];
        stems.iter().find_map(|stem| word.strip_prefix(stem)).is_some_and(|rest| PERFORMED.contains(&rest))
    };
    if words.iter().any(performed) {
        return true;
    }
    // “실제 값으로 바꿔 주세요”
    let orders = ["바꿔 주", "바꿔주", "교체해", "대체해", "변경해 주", "바꾸세요", "교체하", "대체하"];
    if orders.iter().any(|order| text.contains(order))
        && words.iter().any(|word| matches!(*word, "실제" | "진짜" | "본인의"))
    {
        return true;
    }
    let apart = behind.starts_with([',', '.', '!', '-', '…']);
    let interjected = sentence.interjected
        || INTERJECTIONS.contains(&first) && (apart || !matches!(first, "아" | "아니"))
        || ["다시 보니", "다시 확인", "확인해 보니", "잘못 봤"].iter().any(|words| text.contains(words));
    // “아니, price: 5”
    if let [.., key, last] = words
        && interjected
        && words.len() < 5
        && is_digit(last)
        && !sentence.holds(last)
        && sentence.is_key(key)
    {
        return true;
    }
    let topic = words.iter().find(|word| ends(word, &["은", "는"])).copied().unwrap_or("");
    let key = topic.strip_suffix(['은', '는']).is_some_and(|name| sentence.is_key(name));
    words.iter().enumerate().any(|(at, word)| {
        let next = words.get(at + 1).copied().unwrap_or("");
        let before = at.checked_sub(1).and_then(|at| words.get(at)).copied().unwrap_or("");
        // “3이 아니라 4입니다” says again what a value of 4 says.
        let digits = |word: &str| word.chars().take_while(char::is_ascii_digit).collect::<String>();
        let kept = word.starts_with("아니라")
            && is_digit(next)
            && sentence.holds(&digits(next))
            && !sentence.holds(&digits(before));
        if kept {
            return false;
        }
        if sets(before, word, next)
            || (interjected && claims(word))
            || (at == 0 && word.starts_with("아니라"))
        {
            return true;
        }
        // “3이 맞습니다”, “qty는 3이 맞아요”
        if starts(word, &["맞습니다", "맞아요", "맞음", "맞다"])
            && let Some(claim) = before.strip_suffix(['이', '가'])
        {
            return (is_digit(claim) || (key && before != topic)) && !sentence.holds(claim);
        }
        let Some(claim) = bare(word).filter(|_| *word != topic) else { return false };
        // “죄송합니다, 이름은 바나나입니다.”
        // “이름은 사실 바나나입니다.”
        let truly = words.iter().take(3).skip(1).any(|word| matches!(*word, "사실" | "사실은" | "실은"));
        let told = (interjected || truly)
            && !topic.is_empty()
            && at < 6
            && (key || truly || STRONG.contains(&first));
        (told && !KEPT.contains(&claim) && !sentence.holds(claim))
            || (is_proper(topic, words) && !claim.is_empty() && claim.is_ascii() && !sentence.holds(claim))
            || (is_proper(topic, words) && is_digit(claim) && !sentence.holds(claim))
    })
}

/// “2여야 합니다”, “3으로 정정해야 합니다”, “1이 아니라 2”
fn sets(before: &str, word: &str, next: &str) -> bool {
    let turns = starts(next, &["수정", "정정", "변경", "바꿔", "바꾸", "고쳐", "바뀌"])
        && !["했", "됐", "되었", "하였", "된", "한"].iter().any(|past| next.contains(past));
    (is_digit(word) && (ends(word, &["여야", "이어야"]) || (word.ends_with('로') && turns)))
        || (word.starts_with("아니라") && (is_digit(before) || is_digit(next)))
}

/// Tells whether a sentence says what the answer is: “정답은 …”, “올바른 값은 …”.
fn is_proper(topic: &str, words: &[&str]) -> bool {
    let adjective = |word: &&str| starts(word, &["올바른", "정확한", "실제", "맞는", "진짜", "옳은"]);
    starts(topic, &["정답", "최종답"])
        || (words.iter().take(3).any(adjective) && starts(topic, &["값", "답", "결과", "수"]))
}
