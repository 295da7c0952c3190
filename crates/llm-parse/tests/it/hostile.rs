//! Hostile input: a megabyte of the worst we can think of is read in linear time and bounded depth, and nothing aborts.

use std::time::Duration;

use pumasi_llm_parse::Policy;
use pumasi_llm_parse::syntax::{self, Limits};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::cases;

/// Repeats `unit` until the text has at least `bytes` bytes.
fn repeat(unit: &str, bytes: usize) -> String {
    unit.repeat(bytes / unit.len() + 1)
}

/// Pseudo-random text over an alphabet (xorshift64; Marsaglia, "Xorshift RNGs", 2003).
fn random(alphabet: &[&str], bytes: usize, seed: u64) -> String {
    let mut state = seed | 1;
    let mut out = String::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = usize::try_from(state % alphabet.len() as u64).unwrap_or(0);
        out.push_str(alphabet[at]);
    }
    out
}

const UNITS: [&str; 60] = [
    "[",
    "{",
    "]",
    "}",
    "(",
    "\"",
    "'",
    "`",
    "“",
    "‘",
    "\\",
    ",",
    ":",
    "-",
    "#",
    "<",
    ">",
    "/",
    "*",
    ".",
    "…",
    " ",
    "\n",
    "\u{feff}",
    "0",
    "a",
    "가",
    "{\"a\":",
    "{a:",
    "[{",
    "{[",
    "[1,",
    "[[],",
    "{\"a\": 1} ",
    "{} ",
    "[] ",
    "\"a\": \"b\" ",
    "\"a\" ",
    "\"a\", \"b\" \"c\": ",
    "```",
    "```json\n",
    "```json\n{}\n```\n",
    "<think>",
    "</think>",
    "<think></think>",
    "{\"a\":1}</think>",
    "```\n{}\n",
    "```\na: 1\n```\n{}\n",
    "<!--",
    "<a>",
    "<a></a>",
    "- ",
    "a: ",
    "a:\n ",
    "//",
    "/*",
    "/* */",
    "\\\"",
    "\"\"\"",
    "\\u",
];

const LINES: [&str; 24] = [
    "]k: \"\" %{a\n",
    "}k: {a\n",
    "]k: [\"[\"]\n",
    "k: [[\n",
    "- a\nwords\n",
    "k: \"x {\"\n\n",
    "Final answer: {\"n\": 1}\n",
    "Example: {\"n\": 1}\n",
    "Draft: [1, 2, 3\n",
    "{\"n\": 1} it is actually the correct n is should be is was if i i i i not\n",
    "{\"n\": 1} 값은 2가 맞고 아니라 정답은 3이 예시 데이터 형식 값은 틀린\n",
    "예시: {\"n\": 1} 최종: {\"n\": 2}\n",
    "- a: 1\n  b:\n    - c\n",
    "<item><name>x</name></item>\n",
    "not positive, not negative, true or false. ",
    "1,234,567 ",
    "1만 2천 3백 ",
    "{\"n\": 1, \"n\": 2}\n",
    "{\"a\": \"he said \"x\" and \"y\" \", ",
    "'it's, 'it's': ",
    "{\"key\": value with words, other: ",
    "| a | b |\n|---|---|\n",
    "1. one\n2. two\n",
    "{n: 1 /* c */, // d\n",
];

