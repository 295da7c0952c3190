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

/// Returns cells that hold every place of a circle; `None` where it is too large for that, near a pole, or across the line
/// where the days meet.
pub(super) fn cells(circle: Circle) -> Option<Vec<u64>> {
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
    (count <= MOST)
        .then(|| rows.flat_map(|row| columns.clone().map(move |column| row * COLUMNS + column)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_place_of_a_circle_is_outside_its_cells(
            lat in -90.0..=90.0_f64, lon in -180.0..=180.0_f64, radius in 0.0..60_000.0_f64,
            north in -1.0..=1.0_f64, east in -1.0..=1.0_f64,
        ) {
            let circle = Circle::new(GeoPoint::new(lat, lon), radius);
            if let Some(cells) = cells(circle) {
                let point = GeoPoint::new(lat + north, lon + east);
                prop_assert!(!point.is_valid() || !circle.holds(point) || cells.contains(&cell(point)));
                prop_assert!(cells.contains(&cell(circle.center)));
            }
        }
    }
}
