//! What the analyzer makes of a text: lines in, terms out, one JSON line each.
//!
//! ```sh
//! echo '러닝크루에서 10km를 달렸습니다' | cargo run --example analyze
//! ```
//!
//! prints `{"tokens": [{"text": "러닝크루", "kind": "stem", "position": 0, "start": 0, "end": 12}, …]}`.
//!
//! - `--plain` prints the terms alone, with spaces between them.
//! - `--dictionary FOLDER` (`find` for the usual places) takes Korean words apart by a compiled `mecab-ko-dic` too; `scripts/ko-dic`
//!   fetches one and prints its folder.
//! - `--morphemes` prints what the dictionary alone makes of a line, as MeCab does: `surface/TAG` with spaces between them.

use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;

use pumasi_core::text::{Analyzer, Dictionary, Token, TokenKind};
use serde_json::{Value, json};

/// The name of a kind of token.
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

#[derive(Default)]
struct Arguments {
    plain: bool,
    morphemes: bool,
    dictionary: Option<Arc<Dictionary>>,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--plain" => found.plain = true,
            "--morphemes" => found.morphemes = true,
            "--dictionary" => {
                let folder = rest.next().ok_or("--dictionary needs a folder, or find")?;
                let opened = if folder == "find" { Dictionary::find()? } else { Dictionary::open(folder)? };
                found.dictionary = Some(Arc::new(opened));
            }
            _ => return Err("usage: analyze [--plain] [--dictionary FOLDER|find [--morphemes]]".into()),
        }
    }
    if found.morphemes && found.dictionary.is_none() {
        return Err("--morphemes needs --dictionary".into());
    }
    Ok(found)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { plain, morphemes, dictionary } = arguments()?;
    let analyzer = match &dictionary {
        Some(dictionary) => Analyzer::default().with_morphology(Arc::clone(dictionary)),
        None => Analyzer::default(),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some(dictionary) = dictionary.as_ref().filter(|_| morphemes) {
            let words = dictionary.lexemes(&line);
            let words: Vec<String> =
                words.iter().map(|word| format!("{}/{}", word.span.of(&line), word.tag)).collect();
            writeln!(out, "{}", words.join(" "))?;
            continue;
        }
        let tokens = analyzer.tokens(&line);
        if plain {
            let terms: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
            writeln!(out, "{}", terms.join(" "))?;
        } else {
            writeln!(out, "{}", json!({"tokens": tokens.iter().map(describe).collect::<Vec<_>>()}))?;
        }
    }
    Ok(out.flush()?)
}
