//! Answers, put together from what servers send of them.

use serde_json::Value;

use super::failure::Call;
use super::tool_calls::ToolCalls;
use crate::http::{identifier, name_with};
use crate::model::{ChatChunk, ChatResponse, FinishReason, Usage};
use crate::{Error, ErrorKind, Result};

/// An answer as it arrives, whole or in pieces.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what has been seen so far, independently")]
pub(super) struct Answer {
    model: String,
    calls: ToolCalls,
    finish: Option<FinishReason>,
    /// Whether the answer is over: the last piece said nothing but why, or said why where others with text had not. Some
    /// servers say `stop` with every piece.
    settled: bool,
    /// Whether a piece with text came without a reason, and whether text came after one.
    has_open_text: bool,
    has_late_text: bool,
    usage: Option<Usage>,
    /// Whether any choice came at all.
    begun: bool,
    has_text: bool,
    refused: bool,
}

impl Answer {
    /// Takes a completion or a chunk of one, and returns its text.
    ///
    /// Choices may be missing or empty: Azure's first chunk holds only what its filter says of the prompt, the last chunk
    /// only the usage.
    pub(super) fn absorb(&mut self, body: &Value) -> String {
        if let Some(model) = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) {
            self.model = model_name(model).unwrap_or_default();
        }
        self.note_usage(body);
        let first = |choice: &&Value| choice.get("index").and_then(whole_number).unwrap_or(0) == 0;
        let choices = body.get("choices").and_then(Value::as_array);
        let Some(choice) = choices.and_then(|choices| choices.iter().find(first)) else {
            return String::new();
        };
        self.begun = true;
        self.settled = false;
        let had_finished = self.finish.is_some();
        if let Some(reason) =
            choice.get("finish_reason").and_then(Value::as_str).filter(|name| !name.is_empty())
        {
            self.finish = Some(finish_reason(reason));
        }
        // A last chunk may repeat the whole message beside its delta.
        let message = match choice.get("delta") {
            Some(delta @ Value::Object(_)) => delta,
            _ => match choice.get("message") {
                Some(message) if !self.has_text && self.calls.is_empty() => message,
                _ => {
                    self.settled = self.finish.is_some();
                    return String::new();
                }
            },
        };
        self.refused |=
            message.get("refusal").and_then(Value::as_str).is_some_and(|refusal| !refusal.is_empty());
        if let Some(calls) = message.get("tool_calls") {
            self.calls.absorb(calls);
        }
        let text = message.get("content").map(content).unwrap_or_default();
        self.has_text |= !text.is_empty();
        let says =
            |name: &str| message.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let goes_on = !text.is_empty() || says("reasoning") || says("reasoning_content");
        if !text.is_empty() {
            self.has_late_text |= had_finished;
            self.has_open_text |= self.finish.is_none();
        }
        self.settled = self.finish.is_some() && (!goes_on || (self.has_open_text && !self.has_late_text));
        text
    }

    /// Takes the usage alone of whatever the server says.
    pub(super) fn note_usage(&mut self, body: &Value) {
        self.usage = usage(body.get("usage")).or(self.usage);
    }

    /// Tells whether any choice came.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Tells whether the server has said why the answer ended.
    pub(super) fn has_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Tells whether nothing but the usage and the end mark can follow.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Ends a stream with its last chunk.
    ///
    /// # Errors
    ///
    /// `Refused` if the model or a filter declined, `Protocol` if no answer came.
    pub(super) fn end(self, call: Call<'_>) -> Result<ChatChunk> {
        let usage = self.usage;
        let with_usage = |error: Error| error.with_known_usage(usage);
        if !self.begun {
            return Err(with_usage(call.error(ErrorKind::Protocol, "gave no choice")));
        }
        if self.refused {
            return Err(with_usage(call.error(ErrorKind::Refused, "was refused by the model")));
        }
        let reason = match self.finish {
            // Some servers say `stop` of an answer that calls tools (Gemini), some say nothing.
            None | Some(FinishReason::Stop) if !self.calls.is_empty() => FinishReason::ToolCalls,
            None => FinishReason::Stop,
            Some(FinishReason::ContentFilter) if !self.has_text && self.calls.is_empty() => {
                return Err(with_usage(call.error(ErrorKind::Refused, "was stopped by a content filter")));
            }
            Some(FinishReason::Other(name)) if !call.may_tell(&name) => FinishReason::Other(String::new()),
            Some(reason) => reason,
        };
        let mut chunk = ChatChunk::end(reason, usage);
        chunk.tool_calls = self.calls.finish();
        Ok(chunk)
    }

    /// Reads a whole completion.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(super) fn whole(body: &Value, call: Call<'_>) -> Result<ChatResponse> {
        let mut answer = Self::default();
        let text = answer.absorb(body);
        let mut response = ChatResponse::new(text);
        if call.is_harmless(&answer.model) {
            response.model.clone_from(&answer.model);
        }
        response.push(answer.end(call)?);
        Ok(response)
    }
}

