//! How fast is a messy answer read (fence, bare keys, Python literals, trailing commas, cut off), among those who read it right?
//!
//! `cargo bench -p benches --bench parse_messy`

#[path = "peers.rs"]
mod peers;

use benches::{CutPost, messy};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn parse_messy(c: &mut Criterion) {
    let mut group = c.benchmark_group("messy answer");
    for bytes in [8_000, 100_000] {
        let messy = messy(bytes);
        group.throughput(Throughput::Bytes(messy.text.len() as u64));
        let want: Option<Vec<CutPost>> = serde_json::from_value(messy.value.clone()).ok();
        for (name, read) in peers::TO_CUT_POSTS {
            let what = format!("{name}, typed");
            if want.is_some() && read(&messy.text) == want {
                group.bench_with_input(BenchmarkId::new(what, messy.text.len()), &messy.text, |b, text| {
                    b.iter(|| read(text))
                });
            } else {
                println!("{what}: wrong value at {} bytes, not timed", messy.text.len());
            }
        }
        for (name, read) in peers::TO_VALUE {
            if peers::right(read, &messy.text, &messy.value) {
                group.bench_with_input(BenchmarkId::new(name, messy.text.len()), &messy.text, |b, text| {
                    b.iter(|| read(text))
                });
            } else {
                println!("{name}: wrong value at {} bytes, not timed", messy.text.len());
            }
        }
    }
    group.finish();
}

criterion_group!(benches, parse_messy);
criterion_main!(benches);
