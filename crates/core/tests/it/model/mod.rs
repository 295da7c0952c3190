//! The OpenAI-compatible client against a real socket.

mod echoes;
mod embeddings;
mod failures;
#[cfg(feature = "conformance")]
mod laws;
mod limits;
mod observed;
mod payloads;
#[cfg(feature = "conformance")]
mod real;
mod streams;

use std::time::Duration;

use futures_util::StreamExt;
use pumasi_core::Error;
use pumasi_core::model::{
    ChatModel, ChatRequest, ChatResponse, Dialect, Message, OpenAiBuilder, OpenAiCompatible,
};
use pumasi_core::resilience::{Backoff, RetryPolicy};

use crate::server::Server;

const KEY: &str = "sk-secret-key-1234567890abcdef";

fn builder(dialect: Dialect, server: &Server) -> OpenAiBuilder {
    let policy = RetryPolicy::new("test")
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(5)));
    OpenAiCompatible::at(server.url(), "test-model")
        .with_dialect(dialect)
        .with_api_key(KEY)
        .without_proxy()
        .with_retry_policy(policy)
}

/// A client that tries once.
fn once(dialect: Dialect, server: &Server) -> OpenAiCompatible {
    builder(dialect, server).with_retry_policy(RetryPolicy::never("test")).build().unwrap()
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("비밀스러운 질문")]).with_timeout(Duration::from_secs(20))
}

/// Streams to the end: the answer so far, and the error that ended it.
async fn streamed(model: &OpenAiCompatible) -> (ChatResponse, Option<Error>) {
    let mut answer = ChatResponse::new("");
    let mut stream = match model.stream(ask()).await {
        Ok(stream) => stream,
        Err(error) => return (answer, Some(error)),
    };
    while let Some(item) = stream.next().await {
        match item {
            Ok(chunk) => answer.push(chunk),
            Err(error) => {
                assert!(stream.next().await.is_none(), "a stream ends with its error");
                return (answer, Some(error));
            }
        }
    }
    (answer, None)
}

/// Nothing that an error shows may hold the key, the question or the answer.
fn assert_silent(error: &Error) {
    let shown = format!("{error} {error:?}");
    for secret in [KEY, "sk-", "비밀", "반쯤"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
