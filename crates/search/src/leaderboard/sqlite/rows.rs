//! What the writer reads from the file and writes to it.

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::leaderboard::member::{MemberId, member};
use crate::leaderboard::rules::Rules;
use crate::leaderboard::standing::{Changed, Mark, Standing, key_bytes, keys_of};
use crate::{Error, Result};

type Connection = SqliteConnection;

/// A window's row.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowRow {
    pub(super) no: i64,
    pub(super) closed: bool,
    pub(super) epoch: i64,
    /// The window that it is a snapshot of.
    pub(super) of: Option<i64>,
}

fn failed(error: sqlx::Error) -> Error {
    pumasi_core::database::failed("keeping a board", error)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

pub(super) async fn run(connection: &mut Connection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(connection).await.map(drop).map_err(failed)
}

/// Finds a board, with the rules that it was filled by.
pub(super) async fn board(connection: &mut Connection, name: &str) -> Result<Option<(i64, String)>> {
    let found = sqlx::query("SELECT no, rules FROM pumasi_board WHERE name = ?1")
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    found.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose().map_err(failed)
}

pub(super) async fn add_board(connection: &mut Connection, name: &str, rules: &str) -> Result<i64> {
    let row = sqlx::query("INSERT INTO pumasi_board (name, rules) VALUES (?1, ?2) RETURNING no")
        .bind(name)
        .bind(rules)
        .fetch_one(connection)
        .await;
    row.and_then(|row| row.try_get(0)).map_err(failed)
}

pub(super) async fn window(connection: &mut Connection, board: i64, name: &str) -> Result<Option<WindowRow>> {
    let read = |row: SqliteRow| -> sqlx::Result<WindowRow> {
        Ok(WindowRow {
            no: row.try_get(0)?,
            closed: row.try_get(1)?,
            epoch: row.try_get(2)?,
            of: row.try_get(3)?,
        })
    };
    let found = "SELECT no, closed, epoch, of FROM pumasi_board_window WHERE board = ?1 AND name = ?2";
    let found = sqlx::query(found).bind(board).bind(name).fetch_optional(connection).await.map_err(failed)?;
    found.map(read).transpose().map_err(failed)
}

/// Adds a window, or a snapshot of another one.
pub(super) async fn add_window(
    connection: &mut Connection,
    board: i64,
    name: &str,
    of: Option<WindowRow>,
) -> Result<()> {
    let add = "INSERT INTO pumasi_board_window (board, name, closed, epoch, of) VALUES (?1, ?2, ?3, ?4, ?5)";
    sqlx::query(add)
        .bind(board)
        .bind(name)
        .bind(of.is_some())
        .bind(of.map_or(0, |of| of.epoch))
        .bind(of.map(|of| of.no))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    if let Some(of) = of {
        sqlx::query("UPDATE pumasi_board_window SET epoch = epoch + 1 WHERE no = ?1")
            .bind(of.no)
            .execute(connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) async fn close(connection: &mut Connection, window: i64) -> Result<()> {
    let close = "UPDATE pumasi_board_window SET closed = 1 WHERE no = ?1";
    sqlx::query(close).bind(window).execute(connection).await.map(drop).map_err(failed)
}

pub(super) async fn standings<M: MemberId>(
    connection: &mut Connection,
    rules: &Rules,
    window: i64,
    members: &[M],
) -> Result<Vec<(M, Standing)>> {
    let members: Vec<String> = members.iter().map(|member| hex(&member.to_bytes())).collect();
    let rows = sqlx::query(include_str!("sql/standings.sql"))
        .bind(window)
        .bind(json!(members).to_string())
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let read = |row: SqliteRow| {
        let id: &[u8] = row.try_get(0).map_err(failed)?;
        Ok((member(id)?, Standing::from_bytes(rules, row.try_get(1).map_err(failed)?)?))
    };
    rows.into_iter().map(read).collect()
}

fn marks_json<M: MemberId>(marks: &[(M, Mark)]) -> String {
    let each = |(member, mark): &(M, Mark)| json!([mark.of_board, hex(&member.to_bytes()), mark.name]);
    marks.iter().map(each).collect::<Value>().to_string()
}

/// Tells which of the marks are set.
pub(super) async fn marked<M: MemberId>(
    connection: &mut Connection,
    board: i64,
    window: i64,
    marks: &[(M, Mark)],
) -> Result<Vec<(M, Mark)>> {
    let rows = sqlx::query(include_str!("sql/marks.sql"))
        .bind(board)
        .bind(window)
        .bind(marks_json(marks))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let read = |row: SqliteRow| {
        let id: &[u8] = row.try_get(1).map_err(failed)?;
        let (of_board, name) = (row.try_get(0).map_err(failed)?, row.try_get(2).map_err(failed)?);
        Ok((member(id)?, Mark { of_board, name }))
    };
    rows.into_iter().map(read).collect()
}

/// The name of the window in which a source has counted, if it has.
pub(super) async fn counted_in<M: MemberId>(
    connection: &mut Connection,
    board: i64,
    member: &M,
    source: &str,
) -> Result<Option<String>> {
    let find = "SELECT kept.name FROM pumasi_board_mark AS mark JOIN pumasi_board_window AS kept ON kept.no = mark.window \
                WHERE mark.board = ?1 AND mark.scope = 0 AND mark.member = ?2 AND mark.name = ?3";
    sqlx::query_scalar(find)
        .bind(board)
        .bind(member.to_bytes())
        .bind(Mark::of_board(source).name)
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// All marks of a member in a window.
pub(super) async fn marks_of<M: MemberId>(
    connection: &mut Connection,
    board: i64,
    window: i64,
    member: &M,
) -> Result<Vec<Mark>> {
    let find = "SELECT name FROM pumasi_board_mark WHERE board = ?1 AND scope = ?2 AND member = ?3";
    let names: Vec<String> = sqlx::query_scalar(find)
        .bind(board)
        .bind(window)
        .bind(member.to_bytes())
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    Ok(names.into_iter().map(|name| Mark { of_board: false, name }).collect())
}

/// Takes marks of a member in a window away.
pub(super) async fn unmark<M: MemberId>(
    connection: &mut Connection,
    board: i64,
    window: i64,
    member: &M,
    marks: &[Mark],
) -> Result<()> {
    let names: Vec<&str> = marks.iter().map(|mark| &*mark.name).collect();
    let delete = "DELETE FROM pumasi_board_mark WHERE board = ?1 AND scope = ?2 AND member = ?3 \
                  AND name IN (SELECT value FROM json_each(?4))";
    sqlx::query(delete)
        .bind(board)
        .bind(window)
        .bind(member.to_bytes())
        .bind(json!(names).to_string())
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed)
}

pub(super) async fn write<M: MemberId>(
    connection: &mut Connection,
    board: i64,
    window: WindowRow,
    rules: &Rules,
    changed: &[Changed<M>],
    marks: &[(M, Mark)],
) -> Result<()> {
    let each = |change: &Changed<M>| {
        let key = change.key.as_ref().map(|key| hex(&key_bytes(key)));
        json!([hex(&change.member.to_bytes()), key, hex(&change.standing.to_bytes(rules))])
    };
    let rows = changed.iter().map(each).collect::<Value>().to_string();
    if window.epoch > 0 {
        sqlx::query(include_str!("sql/keep_past.sql"))
            .bind(window.no)
            .bind(window.epoch)
            .bind(&rows)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for (statement, of, rows) in [
        (include_str!("sql/write.sql"), (window.no, window.epoch), rows),
        (include_str!("sql/mark.sql"), (board, window.no), marks_json(marks)),
    ] {
        sqlx::query(statement)
            .bind(of.0)
            .bind(of.1)
            .bind(rows)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Reads the order of a window or a snapshot.
pub(super) async fn load<M: MemberId>(
    connection: &mut Connection,
    window: WindowRow,
) -> Result<Vec<(M, Vec<i64>)>> {
    let epoch = if window.of.is_some() { window.epoch } else { i64::MAX };
    let mut rows = sqlx::query(include_str!("sql/load.sql"))
        .bind(window.of.unwrap_or(window.no))
        .bind(epoch)
        .fetch(connection);
    let mut entries = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let (id, keys) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        entries.push((member(id)?, keys_of(keys)?));
    }
    Ok(entries)
}

/// Takes a window's name away, and what is not needed any more.
pub(super) async fn forget(connection: &mut Connection, board: i64, window: i64) -> Result<()> {
    for statement in [
        "DELETE FROM pumasi_board_mark WHERE window = ?1",
        "UPDATE pumasi_board_window SET name = NULL WHERE no = ?1",
    ] {
        sqlx::query(statement).bind(window).execute(&mut *connection).await.map_err(failed)?;
    }
    sweep(connection, board).await
}

/// Deletes a board, and gives its name to another one, if there is that.
pub(super) async fn replace(
    connection: &mut Connection,
    board: Option<i64>,
    name: &str,
    with: Option<i64>,
) -> Result<()> {
    if let Some(board) = board {
        for statement in [
            "DELETE FROM pumasi_board_mark WHERE board = ?1",
            "DELETE FROM pumasi_board_window WHERE board = ?1",
            "DELETE FROM pumasi_board WHERE no = ?1",
        ] {
            sqlx::query(statement).bind(board).execute(&mut *connection).await.map_err(failed)?;
        }
        sweep(connection, board).await?;
    }
    if let Some(with) = with {
        sqlx::query("UPDATE pumasi_board SET name = ?2 WHERE no = ?1")
            .bind(with)
            .bind(name)
            .execute(connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

async fn sweep(connection: &mut Connection, board: i64) -> Result<()> {
    for statement in include_str!("sql/sweep.sql").split_inclusive(";\n") {
        sqlx::query(statement).bind(board).execute(&mut *connection).await.map_err(failed)?;
    }
    Ok(())
}
