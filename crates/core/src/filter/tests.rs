use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const A: Field<i64> = Field::new("a");
const NAME: Field<String> = Field::new("user.name");
const TAGS: Field<Vec<String>> = Field::new("tags");
const PLACE: Field<GeoPoint> = Field::new("place");

#[test]
fn a_comparison_with_a_missing_field_is_unknown_and_so_is_its_contrary() {
    for record in [json!({}), json!({"a": null})] {
        for filter in [A.eq(1), A.ne(1), A.is_in([1, 2]), !A.is_in([1]), A.below(3), !A.below(3)] {
            assert_eq!(filter.evaluate(&record), Truth::Unknown, "{filter:?}");
            assert!(!filter.matches(&record));
        }
        assert_eq!(A.exists().evaluate(&record), Truth::False);
        assert!(A.ne(1).or(!A.exists()).matches(&record));
        assert_eq!(A.is_in(Vec::<i64>::new()).evaluate(&record), Truth::False);
    }
}

#[test]
fn the_truth_table_is_the_written_one() {
    let truths = [(Truth::True, A.exists()), (Truth::Unknown, NAME.eq("x")), (Truth::False, !A.exists())];
    let record = json!({"a": 1});
    let rank = |truth| match truth {
        Truth::False => 0,
        Truth::Unknown => 1,
        Truth::True => 2,
    };
    for (a, left) in &truths {
        for (b, right) in &truths {
            assert_eq!(rank(left.clone().and(right.clone()).evaluate(&record)), rank(*a).min(rank(*b)));
            assert_eq!(rank(left.clone().or(right.clone()).evaluate(&record)), rank(*a).max(rank(*b)));
        }
        assert_eq!(rank((!left.clone()).evaluate(&record)), 2 - rank(*a));
    }
    assert!(Filter::everything().matches(&record) && !Filter::nothing().matches(&record));
}

#[test]
fn another_type_is_not_equal_and_has_no_order() {
    let record = json!({"a": "1", "user": {"name": 5}});
    assert_eq!(A.eq(1).evaluate(&record), Truth::False);
    assert_eq!(A.ne(1).evaluate(&record), Truth::True);
    assert_eq!(A.at_least(0).evaluate(&record), Truth::False);
    assert_eq!(NAME.contains("5").evaluate(&record), Truth::False);
}

#[test]
fn numbers_are_compared_exactly() {
    let big = 9_007_199_254_740_993_i64;
    let record = json!({"a": big});
    assert!(A.eq(big).matches(&record));
    assert!(!A.eq(big - 1).matches(&record));
    let float: Field<f64> = Field::new("a");
    assert!(!float.eq(9_007_199_254_740_992.0).matches(&record));
    assert!(float.above(9_007_199_254_740_992.0).matches(&record));
    assert!(float.eq(1.0).matches(&json!({"a": 1})));
    assert!(float.eq(-0.0).matches(&json!({"a": 0})));
    assert_eq!(float.eq(f64::NAN).evaluate(&json!({"a": 1})), Truth::Unknown);
    assert_eq!(float.below(f64::INFINITY).evaluate(&json!({"a": u64::MAX})), Truth::True);
    let unsigned: Field<u64> = Field::new("a");
    assert!(unsigned.eq(u64::MAX).matches(&json!({"a": u64::MAX})));
    assert!(!unsigned.eq(u64::MAX).matches(&json!({"a": u64::MAX - 1})));
    assert!(float.above(-1.5).and(float.below(-0.5)).matches(&json!({"a": -1})));
}

#[test]
fn contains_looks_into_arrays_and_strings() {
    let record = json!({"tags": ["러닝", "수영", null, 3], "user": {"name": "김민수"}});
    assert!(TAGS.contains("러닝").matches(&record));
    assert!(TAGS.contains("러").evaluate(&record) == Truth::False);
    assert!(NAME.contains("민수").matches(&record));
    assert!(FieldPath::from("tags").contains(3).matches(&record));
}

