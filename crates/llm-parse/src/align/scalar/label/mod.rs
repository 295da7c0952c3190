//! Labels of enums: exact, by another name, in another form, inside a sentence, misspelt.

mod hits;

use super::boolean::{is_ordinal, words};
use super::clause::{clauses, retracts};
use super::fuzzy::is_slip;
use super::marks::{Mark, around, beside, is_cross};
use super::stance::{Stance, is_plain, is_small_share, stance, undoes};
use crate::report::{Rule, Severity};
use crate::schema::fold;
use crate::schema::shape::Labels;
use hits::{Hit, hits};

/// What a text says as one of the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Label { number: u32, note: Option<(Rule, Severity)> },
    Negated,
    Ambiguous(&'static str),
    None,
}

const MAX_LEN: usize = 16_384;
const MAX_FUZZY: usize = 512;

/// Finds the one label that `text` means. A sentence is searched only if `sentences` is set.
pub(crate) fn read(text: &str, labels: &Labels, sentences: bool) -> Reading {
    let text = text.trim();
    let found = |number, rule| Reading::Label { number, note: Some((rule, Severity::Repaired)) };
    if let Some(number) = labels.exact.get(text) {
        let own = labels.items.get(*number as usize).is_some_and(|label| &*label.text == text);
        return if own {
            Reading::Label { number: *number, note: None }
        } else {
            found(*number, Rule::LabelAlias)
        };
    }
    if text.is_empty() || text.len() > MAX_LEN {
        return Reading::None;
    }
    // Folding leaves these signs out.
    let own = |name: &str| around(name).is_none() && !name.ends_with(['?', '？']);
    let plain =
        || labels.items.iter().all(|label| own(&label.text) && label.aliases.iter().all(|name| own(name)));
    if let Some((mark, inner)) = around(text)
        && plain()
    {
        return match unmarked(inner, labels, sentences) {
            Reading::None => Reading::None,
            Reading::Label { number, note } if mark == Mark::Crossed && is_no(labels, number) => {
                found(number, note.map_or(Rule::LabelForm, |note| note.0))
            }
            _ => Reading::Negated,
        };
    }
    if text.ends_with(['?', '？']) && labels.folded.contains_key(&fold(text)) && plain() {
        return Reading::Ambiguous("a label is asked about or hedged");
    }
    unmarked(text, labels, sentences)
}

/// Reads a text that no sign denies as a whole.
fn unmarked(text: &str, labels: &Labels, sentences: bool) -> Reading {
    let found = |number, rule| Reading::Label { number, note: Some((rule, Severity::Repaired)) };
    let folded = fold(text);
    match labels.folded.get(&folded) {
        Some(Some(number)) if !folded.is_empty() => return found(*number, Rule::LabelForm),
        Some(None) => return Reading::Ambiguous("two labels differ only in form"),
        _ => {}
    }
    if is_crossed_out(text, labels) {
        return Reading::Negated;
    }
    if let Some(number) = by_description(&folded, labels) {
        return found(number, Rule::LabelAlias);
    }
    if sentences {
        let reading = in_sentence(text, labels);
        if reading != Reading::None {
            return reading;
        }
    }
    // A phrase is not a misspelt word.
    if labels.items.len() <= MAX_FUZZY && !negating_word(text) {
        let mut slips = (0_u32..).zip(&labels.items).filter(|(_, label)| {
            std::iter::once(&label.text).chain(&label.aliases).any(|name| is_slip(&folded, &fold(name)))
        });
        match (slips.next(), slips.next()) {
            (Some((number, _)), None) => return found(number, Rule::LabelFuzzy),
            (Some(_), Some(_)) => return Reading::Ambiguous("two labels are equally near"),
            _ => {}
        }
    }
    Reading::None
}

