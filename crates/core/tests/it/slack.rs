//! Slack's Web API and incoming webhooks, against a real socket.

use std::time::{Duration, Instant};

use pumasi_core::resilience::{Backoff, RetryPolicy};
use pumasi_core::slack::{MessageMetadata, SlackClient, SlackMessage, SlackWebhook};
use pumasi_core::{Error, ErrorKind, Retry};
use serde_json::json;

use crate::server::{Reply, Server};

const TOKEN: &str = "xoxb-secret-0123456789";
const POSTED: &str = r#"{"ok": true, "channel": "C9", "ts": "1767225600.000200"}"#;

fn client(server: &Server) -> SlackClient {
    let quick = RetryPolicy::new("test").with_backoff(Backoff::constant(Duration::from_millis(1)));
    SlackClient::at(&server.url(), TOKEN)
        .unwrap()
        .with_timeout(Duration::from_secs(5))
        .with_retry_policy(quick)
}

async fn refused(reply: Reply) -> (Error, usize) {
    let server = Server::start([reply]).await;
    let error = client(&server).post("C9", &SlackMessage::new("비밀 text")).await.unwrap_err();
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("xoxb") && !shown.contains("비밀") && !shown.contains("/v1"), "{shown}");
    (error, server.received().len())
}

#[tokio::test]
async fn a_message_is_posted_with_its_thread_and_its_metadata() {
    let server = Server::start([Reply::json(200, POSTED)]).await;
    let message = SlackMessage::new("답 & <answer>")
        .in_thread("1.2")
        .with_metadata(MessageMetadata::new("answer").with("answer_id", "a-1"));
    let posted = client(&server).post("#general", &message).await.unwrap();
    assert_eq!((posted.channel.as_str(), posted.ts.as_str()), ("C9", "1767225600.000200"));
    let received = server.received();
    assert_eq!(received[0].target, "/v1/chat.postMessage");
    assert_eq!(received[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(received[0].headers["content-type"], "application/json; charset=utf-8");
    let wanted = json!({"channel": "#general", "text": "답 & <answer>", "thread_ts": "1.2", "unfurl_links": false,
        "unfurl_media": false, "metadata": {"event_type": "answer", "event_payload": {"answer_id": "a-1"}}});
    assert_eq!(received[0].body, wanted);
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_as_long_as_slack_asks() {
    let busy = Reply::of(429, &[("retry-after", "1")], r#"{"ok": false, "error": "ratelimited"}"#);
    let server = Server::start([busy, Reply::json(200, POSTED)]).await;
    let begun = Instant::now();
    client(&server).post("C9", &SlackMessage::new("x")).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(server.received().len(), 2);

    let long = Reply::of(429, &[("retry-after", "3600")], "");
    let (error, calls) = refused(long).await;
    assert_eq!((error.kind(), calls), (ErrorKind::RateLimited, 1));
    assert_eq!(error.retry(), Retry::After(Duration::from_hours(1)));
}

#[tokio::test]
async fn what_may_have_been_posted_is_not_posted_again() {
    for (reply, kind) in [
        (Reply::json(500, "{}"), ErrorKind::Unavailable),
        (Reply::json(200, r#"{"ok": false, "error": "internal_error"}"#), ErrorKind::Unavailable),
        (Reply::json(200, r#"{"ok": false, "error": "request_timeout"}"#), ErrorKind::Timeout),
        (Reply::default(), ErrorKind::Unavailable),
        (Reply::default().then_hang(), ErrorKind::Timeout),
        (Reply::json(200, "<html>"), ErrorKind::Protocol),
        (Reply::json(200, r#"{"ok": true}"#), ErrorKind::Protocol),
        (Reply::of(302, &[("location", "https://elsewhere.example")], ""), ErrorKind::Protocol),
    ] {
        let (error, calls) = refused(reply.clone()).await;
        assert_eq!((error.kind(), calls), (kind, 1), "{reply:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_named_as_slack_names_it() {
    for (name, kind) in [
        ("channel_not_found", ErrorKind::NotFound),
        ("invalid_auth", ErrorKind::Unauthorized),
        ("not_in_channel", ErrorKind::NotFound),
        ("msg_too_long", ErrorKind::InvalidInput),
        ("an error of tomorrow", ErrorKind::InvalidInput),
    ] {
        let (error, calls) =
            refused(Reply::json(200, &json!({"ok": false, "error": name}).to_string())).await;
        assert_eq!((error.kind(), calls), (kind, 1), "{name}");
        assert_eq!(error.message().contains(name), !name.contains(' '));
        assert!(!error.retry().is_retryable());
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_is_tried_again() {
    let quick = RetryPolicy::new("test").with_backoff(Backoff::constant(Duration::from_millis(50)));
    let client = SlackClient::at("http://127.0.0.1:1", TOKEN).unwrap().with_retry_policy(quick);
    let begun = Instant::now();
    let error = client.post("C9", &SlackMessage::new("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("could not connect"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(100), "two waits: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_reply_is_found_by_its_metadata_on_any_page() {
    let reply = |ts: &str, id: &str| json!({"ts": ts, "text": "x", "metadata": {"event_type": "answer", "event_payload": {"answer_id": id, "more": 1}}});
    let first = json!({"ok": true, "messages": [{"ts": "1.2", "text": "?"}, reply("1.3", "a-1")], "has_more": true,
        "response_metadata": {"next_cursor": "bmV4dA=="}});
    let second = json!({"ok": true, "messages": [reply("1.4", "a-2")], "has_more": false});
    let server = Server::answering(move |request| {
        let page = if request.target.contains("bmV4dA") { &second } else { &first };
        Reply::json(200, &page.to_string())
    })
    .await;
    let wanted = |id: &str| MessageMetadata::new("answer").with("answer_id", id);
    let found = client(&server).find_reply("C9", "1.2", &wanted("a-2")).await.unwrap().unwrap();
    assert_eq!((found.channel.as_str(), found.ts.as_str()), ("C9", "1.4"));
    assert_eq!(client(&server).find_reply("C9", "1.2", &wanted("a-3")).await.unwrap(), None);
    let target = &server.received()[0].target;
    assert!(
        target.starts_with("/v1/conversations.replies?channel=C9&ts=1.2&include_all_metadata=true"),
        "{target}"
    );
}

#[tokio::test]
async fn a_webhook_says_what_is_wrong_and_never_where_it_is() {
    let server = Server::start([
        Reply::of(200, &[], "ok"),
        Reply::of(404, &[], "no_service"),
        Reply::of(400, &[], "invalid_payload: 비밀"),
    ])
    .await;
    let webhook = SlackWebhook::new(format!("{}/T0/B0/secret", server.url())).unwrap();
    webhook.post(&SlackMessage::new("안녕")).await.unwrap();
    assert_eq!(server.received()[0].body["text"], "안녕");
    for (kind, named) in [(ErrorKind::NotFound, true), (ErrorKind::InvalidInput, false)] {
        let error = webhook.post(&SlackMessage::new("안녕")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.message().contains("no_service"), named);
        let shown = format!("{error:?} {webhook:?}");
        assert!(!shown.contains("secret") && !shown.contains("비밀"), "{shown}");
    }
}
