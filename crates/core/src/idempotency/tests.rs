use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{Error, ErrorKind, Result};

fn request(body: &str) -> IdempotentRequest {
    let key = IdempotencyKey::new("8e03978e").unwrap();
    IdempotentRequest::new("user-7", &key, Fingerprint::of(&[b"POST", b"/orders", body.as_bytes()]))
}

/// A handler that counts and answers with the count.
fn counting(
    calls: &Arc<AtomicU32>,
    status: u16,
) -> impl FnOnce(Arc<Execution>) -> std::future::Ready<Result<Reply>> {
    let calls = Arc::clone(calls);
    move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
        std::future::ready(Ok(Reply::by_status(Response::new(status, call.to_string()))))
    }
}

#[tokio::test]
async fn an_answer_of_the_moment_is_not_stored_and_one_for_good_is() {
    let (idempotency, calls) = (Idempotency::new(MemoryIdempotency::new()), Arc::default());
    for status in [500, 503, 429] {
        let answer = idempotency.run(&request("a"), counting(&calls, status)).await.unwrap();
        assert_eq!((answer.response.status(), answer.replayed), (status, false));
    }
    let failed =
        idempotency.run(&request("a"), |_| async { Err(Error::new(ErrorKind::Unavailable, "away")) }).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    let first = idempotency.run(&request("a"), counting(&calls, 422)).await.unwrap();
    let again = idempotency.run(&request("a"), counting(&calls, 200)).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!((again.response.status(), again.response.body()), (422, &b"4"[..]));
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn the_key_of_another_request_is_refused() {
    let (idempotency, calls) = (Idempotency::new(MemoryIdempotency::new()), Arc::default());
    idempotency.run(&request("a"), counting(&calls, 200)).await.unwrap();
    let error = idempotency.run(&request("b"), counting(&calls, 200)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::InvalidInput, false));
}

#[tokio::test(start_paused = true)]
async fn a_second_request_is_refused_or_waits_for_the_first() {
    let store = MemoryIdempotency::new();
    let refusing = Idempotency::new(store.clone());
    let waiting = refusing.clone().with_concurrent(Concurrent::Wait(Duration::from_secs(5)));
    let slow = |_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(Reply::Final(Response::new(200, "first")))
    };
    let second = || async { unreachable!("the first is at work") };
    let request = request("a");
    let (first, refused, waited) = tokio::join!(
        refusing.run(&request, slow),
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            refusing.run(&request, |_| second()).await
        },
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            waiting.run(&request, |_| second()).await
        }
    );
    assert!(!first.unwrap().replayed);
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), refused.retry().is_retryable()), (ErrorKind::Conflict, true));
    let waited = waited.unwrap();
    assert_eq!((waited.replayed, waited.response.body()), (true, &b"first"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_request_stays_its_handlers_for_as_long_as_it_runs_and_is_free_when_that_panics() {
    let idempotency = Idempotency::new(MemoryIdempotency::new()).with_lease(Duration::from_secs(1));
    let long = {
        let idempotency = idempotency.clone();
        tokio::spawn(async move {
            idempotency
                .run(&request("a"), |_| async {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    panic!("the handler's own fault")
                })
                .await
        })
    };
    tokio::time::sleep(Duration::from_secs(9)).await;
    let calls = Arc::default();
    let error = idempotency.run(&request("a"), counting(&calls, 200)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "its lease was renewed");
    assert!(long.await.unwrap_err().is_panic());
    tokio::task::yield_now().await;
    idempotency.run(&request("a"), counting(&calls, 200)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_request_was_taken_over_is_dropped() {
    let store = MemoryIdempotency::new();
    let idempotency = Idempotency::new(store.clone()).with_lease(Duration::from_secs(1));
    let request = request("a");
    let Outcome::Execute(execution) = idempotency.begin(&request).await.unwrap() else { panic!("it is new") };
    // as if the process had stood still: given up behind its back, and taken by another
    assert!(store.abandon(request.id(), execution.token()).await.unwrap());
    let Outcome::Execute(next) = idempotency.begin(&request).await.unwrap() else { panic!("it is free") };
    let error = execution.while_held(std::future::pending::<Result<()>>()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(next.token() > execution.token());
    let late = execution.complete(&Response::new(200, "late")).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    next.complete(&Response::new(200, "next")).await.unwrap();
    let Outcome::Replay(response) = idempotency.begin(&request).await.unwrap() else { panic!("it is done") };
    assert_eq!(response.body(), b"next");
}

#[test]
fn keys_are_read_as_the_draft_and_as_many_clients_write_them() {
    let key = |text: &str| IdempotencyKey::new(text).unwrap();
    for (header, expected) in [
        (r#""8e03978e-40d5""#, Some("8e03978e-40d5")),
        (r#" "with \"quotes\" and \\" "#, Some(r#"with "quotes" and \"#)),
        ("8e03978e-40d5", Some("8e03978e-40d5")),
        ("", None),
        (r#""""#, None),
        (r#""open"#, None),
        (r#""two" "keys""#, None),
        (r#""bad \n escape""#, None),
        (r#""한글""#, None),
        ("two words", None),
        (r#"a"b"#, None),
    ] {
        let read = IdempotencyKey::from_header(header);
        assert_eq!(read.as_ref().ok(), expected.map(key).as_ref(), "{header}");
        assert!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::InvalidInput));
    }
    assert!(IdempotencyKey::new(&"a".repeat(255)).is_ok() && IdempotencyKey::new(&"a".repeat(256)).is_err());
}

#[test]
fn nothing_of_a_person_shows() {
    let key = IdempotencyKey::new("moonwalker").unwrap();
    let request = IdempotentRequest::new("달나라", &key, Fingerprint::of(&["달나라".as_bytes()]));
    let response = Response::new(200, "달나라여행").with_header("location", "/moonwalker");
    let begun = Begun::Finished(response.clone());
    let shown = format!("{key:?} {request:?} {response:?} {begun:?} {:?}", Reply::Final(response.clone()));
    assert!(!shown.contains("달나라") && !shown.contains("moonwalker"), "{shown}");
}

proptest! {
    #[test]
    fn what_was_answered_is_read_as_it_was(status in any::<u16>(), name in any::<String>(), value in any::<String>(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let response = Response::new(status, body).with_header(name, value);
        prop_assert_eq!(Response::decode(&response.encode().unwrap()).unwrap(), response);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), header in any::<String>()) {
        let _outcome = Response::decode(&bytes);
        let _outcome = IdempotencyKey::from_header(&header);
    }
}
