//! The client against a server that is not ours: llama.cpp's, with a tiny model of noise, or whatever `PUMASI_OPENAI_URL` names.
//!
//! `PUMASI_OPENAI_KEY` and `PUMASI_OPENAI_MODEL` say how it is asked, `PUMASI_OPENAI_DIMENSIONS` that it embeds, too.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use pumasi_core::conformance::{Server, skip};
use pumasi_core::model::{
    ChatModel, ChatRequest, ChatResponse, Embedder, FinishReason, Message, OpenAiBuilder, OpenAiCompatible,
    OpenAiEmbedder, ResponseFormat,
};
use pumasi_core::resilience::RetryPolicy;
use pumasi_core::{Error, ErrorKind, Retry};
use serde_json::{Value, json};

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Configures a client of the real server that tries once, so that a test sees what a call comes to.
fn real(test: &str) -> Option<OpenAiBuilder> {
    let url = Server::OpenAi.url(test)?;
    let model = variable("PUMASI_OPENAI_MODEL").unwrap_or_else(|| "default".into());
    let client = OpenAiCompatible::at(url, model)
        .without_proxy()
        .with_timeout(Duration::from_mins(1))
        .with_retry_policy(RetryPolicy::never("test"));
    Some(match variable("PUMASI_OPENAI_KEY") {
        Some(key) => client.with_api_key(key),
        None => client,
    })
}

fn real_embedder(test: &str) -> Option<OpenAiEmbedder> {
    let client = real(test)?;
    let dimensions = variable("PUMASI_OPENAI_DIMENSIONS").and_then(|count| count.parse().ok());
    if dimensions.is_none() {
        skip(test, "needs a server that embeds: PUMASI_OPENAI_DIMENSIONS is not set");
    }
    Some(client.build_embedder(dimensions?).unwrap())
}

/// A question in both languages, answered the same each time.
fn question() -> ChatRequest {
    ChatRequest::new([
        Message::system("Answer in one line."),
        Message::user("달리기를 시작하려면? How do I begin?"),
    ])
    .with_temperature(0.0)
    .with_seed(1)
    .with_max_tokens(40)
}

/// A conversation that is longer than any model of the tests takes.
fn endless() -> ChatRequest {
    ChatRequest::new([Message::user("멀리 달린다 ".repeat(60_000))]).with_max_tokens(5)
}

/// An answer that takes a while, and does not end by itself where the server knows `ignore_eos`.
fn long_winded(client: OpenAiBuilder) -> (OpenAiCompatible, ChatRequest) {
    let client = client.with_parameter("ignore_eos", true);
    (client.build().unwrap(), question().with_max_tokens(3_500))
}

/// Streams to the end: the pieces of text, and the answer that they make.
async fn streamed(model: &OpenAiCompatible, request: ChatRequest) -> Result<(usize, ChatResponse), Error> {
    let (mut pieces, mut answer) = (0, ChatResponse::new(""));
    let mut stream = model.stream(request).await?;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        pieces += usize::from(!chunk.content.is_empty());
        answer.push(chunk);
    }
    Ok((pieces, answer))
}

/// Holds an error to what it should be, and to silence about what was asked.
#[track_caller]
fn assert_fails(error: &Error, kind: ErrorKind) {
    assert_eq!((error.kind(), error.retry()), (kind, Retry::Never), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("달리") && !shown.contains("sk-"), "{shown}");
}

#[tokio::test]
async fn it_answers_and_says_what_that_took() {
    let Some(client) = real("it_answers_and_says_what_that_took") else { return };
    let answer = client.build().unwrap().complete(question()).await.unwrap();
    assert!(!answer.text().is_empty());
    let usage = answer.usage.unwrap();
    assert!(usage.prompt_tokens > 0 && (1..=40).contains(&usage.completion_tokens), "{usage:?}");
    let cut = usage.completion_tokens == 40;
    assert_eq!(answer.finish_reason, if cut { FinishReason::Length } else { FinishReason::Stop });
}

