//! Seeing an answer while it is written.

use std::num::NonZeroUsize;

use pumasi_core::model::FinishReason;

use super::*;
use crate::extract::Sighting;

fn pieces(text: &str) -> Reply {
    Reply::in_pieces(text, NonZeroUsize::new(3).unwrap()).with_usage(Usage::new(100, 10))
}

async fn watch(
    model: &ScriptedModel,
) -> (Vec<Sighting>, crate::extract::Result<crate::extract::Extraction<Vec<Step>>>) {
    let mut seen = Vec::new();
    let extractor = builder(model).build().unwrap();
    let found = extractor.extract_watched(SOURCE, &mut |sighting| seen.push(sighting)).await;
    (seen, found)
}

#[tokio::test]
async fn items_are_seen_in_order_before_the_answer_ends_and_the_value_is_the_same() {
    let answer = json!({"items": [run(), swim()]}).to_string();
    let model = ScriptedModel::always(pieces(&answer));
    let (seen, found) = watch(&model).await;
    let items: Vec<_> = seen
        .iter()
        .filter_map(|sighting| match sighting {
            Sighting::Part { path, value, chunk: None } if path.matches('/').count() == 1 => {
                Some((path.as_str(), value))
            }
            _ => None,
        })
        .collect();
    assert_eq!(items, [("/0", &run()), ("/1", &swim())]);
    let plain = builder(&model).build().unwrap().extract(SOURCE).await.unwrap();
    let found = found.unwrap();
    assert_eq!((found.value, found.usage), (plain.value, plain.usage));
    assert!(!format!("{seen:?}").contains("달리기"), "Debug shows places only");
}

#[tokio::test]
async fn a_draft_is_withdrawn_when_another_answer_follows() {
    let draft = json!({"items": [swim()]});
    let answer = format!("Here is a first draft:\n{draft}\n\nFinal answer:\n{}", json!({"items": [run()]}));
    let (seen, found) = watch(&ScriptedModel::always(pieces(&answer))).await;
    assert!(seen.iter().any(|sighting| matches!(sighting, Sighting::Withdrawn { .. })), "{seen:?}");
    assert_eq!(found.unwrap().value, [serde_json::from_value::<Step>(run()).unwrap()]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_fails_with_its_books_though_parts_were_seen() {
    let broken = Reply::chunks([json!({"items": [run()]}).to_string().trim_end_matches("]}")])
        .cut(pumasi_core::ErrorKind::Unavailable)
        .with_usage(Usage::new(100, 7));
    let (seen, found) = watch(&ScriptedModel::always(broken)).await;
    assert!(!seen.is_empty());
    let error = found.unwrap_err();
    assert_eq!((error.kind(), error.usage().total_tokens()), (Kind::Unavailable, 107));
}

#[tokio::test]
async fn what_came_before_a_stream_broke_off_is_estimated_where_the_server_did_not_count_it() {
    let words = || Reply::chunks((0..500).map(|word| format!("word {word}, ")));
    for (reply, kind) in [
        (words().cut(pumasi_core::ErrorKind::Unavailable), Kind::Unavailable),
        (words().stall(), Kind::Timeout),
        (words().with_finish_reason(FinishReason::Other("unfinished".to_owned())), Kind::Unavailable),
    ] {
        let (_, found) = watch(&ScriptedModel::always(reply)).await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), kind);
        let attempt = &error.attempts()[0];
        assert!(attempt.usage_estimated, "{kind}");
        assert!(
            attempt.usage.prompt_tokens > 100 && attempt.usage.completion_tokens >= 500,
            "{:?}",
            attempt.usage
        );
        assert_eq!(error.usage(), attempt.usage);
    }
    // a server that was never reached read nothing
    let (_, found) = watch(&ScriptedModel::always(Reply::error(pumasi_core::ErrorKind::Unavailable))).await;
    assert_eq!(found.unwrap_err().usage().total_tokens(), 0);
}
