//! What metrics and spans tell of calls.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusBuilder;
use pumasi_core::model::{ChatModel, Dialect, Price};
use pumasi_core::resilience::RetryPolicy;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

use super::{KEY, ask, builder, once, streamed};
use crate::server::{Reply, Server};

/// Writes down the names and labels of what is recorded, and the fields of spans.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, what: impl Debug) {
        self.0.lock().unwrap().push(format!("{what:?}"));
    }

    fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key.to_string());
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key.to_string());
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key.to_string());
        Histogram::noop()
    }
}

impl Visit for Notes {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.note(format!("{}={value:?}", field.name()));
    }
}

impl Subscriber for Notes {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn calls_are_measured_by_model_and_kind_and_without_a_text() {
    let notes = Notes::default();
    // With one subscriber alone, `tracing` asks the thread that meets a span first whether anybody listens, and that may be
    // another test's. With two it asks them.
    let other = tracing::Dispatch::new(Notes::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&notes.clone(), || {
        tracing::subscriber::with_default(notes.clone(), || {
            runtime.block_on(async {
                let server = Server::start([
                    Reply::payload(include_str!("payloads/openai_chat.http")),
                    Reply::payload(include_str!("payloads/openai_stream.http")),
                    Reply::payload(include_str!("payloads/openai_key.http")),
                    Reply::default().then_hang(),
                ])
                .await;
                let model = once(Dialect::OpenAi, &server);
                model.complete(ask()).await.unwrap();
                assert!(streamed(&model).await.1.is_none());
                model.complete(ask()).await.unwrap_err();
                let dropped =
                    tokio::time::timeout(std::time::Duration::from_millis(50), model.complete(ask()));
                assert!(dropped.await.is_err());
            });
        });
    });
    let told = notes.all();
    for expected in [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.token.type",
        "test-model",
        "openai",
        "error.type",
        "unauthorized",
        "cancelled",
        "gen_ai.usage.input_tokens=1190",
        "gen_ai.usage.output_tokens=4",
    ] {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
    for secret in [KEY, "비밀", "걷기부터", "안녕"] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
    drop(other);
}

#[test]
fn what_calls_cost_is_counted_by_the_price_of_the_model() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = Server::start([
                Reply::payload(include_str!("payloads/openai_chat.http")),
                Reply::payload(include_str!("payloads/openai_key.http")),
            ])
            .await;
            let model = builder(Dialect::OpenAi, &server)
                .with_retry_policy(RetryPolicy::never("test"))
                .with_price(Price::new(2_000_000, 5_000_000))
                .build()
                .unwrap();
            let usage = model.complete(ask()).await.unwrap().usage.unwrap();
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (1190, 10));
            model.complete(ask()).await.unwrap_err();
        });
    });
    let told = recorder.handle().render();
    let cost: Vec<&str> =
        told.lines().filter(|line| line.starts_with("pumasi_model_cost_microdollars_total{")).collect();
    assert_eq!(cost.len(), 1, "{told}");
    assert!(cost[0].contains("gen_ai_request_model=\"test-model\"") && cost[0].ends_with(" 2430"), "{told}");
}
