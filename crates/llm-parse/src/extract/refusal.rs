//! Tells an answer that declines, or that reports an error, from one that is merely malformed.

use serde_json::Value;

/// How declining answers begin, folded to lower case with plain apostrophes.
const OPENINGS: [&str; 34] = [
    "i'm sorry",
    "i am sorry",
    "sorry, but",
    "sorry, i",
    "i apologize",
    "i can't",
    "i cannot",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "i won't",
    "i will not be able",
    "as an ai",
    "as a language model",
    "unfortunately, i can",
    "i must decline",
    "i have to decline",
    "i'm afraid i can",
    "my apologies",
    "죄송하지만",
    "죄송합니다",
    "미안하지만",
    "죄송해요",
    "유감스럽지만",
    "유감이지만",
    "안타깝지만",
    "도와드릴 수 없",
    "도와 드릴 수 없",
    "답변할 수 없",
    "답변드릴 수 없",
    "요청을 처리할 수 없",
    "ai 언어 모델로서",
];

/// Tells whether `answer`, which no value was found in, declines.
///
/// Only the beginning counts: a post that is quoted further on may say anything.
pub(crate) fn declines(answer: &str) -> bool {
    let mut head = answer.trim_start();
    if let Some((_, after)) = head.strip_prefix("<think>").and_then(|rest| rest.split_once("</think>")) {
        head = after.trim_start();
    }
    let head: String = head
        .chars()
        .skip_while(|c| !c.is_alphanumeric())
        .take(60)
        .map(|c| if matches!(c, '’' | '‘' | 'ʼ') { '\'' } else { c })
        .collect::<String>()
        .to_lowercase();
    OPENINGS
        .iter()
        .any(|opening| head.starts_with(opening) || (!opening.is_ascii() && head.contains(opening)))
}

/// Tells whether `answer` is the error of a server that came with status 200, given that it does not fit the schema, whose
/// properties `is_named` knows.
pub(crate) fn is_error_body(answer: &str, is_named: impl Fn(&str) -> bool) -> bool {
    let Some(body) = object(answer) else { return false };
    let own = |key: &str| body.get(key).filter(|_| !is_named(key));
    let told = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(error) => ["message", "type", "code"].iter().any(|key| error.contains_key(*key)),
        Value::Array(errors) => !errors.is_empty(),
        _ => false,
    };
    ["error", "errors", "detail"].iter().any(|key| own(key).is_some_and(told))
        || own("object").and_then(Value::as_str) == Some("error")
        || own("message").is_some_and(Value::is_string)
        || ["choices", "tool_calls"].iter().any(|key| own(key).is_some_and(Value::is_array))
}

/// Says why an answer of which an empty list was made does not say that there is nothing, if it does not.
pub(crate) fn not_empty(answer: &str, wrapper: &str, is_named: impl Fn(&str) -> bool) -> Option<NotEmpty> {
    let body = match serde_json::from_str::<Value>(answer.trim()) {
        Ok(Value::Object(body)) => body,
        Ok(Value::Null) => return Some(NotEmpty::NoValue),
        _ => return None,
    };
    let told = |key: &str| {
        let value = body.get(key).filter(|_| !is_named(key));
        value.is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()) || value.is_object())
    };
    if told("refusal") {
        return Some(NotEmpty::Refused);
    }
    if told("error") || told("errors") {
        return Some(NotEmpty::Error);
    }
    // A model may name the wrapper otherwise, or wrap it once more; an envelope or a list beside other things is none.
    let mut inside = &body;
    loop {
        if inside.contains_key(wrapper) {
            return None;
        }
        let mut entries = inside.iter();
        match (entries.next(), entries.next()) {
            (Some((_, Value::Object(inner))), None) => inside = inner,
            (Some((key, Value::Array(_))), None) if !ENVELOPES.contains(&key.as_str()) => return None,
            _ if is_error_body(answer, &is_named) => return Some(NotEmpty::Error),
            _ => return Some(NotEmpty::NoValue),
        }
    }
}

/// Lists that say nothing of what was asked for.
const ENVELOPES: [&str; 6] = ["choices", "errors", "warnings", "tool_calls", "messages", "logs"];

/// Is why an answer is not the word that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotEmpty {
    /// It declines.
    Refused,
    /// It reports an error.
    Error,
    /// Its list is another one.
    NoValue,
}

fn object(answer: &str) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_str(answer.trim()) {
        Ok(Value::Object(body)) => Some(body),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declining_answers_are_known_in_both_languages() {
        for answer in [
            "I'm sorry, I can't help with that.",
            "I’m sorry, but I cannot assist with this request.",
            "  \"I cannot process this post.\"",
            "<think>hm</think>\nAs an AI, I must not…",
            "죄송하지만 이 요청은 처리할 수 없습니다.",
            "죄송합니다. 도와드릴 수 없습니다.",
            "해당 내용은 답변할 수 없습니다.",
        ] {
            assert!(declines(answer), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_only_mentions_regret_does_not_decline() {
        for answer in [
            "{\"title\": \"I'm sorry letters\"}",
            "Here are the tasks. The author says sorry, I could not run.",
            "Tasks: run",
            "오늘의 할 일은 다음과 같고, 작성자는 늦어서 친구에게 미안함을 느꼈다고 합니다.",
            "",
        ] {
            assert!(!declines(answer), "{answer}");
        }
    }

    #[test]
    fn error_bodies_are_told_from_values() {
        let is_error_body = |answer| is_error_body(answer, |name| name == "message");
        assert!(is_error_body(r#"{"error": {"message": "overloaded", "type": "server_error"}}"#));
        assert!(is_error_body(r#"{"object": "error", "message": "no slot"}"#));
        assert!(is_error_body(r#"{"error": "model not loaded"}"#));
        assert!(is_error_body(r#"{"detail": "Not Found"}"#));
        assert!(!is_error_body(r#"{"error": null, "items": []}"#));
        assert!(!is_error_body(r#"{"error": 0.12}"#));
        assert!(!is_error_body(r#"{"message": "Buy shoes"}"#), "the schema has such a field");
        assert!(!is_error_body("not json"));
    }
}
