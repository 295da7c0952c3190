//! Random rows, and the filters that are asked of them.

use std::borrow::Cow;

use fastrand::Rng;
use pumasi_core::filter::{
    Bounds, Circle, Column, Columns, Datum, Element, EpochUnit, FieldPath, Filter, GeoPoint, Record, Value,
};
use pumasi_core::time::Timestamp;
use serde_json::{Value as Json, json};

/// What one row holds; `Debug` for the message of a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) flag: Option<bool>,
    pub(super) whole: Option<i64>,
    pub(super) small: Option<i16>,
    pub(super) float: Option<f64>,
    pub(super) text: Option<String>,
    pub(super) at: Option<Timestamp>,
    /// Milliseconds since 1970.
    pub(super) epoch: Option<i64>,
    pub(super) tags: Option<Vec<Option<String>>>,
    pub(super) counts: Option<Vec<Option<i64>>>,
    pub(super) json_tags: Option<Json>,
    pub(super) json_counts: Option<Json>,
    pub(super) lat: Option<f64>,
    pub(super) lon: Option<f64>,
}

const FIELDS: [&str; 12] = [
    "flag",
    "n.whole",
    "small",
    "float",
    "text",
    "at",
    "epoch",
    "tags",
    "counts",
    "json_tags",
    "json_counts",
    "place",
];

pub(super) fn columns() -> Columns {
    Columns::new()
        .with("flag", Column::bool("flag"))
        .with("n.whole", Column::int("whole \"n\"").in_table("r"))
        .with("small", Column::int("small"))
        .with("float", Column::float("float"))
        .with("text", Column::text("text"))
        .with("at", Column::time("at"))
        .with("epoch", Column::epoch("epoch", EpochUnit::Milliseconds))
        .with("tags", Column::array("tags", Element::Text))
        .with("counts", Column::array("counts", Element::Int))
        .with("json_tags", Column::json_array("json_tags", Element::Text))
        .with("json_counts", Column::json_array("json_counts", Element::Float))
        .with("place", Column::place("lat", "lon").in_table("r"))
}

fn or_missing<'a, T>(value: Option<T>, datum: impl FnOnce(T) -> Datum<'a>) -> Datum<'a> {
    value.map_or(Datum::Missing, datum)
}

fn json_datum(json: &Json) -> Datum<'_> {
    match json {
        Json::Null => Datum::Missing,
        Json::String(text) => Datum::Text(Cow::Borrowed(text)),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Datum::Float(number.as_f64().unwrap()), |int| Datum::Int(int.into())),
        Json::Array(items) => Datum::List(items.iter().map(json_datum).collect()),
        _ => Datum::Other,
    }
}

impl Record for Row {
    fn field(&self, path: &FieldPath) -> Datum<'_> {
        match path.as_str() {
            "flag" => or_missing(self.flag, Datum::Bool),
            "n.whole" => or_missing(self.whole, |int| Datum::Int(int.into())),
            "small" => or_missing(self.small, |int| Datum::Int(int.into())),
            "float" => or_missing(self.float, Datum::Float),
            "text" => or_missing(self.text.as_deref(), |text| Datum::Text(Cow::Borrowed(text))),
            "at" => or_missing(self.at, Datum::Time),
            "epoch" => or_missing(self.epoch, |millis| Datum::Time(Timestamp::from_micros(millis * 1000))),
            "tags" => or_missing(self.tags.as_ref(), |tags| {
                let item =
                    |tag: &'_ Option<String>| or_missing(tag.clone(), |tag| Datum::Text(Cow::Owned(tag)));
                Datum::List(tags.iter().map(item).collect())
            }),
            "counts" => or_missing(self.counts.as_ref(), |counts| {
                Datum::List(counts.iter().map(|int| or_missing(*int, |int| Datum::Int(int.into()))).collect())
            }),
            "json_tags" => or_missing(self.json_tags.as_ref(), json_datum),
            "json_counts" => or_missing(self.json_counts.as_ref(), json_datum),
            "place" => or_missing(self.lat.zip(self.lon), |(lat, lon)| Datum::Place(GeoPoint::new(lat, lon))),
            other => panic!("no field {other}"),
        }
    }
}

