//! The table of bad input: each a kind, a retry class, the usage so far, and what was tried.

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::FutureExt as _;
use pumasi_core::model::FinishReason;
use pumasi_core::time::ManualClock;
use pumasi_core::{ErrorKind as CoreKind, Retry};

use super::*;
use crate::extract::{AnswerLanguage, ExtractExt as _};

async fn fail(model: &ScriptedModel) -> ExtractError {
    builder(model).build().unwrap().extract(SOURCE).await.unwrap_err()
}

#[tokio::test]
async fn sources_that_are_no_text_cost_nothing() {
    let model = ScriptedModel::new([]);
    let extractor = builder(&model).with_max_source_bytes(1000).build().unwrap();
    for (source, kind) in [
        (&b""[..], Kind::EmptySource),
        (b" \n\t\xe3\x80\x80", Kind::EmptySource),
        (b"\xef\xbb\xbf", Kind::EmptySource),
        (b"caf\xe9", Kind::NotText),
        (&[b'a'; 1001], Kind::SourceTooLarge),
    ] {
        let error = extractor.extract_bytes(source).await.unwrap_err();
        assert_eq!((error.kind(), error.retry(), error.usage().total_tokens()), (kind, Retry::Never, 0));
    }
    assert_eq!(extractor.extract("  ").await.unwrap_err().kind(), Kind::EmptySource);
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn a_failed_call_keeps_its_kind_its_retry_class_and_its_books() {
    let later = Retry::After(Duration::from_secs(20));
    for (reply, kind, retry) in [
        (Reply::error(CoreKind::RateLimited).with_retry(later), Kind::RateLimited, later),
        (Reply::error(CoreKind::Unavailable), Kind::Unavailable, Retry::Now),
        (Reply::error(CoreKind::Protocol), Kind::Protocol, Retry::Never),
        (Reply::error(CoreKind::Unauthorized), Kind::Unauthorized, Retry::Never),
        (Reply::error(CoreKind::Refused), Kind::Refused, Retry::Never),
        (Reply::error(CoreKind::ContextTooLong), Kind::ContextTooLong, Retry::Never),
        (Reply::error(CoreKind::CircuitOpen), Kind::Overloaded, Retry::Now),
        // a stream that was cut: what was generated is paid for
        (Reply::chunks(["{\"items\": [", "{"]).cut(CoreKind::Unavailable), Kind::Unavailable, Retry::Now),
    ] {
        let model = ScriptedModel::new([reply.with_usage(Usage::new(50, 3))]);
        let error = fail(&model).await;
        assert_eq!((error.kind(), error.retry()), (kind, retry));
        assert_eq!(error.usage().total_tokens(), 53, "{kind}");
        assert_eq!(error.attempts().len(), 1);
        assert_eq!(error.attempts()[0].outcome, AttemptOutcome::Failed { reason: kind });
    }
}

#[tokio::test]
async fn an_answer_of_which_no_item_has_the_shape_is_no_empty_list() {
    let shapeless = || reply(json!([{"unrelated": 1}, {"words": "xyz"}]));
    let model = ScriptedModel::new([shapeless(), shapeless(), shapeless()]);
    let extractor = builder(&model).with_unresolved(Unresolved::DropItems).build().unwrap();
    let error = extractor.extract(SOURCE).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OffSchema);
    assert!(error.usage().total_tokens() > 0);
    // One that has it is an answer, and the rest is told.
    let model = ScriptedModel::always(reply(json!([run(), {"unrelated": 1}])));
    let extractor = builder(&model).with_unresolved(Unresolved::DropItems).build().unwrap();
    let answer = extractor.extract(SOURCE).await.unwrap();
    assert_eq!(answer.value.len(), 1);
}

#[tokio::test]
async fn a_model_that_does_not_answer_in_time_is_given_up_even_if_it_ignores_its_deadline() {
    let model = ScriptedModel::always(Reply::hang());
    let extractor = builder(&model).with_call_timeout(Duration::from_secs(30)).build().unwrap();
    let error = extractor.extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Timeout, Retry::Now));
    assert!(error.attempts()[0].usage_estimated && error.usage().prompt_tokens > 0);

    // this one sleeps on another clock than the extractor's: only the extractor's own watch can end it
    let clock = ManualClock::new();
    let deaf = ScriptedModel::always(Reply::text("late").with_delay(Duration::from_mins(10)))
        .with_clock(ManualClock::new());
    let extractor =
        builder(&deaf).with_clock(clock.clone()).with_call_timeout(Duration::from_secs(30)).build().unwrap();
    let extraction = extractor.extract(SOURCE);
    tokio::pin!(extraction);
    assert!((&mut extraction).now_or_never().is_none());
    clock.advance(Duration::from_secs(30));
    let error = extraction.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.attempts()[0].elapsed, Duration::from_secs(30));
    assert_eq!(deaf.cancelled_calls(), 1, "the call was dropped");
}