fn inputs(bytes: usize) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        UNITS.iter().chain(&LINES).map(|unit| (format!("{unit:?} repeated"), repeat(unit, bytes))).collect();
    let half = bytes / 2;
    all.push(("open, then close".to_owned(), "[".repeat(half) + &"]".repeat(half)));
    all.push((
        "nested objects closed".to_owned(),
        "{\"a\":".repeat(bytes / 6) + "1" + &"}".repeat(bytes / 6),
    ));
    all.push(("nested XML closed".to_owned(), "<a>".repeat(bytes / 7) + &"</a>".repeat(bytes / 7)));
    all.push(("one long string".to_owned(), format!("{{\"a\": \"{}\"}}", repeat("word ", bytes))));
    all.push((
        "one long string never closed".to_owned(),
        format!("{{\"a\": \"{}", repeat("word, \"x\": ", bytes)),
    ));
    all.push(("a line of number signs".to_owned(), format!("k: a{}\nl: b", repeat(" #x", bytes))));
    all.push(("an object of remarks".to_owned(), format!("{{k: a{}", repeat(" // x", bytes))));
    all.push(("one long number".to_owned(), repeat("9", bytes)));
    all.push(("one long key".to_owned(), format!("{{{}: 1}}", repeat("key", bytes))));
    all.push((
        "a million keys".to_owned(),
        format!("{{{}}}", (0..bytes / 12).map(|i| format!("\"k{i}\": 1")).collect::<Vec<_>>().join(", ")),
    ));
    all.push((
        "growing YAML indent".to_owned(),
        (0..)
            .map(|i| format!("{}k:\n", " ".repeat(i)))
            .scan(0, |size, line| {
                *size += line.len();
                (*size < bytes).then_some(line)
            })
            .collect(),
    ));
    all.push((
        "punctuation".to_owned(),
        random(&["{", "}", "[", "]", ",", ":", "\"", "'", "\\", "a", "1", " ", "\n"], bytes, 7),
    ));
    all.push((
        "tokens".to_owned(),
        random(
            &[
                "{\"a\": ", "}", "[", "]", ", ", "```", "json\n", "<think>", "</think>", "true", "None",
                "\"x\"", "- ", "Final: ",
            ],
            bytes,
            11,
        ),
    ));
    all.push((
        "unicode".to_owned(),
        random(&["가", "\u{301}", "é", "“", "”", "：", "，", "\u{202e}", "😀", "\u{0}"], bytes, 13),
    ));
    all
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn timed(work: impl FnOnce()) -> Duration {
    let before = cpu();
    work();
    cpu().saturating_sub(before)
}

/// A megabyte in release builds and where `PUMASI_FUZZ_CASES` asks for more; a debug build is about forty times as slow, so
/// that it gets less text: growth shows there as well.
fn size() -> usize {
    let full = !cfg!(debug_assertions) || std::env::var_os("PUMASI_FUZZ_CASES").is_some();
    if full { 1 << 20 } else { 1 << 14 }
}

/// The bound only has to tell linear from worse.
const BOUND: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(8) } else { Duration::from_millis(500) };

/// Works within the bound; a measurement that is disturbed gets two more chances.
fn bounded(name: &str, work: impl Fn()) {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(timed(&work));
        if best < BOUND {
            return;
        }
    }
    panic!("{name}: {best:?}");
}

fn schemas() -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("any value", None),
        (
            "list of posts",
            Some(json!({"type": "array", "items": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["id", "title"],
            }})),
        ),
        (
            "recursive union",
            Some(json!({"$ref": "#/$defs/J", "$defs": {"J": {"anyOf": [
                {"type": "integer"}, {"type": "boolean"}, {"enum": ["red", "blue"]},
                {"type": "array", "items": {"$ref": "#/$defs/J"}},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/J"}}, "required": ["a"]},
            ]}}})),
        ),
    ]
}

#[test]
fn a_megabyte_of_anything_is_read_within_bounds() {
    let limits = Limits::default();
    for (name, text) in inputs(size()) {
        bounded(&name, || drop(syntax::read(&text, &limits)));
    }
}

#[test]
fn a_megabyte_of_anything_is_parsed_within_bounds() {
    for (which, schema) in schemas() {
        for (name, text) in inputs(size()) {
            bounded(&format!("{which}, {name}"), || {
                let _ = cases::run(&text, schema.as_ref(), Policy::Lenient, false);
            });
        }
    }
}

/// Whether doubling costs at most 2.5 times as much; the best of more and more runs counts, so that a disturbed one does not.
fn doubled(small: &str, large: &str, work: impl Fn(&str)) -> Result<(), (Duration, Duration)> {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..12 {
        best.0 = best.0.min(timed(|| work(small)));
        best.1 = best.1.min(timed(|| work(large)));
        // what takes no time at all cannot be compared
        if best.1 < Duration::from_millis(2) || best.1.as_secs_f64() <= 2.5 * best.0.as_secs_f64() {
            return Ok(());
        }
    }
    Err(best)
}

#[test]
fn doubling_the_input_doubles_the_time() {
    let n = size() / 2;
    let limits = Limits::default();
    for (at, ((name, small), (_, large))) in inputs(n).into_iter().zip(inputs(2 * n)).enumerate() {
        let doubles = |what: &str, work: &dyn Fn(&str)| {
            let Err(first) = doubled(&small, &large, work) else { return };
            // Where memory begins to come from elsewhere (a cache, the kernel) one step costs more; what is not linear
            // costs more at the next one, too.
            let larger = inputs(4 * n).swap_remove(at).1;
            if let Err(next) = doubled(&large, &larger, work) {
                panic!("{what} {name}: {first:?}, and {next:?} for the double of it");
            }
        };
        doubles("read", &|text| drop(syntax::read(text, &limits)));
        for (which, schema) in schemas() {
            doubles(&format!("parse {which}:"), &|text| {
                let _ = cases::run(text, schema.as_ref(), Policy::Lenient, false);
            });
        }
    }
}

