//! The statements, one function each; those that write run inside the writer's transaction.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use pumasi_core::time::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row as _, SqliteConnection};

use super::image::Journaled;
use super::shapes::Shapes;
use crate::machine::record::code::Damage;
use crate::store::row::Row;
use crate::store::{Census, Head, Known, Query, SagaId, Status, Summary, WorkerId};

type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

static SETTLE: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO pumasi_saga \
                (id, saga, definition, key, status, step, holder, wake, waits, updated_at, created_at, since, row) VALUES";
    let tail = "ON CONFLICT (id) DO UPDATE SET saga = excluded.saga, definition = excluded.definition, \
                key = excluded.key, status = excluded.status, step = excluded.step, holder = excluded.holder, \
                wake = excluded.wake, waits = excluded.waits, updated_at = excluded.updated_at, \
                created_at = excluded.created_at, since = excluded.since, row = excluded.row";
    Shapes::new(head, 13, tail)
});
static DELETE: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::new("DELETE FROM pumasi_saga WHERE id IN (VALUES", 1, ")"));

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn sixteen(bytes: &[u8]) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("an id has not sixteen bytes".into()))
}

/// What a transaction begins with.
pub(super) struct Begun {
    /// The last entry of the journal that the tables have.
    pub(super) settled: i64,
    /// The journal's last entry.
    pub(super) last: i64,
    /// Who has a lease, and until when.
    pub(super) workers: HashMap<WorkerId, Timestamp>,
    /// The rows that were asked for, as far as they are there.
    pub(super) found: Found,
}

pub(super) type Found = HashMap<SagaId, Result<Row, Damage>>;

/// Begins a transaction, and reads what every one needs, and the rows of `ids`: each question alone would cost its way to the
/// engine's thread and back.
pub(super) async fn begin(connection: &mut SqliteConnection, writes: bool, ids: &[SagaId]) -> Result<Begun> {
    // Immediate: a transaction that begins by reading could not be turned into a writing one when another process wrote.
    let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
    sqlx::query(begin).execute(&mut *connection).await?;
    let rows = sqlx::query(include_str!("sql/begun.sql")).bind(hex(ids)).fetch_all(connection).await?;
    let mut begun = Begun { settled: 0, last: 0, workers: HashMap::new(), found: HashMap::new() };
    for row in &rows {
        match row.try_get(0)? {
            0 => (begun.settled, begun.last) = (row.try_get(1)?, row.try_get(2)?),
            1 => {
                let worker = WorkerId::from_bytes(sixteen(row.try_get(3)?)?);
                begun.workers.insert(worker, Timestamp::from_micros(row.try_get(1)?));
            }
            _ => {
                let (id, read) = read(row.try_get(3)?, row.try_get(4)?)?;
                begun.found.insert(id, read);
            }
        }
    }
    Ok(begun)
}

/// Commits, after the entry was appended if there is one.
pub(super) async fn commit(connection: &mut SqliteConnection, entry: Option<Entry>) -> Result<()> {
    match entry {
        None => sqlx::query("COMMIT").execute(connection).await?,
        Some(Entry { no, bytes }) => {
            sqlx::query(concat!(include_str!("sql/append.sql"), "; COMMIT"))
                .bind(no)
                .bind(bytes)
                .execute(connection)
                .await?
        }
    };
    Ok(())
}

/// Reads the entries after `after`; the last one's number with them.
pub(super) async fn journal(
    connection: &mut SqliteConnection,
    after: i64,
) -> Result<Result<(i64, Vec<Journaled>), Damage>> {
    let rows = sqlx::query("SELECT no, entry FROM pumasi_saga_journal WHERE no > ?1 ORDER BY no")
        .bind(after)
        .fetch_all(connection)
        .await?;
    let (mut last, mut entries) = (after, Vec::with_capacity(rows.len()));
    for row in rows {
        last = row.try_get(0)?;
        match Journaled::decode(row.try_get(1)?) {
            Ok(entry) => entries.push(entry),
            Err(damage) => return Ok(Err(damage)),
        }
    }
    Ok(Ok((last, entries)))
}

/// An entry of the journal, and its number.
pub(super) struct Entry {
    pub(super) no: i64,
    pub(super) bytes: Vec<u8>,
}

/// Appends an entry.
pub(super) async fn append(connection: &mut SqliteConnection, entry: Entry) -> Result<()> {
    let Entry { no, bytes } = entry;
    sqlx::query(include_str!("sql/append.sql")).bind(no).bind(bytes).execute(connection).await?;
    Ok(())
}

/// Writes rows into the tables, and forgets the journal up to `last`.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    rows: &[&Row],
    deleted: &[SagaId],
    last: i64,
) -> Result<()> {
    SETTLE
        .run(connection, rows, |row, values| {
            let head = &row.head;
            values.add(head.id.as_bytes().as_slice())?;
            values.add(&*head.saga)?;
            values.add(head.definition)?;
            values.add(&*head.key)?;
            values.add(head.status.number())?;
            values.add(&*head.step)?;
            values.add(row.holder.as_ref().map(|holder| holder.as_bytes().as_slice()))?;
            values.add(row.wake.map(Timestamp::as_micros))?;
            values.add(row.has_signals())?;
            values.add(row.updated_at.as_micros())?;
            values.add(row.created_at.as_micros())?;
            values.add(row.since.as_micros())?;
            values.add(row.encode())
        })
        .await?;
    DELETE.run(connection, deleted, |id, values| values.add(id.as_bytes().as_slice())).await?;
    sqlx::query("DELETE FROM pumasi_saga_journal WHERE no <= ?1")
        .bind(last)
        .execute(&mut *connection)
        .await?;
    advance(connection, last).await
}

