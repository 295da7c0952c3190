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
//!
//! A line that is not UTF-8 is told on standard error and answered by one without terms.

use std::error::Error;
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use support::print;

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

const USAGE: &str = "usage: analyze [--plain] [--dictionary FOLDER|find [--morphemes]]";

#[derive(Default)]
struct Arguments {
    help: bool,
    plain: bool,
    morphemes: bool,
    dictionary: Option<Arc<Dictionary>>,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut found = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--help" | "-h" => found.help = true,
            "--plain" => found.plain = true,
            "--morphemes" => found.morphemes = true,
            "--dictionary" => {
                let folder = rest.next().ok_or("--dictionary needs a folder, or find")?;
                let opened = if folder == "find" { Dictionary::find()? } else { Dictionary::open(folder)? };
                found.dictionary = Some(Arc::new(opened));
            }
            _ => return Err(USAGE.into()),
        }
    }
    if found.morphemes && found.dictionary.is_none() {
        return Err("--morphemes needs --dictionary".into());
    }
    Ok(found)
}

/// Reads lines to their end, whatever they hold.
fn analyze(arguments: Arguments, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Arguments { plain, morphemes, dictionary, .. } = arguments;
    let analyzer = match &dictionary {
        Some(dictionary) => Analyzer::default().with_morphology(Arc::clone(dictionary)),
        None => Analyzer::default(),
    };
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let line = String::from_utf8(line?).unwrap_or_else(|_| {
            eprintln!("analyze: line {number} is not UTF-8");
            String::new()
        });
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if let Some(dictionary) = dictionary.as_ref().filter(|_| morphemes) {
            let words = dictionary.lexemes(line);
            let words: Vec<String> =
                words.iter().map(|word| format!("{}/{}", word.span.of(line), word.tag)).collect();
            writeln!(out, "{}", words.join(" "))?;
            continue;
        }
        let tokens = analyzer.tokens(line);
        if plain {
            let terms: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
            writeln!(out, "{}", terms.join(" "))?;
        } else {
            writeln!(out, "{}", json!({"tokens": tokens.iter().map(describe).collect::<Vec<_>>()}))?;
        }
    }
    Ok(out.flush()?)
}

fn main() -> ExitCode {
    let done = arguments().and_then(|arguments| {
        if arguments.help {
            print::line(format_args!("{USAGE}"));
            return Ok(());
        }
        analyze(arguments, &mut io::BufWriter::new(io::stdout().lock()))
    });
    // Whoever reads has had enough (`… | head`).
    let enough = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    print::ended("analyze", done.or_else(|error| if enough(&*error) { Ok(()) } else { Err(error) }))
}
