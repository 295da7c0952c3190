//! What the words around a candidate say about it, in Korean and English.

mod english;
mod followed;
mod korean;
mod lead;
mod remark;

use super::document::Cue;
use lead::read;

/// Bounds the text that is looked at before a candidate, in bytes.
const BEFORE: usize = 240;
/// Bounds the text that is looked at after a candidate, in bytes.
const AFTER: usize = 160;

/// What stands on either side of a candidate.
#[derive(Clone, Copy, Default)]
pub(super) struct Neighbours {
    /// Another value stands before it.
    pub(super) before: bool,
    /// Another value stands after it.
    pub(super) after: bool,
}

/// Reads the cue of a candidate, written as `value`, from the text since the value before it, if one stands before it, and
/// the text up to the next one.
pub(super) fn cue(before: &str, value: &str, after: &str, values: Neighbours) -> Cue {
    let before = tail(before);
    let sentence = last_sentence(before);
    let mut lead = match label(sentence) {
        // `예: {…}` may say yes where nothing follows it.
        Cue::None if values.after && heads_example(before) => Cue::Example,
        Cue::None => read(sentence),
        label => label,
    };
    // “Wait, that is wrong. {…}” is said of the value before it.
    let told = before.trim_end().ends_with(['.', '!']);
    if values.before && (lead == Cue::None || (lead == Cue::Rejected && told)) && takes_back(before) {
        lead = Cue::Corrected;
    }
    if is_denial(sentence) {
        return Cue::Rejected;
    }
    if values.after && heads_correction(after) {
        return Cue::Rejected;
    }
    let note = remark::remark(after, value, values.after);
    // `… instead of {…}`, `an earlier draft said {…}`: said of the value that follows.
    let note = match values.after && leads_on(after) {
        true if note == Cue::Rejected && !starts_contrast(after) => note,
        true => Cue::None,
        false => note,
    };
    match (lead, note) {
        (lead, Cue::None) => lead,
        // A final answer stays one where drafts are spoken of after it.
        (lead, Cue::Draft) if lead != Cue::None => lead,
        (_, note) => note,
    }
}

/// Reads what a plain answer says of itself: by its label, as in `Example: 5` and `오답: 긍정`, or below its first line.
pub(super) fn headed(text: &str) -> Cue {
    const NAME: usize = 48;
    let text = text.trim();
    let line = text.split('\n').next().unwrap_or("").trim_end();
    let below = text.get(line.len()..).unwrap_or("");
    // An answer in a fence or in brackets is looked at by itself.
    let enclosed = line.starts_with(['{', '[']) || line.starts_with("```") || line.starts_with("~~~");
    if !below.trim_start().is_empty() {
        let short = !enclosed
            && line.len() < NAME
            && !line.contains([':', '：'])
            && line.split_whitespace().count() < 4;
        return if short { remark::remark(below, line, false) } else { Cue::None };
    }
    let Some((head, value)) = line.split_once([':', '：']) else { return Cue::None };
    let head = head.trim_matches(|c: char| !c.is_alphanumeric());
    let words = value.split_whitespace().count();
    if head.len() > NAME || head.split_whitespace().count() > 3 || !(1..5).contains(&words) {
        return Cue::None;
    }
    let cue = match label(head) {
        Cue::None if matches!(head, "예" | "ex" | "Ex" | "EX") => Cue::Example,
        Cue::None => read(head),
        label => label,
    };
    // `Format: JSON` names what is asked for.
    if matches!(cue, Cue::Example | Cue::Draft | Cue::Rejected) { cue } else { Cue::None }
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’')).filter(|word| !word.is_empty())
}

