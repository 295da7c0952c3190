//! What each server sends, and where it departs from OpenAI's protocol.
//!
//! The payloads are written from public documentation and reports, which each of them names; none was captured from a live
//! server.

use std::time::Duration;

use pumasi_core::model::{
    ChatModel, Dialect, FinishReason, OpenAiCompatible, ResponseFormat, Tool, ToolCall, ToolChoice, Usage,
};
use pumasi_core::{ErrorKind, Retry};
use serde_json::json;

use super::{KEY, ask, assert_silent, builder, once, streamed};
use crate::server::{Reply, Server};

macro_rules! payload {
    ($name:literal) => {
        Reply::payload(include_str!(concat!("payloads/", $name, ".http")))
    };
}

#[tokio::test]
async fn openai_answers_with_cached_tokens_and_the_snapshots_name() {
    let server = Server::start([payload!("openai_chat")]).await;
    let answer = once(Dialect::OpenAi, &server).complete(ask()).await.unwrap();
    assert_eq!(answer.text(), "매일 20분씩 걷기부터 시작하세요.");
    assert_eq!(answer.model, "gpt-4o-mini-2024-07-18");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens), (1190, 1024, 10));
}

#[tokio::test]
async fn openai_is_asked_with_its_headers_and_its_names_of_fields() {
    let server = Server::start([payload!("openai_chat")]).await;
    let model = builder(Dialect::OpenAi, &server)
        .with_organization("org-1")
        .with_project("proj-1")
        .with_header("x-gateway", "g")
        .with_parameter("reasoning_effort", "low")
        .build()
        .unwrap();
    let schema = json!({"type": "object"});
    let request = ask()
        .with_max_tokens(7)
        .with_temperature(0.2)
        .with_response_format(ResponseFormat::JsonSchema { name: "task".into(), schema, strict: true })
        .with_tools([Tool::new("f", "d", json!({}))], ToolChoice::Required);
    model.complete(request).await.unwrap();
    let received = server.received().pop().unwrap();
    assert_eq!(received.target, "/v1/chat/completions");
    for (name, value) in [
        ("authorization", format!("Bearer {KEY}")),
        ("openai-organization", "org-1".into()),
        ("openai-project", "proj-1".into()),
        ("x-gateway", "g".into()),
        ("content-type", "application/json".into()),
    ] {
        assert_eq!(received.headers.get(name), Some(&value));
    }
    assert_eq!(received.body["messages"][0], json!({"role": "user", "content": "비밀스러운 질문"}));
    assert_eq!(received.body["max_completion_tokens"], 7);
    assert_eq!(received.body["temperature"], 0.2);
    assert_eq!(received.body["tool_choice"], "required");
    assert_eq!(received.body["response_format"]["json_schema"]["strict"], true);
    assert_eq!(received.body["reasoning_effort"], "low");
    assert_eq!(received.body.get("max_tokens"), None);
    assert_eq!(received.body.get("stream"), None);
}

#[tokio::test]
async fn openai_streams_text_and_then_the_usage() {
    let server = Server::start([payload!("openai_stream")]).await;
    let (answer, error) = streamed(&once(Dialect::OpenAi, &server)).await;
    assert!(error.is_none());
    assert_eq!(answer.text(), "안녕 하세요");
    assert_eq!((answer.finish_reason, answer.usage), (FinishReason::Stop, Some(Usage::new(19, 4))));
    let body = server.received().pop().unwrap().body;
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
}

#[tokio::test]
async fn openai_streams_tool_calls_in_fragments() {
    let server = Server::start([payload!("openai_stream_tools")]).await;
    let (answer, _) = streamed(&once(Dialect::OpenAi, &server)).await;
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        answer.message.tool_calls,
        [
            ToolCall::new("call_DdmO9pD3xa9XTPNJ32zg2hcA", "save_task", "{\"title\":\"걷기\"}"),
            ToolCall::new("call_2", "save_task", "{}"),
        ]
    );
}

#[tokio::test]
async fn openai_refuses_whole_and_in_pieces() {
    for (reply, usage) in
        [(payload!("openai_refusal"), (81, 11)), (payload!("openai_stream_refusal"), (8, 3))]
    {
        let server = Server::start([reply]).await;
        let model = once(Dialect::OpenAi, &server);
        let whole = usage.0 == 81;
        let error =
            if whole { model.complete(ask()).await.unwrap_err() } else { streamed(&model).await.1.unwrap() };
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Refused, Retry::Never));
        assert_eq!(error.usage(), Some(Usage::new(usage.0, usage.1)));
        assert!(!format!("{error:?}").contains("sorry"));
    }
}

