//! Sources that are longer than one question.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use pumasi_core::time::ManualClock;

use super::*;
use crate::extract::{Chunking, TokenMeter};
use pumasi_core::model::{ChatRequest, FinishReason};

fn diary(days: usize) -> String {
    (1..=days).fold(String::new(), |text, day| text + &format!("{day}일째에는 {}km를 달렸습니다. ", day * 2))
}

/// Finds the sentences that the fenced source of a question holds, as a model would.
fn sentences_of(request: &ChatRequest) -> Vec<String> {
    let text = &request.messages.last().unwrap().content;
    let inside = text.split("\">\n").nth(1).unwrap().split("\n</source").next().unwrap();
    inside
        .split_inclusive("달렸습니다.")
        .map(|part| part.trim().to_owned())
        .filter(|part| part.ends_with("달렸습니다."))
        .collect()
}

fn answer(request: &ChatRequest) -> Reply {
    let steps: Vec<_> =
        sentences_of(request).iter().map(|quote| json!({"title": quote, "quote": quote})).collect();
    reply(json!(steps))
}

fn meter() -> TokenMeter {
    TokenMeter::new(|text| text.chars().count() as u64)
}

#[tokio::test]
async fn parts_are_joined_in_order_without_the_overlap_and_with_spans_of_the_whole() {
    let source = diary(40);
    let open = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&open);
    let model = ScriptedModel::answering(move |request| {
        seen.fetch_add(1, Ordering::SeqCst);
        answer(request)
    });
    let extractor = builder(&model)
        .with_token_meter(meter())
        .with_chunks(Chunking::new(200).with_overlap(40), |step: &Step| step.title.clone())
        .with_concurrency(NonZeroUsize::new(3).unwrap())
        .with_grounding(Grounding::Require)
        .build()
        .unwrap();
    let found = extractor.extract(&source).await.unwrap();
    assert!(model.calls() > 3);
    assert_eq!(found.value.len(), 40);
    for (day, step) in found.value.iter().enumerate() {
        let quote = found.grounding.at(&format!("/{day}/quote")).unwrap();
        assert!(step.title.starts_with(&format!("{}일째", day + 1)), "{day}: {}", step.title);
        assert_eq!(quote.span.text(&source), Some(step.quote.as_str()));
        let chars: String = source
            .chars()
            .skip(quote.span.char_start)
            .take(quote.span.char_end - quote.span.char_start)
            .collect();
        assert_eq!(chars, step.quote);
    }
    let parts: Vec<_> = found.attempts.iter().filter_map(|attempt| attempt.chunk).collect();
    assert_eq!(parts.len(), model.calls());
    assert!(question(&model, 0).contains("part 1 of"));
    // the parts overlap: some sentence was asked about twice
    let asked: usize = model.requests().iter().map(|request| sentences_of(request).len()).sum();
    assert!(asked > 40, "{asked}");
}

#[tokio::test]
async fn a_part_whose_answer_is_cut_is_cut_in_two() {
    let source = diary(16);
    let model = ScriptedModel::answering(|request| {
        let sentences = sentences_of(request).len();
        if sentences > 4 { answer(request).with_finish_reason(FinishReason::Length) } else { answer(request) }
    });
    let extractor = builder(&model)
        .with_token_meter(meter())
        .with_chunks(Chunking::new(100_000), |step: &Step| step.title.clone())
        .build()
        .unwrap();
    let found = extractor.extract(&source).await.unwrap();
    assert_eq!(found.value.len(), 16);
    assert!(
        found
            .grounding
            .quotes
            .iter()
            .all(|quote| quote.span.text(&source).is_some_and(|text| text.ends_with("달렸습니다.")))
    );
}

#[tokio::test]
async fn a_part_that_fails_fails_the_whole_with_all_books() {
    let source = diary(40);
    let model = ScriptedModel::answering(|request| {
        if question_has(request, "39일째") { raw("I'm sorry, I can't.") } else { answer(request) }
    });
    let extractor = builder(&model)
        .with_token_meter(meter())
        .with_chunks(Chunking::new(200), |step: &Step| step.title.clone())
        .build()
        .unwrap();
    let error = extractor.extract(&source).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.attempts().len() > 1 && error.usage().total_tokens() >= 220);
}