#[tokio::test]
async fn a_stream_joined_is_the_whole_answer() {
    let Some(client) = real("a_stream_joined_is_the_whole_answer") else { return };
    let model = client.build().unwrap();
    let whole = model.complete(question()).await.unwrap();
    let (pieces, joined) = streamed(&model, question()).await.unwrap();
    assert!(pieces > 1, "{pieces}");
    assert_eq!(joined.text(), whole.text());
    assert_eq!(joined.finish_reason, whole.finish_reason);
    let tokens = |answer: &ChatResponse| answer.usage.map(|usage| usage.completion_tokens);
    assert_eq!(tokens(&joined), tokens(&whole));
}

#[tokio::test]
async fn more_calls_than_it_has_room_for_are_all_answered() {
    let Some(client) = real("more_calls_than_it_has_room_for_are_all_answered") else { return };
    let model = client.build().unwrap();
    let calls = (0..24).map(|call| {
        let (model, request) = (model.clone(), question().with_seed(call).with_temperature(1.0));
        async move {
            if call % 2 == 0 {
                model.complete(request).await
            } else {
                streamed(&model, request).await.map(|(_, answer)| answer)
            }
        }
    });
    for answer in join_all(calls).await {
        assert!(answer.unwrap().usage.unwrap().completion_tokens > 0);
    }
}

#[tokio::test]
async fn a_stop_sequence_ends_the_answer_before_it() {
    let Some(client) = real("a_stop_sequence_ends_the_answer_before_it") else { return };
    let model = client.build().unwrap();
    let whole = model.complete(question()).await.unwrap();
    let stop: String = whole.text().chars().skip(5).take(2).collect();
    let cut = model.complete(question().with_stop([stop.clone()])).await.unwrap();
    assert_eq!(cut.finish_reason, FinishReason::Stop);
    assert_eq!(Some(cut.text()), whole.text().split(&stop).next());
}