/// Says that the tables have everything up to `last`.
pub(super) async fn advance(connection: &mut SqliteConnection, last: i64) -> Result<()> {
    sqlx::query("UPDATE pumasi_saga_mark SET settled = ?1").bind(last).execute(connection).await?;
    Ok(())
}

/// Leaves a row that says that there was one, when what the journal had of it goes: nobody can read it.
pub(super) async fn mark_broken(connection: &mut SqliteConnection, id: SagaId, now: Timestamp) -> Result<()> {
    sqlx::query(include_str!("sql/mark_broken.sql"))
        .bind(id.as_bytes().as_slice())
        .bind(Status::Parked.number())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads rows of the tables; those that are not there are left out.
pub(super) async fn fetch(connection: &mut SqliteConnection, ids: &[SagaId]) -> Result<Found> {
    let rows =
        sqlx::query("SELECT id, row FROM pumasi_saga WHERE id IN (SELECT unhex(value) FROM json_each(?1))")
            .bind(hex(ids))
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| read(row.try_get(0)?, row.try_get(1)?)).collect()
}

fn hex(ids: &[SagaId]) -> String {
    let hex = |id: &SagaId| format!("{:032x}", u128::from_be_bytes(*id.as_bytes()));
    json!(ids.iter().map(hex).collect::<Vec<_>>()).to_string()
}

/// Reads a row; one that is whole, but not this one's, is as damaged as one that is not.
fn read(id: &[u8], row: &[u8]) -> Result<(SagaId, Result<Row, Damage>)> {
    let id = SagaId::from_bytes(sixteen(id)?);
    Ok((id, Row::decode(row).and_then(|row| if row.head.id == id { Ok(row) } else { Err(Damage::Nonsense) })))
}

/// Lists the ids of the rows that a worker holds.
pub(super) async fn held_by(connection: &mut SqliteConnection, worker: WorkerId) -> Result<Vec<SagaId>> {
    let rows = sqlx::query("SELECT id FROM pumasi_saga WHERE holder = ?1")
        .bind(worker.as_bytes().as_slice())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(SagaId::from_bytes(sixteen(row.try_get(0)?)?))).collect()
}

