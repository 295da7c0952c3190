//! What the laws of odd questions ask and write.

use std::time::Duration;

use pumasi_core::filter::{Circle, FieldPath, Filter, GeoPoint};
use pumasi_core::time::Timestamp;
use serde_json::{Value as Json, json};

use super::sample::{CATEGORY, CREATED, LIKES, OPEN, PACE, PLACE, TAGS};
use crate::engine::Change;
use crate::query::{Fusion, Rank, Sort};
use crate::schema::Document;

/// What somebody may type.
pub(super) fn texts() -> Vec<String> {
    let many = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = [
        "",
        " ",
        "\t\n",
        "the of a",
        "를",
        "🏃",
        "🏃🏃🏃",
        "👩‍👩‍👧‍👦 한강",
        "🏃‍♀️러닝",
        "ㄹ",
        "ㅏ",
        "ㅋㅋㅋ",
        "ㄱㅏ",
        "ㄹㄴ 한강",
        "\u{1100}",
        "\u{1100}\u{1161}",
        "러\u{11ab}",
        "e\u{301}te",
        "\u{feff}러닝",
        "\0",
        "러\0닝",
        "\u{202e}러닝",
        "\u{fffd}",
        "\"",
        "\"\"",
        "\"러닝",
        "\"러닝\" \"",
        "-",
        "+",
        "--",
        "-러닝",
        "-\"러닝 시작\"",
        "+the",
        "OR",
        "OR OR",
        "러닝 OR",
        "OR 러닝",
        "*",
        "**",
        "ㄹ*",
        "the*",
        "title:",
        "title:러닝",
        "title:\"러닝 한강\"",
        "nofield:러닝",
        "text.body:러닝",
        ":",
        "(러닝) [a] {b} ~ ^2 \\ / & | ! ?",
        "'; DROP TABLE x; --",
        "%",
        "_",
        "' | '",
        "<b>&amp;</b>",
        "$1 ${x} #{y}",
        "٣ ３ ③",
        "C++ C# .NET",
        "a.b.c",
        "10km를",
        "1e400",
        "-1",
        "LG전자의",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        "a".repeat(10_000),
        "러".repeat(5_000),
        "가".repeat(5_500),
        many(1_900),
        "🏃".repeat(4_000),
        "\"".repeat(10_000),
        "-a ".repeat(400),
        "the ".repeat(400),
        "러닝 OR ".repeat(200),
        "\"a b\" ".repeat(200),
        "ㄹ* ".repeat(300),
        "+한강 ".repeat(300),
        format!("\"{}\"", many(1_000)),
        "a".repeat(16_384),
        "a".repeat(16_385),
    ]);
    texts
}

