//! A schema and an input, both hostile: the first line is the schema, the rest the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pumasi_llm_parse::{Parser, Policy, Schema};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (schema, input) = text.split_once('\n').unwrap_or(("true", &text));
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return;
    };
    let Ok(schema) = Schema::from_json(&schema) else {
        return;
    };
    for policy in [Policy::Strict, Policy::Lenient, Policy::Salvage] {
        for partial in [false, true] {
            let parser = Parser::<Value>::with_schema(schema.clone())
                .with_policy(policy)
                .with_partial(partial);
            let _ = parser.parse(input);
        }
    }
});
