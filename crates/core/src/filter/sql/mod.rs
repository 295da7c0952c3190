//! Filters on tables of your own, as SQL with bound parameters.

mod column;
mod lower;
mod near;
mod number;
mod order;
#[cfg(feature = "postgres")]
mod postgres;
#[expect(
    missing_debug_implementations,
    reason = "seen by nobody outside, and values may be what people wrote"
)]
mod push;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::collections::BTreeMap;
use std::marker::PhantomData;

pub use column::{Column, Element, EpochUnit};
pub use order::Order;
use push::Dialect;
pub use push::SqlCondition;
use sqlx::QueryBuilder;

use super::{Capabilities, Compiler, FieldPath, Filter, Unsupported};
use crate::{Error, Result};

/// A database whose SQL a filter can become: `sqlx::Sqlite` (feature `sqlite`) and `sqlx::Postgres` (feature `postgres`).
///
/// Sealed: other stores implement [`Compiler`].
pub trait SqlDatabase: Dialect {}

#[cfg(feature = "postgres")]
impl SqlDatabase for sqlx::Postgres {}
#[cfg(feature = "sqlite")]
impl SqlDatabase for sqlx::Sqlite {}

/// Which column of your tables holds which field: all that a filter can reach.
///
/// A filter may come from outside. Its field names are only looked up here and never become part of a statement; a field
/// without a column is an error. Column names come from this map alone, and are quoted; values are always bound.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_core::filter::{Column, Columns, Field, Filter, Order};
/// use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
///
/// const LANG: Field<String> = Field::new("lang");
/// const LIKES: Field<i64> = Field::new("stats.likes");
/// const TAGS: Field<Vec<String>> = Field::new("tags");
///
/// let columns = Columns::new()
///     .with(&LANG, Column::text("lang"))
///     .with(&LIKES, Column::int("like_count"))
///     .with(&TAGS, Column::array("tags", pumasi_core::filter::Element::Text));
///
/// let mut db = SqliteConnection::connect("sqlite::memory:").await?;
/// sqlx::raw_sql(
///     "CREATE TABLE post (id INTEGER PRIMARY KEY, lang TEXT, like_count INTEGER, tags TEXT);
///      INSERT INTO post VALUES (1, 'ko', 12, '[\"러닝\"]'), (2, 'ko', 3, '[]'), (3, 'en', 50, NULL);",
/// )
/// .execute(&mut db)
/// .await?;
///
/// // What a user may or may not have asked for.
/// let (lang, likes, tag) = (Some("ko"), Some(10), None::<&str>);
/// let filter = Filter::And(
///     [lang.map(|lang| LANG.eq(lang)), likes.map(|likes| LIKES.at_least(likes)), tag.map(|tag| TAGS.contains(tag))]
///         .into_iter()
///         .flatten()
///         .collect(),
/// );
///
/// let mut query = QueryBuilder::<Sqlite>::new("SELECT id FROM post WHERE ");
/// filter.push_where(&mut query, &columns)?;
/// columns.push_order_by(&mut query, &[Order::descending(&LIKES)])?;
/// query.push(" LIMIT ").push_bind(20);
/// let rows = query.build().fetch_all(&mut db).await?;
/// assert_eq!(rows.iter().map(|row| row.get::<i64, _>(0)).collect::<Vec<_>>(), [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Columns {
    by_field: BTreeMap<FieldPath, Column>,
}

impl Columns {
    /// Makes a map without columns.
    pub const fn new() -> Self {
        Self { by_field: BTreeMap::new() }
    }

    /// Lets `column` hold `field`; a field that has a column already gets the new one.
    #[must_use]
    pub fn with(mut self, field: impl Into<FieldPath>, column: Column) -> Self {
        self.by_field.insert(field.into(), column);
        self
    }

    /// Returns the column of a field.
    pub fn get(&self, field: &FieldPath) -> Option<&Column> {
        self.by_field.get(field)
    }

