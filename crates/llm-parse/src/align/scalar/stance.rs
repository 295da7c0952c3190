//! Whether a clause denies, asks or hedges what it names.

/// What a clause does to the thing that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    Affirmed,
    Denied,
    /// A question, a condition, a choice: neither said nor denied.
    Open,
}

const IDIOMS: &[&str] = &[
    "no doubt",
    "의심의 여지가 없",
    "without a doubt",
    "without doubt",
    "beyond doubt",
    "beyond a doubt",
    "beyond any doubt",
    "without question",
    "no question",
    "not only",
    "nothing but",
    "no other than",
    "none other than",
    "no matter",
    "not surprisingly",
    "no mistake",
    "의심할 여지 없이",
    "의심의 여지 없이",
    "의심할 여지가 없",
    "틀림없",
    "다름 아닌",
    "다름아닌",
    "뿐만 아니라",
    "뿐 아니라",
    "뿐만아니라",
    "문제없",
];

const DENIALS: &[&str] = &[
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "none",
    "cannot",
    "without",
    "hardly",
    "scarcely",
    "barely",
    "nowhere",
    "nothing",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "doesn't",
    "don't",
    "didn't",
    "won't",
    "wouldn't",
    "can't",
    "couldn't",
    "shouldn't",
    "ain't",
    "hasn't",
    "haven't",
    "isnt",
    "doesnt",
    "dont",
    "non",
    "wrong",
    "incorrect",
    "false",
    "untrue",
    "unlike",
    "except",
    "reject*",
    "refus*",
    "deny",
    "denied",
    "denying",
    "disprov*",
    "refut*",
    "dismiss*",
    "discard*",
    "disagree*",
    "contradict*",
    "avoid*",
    "exclud*",
    "rule out",
    "rules out",
    "ruled out",
    "ruling out",
    "nobody",
    "no one",
    "absent",
    "absence of",
    "devoid of",
    "short of",
    "fails",
    "failed to",
    "lack",
    "lacks",
    "lacking",
    "opposite",
    "rather than",
    "instead of",
    "far from",
    "anything but",
    "everything but",
    "out of the question",
    "denies",
    "no longer",
    "nicht",
];

const DENIALS_KO: &[&str] = &[
    "아니",
    "아닙",
    "아닌",
    "아님",
    "아녜",
    "아냐",
    "않",
    "못하",
    "못합",
    "못한",
    "못함",
    "없",
    "말고",
    "빼고",
    "제외",
    "반대",
    "틀렸",
    "틀린",
    "틀림",
    "잘못",
    "불가",
    "안됨",
    "안 됨",
    "안돼",
    "거짓",
    "보기 어렵",
    "보기는 어렵",
    "보기 힘들",
    "보기는 힘들",
    "말하기 어렵",
    "말하기는 어렵",
];

const OPEN: &[&str] = &[
    "if",
    "whether",
    "either",
    "unless",
    "maybe",
    "perhaps",
    "possibly",
    "might",
    "could",
    "unclear",
    "doubt",
    "doubts",
    "doubtful",
    "wish",
    "used to be",
    "would have",
    "unsure",
    "uncertain",
    "between",
    "versus",
    "vs",
    "would be",
    "hesitate",
    "supposedly",
    "allegedly",
    "at least",
    "at most",
    "higher than",
    "lower than",
    "better than",
    "worse than",
    "less than",
    "more than",
    "above \u{1}",
    "below \u{1}",
    "under \u{1}",
    "over \u{1}",
    "up to",
    "minimum",
    "maximum",
    "or higher",
    "or lower",
    "or above",
    "or below",
    "or more",
    "or less",
    "or better",
    "or worse",
    "or greater",
    "and above",
    "and below",
    "and up",
    // in part, or not yet
    "almost \u{1}",
    "nearly \u{1}",
    "half \u{1}",
    "half-\u{1}",
    "partly \u{1}",
    "partially \u{1}",
    "pending \u{1}",
    "awaiting \u{1}",
    "will be",
    "yet to be",
    "still to be",
    "about to be",
    "going to be",
    "due to be",
    "needs to be",
    "need to be",
    "remains to be",
    "scheduled to be",
    "planned to be",
    "expected to be",
    "supposed to be",
    "set to be",
    "is to be",
    "waiting to be",
];

