//! Entries and filters at random, for stores that are held against the reference.

use std::num::NonZeroUsize;

use pumasi_core::filter::{Bounds, Circle, FieldPath, Filter, GeoPoint, Value};
use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, Span, SparseVector};
use pumasi_rag::document::Fingerprint;
use pumasi_rag::store::{ChunkEntry, Entry, SectionEntry};
use pumasi_rag::{ChunkId, Document, DocumentRecord, Space};
use serde_json::{Map, Value as Json, json};

pub(crate) fn space(dimensions: usize) -> Space {
    Space::of(&HashingEmbedder::with_dimensions(NonZeroUsize::new(dimensions).unwrap()))
}

/// A document of one chunk.
pub(crate) fn entry(id: &str, text: &str, vector: Vec<f32>, metadata: Map<String, Json>) -> Entry {
    let span = Span::new(0, text.len());
    let terms = SparseVector::counts(text, &Analyzer::default());
    let chunk = ChunkEntry::new(ChunkId::new(id, "", text, 0), 0, span, vector, terms);
    let mut document = Document::new(id, text);
    document.metadata = metadata;
    let record = DocumentRecord::new(&document, Fingerprint::of([id.as_bytes(), text.as_bytes()]));
    Entry::new(record, vec![SectionEntry::new(Vec::new(), span, text)], vec![chunk])
}

pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    for number in &mut vector {
        *number /= length;
    }
    vector
}

/// A value of any type, from a few: so that they meet.
fn random_json(rng: &mut fastrand::Rng, depth: u32) -> Json {
    let texts = [
        "",
        "a",
        "b",
        "가",
        "가나",
        "a\0b",
        "\u{2}",
        "10",
        "2026-01-01T00:00:00Z",
        "2026-01-01T09:00:00+09:00",
        "2025-06-01T00:00:00.5Z",
        "2026-01-01",
    ];
    match rng.u8(0..if depth == 0 { 8 } else { 11 }) {
        0 => Json::Null,
        1 => rng.bool().into(),
        2 | 3 => rng.i64(-3..4).into(),
        4 => rng.choice([(1_i64 << 53) + 1, 1 << 53, i64::MIN, 1 << 60]).unwrap().into(),
        5 => rng
            .choice([
                0.5,
                -0.0,
                0.1,
                1e300,
                9_007_199_254_740_992.0,
                2.0,
                1_152_921_504_606_846_976.0,
                5e-324,
            ])
            .unwrap()
            .into(),
        6 | 7 => (*rng.choice(&texts).unwrap()).into(),
        8 | 9 => Json::Array((0..rng.usize(0..4)).map(|_| random_json(rng, 0)).collect()),
        _ => match rng.u8(0..3) {
            0 => json!({"lat": rng.f64() * 2.0 + 37.0, "lon": rng.f64() * 2.0 + 126.0}),
            1 => json!({"lat": 120, "lon": 0, "x": random_json(rng, 0)}),
            _ => json!({"x": random_json(rng, depth - 1), "y.z": 1}),
        },
    }
}

pub(crate) fn random_metadata(rng: &mut fastrand::Rng) -> Map<String, Json> {
    let mut metadata = Map::new();
    for name in ["a", "b", "낱말", "stats"] {
        if rng.u8(0..5) > 0 {
            metadata.insert(name.to_owned(), random_json(rng, 2));
        }
    }
    metadata
}

fn random_value(rng: &mut fastrand::Rng) -> Value {
    loop {
        return match random_json(rng, 0) {
            Json::Bool(value) => Value::Bool(value),
            Json::String(text) => match text.parse() {
                Ok(moment) if rng.bool() => Value::Time(moment),
                _ => Value::Text(text),
            },
            Json::Number(number) if rng.u8(0..12) > 0 => match number.as_i64() {
                Some(int) => Value::Int(int.into()),
                None => Value::Float(number.as_f64().unwrap()),
            },
            Json::Number(_) => {
                let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5e300, -0.0];
                if rng.u8(0..4) == 0 {
                    Value::Int(i128::MAX)
                } else {
                    Value::Float(*rng.choice(&special).unwrap())
                }
            }
            _ => continue,
        };
    }
}

pub(crate) fn random_filter(rng: &mut fastrand::Rng, depth: u32) -> Filter {
    if depth > 0 && rng.u8(0..2) > 0 {
        let some =
            |rng: &mut fastrand::Rng| (0..rng.usize(0..4)).map(|_| random_filter(rng, depth - 1)).collect();
        return match rng.u8(0..3) {
            0 => Filter::And(some(rng)),
            1 => Filter::Or(some(rng)),
            _ => Filter::Not(Box::new(random_filter(rng, depth - 1))),
        };
    }
    let field = FieldPath::from(
        *rng.choice(&["a", "b", "낱말", "stats", "stats.x", "a.lat", "b.x", "none"]).unwrap(),
    );
    match rng.u8(0..9) {
        0 | 1 => field.eq(random_value(rng)),
        2 => field.is_in((0..rng.usize(0..4)).map(|_| random_value(rng))),
        3 => field.is_in((0..70).map(|_| random_value(rng))),
        4 => field.within(Bounds::gte(random_value(rng)).and_lt(random_value(rng))),
        5 => field.within(if rng.bool() {
            Bounds::gt(random_value(rng))
        } else {
            Bounds::lte(random_value(rng))
        }),
        6 => field.contains(random_value(rng)),
        7 => field.exists(),
        _ => field.near(Circle::new(GeoPoint::new(38.0, 127.0), rng.f64() * 100_000.0)),
    }
}

/// Vectors about some centres, of which one in a hundred has each level.
pub(crate) fn clustered(chunks: usize, dimensions: usize) -> Vec<Entry> {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut point = |spread: f32| (0..dimensions).map(|_| spread * (rng.f32() - 0.5)).collect::<Vec<f32>>();
    let centres: Vec<Vec<f32>> = (0..chunks / 40).map(|_| point(1.0)).collect();
    (0..chunks)
        .map(|n| {
            let centre = &centres[n * 7 % centres.len()];
            let vector = unit(centre.iter().zip(point(0.8)).map(|(x, y)| x + y).collect());
            let metadata = json!({"level": n % 100}).as_object().unwrap().clone();
            entry(&format!("문서-{n}"), "달리기", vector, metadata)
        })
        .collect()
}