#[tokio::test]
async fn parts_that_are_dropped_because_another_failed_stand_in_the_books() {
    let clock = ManualClock::new();
    let model = ScriptedModel::answering(|request| {
        if question_has(request, "part 1 of") {
            raw("I'm sorry, I can't.").with_delay(Duration::from_secs(1))
        } else {
            Reply::hang()
        }
    })
    .with_clock(clock.clone());
    let extractor = builder(&model)
        .with_token_meter(meter())
        .with_chunks(Chunking::new(200), |step: &Step| step.title.clone())
        .with_concurrency(NonZeroUsize::new(3).unwrap())
        .build()
        .unwrap();
    let source = diary(40);
    let extraction = extractor.extract(&source);
    tokio::pin!(extraction);
    assert!((&mut extraction).now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    let error = extraction.await.unwrap_err();
    assert_eq!((error.kind(), model.cancelled_calls()), (Kind::Refused, 2));
    assert_eq!((model.calls(), error.attempts().len()), (3, 3));
    for dropped in error.attempts().iter().filter(|attempt| attempt.chunk != Some(0)) {
        assert_eq!(dropped.outcome, AttemptOutcome::Failed { reason: Kind::Cancelled });
        assert!(dropped.usage_estimated && dropped.usage.prompt_tokens > 200, "{:?}", dropped.usage);
    }
}

fn question_has(request: &ChatRequest, text: &str) -> bool {
    request.messages.last().unwrap().content.contains(text)
}

#[tokio::test]
async fn a_context_that_is_too_small_is_noticed_before_anything_is_sent() {
    let model = ScriptedModel::always(reply(json!([])))
        .with_capabilities(ModelCapabilities::FULL.with_context_tokens(900));
    let extractor = builder(&model).build().unwrap();
    let error = extractor.extract(&diary(400)).await.unwrap_err();
    assert_eq!((error.kind(), model.calls()), (Kind::ContextTooLong, 0));
    // with chunks, the source is cut until its parts fit
    let model =
        ScriptedModel::answering(answer).with_capabilities(ModelCapabilities::FULL.with_context_tokens(2600));
    let extractor = builder(&model)
        .with_token_meter(meter())
        .with_chunks(Chunking::new(5_000), |step: &Step| step.title.clone())
        .build()
        .unwrap();
    assert_eq!(extractor.extract(&diary(100)).await.unwrap().value.len(), 100);
}

#[test]
fn cutting_covers_the_source_at_sentences_and_never_exceeds_the_limit() {
    let counter = TokenMeter::estimate();
    let endless = "가나다라".repeat(3_000);
    let words = "word ".repeat(4_000);
    for text in [diary(100).as_str(), &endless, &words, "짧다.", "", "\n\n\n"] {
        for most in [1_u64, 7, 50, 400] {
            if most < 50 && text.len() > 4_000 {
                continue;
            }
            let parts = Chunking::new(most).with_overlap(most / 4).cut(text, &counter);
            assert_eq!((parts.first().unwrap().start, parts.last().unwrap().end), (0, text.len()));
            for pair in parts.windows(2) {
                assert!(
                    pair[1].start <= pair[0].end
                        && pair[1].start > pair[0].start
                        && pair[1].end > pair[0].end
                );
            }
            for part in &parts {
                let part = &text[part.clone()];
                assert!(
                    counter.count(part) <= most || part.chars().count() == 1,
                    "{most}: {}",
                    counter.count(part)
                );
            }
        }
    }
    let diary = diary(50);
    for part in Chunking::new(120).cut(&diary, &counter) {
        assert!(diary[part].trim_end().ends_with("달렸습니다."));
    }
}

#[test]
fn cutting_one_endless_sentence_counts_each_byte_a_few_times_however_long_it_is() {
    use std::sync::atomic::AtomicU64;

    let counted = |text: &str| {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&bytes);
        let estimate = TokenMeter::estimate();
        let meter = TokenMeter::new(move |text| {
            seen.fetch_add(text.len() as u64, Ordering::Relaxed);
            estimate.count(text)
        });
        let parts = Chunking::new(500).cut(text, &meter);
        assert_eq!((parts.first().unwrap().start, parts.last().unwrap().end), (0, text.len()));
        bytes.load(Ordering::Relaxed)
    };
    for unit in ["word ", "쉬지않고달렸다", "나는 오늘도 달렸고 ", "👟"] {
        let (one, two) = (counted(&unit.repeat(6_000)), counted(&unit.repeat(12_000)));
        let length = unit.len() as u64 * 12_000;
        assert!(two < one * 21 / 10, "{unit}: {one} and {two} bytes");
        assert!(two < length * 12, "{unit}: {two} bytes for {length}");
    }
}
