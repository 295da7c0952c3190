//! Circles on the globe: a box that an index can narrow down, and the exact distance within it.

use std::f64::consts::{FRAC_PI_2, PI};

use super::column::Column;
use super::lower::join;
use super::push::{Bind, Dialect, Sql};
use crate::filter::{Circle, EARTH_RADIUS_M};

/// How much a box is made larger than it need be, in degrees (a tenth of a millimetre), against rounding.
const MARGIN: f64 = 1e-9;
/// Below this a haversine is zero: some 10⁻⁸⁸ m. (PostgreSQL reports products that underflow.)
const TINY: f64 = 1e-190;

/// The degrees within which a circle lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extent {
    south: f64,
    north: f64,
    /// West and east; `None` if it reaches round the globe. West is greater where it crosses the date line.
    across: Option<(f64, f64)>,
}

impl Extent {
    fn of(circle: Circle) -> Self {
        let angle = circle.radius_m / EARTH_RADIUS_M;
        let lat = circle.center.lat;
        let reach = angle.to_degrees() + MARGIN;
        let (south, north) = (lat - reach, lat + reach);
        if south <= -90.0 || north >= 90.0 {
            return Self { south: south.max(-90.0), north: north.min(90.0), across: None };
        }
        // The meridians that touch the circle: Bronshtein and Semendyayev, "Handbook of Mathematics", spherical trigonometry.
        let ratio = angle.sin() / lat.to_radians().cos();
        let across = (angle < FRAC_PI_2 && ratio < 1.0).then(|| ratio.asin().to_degrees() + MARGIN);
        let across = across.filter(|across| *across < 180.0).map(|across| {
            let wrap = |lon: f64| {
                if lon < -180.0 {
                    lon + 360.0
                } else if lon > 180.0 {
                    lon - 360.0
                } else {
                    lon
                }
            };
            (wrap(circle.center.lon - across), wrap(circle.center.lon + across))
        });
        Self { south, north, across }
    }
}

/// The haversine of the circle's radius: what a place's must not exceed.
fn limit(circle: Circle) -> f64 {
    let half = circle.radius_m / (2.0 * EARTH_RADIUS_M);
    if half >= PI / 2.0 { 2.0 } else { half.sin().powi(2).max(TINY) }
}

pub(super) fn condition<DB: Dialect>(column: &Column, lon: &str, circle: Circle, truth: bool) -> Sql {
    let table = column.table.as_deref();
    let extent = Extent::of(circle);
    let bound = |name: &str, comparison: &'static str, degrees: f64| {
        let mut sql = Sql::default();
        sql.quoted(table, name).text(comparison).bind(Bind::Float(degrees));
        sql
    };
    let mut parts =
        vec![bound(&column.name, " >= ", extent.south), bound(&column.name, " <= ", extent.north)];
    if let Some((west, east)) = extent.across {
        parts.push(join(vec![bound(lon, " >= ", west), bound(lon, " <= ", east)], west <= east));
    }
    let mut exact = Sql::default();
    exact.text("CASE WHEN ").name(column).text(" BETWEEN -90 AND 90 AND ");
    exact.quoted(table, lon).text(" BETWEEN -180 AND 180 THEN ");
    DB::haversine(&mut exact, column, lon, circle);
    exact.text(" <= ").bind(Bind::Float(limit(circle))).text(" ELSE FALSE END");
    parts.push(exact);
    let within = join(parts, true);
    if truth {
        return within;
    }
    let mut there = Sql::default();
    exists(&mut there, column, lon, true);
    let mut without = Sql::default();
    without.text("NOT ").append(within);
    join(vec![there, without], true)
}

pub(super) fn exists(sql: &mut Sql, column: &Column, lon: &str, truth: bool) {
    let is = if truth { " IS NOT NULL" } else { " IS NULL" };
    sql.text("(").name(column).text(is).text(if truth { " AND " } else { " OR " });
    sql.quoted(column.table.as_deref(), lon).text(is).text(")");
}