    /// Appends ` ORDER BY` with these fields, the first one first; nothing for an empty list.
    ///
    /// Missing values come last in either direction, and text is ordered by bytes, so that both databases agree. End with a
    /// unique column (the key) where pages must not overlap.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a field without a column, or whose column has no order (an array, a place); the builder is
    /// untouched then.
    pub fn push_order_by<DB: SqlDatabase>(
        &self,
        builder: &mut QueryBuilder<DB>,
        order: &[Order],
    ) -> Result<()> {
        order::compile::<DB>(self, order)?.push_to(builder);
        Ok(())
    }
}

/// Turns filters into conditions on the columns of one database; [`Filter::push_where`] is the short way.
///
/// # Which rows
///
/// Exactly those that [`Filter::matches`] does, where a record has what its columns hold: `NULL` is a missing field. What the
/// reference answers with *false* because the types differ is refused here, by the column's declared type.
///
/// - Text is compared by bytes, whatever the column's collation; equality trusts that a PostgreSQL collation is
///   deterministic, as all but those made otherwise are.
/// - Numbers are compared exactly, also a whole column with a decimal value; PostgreSQL's `numeric` counts as a `float`.
/// - Numbers in JSON arrays are compared as the database reads them, and must fit into 64 bits.
/// - Distances are computed by the database in double precision: a place within a millimetre of a circle's edge (a metre
///   near the far side of the globe) may count as within or without.
/// - A filter binds at most 30,000 values, which both databases take; a `near` binds eight.
#[derive(Debug)]
pub struct SqlCompiler<'c, DB> {
    columns: &'c Columns,
    database: PhantomData<fn() -> DB>,
}

impl<'c, DB: SqlDatabase> SqlCompiler<'c, DB> {
    /// How many values a condition binds at most: SQLite takes 32,766 a statement, PostgreSQL 65,535.
    pub const MAX_BINDS: usize = 30_000;

    /// Makes a compiler onto these columns.
    pub const fn new(columns: &'c Columns) -> Self {
        Self { columns, database: PhantomData }
    }
}

impl<DB: SqlDatabase> Compiler for SqlCompiler<'_, DB> {
    type Output = SqlCondition<DB>;

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn lower(&self, filter: &Filter) -> Result<SqlCondition<DB>, Unsupported> {
        let condition = lower::condition::<DB>(self.columns, filter)?;
        if condition.binds() > Self::MAX_BINDS {
            return Err(Unsupported::at(filter, &[], "the number of values"));
        }
        Ok(SqlCondition::new(condition))
    }

    /// Unlike other backends' it lowers the filter as it was written, so that an error names the node where the caller
    /// finds it.
    fn compile(&self, filter: &Filter) -> Result<SqlCondition<DB>, Error> {
        filter.validate()?;
        Ok(self.lower(filter)?)
    }
}

impl Filter {
    /// Appends this filter as a condition in parentheses, for a place where SQL takes a truth value: after `WHERE`, `AND`,
    /// `ON`. The keyword is yours, so that the filter can stand beside conditions of your own.
    ///
    /// See [`SqlCompiler`] for which rows it selects.
    ///
    /// ```
    /// use pumasi_core::filter::{Column, Columns, Field};
    /// use sqlx::{QueryBuilder, Sqlite};
    ///
    /// const LIKES: Field<i64> = Field::new("likes");
    /// let columns = Columns::new().with(&LIKES, Column::int("like_count").in_table("p"));
    /// let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM post p WHERE p.author = ");
    /// query.push_bind(7).push(" AND ");
    /// LIKES.above(3).push_where(&mut query, &columns)?;
    /// assert_eq!(
    ///     query.sql().as_str(),
    ///     r#"SELECT * FROM post p WHERE p.author = ? AND ("p"."like_count" > ?)"#
    /// );
    /// # Ok::<(), pumasi_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a filter that breaks the limits; `Unsupported`, with the node, the field and the reason, for a
    /// field without a column and for a value or an operator that the column's type does not take. The builder is untouched
    /// then.
    pub fn push_where<DB: SqlDatabase>(
        &self,
        builder: &mut QueryBuilder<DB>,
        columns: &Columns,
    ) -> Result<()> {
        SqlCompiler::<DB>::new(columns).compile(self)?.push_to(builder);
        Ok(())
    }
}
