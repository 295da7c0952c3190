//! The rate limit and what is measured.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::{ChatModel, Dialect};
use pumasi_core::resilience::RateLimit;
use pumasi_core::time::ManualClock;
use pumasi_core::{ErrorKind, Retry};

use super::{ask, builder};
use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"가"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":20,"completion_tokens":30}}"#;

/// A limit for which no time passes, however long a test takes.
fn limit(requests: u32) -> RateLimit {
    RateLimit::per_minute("test", NonZeroU32::new(requests).unwrap())
        .with_max_wait(Duration::ZERO)
        .with_clock(Arc::new(ManualClock::new()))
}

#[tokio::test]
async fn requests_beyond_the_limit_are_not_sent() {
    let server = Server::start([Reply::json(200, ANSWER)]).await;
    let policy = pumasi_core::resilience::RetryPolicy::never("test");
    let model = builder(Dialect::OpenAi, &server)
        .with_retry_policy(policy)
        .with_rate_limit(limit(2))
        .build()
        .unwrap();
    model.complete(ask()).await.unwrap();
    model.complete(ask()).await.unwrap();
    let error = model.complete(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(matches!(error.retry(), Retry::After(_)));
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn tokens_are_estimated_before_the_call_and_corrected_after_it() {
    let server = Server::start([Reply::json(200, ANSWER)]).await;
    let limit = limit(1_000).with_tokens_per_minute(NonZeroU64::new(10_000).unwrap());
    let model = builder(Dialect::OpenAi, &server).with_rate_limit(limit.clone()).build().unwrap();
    model.complete(ask().with_max_tokens(9_000)).await.unwrap();
    // Of some 9,050 tokens reserved 50 were used.
    limit.try_acquire(9_900).unwrap().refund();
    assert!(limit.try_acquire(9_999).is_err());
    let error = model.complete(ask().with_max_tokens(20_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_server_that_says_too_many_pauses_everyone_who_shares_the_limit() {
    let server = Server::start([Reply::of(429, &[("retry-after", "30")], "{}")]).await;
    let shared = limit(100);
    let model = builder(Dialect::OpenAi, &server).with_rate_limit(shared.clone()).build().unwrap();
    let _ = model.complete(ask().with_timeout(Duration::from_secs(5))).await;
    let Retry::After(wait) = shared.try_acquire(1).unwrap_err().retry() else { panic!("a delay is told") };
    assert!(wait > Duration::from_secs(25), "{wait:?}");
}

#[tokio::test]
async fn every_way_of_saying_too_many_pauses_the_limit() {
    let told = r#"{"error":{"code":429,"message":"busy","details":[{"retryDelay":"30s"}]}}"#;
    let untold = r#"{"error":{"message":"busy","type":"rate_limit_error"}}"#;
    let events =
        |data: &str| Reply::of(200, &[("content-type", "text/event-stream")], format!("data: {data}\n\n"));
    let within = format!("{}\n\ndata: {told}", r#"{"choices":[{"delta":{"content":"a"}}]}"#);
    let (thirty, unstated) = (Duration::from_secs(30), Duration::from_secs(1));
    for (reply, pause) in [
        (Reply::json(429, "{}"), unstated),
        (Reply::json(429, told), thirty),
        (Reply::json(200, told), thirty),
        (Reply::json(200, untold), unstated),
        (Reply::of(200, &[("retry-after", "30")], untold), thirty),
        (events(told), thirty),
        (events(untold), unstated),
        (events(&within), thirty),
    ] {
        let server = Server::start([reply.clone()]).await;
        let shared = limit(100);
        let model = builder(Dialect::OpenAi, &server)
            .with_retry_policy(pumasi_core::resilience::RetryPolicy::never("test"))
            .with_rate_limit(shared.clone())
            .build()
            .unwrap();
        let (_, error) = super::streamed(&model).await;
        assert_eq!(error.unwrap().kind(), ErrorKind::RateLimited, "{reply:?}");
        let Retry::After(wait) = shared.try_acquire(1).unwrap_err().retry() else {
            panic!("a delay is told")
        };
        assert!(wait <= pause && wait > pause.mul_f64(0.5), "{wait:?} of {pause:?}: {reply:?}");
    }
    // what can never pass, and what must be paid first, holds nobody else up
    for body in [
        r#"{"error":{"message":"Request too large for m","code":"rate_limit_exceeded"}}"#,
        r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
    ] {
        let server = Server::start([Reply::json(429, body)]).await;
        let shared = limit(100);
        let model = builder(Dialect::OpenAi, &server).with_rate_limit(shared.clone()).build().unwrap();
        model.complete(ask()).await.unwrap_err();
        let _next = shared.try_acquire(1).unwrap();
    }
}

#[tokio::test]
async fn when_a_limit_is_full_again_is_not_when_there_is_room() {
    let headers = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
    let server = Server::start([Reply::of(200, &headers, ANSWER)]).await;
    let shared = limit(100);
    let model = builder(Dialect::OpenAi, &server).with_rate_limit(shared.clone()).build().unwrap();
    model.complete(ask()).await.unwrap();
    let _next = shared.try_acquire(1).unwrap();
    let server = Server::start([Reply::of(429, &headers, "{}"), Reply::json(200, ANSWER)]).await;
    let model = builder(Dialect::OpenAi, &server).build().unwrap();
    assert!(model.complete(ask()).await.is_ok(), "it is tried again in seconds");
}