const TEXTS: [&str; 22] = [
    "",
    "a",
    "A",
    "ab",
    "Ab",
    "b",
    "Z",
    "z",
    "가",
    "가나",
    "나",
    "%",
    "_",
    "\\",
    "a_b",
    "10%",
    "'",
    "\"",
    "é",
    "e\u{301}",
    "ß",
    "ab; DROP TABLE row",
];
const NUL_TEXTS: [&str; 4] = ["\0", "a\0", "a\0b", "가\0"];
const INTS: [i64; 13] =
    [0, 1, -1, 2, 3, 7, -5, i64::MAX, i64::MIN, (1 << 53) + 1, 1 << 53, -(1 << 53) - 1, i64::MAX - 1];
const FLOATS: [f64; 13] =
    [0.0, 0.5, -0.5, 1.0, 1.5, 2.0, 3.0, 9_007_199_254_740_992.0, 1e300, -1e300, 0.1, f64::INFINITY, 7.25];
const PLACES: [(f64, f64); 8] = [
    (37.5665, 126.978),
    (37.57, 126.98),
    (35.1796, 129.0756),
    (0.0, 0.0),
    (89.9, 10.0),
    (-89.99, 0.0),
    (10.0, 179.99),
    (10.0, -179.99),
];

fn maybe<T>(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    (rng.u8(0..5) > 0).then(|| value(rng))
}

fn moment(rng: &mut Rng) -> Timestamp {
    let second = [0, 1, 86_400, 1_767_225_600, -1, 4_102_444_800][rng.usize(0..6)];
    let micros = [0, 1, 500_000, 999_999, 999_600, 123_456, 1000][rng.usize(0..7)];
    Timestamp::from_micros(second * 1_000_000 + micros)
}

/// Not the poles themselves: there all longitudes are one place, which rounding may tell apart.
fn place(rng: &mut Rng) -> (f64, f64) {
    let (lat, lon) = PLACES[rng.usize(0..PLACES.len())];
    match rng.u8(0..6) {
        0 => (rng.f64() * 180.0 - 90.0, rng.f64() * 360.0 - 180.0),
        1 | 2 => ((lat + rng.f64() - 0.5).clamp(-89.99, 89.99), (lon + rng.f64() - 0.5).clamp(-180.0, 180.0)),
        3 => (lat, lon + 1e-7),
        _ => (lat, lon),
    }
}

fn of<T: Clone>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.usize(0..choices.len())].clone()
}

fn list<T>(rng: &mut Rng, item: impl Fn(&mut Rng) -> T) -> Vec<Option<T>> {
    (0..rng.usize(0..4)).map(|_| maybe(rng, &item)).collect()
}

pub(super) fn row(rng: &mut Rng, nul: bool, nan: bool) -> Row {
    let text = move |rng: &mut Rng| {
        if nul && rng.u8(0..8) == 0 { of(rng, &NUL_TEXTS) } else { of(rng, &TEXTS) }.to_owned()
    };
    let at = maybe(rng, place);
    Row {
        flag: maybe(rng, Rng::bool),
        whole: maybe(rng, |rng| of(rng, &INTS)),
        small: maybe(rng, |rng| rng.i16(-3..4)),
        float: maybe(rng, |rng| if nan && rng.u8(0..6) == 0 { f64::NAN } else { of(rng, &FLOATS) }),
        text: maybe(rng, text),
        at: maybe(rng, moment),
        epoch: maybe(rng, |rng| moment(rng).as_micros().div_euclid(1000)),
        tags: maybe(rng, |rng| list(rng, |rng| of(rng, &TEXTS).to_owned())),
        counts: maybe(rng, |rng| list(rng, |rng| of(rng, &INTS))),
        json_tags: maybe(rng, |rng| match rng.u8(0..6) {
            0 => Json::Null,
            1 => json!({"a": "b"}),
            _ => json!(list(rng, |rng| of(rng, &TEXTS))),
        }),
        json_counts: maybe(rng, |rng| match rng.u8(0..6) {
            0 => Json::Null,
            1 => json!([[1], "1", true, 2]),
            2 => json!([0.5, 1.0, null]),
            _ => json!(list(rng, |rng| of(rng, &INTS))),
        }),
        lat: at
            .map(|at| at.0)
            .or_else(|| maybe(rng, |_| 1.0))
            .map(|lat| if rng.u8(0..20) == 0 { 95.0 } else { lat }),
        lon: at.map(|at| at.1),
    }
}

