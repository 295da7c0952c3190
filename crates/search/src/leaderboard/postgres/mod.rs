//! Boards in PostgreSQL.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};

use super::member::{MemberId, member};
use super::place::{Around, Counted, Listing, Place, Stretch};
use super::record::{Record, Submitted, Withdrawn};
use super::rules::{Rules, Ties};
use super::standing::{Changed, Ledger, Mark, Standing, key_bytes, keys_of, needs};
use super::store::{Board, BoardStore, OpenWindows, check_name, exists, other_rules};
use crate::Result;

mod withdrawal;

const MIGRATION: Migration = Migration {
    component: "boards",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_board_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// Keeps boards in PostgreSQL 12 or newer, shared by any number of processes.
///
/// - **Tables.** [`migrate`](Self::migrate) makes them; their names begin with `pumasi_board`, in the first schema of the
///   connection's `search_path`.
/// - **One lock a call.** Submitting locks the board's row, so calls on one board wait for one another; submit many records in
///   a call. Reading waits for nobody.
/// - **A rank is counted** along an index, from the first on: a few milliseconds at rank 10,000, more than 100 at a million. For
///   large boards that are asked often take `SqliteBoards`, fed from events, or Redis.
/// - **Snapshots** copy the window in one statement; nobody waits for it.
///
/// Clones share the pool.
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_search::Result<()> {
/// use pumasi_search::leaderboard::{Board, Direction, Leaderboard, Metric, PostgresBoards, Record, Rules};
///
/// let boards = PostgresBoards::new(pool);
/// boards.migrate().await?;
/// let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst);
/// let board = Leaderboard::new(boards, Board::new("distance", rules)?);
/// board.submit(&[Record::new(7_u64, "run-1", "2026-11-23T06:30:00Z".parse()?).with("distance_m", 5_000)]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresBoards {
    pool: PgPool,
}

impl PostgresBoards {
    /// Makes a store on the pool's database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if
    /// the database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }

    /// Begins a transaction that sees one moment, and finds the window in it.
    async fn reading(
        &self,
        board: &Board,
        window: &str,
    ) -> Result<(Transaction<'static, Postgres>, Option<i32>)> {
        check_name("window", window)?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut transaction = begin_postgres(&self.pool, begin).await.map_err(asking)?;
        let found = "SELECT rules, (SELECT no FROM pumasi_board_window WHERE board = board.no AND name = $2) \
                     FROM pumasi_board AS board WHERE name = $1";
        let found = sqlx::query(found)
            .bind(board.name())
            .bind(window)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(asking)?;
        let Some(row) = found else { return Ok((transaction, None)) };
        let rules: &str = row.try_get(0).map_err(asking)?;
        if rules != board.rules().fingerprint() {
            return Err(other_rules(board));
        }
        let no = row.try_get(1).map_err(asking)?;
        Ok((transaction, no))
    }

    /// Begins a transaction that nobody else writes the board in.
    async fn writing(&self, board: &Board) -> Result<(Transaction<'static, Postgres>, i32)> {
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        let rules = board.rules().fingerprint();
        let lock = "SELECT no, rules FROM pumasi_board WHERE name = $1 FOR UPDATE";
        let mut row =
            sqlx::query(lock).bind(board.name()).fetch_optional(&mut *transaction).await.map_err(keeping)?;
        if row.is_none() {
            sqlx::query(
                "INSERT INTO pumasi_board (name, rules) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            )
            .bind(board.name())
            .bind(&rules)
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
            row = Some(
                sqlx::query(lock).bind(board.name()).fetch_one(&mut *transaction).await.map_err(keeping)?,
            );
        }
        let row = row.ok_or_else(|| other_rules(board))?;
        if row.try_get::<&str, _>(1).map_err(keeping)? != rules {
            return Err(other_rules(board));
        }
        let no = row.try_get(0).map_err(keeping)?;
        Ok((transaction, no))
    }
}

impl fmt::Debug for PostgresBoards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBoards").finish_non_exhaustive()
    }
}

fn asking(error: sqlx::Error) -> crate::Error {
    failed("asking a board", error)
}