const OPEN_KO: &[&str] = &[
    "인지",
    "일지",
    "혹은",
    "또는",
    "이거나",
    "거나",
    "아마",
    "만약",
    "라면",
    "일 수도",
    "것 같",
    "듯",
    "까요",
    "모르",
    "줄 알았",
];

/// Say of the label before them that it is a bound.
const BOUNDS_KO: &[&str] = &["이상", "이하", "미만", "초과", "에서", "부터", "까지", "보다", "사이", "내지"];

/// Words of their own that make a bound of the label behind them, or a part.
const BOUND_WORDS_KO: &[&str] = &["최소", "최대", "최소한", "적어도", "많아야", "기껏해야"];
const PARTS_KO: &[&str] = &["거의", "반쯤", "절반", "일부", "부분"];

/// Right behind a label they say that it is still to come: 완료 예정, 승인 대기.
const AWAITED_KO: &[&str] = &[
    "전", "이전", "직전", "예정", "대기", "필요", "요청", "신청", "계획", "임박", "목표", "검토", "심사",
    "진행", "절차", "과정",
];

/// Behind a label, as the last word that Korean says about it, they take it away.
const LOSSES_KO: &[&str] = &[
    "오답", "오류", "결여", "부족", "부인", "배제", "기각", "반박", "거부", "거절", "철회", "무효", "미흡",
    "미달", "실패", "반려", "보류", "중단", "해제", "취소", "무리",
];

/// The same, where they need not be the last.
const TURNS_KO: &[&str] =
    &["을 부정", "를 부정", "하기엔", "하기에는", "보기엔", "보기에는", "라기엔", "라기에는", "라기보다"];

/// The places of what is named in a clause.
pub(crate) type Places<'a> = &'a [(usize, usize)];

/// What `clause` does to the thing named in it; where that stands is not searched itself.
pub(crate) fn stance(clause: &str, question: bool, named: Places<'_>) -> Stance {
    let mut text = masked(clause, named).to_lowercase().replace('’', "'");
    for idiom in IDIOMS {
        if text.contains(idiom) {
            text = text.replace(idiom, " ");
        }
    }
    if DENIALS.iter().any(|word| has_word(&text, word))
        || DENIALS_KO.iter().any(|word| text.contains(word))
        || has_an(&text)
        || has_zero_share(&text)
        || takes_away(&text)
    {
        return Stance::Denied;
    }
    if question
        || OPEN.iter().any(|word| has_word(&text, word))
        || OPEN_KO.iter().any(|word| text.contains(word))
        || is_bound_ko(&text)
        || text.trim_start().starts_with("to be \u{1}")
        || (has_word(&text, "too") && has_word(&text, "to be"))
    {
        return Stance::Open;
    }
    Stance::Affirmed
}

/// The clause with a mark in place of what it names.
fn masked(clause: &str, named: Places<'_>) -> String {
    let mut out = String::with_capacity(clause.len());
    let mut from = 0;
    for (start, end) in named {
        if let Some(between) = clause.get(from..*start) {
            out.push_str(between);
            out.push('\u{1}');
            from = *end;
        }
    }
    out.push_str(clause.get(from..).unwrap_or(""));
    out
}

/// What follows each mention of what is named.
fn behind(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('\u{1}').filter_map(|(at, mark)| text.get(at + mark.len()..))
}

fn is_bound_ko(text: &str) -> bool {
    let word = |word| BOUND_WORDS_KO.contains(&word);
    let part = text.split_once('\u{1}').and_then(|(head, _)| head.split_whitespace().next_back());
    behind(text).any(|rest| BOUNDS_KO.iter().any(|bound| rest.trim_start().starts_with(bound)))
        || text.split_whitespace().any(word)
        || part.is_some_and(|last| PARTS_KO.contains(&last))
}

/// Korean says last what becomes of the thing: 긍정 결여, 완료 전입니다, 승인이 거부되었습니다.
fn takes_away(text: &str) -> bool {
    const COPULAS: &[&str] = &[
        "",
        "입니다",
        "이다",
        "임",
        "인",
        "이며",
        "이고",
        "이에요",
        "이라",
        "중",
        "중입니다",
        "중이다",
        "중임",
        "이라서",
        "에",
        "까지",
    ];
    let awaited = |rest: &str| {
        let word = rest.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        AWAITED_KO.iter().any(|noun| word.strip_prefix(noun).is_some_and(|end| COPULAS.contains(&end)))
    };
    let last = text.split(|c: char| !c.is_alphanumeric()).rfind(|word| !word.is_empty()).unwrap_or("");
    let loses = |rest: &str| rest.contains(last) && LOSSES_KO.iter().any(|noun| last.starts_with(noun));
    let named = text.contains('\u{1}');
    if !named {
        return loses(text);
    }
    behind(text).any(|rest| {
        awaited(rest)
            || loses(rest)
            || TURNS_KO.iter().any(|turn| rest.contains(turn))
            || matches!(rest.trim(), "보다" | "보다는" | "에서")
    })
}