fn number(rng: &mut Rng) -> Value {
    match rng.u8(0..10) {
        0 => Value::Int(of(rng, &[i128::MAX, i128::MIN, 1 << 63, -(1 << 63) - 1, (1 << 53) + 1, 1 << 64])),
        1 => Value::Float(of(rng, &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1e19, -1e19])),
        2..=5 => Value::Float(of(rng, &FLOATS)),
        _ => Value::Int(of(rng, &INTS).into()),
    }
}

/// A value that a column of the field's type takes.
fn value(rng: &mut Rng, field: &str) -> Value {
    match field {
        "flag" => rng.bool().into(),
        "n.whole" | "small" | "float" | "counts" => number(rng),
        // Numbers beyond 64 bits are refused for JSON.
        "json_counts" if rng.bool() => of(rng, &INTS).into(),
        "json_counts" => of(rng, &[0.5, 0.1, 1.0, 2.0, f64::NAN, f64::INFINITY]).into(),
        "at" | "epoch" => Value::Time(moment(rng)),
        _ if rng.u8(0..10) == 0 => of(rng, &NUL_TEXTS).into(),
        _ => of(rng, &TEXTS).into(),
    }
}

fn leaf(rng: &mut Rng) -> Filter {
    let name = of(rng, &FIELDS);
    let field = FieldPath::from(name);
    if rng.u8(0..8) == 0 {
        return field.exists();
    }
    match name {
        "place" => {
            let (lat, lon) = place(rng);
            let center = GeoPoint::new(lat, lon.clamp(-180.0, 180.0));
            let radius = of(rng, &[0.0, 100.0, 3_000.0, 40_000.0, 400_000.0, 5e6, 1.1e7, 1.9e7, 3e7]);
            field.near(Circle::new(center, radius))
        }
        "tags" | "counts" | "json_tags" | "json_counts" => field.contains(value(rng, name)),
        "text" if rng.u8(0..3) == 0 => field.contains(value(rng, name)),
        _ => match rng.u8(0..4) {
            0 => field.eq(value(rng, name)),
            1 => {
                let count = if rng.u8(0..10) == 0 { 300 } else { rng.usize(0..4) };
                field.is_in((0..count).map(|_| value(rng, name)).collect::<Vec<_>>())
            }
            _ => {
                let bounds = match rng.u8(0..4) {
                    0 => Bounds::gt(value(rng, name)),
                    1 => Bounds::gte(value(rng, name)),
                    2 => return field.within(Bounds::lt(value(rng, name))),
                    _ => return field.within(Bounds::lte(value(rng, name))),
                };
                field.within(match rng.u8(0..3) {
                    0 => bounds,
                    1 => bounds.and_lt(value(rng, name)),
                    _ => bounds.and_lte(value(rng, name)),
                })
            }
        },
    }
}

pub(super) fn filter(rng: &mut Rng, depth: u8) -> Filter {
    if depth == 0 || rng.u8(0..3) == 0 {
        return leaf(rng);
    }
    let mut children = || (0..rng.usize(0..4)).map(|_| filter(rng, depth - 1)).collect::<Vec<_>>();
    let children = children();
    match rng.u8(0..3) {
        0 => Filter::And(children),
        1 => Filter::Or(children),
        _ => Filter::Not(Box::new(filter(rng, depth - 1))),
    }
}