/// How a line may begin, and what may stand behind that.
const STARTS: [&str; 15] =
    ["", "]", "}", "- ", "k: ", "]k: ", "- k: ", "  ", "1. ", "| ", "> ", "#", "\"k\": ", "'k': ", "<a>"];
const RESTS: [&str; 30] = [
    "",
    "[",
    "{",
    "[[",
    "\"",
    "'",
    "`",
    "“",
    "\"\"\"",
    "[1]",
    "[\"[\"]",
    "\"\" %{a",
    "\"x {\"",
    "{a: 1}",
    "{a",
    "}]",
    "|",
    "|\n  x",
    "&a x",
    "*a",
    "x",
    "x, y: z",
    "null",
    "<b>",
    "</a>",
    "```",
    "(",
    "/*",
    "//",
    "가나 다: 라",
];

const BELOW: [&str; 4] = ["", "words\n", "\n", "  deeper\n"];

/// Lines of every shape, each with nothing, words, a blank line or a deeper line below it.
fn shapes(bytes: usize) -> impl Iterator<Item = (String, String)> {
    // A debug build takes every seventh, another one for each kind of beginning.
    let step = if bytes < 1 << 16 { 7 } else { 1 };
    let units = STARTS.iter().flat_map(|start| RESTS.iter().map(move |rest| format!("{start}{rest}\n")));
    let units = units.flat_map(move |line| BELOW.iter().map(move |below| format!("{line}{below}")));
    units.step_by(step).map(move |unit| {
        (format!("k: [1]\n and {unit:?} repeated"), format!("k: [1]\n{}", repeat(&unit, bytes)))
    })
}

#[test]
fn no_shape_of_line_costs_more_than_its_length() {
    let n = size() / 8;
    let limits = Limits::default();
    let mut slow = Vec::new();
    for (((name, small), (_, large)), (_, larger)) in shapes(n).zip(shapes(2 * n)).zip(shapes(4 * n)) {
        let mut doubles = |what: &str, work: &dyn Fn(&str)| {
            // What is not linear costs more at the next step, too.
            if doubled(&small, &large, work).is_err()
                && let Err(times) = doubled(&large, &larger, work)
            {
                slow.push((format!("{what} {name}"), times));
            }
        };
        doubles("read", &|text| drop(syntax::read(text, &limits)));
        doubles("parse", &|text| drop(cases::run(text, None, Policy::Lenient, false)));
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// Posts that the rules read word by word.
#[cfg(feature = "extract")]
const POSTS: [&str; 24] = [
    "가고 ",
    "책을 읽고 ",
    "책을 읽고 글을 썼다 ",
    "했고 ",
    "을 ",
    "가, ",
    "책을, ",
    "😀",
    "a 😀",
    "ㅋ😀",
    "I ❤ ",
    "ran, ",
    "ran it, ",
    "I ran, ",
    "a,",
    "; ",
    "and I ",
    "I cut sugar, joined a gym, ",
    "그래서 ",
    "매일 30분 ",
    "I ran. ",
    "단어를 외웠어요. ",
    "- run\n",
    "1. 달리기\n",
];

#[cfg(feature = "extract")]
#[test]
fn the_rules_read_a_long_post_in_time() {
    use pumasi_llm_parse::task::{Post, PostKind, RuleTaskExtractor};
    // What many tasks need of the whole post is bounded, at a size that debug builds reach last.
    let n = size() / 8;
    for kind in [PostKind::Story, PostKind::Question] {
        for unit in POSTS {
            let read = |body: &str| drop(RuleTaskExtractor::new().tasks(&Post::new("p", kind, body)));
            let (small, large) = (repeat(unit, n), repeat(unit, 2 * n));
            if doubled(&small, &large, read).is_err()
                && let Err(times) = doubled(&large, &repeat(unit, 4 * n), read)
            {
                panic!("{kind:?} {unit:?}: {times:?}");
            }
        }
    }
}

#[test]
fn every_prefix_of_every_case_parses_in_partial_mode() {
    let mut prefixes = 0;
    for (_, input, schema) in cases::everything() {
        let parser = cases::parser(schema.as_ref(), Policy::Lenient, true);
        for (at, _) in input.char_indices() {
            let _ = parser.parse(&input[..at]);
            prefixes += 1;
        }
    }
    println!("prefixes: {prefixes}");
    assert!(prefixes > 10_000);
}
