//! What rooms in a database have in common: the statements that both engines understand, and how their rows are read.

use sqlx::{ColumnIndex, Decode, Row, Type};

use super::Message;
use crate::database::failed;
use crate::time::Timestamp;
use crate::{Error, Result};

pub(super) const SAID: &str =
    "SELECT number, author, text, at FROM pumasi_room_message WHERE room = $1 AND author = $2 AND id = $3";
pub(super) const AFTER: &str = "SELECT number, author, text, at FROM pumasi_room_message WHERE room = $1 AND number > $2 ORDER BY number LIMIT $3";
pub(super) const LAST: &str = include_str!("sql/last.sql");
pub(super) const FORGET: &str = "DELETE FROM pumasi_room_message WHERE room = $1";

pub(super) fn keeping(error: sqlx::Error) -> Error {
    failed("keeping a room", error)
}

pub(super) fn read<'r, R>(row: &'r R) -> sqlx::Result<Message>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let (author, text): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let number = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    Ok(Message::new(number, author, text, Timestamp::from_micros(row.try_get(3)?)))
}

pub(super) fn messages<R>(rows: sqlx::Result<Vec<R>>) -> Result<Vec<Message>>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let rows = rows.map_err(keeping)?;
    rows.iter().map(|row| read(row)).collect::<sqlx::Result<_>>().map_err(keeping)
}

pub(super) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