/// A label and a word or sign that says no to it: `positive: X`, `positive=0`, `positive 0건`, `positive 취소`.
fn is_crossed_out(text: &str, labels: &Labels) -> bool {
    let separates = |c: char| c.is_whitespace() || matches!(c, ':' | '=' | '(' | '[' | '-' | '：');
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | '.' | '!'));
    let start = match text.char_indices().next_back() {
        Some((at, c)) if is_cross(c) => at,
        _ => text.char_indices().rev().find(|(_, c)| separates(*c)).map_or(0, |(at, c)| at + c.len_utf8()),
    };
    let (Some(head), Some(tail)) = (text.get(..start), text.get(start..)) else { return false };
    let head = head.trim_end_matches(separates);
    !head.is_empty()
        && is_no_mark(tail)
        && !labels.folded.contains_key(&fold(tail))
        && labels.folded.contains_key(&fold(head))
}

/// A sign or number that stands for no, alone.
fn is_no_mark(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let none = |rest: &str| matches!(rest, "" | "%" | ".0" | "건" | "개" | "명" | "회" | "점" | "퍼센트");
    matches!(
        &*text,
        "x" | "✗" | "✘" | "❌" | "×" | "no" | "false" | "off" | "취소" | "아님" | "아니오" | "아니요"
    ) || text.strip_prefix('0').is_some_and(none)
}

/// A label that a cross agrees with: `❌ FAILED`, `🚫 거부`.
fn is_no(labels: &Labels, number: u32) -> bool {
    const WORDS: [&str; 8] = ["no", "not", "off", "bad", "ban", "stop", "false", "wrong"];
    const STEMS: [&str; 26] = [
        "fail",
        "error",
        "reject",
        "den",
        "block",
        "invalid",
        "incorrect",
        "cancel",
        "forbid",
        "prohibit",
        "declin",
        "unsafe",
        "unsupported",
        "disable",
        "실패",
        "오류",
        "거부",
        "거절",
        "반려",
        "취소",
        "오답",
        "불",
        "금지",
        "차단",
        "거짓",
        "아니",
    ];
    let text = labels.items.get(number as usize).map_or("", |label| &*label.text).to_lowercase();
    STEMS.iter().any(|stem| text.starts_with(stem))
        || words(&text)
            .next()
            .is_some_and(|(_, word)| WORDS.iter().any(|known| word.split('_').next() == Some(known)))
}

fn negating_word(text: &str) -> bool {
    stance(text, false, &[]) == Stance::Denied
}

/// The description of a label, or "label: description".
fn by_description(folded: &str, labels: &Labels) -> Option<u32> {
    let mut hits = (0_u32..).zip(&labels.items).filter(|(_, label)| {
        label.description.as_deref().is_some_and(|description| {
            let description = fold(description);
            if description.chars().count() < 4 {
                return false;
            }
            *description == *folded
                || folded.strip_prefix(&*fold(&label.text)).is_some_and(|rest| *rest == *description)
        })
    });
    match (hits.next(), hits.next()) {
        (Some((number, _)), None) => Some(number),
        _ => None,
    }
}

