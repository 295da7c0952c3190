//! Answers that are none.

use std::time::{Duration, Instant};

use pumasi_core::model::{ChatModel, Dialect, OpenAiCompatible, Usage};
use pumasi_core::{ErrorKind, Retry};

use super::{KEY, ask, assert_silent, builder, once, streamed};
use crate::server::{Reply, Server};

const ANSWER: &str = r#"{"choices":[{"message":{"content":"가"},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn failures_that_may_pass_are_tried_again_and_others_are_not() {
    for (status, tries) in [
        (408, 2),
        (409, 2),
        (429, 2),
        (500, 2),
        (502, 2),
        (503, 2),
        (504, 2),
        (529, 2),
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
        (422, 1),
        (501, 1),
    ] {
        let server = Server::start([Reply::json(status, "{}"), Reply::json(200, ANSWER)]).await;
        let result = builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await;
        assert_eq!(server.received().len(), tries, "{status}");
        assert_eq!(result.is_ok(), tries == 2, "{status}");
    }
}

#[tokio::test]
async fn an_error_that_ends_the_attempts_keeps_its_class() {
    let server = Server::start([Reply::json(503, "{}")]).await;
    let error = builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Now));
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn retry_after_is_waited_for_in_all_its_forms() {
    for (name, value, least) in [
        ("retry-after", "1", 1_000),
        ("retry-after-ms", "150", 150),
        ("x-ratelimit-reset-requests", "120ms", 120),
    ] {
        let busy = Reply::of(429, &[(name, value)], "{}");
        let server = Server::start([busy, Reply::json(200, ANSWER)]).await;
        let began = Instant::now();
        builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(least), "{name}");
    }
    let dated = Reply::of(
        503,
        &[("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")],
        "{}",
    );
    let server = Server::start([dated]).await;
    let error = once(Dialect::OpenAi, &server).complete(ask()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_left_to_the_caller() {
    let server = Server::start([Reply::of(429, &[("retry-after", "30")], "{}")]).await;
    let model = builder(Dialect::OpenAi, &server).build().unwrap();
    let began = Instant::now();
    let error = model.complete(ask().with_timeout(Duration::from_secs(20))).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::RateLimited, Retry::After(Duration::from_secs(30)))
    );
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn the_deadline_covers_all_attempts_and_a_slow_loris() {
    let server = Server::start([Reply::default().then_hang()]).await;
    let model = builder(Dialect::OpenAi, &server).with_idle_timeout(Duration::from_secs(1)).build().unwrap();
    let began = Instant::now();
    let error = model.complete(ask().with_timeout(Duration::from_millis(2_900))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(server.received().len() >= 2 && began.elapsed() < Duration::from_secs(10));

    let loris = Reply::bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
        .then_trickle(&[b' '; 1_000], Duration::from_millis(20));
    let server = Server::start([loris]).await;
    let model = builder(Dialect::OpenAi, &server).with_timeout(Duration::from_millis(250)).build().unwrap();
    let began = Instant::now();
    let mut request = ask();
    request.timeout = None;
    let error = model.complete(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(began.elapsed() < Duration::from_secs(10), "its thousand bytes take twenty seconds");
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error() {
    for (body, kind) in [
        (r#"{"error":{"message":"busy","code":429}}"#, ErrorKind::RateLimited),
        (r#"{"error":{"message":"boom","type":"server_error"}}"#, ErrorKind::Unavailable),
        (r#"{"error":"boom"}"#, ErrorKind::Unavailable),
        (r#"[{"error":{"code":400,"status":"INVALID_ARGUMENT"}}]"#, ErrorKind::InvalidInput),
        (r#"{"object":"error","message":"no","code":404}"#, ErrorKind::NotFound),
    ] {
        let server = Server::start([Reply::json(200, body)]).await;
        let model = once(Dialect::Generic, &server);
        assert_eq!(model.complete(ask()).await.unwrap_err().kind(), kind, "{body}");
        assert_eq!(streamed(&model).await.1.unwrap().kind(), kind, "{body}");
    }
}

#[tokio::test]
async fn what_failed_tries_used_is_in_the_usage_of_the_call() {
    let used = r#""usage":{"prompt_tokens":20,"completion_tokens":30}"#;
    let failed = format!(r#"{{"error":{{"message":"boom","type":"server_error"}},{used}}}"#);
    let answer = format!(r#"{{"choices":[{{"message":{{"content":"가"}},"finish_reason":"stop"}}],{used}}}"#);
    let pieces = format!("data: {answer}\n\ndata: [DONE]\n\n");
    let in_pieces = |data: &str| Reply::of(200, &[("content-type", "text/event-stream")], data);
    let within = in_pieces(&format!("data: {{\"choices\":[],{used}}}\n\ndata: {failed}\n\n"));
    for (failed, is_stream) in
        [(Reply::json(200, &failed), false), (Reply::json(500, &failed), false), (within, true)]
    {
        let server = Server::start([failed.clone(), failed.clone(), Reply::json(200, &answer)]).await;
        let model = builder(Dialect::OpenAi, &server).build().unwrap();
        if !is_stream {
            assert_eq!(model.complete(ask()).await.unwrap().usage, Some(Usage::new(60, 90)));
        }
        let server = Server::start([failed.clone(), failed.clone(), in_pieces(&pieces)]).await;
        let (streamed_answer, error) = streamed(&builder(Dialect::OpenAi, &server).build().unwrap()).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(streamed_answer.usage, Some(Usage::new(60, 90)));

        let server = Server::start([failed]).await;
        let model = builder(Dialect::OpenAi, &server).build().unwrap();
        assert_eq!(streamed(&model).await.1.unwrap().usage(), Some(Usage::new(60, 90)));
        if !is_stream {
            assert_eq!(model.complete(ask()).await.unwrap_err().usage(), Some(Usage::new(60, 90)));
            assert_eq!(
                once(Dialect::OpenAi, &server).complete(ask()).await.unwrap_err().usage(),
                Some(Usage::new(20, 30))
            );
        }
    }
    let server = Server::start([Reply::json(503, "{}"), Reply::json(200, ANSWER)]).await;
    let silent = builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await.unwrap();
    assert_eq!(silent.usage, None, "nobody told any");
}

#[tokio::test]
async fn what_is_no_answer_is_against_the_protocol() {
    for (reply, says) in [
        (Reply::of(200, &[("content-type", "text/html")], "<!doctype html><p>Log in"), "page"),
        (Reply::json(200, "{\"choices\": [{\"message\": {\"content\": \"비밀"), "not JSON"),
        (Reply::json(200, "not json"), "not JSON"),
        (Reply::json(200, ""), "nothing"),
        (Reply::of(200, &[], b"{\"a\":\"\xff\"}"), "not UTF-8"),
        (Reply::json(200, "{}"), "no choice"),
        (Reply::json(200, &"[".repeat(100_000)), "not JSON"),
        (
            Reply::of(302, &[("location", "https://elsewhere.example/?sk-secret")], ""),
            "redirected with status 302",
        ),
        (Reply::of(301, &[], ""), "redirected"),
    ] {
        let server = Server::start([reply]).await;
        let error = once(Dialect::OpenAi, &server).complete(ask()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Never), "{error}");
        assert!(error.message().contains(says), "{error}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn a_gigantic_answer_or_error_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{";
    let server = Server::start([Reply::bytes(head).then_flood(&vec![b' '; 65_536])]).await;
    let error = once(Dialect::OpenAi, &server).complete(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let head = "HTTP/1.1 500 X\r\n\r\n";
    let server = Server::start([Reply::bytes(head).then_flood(&vec![b'x'; 65_536])]).await;
    let error = once(Dialect::OpenAi, &server).complete(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_be_tried_again() {
    let cut = Reply::bytes("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"choices\":");
    let server = Server::start([cut, Reply::bytes(""), Reply::json(200, ANSWER)]).await;
    let answer = builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await.unwrap();
    assert_eq!((answer.text(), server.received().len()), ("가", 3));
}

#[tokio::test]
async fn an_answer_cut_on_a_connection_without_a_length_may_be_tried_again() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let (half, letter) =
        (b"{\"choices\":[{\"message\":{\"content\":\"hal".to_vec(), b"{\"a\":\"\xea\xb0".to_vec());
    for cut in [half.clone(), letter, Vec::new()] {
        let until_closed = [format!("{head}connection: close\r\n\r\n").as_bytes(), &cut].concat();
        let mut replies = vec![Reply::bytes(until_closed)];
        // a proxy that goes on with the half of an answer in well-formed chunks
        if !cut.is_empty() {
            let head = format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n", cut.len());
            replies.push(Reply::bytes([head.as_bytes(), &cut, b"\r\n0\r\n\r\n"].concat()));
        }
        for reply in replies {
            let server = Server::start([reply, Reply::json(200, ANSWER)]).await;
            let model = builder(Dialect::OpenAi, &server).build().unwrap();
            assert_eq!(model.complete(ask()).await.unwrap().text(), "가");
            assert_eq!(server.received().len(), 2);
        }
    }
    let page = format!("{head}connection: close\r\n\r\n<html>");
    let server = Server::start([Reply::bytes(page)]).await;
    let error = builder(Dialect::OpenAi, &server).build().unwrap().complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), server.received().len()), (ErrorKind::Protocol, 1));
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_no_secret_is_told() {
    let server = Server::start([]).await;
    let address = server.address();
    drop(server);
    tokio::task::yield_now().await;
    let model = OpenAiCompatible::at(format!("http://user:{KEY}@{address}/v1?key={KEY}"), "m")
        .with_api_key(KEY)
        .with_retry_policy(pumasi_core::resilience::RetryPolicy::never("test"))
        .with_timeout(Duration::from_secs(5))
        .without_proxy()
        .build()
        .unwrap();
    let error = model.complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Now), "{error:?}");
    assert_silent(&error);
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        assert!(!cause.to_string().contains(KEY), "{cause}");
        source = cause.source();
    }
}

#[tokio::test]
async fn a_proxy_is_used_where_one_is_named() {
    let proxy = Server::start([Reply::json(200, ANSWER)]).await;
    let model = OpenAiCompatible::at("http://model.invalid/v1", "m")
        .with_proxy(format!("http://{}", proxy.address()))
        .build()
        .unwrap();
    assert_eq!(model.complete(ask()).await.unwrap().text(), "가");
    assert_eq!(proxy.received()[0].target, "http://model.invalid/v1/chat/completions");
}

#[tokio::test]
async fn a_client_of_ones_own_is_used() {
    let server = Server::start([Reply::json(200, ANSWER)]).await;
    let client = reqwest::Client::builder().no_proxy().user_agent("mine").build().unwrap();
    let model = OpenAiCompatible::at(server.url(), "m").with_client(client).build().unwrap();
    model.complete(ask()).await.unwrap();
    assert_eq!(server.received()[0].headers.get("user-agent").map(String::as_str), Some("mine"));
}
