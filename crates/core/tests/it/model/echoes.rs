//! What a server repeats of what it was sent.

use pumasi_core::model::{
    ChatModel, ChatRequest, Dialect, Embedder, FinishReason, Message, OpenAiBuilder, OpenAiCompatible,
};
use pumasi_core::resilience::RetryPolicy;
use serde_json::json;

use super::{ask, builder, once};
use crate::server::{Reply, Server};

const SECRET: &str = "gw-Hidden-0123456789abcdef";

/// The ways in which a client can be told a secret of its gateway.
fn clients(server: &Server) -> Vec<OpenAiBuilder> {
    let at = |url: String| {
        OpenAiCompatible::at(url, "m").without_proxy().with_retry_policy(RetryPolicy::never("test"))
    };
    let credentials = server.url().replace("http://", &format!("http://{SECRET}:pw-0123@"));
    vec![
        at(server.url()).with_header("x-gateway-key", SECRET),
        at(server.url()).with_header("authorization", format!("Bearer {SECRET}")),
        at(format!("{}?api-version=2024-06-01&key={SECRET}", server.url())),
        at(format!("{}?{SECRET}", server.url())),
        at(credentials),
    ]
}

#[tokio::test]
async fn a_secret_in_a_header_or_an_address_does_not_come_back() {
    let part = &SECRET[3..15];
    for body in [
        json!({"error": {"message": "no", "type": "auth", "code": SECRET}}),
        json!({"error": {"message": "no", "type": "auth", "code": SECRET.to_lowercase()}}),
        json!({"error": {"message": "no", "type": "auth", "param": SECRET}}),
        json!({"error": {"message": "no", "type": "auth", "code": part}}),
        json!({"error": {"message": format!("no such key: {SECRET}.")}}),
        json!({"error": {"message": format!("no key begins with {part}.")}}),
        json!({"model": SECRET, "choices": [{"message": {"content": "a"}, "finish_reason": SECRET}]}),
    ] {
        for status in [200, 401] {
            let server = Server::start([Reply::json(status, &body.to_string())]).await;
            for client in clients(&server) {
                let model = client.with_server_messages().build().unwrap();
                let told = format!("{:?}", model.complete(ask()).await).to_lowercase();
                assert!(!told.contains("hidden"), "{body}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn a_password_of_an_address_does_not_come_back_in_any_form() {
    let body = json!({"error": {"message": "who is pw-0123, Basic Z3ctSGlkZGVuLTAxMjM0NTY3ODlhYmNkZWY6cHctMDEyMw==?"}});
    let server = Server::start([Reply::json(401, &body.to_string())]).await;
    let model = clients(&server).pop().unwrap().with_server_messages().build().unwrap();
    let told = format!("{:?}", model.complete(ask()).await.unwrap_err());
    assert!(!told.contains("pw-0123") && !told.contains("Z3ctSGlk") && told.contains("who is"), "{told}");
}

#[tokio::test]
async fn what_is_no_secret_stays_readable() {
    let body = json!({"error": {"message": "the version 2024-06-01-preview is too old for application/json",
        "code": "old_version:2024-06-01", "param": "x.trace-on"}});
    let server = Server::start([Reply::json(400, &body.to_string())]).await;
    let model = OpenAiCompatible::at(format!("{}?api-version=2024-06-01-preview&a=1", server.url()), "m")
        .with_header("x-trace", "on")
        .without_proxy()
        .with_server_messages()
        .build()
        .unwrap();
    let error = model.complete(ask()).await.unwrap_err();
    assert!(error.message().ends_with("status 400 (old_version:2024-06-01) on x.trace-on"), "{error}");
    let says = std::error::Error::source(&error).unwrap().to_string();
    assert!(says.contains("version 2024-06-01-preview is too old for application/json"), "{says}");
}

#[tokio::test]
async fn a_word_of_the_request_does_not_come_back_as_a_code() {
    let question = "제 메일은 hong.gildong@example.com 이고 아이디는 Gildong88, 번호는 +82-10-1234-5678 입니다. \
                    The request has an error, is it invalid?";
    for word in [
        "hong.gildong@example.com",
        "hong.gildong",
        "user:gildong88",
        "gildong88_not_found",
        "tel-82-10-1234-5678",
        "invalid_value:hong",
    ] {
        for field in ["type", "code", "status", "param"] {
            let body = json!({"error": {"message": "bad", "type": "invalid_request_error", (field): word}});
            let events = format!("data: {body}\n\n");
            for reply in [
                Reply::json(422, &body.to_string()),
                Reply::json(200, &body.to_string()),
                Reply::of(200, &[("content-type", "text/event-stream")], &events),
            ] {
                let server = Server::start([reply]).await;
                let request = ChatRequest::new([Message::user(question)]);
                let error = once(Dialect::Generic, &server).stream(request).await.err().unwrap();
                let told = format!("{error} {error:?}").to_lowercase();
                assert!(!["gildong", "hong", "1234"].iter().any(|word| told.contains(word)), "{told}");
                // the words of errors are not the person's
                assert!(field == "type" || told.contains("(invalid_request_error)"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn a_text_to_be_embedded_does_not_come_back_as_a_code() {
    let body = json!({"error": {"message": "bad", "type": "invalid_request_error", "code": "Gildong88", "param": "input[0]"}});
    let server = Server::start([Reply::json(400, &body.to_string())]).await;
    let embedder =
        builder(Dialect::Generic, &server).build_embedder(std::num::NonZeroUsize::new(2).unwrap()).unwrap();
    let error = embedder.embed(&["gildong88 여기"]).await.unwrap_err();
    assert!(error.message().ends_with("status 400 (invalid_request_error) on input[0]"), "{error}");
}

#[tokio::test]
async fn a_reason_in_the_persons_words_is_left_out() {
    for (reason, kept) in [("gildong88", ""), ("paused_by_quota", "paused_by_quota")] {
        let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": reason}]});
        let server = Server::start([Reply::json(200, &body.to_string())]).await;
        let request = ChatRequest::new([Message::user("저는 gildong88 입니다")]);
        let answer = once(Dialect::Generic, &server).complete(request).await.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Other(kept.to_owned()));
    }
}
