//! How fast does the one analyzer (search, retrieval, matching) turn Korean and English text into terms?
//!
//! `cargo bench -p benches --bench analyzer`

use benches::posts;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pumasi_core::text::{Analyzer, normalize, sentences};

fn analyzer(c: &mut Criterion) {
    let mixed = posts(100_000);
    let korean: String = mixed
        .iter()
        .filter(|p| p.title.chars().any(|c| c >= '가'))
        .map(|p| format!("{}\n", p.title))
        .collect();
    let english: String =
        mixed.iter().filter(|p| p.title.is_ascii()).map(|p| format!("{}\n", p.title)).collect();
    let all: String = mixed.iter().map(|p| format!("{}\n{}\n", p.title, p.body)).collect();
    let mut group = c.benchmark_group("text");
    let analyzer = Analyzer::default();
    for (name, text) in [("Korean", &korean), ("English", &english), ("mixed", &all)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("analyse", name), text, |b, text| {
            b.iter(|| analyzer.tokens(text))
        });
        group.bench_with_input(BenchmarkId::new("normalise", name), text, |b, text| {
            b.iter(|| normalize(text))
        });
        group.bench_with_input(BenchmarkId::new("sentences", name), text, |b, text| {
            b.iter(|| sentences(text))
        });
    }
    group.finish();
}

criterion_group!(benches, analyzer);
criterion_main!(benches);
