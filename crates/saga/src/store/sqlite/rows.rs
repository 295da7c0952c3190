//! The statements, one function each; those that write run inside the writer's transaction.

use std::collections::HashMap;
use std::sync::LazyLock;

use pumasi_core::time::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::shapes::{self, Shapes};
use crate::store::admit::{Admitted, Standing, admit};
use crate::store::{
    Census, Commit, Delivered, Head, Known, Lease, NewSignal, Query, SagaId, Status, Stored, StoredSignal,
    Summary, WorkerId,
};
use crate::{Error, ErrorKind};

type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

static CREATE: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO pumasi_saga (id, saga, definition, key, status, step, due, reason, version, epoch, token, \
                holder, created_at, updated_at, log) VALUES";
    Shapes::new(head, 15, "ON CONFLICT (id) DO NOTHING")
});
/// Goes on holding, and so touches no index.
static GO_ON: LazyLock<Shapes> = LazyLock::new(|| Shapes::new(VALUES, 12, &update("")));
static LET_GO: LazyLock<Shapes> = LazyLock::new(|| {
    let wake = ", holder = NULL, wake = CASE WHEN EXISTS (SELECT 1 FROM pumasi_saga_signal WHERE saga = no) \
                THEN min(coalesce(v.due, v.now), v.now) ELSE v.due END";
    Shapes::new(VALUES, 12, &update(wake))
});
static FORGET: LazyLock<Shapes> = LazyLock::new(|| {
    let tail = ") DELETE FROM pumasi_saga WHERE no IN (SELECT no FROM v CROSS JOIN pumasi_saga AS s ON s.id = v.id \
                WHERE s.version = v.version AND s.epoch = v.epoch \
                AND NOT EXISTS (SELECT 1 FROM pumasi_saga_signal WHERE saga = s.no))";
    Shapes::new("WITH v(id, version, epoch) AS (VALUES", 3, tail)
});

const VALUES: &str = "WITH v(id, version, epoch, holder, token, definition, status, step, due, now, replaces, record) AS \
                      (VALUES";

/// The token is what tells a commit that is repeated, and then none of these matches.
fn update(also: &str) -> String {
    format!(
        ") UPDATE pumasi_saga AS s SET version = v.version + 1, token = v.token, definition = v.definition, \
         status = v.status, step = v.step, due = v.due, reason = NULL, updated_at = v.now, \
         log = CASE WHEN v.replaces THEN v.record ELSE CAST(s.log || v.record AS BLOB) END{also} \
         FROM v WHERE s.id = v.id AND s.version = v.version AND s.epoch = v.epoch AND s.holder = v.holder"
    )
}

/// How a commit is written together with others of its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    GoOn,
    LetGo,
    Forget,
}

