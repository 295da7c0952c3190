//! What does a stream cost when a model sends four characters at a time and a partial value is wanted after each?
//!
//! `cargo bench -p benches --bench stream`. The sizes double: a linear stream doubles with them. Peers without a stream have to
//! read the whole prefix again after every piece, as their users do today; they stand beside us at the small size only.

#[path = "peers.rs"]
mod peers;

use benches::{pieces, valid};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pumasi_llm_parse::stream::Stream;

fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("stream of 4-character pieces");
    group.sample_size(20);
    for bytes in [4_000, 25_000, 50_000, 100_000, 200_000] {
        let text = valid(bytes);
        let pieces = pieces(&text, 4);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("pumasi", text.len()), &pieces, |b, pieces| {
            b.iter(|| {
                let mut stream = Stream::new();
                let mut events = 0;
                for piece in pieces {
                    events += stream.push(piece).len();
                }
                events
            });
        });
        if bytes > 4_000 {
            continue;
        }
        for (name, read) in peers::TO_VALUE
            .into_iter()
            .filter(|(name, _)| ["jiter", "jsonrepair", "jsonrepair-rs", "llm-extract"].contains(name))
        {
            group.bench_with_input(
                BenchmarkId::new(format!("{name}, prefix by prefix"), text.len()),
                &text,
                |b, text| {
                    b.iter(|| text.char_indices().step_by(4).filter_map(|(at, _)| read(&text[..at])).count());
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, stream);
criterion_main!(benches);
