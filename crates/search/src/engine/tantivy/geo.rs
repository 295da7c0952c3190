//! A grid over the globe, so that a circle asks a few cells instead of every place.

use pumasi_core::filter::{Circle, EARTH_RADIUS_M, GeoPoint};

/// The side of a cell in degrees: about two kilometres; of the sizes tried the fastest for circles of 5 km.
const SIDE: f64 = 0.02;

/// Cells of a row.
const COLUMNS: u64 = 18_000;

/// The most cells that are asked; larger circles look at every place.
const MOST: u64 = 2_000;

/// Circles that reach further north or south than this look at every place.
const POLAR: f64 = 85.0;

/// A millionth of a degree, a tenth of a metre, so that rounding leaves no cell out.
const MARGIN: f64 = 1e-6;

/// Returns the number of the cell that a place is in.
pub(super) fn cell(point: GeoPoint) -> u64 {
    row(point.lat) * COLUMNS + column(point.lon)
}

fn row(lat: f64) -> u64 {
    steps(lat + 90.0)
}

fn column(lon: f64) -> u64 {
    steps(lon + 180.0).min(COLUMNS - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held at zero, and at most 18,000"
)]
fn steps(degrees: f64) -> u64 {
    (degrees / SIDE).floor().max(0.0) as u64
}

/// A cell that a circle reaches into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) number: u64,
    /// Whether all of it is inside.
    pub(super) whole: bool,
}

/// Metres by which a cell must be inside for its places not to be looked at, so that rounding takes none in.
const WITHIN_M: f64 = 1.0;

/// Returns cells that hold every place of a circle; `None` where it is too large for that, near a pole, or across the line
/// where the days meet.
pub(super) fn cells(circle: Circle) -> Option<Vec<Cell>> {
    let angle = circle.radius_m / EARTH_RADIUS_M;
    let (lat, lon) = (circle.center.lat, circle.center.lon);
    let north = angle.to_degrees() + MARGIN;
    if lat.abs() + north > POLAR {
        return None;
    }
    // how far a circle reaches east (Bronstein and Semendyayev, spherical trigonometry: the tangent from the pole)
    let east = (angle.sin() / lat.to_radians().cos()).asin().to_degrees() + MARGIN;
    if !east.is_finite() || lon.abs() + east >= 180.0 {
        return None;
    }
    let (rows, columns) = (row(lat - north)..=row(lat + north), column(lon - east)..=column(lon + east));
    let count = (rows.end() - rows.start() + 1).saturating_mul(columns.end() - columns.start() + 1);
    if count > MOST {
        return None;
    }
    let inner = (circle.radius_m > WITHIN_M).then(|| Circle::new(circle.center, circle.radius_m - WITHIN_M));
    let cell = |(row, column): (u64, u64)| Cell {
        number: row * COLUMNS + column,
        whole: inner.is_some_and(|inner| corners(row, column).into_iter().all(|corner| inner.holds(corner))),
    };
    Some(rows.flat_map(|row| columns.clone().map(move |column| (row, column))).map(cell).collect())
}

/// The corners of a cell. Where all four are in a circle, the cell is: along a parallel the distance from any point grows with the
/// difference in longitude, and along a meridian, which is a great circle, a circle holds what lies between two of its points.
#[expect(clippy::cast_precision_loss, reason = "numbers of rows and columns are small")]
fn corners(row: u64, column: u64) -> [GeoPoint; 4] {
    let point = |north: u64, east: u64| {
        GeoPoint::new((row + north) as f64 * SIDE - 90.0, (column + east) as f64 * SIDE - 180.0)
    };
    [point(0, 0), point(0, 1), point(1, 0), point(1, 1)]
}

/// A circle that most places are compared with in a few multiplications.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    circle: Circle,
    sine: f64,
    cosine: f64,
    /// The haversine of the radius.
    haversine: f64,
}

/// The part of a haversine by which the series below may be wrong: ten times what they leave out.
const DOUBT: f64 = 1e-4;

/// Differences in degrees for which the series are good enough: the next terms are below a hundred-thousandth.
const SHORT: f64 = 8.0;

impl Near {
    pub(super) fn new(circle: Circle) -> Self {
        let (sine, cosine) = circle.center.lat.to_radians().sin_cos();
        let half = circle.radius_m / EARTH_RADIUS_M / 2.0;
        Self { circle, sine, cosine, haversine: half.sin().powi(2) }
    }

    /// Tells whether a place is in the circle, as the reference does: by the haversine, of whose parts the first terms of the series
    /// are taken, and by the reference itself where that leaves a doubt.
    pub(super) fn holds(&self, point: GeoPoint) -> bool {
        let (north, east) = (point.lat - self.circle.center.lat, point.lon - self.circle.center.lon);
        if north.abs() < 1.0 && east.abs() < SHORT && self.circle.center.lat.abs() <= POLAR {
            let (north, east) = (north.to_radians(), east.to_radians());
            // sin²(x/2) = x²/4 - x⁴/48 + …, cos(φ + x) = cos φ - x sin φ - x²/2 cos φ + …
            let square = |x: f64| x * x * (0.25 - x * x / 48.0);
            let cosine = self.cosine - north * self.sine - north * north / 2.0 * self.cosine;
            let haversine = square(north) + self.cosine * cosine * square(east);
            if haversine < self.haversine * (1.0 - DOUBT) {
                return true;
            }
            if haversine > self.haversine * (1.0 + DOUBT) {
                return false;
            }
        }
        self.circle.holds(point)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_near_where_the_reference_says_so(
            lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64, radius in 0.0..150_000.0_f64,
            share in 0.99..1.01_f64, angle in 0.0..std::f64::consts::TAU, wild in any::<bool>(),
        ) {
            let circle = Circle::new(GeoPoint::new(lat, lon), radius);
            // about its edge, where it is in doubt, or anywhere
            let degrees = radius / EARTH_RADIUS_M * if wild { share * 200.0 } else { share.to_degrees() };
            let (north, east) = (degrees * angle.sin(), degrees * angle.cos() / lat.to_radians().cos().max(0.01));
            let point = GeoPoint::new(lat + north, lon + east);
            prop_assume!(point.is_valid());
            prop_assert_eq!(Near::new(circle).holds(point), circle.holds(point));
        }

        #[test]
        fn no_place_of_a_circle_is_outside_its_cells(
            lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64, radius in 0.0..60_000.0_f64,
            north in -1.0..=1.0_f64, east in -1.0..=1.0_f64,
        ) {
            let circle = Circle::new(GeoPoint::new(lat, lon), radius);
            if let Some(cells) = cells(circle) {
                let point = GeoPoint::new(lat + north, lon + east);
                let find = |point| cells.iter().find(|found| found.number == cell(point));
                let found = find(point);
                prop_assert!(!point.is_valid() || !circle.holds(point) || found.is_some());
                prop_assert!(!point.is_valid() || circle.holds(point) || found.is_none_or(|found| !found.whole));
                prop_assert!(find(circle.center).is_some());
            }
        }
    }
}
