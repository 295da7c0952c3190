//! Answers as server-sent events.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use pumasi_core::model::{Reply, ScriptedModel};
use pumasi_core::time::{ManualClock, SystemClock};
use pumasi_rag::answer::{AnswerEvent, AnswerStream, Ask, Assistant};
use pumasi_rag::sse::{Resumed, SseStream, Streams};
use pumasi_rag::{Document, ErrorKind};
use std::sync::Arc;

use crate::knowledge::retriever;

async fn coach(model: &ScriptedModel) -> Assistant {
    let knee = Document::new("knee", "통증이 있으면 사흘 쉽니다.").with_title("무릎 통증");
    Assistant::builder(retriever(vec![knee]).await).model(Arc::new(model.clone())).build().unwrap()
}

fn ask() -> Ask {
    Ask::new("무릎 통증에 얼마나 쉬나요?")
}

/// A frame's id, event and data.
fn read(frame: &[u8]) -> (String, String, AnswerEvent) {
    let text = std::str::from_utf8(frame).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1, "{text:?}");
    (field("id:"), field("event:"), serde_json::from_str(&field("data:")).unwrap())
}

async fn all(stream: SseStream) -> Vec<(String, String, AnswerEvent)> {
    stream.map(|frame| read(&frame)).collect().await
}

#[tokio::test]
async fn events_are_sent_with_ids_in_order() {
    let model = ScriptedModel::always(Reply::chunks(["통증이 있으면\n", "사흘 쉽니다 [1]."]));
    let streams = Streams::new();
    let sent = all(streams.open(coach(&model).await.ask(ask()))).await;
    let names: Vec<&str> = sent.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["retrieved", "delta", "delta", "citation", "done"]);
    let base = sent[0].0.rsplit_once('.').unwrap().0;
    assert!(sent.iter().enumerate().all(|(at, (id, ..))| *id == format!("{base}.{}", at + 1)));
    assert!(sent.iter().all(|(_, name, event)| name == event.name()));
}

#[tokio::test]
async fn an_answer_that_panics_ends_with_an_error_and_makes_room() {
    let streams = Streams::new().with_capacity(NonZeroUsize::MIN);
    let panicking = || futures_util::stream::once(async { panic!("in the model's client") });
    let sent = all(streams.open(panicking())).await;
    let [(id, name, AnswerEvent::Error(failure))] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((name.as_str(), failure.kind), ("error", ErrorKind::Other));
    assert!(!failure.message.contains("client") && matches!(streams.resume(id), Resumed::Over));
    // what has ended so goes before what has not
    let model = ScriptedModel::always(Reply::chunks(["통증이 있으면 사흘 쉽니다 [1]."]));
    let sent = all(streams.open(coach(&model).await.ask(ask()))).await;
    assert!(matches!(streams.resume(id), Resumed::Unknown));
    assert!(matches!(streams.resume(&sent[0].0), Resumed::Stream(_)));
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_has_not_seen() {
    let model = ScriptedModel::always(Reply::chunks(["통증이 있으면 ", "사흘 ", "쉽니다 [1]."]));
    let streams = Streams::new();
    let sent = all(streams.open(coach(&model).await.ask(ask()))).await;
    for (at, (id, ..)) in sent.iter().enumerate() {
        match streams.resume(id) {
            Resumed::Stream(rest) => assert_eq!(all(rest).await, sent[at + 1..]),
            Resumed::Over => assert_eq!(at + 1, sent.len()),
            Resumed::Unknown => panic!("{id} is not known"),
        }
    }
    for unknown in ["", "x", "x.1", "0.0", "01890000000000000000000000000000.1", ".", "a.-1"] {
        assert!(matches!(streams.resume(unknown), Resumed::Unknown), "{unknown}");
    }
    assert_eq!(model.calls(), 1);
}

#[tokio::test]
async fn the_model_is_stopped_as_soon_as_the_last_reader_has_left() {
    let model = ScriptedModel::always(Reply::chunks(["통증이 ", "있으면"]).stall()).with_clock(SystemClock);
    let streams = Streams::new();
    let mut reader = streams.open(coach(&model).await.ask(ask()));
    let mut last = String::new();
    for _ in 0..3 {
        last = read(&reader.next().await.unwrap()).0;
    }
    assert_eq!(model.open_calls(), 1);
    drop(reader);
    // No timer is waited for: whoever writes is told, and does what it does then.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(model.open_calls(), 0, "the model still writes");
    assert_eq!(model.cancelled_calls(), 1);
    // whoever comes back is told
    tokio::task::yield_now().await;
    let Resumed::Stream(rest) = streams.resume(&last) else { panic!("it is remembered") };
    let rest = all(rest).await;
    let AnswerEvent::Error(failure) = &rest.last().unwrap().2 else { panic!("{rest:?}") };
    assert_eq!((failure.kind, failure.is_retryable), (pumasi_core::ErrorKind::Cancelled, true));
}

#[tokio::test]
async fn within_its_grace_an_answer_goes_on_without_a_reader() {
    let clock = ManualClock::new();
    let reply = Reply::chunks(["하나 ", "둘 ", "셋"]).with_chunk_delay(Duration::from_secs(1));
    let model = ScriptedModel::always(reply).with_clock(clock.clone());
    let streams = Streams::new().with_grace(Duration::from_secs(5)).with_clock(clock.clone());
    let settle = || async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    };
    let mut reader = streams.open(coach(&model).await.ask(ask()));
    let first = read(&reader.next().await.unwrap()).0;
    drop(reader);
    settle().await;
    for _ in 0..2 {
        clock.advance(Duration::from_secs(1));
        settle().await;
    }
    assert_eq!(model.cancelled_calls(), 0);
    let Resumed::Stream(rest) = streams.resume(&first) else { panic!("it is remembered") };
    clock.advance(Duration::from_secs(1));
    settle().await;
    let rest = all(rest).await;
    assert_eq!(rest.last().unwrap().1, "done");

    // and no longer
    let reader = streams.open(coach(&model).await.ask(ask()));
    settle().await;
    drop(reader);
    settle().await;
    let hanging = ScriptedModel::always(Reply::hang()).with_clock(clock.clone());
    let reader = streams.open(coach(&hanging).await.ask(ask()));
    settle().await;
    drop(reader);
    settle().await;
    assert_eq!(hanging.open_calls(), 1);
    clock.advance(Duration::from_secs(5));
    settle().await;
    assert_eq!((hanging.open_calls(), hanging.cancelled_calls()), (0, 1));
}

