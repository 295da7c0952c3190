//! Embeddings over the wire.

use std::num::NonZeroUsize;

use pumasi_core::ErrorKind;
use pumasi_core::model::{Dialect, Embedder, OpenAiEmbedder};
use serde_json::json;

use super::builder;
use crate::server::{Reply, Server};

fn embedder(dialect: Dialect, server: &Server, dimensions: usize) -> OpenAiEmbedder {
    builder(dialect, server).build_embedder(NonZeroUsize::new(dimensions).unwrap()).unwrap()
}

#[tokio::test]
async fn vectors_come_back_in_the_order_of_the_texts_and_with_length_one() {
    let server = Server::start([Reply::payload(include_str!("payloads/embeddings.http"))]).await;
    let vectors = embedder(Dialect::OpenAi, &server, 3).embed(&["달리기", ""]).await.unwrap();
    assert_eq!(vectors, [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]);
    let received = server.received().pop().unwrap();
    assert_eq!(received.target, "/v1/embeddings");
    assert_eq!(received.body, json!({"model": "test-model", "input": ["달리기", " "]}));
}

#[tokio::test]
async fn shortened_embeddings_are_asked_for() {
    let server = Server::start([Reply::payload(include_str!("payloads/embeddings.http"))]).await;
    let dimensions = NonZeroUsize::new(3).unwrap();
    let embedder =
        builder(Dialect::OpenAi, &server).with_shortened_embeddings().build_embedder(dimensions).unwrap();
    embedder.embed(&["a", "b"]).await.unwrap();
    assert_eq!(server.received()[0].body["dimensions"], 3);
}

#[tokio::test]
async fn nothing_is_asked_for_no_text() {
    let server = Server::start([Reply::json(500, "{}")]).await;
    assert!(embedder(Dialect::OpenAi, &server, 3).embed(&[]).await.unwrap().is_empty());
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn batches_are_cut_to_what_the_server_takes_and_joined_in_order() {
    // Each text is a number of hundredths of a right angle: its vector tells which text it was made of.
    let server = Server::answering(|request| {
        let texts = request.body["input"].as_array().unwrap();
        let vector = |text: &serde_json::Value| {
            let angle = text.as_str().unwrap().parse::<f64>().unwrap() / 1_000.0;
            json!([angle.cos(), angle.sin()])
        };
        let data = texts.iter().enumerate().rev();
        let data: Vec<_> = data.map(|(at, text)| json!({"index": at, "embedding": vector(text)})).collect();
        Reply::json(200, &json!({ "data": data }).to_string())
    })
    .await;
    let texts: Vec<String> = (0..201).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder(Dialect::Gemini, &server, 2).embed(&texts).await.unwrap();
    assert_eq!(vectors.len(), 201);
    for (text, vector) in texts.iter().zip(&vectors) {
        let angle = text.parse::<f32>().unwrap() / 1_000.0;
        assert!((vector[0] - angle.cos()).abs() < 1e-5 && (vector[1] - angle.sin()).abs() < 1e-5, "{text}");
    }
    let sizes = server.received().into_iter().map(|one| one.body["input"].as_array().unwrap().len());
    let mut sizes: Vec<_> = sizes.collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 100, 100]);
}

#[tokio::test]
async fn a_batch_is_whole_or_fails() {
    for (body, says) in [
        (json!({"data": [{"index": 0, "embedding": [1.0, 0.0]}]}), "1 vectors for 2 texts"),
        (
            json!({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}),
            "1 dimensions where 2",
        ),
        (
            json!({"data": [{"index": 0, "embedding": [1.0, 0.0]}, {"index": 0, "embedding": [1.0, 0.0]}]}),
            "index",
        ),
        (
            json!({"data": [{"index": 0, "embedding": [1.0, 0.0]}, {"index": 7, "embedding": [1.0, 0.0]}]}),
            "index",
        ),
        (json!({"data": [{"embedding": [1.0, 0.0]}, {"embedding": [0.0, 0.0]}]}), "direction"),
        (json!({"data": [{"embedding": [1.0, 0.0]}, {"embedding": [null, 1.0]}]}), "no number"),
        (json!({"data": [{"embedding": [1.0, 0.0]}, {"embedding": "AACAPwAAAAA="}]}), "no list"),
        (json!({"data": null}), "no list of vectors"),
    ] {
        let server = Server::start([Reply::json(200, &body.to_string())]).await;
        let error = embedder(Dialect::Generic, &server, 2).embed(&["비밀", "b"]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
        assert!(error.message().contains(says), "{error}");
    }
    let server = Server::start([Reply::json(
        200,
        &json!({"data": [{"embedding": [3, 4]}, {"embedding": [0, 1]}]}).to_string(),
    )])
    .await;
    let vectors = embedder(Dialect::Generic, &server, 2).embed(&["a", "b"]).await.unwrap();
    assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0]]);
}

#[tokio::test]
async fn a_text_that_is_too_long_and_a_server_that_is_busy_are_told_apart() {
    let long = r#"{"error":{"message":"This model's maximum context length is 8192 tokens, however you requested 9000 tokens","type":"invalid_request_error"}}"#;
    let server = Server::start([Reply::json(400, long)]).await;
    let error = embedder(Dialect::OpenAi, &server, 2).embed(&["a"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);
    assert!(error.message().starts_with("embedding at "), "{error}");
    let good = json!({"data": [{"embedding": [3, 4]}]}).to_string();
    let server = Server::start([Reply::json(503, "{}"), Reply::json(200, &good)]).await;
    assert_eq!(embedder(Dialect::OpenAi, &server, 2).embed(&["a"]).await.unwrap().len(), 1);
    assert_eq!(server.received().len(), 2);
}
