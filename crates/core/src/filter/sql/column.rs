//! What a column is called and what it holds.

/// A column of your tables: its name and the type of what it holds.
///
/// The type is declared, not looked up. A comparison that it does not take is an error when the filter is compiled, on
/// every database alike.
///
/// | | PostgreSQL | SQLite |
/// |---|---|---|
/// | [`bool`](Self::bool) | `boolean` | `0` and `1` |
/// | [`int`](Self::int) | `smallint`, `integer`, `bigint` | `INTEGER` |
/// | [`float`](Self::float) | `real`, `double precision`, `numeric` | `REAL` |
/// | [`text`](Self::text) | `text`, `varchar` | `TEXT` |
/// | [`time`](Self::time) | `timestamptz` | `TEXT` in ISO 8601; without an offset it is UTC |
/// | [`epoch`](Self::epoch) | `bigint`: seconds, milliseconds or microseconds since 1970 | `INTEGER`, likewise |
/// | [`array`](Self::array) | `text[]`, `bigint[]`, `double precision[]`, `boolean[]` and their kin | a JSON array in `TEXT` |
/// | [`json_array`](Self::json_array) | `jsonb` | a JSON array in `TEXT` |
/// | [`place`](Self::place) | two `float` columns with degrees | two `REAL` columns with degrees |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub(super) table: Option<String>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) cast: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Epoch(EpochUnit),
    Array(Element),
    JsonArray(Element),
    /// The latitude is the column's name, this is the longitude's.
    Place {
        lon: String,
    },
}

/// What a moment is counted in since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

impl EpochUnit {
    pub(super) const fn micros(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1,
        }
    }
}

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// Truth values.
    Bool,
    /// Whole numbers.
    Int,
    /// Decimal numbers.
    Float,
    /// Strings.
    Text,
}

impl Column {
    fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { table: None, name: name.into(), kind, cast: false }
    }

    /// Makes a column of truth values.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Bool)
    }

    /// Makes a column of whole numbers.
    pub fn int(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Int)
    }

    /// Makes a column of decimal numbers; PostgreSQL's `numeric` is compared in double precision.
    pub fn float(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Float)
    }

    /// Makes a column of strings.
    pub fn text(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Text)
    }

    /// Makes a column whose values are compared by what they are written as: a `uuid` or an `enum` of PostgreSQL.
    ///
    /// An index helps only if it is over the same cast.
    pub fn cast_to_text(name: impl Into<String>) -> Self {
        Self { cast: true, ..Self::new(name, Kind::Text) }
    }

    /// Makes a column of moments; see the table for what they are written as.
    ///
    /// On SQLite an index on it does not help; an [`epoch`](Self::epoch) has one. The text is `YYYY-MM-DD`, alone or with
    /// `HH:MM:SS` behind a `T` or a blank, a fraction, and `Z` or an offset `±HH:MM`; any other is no moment, also where
    /// [`Filter::matches`](super::super::Filter::matches) reads it (`20260228T100000Z`).
    pub fn time(name: impl Into<String>) -> Self {
        Self::new(name, Kind::Time)
    }

    /// Makes a column of moments that are counted since 1970.
    pub fn epoch(name: impl Into<String>, unit: EpochUnit) -> Self {
        Self::new(name, Kind::Epoch(unit))
    }

    /// Makes a column of arrays; on PostgreSQL native ones (strings as `text[]`, for which a GIN index helps).
    pub fn array(name: impl Into<String>, of: Element) -> Self {
        Self::new(name, Kind::Array(of))
    }

    /// Makes a column of JSON arrays; JSON's `null` is a missing field.
    pub fn json_array(name: impl Into<String>, of: Element) -> Self {
        Self::new(name, Kind::JsonArray(of))
    }

    /// Makes the two columns of a place, in degrees; it is missing where either is null.
    ///
    /// An index on the latitude narrows a [`near`](crate::filter::Filter::Near) down.
    pub fn place(lat: impl Into<String>, lon: impl Into<String>) -> Self {
        Self::new(lat, Kind::Place { lon: lon.into() })
    }

    /// Says which table, or which alias of one, the column is in; for queries that join several.
    #[must_use]
    pub fn in_table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }
}