#[tokio::test]
async fn a_silent_answer_beats_until_it_speaks() {
    let clock = ManualClock::new();
    let model = ScriptedModel::always(Reply::text("쉽니다").with_delay(Duration::from_secs(40)))
        .with_clock(clock.clone());
    let streams = Streams::new().with_heartbeat(Duration::from_secs(15)).with_clock(clock.clone());
    let mut reader = streams.open(coach(&model).await.ask(ask()));
    assert_eq!(read(&reader.next().await.unwrap()).1, "retrieved");
    for _ in 0..2 {
        assert!(reader.next().now_or_never().is_none());
        clock.advance(Duration::from_secs(15));
        assert_eq!(reader.next().await.unwrap(), ":\n\n".as_bytes());
    }
    assert!(reader.next().now_or_never().is_none());
    clock.advance(Duration::from_secs(10));
    assert_eq!(read(&reader.next().await.unwrap()).1, "delta");
}

#[tokio::test]
async fn ended_answers_are_forgotten_after_a_while_and_beyond_the_capacity() {
    let clock = ManualClock::new();
    let streams = Streams::new()
        .with_retention(Duration::from_mins(1))
        .with_capacity(NonZeroUsize::new(2).unwrap())
        .with_clock(clock.clone());
    let open = async || {
        let event = AnswerEvent::Delta { text: "가".to_owned() };
        all(streams.open(AnswerStream::of([event.clone(), event]))).await[0].0.clone()
    };
    let first = open().await;
    clock.advance(Duration::from_secs(59));
    assert!(matches!(streams.resume(&first), Resumed::Stream(_)));
    clock.advance(Duration::from_secs(1));
    assert!(matches!(streams.resume(&first), Resumed::Unknown));
    let ids = [open().await, open().await, open().await];
    assert!(matches!(streams.resume(&ids[0]), Resumed::Unknown));
    assert!(matches!(streams.resume(&ids[2]), Resumed::Stream(_)));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn an_axum_response_says_what_it_is() {
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::IntoResponse;

    let model = ScriptedModel::always(Reply::text("사흘 쉽니다 [1]."));
    let streams = Streams::new();
    let response = streams.open(coach(&model).await.ask(ask())).into_response();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let frames: Vec<_> = response.into_body().into_data_stream().collect().await;
    assert_eq!(read(frames.last().unwrap().as_ref().unwrap()).1, "done");
    assert_eq!(Resumed::Over.into_response().status(), StatusCode::NO_CONTENT);
    assert_eq!(Resumed::Unknown.into_response().status(), StatusCode::NOT_FOUND);
    let mut headers = HeaderMap::new();
    assert_eq!(pumasi_rag::sse::last_event_id(&headers), None);
    headers.insert("last-event-id", "a.3".parse().unwrap());
    assert_eq!(pumasi_rag::sse::last_event_id(&headers), Some("a.3"));
}