#[test]
fn moments_are_compared_whatever_their_offset() {
    let at: Field<crate::time::Timestamp> = Field::new("at");
    let moment = "2026-01-01T00:00:00Z".parse::<crate::time::Timestamp>().unwrap();
    assert!(at.eq(moment).matches(&json!({"at": "2026-01-01T09:00:00+09:00"})));
    assert_eq!(at.at_least(moment).evaluate(&json!({"at": "tomorrow"})), Truth::False);
}

#[test]
fn a_place_is_near_up_to_the_radius_and_across_the_date_line() {
    let seoul = json!({"place": {"lat": 37.5665, "lon": 126.978}});
    let near = |lat, lon, radius| PLACE.near(Circle::new(GeoPoint::new(lat, lon), radius));
    assert!(near(37.5651, 126.98955, 1_100.0).matches(&seoul));
    assert!(!near(37.5651, 126.98955, 900.0).matches(&seoul));
    assert!(near(0.0, -179.9, 25_000.0).matches(&json!({"place": {"lat": 0.0, "lon": 179.9}})));
    assert_eq!(near(0.0, 0.0, 1.0).evaluate(&json!({"place": "Seoul"})), Truth::False);
    assert_eq!(near(0.0, 0.0, 1.0).evaluate(&json!({})), Truth::Unknown);
    // a degree of a great circle: 2 pi R / 360
    assert!((GeoPoint::new(0.0, 0.0).distance_m(GeoPoint::new(0.0, 1.0)) - 111_195.08).abs() < 0.1);
}

#[test]
fn json_is_stable_and_read_strictly() {
    let filter = A.within(1..5).and(NAME.is_in(["가", "나"])).and(!TAGS.contains("x"));
    let text = r#"{"and":[{"range":{"field":"a","gte":1,"lt":5}},{"in":{"field":"user.name","values":["가","나"]}},{"not":{"contains":{"field":"tags","value":"x"}}}]}"#;
    assert_eq!(serde_json::to_string(&filter).unwrap(), text);
    assert_eq!(serde_json::from_str::<Filter>(text).unwrap(), filter);
    for (bad, place) in [
        (json!({"equals": {"field": "a", "value": 1}}), "\"\""),
        (json!({"eq": {"field": "a", "value": 1}, "not": {}}), "\"\""),
        (json!({"and": [{"eq": {"field": "a", "value": 1, "or": 2}}]}), "/and/0/eq"),
        (json!({"eq": {"field": "", "value": 1}}), "/eq"),
        (json!({"eq": {"field": "a..b", "value": 1}}), "/eq"),
        (json!({"eq": {"field": "a", "value": null}}), "/eq"),
        (json!({"eq": {"field": "a", "value": [1]}}), "/eq"),
        (json!({"eq": {"field": "a"}}), "/eq"),
        (json!({"range": {"field": "a"}}), "/range"),
        (json!({"range": {"field": "a", "gt": 1, "gte": 2}}), "/range"),
        (json!({"in": {"field": "a", "values": 1}}), "/in"),
        (json!({"in": {"field": "a", "values": [1, {"date": "x"}]}}), "/in/values/1"),
        (json!({"near": {"field": "a", "lat": 91.0, "lon": 0.0, "radius_m": 5.0}}), "/near"),
        (json!({"eq": {"field": "a", "value": {"time": "yesterday"}}}), "/eq"),
        (json!([]), "\"\""),
    ] {
        let error = Filter::from_json(&bad).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(place), "{error} should name {place}");
    }
}

#[test]
fn a_member_named_twice_is_refused_and_not_dropped() {
    for text in [
        r#"{"eq":{"field":"owner","value":"me"},"eq":{"field":"a","value":1}}"#,
        r#"{"and":[{"eq":{"field":"owner","value":"me","value":"you"}}]}"#,
        r#"{"range":{"field":"a","gte":1,"gte":0}}"#,
    ] {
        let error = serde_json::from_str::<Filter>(text).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
    let twin = r#"{"range":{"field":"a","gte":-1,"lt":2.5}}"#;
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Filter>(twin).unwrap()).unwrap(), twin);
}