#[tokio::test]
async fn every_servers_failures_are_known_for_what_they_are() {
    use Dialect::{Azure, Gemini, LlamaCpp, Ollama, OpenAi, Vllm};
    let seconds = |seconds| Retry::After(Duration::from_secs(seconds));
    for (dialect, reply, kind, retry) in [
        (OpenAi, payload!("openai_quota"), ErrorKind::BudgetExhausted, Retry::Never),
        (OpenAi, payload!("openai_context"), ErrorKind::ContextTooLong, Retry::Never),
        (OpenAi, payload!("openai_key"), ErrorKind::Unauthorized, Retry::Never),
        (Azure, payload!("azure_filter"), ErrorKind::Refused, Retry::Never),
        (Azure, payload!("azure_key"), ErrorKind::Unauthorized, Retry::Never),
        (Azure, payload!("azure_busy"), ErrorKind::RateLimited, Retry::After(Duration::from_millis(20))),
        (Vllm, payload!("vllm_context"), ErrorKind::ContextTooLong, Retry::Never),
        (Vllm, payload!("vllm_detail"), ErrorKind::InvalidInput, Retry::Never),
        (LlamaCpp, payload!("llama_context"), ErrorKind::ContextTooLong, Retry::Never),
        (LlamaCpp, payload!("llama_loading"), ErrorKind::Unavailable, Retry::Now),
        (Ollama, payload!("ollama_missing"), ErrorKind::NotFound, Retry::Never),
        (Ollama, payload!("ollama_plain"), ErrorKind::Unavailable, Retry::Now),
        (Gemini, payload!("gemini_exhausted"), ErrorKind::RateLimited, seconds(37)),
        (Gemini, payload!("gemini_context"), ErrorKind::ContextTooLong, Retry::Never),
        (Gemini, payload!("gemini_key"), ErrorKind::Unauthorized, Retry::Never),
        (OpenAi, payload!("page"), ErrorKind::Unavailable, Retry::Now),
    ] {
        let server = Server::start([reply]).await;
        let model = once(dialect, &server);
        for error in [model.complete(ask()).await.unwrap_err(), streamed(&model).await.1.unwrap()] {
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{dialect:?}: {error}");
            assert!(error.message().starts_with("chat completion at 127.0.0.1:"), "{error}");
            assert_silent(&error);
        }
    }
}

#[tokio::test]
async fn azure_is_asked_at_its_deployment_with_its_own_header() {
    let server = Server::start([payload!("azure_stream")]).await;
    let model = OpenAiCompatible::azure(format!("http://{}", server.address()), "my deployment", KEY)
        .without_proxy()
        .build()
        .unwrap();
    let (answer, error) = streamed(&model).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(answer.text(), "걷기");
    assert_eq!((answer.finish_reason, answer.usage), (FinishReason::Stop, Some(Usage::new(9, 2))));
    let received = server.received().pop().unwrap();
    assert_eq!(
        received.target,
        "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(received.headers.get("api-key").map(String::as_str), Some(KEY));
    assert_eq!(received.headers.get("authorization"), None);
    let entra = OpenAiCompatible::azure(format!("http://{}", server.address()), "d", "")
        .with_bearer_token("token")
        .without_proxy()
        .build()
        .unwrap();
    streamed(&entra).await;
    let received = server.received().pop().unwrap();
    assert_eq!(received.headers.get("authorization").map(String::as_str), Some("Bearer token"));
    assert_eq!(received.headers.get("api-key"), None);
}

#[tokio::test]
async fn vllm_thinks_beside_its_answer() {
    let server = Server::start([payload!("vllm_chat"), payload!("vllm_stream")]).await;
    let model = once(Dialect::Vllm, &server);
    let answer = model.complete(ask().with_max_tokens(9)).await.unwrap();
    assert_eq!((answer.text(), answer.usage), ("9.8", Some(Usage::new(20, 40))));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(server.received()[0].body["max_tokens"], 9);
    let (answer, error) = streamed(&model).await;
    assert!(error.is_none());
    assert_eq!((answer.text(), answer.usage), ("9.8", None));
    assert_eq!(answer.finish_reason, FinishReason::Length);
}

#[tokio::test]
async fn llama_cpp_needs_no_key_and_fails_in_a_field_of_its_own() {
    let server = Server::start([payload!("llama_chat"), payload!("llama_stream_error")]).await;
    let model = OpenAiCompatible::llama_cpp("any")
        .with_base_url(server.url())
        .with_retry_policy(pumasi_core::resilience::RetryPolicy::never("test"))
        .without_proxy()
        .build()
        .unwrap();
    let answer = model.complete(ask()).await.unwrap();
    assert_eq!((answer.text(), &answer.finish_reason), ("걷기", &FinishReason::Length));
    assert_eq!(server.received()[0].headers.get("authorization"), None);
    let (_, error) = streamed(&model).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn ollama_calls_tools_whole_in_one_chunk() {
    let server = Server::start([payload!("ollama_tools")]).await;
    let (answer, error) = streamed(&once(Dialect::Ollama, &server)).await;
    assert!(error.is_none());
    assert_eq!(answer.text(), "");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let arguments: Vec<_> = answer.message.tool_calls.iter().map(|call| call.arguments.as_str()).collect();
    assert_eq!(arguments, ["{\"title\":\"걷기\"}", "{\"title\":\"쉬기\"}"]);
    assert_eq!(answer.usage, Some(Usage::new(150, 30)));
}

#[tokio::test]
async fn gemini_counts_its_thoughts_and_keeps_parallel_calls_apart() {
    let server = Server::start([payload!("gemini_chat"), payload!("gemini_tools")]).await;
    let model = once(Dialect::Gemini, &server);
    let answer = model.complete(ask()).await.unwrap();
    assert_eq!((answer.text(), answer.usage), ("걷기", Some(Usage::new(8, 202))));
    let (answer, error) = streamed(&model).await;
    assert!(error.is_none());
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        answer.message.tool_calls,
        [
            ToolCall::new("function-call-1", "save_task", "{\"title\":\"걷기\"}"),
            ToolCall::new("function-call-2", "save_task", "{\"title\":\"쉬기\"}"),
        ]
    );
}

#[tokio::test]
async fn a_failure_within_a_stream_comes_after_what_was_said() {
    let server = Server::start([payload!("openai_stream_error")]).await;
    let (answer, error) = streamed(&once(Dialect::OpenAi, &server)).await;
    let error = error.unwrap();
    assert_eq!(answer.text(), "반쯤");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Now));
    assert_silent(&error);
}