/// A short text that denies.
pub(crate) fn denies(text: &str) -> bool {
    stance(text, false, &[]) == Stance::Denied
}

/// The Korean adverb 안 ("not") as a word of its own.
fn has_an(text: &str) -> bool {
    text.split_whitespace().any(|word| word == "안" || word == "못")
}

/// “0% x”: none of it.
fn has_zero_share(text: &str) -> bool {
    text.match_indices("0%").any(|(at, _)| {
        text.get(..at)
            .is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',')))
    })
}

/// Finds a word or a phrase; a star at its end stands for any ending.
fn has_word(text: &str, word: &str) -> bool {
    let stem = word.strip_suffix('*');
    let word = stem.unwrap_or(word);
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(word)) {
        let (start, end) = (from + at, from + at + word.len());
        let before = text.get(..start).and_then(|t| t.chars().next_back());
        let after = text.get(end..).and_then(|t| t.chars().next());
        let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '\'');
        if free(before) && (stem.is_some() || free(after)) {
            return true;
        }
        from = end;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{Stance, stance};

    #[test]
    fn tells_denial_from_affirmation() {
        for text in [
            "this is not x",
            "it isn't x",
            "x가 아닙니다",
            "x이 아님",
            "절대 x 아니다",
            "안 x",
            "far from x",
            "x is wrong",
            "anything but x",
            "x라고 보기 어렵습니다",
        ] {
            assert_eq!(stance(text, false, &[]), Stance::Denied, "{text}");
        }
        for text in ["no doubt x", "definitely x", "틀림없이 x입니다", "not only x", "안내 x", "notable x"]
        {
            assert_eq!(stance(text, false, &[]), Stance::Affirmed, "{text}");
        }
        assert_eq!(stance("is it x", true, &[]), Stance::Open);
        assert_eq!(stance("아마 x", false, &[]), Stance::Open);
    }

    fn of(text: &str, name: &str) -> Stance {
        let named: Vec<_> = text.match_indices(name).map(|(at, name)| (at, at + name.len())).collect();
        stance(text, false, &named)
    }

    #[test]
    fn what_is_still_to_come_or_in_part_is_not_affirmed() {
        for text in [
            "almost done",
            "half-done",
            "partially done",
            "to be done",
            "it will be done",
            "it needs to be done",
            "pending done",
            "아직 done 전",
            "done 전입니다",
            "done 예정입니다",
            "done 대기 중",
            "거의 done",
        ] {
            assert_ne!(of(text, "done"), Stance::Affirmed, "{text}");
        }
        for text in [
            "appears to be done",
            "turns out to be done",
            "done 전체",
            "이전 단계 done",
            "the will: done",
            "almost certainly done",
            "done이 전부입니다",
            "it must be done",
        ] {
            assert_eq!(of(text, "done"), Stance::Affirmed, "{text}");
        }
    }

    #[test]
    fn stems_deny_in_every_form() {
        for text in [
            "I reject x",
            "we are rejecting x",
            "avoid x",
            "avoiding x",
            "nobody would call this x",
            "x was ruled out",
            "x 오답",
            "x 결여",
            "x보다",
            "x에서",
            "x 요소 부족",
            "x이라 하기엔 부족",
            "x을 부정함",
            "x이 거부되었습니다",
        ] {
            assert_eq!(of(text, "x"), Stance::Denied, "{text}");
        }
        for text in ["x", "취소가 쉬워서 x", "제가 보기엔 x입니다", "x, inevitable", "unavoidably x"]
        {
            assert_eq!(of(text, "x"), Stance::Affirmed, "{text}");
        }
        for text in ["x or higher", "up to x", "최소 x", "y에서 x 사이", "x까지"] {
            assert_eq!(of(text, "x"), Stance::Open, "{text}");
        }
    }
}
