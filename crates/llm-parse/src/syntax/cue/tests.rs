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
            cue(before, "", after, Neighbours { after: true, ..Neighbours::default() }),
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
            cue(&format!("\n{between}"), "", "", Neighbours { before: true, ..Neighbours::default() }),
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
    for remark in ["This is just an example.", "These are placeholder values.", "위 값은 예시일 뿐입니다."]
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
