//! Budgets and the cache.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use pumasi_core::cache::{Cache, MemoryCache};
use pumasi_core::model::{Cost, Price};
use pumasi_core::time::ManualClock;

use super::*;

fn long_title() -> serde_json::Value {
    json!({"title": "아주 길고 긴 제목을 가진 수영", "quote": "주말에는 수영을 했어요"})
}

fn short_titles(steps: &[Step]) -> crate::extract::Checked {
    let long = steps.iter().position(|step| step.title.chars().count() > 10);
    long.map_or(Ok(()), |at| Err(vec![Violation::at(format!("/{at}/title"), "at most 10 characters")]))
}

#[tokio::test]
async fn a_budget_of_calls_ends_the_asking_and_keeps_what_is_good() {
    let model = ScriptedModel::always(reply(json!([run(), long_title()])));
    let build = |unresolved| {
        builder(&model)
            .with_validator(|steps| short_titles(steps))
            .with_unresolved(unresolved)
            .with_budget(Budget::unlimited().with_calls(1))
            .build()
            .unwrap()
    };
    let found = build(Unresolved::DropItems).extract(SOURCE).await.unwrap();
    assert_eq!((found.value.len(), found.rejected.len(), model.calls()), (1, 1, 1));
    assert_eq!(found.incomplete, Some(Kind::BudgetExhausted));
    assert!(matches!(found.attempts[0].outcome, AttemptOutcome::Partial { .. }), "{:?}", found.attempts);
    let error = build(Unresolved::Fail).extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), error.usage().total_tokens()), (Kind::BudgetExhausted, 110));
}

#[tokio::test]
async fn a_call_that_cannot_be_paid_for_is_not_made() {
    let model = ScriptedModel::always(reply(json!([run()])));
    let tokens = builder(&model).with_budget(Budget::unlimited().with_tokens(200)).build().unwrap();
    let error = tokens.extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), model.calls()), (Kind::BudgetExhausted, 0));
    let money = builder(&model)
        .with_price(Price::new(1_000_000, 4_000_000))
        .with_budget(Budget::unlimited().with_cost(Cost::from_micros(100)))
        .build()
        .unwrap();
    let error = money.extract(SOURCE).await.unwrap_err();
    assert_eq!((error.kind(), model.calls()), (Kind::BudgetExhausted, 0));
}

#[tokio::test]
async fn an_answer_is_capped_by_what_is_left() {
    let model = ScriptedModel::always(reply(json!([run()])));
    let extractor = builder(&model).with_budget(Budget::unlimited().with_tokens(3_000)).build().unwrap();
    let found = extractor.extract(SOURCE).await.unwrap();
    let most = model.requests()[0].max_tokens.unwrap();
    assert!((1_000..3_000).contains(&most), "{most}");
    assert_eq!(found.cost, None);
    let priced = builder(&model).with_price(Price::new(1_000_000, 4_000_000)).build().unwrap();
    assert_eq!(priced.extract(SOURCE).await.unwrap().cost, Some(Cost::from_micros(140)));
}

#[tokio::test]
async fn time_runs_out_in_the_middle_of_a_call() {
    let clock = ManualClock::new();
    let model = ScriptedModel::always(Reply::hang()).with_clock(clock.clone());
    let extractor = builder(&model)
        .with_clock(clock.clone())
        .with_budget(Budget::unlimited().with_time(Duration::from_secs(5)))
        .build()
        .unwrap();
    let extraction = extractor.extract(SOURCE);
    tokio::pin!(extraction);
    assert!((&mut extraction).now_or_never().is_none());
    clock.advance(Duration::from_secs(5));
    let error = extraction.await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::BudgetExhausted, 1));
}

#[tokio::test]
async fn equal_questions_are_answered_out_of_the_cache() {
    let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(1 << 20));
    let model = ScriptedModel::always(reply(json!([run()])));
    let build = |instructions: &str| {
        builder(&model)
            .with_instructions(instructions)
            .with_cache(Arc::clone(&cache), Duration::from_mins(1))
            .with_grounding(Grounding::Require)
            .build()
            .unwrap()
    };
    let first = build("Extract the steps.").extract(SOURCE).await.unwrap();
    let again = build("Extract the steps.").extract(SOURCE).await.unwrap();
    assert_eq!(model.calls(), 1);
    assert_eq!((&again.value, &again.grounding), (&first.value, &first.grounding));
    assert_eq!((again.attempts[0].kind, again.usage.total_tokens()), (AttemptKind::Cached, 0));
    assert!(again.is_offline());
    build("Extract the steps, please.").extract(SOURCE).await.unwrap();
    build("Extract the steps.").extract(&format!("{SOURCE} 끝.")).await.unwrap();
    assert_eq!(model.calls(), 3, "another question and another text are asked");
}

#[tokio::test]
async fn failures_and_partial_values_are_never_cached() {
    let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(1 << 20));
    let model = ScriptedModel::new([
        raw("I'm sorry, I can't."),
        reply(json!([run(), long_title()])),
        raw("{}"),
        raw("{}"),
        reply(json!([run(), swim()])),
    ]);
    let extractor = builder(&model)
        .with_validator(|steps| short_titles(steps))
        .with_cache(Arc::clone(&cache), Duration::from_mins(1))
        .build()
        .unwrap();
    assert_eq!(extractor.extract(SOURCE).await.unwrap_err().kind(), Kind::Refused);
    assert_eq!(extractor.extract(SOURCE).await.unwrap().value.len(), 1);
    let found = extractor.extract(SOURCE).await.unwrap();
    assert_eq!(found.value.len(), 2, "{found:?}");
    let calls = model.calls();
    assert_eq!(extractor.extract(SOURCE).await.unwrap().value.len(), 2);
    assert_eq!(model.calls(), calls);
}

#[tokio::test]
async fn a_broken_cache_costs_a_call_and_not_the_extraction() {
    #[derive(Debug)]
    struct Down;
    #[async_trait::async_trait]
    impl Cache for Down {
        async fn get(&self, _: &str) -> pumasi_core::Result<Option<Arc<[u8]>>> {
            Err(pumasi_core::Error::new(pumasi_core::ErrorKind::Unavailable, "down"))
        }
        async fn set(&self, _: &str, _: Arc<[u8]>, _: Duration) -> pumasi_core::Result<()> {
            Err(pumasi_core::Error::new(pumasi_core::ErrorKind::Unavailable, "down"))
        }
        async fn set_if_absent(&self, _: &str, _: Arc<[u8]>, _: Duration) -> pumasi_core::Result<bool> {
            Ok(false)
        }
        async fn delete(&self, _: &str) -> pumasi_core::Result<bool> {
            Ok(false)
        }
    }
    let model = ScriptedModel::always(reply(json!([run()])));
    let extractor = builder(&model).with_cache(Arc::new(Down), Duration::from_mins(1)).build().unwrap();
    assert_eq!(extractor.extract(SOURCE).await.unwrap().value.len(), 1);
}