fn in_sentence(text: &str, labels: &Labels) -> Reading {
    let mut affirmed: Option<u32> = None;
    let mut denied = Vec::new();
    let mut open = false;
    let mut bare_denial = false;
    let ordinal = is_ordinal(text);
    for clause in clauses(text) {
        let mut hits = hits(clause.text, labels);
        if ordinal {
            let no =
                |hit: &Hit| clause.text.get(hit.start..hit.end).is_some_and(|t| t.eq_ignore_ascii_case("no"));
            hits.retain(|hit| !no(hit));
        }
        if hits.is_empty() {
            bare_denial |= is_no_mark(clause.text);
            let short = clause.text.split_whitespace().count() <= 4;
            bare_denial |= short && stance(clause.text, clause.question, &[]) == Stance::Denied;
            open |= is_small_share(clause.text) || (short && undoes(clause.text));
            continue;
        }
        let first = hits.first().map_or(0, |hit| hit.number);
        let distinct = hits.iter().any(|hit| hit.number != first);
        let named: Vec<_> =
            hits.iter().filter(|hit| hit.number == first).map(|hit| (hit.start, hit.end)).collect();
        let mark = named.iter().find_map(|(start, end)| beside(clause.text, *start, *end));
        let stance = match (mark, stance(clause.text, clause.question, &named)) {
            (Some(Mark::Crossed), stance) if is_no(labels, first) => stance,
            (Some(Mark::Denied | Mark::Crossed), _) => Stance::Denied,
            (Some(Mark::Bound), Stance::Affirmed) => Stance::Open,
            (None, Stance::Affirmed) if !distinct && !is_plain(clause.text, &named) => Stance::Open,
            (_, stance) => stance,
        };
        match stance {
            Stance::Denied => denied.extend(hits.iter().map(|hit| hit.number)),
            Stance::Open => open = true,
            Stance::Affirmed if distinct => return Reading::Ambiguous("more than one label is named"),
            Stance::Affirmed => {
                for hit in hits {
                    if affirmed.is_some_and(|known| known != hit.number) {
                        return Reading::Ambiguous("more than one label is named");
                    }
                    affirmed = Some(hit.number);
                }
            }
        }
    }
    match affirmed {
        Some(number) => {
            if open {
                Reading::Ambiguous("a label is asked about or hedged")
            } else if denied.contains(&number) || retracts(text) || bare_denial {
                Reading::Ambiguous("a label is both named and denied")
            } else {
                Reading::Label { number, note: Some((Rule::LabelInText, Severity::Repaired)) }
            }
        }
        None if !denied.is_empty() => Reading::Negated,
        None if open => Reading::Ambiguous("a label is asked about or hedged"),
        None => Reading::None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, read};
    use crate::report::Rule;
    use crate::schema::shape::{Label, Labels};

    fn labels(names: &[&str]) -> Labels {
        let items = names
            .iter()
            .map(|name| Label { text: (*name).into(), aliases: Vec::new(), description: None })
            .collect();
        Labels::new(items, Vec::new())
    }

    fn name(text: &str, names: &[&str]) -> Option<String> {
        match read(text, &labels(names), true) {
            Reading::Label { number, .. } => names.get(number as usize).map(ToString::to_string),
            _ => None,
        }
    }

    const MOOD: &[&str] = &["POSITIVE", "NEGATIVE", "NEUTRAL"];

    #[test]
    fn finds_labels_in_every_form() {
        for text in [
            "POSITIVE",
            "positive",
            "Positive.",
            "**POSITIVE**",
            "The sentiment is positive.",
            "Definitely POSITIVE, no doubt.",
            "POSITIVE, not NEGATIVE",
            "not NEGATIVE but POSITIVE",
            "postive",
            "Answer: POSITIVE",
        ] {
            assert_eq!(name(text, MOOD).as_deref(), Some("POSITIVE"), "{text}");
        }
        for text in
            ["부정입니다.", "부정", "정답은 부정이다", "이 글은 부정적입니다", "긍정이 아니라 부정입니다"]
        {
            assert_eq!(name(text, &["긍정", "부정"]).as_deref(), Some("부정"), "{text}");
        }
        assert_eq!(name("in progress", &["IN_PROGRESS", "DONE"]).as_deref(), Some("IN_PROGRESS"));
        assert_eq!(
            name("in progress review", &["PROGRESS", "IN_PROGRESS_REVIEW"]).as_deref(),
            Some("IN_PROGRESS_REVIEW")
        );
    }

    #[test]
    fn refuses_denials() {
        for text in [
            "This is not NEGATIVE.",
            "The sentiment isn't positive.",
            "Not POSITIVE",
            "It is neither POSITIVE nor NEGATIVE.",
            "never POSITIVE",
        ] {
            assert_eq!(read(text, &labels(MOOD), true), Reading::Negated, "{text}");
        }
        for text in ["긍정이 아님", "긍정이 아닙니다.", "부정적이지 않습니다", "절대 긍정 아니다"]
        {
            assert_eq!(read(text, &labels(&["긍정", "부정"]), true), Reading::Negated, "{text}");
        }
    }

    #[test]
    fn words_that_are_not_known_to_be_harmless_are_refused() {
        for text in [
            "other than POSITIVE",
            "seldom positive",
            "POSITIVE is unlikely",
            "mislabelled as POSITIVE",
            "P(POSITIVE)=0.1",
            "zero POSITIVE",
            "a quasi POSITIVE",
            "people claim it is POSITIVE",
            "It pretends to be POSITIVE",
            "POSITIVE on the surface",
            "yeah right, POSITIVE",
            "POSITIVE at best",
            "90% POSITIVE",
        ] {
            assert_eq!(name(text, MOOD), None, "{text}");
        }
        for text in [
            "The overall sentiment of this review is POSITIVE.",
            "It has a positive tone.",
            "POSITIVE because the customer loved the food",
            "POSITIVE is the best fit.",
            "I'd label this POSITIVE.",
            "The reviewer expresses a positive attitude towards the product.",
            "POSITIVE (0.97)",
            "This text should be labelled POSITIVE.",
            "<b>POSITIVE</b>",
        ] {
            assert_eq!(name(text, MOOD).as_deref(), Some("POSITIVE"), "{text}");
        }
        for text in
            ["긍정 안함", "긍정 이외", "긍정과 거리가 멀다", "긍정으로 오분류", "긍정인 척", "긍정 확률 10%"]
        {
            assert_eq!(name(text, &["긍정", "부정"]), None, "{text}");
        }
        for text in [
            "맛을 칭찬하고 있으므로 긍정입니다",
            "긍정으로 분류할 수 있습니다",
            "긍정 확률 95%",
            "긍정적인 평가를 내리고 있습니다",
        ] {
            assert_eq!(name(text, &["긍정", "부정"]).as_deref(), Some("긍정"), "{text}");
        }
        assert_eq!(name("No. 5", &["yes", "no"]), None);
    }

    #[test]
    fn what_is_still_to_come_is_not_yet() {
        let states = labels(&["완료", "진행"]);
        for text in ["완료 전", "완료 이전", "완료 예정", "아직 완료 전", "완료 전입니다", "완료 예정입니다."]
        {
            assert_eq!(read(text, &states, true), Reading::Negated, "{text}");
        }
        assert_eq!(name("전 완료", &["완료", "진행"]).as_deref(), Some("완료"));
        assert_eq!(name("완료 예정", &["완료", "완료 예정"]).as_deref(), Some("완료 예정"));
    }

    #[test]
    fn refuses_choices_and_other_words() {
        for text in [
            "Either POSITIVE or NEGATIVE.",
            "positive/negative",
            "POSITIVE? No.",
            "Is it POSITIVE?",
            "unhappy",
            "POSITIVE. No wait, NEGATIVE.",
        ] {
            assert_eq!(name(text, MOOD), None, "{text}");
        }
        for (text, names) in [
            ("unapproved", &["approved", "rejected"][..]),
            ("inactive", &["active", "closed"]),
            ("non-refundable", &["refundable", "other"]),
            ("미완료", &["완료", "진행"]),
            ("불가능", &["가능", "보류"]),
            ("HIGHEST", &["HIGH", "LOW"]),
            ("female", &["male", "other"]),
            ("JavaScript", &["JAVA", "RUST"]),
            ("대학생", &["대", "중", "소"]),
            ("cap", &["cat", "car", "can"]),
            ("B+", &["A", "B", "C"]),
            ("This is a tough one.", &["A", "B", "C"]),
            ("v3", &["v1", "v2"]),
            ("긍정 또는 부정입니다.", &["긍정", "부정"]),
        ] {
            assert_eq!(name(text, names), None, "{text}");
        }
    }

    #[test]
    fn says_how_it_found_the_label() {
        let labels = labels(MOOD);
        let rule = |text| match read(text, &labels, true) {
            Reading::Label { note, .. } => note.map(|note| note.0),
            _ => None,
        };
        assert_eq!(rule("POSITIVE"), None);
        assert_eq!(rule("positive"), Some(Rule::LabelForm));
        assert_eq!(rule("It is positive"), Some(Rule::LabelInText));
        assert_eq!(rule("positve"), Some(Rule::LabelFuzzy));
    }
}
