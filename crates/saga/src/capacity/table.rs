//! What places in a database have in common: how the rows of both engines are read.

use std::collections::HashMap;

use pumasi_core::database::failed;
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::{Hold, Places, Ticket};
use crate::Result;

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Reads a hold from its columns, of which `first` is the holder.
pub(super) fn hold<'r, R>(row: &'r R, first: usize) -> sqlx::Result<Hold>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Hold::from_row(row.try_get(first)?, row.try_get(first + 1)?, row.try_get(first + 2)?))
}

/// Reads the holds of a list.
pub(super) fn holds<R>(rows: sqlx::Result<Vec<R>>) -> Result<Vec<Hold>>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let read = rows.and_then(|rows| rows.iter().map(|row| hold(row, 0)).collect());
    read.map_err(|error| failed("listing places", error))
}

/// Reads how many places there are from the columns of `places.sql`, of which `first` is the total.
pub(super) fn places<'r, R>(row: &'r R, first: usize) -> sqlx::Result<Places>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let number = |column: usize| row.try_get::<i64, _>(first + column).map(unsigned);
    Ok(Places::new(number(0)?, number(2)?, number(3)?, Ticket::new(number(1)?)))
}

/// Reads the places of these pools, each in its place, from rows that begin with the name.
pub(super) fn places_of<R>(rows: sqlx::Result<Vec<R>>, pools: &[String]) -> Result<Vec<Option<Places>>>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let known: sqlx::Result<HashMap<String, Places>> =
        rows.and_then(|rows| rows.iter().map(|row| Ok((row.try_get(0)?, places(row, 1)?))).collect());
    let known = known.map_err(counting)?;
    Ok(pools.iter().map(|pool| known.get(pool).copied()).collect())
}

pub(super) fn counting(error: sqlx::Error) -> crate::Error {
    failed("counting places", error)
}
