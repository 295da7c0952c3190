//! Streams as connections really deliver them.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use pumasi_core::model::{ChatModel, Dialect, FinishReason, Usage};
use pumasi_core::{ErrorKind, Retry};

use super::{ask, assert_silent, builder, once, streamed};
use crate::server::{Reply, Server};

const STREAM: &str = include_str!("payloads/openai_stream.http");

fn chunk(text: &str) -> String {
    format!("data: {}\n\n", serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

fn end() -> String {
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned()
}

async fn answer_of(reply: Reply) -> (String, FinishReason) {
    let server = Server::start([reply]).await;
    let (answer, error) = streamed(&once(Dialect::Generic, &server)).await;
    assert!(error.is_none(), "{error:?}");
    (answer.text().to_owned(), answer.finish_reason)
}

#[tokio::test]
async fn a_stream_cut_into_single_bytes_is_the_same_stream() {
    let server = Server::start([Reply::payload(STREAM).byte_by_byte()]).await;
    let (answer, error) = streamed(&once(Dialect::OpenAi, &server)).await;
    assert!(error.is_none());
    assert_eq!((answer.text(), answer.usage), ("안녕 하세요", Some(Usage::new(19, 4))));
}

#[tokio::test]
async fn pieces_arrive_as_they_are_sent() {
    let pieces = [chunk("하나"), chunk("둘")];
    let server = Server::start([Reply::chunked(pieces.iter().map(String::as_bytes)).then_hang()]).await;
    let mut stream = once(Dialect::Generic, &server).stream(ask()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().content, "하나");
    assert_eq!(stream.next().await.unwrap().unwrap().content, "둘");
}

#[tokio::test]
async fn comments_do_not_hold_an_answer_back_that_is_over() {
    let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"가\"}}]}\n\n\
                 data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let comments = ": still here\n\n".repeat(400).into_bytes();
    let reply = Reply::bytes(format!("{head}{whole}")).then_trickle(&comments, Duration::from_millis(20));
    let server = Server::start([reply]).await;
    let began = Instant::now();
    let (answer, error) = streamed(&once(Dialect::OpenAi, &server)).await;
    assert!(error.is_none() && answer.text() == "가", "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test]
async fn line_endings_comments_and_a_missing_end_mark_do_no_harm() {
    let stop = FinishReason::Stop;
    let carriage = format!(": OPENROUTER PROCESSING\n\n{}{}data: [DONE]\n\n", chunk("가"), end());
    assert_eq!(answer_of(Reply::events(carriage.replace('\n', "\r\n"))).await, ("가".into(), stop.clone()));
    assert_eq!(answer_of(Reply::events(chunk("가") + &end())).await, ("가".into(), stop.clone()));
    // The last event without its empty line, and events without any.
    let tight = (chunk("가") + &chunk("나") + &end()).replace("\n\n", "\n");
    assert_eq!(answer_of(Reply::events(tight)).await, ("가나".into(), stop.clone()));
    // No finish reason, but an end mark.
    assert_eq!(answer_of(Reply::events(chunk("가") + "data: [DONE]\n\n")).await, ("가".into(), stop.clone()));
    // A finish reason with every piece.
    let eager =
        "data: {\"choices\":[{\"delta\":{\"content\":\"가\"},\"finish_reason\":\"stop\"}]}\n\n".to_owned();
    assert_eq!(answer_of(Reply::events(eager.clone() + &eager)).await, ("가가".into(), stop));
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_still_understood() {
    let whole = r#"{"choices":[{"message":{"content":"한번에"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let server = Server::start([Reply::json(200, whole)]).await;
    let (answer, error) = streamed(&once(Dialect::Generic, &server)).await;
    assert!(error.is_none());
    assert_eq!((answer.text(), &answer.finish_reason), ("한번에", &FinishReason::Length));
    assert_eq!(answer.usage, Some(Usage::new(1, 2)));
}

#[tokio::test]
async fn a_stream_that_is_cut_says_so_and_may_be_tried_again() {
    let half = chunk("반쯤");
    let within = format!("{half}data: {{\"choices\":[{{\"ind");
    for reply in [
        Reply::events(&half),
        Reply::events(&within),
        Reply::chunked([half.as_bytes()]),
        Reply::chunked([within.as_bytes()]),
        Reply::bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n{half}"
        )),
    ] {
        let server = Server::start([reply]).await;
        let (answer, error) = streamed(&once(Dialect::Generic, &server)).await;
        let error = error.unwrap();
        assert_eq!(answer.text(), "반쯤");
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Now), "{error}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn what_fails_before_the_first_piece_is_tried_again_and_what_fails_after_it_is_not() {
    let good = chunk("가") + &end() + "data: [DONE]\n\n";
    let error = "data: {\"error\": {\"message\": \"overloaded\", \"type\": \"server_error\"}}\n\n";
    let server = Server::start([Reply::json(503, "{}"), Reply::events(error), Reply::events(&good)]).await;
    let model = builder(Dialect::Generic, &server).build().unwrap();
    let (answer, failed) = streamed(&model).await;
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!((answer.text(), server.received().len()), ("가", 3));

    let server = Server::start([Reply::events(chunk("반쯤") + error), Reply::events(&good)]).await;
    let model = builder(Dialect::Generic, &server).build().unwrap();
    let (answer, failed) = streamed(&model).await;
    assert_eq!((answer.text(), server.received().len()), ("반쯤", 1));
    assert_eq!(failed.unwrap().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_silent_stream_ends_by_the_idle_timeout_and_a_slow_one_by_the_deadline() {
    let idle = Server::start([Reply::chunked([chunk("반쯤").as_bytes()]).then_hang()]).await;
    let model = builder(Dialect::Generic, &idle).with_idle_timeout(Duration::from_secs(3)).build().unwrap();
    let (answer, error) = streamed(&model).await;
    assert_eq!((answer.text(), error.unwrap().kind()), ("반쯤", ErrorKind::Timeout));

    // Each byte comes within the idle timeout: only the deadline ends it.
    let slow = Reply::events(chunk("반쯤")).then_trickle(&[b':'; 3_000], Duration::from_millis(20));
    let server = Server::start([slow]).await;
    let model =
        builder(Dialect::Generic, &server).with_idle_timeout(Duration::from_secs(20)).build().unwrap();
    let began = Instant::now();
    let mut stream = model.stream(ask().with_timeout(Duration::from_secs(3))).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().content, "반쯤");
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(stream.next().await.is_none());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_endless_stream_is_bounded() {
    let server = Server::start([Reply::events("").then_flood(chunk(&"가".repeat(1_000)).as_bytes())]).await;
    let model = builder(Dialect::Generic, &server)
        .with_max_response_bytes(std::num::NonZeroUsize::new(100_000).unwrap())
        .build()
        .unwrap();
    let (answer, error) = streamed(&model).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Protocol);
    assert!(answer.text().len() <= 100_000);
}

#[tokio::test]
async fn a_stream_that_is_not_utf8_or_says_nothing_is_against_the_protocol() {
    for body in [b"data: {\"choices\":\"\xff\xfe\"}\n\n".to_vec(), b"data: [DONE]\n\n".to_vec()] {
        let server = Server::start([Reply::events(&body)]).await;
        let (_, error) = streamed(&once(Dialect::Generic, &server)).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Never), "{error}");
    }
}

#[tokio::test]
async fn dropping_a_stream_or_a_call_closes_the_connection() {
    let server =
        Server::start([Reply::chunked([chunk("하나").as_bytes()]).then_hang(), Reply::default().then_hang()])
            .await;
    let model = once(Dialect::Generic, &server);
    let mut stream = model.stream(ask()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let call = model.complete(ask());
    let arrived = async {
        while server.received().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = call => panic!("a server that hangs answered: {answer:?}"),
        () = arrived => {}
    }
    let closed = async {
        while server.gone() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("both connections are closed");
}

#[tokio::test]
async fn what_is_no_stream_is_against_the_protocol() {
    let kind = |kind: &'static str| [("content-type", kind)];
    for (reply, says) in [
        (Reply::of(200, &kind("text/html"), "<!doctype html>\n<p style=\"a: b\">Log in, 비밀"), "page"),
        (Reply::of(200, &kind("text/html; charset=utf-8"), "<html xmlns='http://x'><body></html>"), "page"),
        (Reply::of(200, &kind("text/plain"), "비밀 hello: there"), "not JSON"),
        (Reply::events("비밀 hello there\n\n"), "not JSON"),
        (Reply::events("data: 비밀 this is not json\n\ndata: nor this\n\n"), "not JSON"),
        (Reply::events("data: 비밀 this\ndata: nor this\n\n"), "not JSON"),
        (Reply::events("data: \"비밀\"\n\ndata: 7\n\n"), "no choice"),
    ] {
        let server = Server::start([reply]).await;
        let (_, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
        let error = error.unwrap();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, Retry::Never), "{error}");
        assert!(error.message().contains(says) && server.received().len() == 1, "{error}");
        assert_silent(&error);
    }
    let middle = chunk("반쯤") + "data: oops\n\n" + &chunk("나") + &end();
    let server = Server::start([Reply::events(middle)]).await;
    let (answer, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
    assert_eq!((answer.text(), error.unwrap().kind()), ("반쯤", ErrorKind::Protocol));
}

#[tokio::test]
async fn a_stream_that_is_cut_before_its_first_piece_is_tried_again() {
    let good = chunk("가") + &end() + "data: [DONE]\n\n";
    let letter = b"data: {\"choices\":[{\"delta\":{\"content\":\"\xea\xb0".to_vec();
    for begun in [b"".to_vec(), b": hello\n\n".to_vec(), b"dat".to_vec(), b"data: {\"choi".to_vec(), letter] {
        let server = Server::start([Reply::events(&begun), Reply::events(&good)]).await;
        let (answer, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!((answer.text(), server.received().len()), ("가", 2), "{begun:?}");
    }
}

/// The same stream with a connection that ends well and with one that is lost.
fn cut(stream: &str) -> [Reply; 2] {
    [Reply::events(stream), Reply::chunked([stream.as_bytes()])]
}

#[tokio::test]
async fn an_answer_that_is_over_is_kept_whatever_its_end_mark_and_usage_come_to() {
    let last = |text: &str| {
        chunk("가") + &chunk(text).replace("\"index\":0", "\"index\":0,\"finish_reason\":\"stop\"")
    };
    let whole = [chunk("가") + &chunk("나") + &end(), last("나")];
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}";
    for whole in &whole {
        for rest in [
            "",
            "d",
            "data: [DON",
            "data: [DONE]",
            "data: {\"choices\":[],\"usage\":{\"prompt_tok",
            "data: 비밀\n\n",
            usage,
        ] {
            for reply in cut(&format!("{whole}{rest}")) {
                let server = Server::start([reply]).await;
                let (answer, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
                assert!(error.is_none(), "{rest}: {error:?}");
                assert_eq!((answer.text(), &answer.finish_reason), ("가나", &FinishReason::Stop), "{rest}");
                assert_eq!(answer.usage, (rest == usage).then_some(Usage::new(3, 2)), "{rest}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_of_which_every_piece_says_stop_is_not_over_before_its_end() {
    let eager = |text: &str| chunk(text).replace("\"index\":0", "\"index\":0,\"finish_reason\":\"stop\"");
    for (pieces, rest) in [
        (1, "data: {\"choices\":[{\"delta\":{\"con"),
        (2, "data: {\"choices\":[{\"delta\":{\"con"),
        (2, "data: {\"ch"),
    ] {
        for reply in cut(&(eager("반쯤").repeat(pieces) + rest)) {
            let server = Server::start([reply]).await;
            let (answer, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
            assert_eq!(answer.text(), "반쯤".repeat(pieces));
            assert_eq!(error.unwrap().kind(), ErrorKind::Unavailable);
        }
    }
    // only an end mark, or a usage, can follow it
    for rest in ["data: [DON", "data: {\"choices\": [], \"usage\": {\"prompt_tok"] {
        for reply in cut(&(eager("가") + rest)) {
            let server = Server::start([reply]).await;
            let (answer, error) = streamed(&builder(Dialect::Generic, &server).build().unwrap()).await;
            assert!(error.is_none() && answer.text() == "가", "{rest}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_last_chunk_with_a_gateways_status_ends_a_good_stream() {
    for last in [
        "{\"choices\":[],\"statusCode\":200,\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}",
        "{\"choices\":[],\"detail\":\"served\",\"message\":\"OK\",\"error\":{},\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}",
    ] {
        let body = chunk("가") + &end() + &format!("data: {last}\n\ndata: [DONE]\n\n");
        let server = Server::start([Reply::events(body)]).await;
        let (answer, error) = streamed(&once(Dialect::Generic, &server)).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!((answer.text(), answer.usage), ("가", Some(Usage::new(1, 1))));
    }
}