/// Makes sure that those who hold something have a row.
pub(super) async fn know_worker(connection: &mut SqliteConnection, worker: WorkerId) -> Result<()> {
    sqlx::query("INSERT INTO pumasi_saga_worker (id, until) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")
        .bind(worker.as_bytes().as_slice())
        .bind(Timestamp::MIN.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn renew(
    connection: &mut SqliteConnection,
    worker: WorkerId,
    until: Timestamp,
) -> Result<()> {
    sqlx::query("INSERT INTO pumasi_saga_worker (id, until) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET until = excluded.until")
        .bind(worker.as_bytes().as_slice())
        .bind(until.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn leave(connection: &mut SqliteConnection, worker: WorkerId) -> Result<()> {
    sqlx::query("DELETE FROM pumasi_saga_worker WHERE id = ?1")
        .bind(worker.as_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes known definitions as [`claimable`] takes them.
pub(super) fn known(known: &[Known]) -> String {
    let pairs =
        known.iter().flat_map(|known| known.versions.iter().map(|version| json!([&*known.saga, version])));
    Value::Array(pairs.collect()).to_string()
}

/// Lists rows of the tables that may be taken, the most overdue first, and since when.
pub(super) async fn claimable(
    connection: &mut SqliteConnection,
    known: &str,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(Timestamp, SagaId)>> {
    let rows = sqlx::query(include_str!("sql/claimable.sql"))
        .bind(now.as_micros())
        .bind(known)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((Timestamp::from_micros(row.try_get(1)?), SagaId::from_bytes(sixteen(row.try_get(0)?)?)))
        })
        .collect()
}

/// Lists the first `limit` rows of the tables that are to be looked at.
pub(super) async fn wakes(
    connection: &mut SqliteConnection,
    limit: usize,
) -> Result<Vec<(Timestamp, SagaId)>> {
    let rows = sqlx::query("SELECT wake, id FROM pumasi_saga WHERE wake IS NOT NULL ORDER BY wake LIMIT ?1")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((Timestamp::from_micros(row.try_get(0)?), SagaId::from_bytes(sixteen(row.try_get(1)?)?)))
        })
        .collect()
}

pub(super) async fn query(
    connection: &mut SqliteConnection,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<Summary>> {
    let statuses = (!query.statuses.is_empty())
        .then(|| json!(query.statuses.iter().map(|status| status.number()).collect::<Vec<_>>()).to_string());
    let before =
        |age: Duration| now.as_micros().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    let after = query.after.as_ref().map_or(&[][..], |after| after.as_bytes().as_slice());
    let rows = sqlx::query(statement(query))
        .bind(now.as_micros())
        .bind(after)
        .bind(query.saga.as_deref())
        .bind(query.key.as_deref())
        .bind(statuses)
        .bind(query.step.as_deref())
        .bind(query.idle.map(before))
        .bind(i64::try_from(query.limit.get()).unwrap_or(i64::MAX))
        .bind(query.holder.as_ref().map(|holder| holder.as_bytes().as_slice()))
        .bind(query.age.map(before))
        .bind(query.standing.map(before))
        .fetch_all(connection)
        .await?;
    rows.iter().map(summary).collect()
}

/// The statement that asks a query. The engine, which knows nothing of how many are how old, would look through all in the order of their
/// ids; those that are old, or have stood for long, are few.
pub(super) fn statement(query: &Query) -> &'static str {
    macro_rules! asking {
        ($index:literal, $ages:literal) => {
            concat!(
                include_str!("sql/query.sql"),
                $index,
                "\n",
                include_str!("sql/meant.sql"),
                $ages,
                "ORDER BY s.id LIMIT ?8"
            )
        };
    }
    let is_open = !query.statuses.is_empty() && !query.statuses.iter().any(|status| status.is_final());
    match (query.age.is_some(), query.standing.is_some(), is_open) {
        (false, false, _) => asking!("", ""),
        (true, false, _) => asking!("INDEXED BY pumasi_saga_created", "AND created_at <= ?10 "),
        (false, true, false) => asking!("", "AND since <= ?11 "),
        (false, true, true) => {
            asking!("INDEXED BY pumasi_saga_standing", "AND since <= ?11 AND status < 5 ")
        }
        (true, true, _) => {
            asking!("INDEXED BY pumasi_saga_created", "AND created_at <= ?10 AND since <= ?11 ")
        }
    }
}

/// Writes into the columns of rows that an earlier version wrote what they tell of their ages.
pub(super) async fn complete(connection: &mut SqliteConnection) -> Result<()> {
    let lacking = "SELECT no, row, updated_at FROM pumasi_saga WHERE created_at IS NULL LIMIT 1000";
    loop {
        let rows = sqlx::query(lacking).fetch_all(&mut *connection).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for row in rows {
            let no: i64 = row.try_get(0)?;
            let at = Timestamp::from_micros(row.try_get(2)?);
            let (created_at, since) =
                Row::decode(row.try_get(1)?).map_or((at, at), |whole| (whole.created_at, whole.since));
            sqlx::query(include_str!("sql/complete.sql"))
                .bind(no)
                .bind(created_at.as_micros())
                .bind(since.as_micros())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
    }
}

/// A row that is damaged is listed as parked, so that somebody sees it.
fn summary(row: &SqliteRow) -> Result<Summary> {
    if let Ok(whole) = Row::decode(row.try_get(0)?) {
        return Ok(whole.summary(row.try_get::<Option<bool>, _>(1)?.unwrap_or(false)));
    }
    let head = Head {
        id: SagaId::from_bytes(sixteen(row.try_get(2)?)?),
        saga: row.try_get::<&str, _>(3)?.into(),
        definition: row.try_get(4)?,
        key: row.try_get::<&str, _>(5)?.into(),
        status: Status::Parked,
        step: row.try_get::<&str, _>(6)?.into(),
        due: None,
        reason: Some("damaged".into()),
    };
    let at = Timestamp::from_micros(row.try_get(7)?);
    Ok(Summary::new(head, 0, 0, None, at, at, at))
}

pub(super) async fn census(connection: &mut SqliteConnection, now: Timestamp) -> Result<Census> {
    let mut census = Census::new();
    let counts = "SELECT saga, status, count(*) FROM pumasi_saga GROUP BY saga, status ORDER BY saga, status";
    for row in sqlx::query(counts).fetch_all(&mut *connection).await? {
        if let Some(status) = Status::from_number(row.try_get(1)?) {
            census.sagas.push((row.try_get::<&str, _>(0)?.into(), status, unsigned(row.try_get(2)?)));
        }
    }
    let row = sqlx::query(include_str!("sql/census.sql"))
        .bind(now.as_micros())
        .bind(Timestamp::MIN.as_micros())
        .fetch_one(connection)
        .await?;
    census.held = unsigned(row.try_get(1)?);
    census.overdue = row
        .try_get::<Option<i64>, _>(2)?
        .map(|since| now.saturating_since(Timestamp::from_micros(since)))
        .unwrap_or_default();
    census.claimable = unsigned(row.try_get(3)?);
    census.workers = unsigned(row.try_get(4)?);
    Ok(census)
}

pub(super) async fn purge(
    connection: &mut SqliteConnection,
    before: i64,
    limit: usize,
    now: Timestamp,
) -> Result<usize> {
    let done = sqlx::query(include_str!("sql/purge.sql"))
        .bind(before)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("sql/purge_workers.sql")).bind(now.as_micros()).execute(connection).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}
