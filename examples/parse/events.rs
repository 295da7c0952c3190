//! The events of an answer that arrives in pieces.

use std::collections::HashMap;

use pumasi_llm_parse::stream::{Event, Stream};

use pumasi_llm_parse::{NodeId, Parser, Path, Schema, Step};
use serde_json::{Value, json};

/// Feeds the answer in pieces of `size` characters and hands on each event as JSON; returns what the stream has read.
///
/// A completed part is fitted to its own part of the parser's schema: `value` is what it comes to, or `error` says why it
/// does not fit. Where the schema says nothing of it, `value` is what stands there.
pub(crate) fn told(input: &str, size: usize, parser: &Parser<Value>, mut tell: impl FnMut(Value)) -> String {
    let mut stream = Stream::new();
    let mut parts = Parts { parser, known: HashMap::new() };
    let mut rest = input;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        for event in stream.push(piece) {
            tell(parts.event(&stream, &event));
        }
        rest = after;
    }
    for event in stream.end() {
        tell(parts.event(&stream, &event));
    }
    stream.text().to_owned()
}

/// The schemas of the parts that have been met, by path without indices.
struct Parts<'a> {
    parser: &'a Parser<Value>,
    known: HashMap<String, Option<Parser<Value>>>,
}

impl Parts<'_> {
    fn event(&mut self, stream: &Stream, event: &Event) -> Value {
        match event {
            Event::Started { candidate, at } => json!({"type": "started", "candidate": candidate, "at": at}),
            Event::FieldCompleted { candidate, path, node } => {
                let mut told = json!({"type": "field_completed", "candidate": candidate, "path": path});
                self.fit(stream, path, *node, &mut told);
                told
            }
            Event::ItemCompleted { candidate, path, index, node } => {
                let mut told =
                    json!({"type": "item_completed", "candidate": candidate, "path": path, "index": index});
                self.fit(stream, path, *node, &mut told);
                told
            }
            Event::Finished { candidate, complete, .. } => {
                json!({"type": "finished", "candidate": candidate, "complete": complete})
            }
            Event::Retracted { candidate } => json!({"type": "retracted", "candidate": candidate}),
            _ => json!({"type": "other"}),
        }
    }

    fn fit(&mut self, stream: &Stream, path: &Path, node: NodeId, told: &mut Value) {
        let steps = path.steps().iter().map(|step| match step {
            Step::Key(key) => format!("/{key}"),
            Step::Index(_) => "#".to_owned(),
        });
        let parser = self.parser;
        let part = self.known.entry(steps.collect()).or_insert_with(|| {
            let schema: Schema = parser.schema()?.at(path)?;
            (!schema.is_any()).then(|| Parser::with_schema(schema).with_policy(parser.policy()))
        });
        let Some(part) = part.as_ref().filter(|_| stream.tree().node(node).is_complete()) else {
            told["value"] = stream.to_value(node);
            return;
        };
        match part.parse(stream.span(node).of(stream.text())) {
            Ok(parsed) => told["value"] = parsed.value,
            Err(error) => {
                told["error"] = json!({"kind": error.kind().as_str(), "message": error.to_string()});
            }
        }
    }
}