/// Reads a content: text, nothing, or a list of parts of which the texts count (Mistral's models behind vLLM).
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// Takes the name of a model, which may have a path before it, and a version after an `@`; a mail address is none.
fn model_name(name: &str) -> Option<String> {
    let is_address = name.rsplit_once('@').is_some_and(|(_, behind)| behind.contains('.'));
    name_with(name, b"/@").filter(|_| !is_address)
}

fn finish_reason(name: &str) -> FinishReason {
    match name.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" | "completed" => FinishReason::Stop,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        // Gemini names the reason after a colon.
        filtered
            if filtered.starts_with("content_filter")
                || matches!(
                    filtered,
                    "safety" | "recitation" | "prohibited_content" | "blocklist" | "spii"
                ) =>
        {
            FinishReason::ContentFilter
        }
        // whatever else a server writes there may be anybody's
        _ => FinishReason::Other(identifier(name).unwrap_or_default()),
    }
}

/// Reads a number that is none below zero; servers written in languages without whole numbers write `3.0`.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is too large is as large as numbers are"
    )]
    let rounded = |number: f64| number.round() as u64;
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(rounded))
}

/// Reads a usage; what is missing or no number counts as zero, and nothing but zeros as no usage.
pub(super) fn usage(usage: Option<&Value>) -> Option<Usage> {
    let usage = usage?;
    let number = |value: Option<&Value>| value.and_then(whole_number).unwrap_or(0);
    let prompt = number(usage.get("prompt_tokens"));
    let completion = number(usage.get("completion_tokens"));
    // Gemini leaves the tokens of its reasoning out of the completion, but not out of the total.
    let total = number(usage.get("total_tokens"));
    let mut read = Usage::new(prompt, completion.max(total.saturating_sub(prompt)));
    let details = usage.get("prompt_tokens_details").and_then(|details| details.get("cached_tokens"));
    read.cached_tokens = number(details.or_else(|| usage.get("prompt_cache_hit_tokens"))).min(prompt);
    (read.total_tokens() > 0).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::model::openai::secrets::Secrets;
    use std::sync::LazyLock;

    static CALL: LazyLock<Call<'_>> = LazyLock::new(|| {
        static NONE: LazyLock<Secrets> = LazyLock::new(Secrets::default);
        Call { operation: "chat completion", host: "h", sent: b"{}", secrets: &NONE, with_message: false }
    });

    #[test]
    fn usage_is_read_however_much_of_it_is_there() {
        let cached = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}});
        let mut expected = Usage::new(9, 2);
        expected.cached_tokens = 4;
        assert_eq!(usage(Some(&cached)), Some(expected));
        let reasoning = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 111});
        assert_eq!(usage(Some(&reasoning)), Some(Usage::new(9, 102)));
        assert_eq!(usage(Some(&json!({"prompt_tokens": 9}))), Some(Usage::new(9, 0)));
        let decimals = json!({"prompt_tokens": 90_000.0, "completion_tokens": 3.0, "total_tokens": 90_003.0, "prompt_tokens_details": {"cached_tokens": 4e3}});
        let mut expected = Usage::new(90_000, 3);
        expected.cached_tokens = 4_000;
        assert_eq!(usage(Some(&decimals)), Some(expected));
        assert_eq!(usage(Some(&json!({"prompt_tokens": 1e300}))), Some(Usage::new(u64::MAX, 0)));
        for none in
            [json!(null), json!({}), json!({"prompt_tokens": null, "completion_tokens": -1}), json!("x")]
        {
            assert_eq!(usage(Some(&none)), None, "{none}");
        }
    }

    #[test]
    fn contents_may_be_text_parts_or_nothing() {
        for (value, text) in [
            (json!("가"), "가"),
            (json!(null), ""),
            (
                json!([{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]),
                "ab",
            ),
        ] {
            let body = json!({"choices": [{"message": {"content": value}, "finish_reason": "stop"}]});
            assert_eq!(Answer::whole(&body, *CALL).unwrap().text(), text);
        }
    }

    #[test]
    fn a_refusal_or_an_empty_filtered_answer_is_refused_with_its_usage() {
        let refusal = json!({"choices": [{"message": {"content": null, "refusal": "I can't"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3}});
        let error = Answer::whole(&refusal, *CALL).unwrap_err();
        assert_eq!((error.kind(), error.usage()), (ErrorKind::Refused, Some(Usage::new(5, 3))));
        assert!(!format!("{error:?}").contains("can't"));
        let empty = json!({"choices": [{"message": {"content": ""}, "finish_reason": "content_filter: PROHIBITED_CONTENT"}]});
        assert_eq!(Answer::whole(&empty, *CALL).unwrap_err().kind(), ErrorKind::Refused);
        let cut = json!({"choices": [{"message": {"content": "half"}, "finish_reason": "content_filter"}]});
        assert_eq!(Answer::whole(&cut, *CALL).unwrap().finish_reason, FinishReason::ContentFilter);
    }

    #[test]
    fn what_a_server_writes_as_a_name_is_one_or_is_left_out() {
        let mut secrets = Secrets::default();
        secrets.add("sk-secret-key-123");
        let call = Call { secrets: &secrets, ..*CALL };
        for name in [
            "제 전화번호는 010-1234-5678",
            "hong.gildong@example.com",
            "Bearer sk-secret-key-123",
            "sk-secret-key-123",
            &"x".repeat(80),
        ] {
            let body =
                json!({"model": name, "choices": [{"message": {"content": "a"}, "finish_reason": name}]});
            let answer = Answer::whole(&body, call).unwrap();
            assert_eq!(
                (answer.finish_reason.clone(), answer.model.as_str()),
                (FinishReason::Other(String::new()), "")
            );
            assert!(!format!("{answer:?}").contains("secret"));
        }
        let body = json!({"model": "gpt-4o:free/x", "choices": [{"message": {"content": "a"}, "finish_reason": "paused"}]});
        let answer = Answer::whole(&body, call).unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Other("paused".to_owned()));
        assert_eq!(answer.model, "gpt-4o:free/x");
        assert_eq!(model_name("google/claude-3-5@20240620").as_deref(), Some("google/claude-3-5@20240620"));
    }

    #[test]
    fn calls_that_a_last_chunk_repeats_are_not_doubled() {
        let call = json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"q\":1}"}}]);
        let mut answer = Answer::default();
        answer.absorb(&json!({"choices": [{"delta": {"tool_calls": call}}]}));
        answer
            .absorb(&json!({"choices": [{"message": {"tool_calls": call}, "finish_reason": "tool_calls"}]}));
        assert_eq!(answer.end(*CALL).unwrap().tool_calls[0].arguments, "{\"q\":1}");
    }

    #[test]
    fn a_missing_choice_is_against_the_protocol() {
        for body in [json!({}), json!({"choices": null}), json!({"choices": []}), json!([1]), json!("x")] {
            assert_eq!(Answer::whole(&body, *CALL).unwrap_err().kind(), ErrorKind::Protocol, "{body}");
        }
    }

    #[test]
    fn the_last_chunk_repeats_no_text() {
        let mut answer = Answer::default();
        assert_eq!(answer.absorb(&json!({"choices": [{"delta": {"content": "가"}}]})), "가");
        let last = json!({"choices": [{"message": {"content": "가"}, "finish_reason": "STOP"}]});
        assert_eq!(answer.absorb(&last), "");
        assert_eq!(answer.end(*CALL).unwrap().finish_reason, Some(FinishReason::Stop));
    }
}
