//! Which places lie within a circle, without looking at all of them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;

use pumasi_core::filter::{Circle, EARTH_RADIUS_M, GeoPoint};

/// How many cells a degree has: a cell is about 2.2 km from south to north, and at the equator from west to east.
const CELLS: f64 = 50.0;
/// What is looked at beyond the circle, in degrees: more than rounding can be off by, which is a tenth of a millimetre.
const MARGIN: f64 = 1e-9;

/// Places by cells of a grid, for finding those within a circle.
///
/// It looks at the cells that the circle touches and then measures each place in them, by the same formula as
/// [`Circle::holds`]: what it finds is what a scan would find, also across the poles and the date line.
///
/// ```
/// use pumasi_core::filter::{Circle, GeoPoint};
/// use pumasi_search::geo::GeoIndex;
///
/// let mut posts = GeoIndex::new();
/// posts.insert("여의도", GeoPoint::new(37.528, 126.933));
/// posts.insert("Busan", GeoPoint::new(35.180, 129.076));
/// let near: Vec<_> = posts.within(Circle::new(GeoPoint::new(37.52, 126.94), 5_000.0)).map(|(id, _)| *id).collect();
/// assert_eq!(near, ["여의도"]);
/// ```
#[derive(Clone)]
pub struct GeoIndex<T> {
    /// By row and column, so that the cells of a row are one stretch.
    cells: BTreeMap<(i32, i32), Vec<(T, GeoPoint)>>,
    places: HashMap<T, GeoPoint>,
}

impl<T: Hash + Eq + Clone> GeoIndex<T> {
    /// Makes an empty index.
    pub fn new() -> Self {
        Self { cells: BTreeMap::new(), places: HashMap::new() }
    }

    /// Sets where something is; returns where it was. What is no [valid](GeoPoint::is_valid) place is nowhere.
    pub fn insert(&mut self, id: T, at: GeoPoint) -> Option<GeoPoint> {
        let old = self.remove(&id);
        if at.is_valid() {
            self.cells.entry(cell(at)).or_default().push((id.clone(), at));
            self.places.insert(id, at);
        }
        old
    }

    /// Takes something out; returns where it was.
    pub fn remove(&mut self, id: &T) -> Option<GeoPoint> {
        let old = self.places.remove(id)?;
        let of = cell(old);
        if let Some(places) = self.cells.get_mut(&of) {
            places.retain(|(other, _)| other != id);
            if places.is_empty() {
                self.cells.remove(&of);
            }
        }
        Some(old)
    }

    /// Lists what lies within a circle, with where it is, in no particular order; nothing if the circle is not
    /// [valid](Circle::is_valid).
    pub fn within(&self, circle: Circle) -> impl Iterator<Item = (&T, GeoPoint)> {
        let stretches = if circle.is_valid() { stretches(circle) } else { Vec::new() };
        let cells = stretches.into_iter().flat_map(|(from, to)| self.cells.range(from..=to));
        let places = cells.flat_map(|(_, places)| places);
        places.filter(move |(_, at)| circle.holds(*at)).map(|(id, at)| (id, *at))
    }

    /// Counts what is in it.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl<T: Hash + Eq + Clone> Default for GeoIndex<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows how many there are, not which and where.
impl<T> fmt::Debug for GeoIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeoIndex").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "degrees are at most 180, or it does not matter")]
fn index(degrees: f64) -> i32 {
    (degrees * CELLS).floor() as i32
}

fn cell(at: GeoPoint) -> (i32, i32) {
    (index(at.lat), index(at.lon))
}

/// The stretches of cells that a circle may touch: of each row one, or two where it crosses the date line.
///
/// A circle reaches farthest east and west where its edge touches a meridian: at the difference of longitude whose sine is
/// that of the radius over the cosine of the latitude (Bronstein, spherical trigonometry); if a pole lies within, everywhere.
fn stretches(circle: Circle) -> Vec<((i32, i32), (i32, i32))> {
    let GeoPoint { lat, lon } = circle.center;
    let radius = (circle.radius_m / EARTH_RADIUS_M).min(std::f64::consts::PI);
    let (south, north) = (lat - radius.to_degrees() - MARGIN, lat + radius.to_degrees() + MARGIN);
    let has_pole = south <= -90.0 || north >= 90.0;
    let wide =
        if has_pole { 360.0 } else { (radius.sin() / lat.to_radians().cos()).min(1.0).asin().to_degrees() };
    let (west, east) = (lon - wide - MARGIN, lon + wide + MARGIN);
    let mut columns = vec![(west.max(-180.0), east.min(180.0))];
    if !has_pole && west < -180.0 {
        columns.push((west + 360.0, 180.0));
    }
    if !has_pole && east > 180.0 {
        columns.push((-180.0, east - 360.0));
    }
    let rows = index(south.max(-90.0))..=index(north.min(90.0));
    rows.flat_map(|row| {
        columns.iter().map(move |(from, to)| ((row, index(*from)), (row, index(*to)))).collect::<Vec<_>>()
    })
    .collect()
}