/// Filters at the ends of their scales.
pub(super) fn filters() -> Vec<Filter> {
    let likes = FieldPath::new("stats.likes");
    let mut filters = vec![
        PACE.eq(f64::NAN),
        PACE.within(f64::NAN..=1.0),
        !PACE.below(f64::NAN),
        PACE.at_least(f64::NEG_INFINITY),
        !PACE.below(f64::INFINITY),
        PACE.eq(-0.0),
        PACE.eq(5e-324),
        likes.eq(f64::NAN),
        !likes.eq(0.5),
        likes.eq(1e300),
        LIKES.at_least(i64::MIN),
        LIKES.eq(i64::MAX),
        LIKES.at_least(5).and(LIKES.at_most(1)),
        LIKES.is_in(Vec::<i64>::new()),
        !LIKES.is_in(Vec::<i64>::new()),
        CATEGORY.is_in(Vec::<String>::new()),
        CATEGORY.eq("\0"),
        !CATEGORY.eq("a\0b"),
        CATEGORY.contains("\0"),
        CATEGORY.contains(""),
        CATEGORY.eq("x".repeat(5_000)),
        CATEGORY.contains("x".repeat(5_000)),
        CATEGORY.is_in((0..9_000).map(|n| format!("c{n}")).collect::<Vec<_>>()),
        CATEGORY.is_in((0..10_001).map(|n| n.to_string()).collect::<Vec<_>>()),
        CATEGORY.eq("*"),
        CATEGORY.contains("*"),
        CATEGORY.contains("?"),
        TAGS.contains(""),
        TAGS.contains("\0"),
        !TAGS.contains("x".repeat(5_000)),
        OPEN.eq(true).and(OPEN.eq(false)),
        CREATED.below(Timestamp::from_micros(i64::MIN)),
        CREATED.at_least(Timestamp::from_micros(i64::MAX)),
        Filter::Or(Vec::new()),
        !Filter::And(Vec::new()),
        Filter::And(vec![Filter::everything(); 500]),
        Filter::Or((0..900).map(|n| LIKES.eq(n)).collect()),
        Filter::And((0..900).map(|n| !LIKES.eq(n + 4)).collect()),
    ];
    // nothing lies within rounding of an edge, where engines may differ
    for radius in [0.5, 1.0, 3_000_000.0, 20_015_115.0, 1e9, f64::MAX, f64::NAN, -1.0, f64::INFINITY] {
        for (lat, lon) in [
            (90.0, 0.0),
            (90.0, 180.0),
            (-90.0, -77.0),
            (89.999, 179.999),
            (0.0, 180.0),
            (0.0, -180.0),
            (0.0, 179.99),
            (0.01, -179.99),
            (91.0, 0.0),
            (0.0, 181.0),
            (f64::NAN, 0.0),
        ] {
            filters.push(PLACE.near(Circle::new(GeoPoint::new(lat, lon), radius)));
        }
    }
    let mut deep = OPEN.eq(true);
    for depth in 0..40 {
        if depth % 8 == 0 {
            filters.push(deep.clone());
        }
        deep = Filter::Not(Box::new(deep));
    }
    filters
}

/// Orders that can be had, and some that cannot.
pub(super) fn ranks() -> Vec<Rank> {
    let now = Timestamp::from_micros(1_800_000_000_000_000);
    let decayed = |half_life: Duration, now: Timestamp| {
        Rank::Fused(Fusion::weighted().with_decay(&CREATED, 1.0, half_life, now))
    };
    vec![
        Rank::Text,
        Rank::sorted([]),
        Rank::sorted([Sort::ascending(&PACE), Sort::descending(&PACE), Sort::ascending_at(OPEN.path())]),
        Rank::sorted(vec![Sort::ascending(&LIKES); 4]),
        Rank::sorted([Sort::ascending_at(TAGS.path())]),
        Rank::Fused(Fusion::weighted().with_text(-1.0)),
        Rank::Fused(Fusion::weighted().with_text(f32::NAN)),
        Rank::Fused(Fusion::weighted().with_text(0.0)),
        Rank::Fused(Fusion::weighted().with_popularity(&LIKES, -1.0)),
        Rank::Fused(Fusion::weighted().with_popularity(&LIKES, 1.0).with_popularity(&PACE, 1.0)),
        Rank::Fused(Fusion::weighted().with_popularity(&LIKES, f32::MAX).with_popularity(&PACE, f32::MAX)),
        Rank::Fused(Fusion::rrf().with_popularity(&LIKES, f32::MAX)),
        Rank::Fused(Fusion::rrf().with_window(0)),
        Rank::Fused(Fusion::rrf().with_window(10_000)),
        Rank::Fused(Fusion::rrf().with_window(10_001)),
        decayed(Duration::ZERO, now),
        decayed(Duration::from_nanos(1), now),
        decayed(Duration::from_hours(1), now),
        decayed(Duration::MAX, now),
        decayed(Duration::from_hours(1), Timestamp::from_micros(i64::MAX)),
        decayed(Duration::from_hours(1), Timestamp::from_micros(i64::MIN)),
    ]
}