/// Tells whether a lead-in denies the value that follows: “The answer is NOT”, “Ignore this”, “답은 이것이 아닙니다”.
fn is_denial(lead: &str) -> bool {
    let text = lead.to_lowercase().replace('’', "'");
    let mut back = words(&text).rev();
    let (last, before) = (back.next().unwrap_or(""), back.next().unwrap_or(""));
    let denied = matches!(last, "not" | "never") || last.ends_with("n't");
    if denied && !before.is_empty() && !matches!(before, "if" | "why" | "or") {
        return true;
    }
    // “This is not it”
    if matches!(last, "it" | "this" | "that") && (before == "not" || before.ends_with("n't")) {
        return true;
    }
    let pointed = |word: &str| {
        ["답", "정답", "결과", "이것", "이건", "이게", "이 값", "다음", "아래"]
            .iter()
            .any(|stem| word.starts_with(stem))
    };
    let end = if matches!(last, "것" | "값") { before } else { last };
    if matches!(end, "아닌" | "아님" | "아닙니다" | "아니다" | "아니에요" | "아녜요") {
        let named = if end == before { back.next().unwrap_or("") } else { before };
        return pointed(named);
    }
    let count = words(&text).count();
    let first = words(&text).next().unwrap_or("");
    let turned = matches!(first, "ignore" | "disregard" | "forget" | "skip" | "discard")
        && words(&text).any(|word| matches!(word, "this" | "following" | "below" | "it"));
    let turned_ko = words(&text).any(|word| word.starts_with("무시")) && pointed(first);
    count <= 4 && (turned || turned_ko)
}

/// Tells whether the value that follows is announced as a correction: `Correction:`, `수정:`.
fn heads_correction(between: &str) -> bool {
    let line = between.trim_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~' | '*'));
    let line = line.lines().next_back().unwrap_or("").to_lowercase();
    line.ends_with([':', '：']) && words(&line).count() == 1 && words(&line).any(is_correction_word)
}

fn is_correction_word(word: &str) -> bool {
    matches!(
        word,
        "correction"
            | "corrections"
            | "erratum"
            | "update"
            | "edit"
            | "amendment"
            | "정정"
            | "수정"
            | "업데이트"
    )
}

/// Tells whether a text of one line runs on into the next value.
fn leads_on(after: &str) -> bool {
    if after.len() > AFTER {
        return false;
    }
    let line = after.trim_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~'));
    after.ends_with([' ', '`', '\n', ':'])
        && !line.contains('\n')
        && !line.ends_with(['.', '!', '?', ')', ']'])
}

fn starts_contrast(after: &str) -> bool {
    let text = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    ["instead of", "rather than", "not ", "and not ", "unlike "]
        .iter()
        .any(|words| text.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words)))
}

/// Tells whether the value that follows is headed `예:` or `ex:`.
fn heads_example(before: &str) -> bool {
    let Some(head) = before.trim_end().strip_suffix([':', '：']) else { return false };
    let word = head.rsplit(char::is_whitespace).next().unwrap_or("").trim_matches(['*', '-', '[', ']', '<']);
    matches!(word, "예" | "ex" | "Ex" | "EX" | "(예" | "(예)")
}

/// Reads a heading of one or two words: `Before:`, `v2:`, `시도 1`.
fn label(sentence: &str) -> Cue {
    let mut words = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let (Some(first), second) = (words.next(), words.next()) else { return Cue::None };
    let last = words.next().is_none();
    let number = |word: &str| word.parse::<u32>().ok();
    let count = match second {
        // `v2`, `2차 답변`
        None if first.starts_with(['v', 'V']) => first.get(1..).and_then(number),
        _ if first.ends_with('차') => first.strip_suffix('차').and_then(number),
        Some(second)
            if last
                && is_one_of(first, &["version", "attempt", "try", "revision", "draft", "버전", "시도"]) =>
        {
            number(second)
        }
        _ => None,
    };
    match count {
        Some(0 | 1) => return Cue::Draft,
        Some(_) => return Cue::Corrected,
        None => {}
    }
    if second.is_some() {
        return Cue::None;
    }
    match first {
        _ if is_one_of(
            first,
            &["old", "before", "original", "initial", "previous", "previously", "earlier"],
        ) =>
        {
            Cue::Draft
        }
        _ if is_one_of(first, &["new", "after", "better", "edit", "edited", "good", "right"]) => {
            Cue::Corrected
        }
        _ if is_one_of(first, &["bad"]) => Cue::Rejected,
        "이전" | "기존" | "원본" | "처음" => Cue::Draft,
        "이후" | "변경" | "새로" => Cue::Corrected,
        _ => Cue::None,
    }
}

