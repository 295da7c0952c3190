//! Typed parsing under every policy: no panic, confidence within 0 and 1, a clean report only for what serde_json reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pumasi_llm_parse::{Parser, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Task {
    title: String,
    kind: Kind,
    minutes: Option<u8>,
    score: f64,
    done: bool,
    steps: Vec<String>,
    sub: Option<Box<Task>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Kind {
    Story,
    Question,
    Other(i64),
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for policy in [Policy::Strict, Policy::Lenient, Policy::Salvage] {
        let parser = Parser::<Task>::new().with_policy(policy);
        if let Ok(parsed) = parser.parse(&text) {
            assert!((0.0..=1.0).contains(&parsed.confidence));
            for repair in &parsed.report.repairs {
                assert!(
                    text.get(repair.span.start..repair.span.end).is_some(),
                    "{repair:?}"
                );
            }
        }
    }
});