fn keeping(error: sqlx::Error) -> crate::Error {
    failed("keeping a board", error)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Finds a window, or adds it; tells whether it is closed.
async fn window(connection: &mut PgConnection, board: i32, name: &str) -> Result<(i32, bool)> {
    let row = sqlx::query(include_str!("sql/window.sql"))
        .bind(board)
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(keeping)?;
    Ok((row.try_get(0).map_err(keeping)?, row.try_get(1).map_err(keeping)?))
}

async fn standings<M: MemberId>(
    connection: &mut PgConnection,
    rules: &Rules,
    window: i32,
    members: &[M],
) -> Result<Vec<(M, Standing)>> {
    let read = "SELECT member, standing FROM pumasi_board_standing \
                WHERE \"window\" = $1 AND member = ANY ($2::bytea[])";
    let rows = sqlx::query(read)
        .bind(window)
        .bind(members.iter().map(M::to_bytes).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(keeping)?;
    let standing = |row: &PgRow| -> Result<(M, Standing)> {
        let bytes = row.try_get(1).map_err(keeping)?;
        Ok((member(row.try_get(0).map_err(keeping)?)?, Standing::from_bytes(rules, bytes)?))
    };
    rows.iter().map(standing).collect()
}

/// Writes what has changed in a window of a board, and new marks.
async fn write<M: MemberId>(
    connection: &mut PgConnection,
    (board, window): (i32, i32),
    rules: &Rules,
    changed: &[Changed<M>],
    new_marks: &[(M, Mark)],
) -> Result<()> {
    let (of_board, marked, names) = split_marks(new_marks);
    sqlx::query(include_str!("sql/write.sql"))
        .bind(board)
        .bind(window)
        .bind(changed.iter().map(|change| change.member.to_bytes()).collect::<Vec<_>>())
        .bind(changed.iter().map(|change| change.key.as_deref().map(key_bytes)).collect::<Vec<_>>())
        .bind(changed.iter().map(|change| change.standing.to_bytes(rules)).collect::<Vec<_>>())
        .bind(of_board)
        .bind(marked)
        .bind(names)
        .execute(connection)
        .await
        .map(drop)
        .map_err(keeping)
}

fn split_marks<M: MemberId>(marks: &[(M, Mark)]) -> (Vec<bool>, Vec<Vec<u8>>, Vec<&str>) {
    let (mut of_board, mut members, mut names) = (vec![], vec![], vec![]);
    for (member, mark) in marks {
        of_board.push(mark.of_board);
        members.push(member.to_bytes());
        names.push(&*mark.name);
    }
    (of_board, members, names)
}

async fn places<M: MemberId>(
    connection: &mut PgConnection,
    board: &Board,
    window: i32,
    members: &[M],
) -> Result<Vec<Option<Place<M>>>> {
    let rules = board.rules();
    let rows = sqlx::query(include_str!("sql/places.sql"))
        .bind(window)
        .bind(members.iter().map(M::to_bytes).collect::<Vec<_>>())
        .bind(rules.ties() == Ties::Dense)
        .fetch_all(connection)
        .await
        .map_err(asking)?;
    let mut places: Vec<Option<Place<M>>> = vec![None; members.len()];
    for row in &rows {
        let number = |column: &str| row.try_get::<i64, _>(column).map(unsigned).map_err(asking);
        let index = usize::try_from(number("nr")?).unwrap_or(0).saturating_sub(1);
        let (Some(place), Some(member)) = (places.get_mut(index), members.get(index)) else { continue };
        let better = number("better")?;
        let counted = Counted {
            member: member.clone(),
            keys: keys_of(row.try_get("key").map_err(asking)?)?,
            position: better + number("before")?,
            better,
            tied: number("tied")?,
            distinct_better: row.try_get::<Option<i64>, _>("distinct_better").map_err(asking)?.map(unsigned),
        };
        *place = Some(counted.place(rules));
    }
    Ok(places)
}

async fn list<M: MemberId>(
    connection: &mut PgConnection,
    board: &Board,
    window: i32,
    places: Range<u64>,
) -> Result<Listing<M>> {
    let rules = board.rules();
    let rows = sqlx::query(include_str!("sql/list.sql"))
        .bind(window)
        .bind(signed(places.start))
        .bind(signed(places.end.saturating_sub(places.start)))
        .bind(rules.ties() == Ties::Dense)
        .fetch_all(connection)
        .await
        .map_err(asking)?;
    let Some(row) = rows.first() else { return Ok(Listing { places: Vec::new(), total: 0 }) };
    let number = |column: &str| row.try_get::<i64, _>(column).map(unsigned).map_err(asking);
    let distinct_better: Option<i64> = row.try_get("distinct_better").map_err(asking)?;
    let stretch = Stretch {
        from: places.start,
        better: number("better")?,
        until: number("until")?,
        distinct_better: distinct_better.map(unsigned),
        total: number("total")?,
    };
    let entry = |row: &PgRow| -> Result<Option<(Vec<i64>, M)>> {
        let Some(key) = row.try_get::<Option<&[u8]>, _>("key").map_err(asking)? else { return Ok(None) };
        Ok(Some((keys_of(key)?, member(row.try_get("member").map_err(asking)?)?)))
    };
    let entries = rows.iter().filter_map(|row| entry(row).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(stretch.listing(rules, entries))
}

#[async_trait]
impl<M: MemberId> BoardStore<M> for PostgresBoards {
    async fn submit(&self, board: &Board, name: &str, records: &[Record<M>]) -> Result<Vec<Submitted>> {
        check_name("window", name)?;
        records.iter().try_for_each(Record::check)?;
        let rules = board.rules();
        let (members, wanted) = needs(rules, records.iter());
        let (mut transaction, no) = self.writing(board).await?;
        let (window, closed) = window(&mut transaction, no, name).await?;
        let standings = standings(&mut transaction, rules, window, &members).await?;
        let (of_board, members, names) = split_marks(&wanted);
        let rows = sqlx::query(include_str!("sql/marks.sql"))
            .bind(no)
            .bind(window)
            .bind(of_board)
            .bind(members)
            .bind(names)
            .fetch_all(&mut *transaction)
            .await
            .map_err(keeping)?;
        let mark = |row: &PgRow| -> Result<(M, Mark)> {
            let of_board = row.try_get(0).map_err(keeping)?;
            let name = row.try_get(2).map_err(keeping)?;
            Ok((member(row.try_get(1).map_err(keeping)?)?, Mark { of_board, name }))
        };
        let known = rows.iter().map(mark).collect::<Result<Vec<_>>>()?;
        let mut ledger = Ledger::new(board, standings, known);
        let answers = records.iter().map(|record| ledger.answer(record, closed)).collect::<Result<_>>()?;
        let (changed, new_marks) = ledger.finish();
        if !changed.is_empty() {
            write(&mut transaction, (no, window), rules, &changed, &new_marks).await?;
        }
        transaction.commit().await.map_err(keeping)?;
        Ok(answers)
    }

    async fn withdraw(
        &self,
        board: &Board,
        name: &str,
        member: &M,
        source: &str,
        open: &OpenWindows,
    ) -> Result<Withdrawn> {
        self.take_back(board, name, (member, source), open).await
    }

    async fn close(&self, board: &Board, name: &str) -> Result<()> {
        check_name("window", name)?;
        let (mut transaction, no) = self.writing(board).await?;
        let (window, closed) = window(&mut transaction, no, name).await?;
        if !closed {
            sqlx::query("UPDATE pumasi_board_window SET closed = true WHERE no = $1")
                .bind(window)
                .execute(&mut *transaction)
                .await
                .map_err(keeping)?;
        }
        transaction.commit().await.map_err(keeping)
    }

    async fn snapshot(&self, board: &Board, name: &str, kept: &str) -> Result<()> {
        check_name("window", name)?;
        check_name("snapshot", kept)?;
        let (mut transaction, no) = self.writing(board).await?;
        let (from, _) = window(&mut transaction, no, name).await?;
        transaction.commit().await.map_err(keeping)?;
        // Without the board's lock: the copy is one statement, and sees one moment.
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        let add = "INSERT INTO pumasi_board_window (board, name, closed) VALUES ($1, $2, true) \
                   ON CONFLICT (board, name) DO NOTHING RETURNING no";
        let row = sqlx::query(add)
            .bind(no)
            .bind(kept)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(keeping)?
            .ok_or_else(|| exists(kept))?;
        let copy = "INSERT INTO pumasi_board_standing (\"window\", member, key, standing) \
                    SELECT $2, member, key, '' FROM pumasi_board_standing WHERE \"window\" = $1 AND key IS NOT NULL";
        sqlx::query(copy)
            .bind(from)
            .bind(row.try_get::<i32, _>(0).map_err(keeping)?)
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        transaction.commit().await.map_err(keeping)
    }

    async fn places(&self, board: &Board, window: &str, members: &[M]) -> Result<Vec<Option<Place<M>>>> {
        match self.reading(board, window).await? {
            (mut transaction, Some(window)) => places(&mut transaction, board, window, members).await,
            (_, None) => Ok(vec![None; members.len()]),
        }
    }

    async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>> {
        match self.reading(board, window).await? {
            (mut transaction, Some(window)) => list(&mut transaction, board, window, places).await,
            (_, None) => Ok(Listing { places: Vec::new(), total: 0 }),
        }
    }

    async fn around(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        neighbours: u64,
    ) -> Result<Option<Around<M>>> {
        let (mut transaction, Some(window)) = self.reading(board, window).await? else { return Ok(None) };
        let place = places(&mut transaction, board, window, std::slice::from_ref(member)).await?;
        let Some(position) = place.into_iter().flatten().next().map(|place| place.position - 1) else {
            return Ok(None);
        };
        let end = position.saturating_add(neighbours).saturating_add(1);
        let stretch = position.saturating_sub(neighbours)..end;
        Ok(list(&mut transaction, board, window, stretch).await?.around(position))
    }

    async fn forget(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        let (mut transaction, no) = self.writing(board).await?;
        sqlx::query("DELETE FROM pumasi_board_window WHERE board = $1 AND name = $2")
            .bind(no)
            .bind(window)
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        transaction.commit().await.map_err(keeping)
    }

    async fn replace(&self, board: &Board, with: &Board) -> Result<()> {
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
        for statement in [
            "DELETE FROM pumasi_board WHERE name = $1 AND name <> $2",
            "UPDATE pumasi_board SET name = $1 WHERE name = $2",
        ] {
            sqlx::query(statement)
                .bind(board.name())
                .bind(with.name())
                .execute(&mut *transaction)
                .await
                .map_err(keeping)?;
        }
        transaction.commit().await.map_err(keeping)
    }
}
