use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::ErrorKind;

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "the callee is away")
}

fn policy() -> RetryPolicy {
    RetryPolicy::new("test")
        .with_backoff(Backoff::new(Duration::from_millis(100), Duration::from_secs(1)))
        .with_random(Random::fixed(0.5))
}

/// Runs an operation that always fails; returns the error, the moments of the attempts, and the whole duration.
async fn failing(policy: RetryPolicy, error: impl Fn() -> Error) -> (Error, Vec<Duration>, Duration) {
    let began = tokio::time::Instant::now();
    let mut at = Vec::new();
    let result: Result<(), Error> = policy
        .run(|_| {
            at.push(began.elapsed());
            std::future::ready(Err(error()))
        })
        .await;
    (result.unwrap_err(), at, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn waits_grow_between_attempts_and_the_last_error_is_final() {
    let (error, at, _) = failing(policy().with_max_attempts(4), unavailable).await;
    assert_eq!(at, [0, 50, 150, 350].map(Duration::from_millis));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test(start_paused = true)]
async fn layers_do_not_multiply_their_attempts() {
    let attempts = AtomicU32::new(0);
    let (inner, outer) = (policy(), policy());
    let result: Result<(), Error> = outer
        .run(|_| {
            inner.run(|_| {
                attempts.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Err(unavailable()))
            })
        })
        .await;
    assert!(result.is_err());
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_retried_comes_back_at_once_and_as_it_is() {
    let (error, at, took) = failing(policy(), || Error::new(ErrorKind::InvalidInput, "no")).await;
    assert_eq!((at.len(), took), (1, Duration::ZERO));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_leaves_the_class_to_the_layer_outside() {
    let (error, at, _) = failing(RetryPolicy::never("test"), unavailable).await;
    assert_eq!((at.len(), error.retry()), (1, Retry::Now));
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_says_when_is_not_called_before() {
    let later = || unavailable().with_retry(Retry::After(Duration::from_secs(7)));
    let (_, at, _) = failing(policy().with_max_attempts(2), later).await;
    assert_eq!(at[1], Duration::from_millis(7_050));
    let (_, at, _) = failing(policy().with_max_attempts(2).with_random(Random::fixed(0.0)), later).await;
    assert_eq!(at[1], Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_left_to_the_layer_outside() {
    let hour = Retry::After(Duration::from_hours(1));
    let (error, at, took) = failing(policy(), || unavailable().with_retry(hour)).await;
    assert_eq!((at.len(), took, error.retry()), (1, Duration::ZERO, hour));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_that_would_begin_past_the_deadline() {
    let (error, at, took) =
        failing(policy().with_max_attempts(100).with_deadline(Duration::from_millis(400)), unavailable).await;
    assert_eq!(at, [0, 50, 150, 350].map(Duration::from_millis));
    assert_eq!(took, Duration::from_millis(350), "no use in waiting for what will not be done");
    assert_eq!(error.retry(), Retry::Never);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_attempt_is_dropped_at_its_limit_and_made_again() {
    let began = tokio::time::Instant::now();
    let result = policy()
        .with_attempt_timeout(Duration::from_millis(200))
        .run(|attempt| async move {
            if attempt.number == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Error>(attempt)
        })
        .await
        .unwrap();
    assert_eq!(result, Attempt { number: 2, time_left: Some(Duration::from_millis(200)) });
    assert_eq!(began.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_attempt_is_dropped_at_the_deadline() {
    let began = tokio::time::Instant::now();
    let error = policy()
        .with_deadline(Duration::from_millis(500))
        .run(|_| std::future::pending::<Result<(), Error>>())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, Retry::Never));
    assert_eq!(began.elapsed(), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_the_clock_is_none() {
    let result = policy().with_deadline(Duration::MAX).run(|_| async { Ok::<_, Error>(1) }).await;
    assert_eq!(result.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn clients_that_all_fail_retry_only_within_their_budget() {
    let budget = RetryBudget::new(0.2, 0.0);
    let attempts = AtomicU32::new(0);
    for _ in 0..100 {
        let result: Result<(), Error> = policy()
            .with_backoff(Backoff::constant(Duration::ZERO))
            .with_budget(budget.clone())
            .run(|_| {
                attempts.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Err(unavailable()))
            })
            .await;
        assert_eq!(result.unwrap_err().retry(), Retry::Never);
    }
    assert_eq!(attempts.load(Ordering::SeqCst), 120);
}

#[tokio::test(start_paused = true)]
async fn an_own_error_type_is_classified_by_a_closure() {
    type AnyError = Box<dyn std::error::Error + Send + Sync>;
    let mut attempts = 0;
    let result: Result<(), AnyError> = policy()
        .run_if(
            |_| {
                attempts += 1;
                std::future::ready(Err("busy".into()))
            },
            |error: &AnyError| if error.to_string() == "busy" { Retry::Now } else { Retry::Never },
        )
        .await;
    assert!(result.is_err());
    assert_eq!(attempts, 3);
}
