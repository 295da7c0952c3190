//! The laws of the seams, on the client and a real socket.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pumasi_core::conformance::model::{ChatHarness, EmbedderHarness};
use pumasi_core::model::{ChatModel, Dialect, Embedder, HashingEmbedder, Usage};
use pumasi_core::resilience::RetryPolicy;
use serde_json::json;

use super::builder;
use crate::server::{Reply, Server};

#[derive(Default)]
struct OverHttp {
    servers: Mutex<Vec<Server>>,
}

impl OverHttp {
    fn client(&self, server: Server) -> Arc<dyn ChatModel> {
        let policy = RetryPolicy::never("test");
        let model = builder(Dialect::Vllm, &server).with_retry_policy(policy).build().unwrap();
        self.servers.lock().unwrap().push(server);
        Arc::new(model)
    }
}

fn pieces(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let piece = |piece: &[char]| {
        let content: String = piece.iter().collect();
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": content}}]}))
    };
    characters.chunks(3).map(piece).collect()
}

#[async_trait]
impl ChatHarness for OverHttp {
    async fn answering(&self, text: &str, usage: Usage) -> Arc<dyn ChatModel> {
        let usage =
            json!({"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens});
        let whole = json!({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": usage,
        });
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let last = json!({"choices": [], "usage": usage});
        let streamed = format!("{}data: {end}\n\ndata: {last}\n\ndata: [DONE]\n\n", pieces(text));
        let server = Server::answering(move |request| match request.body.get("stream") {
            Some(_) => Reply::events(&streamed),
            None => Reply::json(200, &whole.to_string()),
        });
        self.client(server.await)
    }

    async fn silent(&self) -> Option<Arc<dyn ChatModel>> {
        Some(self.client(Server::start([Reply::default().then_hang()]).await))
    }

    async fn breaking(&self, text: &str) -> Option<Arc<dyn ChatModel>> {
        Some(self.client(Server::start([Reply::chunked([pieces(text).as_bytes()])]).await))
    }

    fn busy(&self) -> Option<usize> {
        self.servers.lock().unwrap().last().map(|server| server.received().len() - server.gone())
    }
}

pumasi_core::chat_laws!(chat, OverHttp::default());

/// A server that embeds as the hashing embedder does, and fails for poison.
#[derive(Default)]
struct Served {
    servers: Mutex<Vec<Server>>,
}

impl Served {
    async fn open(&self, poison: String) -> Arc<dyn Embedder> {
        let hashing = HashingEmbedder::new();
        let dimensions = std::num::NonZeroUsize::new(hashing.dimensions()).unwrap();
        let server = Server::answering(move |request| {
            let texts: Vec<&str> =
                request.body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            if texts.contains(&poison.as_str()) {
                return Reply::json(400, &json!({"error": {"message": poison}}).to_string());
            }
            let data = texts.iter().enumerate();
            let data: Vec<_> =
                data.map(|(at, text)| json!({"index": at, "embedding": hashing.embed_one(text)})).collect();
            Reply::json(200, &json!({ "data": data }).to_string())
        })
        .await;
        let embedder = builder(Dialect::Vllm, &server).build_embedder(dimensions).unwrap();
        self.servers.lock().unwrap().push(server);
        Arc::new(embedder)
    }
}

#[async_trait]
impl EmbedderHarness for Served {
    async fn open(&self) -> Arc<dyn Embedder> {
        Served::open(self, "no such text".into()).await
    }

    async fn failing_for(&self, poison: &str) -> Option<Arc<dyn Embedder>> {
        Some(Served::open(self, poison.into()).await)
    }
}

pumasi_core::embedder_laws!(embeddings, Served::default());