#[tokio::test]
async fn refusals_are_told_from_bad_answers_in_both_languages_and_not_asked_again() {
    for answer in ["I'm sorry, I can't help with that.", "죄송하지만 이 요청은 도와드릴 수 없습니다."]
    {
        let model = ScriptedModel::always(raw(answer));
        let error = fail(&model).await;
        assert_eq!(
            (error.kind(), error.retry(), model.calls()),
            (Kind::Refused, Retry::Never, 1),
            "{answer}"
        );
        assert_eq!(error.usage().total_tokens(), 110);
    }
    let filtered = ScriptedModel::always(raw("").with_finish_reason(FinishReason::ContentFilter));
    let error = fail(&filtered).await;
    assert_eq!((error.kind(), filtered.calls()), (Kind::Refused, 1));
}

#[tokio::test]
async fn an_error_body_under_status_200_is_no_value() {
    let model =
        ScriptedModel::always(raw(r#"{"error": {"message": "CUDA out of memory", "type": "server_error"}}"#));
    let error = fail(&model).await;
    assert_eq!((error.kind(), model.calls()), (Kind::Protocol, 1));
    assert!(!format!("{error:?} {error}").contains("CUDA"), "an answer's text is not repeated");
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_no_empty_list() {
    for body in [
        r#"{"message": "Model is loading", "estimated_time": 20.0, "warnings": []}"#,
        r#"{"choices": []}"#,
        r#"{"errors": []}"#,
        r#"{"data": [], "status": "error"}"#,
        r#"{"detail": [{"loc": ["body"], "msg": "field required"}]}"#,
        r#"{"content": "1. 달리기", "tool_calls": []}"#,
        r#"{"items": [], "error": "could not process"}"#,
        r#"{"items": [], "refusal": "I cannot help"}"#,
        "null",
    ] {
        let model = ScriptedModel::always(raw(body));
        let result = builder(&model).build().unwrap().extract(SOURCE).await;
        let error = result.err().map(|error| error.kind());
        let kinds = [Kind::Protocol, Kind::Refused, Kind::OffSchema];
        assert!(error.is_some_and(|kind| kinds.contains(&kind)), "{body}: {error:?}");
    }
    for body in [
        r#"{"items": []}"#,
        "[]",
        r#"{"result": {"items": []}}"#,
        r#"{"items": [], "error": null}"#,
        r#"{"items": [], "note": "The post names no task."}"#,
        r#"{"items": [], "errors": []}"#,
        "The post names none:\n```json\n{\"items\": []}\n```",
    ] {
        let model = ScriptedModel::always(raw(body));
        let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
        assert_eq!((found.value.len(), model.calls()), (0, 1), "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_a_loop() {
    let text =
        format!("{{\"items\": [{}", "{\"title\": \"달리기\", \"quote\": \"달렸습니다\"}, ".repeat(200));
    let model = ScriptedModel::always(raw(text).with_finish_reason(FinishReason::Length));
    let error = fail(&model).await;
    assert_eq!(error.kind(), Kind::Looping);
    assert_eq!((model.calls(), error.retry()), (2, Retry::Never), "the same loop again ends the asking");
    assert!(question(&model, 1).contains("repeated itself"));
}

#[tokio::test]
async fn a_loop_is_cut_short_while_it_is_streamed() {
    let item = "{\"title\": \"달리기\", \"quote\": \"매일 아침 30분씩 달렸습니다\"}, ";
    let endless = || {
        let chunks = std::iter::once("{\"items\": [").chain(std::iter::repeat_n(item, 5_000));
        Reply::chunks(chunks).with_finish_reason(FinishReason::Length)
    };
    let model = ScriptedModel::new([endless(), reply(json!([run()]))]);
    let found = builder(&model).with_loop_guard().build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), model.calls(), model.cancelled_calls()), (1, 2, 1));
    let first = &found.attempts[0];
    assert!(matches!(first.outcome, AttemptOutcome::Rejected { reason: Kind::Looping, .. }), "{first:?}");
    assert!(first.usage_estimated && first.usage.completion_tokens < 5_000, "{:?}", first.usage);

    let broken = ScriptedModel::always(Reply::chunks(["{\"items\"", ": ["]).cut(CoreKind::Unavailable));
    let error = builder(&broken).with_loop_guard().build().unwrap().extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (Kind::Unavailable, Retry::Now));
}

#[tokio::test]
async fn a_year_of_equal_values_is_an_answer_and_no_loop() {
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    struct Year {
        done: Vec<bool>,
    }
    let answer = json!({"done": vec![false; 365]}).to_string();
    let model = ScriptedModel::always(
        Reply::in_pieces(&answer, std::num::NonZeroUsize::new(16).unwrap())
            .with_usage(Usage::new(100, 1_000)),
    );
    let extractor = Extractor::<Year>::builder(model.clone())
        .with_instructions("On which days of the year was it done?")
        .with_loop_guard()
        .build()
        .unwrap();
    let found = extractor.extract(SOURCE).await.unwrap();
    assert_eq!((found.value.done.len(), model.calls(), found.usage.completion_tokens), (365, 1, 1_000));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_whatever_the_server_says() {
    let whole = reply(json!([run(), swim()]));
    for cut in [
        r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다", "minutes": 30}, {"title": "수영", "quote": "주말에는 수"#,
        r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다", "minutes": 3"#,
        r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다", "minutes": 30},"#,
    ] {
        let model = ScriptedModel::new([raw(cut), whole.clone()]);
        let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
        assert_eq!((found.value.len(), model.calls()), (2, 2), "{cut}");
        assert!(question(&model, 1).contains("cut off"));
        let always = ScriptedModel::always(raw(cut));
        match builder(&always).build().unwrap().extract(SOURCE).await {
            Ok(found) => {
                assert_eq!((found.value.len(), found.rejected[0].kind), (1, Kind::Truncated), "{cut}");
            }
            Err(error) => assert_eq!(error.kind(), Kind::Truncated, "{cut}"),
        }
    }
    // a bracket alone that a fence or a sentence follows was forgotten, not cut
    let forgotten = format!("```json\n{{\"items\": [{}}}\n```", run());
    let model = ScriptedModel::new([raw(forgotten)]);
    assert_eq!(builder(&model).build().unwrap().extract(SOURCE).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn a_second_answer_that_breaks_off_is_not_taken() {
    let bad = json!({"title": "수영", "quote": "바다에서 헤엄쳤다", "minutes": 20});
    for (reason, again) in [
        (FinishReason::Length, r#"{"1": "주말에는 수"#),
        (FinishReason::Stop, r#"{"1": "주말에는 수"#),
        (FinishReason::Length, r#"{"1": "주말에는 수영을 했어요"}"#),
    ] {
        let model = ScriptedModel::new([
            reply(json!([run(), bad])),
            raw(again).with_finish_reason(reason),
            raw(r#"{"1": "주말에는 수영을 했어요"}"#),
        ]);
        let extractor = builder(&model).with_grounding(Grounding::Require).build().unwrap();
        let found = extractor.extract(SOURCE).await.unwrap();
        assert_eq!(found.value[1].quote, "주말에는 수영을 했어요", "{again}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_is_never_taken_for_whole() {
    let cut = r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다", "minutes": 30}, {"title": "수"#;
    let model = ScriptedModel::new([
        raw(cut).with_finish_reason(FinishReason::Length),
        reply(json!([run(), swim()])),
    ]);
    let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), model.calls()), (2, 2));
    assert!(question(&model, 1).contains("cut off"));
    assert!(matches!(found.attempts[0].outcome, AttemptOutcome::Rejected { reason: Kind::Truncated, .. }));

    // whatever is asked, the answer is cut: what stands whole before the cut is kept, and the cut is told
    let always = ScriptedModel::always(raw(cut).with_finish_reason(FinishReason::Length));
    let found = builder(&always).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(found.value, [serde_json::from_value::<Step>(run()).unwrap()]);
    let rejected: Vec<_> =
        found.rejected.iter().map(|failure| (failure.path.as_str(), failure.kind)).collect();
    assert_eq!(rejected, [("/1", Kind::Truncated)]);
    assert!(found.confidence < 0.8, "{}", found.confidence);
    // an item whose text was cut is not whole, though its fields are all there
    let inside = r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다"}, {"title": "수영", "quote": "주말에는 수영"#;
    let between = r#"{"items": [{"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다"},"#;
    for cut in [inside, between] {
        let model = ScriptedModel::always(raw(cut).with_finish_reason(FinishReason::Length));
        let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
        assert_eq!((found.value.len(), found.rejected[0].kind), (1, Kind::Truncated), "{cut}");
    }
    // nothing is whole, or nothing may be left out
    let nothing =
        ScriptedModel::always(raw(r#"{"items": [{"title": "수"#).with_finish_reason(FinishReason::Length));
    assert_eq!(fail(&nothing).await.kind(), Kind::Truncated);
    let strict = builder(&always).with_unresolved(Unresolved::Fail).build().unwrap();
    assert_eq!(strict.extract(SOURCE).await.unwrap_err().kind(), Kind::Truncated);
}

#[tokio::test]
async fn an_answer_has_a_limit_though_nobody_set_one() {
    let model = ScriptedModel::always(reply(json!([run()])));
    builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(model.requests()[0].max_tokens, Some(8_192));
    builder(&model).with_max_answer_tokens(20_000).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(model.requests()[1].max_tokens, Some(20_000));
    let mut capabilities = ModelCapabilities::FULL;
    capabilities.context_tokens = Some(4_096);
    let small = ScriptedModel::always(reply(json!([run()]))).with_capabilities(capabilities);
    builder(&small).build().unwrap().extract(SOURCE).await.unwrap();
    assert!(small.requests()[0].max_tokens.is_some_and(|most| most < 4_096 && most > 1_000));
}

#[tokio::test]
async fn hostile_answers_end_in_an_error_with_books() {
    for answer in [
        "[".repeat(100_000),
        "{\"items\":".repeat(50_000),
        "\u{0}\u{1}\u{2}".repeat(1000),
        "no json here, only talk about the weather".to_owned(),
        "null".to_owned(),
        String::new(),
        "{\"items\": 17}".to_owned(),
    ] {
        let model = ScriptedModel::always(raw(answer.clone()));
        let result = builder(&model).with_reasks(1).build().unwrap().extract(SOURCE).await;
        let head: String = answer.chars().take(20).collect();
        match result {
            Err(error) => {
                assert_eq!(
                    error.usage().total_tokens(),
                    110 * u64::try_from(model.calls()).unwrap(),
                    "{head}"
                );
                assert!(
                    matches!(error.kind(), Kind::OffSchema | Kind::Truncated | Kind::Looping),
                    "{head}: {error:?}"
                );
            }
            // "null" for a list is no list: said by the report, and by the confidence
            Ok(found) => assert!(found.value.is_empty() && found.confidence < 0.6, "{head}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_in_another_language_is_asked_for_again_by_place() {
    let english =
        json!([{"title": "Run thirty minutes every morning", "quote": "매일 아침 30분씩 달렸습니다"}]);
    let model = ScriptedModel::new([reply(english.clone()), raw(r#"{"1": "매일 아침 삼십 분씩 달리기"}"#)]);
    let extractor =
        |model: &ScriptedModel| builder(model).with_answer_language(AnswerLanguage::Korean).build().unwrap();
    let found = extractor(&model).extract(SOURCE).await.unwrap();
    assert_eq!(found.value[0].title, "매일 아침 삼십 분씩 달리기");
    let again = question(&model, 1);
    assert!(again.contains("/0/title") && again.contains("Korean"), "{again}");

    let stubborn = ScriptedModel::always(reply(english));
    let extractor = builder(&stubborn)
        .with_answer_language(AnswerLanguage::Korean)
        .with_unresolved(Unresolved::Fail)
        .build()
        .unwrap();
    let error = extractor.extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), error.failures()[0].path.as_str()), (Kind::WrongLanguage, "/0/title"));
}

#[tokio::test]
async fn neither_errors_nor_debug_repeat_a_text() {
    let secret = "비밀번호는 호랑이";
    let answer = json!([{"title": secret, "quote": secret, "minutes": "too many 호랑이"}]);
    for reply in [reply(answer), raw(secret), raw(format!("{{\"{secret}\": 1}}"))] {
        let model = ScriptedModel::always(reply);
        let extractor = builder(&model)
            .with_grounding(Grounding::Require)
            .with_unresolved(Unresolved::Fail)
            .with_instructions("호랑이를 찾아라")
            .build()
            .unwrap();
        let error = extractor.extract("호랑이가 나오는 글").await.unwrap_err();
        let mut shown =
            format!("{error} {error:?} {:?} {extractor:?} {:?}", error.attempts(), error.failures());
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            write!(shown, "{inner} {inner:?}").unwrap();
            source = inner.source();
        }
        assert!(!shown.contains("호랑이"), "{shown}");
    }
}

#[tokio::test]
async fn a_list_whose_wrapper_is_missing_or_named_otherwise_is_read_at_once() {
    for answer in
        [json!([run(), swim()]), json!({"steps": [run(), swim()]}), json!([run()]), json!({"steps": []})]
    {
        let model = ScriptedModel::new([raw(answer.to_string())]);
        let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
        let expected = answer.get("steps").unwrap_or(&answer).as_array().unwrap().len();
        assert_eq!((found.value.len(), model.calls()), (expected, 1), "{answer}");
    }
}
