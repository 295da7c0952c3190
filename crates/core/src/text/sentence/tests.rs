use proptest::prelude::*;

use super::*;

fn split(text: &str) -> Vec<&str> {
    sentences(text).into_iter().map(|span| span.of(text)).collect()
}

#[test]
fn splits_at_korean_endings_with_their_stops() {
    assert_eq!(
        split("오늘 5km를 뛰었다. 힘들었어요! 내일도 할까? 네."),
        ["오늘 5km를 뛰었다.", "힘들었어요!", "내일도 할까?", "네."]
    );
    assert_eq!(
        split("처음엔 힘들었다.그래도 참았어요.이제 괜찮습니다"),
        ["처음엔 힘들었다.", "그래도 참았어요.", "이제 괜찮습니다"]
    );
}

#[test]
fn keeps_decimals_addresses_versions_and_dates_whole() {
    for whole in [
        "체중이 72.5에서 68.3으로 줄었다.",
        "문의는 help@example.co.kr 또는 https://example.com/a.b?c=d 로 하세요.",
        "Rust 1.94 and v2.0.1 work.",
        "2024. 1. 15. 대회에 나갔다.",
        "2024. 3. 1. (금) 시작",
        "월.수.금 저녁에 뛴다.",
        "The price was $3.50 per kg.",
    ] {
        assert_eq!(split(whole), [whole]);
    }
}

#[test]
fn keeps_abbreviations_with_their_sentence() {
    for whole in [
        "Dr. Kim met Mr. Lee at 5 p.m. sharp.",
        "Use a tool, e.g. Rust, i.e. something fast.",
        "J. R. Smith et al. reported it in Fig. 3 of No. 5.",
        "The U.S. team won.",
        "Korea vs. Japan was close.",
    ] {
        assert_eq!(split(whole), [whole]);
    }
    assert_eq!(split("We left at 5 p.m. The bus was late."), ["We left at 5 p.m.", "The bus was late."]);
    assert_eq!(split("Bring water, food, etc. Then go."), ["Bring water, food, etc.", "Then go."]);
    assert_eq!(split("No. I will not."), ["No.", "I will not."]);
}

#[test]
fn puts_quotes_and_brackets_after_the_stop_with_their_sentence() {
    assert_eq!(split("그는 말했다. “가자!” 우리는 갔다."), ["그는 말했다.", "“가자!”", "우리는 갔다."]);
    assert_eq!(
        split("\"포기하지 마세요.\"라고 코치가 말했다. (정말이다.) 끝."),
        ["\"포기하지 마세요.\"라고 코치가 말했다.", "(정말이다.)", "끝."]
    );
    assert_eq!(split("“Really?” she asked. He nodded."), ["“Really?” she asked.", "He nodded."]);
    assert_eq!(split("\"안녕?\" 하고 물었다. 대답은 없었다."), ["\"안녕?\" 하고 물었다.", "대답은 없었다."]);
}

#[test]
fn ends_at_an_ellipsis_only_where_a_sentence_begins() {
    assert_eq!(split("음... 잘 모르겠다"), ["음... 잘 모르겠다"]);
    assert_eq!(split("기다렸다… 그런데 오지 않았다."), ["기다렸다…", "그런데 오지 않았다."]);
    assert_eq!(split("Wait... what? OK."), ["Wait... what?", "OK."]);
    assert_eq!(split("I waited... Nothing came."), ["I waited...", "Nothing came."]);
}

#[test]
fn takes_list_items_and_lines_as_sentences() {
    assert_eq!(
        split("할 일\n1. 물 마시기\n2. 5km 걷기. 천천히!\n- 일찍 자기\n\n끝"),
        ["할 일", "1. 물 마시기", "2. 5km 걷기.", "천천히!", "- 일찍 자기", "끝"]
    );
    assert_eq!(split("1. 스쿼트 2. 런지 3. 플랭크"), ["1. 스쿼트", "2. 런지", "3. 플랭크"]);
    assert_eq!(split("buy milk\r\ncall mom"), ["buy milk", "call mom"]);
    assert_eq!(split("(1) 가입하기\n가. 서류 준비\n① 신청"), ["(1) 가입하기", "가. 서류 준비", "① 신청"]);
}

#[test]
fn joins_an_english_line_that_was_only_wrapped() {
    let text = "I started running because my doctor told me that it\nwould help with my sleep. It did.";
    assert_eq!(split(text).len(), 2);
    assert!(split(text)[0].ends_with("sleep."));
}

#[test]
fn finds_the_ends_that_writers_leave_out() {
    assert_eq!(
        split("안녕하세요 저는 러너입니다 오늘 10km 뛰었어요 내일은 쉴게요"),
        ["안녕하세요", "저는 러너입니다", "오늘 10km 뛰었어요", "내일은 쉴게요"]
    );
    assert_eq!(
        split("필요 없는 건 중요 표시를 지우고 좋아요 버튼을 눌렀다"),
        ["필요 없는 건 중요 표시를 지우고 좋아요 버튼을 눌렀다"]
    );
    assert_eq!(split("마침표가 없는 글"), ["마침표가 없는 글"]);
    assert_eq!(split("no stop at all"), ["no stop at all"]);
}

#[test]
fn keeps_emoji_and_laughter_with_the_sentence_before() {
    assert_eq!(split("완주했어요😊 다음엔 하프요!"), ["완주했어요😊", "다음엔 하프요!"]);
    assert_eq!(split("재밌었다ㅋㅋㅋ 또 하자"), ["재밌었다ㅋㅋㅋ", "또 하자"]);
    assert_eq!(split("끝! 😊 다음 주에 봐요"), ["끝! 😊", "다음 주에 봐요"]);
    assert_eq!(split("Great run today 🎉 See you"), ["Great run today 🎉", "See you"]);
    assert_eq!(split("5~10km 정도"), ["5~10km 정도"]);
}

#[test]
fn splits_at_cjk_stops_without_a_space() {
    assert_eq!(
        split("今日は走った。楽しかった！また走る。"),
        ["今日は走った。", "楽しかった！", "また走る。"]
    );
}

#[test]
fn empty_and_blank_texts_have_no_sentence() {
    assert!(sentences("").is_empty());
    assert!(sentences(" \n\t \r\n").is_empty());
}

#[test]
fn hostile_texts_take_linear_time() {
    for piece in ["a", ".", "1. ", "\"", "다.", "😀", "요 ", "\n", "ㅋ", "e.g. ", "(", "…"] {
        let text = piece.repeat(200_000 / piece.len());
        let started = std::time::Instant::now();
        let found = sentences(&text);
        assert!(started.elapsed().as_secs() < 5, "{piece:?} took {:?}", started.elapsed());
        assert!(found.len() <= text.len());
    }
}

proptest! {
    #[test]
    fn every_visible_character_is_in_exactly_one_sentence(
        text in prop_oneof!["\\PC{0,80}", "[가다요.!?… \\n\"'()a-cA-C0-9😀ㅋ1-3]{0,80}"],
    ) {
        let spans = sentences(&text);
        let mut last = 0;
        for span in &spans {
            prop_assert!(span.start >= last && !span.is_empty());
            prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
            prop_assert_eq!(text[last..span.start].trim(), "");
            prop_assert_eq!(span.of(&text).trim(), span.of(&text));
            last = span.end;
        }
        prop_assert_eq!(text[last..].trim(), "");
    }
}