#[test]
fn depth_and_size_are_bounded() {
    let deep =
        |levels| (0..levels).fold(json!({"exists": {"field": "a"}}), |inner, _| json!({ "not": inner }));
    assert!(Filter::from_json(&deep(MAX_DEPTH)).is_ok());
    assert!(Filter::from_json(&deep(MAX_DEPTH + 1)).unwrap_err().to_string().contains("deeper"));
    let wide = |count: usize| json!({"in": {"field": "a", "values": vec![1; count]}});
    assert!(Filter::from_json(&wide(MAX_SIZE - 1)).is_ok());
    assert!(Filter::from_json(&wide(MAX_SIZE)).unwrap_err().to_string().contains("larger"));
    let text = "{\"not\":".repeat(100_000);
    assert!(serde_json::from_str::<Filter>(&text).is_err());
    assert!(A.is_in(vec![1_i64; MAX_SIZE]).validate().is_err());
    assert!(FieldPath::from("a..b").exists().validate().is_err());
    assert!(PLACE.near(Circle::new(GeoPoint::new(f64::NAN, 0.0), 1.0)).validate().is_err());
}

/// Can do what it says, and no more.
struct Lowered(Capabilities);
impl Compiler for Lowered {
    type Output = ();

    fn capabilities(&self) -> Capabilities {
        self.0
    }

    fn lower(&self, filter: &Filter) -> Result<(), Unsupported> {
        self.0.check(filter)
    }
}

#[test]
fn a_compiler_is_handed_nothing_that_it_cannot_do_in_whatever_form_the_filter_came() {
    let joined = A.eq(1).or(A.eq(2)).or(A.eq(3));
    for capabilities in [Capabilities::all().without(Operator::In), Capabilities::all().with_max_values(2)] {
        let error = Lowered(capabilities).compile(&joined).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    }
    assert!(Lowered(Capabilities::all().with_max_values(2)).compile(&A.is_in([1, 1, 1])).is_ok());
}

