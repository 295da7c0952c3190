//! Whether a clause denies, asks or hedges what it names.

mod frame;
mod words;

pub(crate) use frame::{is_plain, is_small_share, undoes};

use words::{
    AWAITED_KO, BOUND_WORDS_KO, BOUNDS_KO, DENIALS, DENIALS_KO, IDIOMS, LOSSES_KO, OPEN, OPEN_KO, PARTS_KO,
    TURNS_KO,
};

/// What a clause does to the thing that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    Affirmed,
    Denied,
    /// A question, a condition, a choice: neither said nor denied.
    Open,
}

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
    let loses = |rest: &str| LOSSES_KO.iter().any(|noun| last.starts_with(noun)) && rest.contains(last);
    let Some(first) = behind(text).next() else { return loses(text) };
    loses(first)
        || TURNS_KO.iter().any(|turn| first.contains(turn))
        || behind(text).any(awaited)
        || behind(text).last().is_some_and(|rest| matches!(rest.trim(), "보다" | "보다는" | "에서"))
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
