//! Asking again only for what failed.

use std::time::Duration;

use pumasi_core::model::{ResponseFormat, ToolCall};
use pumasi_core::{ErrorKind as CoreKind, Retry};

use super::*;

fn at_most_ten(steps: &[Step]) -> crate::extract::Checked {
    let long = steps.iter().enumerate().filter(|(_, step)| step.title.chars().count() > 10);
    let broken: Vec<_> =
        long.map(|(at, _)| Violation::at(format!("/{at}/title"), "at most 10 characters")).collect();
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

#[tokio::test]
async fn a_messy_answer_is_repaired_without_a_further_call() {
    let messy = "Sure! Here it is:\n```json\n{items: [{'title': '달리기', quote: \"매일 아침 30분씩 달렸습니다\", minutes: '30분',},]}\n```";
    let model = ScriptedModel::new([raw(messy)]);
    let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(found.value, [serde_json::from_value::<Step>(run()).unwrap()]);
    assert_eq!(model.calls(), 1);
    assert!(found.repairs().count() > 0 && found.confidence < 1.0);
}

#[tokio::test]
async fn only_the_failing_place_is_asked_for_and_put_back() {
    let bad = json!({"title": "수영", "quote": "주말에는 수영을 했어요", "minutes": 100_000});
    let model = ScriptedModel::new([reply(json!([run(), bad])), raw(r#"{"1": 45}"#)]);
    let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(found.value[1].minutes, Some(45));
    assert_eq!(found.value[0], serde_json::from_value::<Step>(run()).unwrap());
    assert!(found.rejected.is_empty());
    let again = question(&model, 1);
    assert!(again.contains("/1/minutes") && again.contains("100000"), "{again}");
    // what was good is not sent again: the first item stands nowhere but in the source
    assert!(!again.contains("달리기"), "{again}");
    assert_eq!(
        found.attempts.iter().map(|attempt| attempt.kind).collect::<Vec<_>>(),
        [AttemptKind::Ask, AttemptKind::Reask]
    );
    assert_eq!(found.usage.total_tokens(), 220);
    // both questions share their beginning, so that a server can reuse it
    let requests = model.requests();
    assert_eq!(requests[0].messages[0], requests[1].messages[0]);
    let (one, two) = (question(&model, 0), question(&model, 1));
    let end = one.find("</source").unwrap();
    assert_eq!(one[..end], two[..end]);
}

#[tokio::test]
async fn the_schema_of_the_second_question_has_the_failing_places_only() {
    let bad = json!({"title": "수영", "quote": "주말에는 수영을 했어요", "minutes": "알 수 없이 많이"});
    let model = ScriptedModel::new([reply(json!([run(), bad])), raw(r#"{"1": 45}"#)]);
    builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    let ResponseFormat::JsonSchema { schema, strict, .. } = &model.requests()[1].response_format else {
        panic!("asked in another form")
    };
    assert!(*strict);
    assert_eq!(schema["properties"].as_object().unwrap().len(), 1, "{schema}");
}

#[tokio::test]
async fn validators_name_places_that_are_asked_for_again() {
    let long = json!({"title": "아주 길고 긴 제목을 가진 수영", "quote": "주말에는 수영을 했어요"});
    let model = ScriptedModel::new([reply(json!([run(), long])), raw(r#"{"1": "수영"}"#)]);
    let found = builder(&model)
        .with_validator(|steps| at_most_ten(steps))
        .build()
        .unwrap()
        .extract(SOURCE)
        .await
        .unwrap();
    assert_eq!(found.value[1].title, "수영");
    assert!(question(&model, 1).contains("at most 10 characters"));
    let AttemptOutcome::Partial { failures } = &found.attempts[0].outcome else {
        panic!("{:?}", found.attempts)
    };
    assert_eq!((failures[0].path.as_str(), failures[0].kind), ("/1/title", Kind::Invalid));
}

#[tokio::test]
async fn the_same_answer_again_ends_the_asking() {
    let long = json!({"title": "아주 길고 긴 제목을 가진 수영", "quote": "주말에는 수영을 했어요"});
    let model = ScriptedModel::new([
        reply(json!([run(), long])),
        raw(r#"{"1": "아주 길고 긴 제목을 가진 수영"}"#),
        raw("never asked"),
    ]);
    let found = builder(&model)
        .with_reasks(5)
        .with_validator(|steps| at_most_ten(steps))
        .build()
        .unwrap()
        .extract(SOURCE)
        .await
        .unwrap();
    assert_eq!(model.calls(), 2);
    assert_eq!(found.value.len(), 1);
    assert_eq!((found.rejected[0].path.as_str(), found.rejected[0].kind), ("/1/title", Kind::Invalid));
    assert!(found.confidence <= 0.5, "half of the items were left out: {}", found.confidence);

    let model = ScriptedModel::always(raw("prose, and nothing else"));
    let error = builder(&model).with_reasks(5).build().unwrap().extract(SOURCE).await.unwrap_err();
    assert_eq!((model.calls(), error.retry()), (2, pumasi_core::Retry::Never));
}

#[tokio::test]
async fn rounds_are_bounded() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let model = ScriptedModel::answering(move |_| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if n == 0 {
            reply(json!([{"title": "아주 길고 긴 제목을 가진 수영", "quote": "주말에는 수영을 했어요"}]))
        } else {
            raw(format!(r#"{{"1": "여전히 너무나도 길고 긴 제목 {n}"}}"#))
        }
    });
    let extractor = builder(&model)
        .with_reasks(3)
        .with_validator(|steps| at_most_ten(steps))
        .with_unresolved(Unresolved::Fail)
        .build()
        .unwrap();
    let error = extractor.extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), model.calls(), error.attempts().len()), (Kind::Invalid, 4, 4));
    assert!(error.retry().is_retryable());
}

fn too_long() -> serde_json::Value {
    json!({"title": "수영", "quote": "주말에는 수영을 했어요", "minutes": 100_000})
}

#[tokio::test]
async fn a_second_call_that_fails_in_passing_does_not_give_up_what_it_was_to_mend() {
    let later = Retry::After(Duration::from_secs(20));
    for (second, kind, retry) in [
        (Reply::error(CoreKind::RateLimited).with_retry(later), Kind::RateLimited, later),
        (Reply::hang(), Kind::Timeout, Retry::Now),
        (Reply::error(CoreKind::CircuitOpen), Kind::Overloaded, Retry::Now),
        // a retrying model has tried often enough: that is no reason to lose the item either
        (Reply::error(CoreKind::Unavailable).with_retry(Retry::Never), Kind::Unavailable, Retry::Never),
        (Reply::error(CoreKind::Unauthorized), Kind::Unauthorized, Retry::Never),
    ] {
        let model = ScriptedModel::new([reply(json!([run(), too_long()])), second]);
        let error = builder(&model).build().unwrap().extract(SOURCE).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry));
        let places: Vec<_> = error.failures().iter().map(|failure| failure.path.as_str()).collect();
        assert_eq!(places, ["/1/minutes"], "{kind}");
        assert!(error.usage().total_tokens() >= 110, "{kind}");
        let [first, second] = error.attempts() else { panic!("{:?}", error.attempts()) };
        assert!(matches!(first.outcome, AttemptOutcome::Partial { .. }), "{first:?}");
        assert_eq!(second.outcome, AttemptOutcome::Failed { reason: kind });
    }
}

#[tokio::test]
async fn what_every_further_run_would_meet_leaves_items_out_and_says_that_they_are_missing() {
    for (second, kind) in
        [(CoreKind::Refused, Kind::Refused), (CoreKind::ContextTooLong, Kind::ContextTooLong)]
    {
        let model = ScriptedModel::new([reply(json!([run(), too_long()])), Reply::error(second)]);
        let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
        assert_eq!((found.value.len(), found.incomplete), (1, Some(kind)));
        assert_eq!(found.rejected[0].path, "/1/minutes");
        assert_eq!(found.attempts[1].outcome, AttemptOutcome::Failed { reason: kind });
    }
}

#[tokio::test]
async fn the_model_may_take_an_item_back() {
    let made_up = json!({"title": "등산", "quote": "산에 자주 올랐다"});
    let model = ScriptedModel::new([reply(json!([made_up, run()])), raw(r#"{"1": null}"#)]);
    let found =
        builder(&model).with_grounding(Grounding::Require).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!(found.value, [serde_json::from_value::<Step>(run()).unwrap()]);
    assert_eq!((found.rejected[0].path.as_str(), found.rejected[0].kind), ("/0", Kind::Ungrounded));
    assert_eq!(found.grounding.quotes[0].path, "/0/quote");
}

#[tokio::test]
async fn a_missing_field_outside_of_lists_is_asked_for_and_else_fails() {
    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    struct Story {
        goal: String,
        months: u32,
    }
    let build = |model: &ScriptedModel| {
        Extractor::<Story>::builder(model.clone()).with_instructions("Extract the story.").build().unwrap()
    };
    let model = ScriptedModel::new([raw(r#"{"goal": "10km"}"#), raw(r#"{"1": 3}"#)]);
    let found = build(&model).extract(SOURCE).await.unwrap();
    assert_eq!((found.value.goal.as_str(), found.value.months), ("10km", 3));
    assert!(!question(&model, 1).contains("10km"), "the good part is not sent again");

    let model = ScriptedModel::always(raw(r#"{"goal": "10km"}"#));
    let error = build(&model).extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), error.failures()[0].path.as_str()), (Kind::OffSchema, "/months"));
}

#[tokio::test]
async fn a_server_that_refuses_a_form_is_asked_in_the_next_and_not_bothered_again() {
    let model = ScriptedModel::answering(|request| match &request.response_format {
        ResponseFormat::JsonSchema { .. } => Reply::error(CoreKind::InvalidInput),
        _ if request.tools.is_empty() => Reply::error(CoreKind::Unsupported),
        _ => Reply::tool_calls([ToolCall::new("1", "submit", json!({"items": [run()]}).to_string())]),
    });
    let extractor =
        Extractor::<Vec<Step>>::builder(model.clone()).with_instructions("Extract.").build().unwrap();
    let found = extractor.extract(SOURCE).await.unwrap();
    assert_eq!(found.value.len(), 1);
    assert_eq!(
        found.attempts.iter().map(|attempt| attempt.mode).collect::<Vec<_>>(),
        [AskMode::JsonSchema, AskMode::ToolCall]
    );
    extractor.extract(SOURCE).await.unwrap();
    assert_eq!(model.calls(), 3);
}

#[tokio::test]
async fn a_server_that_refuses_every_form_is_unsupported_and_asked_anew_next_time() {
    let model = ScriptedModel::always(Reply::error(CoreKind::InvalidInput));
    let extractor =
        Extractor::<Vec<Step>>::builder(model.clone()).with_instructions("Extract.").build().unwrap();
    for calls in [4, 8] {
        let error = extractor.extract(SOURCE).await.unwrap_err();
        assert_eq!((error.kind(), model.calls(), error.attempts().len()), (Kind::Unsupported, calls, 4));
    }
}

#[tokio::test]
async fn a_text_model_is_asked_in_words_and_may_leave_the_wrapper_out() {
    let model = ScriptedModel::new([raw(format!("```\n{}\n```", json!([run(), swim()])))])
        .with_capabilities(ModelCapabilities::TEXT);
    let extractor =
        Extractor::<Vec<Step>>::builder(model.clone()).with_instructions("Extract.").build().unwrap();
    let found = extractor.extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), found.attempts[0].mode), (2, AskMode::Text));
    assert!(question(&model, 0).contains("minutes"));
}
