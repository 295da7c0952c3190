//! What a lookup may cost.

use super::*;

/// The CPU time of one lookup.
fn cost(aligner: &Aligner<'_>, quote: &str) -> Duration {
    let started = cpu();
    let _ = aligner.lookup(quote);
    cpu().saturating_sub(started)
}

#[test]
fn a_long_near_quote_of_a_repetitive_source_costs_no_more_than_a_few_tables() {
    for piece in ["a ", "매일 달렸다 ", "the same words again and "] {
        let count = LENGTH / piece.chars().count();
        let source = piece.repeat(count);
        let aligner = Aligner::new(&source);
        let half = 8_000 / piece.chars().count();
        let quote = format!("{}수영 b {}", piece.repeat(half), piece.repeat(half));
        let took = cost(&aligner, &quote);
        println!("{piece:?}: {took:?}");
        assert!(took < Duration::from_secs(4), "{piece:?}: {took:?}");
    }
}
