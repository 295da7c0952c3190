//! SQL in pieces: text that is ours, names that are quoted, values that are bound.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use sqlx::{Database, QueryBuilder};

use super::column::{Column, Element};
use crate::filter::Circle;
use crate::time::Timestamp;

/// A value on its way to a parameter, or a list of them: one array or many parameters, as the database has it.
#[derive(Clone)]
pub enum Bind {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Moment(Timestamp),
    List(List),
}

/// Values of one type that a column is looked for among.
#[derive(Clone)]
pub enum List {
    Bools(Vec<bool>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
    Moments(Vec<Timestamp>),
}

impl List {
    pub fn len(&self) -> usize {
        match self {
            Self::Bools(list) => list.len(),
            Self::Ints(list) => list.len(),
            Self::Floats(list) => list.len(),
            Self::Texts(list) => list.len(),
            Self::Moments(list) => list.len(),
        }
    }
}

#[derive(Clone)]
enum Piece {
    Text(Cow<'static, str>),
    Bind(Bind),
}

/// A piece of SQL with its parameters, before it is in a builder.
#[derive(Clone, Default)]
pub struct Sql {
    pieces: Vec<Piece>,
}

impl Sql {
    pub fn text(&mut self, text: impl Into<Cow<'static, str>>) -> &mut Self {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    pub fn bind(&mut self, value: Bind) -> &mut Self {
        self.pieces.push(Piece::Bind(value));
        self
    }

    /// The column as it is called: quoted, and with its table where it has one.
    pub fn name(&mut self, column: &Column) -> &mut Self {
        self.quoted(column.table.as_deref(), &column.name)
    }

    pub fn quoted(&mut self, table: Option<&str>, name: &str) -> &mut Self {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let name = match table {
            Some(table) => format!("{}.{}", quote(table), quote(name)),
            None => quote(name),
        };
        self.text(name)
    }

    pub fn append(&mut self, other: Self) -> &mut Self {
        self.pieces.extend(other.pieces);
        self
    }

    pub fn binds(&self) -> usize {
        let count = |piece: &Piece| match piece {
            Piece::Text(_) => 0,
            Piece::Bind(Bind::List(list)) => list.len(),
            Piece::Bind(_) => 1,
        };
        self.pieces.iter().map(count).sum()
    }

    pub(super) fn push_to<DB: Dialect>(self, builder: &mut QueryBuilder<DB>) {
        for piece in self.pieces {
            match piece {
                Piece::Text(text) => {
                    builder.push(text);
                }
                Piece::Bind(value) => DB::bind(builder, value),
            }
        }
    }
}

/// A filter as a condition of SQL, with its values bound; [`push_to`](Self::push_to) puts it into a query.
///
/// `Debug` shows how many values it binds, never which.
#[derive(Clone)]
pub struct SqlCondition<DB> {
    sql: Sql,
    database: PhantomData<fn() -> DB>,
}

impl<DB: Dialect> SqlCondition<DB> {
    pub(super) const fn new(sql: Sql) -> Self {
        Self { sql, database: PhantomData }
    }

    /// Appends the condition, in parentheses.
    pub fn push_to(self, builder: &mut QueryBuilder<DB>) {
        builder.push('(');
        self.sql.push_to(builder);
        builder.push(')');
    }
}

impl<DB> fmt::Debug for SqlCondition<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlCondition").field("binds", &self.sql.binds()).finish_non_exhaustive()
    }
}

/// What the databases say in different ways. `truth` is what the condition is to find: rows of which the comparison is
/// true, or those of which it is false; a missing field is neither.
pub trait Dialect: Database {
    /// Makes text be ordered by bytes.
    const BYTE_ORDER: &'static str;
    /// Text may have NUL characters.
    const TAKES_NUL: bool;
    /// Doubles may be NaN, which is the greatest of all.
    const HAS_NAN: bool;
    /// Arrays are JSON, there are no others.
    const JSON_ONLY: bool;

    fn bind(builder: &mut QueryBuilder<Self>, value: Bind)
    where
        Self: Sized;

    /// The column's value as text.
    fn as_text(sql: &mut Sql, column: &Column);

    /// The column as what a moment is compared with, and whether that may be null where the column is not.
    fn as_moment(sql: &mut Sql, column: &Column) -> bool;

    /// `operand` is among the values (or not), of which there is one at least.
    fn among(sql: &mut Sql, operand: Sql, values: List, truth: bool);

    /// The text has this part.
    fn has_part(sql: &mut Sql, column: &Column, part: &str, truth: bool);

    /// The array has this element.
    fn has_element(sql: &mut Sql, column: &Column, json: bool, of: Element, value: Bind, truth: bool);

    /// A column of JSON is there.
    fn json_exists(sql: &mut Sql, column: &Column, truth: bool);

    /// The haversine of the angle between the place and the circle's centre, for places that are such.
    fn haversine(sql: &mut Sql, column: &Column, lon: &str, circle: Circle);
}
