//! What is told of calls: metrics and a span each, without texts.
//!
//! The names are those of OpenTelemetry's conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>), which have none for money.

use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::transport::Transport;
use crate::model::{FinishReason, Price, Usage};
use crate::{Error, ErrorKind};

/// Measures one call, from its beginning until it ends or is dropped.
pub(super) struct Observation {
    operation: &'static str,
    provider: &'static str,
    model: String,
    server: String,
    price: Option<Price>,
    began: Instant,
    span: Span,
    over: bool,
}

impl Observation {
    pub(super) fn begin(operation: &'static str, model: &str, transport: &Transport) -> Self {
        let provider = transport.dialect.provider();
        let span = tracing::info_span!(
            "gen_ai",
            gen_ai.operation.name = operation,
            gen_ai.provider.name = provider,
            gen_ai.request.model = model,
            server.address = transport.host,
            gen_ai.response.finish_reason = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            error.type = Empty,
        );
        let (model, server, price) = (model.to_owned(), transport.host.clone(), transport.price);
        Self { operation, provider, model, server, price, began: Instant::now(), span, over: false }
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Notes that the first piece of a stream came.
    pub(super) fn first_chunk(&self) {
        let labels = self.labels();
        metrics::histogram!("gen_ai.client.operation.time_to_first_chunk", labels.iter())
            .record(self.began.elapsed().as_secs_f64());
    }

    pub(super) fn succeed(mut self, reason: Option<&FinishReason>, usage: Option<Usage>) {
        if let Some(reason) = reason {
            self.span.record("gen_ai.response.finish_reason", tracing::field::debug(reason));
        }
        self.finish(None, usage);
    }

    pub(super) fn fail(mut self, error: &Error) {
        self.finish(Some(error.kind()), error.usage());
    }

    fn labels(&self) -> Vec<metrics::Label> {
        vec![
            metrics::Label::new("gen_ai.operation.name", self.operation),
            metrics::Label::new("gen_ai.provider.name", self.provider),
            metrics::Label::new("gen_ai.request.model", self.model.clone()),
            metrics::Label::new("server.address", self.server.clone()),
        ]
    }

    fn finish(&mut self, error: Option<ErrorKind>, usage: Option<Usage>) {
        self.over = true;
        let mut labels = self.labels();
        if let Some(usage) = usage {
            self.span.record("gen_ai.usage.input_tokens", usage.prompt_tokens);
            self.span.record("gen_ai.usage.output_tokens", usage.completion_tokens);
            for (kind, tokens) in [("input", usage.prompt_tokens), ("output", usage.completion_tokens)] {
                let mut labels = labels.clone();
                labels.push(metrics::Label::new("gen_ai.token.type", kind));
                metrics::counter!("gen_ai.client.token.usage", labels.iter()).increment(tokens);
            }
        }
        if let (Some(usage), Some(price)) = (usage, self.price) {
            metrics::counter!("pumasi_model_cost_microdollars_total", labels.iter())
                .increment(price.cost(&usage).as_micros());
        }
        if let Some(kind) = error {
            self.span.record("error.type", kind.as_str());
            labels.push(metrics::Label::new("error.type", kind.as_str()));
        }
        metrics::histogram!("gen_ai.client.operation.duration", labels.iter())
            .record(self.began.elapsed().as_secs_f64());
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.over {
            self.finish(Some(ErrorKind::Cancelled), None);
        }
    }
}