impl Kind {
    /// `None` where the row has to be looked at first.
    pub(super) fn of(commit: &Commit) -> Option<Self> {
        match commit.lease {
            Lease::Take(_) if commit.creates() && commit.holds && !commit.forgets => Some(Self::Create),
            Lease::Take(_) => None,
            Lease::Held(_) if commit.forgets => Some(Self::Forget),
            Lease::Held(_) if commit.record.is_empty() || commit.head.reason.is_some() => None,
            Lease::Held(_) if commit.holds => Some(Self::GoOn),
            Lease::Held(_) => Some(Self::LetGo),
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

/// Writes commits of one kind; tells whether all of them found their rows as they should be.
pub(super) async fn write_together(
    connection: &mut SqliteConnection,
    kind: Kind,
    commits: &[&Commit],
    now: Timestamp,
) -> Result<bool> {
    let now = now.as_micros();
    let changing = |commit: &&Commit, row: &mut shapes::Row<'_>| {
        let head = &commit.head;
        row.add(head.id.as_bytes().as_slice())?;
        row.add(signed(commit.expected))?;
        row.add(signed(commit.lease.epoch()))?;
        row.add(commit.worker.as_bytes().as_slice())?;
        row.add(commit.token.cast_signed())?;
        row.add(head.definition)?;
        row.add(head.status.number())?;
        row.add(&*head.step)?;
        row.add(micros(head.due))?;
        row.add(now)?;
        row.add(commit.replaces)?;
        row.add(commit.record.as_slice())
    };
    let written = match kind {
        Kind::Create => {
            CREATE
                .run(connection, commits, |commit, row| {
                    let head = &commit.head;
                    row.add(head.id.as_bytes().as_slice())?;
                    row.add(&*head.saga)?;
                    row.add(head.definition)?;
                    row.add(&*head.key)?;
                    row.add(head.status.number())?;
                    row.add(&*head.step)?;
                    row.add(micros(head.due))?;
                    row.add(head.reason.as_deref())?;
                    row.add(signed(commit.version))?;
                    row.add(signed(commit.lease.epoch()))?;
                    row.add(commit.token.cast_signed())?;
                    row.add(commit.worker.as_bytes().as_slice())?;
                    row.add(now)?;
                    row.add(now)?;
                    row.add(commit.record.as_slice())
                })
                .await?
        }
        Kind::GoOn => GO_ON.run(connection, commits, changing).await?,
        Kind::LetGo => LET_GO.run(connection, commits, changing).await?,
        Kind::Forget => {
            FORGET
                .run(connection, commits, |commit, row| {
                    row.add(commit.head.id.as_bytes().as_slice())?;
                    row.add(signed(commit.expected))?;
                    row.add(signed(commit.lease.epoch()))
                })
                .await?
        }
    };
    Ok(written == commits.len() as u64)
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

/// Deletes signals that a commit has consumed.
pub(super) async fn consume(connection: &mut SqliteConnection, commits: &[&Commit]) -> Result<()> {
    let consumed: Vec<u64> = commits.iter().flat_map(|commit| &commit.consumed).copied().collect();
    if !consumed.is_empty() {
        sqlx::query("DELETE FROM pumasi_saga_signal WHERE seq IN (SELECT value FROM json_each(?1))")
            .bind(json!(consumed).to_string())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Looks at the row, and writes one commit or says why not; `Ok(false)` if it was stored before.
pub(super) async fn write_one(
    connection: &mut SqliteConnection,
    commit: &Commit,
    now: Timestamp,
) -> Result<Result<bool, Error>> {
    let row = sqlx::query(include_str!("sql/standing.sql"))
        .bind(commit.head.id.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let standing = row.as_ref().map(standing).transpose()?;
    let admitted = match admit(commit, standing.as_ref(), now) {
        Ok(Admitted::Already) => return Ok(Ok(false)),
        Ok(admitted) => admitted,
        Err(refused) => return Ok(Err(refused)),
    };
    if admitted == Admitted::Creates {
        write_together(connection, Kind::Create, &[commit], now).await?;
        if commit.holds && !commit.forgets {
            return Ok(Ok(true));
        }
    }
    let no: i64 = match row {
        Some(row) => row.try_get(0)?,
        None => sqlx::query("SELECT last_insert_rowid()").fetch_one(&mut *connection).await?.try_get(0)?,
    };
    consume(connection, &[commit]).await?;
    let head = &commit.head;
    sqlx::query(include_str!("sql/change.sql"))
        .bind(no)
        .bind(head.definition)
        .bind(head.status.number())
        .bind(&*head.step)
        .bind(micros(head.due))
        .bind(head.reason.as_deref())
        .bind(signed(commit.version))
        .bind(signed(commit.lease.epoch()))
        .bind(commit.token.cast_signed())
        .bind(commit.holds.then(|| commit.worker.as_bytes().as_slice()))
        .bind(now.as_micros())
        .bind(commit.replaces || admitted == Admitted::Creates)
        .bind(commit.record.as_slice())
        .execute(&mut *connection)
        .await?;
    if commit.forgets {
        let delete = "DELETE FROM pumasi_saga WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM pumasi_saga_signal WHERE saga = no)";
        if sqlx::query(delete).bind(no).execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(Ok(true));
        }
    }
    if !commit.holds || commit.forgets {
        settle(connection, no, now).await?;
    }
    Ok(Ok(true))
}

/// Sets when a row that nobody holds is to be looked at.
async fn settle(connection: &mut SqliteConnection, no: i64, now: Timestamp) -> Result<()> {
    sqlx::query(include_str!("sql/settle.sql")).bind(no).bind(now.as_micros()).execute(connection).await?;
    Ok(())
}

fn standing(row: &SqliteRow) -> Result<Standing> {
    let holder: Option<&[u8]> = row.try_get(4)?;
    let until: Option<i64> = row.try_get(5)?;
    Ok(Standing {
        version: unsigned(row.try_get(1)?),
        epoch: unsigned(row.try_get(2)?),
        token: row.try_get::<i64, _>(3)?.cast_unsigned(),
        holder: match holder {
            Some(holder) => Some((
                WorkerId::from_bytes(sixteen(holder)?),
                until.map_or(Timestamp::MIN, Timestamp::from_micros),
            )),
            None => None,
        },
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn sixteen(bytes: &[u8]) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("an id has not sixteen bytes".into()))
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

pub(super) async fn leave(connection: &mut SqliteConnection, worker: WorkerId, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE pumasi_saga SET wake = ?2, holder = NULL WHERE holder = ?1")
        .bind(worker.as_bytes().as_slice())
        .bind(now.as_micros())
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM pumasi_saga_worker WHERE id = ?1")
        .bind(worker.as_bytes().as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// Lists the numbers of rows that may be taken.
pub(super) async fn claimable(
    connection: &mut SqliteConnection,
    known: &str,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<i64>> {
    let rows = sqlx::query(include_str!("sql/claimable.sql"))
        .bind(now.as_micros())
        .bind(known)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Writes known definitions as [`claimable`] takes them.
pub(super) fn known(known: &[Known]) -> String {
    let pairs =
        known.iter().flat_map(|known| known.versions.iter().map(|version| json!([&*known.saga, version])));
    Value::Array(pairs.collect()).to_string()
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    worker: WorkerId,
    known: &str,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Stored>> {
    let numbers = claimable(connection, known, limit, now).await?;
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    know_worker(connection, worker).await?;
    sqlx::query(include_str!("sql/take.sql"))
        .bind(json!(numbers).to_string())
        .bind(worker.as_bytes().as_slice())
        .execute(&mut *connection)
        .await?;
    let mut stored = read(connection, Which::Numbers(&numbers), now).await?;
    for (_, saga) in &mut stored {
        saga.holder = Some(worker);
    }
    Ok(numbers.iter().filter_map(|no| stored.remove(no)).collect())
}

/// Which rows to read.
pub(super) enum Which<'a> {
    Numbers(&'a [i64]),
    Id(SagaId),
}

/// Reads rows with their logs and signals, by their numbers.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    which: Which<'_>,
    now: Timestamp,
) -> Result<HashMap<i64, Stored>> {
    let rows = match which {
        Which::Numbers(numbers) => {
            let condition = concat!(
                include_str!("sql/columns.sql"),
                ", log FROM pumasi_saga AS s WHERE no IN (SELECT value FROM json_each(?2))"
            );
            let numbers = json!(numbers).to_string();
            sqlx::query(condition).bind(now.as_micros()).bind(numbers).fetch_all(&mut *connection).await?
        }
        Which::Id(id) => {
            let condition =
                concat!(include_str!("sql/columns.sql"), ", log FROM pumasi_saga AS s WHERE s.id = ?2");
            let id = id.as_bytes().as_slice();
            sqlx::query(condition).bind(now.as_micros()).bind(id).fetch_all(&mut *connection).await?
        }
    };
    let mut stored = HashMap::with_capacity(rows.len());
    for row in rows {
        let Summary { head, version, epoch, holder, created_at, updated_at } = summary(&row)?;
        let log = row.try_get("log")?;
        let signals = Vec::new();
        let saga = Stored { head, version, epoch, holder, log, signals, created_at, updated_at, now };
        stored.insert(row.try_get(0)?, saga);
    }
    if !stored.is_empty() {
        let numbers: Vec<i64> = stored.keys().copied().collect();
        let rows = sqlx::query(include_str!("sql/signals.sql"))
            .bind(json!(numbers).to_string())
            .fetch_all(connection)
            .await?;
        for row in rows {
            if let Some(saga) = stored.get_mut(&row.try_get(0)?) {
                saga.signals.push(StoredSignal {
                    seq: unsigned(row.try_get(1)?),
                    name: row.try_get::<&str, _>(2)?.into(),
                    id: row.try_get::<&str, _>(3)?.into(),
                    payload: row.try_get(4)?,
                    at: Timestamp::from_micros(row.try_get(5)?),
                });
            }
        }
    }
    Ok(stored)
}

fn summary(row: &SqliteRow) -> Result<Summary> {
    let status = Status::from_number(row.try_get("status")?);
    let head = Head {
        id: SagaId::from_bytes(sixteen(row.try_get("id")?)?),
        saga: row.try_get::<&str, _>("saga")?.into(),
        definition: row.try_get("definition")?,
        key: row.try_get::<&str, _>("key")?.into(),
        status: status.ok_or_else(|| sqlx::Error::Decode("a status has an unknown number".into()))?,
        step: row.try_get::<&str, _>("step")?.into(),
        due: row.try_get::<Option<i64>, _>("due")?.map(Timestamp::from_micros),
        reason: row.try_get::<Option<&str>, _>("reason")?.map(Into::into),
    };
    let holder: Option<&[u8]> = row.try_get("holder")?;
    let holder = holder.map(sixteen).transpose()?.map(WorkerId::from_bytes);
    let at = |column| row.try_get(column).map(Timestamp::from_micros);
    let (version, epoch) = (unsigned(row.try_get("version")?), unsigned(row.try_get("epoch")?));
    Ok(Summary::new(head, version, epoch, holder, at("created_at")?, at("updated_at")?))
}

pub(super) async fn deliver(
    connection: &mut SqliteConnection,
    signal: &NewSignal,
    now: Timestamp,
) -> Result<Result<Delivered, Error>> {
    let row = sqlx::query("SELECT no, holder IS NULL FROM pumasi_saga WHERE id = ?1")
        .bind(signal.saga.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(Err(Error::new(ErrorKind::NotFound, format!("there is no saga {}", signal.saga))));
    };
    let no: i64 = row.try_get(0)?;
    let stored = sqlx::query(include_str!("sql/deliver.sql"))
        .bind(no)
        .bind(&*signal.name)
        .bind(&*signal.id)
        .bind(signal.payload.as_slice())
        .bind(now.as_micros())
        .execute(&mut *connection)
        .await?;
    if stored.rows_affected() == 0 {
        return Ok(Ok(Delivered::Duplicate));
    }
    if row.try_get(1)? {
        sqlx::query("UPDATE pumasi_saga SET wake = min(coalesce(wake, ?2), ?2) WHERE no = ?1")
            .bind(no)
            .bind(now.as_micros())
            .execute(connection)
            .await?;
    }
    Ok(Ok(Delivered::Stored))
}

pub(super) async fn query(
    connection: &mut SqliteConnection,
    query: &Query,
    now: Timestamp,
) -> Result<Vec<Summary>> {
    let statuses = (!query.statuses.is_empty())
        .then(|| json!(query.statuses.iter().map(|status| status.number()).collect::<Vec<_>>()).to_string());
    let idle = query.idle.map(|idle| {
        let idle = i64::try_from(idle.as_micros()).unwrap_or(i64::MAX);
        now.as_micros().saturating_sub(idle)
    });
    let after = query.after.as_ref().map_or(&[][..], |after| after.as_bytes().as_slice());
    let rows = sqlx::query(concat!(include_str!("sql/columns.sql"), include_str!("sql/query.sql")))
        .bind(now.as_micros())
        .bind(after)
        .bind(query.saga.as_deref())
        .bind(query.key.as_deref())
        .bind(statuses)
        .bind(query.step.as_deref())
        .bind(idle)
        .bind(i64::try_from(query.limit.get()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(summary).collect()
}

pub(super) async fn census(connection: &mut SqliteConnection, now: Timestamp) -> Result<Census> {
    let mut census = Census::new();
    let rows = sqlx::query(
        "SELECT saga, status, count(*) FROM pumasi_saga GROUP BY saga, status ORDER BY saga, status",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
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

pub(super) async fn next_due(connection: &mut SqliteConnection) -> Result<Option<Timestamp>> {
    let row = sqlx::query(include_str!("sql/next_due.sql")).fetch_one(connection).await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(Timestamp::from_micros))
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