#[test]
fn what_a_backend_cannot_do_is_named_with_its_place() {
    let filter = A.eq(1).and(!PLACE.near(Circle::new(GeoPoint::new(0.0, 0.0), 1.0)));
    let refused = Capabilities::all().without(Operator::Near).check(&filter).unwrap_err();
    assert_eq!((refused.path.as_str(), refused.operator), ("/and/1/not", Operator::Near));
    assert_eq!(refused.field.as_ref().map(FieldPath::as_str), Some("place"));
    assert_eq!(crate::Error::from(refused).kind(), crate::ErrorKind::Unsupported);
    assert!(Capabilities::all().with_max_values(2).check(&A.is_in([1, 2, 3])).is_err());
    assert!(Capabilities::all().with_max_depth(1).check(&filter).is_err());
    assert!(Capabilities::all().check(&filter).is_ok());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i128>().prop_map(Value::Int),
        prop::sample::select(vec![0.0, -0.0, 0.5, 1.0, -2.0, f64::NAN, f64::INFINITY, 1e300])
            .prop_map(Value::from),
        prop::sample::select(vec!["", "가", "a", "가나"]).prop_map(Value::from),
        (0_i64..3).prop_map(|second| Value::Time(crate::time::Timestamp::from_micros(second * 1_000_000))),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let field = || prop::sample::select(vec!["a", "b", "c.d"]).prop_map(FieldPath::from);
    let end = || prop::option::of((value(), any::<bool>()));
    let leaf = prop_oneof![
        (field(), value()).prop_map(|(field, value)| Filter::Eq { field, value }),
        (field(), prop::collection::vec(value(), 0..4))
            .prop_map(|(field, values)| Filter::In { field, values }),
        (field(), value(), any::<bool>(), end()).prop_map(|(field, low, inclusive, high)| Filter::Range {
            field,
            bounds: Bounds { low: Some((low, inclusive)), high }
        }),
        (field(), value()).prop_map(|(field, value)| Filter::Contains { field, value }),
        field().prop_map(|field| Filter::Exists { field }),
        (field(), 0_u32..10_000_000).prop_map(|(field, half)| Filter::Near {
            field,
            circle: Circle::new(GeoPoint::new(-0.0, 10.0), f64::from(half) / 2.0)
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn records() -> impl Strategy<Value = Json> {
    let field = || {
        prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(-2),
            json!(0.5),
            json!(""),
            json!("가나"),
            json!("1970-01-01T00:00:01Z"),
            json!(["a", 1, null]),
            json!([]),
            json!({"lat": 1.0, "lon": 11.0}),
            json!({"d": 1}),
            json!({"d": "가"}),
            json!(u64::MAX),
        ])
    };
    (field(), field(), field(), any::<bool>())
        .prop_map(|(a, b, c, bare)| if bare { json!({"b": b}) } else { json!({"a": a, "b": b, "c": c}) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_canonical_form_means_the_same(filter in filters(), record in records()) {
        prop_assert_eq!(filter.canonical().filter().evaluate(&record), filter.evaluate(&record));
    }

    #[test]
    fn the_canonical_form_is_its_own(filter in filters()) {
        let once = filter.canonical();
        prop_assert_eq!(once.filter().canonical(), once);
    }

    #[test]
    fn the_canonical_form_is_written_as_json_writes_it_and_ordered_by_that(filter in filters()) {
        let canonical = filter.canonical();
        prop_assert_eq!(canonical.as_str(), serde_json::to_string(canonical.filter()).unwrap());
        let mut open = vec![canonical.filter()];
        while let Some(filter) = open.pop() {
            open.extend(filter.children());
            if let Filter::And(children) | Filter::Or(children) = filter {
                let texts = children.iter().map(|child| serde_json::to_string(child).unwrap());
                prop_assert!(texts.is_sorted_by(|one, other| one < other));
            }
        }
    }

    #[test]
    fn order_nesting_repetition_and_double_negation_do_not_show(a in filters(), b in filters(), c in filters()) {
        let one = Filter::And(vec![a.clone(), b.clone(), c.clone()]);
        let other = Filter::And(vec![c.clone(), Filter::And(vec![Filter::Not(Box::new(Filter::Not(Box::new(b.clone())))), a.clone()]), c.clone()]);
        prop_assert_eq!(one.canonical(), other.canonical());
        let one = Filter::Or(vec![a.clone(), b.clone(), c.clone()]);
        let other = Filter::Or(vec![Filter::Or(vec![c, b.clone()]), a, b]);
        prop_assert_eq!(one.canonical(), other.canonical());
    }

    #[test]
    fn json_goes_out_and_comes_back(filter in filters()) {
        let text = serde_json::to_string(&filter).unwrap();
        let back: Filter = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &filter);
        prop_assert_eq!(back.canonical(), filter.canonical());
        let canonical: Filter = serde_json::from_str(filter.canonical().as_str()).unwrap();
        prop_assert_eq!(canonical, filter.canonical().into_filter());
    }

    #[test]
    fn equal_values_have_equal_hashes(a in value(), b in value()) {
        use std::hash::{BuildHasher, RandomState};
        let state = RandomState::new();
        if a == b {
            prop_assert_eq!(state.hash_one(&a), state.hash_one(&b));
        }
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    }
}

#[test]
fn the_canonical_form_of_a_deep_filter_takes_hardly_longer_than_that_of_a_flat_one() {
    let took = |depth: usize| {
        let mut filter = Filter::And((0..5_000).map(|number| Field::<i64>::new("a").eq(number)).collect());
        for level in 0..depth {
            let beside = Field::<i64>::new("b").eq(i64::try_from(level).unwrap());
            filter = if level % 2 == 0 { filter.or(beside) } else { filter.and(beside) };
        }
        let began = std::time::Instant::now();
        assert!(filter.canonical().as_str().len() > 5_000);
        began.elapsed()
    };
    // The shortest times are those that other work on the machine disturbed least.
    let (mut flat, mut deep) = (took(1), took(30));
    for _ in 0..100 {
        if deep < flat * 3 {
            return;
        }
        (flat, deep) = (flat.min(took(1)), deep.min(took(30)));
    }
    panic!("1 level took {flat:?}, 30 took {deep:?}");
}
