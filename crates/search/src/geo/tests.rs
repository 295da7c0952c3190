use std::collections::BTreeSet;

use super::*;

fn point(random: &mut fastrand::Rng) -> GeoPoint {
    match random.u8(0..8) {
        0 => GeoPoint::new(90.0 - random.f64() * 0.2, random.f64() * 360.0 - 180.0),
        1 => GeoPoint::new(-90.0 + random.f64() * 0.2, random.f64() * 360.0 - 180.0),
        2 => GeoPoint::new(random.f64() - 0.5, 180.0 - random.f64() * 0.2),
        3 => GeoPoint::new(random.f64() - 0.5, -180.0 + random.f64() * 0.2),
        4 => GeoPoint::new(
            [90.0, -90.0, 0.0, 60.0][random.usize(0..4)],
            [180.0, -180.0, 0.0][random.usize(0..3)],
        ),
        _ => GeoPoint::new(37.4 + random.f64() * 0.3, 126.8 + random.f64() * 0.4),
    }
}

#[test]
fn finds_what_a_scan_finds_also_across_poles_and_date_line() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut places: HashMap<u32, GeoPoint> = HashMap::new();
    let mut index = GeoIndex::new();
    for _ in 0..4_000 {
        let (id, at) = (random.u32(0..3_000), point(&mut random));
        if random.u8(0..8) == 0 {
            assert_eq!(index.remove(&id), places.remove(&id));
        } else {
            assert_eq!(index.insert(id, at), places.insert(id, at));
        }
    }
    assert_eq!(index.len(), places.len());
    let mut found = 0;
    for _ in 0..1_500 {
        let radius = [0.0, 1.0, 500.0, 5_000.0, 40_000.0, 9e6, 3e7][random.usize(0..7)];
        let mut circle = Circle::new(point(&mut random), radius);
        if random.bool() {
            // A place right on the edge.
            let other = point(&mut random);
            circle.radius_m = circle.center.distance_m(other);
        }
        let near: BTreeSet<u32> = index.within(circle).map(|(id, _)| *id).collect();
        let scanned: BTreeSet<u32> =
            places.iter().filter(|(_, at)| circle.holds(**at)).map(|(id, _)| *id).collect();
        assert_eq!(near, scanned, "{circle:?}");
        found += near.len();
    }
    assert!(found > 10_000);
}

#[test]
fn what_is_no_place_is_nowhere() {
    let mut index = GeoIndex::new();
    index.insert(1, GeoPoint::new(37.5, 127.0));
    assert_eq!(index.insert(1, GeoPoint::new(f64::NAN, 127.0)), Some(GeoPoint::new(37.5, 127.0)));
    assert!(index.is_empty());
    index.insert(1, GeoPoint::new(37.5, 127.0));
    for circle in [
        Circle::new(GeoPoint::new(91.0, 0.0), 1.0),
        Circle::new(GeoPoint::new(37.5, 127.0), -1.0),
        Circle::new(GeoPoint::new(37.5, 127.0), f64::INFINITY),
    ] {
        assert_eq!(index.within(circle).count(), 0);
    }
}
