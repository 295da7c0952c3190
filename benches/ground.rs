//! How long it takes to find 50 quotes of six words, each with one slip, in 80,000 characters of Korean and English.
//!
//! `cargo bench -p benches --bench ground`. That the spans are right is checked before the clock starts.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pumasi_llm_parse::ground::Aligner;

#[path = "../crates/llm-parse/src/ground/prose.rs"]
mod prose;

const LENGTH: usize = 80_000;

/// Fifty runs of six words, and each with two neighbouring letters of its longest lower-case English or Korean word swapped.
fn quotes(text: &str) -> Vec<(String, String)> {
    let mut random = prose::Random(42);
    let words: Vec<&str> = text.split(' ').collect();
    let mut quotes = Vec::new();
    while quotes.len() < 50 {
        let at = random.below(words.len() - 6);
        let Some(six) = words.get(at..at + 6) else { continue };
        let plain = six.join(" ");
        let longest = six
            .iter()
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .max_by_key(|word| word.len());
        let Some(word) = longest.filter(|word| word.len() >= 6 && !plain.contains('\n')) else { continue };
        let mut letters: Vec<char> = word.chars().collect();
        letters.swap(2, 3);
        let slipped = plain.replace(word, &letters.into_iter().collect::<String>());
        if slipped != plain && text.matches(&plain).count() == 1 {
            quotes.push((slipped, plain));
        }
    }
    quotes
}

fn ground(criterion: &mut Criterion) {
    let text = prose::prose(LENGTH, 1);
    let quotes = quotes(&text);
    let aligner = Aligner::new(&text);
    let exact = quotes
        .iter()
        .filter(|(quote, plain)| aligner.locate(quote).is_some_and(|found| found.span.of(&text) == plain))
        .count();
    assert!(exact >= 48, "{exact} of 50 exact spans");

    let mut group = criterion.benchmark_group("ground");
    group
        .bench_function("index 80,000 characters", |bencher| bencher.iter(|| Aligner::new(black_box(&text))));
    group.bench_function("50 quotes with a slip", |bencher| {
        bencher.iter(|| quotes.iter().filter_map(|(quote, _)| aligner.locate(black_box(quote))).count());
    });
    group.bench_function("50 quotes as they stand", |bencher| {
        bencher.iter(|| quotes.iter().filter_map(|(_, plain)| aligner.locate(black_box(plain))).count());
    });
    group.bench_function("index and 50 quotes with a slip", |bencher| {
        bencher.iter(|| {
            let aligner = Aligner::new(black_box(&text));
            quotes.iter().filter_map(|(quote, _)| aligner.locate(quote)).count()
        });
    });
    group.finish();
}

criterion_group!(benches, ground);
criterion_main!(benches);
