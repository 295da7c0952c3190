//! The law of streams: however an answer is cut into pieces, what comes out is what one call reads, for the whole and for every
//! prefix.

use pumasi_llm_parse::stream::Stream;
use pumasi_llm_parse::syntax::{self, Document, Limits};
use serde_json::Value;

use crate::cases;

/// All that can be told of a document: every candidate's place, value and repairs.
fn told(document: &Document, source: &str) -> Vec<(usize, usize, Value, String)> {
    document
        .candidates()
        .iter()
        .map(|candidate| {
            let repairs: Vec<String> = document
                .repairs(candidate)
                .map(|repair| format!("{} {:?} {:?}", repair.rule.as_str(), repair.severity, repair.span))
                .collect();
            let details = format!(
                "{:?} {:?} {} {} {}",
                candidate.origin(),
                candidate.cue(),
                candidate.is_complete(),
                candidate.is_thinking(),
                repairs.join("; ")
            );
            let span = candidate.span();
            (span.start, span.end, document.to_value(candidate, source), details)
        })
        .collect()
}

fn pieces(text: &str, n: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.char_indices().nth(n).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at(at);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

#[test]
fn pieces_of_any_length_give_what_one_call_gives() {
    let limits = Limits::default();
    for (id, input, _) in cases::everything() {
        let whole = told(&syntax::read(&input, &limits), &input);
        for n in [1, 3, 4, 7] {
            let mut stream = Stream::new();
            for piece in pieces(&input, n) {
                stream.push(piece);
            }
            assert_eq!(told(&stream.finish(), &input), whole, "{id} in pieces of {n}: {input:?}");
        }
    }
}

#[test]
fn a_snapshot_is_a_one_shot_parse_of_the_prefix() {
    let limits = Limits::default();
    let mut compared = 0;
    for (id, input, _) in cases::everything() {
        let mut stream = Stream::new();
        let mut fed = 0;
        for piece in pieces(&input, 3) {
            stream.push(piece);
            fed += piece.len();
            let prefix = &input[..fed];
            assert_eq!(
                told(&stream.snapshot(), prefix),
                told(&syntax::read(prefix, &limits), prefix),
                "{id} after {prefix:?}"
            );
            compared += 1;
        }
    }
    println!("snapshots compared: {compared}");
    assert!(compared > 5_000);
}
