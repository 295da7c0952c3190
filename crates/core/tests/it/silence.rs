//! What people wrote and what keys open never shows in a `Debug` or in an error.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use pumasi_core::Error;
use pumasi_core::event::{Actor, DeadLetter, Delivery, Envelope, Reason, Receipt, State};
use pumasi_core::filter::{Datum, Field, Filter, Record};
use pumasi_core::model::{
    Cassette, ChatModel, ChatRequest, ChatResponse, Embedder, HashingEmbedder, Message, RecordedEmbedder,
    RecordedModel, Reply, ResponseFormat, ScriptedModel, Tool, ToolCall, ToolChoice,
};
use pumasi_core::text::{Analyzer, Bm25Index, CharOffsets, Morphology, Particles, TokenKind, normalize};
use serde_json::json;

/// Stands for what a person wrote, in both scripts, and for a key.
const SECRETS: [&str; 3] = ["달나라여행", "moonwalker", "sk-live-0123456789abcdefghij"];

fn text() -> String {
    SECRETS.join(" ")
}

#[track_caller]
fn silent(what: &dyn std::fmt::Debug) {
    for shown in [format!("{what:?}"), format!("{what:#?}")] {
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{secret} shows in {shown}");
        }
        // a piece of it is as bad
        assert!(!shown.contains("달나라") && !shown.contains("moonwalk"), "{shown}");
    }
}

/// With everything that caused it.
#[track_caller]
fn silent_error(error: &Error) {
    silent(error);
    let mut at: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = at {
        silent(&format_args!("{error}"));
        at = error.source();
    }
}

fn request() -> ChatRequest {
    let mut said = Message::new(pumasi_core::model::Role::Assistant, text());
    said.tool_calls.push(ToolCall::new("call-1", "save", json!({"body": text()}).to_string()));
    ChatRequest::new([Message::system(text()), Message::user(text()), said])
        .with_tools([Tool::new("save", "saves", json!({}))], ToolChoice::Auto)
        .with_response_format(ResponseFormat::JsonObject)
        .with_timeout(Duration::from_secs(1))
}

fn event() -> Envelope {
    let mut event = Envelope::new("posts", "post-1", State::Created, 1)
        .with_payload(&json!({"body": text()}))
        .unwrap()
        .with_actor(Actor::new("user-1"));
    event.headers.insert("title".to_owned(), text());
    event
}

#[test]
fn models_show_sizes_and_never_what_is_said() {
    silent(&request());
    silent(&request().messages);
    let mut answer = ChatResponse::new(text());
    answer.message.tool_calls.push(ToolCall::new("call-1", "save", text()));
    silent(&answer);
    let scripted = ScriptedModel::new([Reply::text(text())]);
    silent(&scripted);
    silent(&Reply::chunks([text()]));
    silent(&scripted.complete(request()).now_or_never());
    silent(&scripted.requests());
    silent_error(&scripted.complete(request()).now_or_never().unwrap().unwrap_err());
    let streaming = ScriptedModel::new([Reply::chunks([text(), text()])]);
    let mut stream = streaming.stream(request()).now_or_never().unwrap().unwrap();
    silent(&stream.next().now_or_never());

    let cassette = Cassette::in_memory();
    let model = RecordedModel::record(&cassette, ScriptedModel::new([Reply::text(text())]));
    model.complete(request()).now_or_never().unwrap().unwrap();
    let embedder = RecordedEmbedder::record(&cassette, HashingEmbedder::new());
    embedder.embed(&[&text()]).now_or_never().unwrap().unwrap();
    silent(&(&cassette, &model, &embedder));
    let other = ChatRequest::new([Message::user(format!("{} again", text()))]);
    let replayed = RecordedModel::replay(&cassette).unwrap();
    silent_error(&replayed.complete(other).now_or_never().unwrap().unwrap_err());
    let replayed = RecordedEmbedder::replay(&cassette).unwrap();
    silent_error(&replayed.embed(&["another text"]).now_or_never().unwrap().unwrap_err());
    let broken = cassette.to_json().unwrap().replace("\"format\": 1", &format!("\"format\": \"{}\"", text()));
    silent_error(&Cassette::from_json(&broken).unwrap_err());
}

#[cfg(feature = "openai")]
#[test]
fn a_client_shows_no_key_wherever_it_was_put() {
    use pumasi_core::model::{ApiKey, OpenAiCompatible};

    let key = SECRETS[2];
    silent(&ApiKey::new(key));
    let builder =
        OpenAiCompatible::at(format!("https://user:{key}@models.example/v1?key={key}"), "gpt-4o-mini")
            .with_api_key(key)
            .with_header("x-gateway-key", key);
    silent(&builder);
    match builder.build() {
        Ok(model) => silent(&model),
        Err(error) => silent_error(&error),
    }
    let builder = OpenAiCompatible::at(key, "gpt-4o-mini").with_api_key(format!("{key}\n"));
    silent(&builder);
    silent_error(&builder.build().unwrap_err());
}

