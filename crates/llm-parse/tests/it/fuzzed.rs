//! A bounded, deterministic fuzz run that needs no nightly toolchain: the committed cases, damaged by bytes and by tokens.
//!
//! `PUMASI_FUZZ_CASES=200000 cargo test -p pumasi-llm-parse --release --test it fuzzed` runs longer; the default stops after
//! 20 seconds at the latest. `PUMASI_FUZZ_SEED` starts elsewhere.

use std::time::{Duration, Instant};

use pumasi_llm_parse::Policy;
use pumasi_llm_parse::syntax::{self, Limits};

use crate::cases;

const TOKENS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "'",
    "\\",
    "`",
    "```",
    "```json\n",
    "\n",
    " ",
    "null",
    "None",
    "true",
    "1",
    "-",
    ".",
    "e9",
    "//",
    "/*",
    "*/",
    "#",
    "<think>",
    "</think>",
    "<a>",
    "</a>",
    "“",
    "”",
    "가",
    "\u{feff}",
    "...",
    "\\u12",
    "\u{0}",
    "Final: ",
    "Example: ",
    "아니",
    "{\"a\": 1}",
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).unwrap_or(0)
    }

    fn boundary(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

fn mutate(random: &mut Random, text: &str, other: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(4) {
        let at = random.boundary(&text);
        match random.below(5) {
            0 => text.insert_str(at, TOKENS[random.below(TOKENS.len())]),
            1 => text.truncate(at),
            2 => {
                let to = random.boundary(&text);
                let (from, to) = (at.min(to), at.max(to));
                let to = text[from..to].char_indices().nth(12).map_or(to, |(offset, _)| from + offset);
                text.replace_range(from..to, "");
            }
            3 => {
                let cut = random.boundary(other);
                text.insert_str(at, &other[cut..]);
            }
            _ => {
                let to = random.boundary(&text);
                let copy = text[at.min(to)..at.max(to)].to_owned();
                text.push_str(&copy);
            }
        }
        if text.len() > 4_096 {
            let mut end = 4_096;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
    }
    text
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn mutated_cases_do_not_panic_and_keep_the_laws() {
    let wanted = setting("PUMASI_FUZZ_CASES");
    let cases_to_run = wanted.unwrap_or(20_000);
    let started = Instant::now();
    let mut random = Random(setting("PUMASI_FUZZ_SEED").unwrap_or(0x5eed) | 1);
    let seeds = cases::everything();
    let limits = Limits::default();
    let mut ran = 0_u64;
    while ran < cases_to_run && (wanted.is_some() || started.elapsed() < Duration::from_secs(20)) {
        let (id, input, schema) = &seeds[random.below(seeds.len())];
        let (_, other, _) = &seeds[random.below(seeds.len())];
        let text = mutate(&mut random, input, other);
        let document = syntax::read(&text, &limits);
        for candidate in document.candidates() {
            let span = candidate.span();
            assert!(text.get(span.start..span.end).is_some(), "{id}: {text:?}");
            let _ = document.to_value(candidate, &text);
        }
        for policy in [Policy::Strict, Policy::Lenient, Policy::Salvage] {
            if let Ok(parsed) = cases::parser(schema.as_ref(), policy, ran % 2 == 1).parse(&text) {
                assert!((0.0..=1.0).contains(&parsed.confidence), "{id}: {text:?}");
                for repair in &parsed.report.repairs {
                    assert!(
                        text.get(repair.span.start..repair.span.end).is_some(),
                        "{id}: {repair:?} in {text:?}"
                    );
                }
            }
        }
        ran += 1;
    }
    println!("fuzzed: {ran} inputs in {:?}", started.elapsed());
    assert!(ran > 0);
}
