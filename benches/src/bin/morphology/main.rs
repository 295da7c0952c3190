//! How fast Korean is taken apart by a dictionary, and whether the morphemes are MeCab's own, as JSON.
//!
//! ```sh
//! python benches/src/bin/morphology/reference.py TEXT >EXPECTED     # with python-mecab-ko
//! cargo run --release -p benches --bin morphology -- TEXT [EXPECTED]
//! ```
//!
//! TEXT has lines of Korean. EXPECTED has, for each of them, what MeCab makes of it: `surface/TAG` with spaces between. The
//! dictionary is found as `Dictionary::find` says (`PUMASI_KO_DIC`); `scripts/ko-dic` fetches one. Times are CPU time of the
//! thread, at best. The lines that differ are printed to the standard error.

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

use benches::{cpu, fastest};
use pumasi_core::text::{Analyzer, Dictionary};
use serde_json::json;

/// Megabytes a second of what `work` does with the text, at best.
fn speed(bytes: usize, work: impl FnMut()) -> f64 {
    let least = fastest(Duration::from_secs(3), work).as_secs_f64();
    (bytes as f64 / least / 1e4).round() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = arguments.next().ok_or("usage: morphology TEXT [EXPECTED]")?;
    let text = std::fs::read_to_string(text)?;
    let begun = cpu();
    let dictionary = std::sync::Arc::new(Dictionary::find()?);
    let opened = cpu() - begun;
    let lines: Vec<&str> = text.lines().collect();
    let mut morphemes = 0_usize;
    for line in &lines {
        dictionary.for_each(line, |_| morphemes += 1);
    }
    let taken = speed(text.len(), || {
        for line in &lines {
            dictionary.for_each(line, |lexeme| {
                black_box(lexeme);
            });
        }
    });
    let bare = Analyzer::default();
    let with = Analyzer::default().with_morphology(std::sync::Arc::clone(&dictionary));
    let analyse = |analyzer: &Analyzer| {
        speed(text.len(), || {
            lines.iter().for_each(|line| {
                analyzer.for_each(line, |token| {
                    black_box(token);
                })
            })
        })
    };
    let mut report = json!({
        "lines": lines.len(), "bytes": text.len(), "morphemes": morphemes,
        "open_ms": (opened.as_secs_f64() * 1e3).round(),
        "mb_per_second": {
            "morphemes": taken,
            "terms_with_dictionary": analyse(&with),
            "terms_without": analyse(&bare),
        },
    });
    if let Some(expected) = arguments.next() {
        let expected = std::fs::read_to_string(expected)?;
        let expected: Vec<&str> = expected.lines().collect();
        if expected.len() != lines.len() {
            return Err("TEXT and EXPECTED have different numbers of lines".into());
        }
        let mut equal = 0_usize;
        let mut complaints = std::io::stderr().lock();
        for (line, expected) in lines.iter().zip(expected) {
            let words = dictionary.lexemes(line);
            let words: Vec<String> =
                words.iter().map(|word| format!("{}/{}", word.span.of(line), word.tag)).collect();
            let ours = words.join(" ");
            if ours == expected {
                equal += 1;
            } else {
                writeln!(complaints, "ours  {ours}\nmecab {expected}\n")?;
            }
        }
        report["equal"] = json!(equal);
        let share = equal as f64 / lines.len().max(1) as f64;
        report["equal_percent"] = json!((share * 1e5).round() / 1e3);
    }
    writeln!(std::io::stdout().lock(), "{report:#}")?;
    Ok(())
}
