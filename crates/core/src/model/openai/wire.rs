//! Requests as they go over the wire.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::model::{ChatRequest, Message, ResponseFormat, Role, ToolChoice};

/// What a client adds to every request.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) dialect: Dialect,
    pub(super) model: &'a str,
    pub(super) parameters: &'a Map<String, Value>,
    pub(super) stream_usage: bool,
}

/// Writes the body of a chat completion.
pub(super) fn chat_body(settings: Settings<'_>, request: &ChatRequest, stream: bool) -> Value {
    let Settings { dialect, model, parameters, stream_usage } = settings;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", model.into());
    set("messages", request.messages.iter().map(message).collect());
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        });
        set("tools", tools.collect());
        if dialect.sends_tool_choice() {
            set("tool_choice", tool_choice(&request.tool_choice));
        }
    }
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => {
            set("response_format", json!({"type": "json_object"}));
        }
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let format = json!({"name": name, "schema": schema, "strict": strict});
            set("response_format", json!({"type": "json_schema", "json_schema": format}));
        }
    }
    if let Some(tokens) = request.max_tokens {
        set(dialect.max_tokens_field(), tokens.into());
    }
    if let Some(temperature) = request.temperature.filter(|_| dialect.sends_temperature(model)) {
        set("temperature", shortest(temperature));
    }
    if let Some(seed) = request.seed.filter(|_| dialect.sends_seed()) {
        set("seed", seed.into());
    }
    if !request.stop.is_empty() {
        set("stop", request.stop.iter().map(|stop| Value::from(stop.as_ref())).collect());
    }
    if stream {
        set("stream", true.into());
        if stream_usage {
            set("stream_options", json!({"include_usage": true}));
        }
    }
    for (name, value) in parameters {
        set(name, value.clone());
    }
    Value::Object(body)
}

/// Writes the body of an embedding call.
pub(super) fn embedding_body(settings: Settings<'_>, texts: &[&str], dimensions: Option<usize>) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), settings.model.into());
    // An empty string is refused by OpenAI; a space embeds as nothing does.
    let texts = texts.iter().map(|text| Value::from(if text.is_empty() { " " } else { text }));
    body.insert("input".to_owned(), texts.collect());
    if let Some(dimensions) = dimensions {
        body.insert("dimensions".to_owned(), dimensions.into());
    }
    body.extend(settings.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    let mut out = Map::new();
    out.insert("role".to_owned(), role.into());
    // A message that only calls tools has no content, not an empty one.
    let calls_only = !message.tool_calls.is_empty() && message.content.is_empty();
    let content = if calls_only { Value::Null } else { message.content.as_str().into() };
    out.insert("content".to_owned(), content);
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
        });
        out.insert("tool_calls".to_owned(), calls.collect());
    }
    if let Some(id) = &message.tool_call_id {
        out.insert("tool_call_id".to_owned(), id.as_str().into());
    }
    Value::Object(out)
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

/// Writes `0.2_f32` as `0.2`, not as the `f64` nearest to it.
fn shortest(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .ok()
        .and_then(serde_json::Number::from_f64)
        .map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tool, ToolCall};

    fn settings(dialect: Dialect, model: &str) -> Settings<'_> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        Settings { dialect, model, parameters: &NONE, stream_usage: true }
    }

    #[test]
    fn a_whole_request_is_written_as_the_reference_has_it() {
        let mut assistant = Message::assistant("");
        assistant.tool_calls.push(ToolCall::new("c1", "find", "{\"q\":1}"));
        let request = ChatRequest::new([Message::user("안녕"), assistant, Message::tool("c1", "42")])
            .with_tools(
                [Tool::new("find", "finds", json!({"type": "object"}))],
                ToolChoice::Named("find".into()),
            )
            .with_response_format(ResponseFormat::JsonSchema {
                name: "n".into(),
                schema: json!({}),
                strict: true,
            })
            .with_max_tokens(5)
            .with_temperature(0.2)
            .with_seed(7)
            .with_stop(["END"]);
        let body = chat_body(settings(Dialect::OpenAi, "gpt-4o"), &request, true);
        assert_eq!(
            body,
            json!({
                "model": "gpt-4o",
                "messages": [
                    {"role": "user", "content": "안녕"},
                    {"role": "assistant", "content": null, "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"q\":1}"}},
                    ]},
                    {"role": "tool", "content": "42", "tool_call_id": "c1"},
                ],
                "tools": [{"type": "function", "function": {
                    "name": "find", "description": "finds", "parameters": {"type": "object"},
                }}],
                "tool_choice": {"type": "function", "function": {"name": "find"}},
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}},
                "max_completion_tokens": 5,
                "temperature": 0.2,
                "seed": 7,
                "stop": ["END"],
                "stream": true,
                "stream_options": {"include_usage": true},
            })
        );
    }

    #[test]
    fn each_server_is_asked_in_its_own_words() {
        let request = ChatRequest::new([Message::user("x")])
            .with_max_tokens(5)
            .with_temperature(0.0)
            .with_seed(1)
            .with_tools([Tool::new("f", "", json!({}))], ToolChoice::Required);
        let has = |dialect, model: &str, field: &str| {
            chat_body(settings(dialect, model), &request, false).get(field).is_some()
        };
        assert!(has(Dialect::Azure, "gpt-4o", "max_completion_tokens"));
        assert!(has(Dialect::Vllm, "m", "max_tokens") && !has(Dialect::Vllm, "m", "max_completion_tokens"));
        assert!(!has(Dialect::OpenAi, "o3-mini", "temperature") && has(Dialect::Ollama, "o3", "temperature"));
        assert!(!has(Dialect::Gemini, "m", "seed") && has(Dialect::LlamaCpp, "m", "seed"));
        assert!(!has(Dialect::Ollama, "m", "tool_choice") && has(Dialect::Generic, "m", "tool_choice"));
        assert!(!has(Dialect::Vllm, "m", "stream_options"));
    }

    #[test]
    fn an_empty_text_is_embedded_as_a_space() {
        let body = embedding_body(settings(Dialect::OpenAi, "m"), &["", "a"], Some(256));
        assert_eq!(body, json!({"model": "m", "input": [" ", "a"], "dimensions": 256}));
    }
}