/// Documents that the schema allows.
pub(super) fn odd_documents() -> Vec<Document> {
    let odd = |number: usize, source: Json| Document::new(format!("이상한-{number:02}"), source);
    let words: Vec<String> = (0..40_000).map(|number| format!("낱말{number}")).collect();
    let mut sources = vec![
        json!({}),
        json!({"title": null, "text": null, "stats": null, "place": null, "tags": null}),
        json!({"title": ""}),
        json!({"title": []}),
        json!({"title": ["러닝", "", "한강"], "tags": []}),
        json!({"title": "러\u{0}닝 \u{0}", "더": {"\u{0}": "\u{0}"}}),
        json!({"title": "🏃🏃🏃 👩‍👩‍👧‍👦", "category": "🏃"}),
        json!({"title": "the of a"}),
        json!({"title": "ㄹㄴㅋㄹ ㅋㅋㅋ ㅏ"}),
        json!({"title": "e\u{301}te\u{301} \u{1100}\u{1161}\u{11a8}"}),
        json!({"title": "a".repeat(100_000)}),
        json!({"title": "가".repeat(20_000), "text": {"body": words.join(" ")}}),
        json!({"title": "끝", "text": {"body": format!("{} 마지막", "러닝 ".repeat(400))}}),
        json!({"tags": ["같은", "같은", "같은", ""], "category": "x".repeat(1_024)}),
        json!({"pace": 1e308, "stats": {"likes": i64::MIN}, "created_at": "0001-01-01T00:00:00Z"}),
        json!({"pace": -0.0, "stats": {"likes": i64::MAX}, "created_at": "9999-12-31T23:59:59Z"}),
        json!({"pace": 3, "more": [1e300, u64::MAX, -1, null, true, {"a": {"b": {"c": "\"\\'"}}}]}),
        json!({"place": {"lat": 90, "lon": 180}, "title": "북극"}),
        json!({"place": {"lat": -90.0, "lon": -180.0}, "title": "남극"}),
        json!({"place": {"lat": 0, "lon": -180, "height": 3}, "title": "날짜선"}),
    ];
    sources.push(json!({"title": "\u{feff}\u{202e}\u{200b}러닝\u{fffd}", "category": "\u{202e}"}));
    sources.into_iter().enumerate().map(|(number, source)| odd(number, source)).collect()
}

/// Changes that it does not.
pub(super) fn refused_changes() -> Vec<Change> {
    let bad = |id: &str, source: Json| Change::upsert(Document::new(id, source), 1);
    vec![
        bad("", json!({})),
        bad("a\0", json!({})),
        bad(&"x".repeat(257), json!({})),
        bad("나쁜", json!(null)),
        bad("나쁜", json!([])),
        bad("나쁜", json!({"title": 1})),
        bad("나쁜", json!({"title": [1]})),
        bad("나쁜", json!({"category": "\u{0}"})),
        bad("나쁜", json!({"category": "x".repeat(1_025)})),
        bad("나쁜", json!({"category": ["run"]})),
        bad("나쁜", json!({"tags": "run"})),
        bad("나쁜", json!({"tags": [1]})),
        bad("나쁜", json!({"pace": "NaN"})),
        bad("나쁜", json!({"pace": 9_007_199_254_740_993_i64})),
        bad("나쁜", json!({"stats": {"likes": u64::MAX}})),
        bad("나쁜", json!({"stats": {"likes": 1.0}})),
        bad("나쁜", json!({"created_at": "yesterday"})),
        bad("나쁜", json!({"created_at": 5})),
        bad("나쁜", json!({"place": {"lat": 90.1, "lon": 0}})),
        bad("나쁜", json!({"place": {"lat": 0}})),
        bad("나쁜", json!({"place": [0, 0]})),
        Change::delete("", 1),
        Change::delete("나쁜", u64::MAX),
    ]
}