#[tokio::test]
async fn a_schema_holds_even_a_model_that_knows_nothing() {
    let Some(client) = real("a_schema_holds_even_a_model_that_knows_nothing") else { return };
    let model = client.build().unwrap();
    let schema = json!({
        "type": "object",
        "properties": {
            "kind": {"enum": ["성공담", "question"]},
            "steps": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}, "minItems": 1, "maxItems": 3},
            "done": {"type": "boolean"},
        },
        "required": ["kind", "steps", "done"],
        "additionalProperties": false,
    });
    let format = ResponseFormat::JsonSchema { name: "post".into(), schema, strict: true };
    for seed in 0..5 {
        let request = question().with_seed(seed).with_temperature(0.8).with_max_tokens(600);
        let (_, answer) = streamed(&model, request.with_response_format(format.clone())).await.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Stop);
        let value: Value = serde_json::from_str(answer.text()).unwrap();
        assert!(["성공담", "question"].contains(&value["kind"].as_str().unwrap()), "{value}");
        let steps = value["steps"].as_array().unwrap();
        assert!((1..=3).contains(&steps.len()), "{value}");
        assert!(steps.iter().all(|step| (1..=9).contains(&step.as_u64().unwrap())), "{value}");
        assert!(value["done"].is_boolean(), "{value}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_not_tried_again() {
    let test = "a_wrong_key_is_refused_and_not_tried_again";
    let Some(client) = real(test) else { return };
    if variable("PUMASI_OPENAI_KEY").is_none() {
        return skip(test, "needs a server that asks for a key: PUMASI_OPENAI_KEY is not set");
    }
    let client = client.with_api_key("sk-wrong").with_retry_policy(RetryPolicy::new("test"));
    let model = client.clone().build().unwrap();
    assert_fails(&model.complete(question()).await.unwrap_err(), ErrorKind::Unauthorized);
    assert_fails(&streamed(&model, question()).await.unwrap_err(), ErrorKind::Unauthorized);
    let embedder = client.build_embedder(NonZeroUsize::MIN).unwrap();
    assert_fails(&embedder.embed(&["달리기"]).await.unwrap_err(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn an_unknown_model_is_not_found_unless_the_server_serves_but_one() {
    let Some(client) = real("an_unknown_model_is_not_found_unless_the_server_serves_but_one") else { return };
    let known = client.clone().build().unwrap();
    let unknown = client.with_parameter("model", "no-such-model").build().unwrap();
    match unknown.complete(question()).await {
        // llama.cpp answers with the model it has, and so has to give the answer of that.
        Ok(answer) => assert_eq!(answer.text(), known.complete(question()).await.unwrap().text()),
        Err(error) => assert_fails(&error, ErrorKind::NotFound),
    }
}

#[tokio::test]
async fn what_does_not_fit_is_said_to_be_too_long() {
    let Some(client) = real("what_does_not_fit_is_said_to_be_too_long") else { return };
    let model = client.build().unwrap();
    assert_fails(&model.complete(endless()).await.unwrap_err(), ErrorKind::ContextTooLong);
    assert_fails(&streamed(&model, endless()).await.unwrap_err(), ErrorKind::ContextTooLong);
}

#[tokio::test]
async fn a_text_too_long_to_embed_is_said_to_be_so() {
    let Some(embedder) = real_embedder("a_text_too_long_to_embed_is_said_to_be_so") else { return };
    let error = embedder.embed(&["짧다", &"멀리 달린다 ".repeat(10_000)]).await.unwrap_err();
    assert_fails(&error, ErrorKind::ContextTooLong);
}

#[tokio::test]
async fn a_call_ends_by_its_deadline() {
    let Some(client) = real("a_call_ends_by_its_deadline") else { return };
    let (model, request) = long_winded(client);
    let request = request.with_timeout(Duration::from_millis(60));
    let begun = Instant::now();
    assert_eq!(model.complete(request.clone()).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(streamed(&model, request).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// How many tokens the server has made so far, where it tells (llama.cpp).
async fn tokens_made() -> Option<f64> {
    let (url, key) = (variable("PUMASI_OPENAI_URL")?, variable("PUMASI_OPENAI_KEY").unwrap_or_default());
    let url = format!("{}/metrics", url.trim_end_matches("/v1"));
    let client = reqwest::Client::builder().no_proxy().build().ok()?;
    let answer = client.get(url).bearer_auth(key).send().await.ok()?.text().await.ok()?;
    answer.lines().find_map(|line| line.strip_prefix("llamacpp:tokens_predicted_total ")?.parse().ok())
}

#[tokio::test]
async fn a_dropped_stream_or_call_stops_the_server() {
    let test = "a_dropped_stream_or_call_stops_the_server";
    let Some(client) = real(test) else { return };
    let Some(before) = tokens_made().await else {
        return skip(test, "needs a server that counts its tokens");
    };
    let (model, request) = long_winded(client);
    let model = Arc::new(model);
    for _ in 0..10 {
        let mut stream = model.stream(request.clone()).await.unwrap();
        assert!(!stream.next().await.unwrap().unwrap().content.is_empty());
        drop(stream);
        let call = tokio::time::timeout(Duration::from_millis(20), model.complete(request.clone()));
        assert!(call.await.is_err(), "the answer is long enough to be cut");
    }
    // Whatever was not stopped is answered before this, or at least begun.
    model.complete(question()).await.unwrap();
    let made = tokens_made().await.unwrap() - before;
    // Twenty whole answers would be 70,000; the other tests, which run meanwhile, make a tenth of that.
    assert!(made < 20_000.0, "{made}");
}

#[tokio::test]
async fn embeddings_keep_their_order_and_have_length_one() {
    let Some(embedder) = real_embedder("embeddings_keep_their_order_and_have_length_one") else { return };
    let texts = ["달리기를 시작한다", "", "running", "🏃‍♀️ 42.195", "running"];
    let vectors = embedder.embed(&texts).await.unwrap();
    assert_eq!(vectors.len(), texts.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_eq!(vector.len(), embedder.dimensions());
        assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
        let alone = embedder.embed(&[text]).await.unwrap();
        assert!(dot(&alone[0], vector) > 0.999, "{text}: its vector is another's");
    }
    assert!(dot(&vectors[2], &vectors[4]) > 0.999);
    assert!(dot(&vectors[0], &vectors[2]) < 0.999, "other texts have other vectors");
}
