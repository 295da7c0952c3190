use pumasi_core::time::ManualClock;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn trending(half_life: Duration) -> Trending {
    let clock = ManualClock::new();
    clock.advance(Duration::from_hours(24 * 366 * 1_000));
    Trending::new(half_life).with_signal("like", 3.0).with_signal("view", 0.5).with_clock(Arc::new(clock))
}

#[test]
fn what_is_still_to_come_counts_as_now() {
    let clock = ManualClock::new();
    let now = clock.now();
    let trending = trending(Duration::from_hours(1)).with_clock(Arc::new(clock));
    trending.add("글", "like", now);
    trending.add("wrong clock", "view", at("2999-01-01T00:00:00Z"));
    let top = trending.top(9, now);
    assert_eq!(top.iter().map(|trend| &*trend.item).collect::<Vec<_>>(), ["글", "wrong clock"]);
    assert!((top[1].score - 0.5).abs() < 1e-9, "{top:?}");
}

#[test]
fn scores_are_those_of_the_sum() {
    let trending = trending(Duration::from_hours(6));
    let mut random = fastrand::Rng::with_seed(1);
    let start = at("2026-11-23T00:00:00Z");
    let now = start.saturating_add(Duration::from_hours(72));
    let mut sums = HashMap::<String, f64>::new();
    for _ in 0..2_000 {
        let (item, signal) = (format!("글 {}", random.u8(0..20)), ["like", "view"][random.usize(0..2)]);
        let age = random.f64() * 72.0;
        let happened = start.saturating_add(Duration::from_secs_f64((72.0 - age) * 3600.0));
        trending.add(&item, signal, happened);
        let weight = if signal == "like" { 3.0 } else { 0.5 };
        *sums.entry(item).or_default() += weight * (-age / 6.0).exp2();
    }
    let mut expected: Vec<_> = sums.into_iter().collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let top = trending.top(100, now);
    assert_eq!(top.len(), expected.len());
    for (trend, (item, sum)) in top.iter().zip(expected) {
        assert_eq!(*trend.item, *item);
        assert!((trend.score / sum - 1.0).abs() < 1e-6, "{item}: {} instead of {sum}", trend.score);
        let why = trending.explain(&item, now).unwrap();
        assert!((why.score / sum - 1.0).abs() < 1e-6, "{item}: {why:?}");
    }
}

#[test]
fn centuries_of_seconds_overflow_nothing() {
    let trending = trending(Duration::from_secs(1));
    let (old, new) = (at("1906-01-01T00:00:00Z"), at("2826-01-01T00:00:00Z"));
    trending.add_many("old", "like", u32::MAX, old);
    trending.add("new", "view", new);
    trending.add("both", "like", new);
    trending.add_many("both", "view", 1_000, old);
    let top = trending.top(9, new);
    for (trend, (item, score)) in top.iter().zip([("both", 3.0), ("new", 0.5), ("old", 0.0)]) {
        assert!(&*trend.item == item && (trend.score - score).abs() < 1e-4, "{trend:?}");
    }
    assert!(trending.top(1, old)[0].score.is_finite());
    let count = trending.explain("old", old).unwrap().signals[0].count;
    assert!((count / f64::from(u32::MAX) - 1.0).abs() < 1e-4, "{count}");
}

#[test]
fn time_alone_changes_no_order() {
    let trending = trending(Duration::from_mins(1));
    for number in 0..50_u32 {
        let happened = at("2026-11-23T00:00:00Z").saturating_add(Duration::from_secs(u64::from(number * 7)));
        trending.add_many(&format!("{number}"), "view", 1 + number * 37 % 11, happened);
    }
    let order = |now: &str| trending.top(50, at(now)).into_iter().map(|trend| trend.item).collect::<Vec<_>>();
    assert_eq!(order("2026-11-23T00:06:00Z"), order("2027-11-23T00:00:00Z"));
}

#[test]
fn the_least_popular_go_where_there_is_no_room() {
    let trending = trending(Duration::from_mins(1)).with_limit(NonZeroUsize::new(3).unwrap());
    for (item, count) in [("a", 5), ("b", 1), ("c", 7), ("d", 2), ("e", 9)] {
        trending.add_many(item, "like", count, at("2026-11-23T00:00:00Z"));
    }
    trending.add("a", "no signal", at("2026-11-23T00:00:00Z"));
    let top = trending.top(9, at("2026-11-23T00:00:00Z"));
    let kept: Vec<&str> = top.iter().map(|trend| &*trend.item).collect();
    assert_eq!(kept, ["e", "c", "a"]);
    trending.forget("c");
    assert!(trending.explain("c", at("2026-11-23T00:00:00Z")).is_none());
}

#[test]
fn what_becomes_popular_little_by_little_is_let_in() {
    let now = at("2026-11-23T00:00:00Z");
    let trending = trending(Duration::from_hours(24)).with_limit(NonZeroUsize::new(10).unwrap());
    for number in 0..10 {
        trending.add_many(&format!("old {number}"), "view", 3, now);
    }
    for view in 0..1_000_u32 {
        trending.add("viral", "view", now);
        // Others that something happens to once, fewer between two views than may wait.
        trending.add(&format!("passing {}", view % 97), "view", now);
    }
    let top = trending.top(20, now);
    assert_eq!(top.len(), 10);
    assert!(&*top[0].item == "viral" && (top[0].score - 500.0).abs() < 1e-3, "{top:?}");
    assert!(trending.lock().items.len() <= 20, "{}", trending.lock().items.len());
    for number in 0..97 {
        trending.forget(&format!("passing {number}"));
    }
    let state = trending.lock();
    assert_eq!(state.items.len(), state.order.len() + state.waiting.len());
    assert_eq!(state.turns.len(), state.waiting.len());
}

#[test]
fn the_place_of_a_forgotten_item_is_taken_by_the_most_popular_one_that_waits() {
    let now = at("2026-11-23T00:00:00Z");
    let trending = trending(Duration::from_hours(24)).with_limit(NonZeroUsize::new(2).unwrap());
    for (item, count) in [("a", 9), ("b", 8), ("c", 7), ("d", 1)] {
        trending.add_many(item, "like", count, now);
    }
    let top = || trending.top(9, now).iter().map(|trend| trend.item.to_string()).collect::<Vec<_>>();
    trending.forget("d");
    trending.forget("a");
    assert_eq!(top(), ["b", "c"]);
    trending.add("e", "like", now);
    assert_eq!(top(), ["b", "c"]);
    for item in ["b", "c", "e"] {
        trending.forget(item);
    }
    let state = trending.lock();
    assert!(state.order.is_empty() && state.waiting.is_empty() && state.line.is_empty());
    assert!(state.items.is_empty() && state.turns.is_empty());
}
