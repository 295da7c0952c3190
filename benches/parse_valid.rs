//! How fast is valid JSON read into a typed struct, beside serde_json and the peers?
//!
//! `cargo bench -p benches --bench parse_valid`

#[path = "peers.rs"]
mod peers;

use benches::{posts, valid};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn parse_valid(c: &mut Criterion) {
    let mut group = c.benchmark_group("valid JSON to Vec<Post>");
    for bytes in [8_000, 100_000] {
        let text = valid(bytes);
        let want = posts(bytes);
        group.throughput(Throughput::Bytes(text.len() as u64));
        for (name, read) in peers::TO_POSTS {
            if read(&text).as_ref() == Some(&want) {
                group.bench_with_input(BenchmarkId::new(name, text.len()), &text, |b, text| {
                    b.iter(|| read(text));
                });
            } else {
                println!("{name}: wrong value at {} bytes, not timed", text.len());
            }
        }
    }
    group.finish();
}

criterion_group!(benches, parse_valid);
criterion_main!(benches);
