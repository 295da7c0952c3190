//! How long does a megabyte of hostile input take?
//!
//! `cargo bench -p benches --bench hostile`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pumasi_llm_parse::{Parser, Schema};
use serde_json::Value;

const UNITS: [&str; 10] = [
    "[",
    "{\"a\":",
    "\"",
    "'",
    "\\",
    "```json\n{}\n```\n",
    "{\"a\": 1} ",
    "<a>",
    "- a: ",
    "not true or false, ",
];

fn hostile(c: &mut Criterion) {
    let mut group = c.benchmark_group("1 MB of");
    group.sample_size(10);
    for unit in UNITS {
        let text = unit.repeat((1 << 20) / unit.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        let parser = Parser::<Value>::with_schema(Schema::any());
        group.bench_with_input(BenchmarkId::from_parameter(format!("{unit:?}")), &text, |b, text| {
            b.iter(|| parser.parse(text).is_ok());
        });
    }
    group.finish();
}

criterion_group!(benches, hostile);
criterion_main!(benches);
