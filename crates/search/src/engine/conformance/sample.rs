//! Documents and filters by chance, of which every kind of field and every edge comes up.

use pumasi_core::filter::{Bounds, Circle, Field, FieldPath, Filter, GeoPoint};
use pumasi_core::time::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::schema::{Document, Schema, TextField};

pub(super) const TITLE: TextField = TextField::new("title");
pub(super) const BODY: TextField = TextField::new("text.body");
pub(super) const CATEGORY: Field<String> = Field::new("category");
pub(super) const TAGS: Field<Vec<String>> = Field::new("tags");
pub(super) const OPEN: Field<bool> = Field::new("open");
pub(super) const LIKES: Field<i64> = Field::new("stats.likes");
pub(super) const PACE: Field<f64> = Field::new("pace");
pub(super) const CREATED: Field<Timestamp> = Field::new("created_at");
pub(super) const PLACE: Field<GeoPoint> = Field::new("place");

const CATEGORIES: [&str; 6] = ["run", "race", "러닝", "", "a\"b\\c%_", "run 2"];
const WORDS: [&str; 24] = [
    "한강",
    "러닝크루에서",
    "마라톤을",
    "에어팟",
    "10km를",
    "달렸습니다",
    "물",
    "집",
    "the",
    "of",
    "running",
    "marathons",
    "half",
    "river",
    "crew",
    "Kafka는",
    "LG전자의",
    "C++",
    "5만원",
    "學校",
    "🏃",
    "아침",
    "러닝",
    "시작",
];

/// Returns the schema of the laws: each kind of field, two text fields, one of them boosted and with prefixes.
pub fn schema() -> Schema {
    Schema::new("laws")
        .with_text(TITLE.boosted(2.0).with_prefixes())
        .with_text(BODY)
        .with_field(&CATEGORY)
        .with_field(&TAGS)
        .with_field(&OPEN)
        .with_field(&LIKES)
        .with_field(&PACE)
        .with_field(&CREATED)
        .with_field(&PLACE)
}

fn pick<T: Copy>(random: &mut fastrand::Rng, from: &[T], or: T) -> T {
    random.choice(from).copied().unwrap_or(or)
}

fn words(random: &mut fastrand::Rng, most: usize) -> String {
    let count = random.usize(0..=most);
    (0..count).map(|_| pick(random, &WORDS, "")).collect::<Vec<_>>().join(" ")
}

fn likes(random: &mut fastrand::Rng) -> i64 {
    pick(random, &[0, 1, 1, 2, 3, 10, -5, i64::MAX, i64::MIN, 9_007_199_254_740_993], 0)
}

fn pace(random: &mut fastrand::Rng) -> f64 {
    pick(random, &[0.0, -0.0, 1.0, 4.5, 4.500_000_000_000_001, -7.25, 1e300, 5e-324], 0.0)
}

fn moment(random: &mut fastrand::Rng) -> Timestamp {
    let micros =
        [0, 1, 1_767_225_600_000_000, 1_767_225_600_000_001, -62_135_596_800_000_000, 1_800_000_000_000_000];
    Timestamp::from_micros(pick(random, &micros, 0))
}

fn place(random: &mut fastrand::Rng) -> GeoPoint {
    let places = [
        (37.5665, 126.978),
        (37.57, 126.98),
        (35.1796, 129.0756),
        (0.0, 180.0),
        (0.0, -180.0),
        (90.0, 0.0),
        (-90.0, 12.0),
    ];
    let (lat, lon) = pick(random, &places, (0.0, 0.0));
    let near: f64 = lat + (random.f64() - 0.5) * 0.05;
    GeoPoint::new(near.clamp(-90.0, 90.0), lon)
}

