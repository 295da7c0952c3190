//! Quotes: found, missing, leaked, supported.

use super::*;
use crate::extract::{Missing, QuoteFit, Support};

#[tokio::test]
async fn quotes_get_spans_in_bytes_and_characters() {
    let model =
        ScriptedModel::new([reply(json!([run(), {"title": "쉬지 않기", "quote": "I never skiped a week"}]))]);
    let found = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    let [one, two] = found.grounding.quotes.as_slice() else { panic!("{:?}", found.grounding) };
    assert_eq!((one.span.text(SOURCE), one.fit), (Some("매일 아침 30분씩 달렸습니다"), QuoteFit::Exact));
    assert_eq!(two.span.text(SOURCE), Some("I never skipped a week"));
    assert!(matches!(two.fit, QuoteFit::Fuzzy { .. }));
    let chars: String =
        SOURCE.chars().skip(two.span.char_start).take(two.span.char_end - two.span.char_start).collect();
    assert_eq!(chars, "I never skipped a week");
}

#[tokio::test]
async fn report_keeps_what_require_turns_down() {
    let wrong = json!([run(), {"title": "달리기", "quote": "매일 아침 60분씩 달렸습니다"}]);
    let model = ScriptedModel::always(reply(wrong.clone()));
    let found =
        builder(&model).with_grounding(Grounding::Report).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), model.calls()), (2, 1));
    assert_eq!(
        (found.grounding.missing[0].path.as_str(), found.grounding.missing[0].reason),
        ("/1/quote", Missing::NotInSource)
    );
    assert_eq!(found.grounding.share(), Some(0.5));

    let model = ScriptedModel::new([reply(wrong), raw(r#"{"1": "매일 아침 60분씩 달렸습니다"}"#)]);
    let found =
        builder(&model).with_grounding(Grounding::Require).build().unwrap().extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), found.rejected[0].kind), (1, Kind::Ungrounded));
    assert!(question(&model, 1).contains("a number"), "{}", question(&model, 1));
}

#[tokio::test]
async fn text_of_an_example_that_leaks_into_the_answer_is_turned_down() {
    let example =
        Step {
            title: "매일 책 열 쪽 읽기".into(), quote: "자기 전에 열 쪽씩 읽었다".into(), minutes: None
        };
    let source = "자기 전에 열 쪽씩 읽었다. 한 달에 두 권을 마쳤다.";
    let leaked = json!({"title": "매일 책 열 쪽 읽기", "quote": "자기 전에 열 쪽씩 읽었다"});
    let model = ScriptedModel::always(reply(json!([leaked, run()])));
    let extractor = builder(&model)
        .with_example(source, &vec![example])
        .with_grounding(Grounding::Require)
        .build()
        .unwrap();
    let found = extractor.extract(SOURCE).await.unwrap();
    assert_eq!(found.value, [serde_json::from_value::<Step>(run()).unwrap()]);
    assert!(found.rejected.iter().any(|failure| failure.kind == Kind::Leaked), "{:?}", found.rejected);

    // the example's own text is no leak where it is the source
    let model = ScriptedModel::always(reply(
        json!([{"title": "매일 책 열 쪽 읽기", "quote": "자기 전에 열 쪽씩 읽었다"}]),
    ));
    let example =
        Step {
            title: "매일 책 열 쪽 읽기".into(), quote: "자기 전에 열 쪽씩 읽었다".into(), minutes: None
        };
    let extractor = builder(&model)
        .with_example(source, &vec![example])
        .with_grounding(Grounding::Require)
        .build()
        .unwrap();
    assert_eq!(extractor.extract(source).await.unwrap().value.len(), 1);
}

#[tokio::test]
async fn that_a_quote_exists_is_not_that_it_supports() {
    let answer = json!([run(), {"title": "아침 60분 달리기", "quote": "매일 아침 30분씩 달렸습니다"}]);
    let model = ScriptedModel::always(reply(answer));
    let found =
        builder(&model).with_grounding(Grounding::Require).build().unwrap().extract(SOURCE).await.unwrap();
    let verdicts: Vec<_> = found.grounding.quotes.iter().map(|quote| quote.support).collect();
    assert_eq!(verdicts[1], Support::Unsupported, "the quote exists, and says another number");
    assert_ne!(verdicts[0], Support::Unsupported);
    let own = builder(&model).with_support(|_, words| {
        if words.contains("30") { Support::Supported } else { Support::Unsupported }
    });
    let found = own.build().unwrap().extract(SOURCE).await.unwrap();
    assert!(found.grounding.quotes.iter().all(|quote| quote.support == Support::Supported));
}

#[tokio::test]
async fn examples_are_checked_when_the_extractor_is_built() {
    let model = ScriptedModel::new([]);
    let step = |quote: &str| vec![Step { title: "달리기".into(), quote: quote.into(), minutes: None }];
    let ungrounded = builder(&model).with_example("나는 걸었다.", &step("나는 달렸다")).build().unwrap_err();
    assert_eq!(ungrounded.kind(), Kind::InvalidConfig);
    assert!(ungrounded.message().contains("example 1 at /0/quote"), "{ungrounded}");
    let invalid = builder(&model)
        .with_example("나는 달렸다.", &step("나는 달렸다"))
        .with_validator(|_| Err(vec![Violation::at("/0", "nothing at all")]))
        .build()
        .unwrap_err();
    assert!(invalid.message().contains("nothing at all"));
    assert!(builder(&model).with_example("나는 달렸다.", &step("나는 달렸다")).build().is_ok());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_when_the_extractor_is_built() {
    let model = ScriptedModel::new([]);
    let money = Budget::unlimited().with_cost(pumasi_core::model::Cost::from_micros(5));
    for broken in [
        builder(&model).with_name("no spaces please"),
        builder(&model).with_instructions("  "),
        builder(&model).with_budget(money),
    ] {
        assert_eq!(broken.build().unwrap_err().kind(), Kind::InvalidConfig);
    }
}