#[cfg(feature = "slack")]
#[test]
fn what_leads_to_slack_shows_no_secret_and_no_text() {
    use pumasi_core::alert::Alerts;
    use pumasi_core::slack::{
        Callback, MessageMetadata, SignatureVerifier, SigningSecret, SlackClient, SlackMessage, SlackToken,
        SlackWebhook,
    };

    let key = SECRETS[2];
    silent(&(SigningSecret::new(key), SlackToken::new(key)));
    silent(&SignatureVerifier::new(key).with_secret(key));
    let client = SlackClient::at(&format!("https://user:{key}@slack.example/{key}"), key).unwrap();
    let webhook = SlackWebhook::new(format!("https://hooks.slack.example/services/{key}")).unwrap();
    silent(&(&client, &webhook));
    silent_error(&SlackClient::new(format!("{key}\n{key}")).unwrap_err());
    silent_error(&SlackClient::at(key, key).unwrap_err());
    silent_error(&SlackWebhook::new(key).unwrap_err());
    silent_error(&SlackWebhook::new(format!("ftp://{key}")).unwrap_err());
    let metadata = MessageMetadata::new("answer").with("text", text());
    silent(&SlackMessage::new(text()).with_metadata(metadata));
    let builder = Alerts::to_channel("service", client, "C1");
    silent(&builder);
    silent(&Alerts::to_webhook("service", webhook).start().unwrap());

    let event = json!({"type": "message", "channel": "C1", "ts": "1.2", "text": text()});
    let body = json!({"type": "event_callback", "event_id": "E", "event": event}).to_string();
    silent(&Callback::parse(body.as_bytes()).unwrap());
    silent_error(&Callback::parse(text().as_bytes()).unwrap_err());
    silent_error(&Callback::parse(json!({"type": [text()]}).to_string().as_bytes()).unwrap_err());
}

#[test]
fn events_show_which_they_are_and_never_what_they_carry() {
    let event = event();
    silent(&event);
    let receipt = Receipt { topic: "posts".into(), key: "post-1".into(), position: 1, fence: 1, attempt: 1 };
    silent(&Delivery::new(Arc::new(event.clone()), receipt));
    let reason = Reason::new("invalid_input", "the post is not understood");
    silent(&DeadLetter::new(1, event.clone(), reason, 3, event.occurred_at));
    silent_error(&event.payload::<Vec<u32>>().unwrap_err());
    silent_error(&text().parse::<pumasi_core::time::Timestamp>().unwrap_err());
    silent_error(&text().parse::<pumasi_core::event::EventId>().unwrap_err());
}

#[test]
fn text_shows_its_place_and_never_itself() {
    let source = text();
    let tokens = Analyzer::default().tokens(&source);
    assert!(tokens.iter().any(|token| token.kind == TokenKind::Stem));
    silent(&tokens);
    Analyzer::default().for_each(&source, |token| silent(&token));
    silent(&normalize(&source));
    silent(&CharOffsets::new(&source));
    let mut pieces = Vec::new();
    Particles.split("달나라여행을", &mut pieces);
    silent(&pieces);
    let mut index = Bm25Index::new(Analyzer::default());
    index.add(1, &source);
    silent(&index);
    silent(&index.search(&source, 10));
}

#[test]
fn filters_show_fields_and_never_what_is_asked_for() {
    const TITLE: Field<String> = Field::new("title");
    let filter = TITLE.eq(text()).or(TITLE.contains(text())).or(TITLE.within(text()..));
    silent(&filter);
    silent(&filter.canonical());
    let record = json!({"title": text(), "tags": [text()]});
    for field in ["title", "tags"] {
        let datum: Datum<'_> = record.field(&pumasi_core::filter::FieldPath::new(field));
        silent(&datum);
    }
    for bad in [
        json!({"eq": {"field": "title", "value": {"text": text()}}}),
        json!({"eq": {"field": "title", "value": [text()]}}),
        json!({"in": {"field": "title", "values": text()}}),
        json!({"range": {"field": "title", "gte": {"time": text()}}}),
        json!({"near": {"field": "place", "lat": text(), "lon": 1, "radius_m": 1}}),
    ] {
        let error = serde_json::from_value::<Filter>(bad).unwrap_err();
        silent(&error);
        silent(&format_args!("{error}"));
    }
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn caches_show_neither_keys_nor_values() {
    use pumasi_core::cache::{Cache, CacheAside, MemoryCache, MokaCache};

    let (memory, moka) = (Arc::new(MemoryCache::new(1 << 20)), Arc::new(MokaCache::new(1 << 20)));
    let value: Arc<[u8]> = text().into_bytes().into();
    for cache in [Arc::clone(&memory) as Arc<dyn Cache>, moka] {
        cache.set(&text(), Arc::clone(&value), Duration::from_mins(1)).await.unwrap();
        silent(&cache);
        let strings: CacheAside<String> = CacheAside::new(Arc::clone(&cache), "texts");
        let served = strings.get_or_load(&text(), || async { Ok(text()) }).await.unwrap();
        assert_eq!(*served, text());
        silent(&strings);
        // The same entry read as another type: the error is served by loading again, and is not shown either.
        let numbers: CacheAside<u32> = CacheAside::new(Arc::clone(&cache), "texts");
        silent(
            &numbers
                .get_or_load(&text(), || async { Err(Error::new(pumasi_core::ErrorKind::Other, "x")) })
                .await,
        );
    }
}