/// Makes a document by chance; each field is missing in about a quarter of them.
pub fn document(random: &mut fastrand::Rng, id: &str) -> Document {
    let mut source = Map::new();
    let mut put = |random: &mut fastrand::Rng, name: &str, value: Json| {
        if random.u8(0..4) > 0 {
            source.insert(name.to_owned(), value);
        }
    };
    let title = words(random, 5);
    put(random, "title", title.into());
    let body = words(random, 25);
    put(random, "text", json!({"body": body}));
    let category = pick(random, &CATEGORIES, "");
    put(random, "category", category.into());
    let tags: Vec<&str> = (0..random.usize(0..4)).map(|_| pick(random, &CATEGORIES, "")).collect();
    put(random, "tags", json!(tags));
    let open = random.bool();
    put(random, "open", open.into());
    let liked = likes(random);
    put(random, "stats", json!({"likes": liked}));
    let paced = pace(random);
    put(random, "pace", json!(paced));
    let created = moment(random).to_string();
    put(random, "created_at", created.into());
    let at = place(random);
    put(random, "place", json!({"lat": at.lat, "lon": at.lon}));
    Document::new(id, Json::Object(source))
}

/// Makes a filter of at most the depth by chance.
pub fn filter(random: &mut fastrand::Rng, depth: usize) -> Filter {
    let several = |random: &mut fastrand::Rng| -> Vec<Filter> {
        (0..random.usize(0..4)).map(|_| filter(random, depth.saturating_sub(1))).collect()
    };
    match random.u8(0..if depth == 0 { 12 } else { 18 }) {
        0 => CATEGORY.eq(pick(random, &CATEGORIES, "")),
        1 => {
            CATEGORY.is_in((0..random.usize(0..4)).map(|_| pick(random, &CATEGORIES, "")).collect::<Vec<_>>())
        }
        2 => CATEGORY.contains(pick(random, &["", "r", "run", "러", "\"b\\", "%", "_"], "")),
        3 => TAGS.contains(pick(random, &CATEGORIES, "")),
        4 => OPEN.eq(random.bool()),
        5 => {
            let (low, high) = (likes(random), likes(random));
            if random.bool() { LIKES.within(low..=high) } else { LIKES.within(low..high) }
        }
        6 => {
            let half = pick(random, &[0.5, 1.5, 2.0, -5.0, 1e19, -1e19], 0.0);
            FieldPath::new("stats.likes").within(if random.bool() {
                Bounds::gt(half)
            } else {
                Bounds::lte(half)
            })
        }
        7 => {
            let (low, high) = (pace(random), pace(random));
            if random.bool() { PACE.within(low..=high) } else { PACE.eq(high) }
        }
        8 => CREATED.below(moment(random)),
        9 => {
            let radius = pick(random, &[0.0, 500.0, 5_000.0, 400_000.0, 20_100_000.0], 0.0);
            PLACE.near(Circle::new(place(random), radius))
        }
        10 => {
            let names = ["category", "tags", "open", "stats.likes", "pace", "created_at", "place"];
            FieldPath::new(pick(random, &names, "tags")).exists()
        }
        11 => CATEGORY.within(pick(random, &CATEGORIES, "")..=pick(random, &CATEGORIES, "")),
        12 | 13 => Filter::And(several(random)),
        14 | 15 => Filter::Or(several(random)),
        _ => !filter(random, depth.saturating_sub(1)),
    }
}

/// Makes what somebody may type by chance.
pub(super) fn text(random: &mut fastrand::Rng) -> String {
    let pieces: Vec<String> = (0..random.usize(0..4))
        .map(|_| {
            let word = pick(random, &WORDS, "");
            match random.u8(0..10) {
                0 => format!("\"{word} {}\"", pick(random, &WORDS, "")),
                1 => format!("-{word}"),
                2 => format!("+{word}"),
                3 => format!("title:{word}"),
                4 => format!("{word} OR {}", pick(random, &WORDS, "")),
                5 => pick(random, &["mara*", "러*", "ㄹㄴ*", "ㅎ*", "lg*"], "").to_owned(),
                6 => pick(random, &["marathom", "kaffka", "rivr", "러닝크류"], "").to_owned(),
                _ => word.to_owned(),
            }
        })
        .collect();
    pieces.join(" ")
}
