//! Whole extractions against scripted models.

mod bad_input;
mod grounding;
mod injection;
mod long;
mod measured;
mod reask;
mod savings;
mod watch;

use pumasi_core::model::{ModelCapabilities, Reply, ScriptedModel, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Builder, Extractor, Unresolved};
use crate::extract::{
    AskMode, AttemptKind, AttemptOutcome, Budget, Extract as _, ExtractError, ExtractErrorKind as Kind,
    Grounding, Violation,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Step {
    title: String,
    #[schemars(extend("x-quote" = true))]
    quote: String,
    #[serde(default)]
    minutes: Option<u8>,
}

const SOURCE: &str =
    "작년 여름에 시작했어요. 매일 아침 30분씩 달렸습니다. 주말에는 수영을 했어요. I never skipped a week.";

fn builder(model: &ScriptedModel) -> Builder<Vec<Step>> {
    Extractor::builder(model.clone()).with_instructions("Extract the steps.").with_mode(AskMode::JsonSchema)
}

/// An answer of `items`, which costs 100 tokens of prompt and 10 of answer.
#[expect(clippy::needless_pass_by_value, reason = "callers write the value in place")]
fn reply(items: serde_json::Value) -> Reply {
    raw(json!({ "items": items }).to_string())
}

fn raw(text: impl Into<String>) -> Reply {
    Reply::text(text).with_usage(Usage::new(100, 10))
}

fn run() -> serde_json::Value {
    json!({"title": "달리기", "quote": "매일 아침 30분씩 달렸습니다", "minutes": 30})
}

fn swim() -> serde_json::Value {
    json!({"title": "수영", "quote": "주말에는 수영을 했어요", "minutes": null})
}

/// The text of the last message of the `call`th request.
fn question(model: &ScriptedModel, call: usize) -> String {
    model.requests()[call].messages.last().unwrap().content.clone()
}
