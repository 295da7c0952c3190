//! What a server repeats of what it was sent.

use pumasi_core::model::{ChatModel, OpenAiBuilder, OpenAiCompatible};
use pumasi_core::resilience::RetryPolicy;
use serde_json::json;

use super::ask;
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
