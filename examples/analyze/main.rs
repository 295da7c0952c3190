//! What the analyzer makes of a text: lines in, terms out, one JSON line each.
//!
//! ```sh
//! echo '러닝크루에서 10km를 달렸습니다' | cargo run --example analyze
//! ```
//!
//! prints `{"tokens": [{"text": "러닝크루", "kind": "stem", "position": 0, "start": 0, "end": 12}, …]}`. `--plain` prints the
//! terms alone, with spaces between them.

use std::error::Error;
use std::io::{BufRead, Write};

use pumasi_core::text::{Analyzer, Token, TokenKind};
use serde_json::{Value, json};

fn kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Word => "word",
        TokenKind::Stop => "stop",
        TokenKind::Number => "number",
        TokenKind::Compound => "compound",
        TokenKind::Stem => "stem",
        TokenKind::Bigram => "bigram",
        TokenKind::Symbol => "symbol",
        _ => "other",
    }
}

fn describe(token: &Token) -> Value {
    json!({
        "text": token.text, "kind": kind(token.kind), "position": token.position,
        "start": token.span.start, "end": token.span.end,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let plain = std::env::args().any(|argument| argument == "--plain");
    let analyzer = Analyzer::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let tokens = analyzer.tokens(&line?);
        if plain {
            let terms: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
            writeln!(out, "{}", terms.join(" "))?;
        } else {
            writeln!(out, "{}", json!({"tokens": tokens.iter().map(describe).collect::<Vec<_>>()}))?;
        }
    }
    Ok(out.flush()?)
}