/// Tells whether the words between two values take the first one back: “Scratch that.”, “아니, 잘못 썼네요.”
fn takes_back(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').filter(|w| !w.is_empty());
    let mut previous = "";
    words.any(|word| {
        let pair = match word {
            "wait" | "oops" | "whoops" | "잠깐" | "잠깐만" | "잠깐만요" | "아니" | "아니요" | "아차" => {
                true
            }
            "that" => matches!(
                previous,
                "scratch" | "strike" | "ignore" | "disregard" | "forget" | "fix" | "correct"
            ),
            "above" => matches!(previous, "ignore" | "disregard"),
            "it" | "this" => matches!(previous, "fix" | "redo" | "correct" | "revise"),
            "mistake" | "error" => matches!(previous, "a" | "an" | "the" | "my"),
            "thought" | "thoughts" => previous == "second",
            "again" | "over" => matches!(previous, "try" | "start" | "do"),
            "wrong" | "incorrect" => matches!(previous, "was" | "is" | "that's" | "that’s" | "were"),
            _ => ["잘못", "틀렸", "틀린", "실수", "정정", "바로잡"].iter().any(|stem| word.starts_with(stem)),
        };
        previous = word;
        pair
    })
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(BEFORE);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or("")
}

/// Returns the last sentence or line that holds any word.
fn last_sentence(text: &str) -> &str {
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let cut = text
        .char_indices()
        .rev()
        .find(|(at, c)| {
            matches!(c, '\n' | '!' | '?' | '。')
                || (*c == '.' && text.get(at + 1..).is_some_and(|rest| rest.starts_with(char::is_whitespace)))
        })
        .map_or(0, |(at, c)| at + c.len_utf8());
    text.get(cut..).unwrap_or(text)
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|other| word.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_and_after_tell_what_a_value_is() {
        for (before, after, expected) in [
            ("For example:", "", Cue::Example),
            ("예시:", "", Cue::Example),
            ("예를 들어 다음과 같습니다.", "", Cue::Example),
            ("Here is my first draft:\n", "", Cue::Draft),
            ("초안은 다음과 같습니다:\n", "", Cue::Draft),
            ("Wait, the corrected version:\n", "", Cue::Corrected),
            ("수정된 결과:", "", Cue::Corrected),
            ("Final answer:", "", Cue::Final),
            ("최종 답변입니다.\n", "", Cue::Final),
            ("The format is ", "", Cue::Schema),
            ("Instead of ", "", Cue::Rejected),
            ("Do not use ", "", Cue::Rejected),
            ("잘못된 답:", "", Cue::Rejected),
            ("수정 전:", "", Cue::Rejected),
            ("I tried this. Then I wrote the answer:", "", Cue::None),
            ("The final answer (not the example above):", "", Cue::Final),
            (" but that was wrong, so the final answer is ", "", Cue::Final),
            ("는 틀렸으니 최종 답은 ", "", Cue::Final),
            ("The final answer is wrong: ", "", Cue::Rejected),
            ("최종 답이 틀렸습니다: ", "", Cue::Rejected),
            ("This answer is so wrong: ", "", Cue::Rejected),
            ("", " is wrong.", Cue::Rejected),
            ("", "\n위는 예시입니다.", Cue::Example),
            ("", "\nAnd the corrected version:", Cue::None),
            ("Here is the result:", "", Cue::None),
        ] {
            assert_eq!(
                cue(before, "", after, Neighbours { before: false, after: true }),
                expected,
                "{before:?} … {after:?}"
            );
        }
    }

    #[test]
    fn words_between_two_values_take_the_first_back() {
        for (between, expected) in [
            ("Scratch that. The answer is:", Cue::Corrected),
            ("No, wait.", Cue::Corrected),
            ("On second thought, the answer is:", Cue::Corrected),
            ("아니, 다음과 같습니다:", Cue::Corrected),
            ("v2:", Cue::Corrected),
            ("2차 답변:", Cue::Corrected),
            ("After:", Cue::Corrected),
            ("Attempt 1:", Cue::Draft),
            ("기존 답변:", Cue::Draft),
            ("Option 2:", Cue::None),
            ("And the second order:", Cue::None),
            ("다음 사람:", Cue::None),
        ] {
            assert_eq!(
                cue(between, "", "", Neighbours { before: true, after: false }),
                expected,
                "{between:?}"
            );
        }
        assert_eq!(cue("Wait for it, here it comes:", "", "", Neighbours::default()), Cue::None);
    }

    #[test]
    fn a_remark_at_the_end_of_the_answer_needs_no_full_stop() {
        for after in [
            "\nCorrection: n should be 2",
            "\n정정: n은 2",
            "\nActually, n is 2",
            "\nActually, n is 2.\n",
            "\nThe above is incorrect\n",
            "\nThat is wrong ",
        ] {
            assert_eq!(cue("", "{\"n\": 1}", after, Neighbours::default()), Cue::Rejected, "{after:?}");
        }
        assert_eq!(cue("", "{\"n\": 1}", "\nThis is only an example\n", Neighbours::default()), Cue::Example);
        assert_eq!(
            cue("", "{\"n\": 1}", "\nActually, this is the whole list.", Neighbours::default()),
            Cue::None
        );
    }

    /// How a remark may stand below a value.
    const BELOW: [&str; 7] =
        ["\n", "\n\n", "\n```\n\n", "\n\n\n\n", "\n\n---\n\n", "</answer>\n", "\n```\n\nHere it is. "];

    #[test]
    fn a_retraction_is_seen_wherever_it_stands_below() {
        for remark in [
            "This is wrong.",
            "The above JSON is incorrect.",
            "**Correction:** n = 2",
            "Actually it's 3.",
            "Please ignore the above.",
            "The correct n is 3.",
            "I misread the text.",
            "위 값은 틀렸습니다.",
            "정정: n은 2입니다.",
            "죄송합니다, n은 2입니다.",
            "무시해 주세요.",
            "정답은 2입니다.",
        ] {
            for below in BELOW {
                let after = format!("{below}{remark}\n");
                assert_eq!(cue("", "{\"n\": 1}", &after, Neighbours::default()), Cue::Rejected, "{after:?}");
            }
        }
        for remark in
            ["This is just an example.", "These are placeholder values.", "위 값은 예시일 뿐입니다."]
        {
            for below in BELOW {
                let after = format!("{below}{remark}\n");
                assert_eq!(cue("", "{\"n\": 1}", &after, Neighbours::default()), Cue::Example, "{after:?}");
            }
        }
    }

    #[test]
    fn what_is_said_of_the_source_or_under_a_condition_is_no_retraction() {
        for remark in [
            "If this is wrong, let me know.",
            "This follows the schema.",
            "I double-checked: nothing is wrong.",
            "There was a typo in the original text.",
            "The correct answer is 1.",
            "This may be wrong.",
            "Sorry that the text wasn't clearer.",
            "틀린 부분이 있으면 알려주세요.",
            "예시와 같은 형식으로 작성했습니다.",
            "원문의 수량이 잘못되었습니다.",
            "초안은 무시했습니다.",
            "정답은 1입니다.",
        ] {
            for below in BELOW {
                let after = format!("{below}{remark}\n");
                assert_eq!(cue("", "{\"n\": 1}", &after, Neighbours::default()), Cue::None, "{after:?}");
            }
        }
    }

    #[test]
    fn a_form_that_is_followed_is_not_the_value() {
        for before in [
            "스키마에 맞춘 답입니다:",
            "예시 형식을 따르면 다음과 같습니다:",
            "요청하신 형식으로 정리했습니다:",
            "As in the example format, the result is:",
            "Here is the JSON in the requested format:",
            "Using the example format:",
            "I removed the wrong entries:",
        ] {
            assert_eq!(cue(before, "", "", Neighbours::default()), Cue::None, "{before:?}");
        }
        for (before, expected) in [
            ("Use the following format:", Cue::Schema),
            ("다음 형식으로 답해 주세요:", Cue::Schema),
            ("형식은 다음과 같습니다:", Cue::Schema),
            ("예시를 들면 다음과 같습니다:", Cue::Example),
            ("Example output following the schema:", Cue::Example),
            ("A wrong answer would be:", Cue::Rejected),
        ] {
            assert_eq!(cue(before, "", "", Neighbours::default()), expected, "{before:?}");
        }
    }

    #[test]
    fn a_plain_answer_says_by_its_label_what_it_is() {
        for (text, expected) in [
            ("오답: 긍정", Cue::Rejected),
            ("Example: 5", Cue::Example),
            ("**예시:** 5", Cue::Example),
            ("Draft: true", Cue::Draft),
            ("긍정\n\n위 답은 틀렸습니다.", Cue::Rejected),
            ("Answer: 5", Cue::None),
            ("Final answer: 5", Cue::None),
            ("Format: JSON", Cue::None),
            ("긍정\n\n틀린 부분이 있으면 알려주세요.", Cue::None),
            ("The example shows: 5 of them are wrong", Cue::None),
        ] {
            assert_eq!(headed(text), expected, "{text:?}");
        }
    }
}
