//! The statements, one function each.

use std::collections::{HashMap, HashSet};

use pumasi_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use super::{micros, signed};
use crate::Error;
use crate::store::admit::{Admitted, Standing, admit};
use crate::store::{
    Census, Commit, Head, Lease, Query, SagaId, Status, Stored, StoredSignal, Summary, WorkerId,
};

type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The places of the commits that one statement can store; the others have to look at their rows first.
pub(super) fn together(commits: &[&Commit]) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(commits.len());
    let simple = |commit: &Commit| {
        !commit.creates() || (commit.holds && !commit.forgets && commit.consumed.is_empty())
    };
    let fits =
        |commit: &Commit| simple(commit) && !(commit.forgets && matches!(commit.lease, Lease::Take(_)));
    let places = commits.iter().enumerate();
    places.filter(|(_, commit)| fits(commit) && seen.insert(commit.head.id)).map(|(place, _)| place).collect()
}

/// Stores the commits at these places; returns the places of those that found their rows as they should be, and the time.
pub(super) async fn write_together(
    connection: &mut PgConnection,
    commits: &[&Commit],
    places: &[usize],
) -> Result<Vec<(usize, Timestamp)>> {
    let some = places.iter().filter_map(|place| Some((*place, *commits.get(*place)?)));
    let (forgetting, keeping): (Vec<_>, Vec<_>) = some.partition(|(_, commit)| commit.forgets);
    let mut stored = Vec::with_capacity(places.len());
    if !keeping.is_empty() {
        stored.extend(keep_together(connection, &keeping).await?);
    }
    if !forgetting.is_empty() {
        stored.extend(forget_together(connection, &forgetting).await?);
    }
    // Events are published in the order of the commits.
    stored.sort_unstable_by_key(|(place, _)| *place);
    Ok(stored)
}

macro_rules! column {
    ($commits:expr, |$commit:pat_param| $value:expr) => {
        $commits.iter().map(|(_, $commit)| $value).collect::<Vec<_>>()
    };
}

fn numbers(commits: &[(usize, &Commit)]) -> Vec<i32> {
    commits.iter().map(|(place, _)| i32::try_from(*place).unwrap_or(i32::MAX)).collect()
}

/// What the statements answer: the time, and the commit's number, or its saga's id if that is new.
fn places(rows: &[PgRow], commits: &[(usize, &Commit)]) -> Result<Vec<(usize, Timestamp)>> {
    let made: HashMap<&[u8], usize> = commits
        .iter()
        .filter(|(_, commit)| commit.creates())
        .map(|(place, commit)| (commit.head.id.as_bytes().as_slice(), *place))
        .collect();
    rows.iter()
        .map(|row| {
            let place = match row.try_get::<Option<i32>, _>(1)? {
                Some(number) => usize::try_from(number).ok(),
                None => made.get(row.try_get::<&[u8], _>(2)?).copied(),
            };
            Ok((place.unwrap_or(usize::MAX), Timestamp::from_micros(row.try_get(0)?)))
        })
        .collect()
}

async fn keep_together(
    connection: &mut PgConnection,
    commits: &[(usize, &Commit)],
) -> Result<Vec<(usize, Timestamp)>> {
    let (made, changed): (Vec<_>, Vec<_>) = commits.iter().copied().partition(|(_, commit)| commit.creates());
    let consumed: Vec<i64> =
        changed.iter().flat_map(|(_, commit)| &commit.consumed).map(|seq| big(*seq)).collect();
    let rows = sqlx::query(include_str!("sql/commit.sql"))
        .bind(column!(made, |commit| commit.head.id.as_bytes().as_slice()))
        .bind(column!(made, |commit| &*commit.head.saga))
        .bind(column!(made, |commit| commit.head.definition.cast_signed()))
        .bind(column!(made, |commit| &*commit.head.key))
        .bind(column!(made, |commit| i16::from(commit.head.status.number())))
        .bind(column!(made, |commit| &*commit.head.step))
        .bind(column!(made, |commit| commit.head.due.map(Timestamp::as_micros)))
        .bind(column!(made, |commit| commit.head.reason.as_deref()))
        .bind(column!(made, |commit| commit.worker.as_bytes().as_slice()))
        .bind(column!(made, |commit| big(commit.lease.epoch())))
        .bind(column!(made, |commit| commit.token.cast_signed()))
        .bind(column!(made, |commit| commit.record.as_slice()))
        .bind(numbers(&changed))
        .bind(column!(changed, |commit| commit.head.id.as_bytes().as_slice()))
        .bind(column!(changed, |commit| commit.head.definition.cast_signed()))
        .bind(column!(changed, |commit| i16::from(commit.head.status.number())))
        .bind(column!(changed, |commit| &*commit.head.step))
        .bind(column!(changed, |commit| commit.head.due.map(Timestamp::as_micros)))
        .bind(column!(changed, |commit| commit.head.reason.as_deref()))
        .bind(column!(changed, |commit| commit.worker.as_bytes().as_slice()))
        .bind(column!(changed, |commit| matches!(commit.lease, Lease::Take(_))))
        .bind(column!(changed, |commit| big(commit.lease.epoch())))
        .bind(column!(changed, |commit| big(commit.expected)))
        .bind(column!(changed, |commit| big(commit.version)))
        .bind(column!(changed, |commit| commit.token.cast_signed()))
        .bind(column!(changed, |commit| commit.record.as_slice()))
        .bind(column!(changed, |commit| commit.replaces))
        .bind(column!(changed, |commit| commit.holds))
        .bind(column!(changed, |commit| i32::try_from(commit.consumed.len()).unwrap_or(i32::MAX)))
        .bind(consumed)
        .fetch_all(connection)
        .await?;
    places(&rows, commits)
}

async fn forget_together(
    connection: &mut PgConnection,
    commits: &[(usize, &Commit)],
) -> Result<Vec<(usize, Timestamp)>> {
    let rows = sqlx::query(include_str!("sql/forget_together.sql"))
        .bind(numbers(commits))
        .bind(column!(commits, |commit| commit.head.id.as_bytes().as_slice()))
        .bind(column!(commits, |commit| big(commit.expected)))
        .bind(column!(commits, |commit| big(commit.lease.epoch())))
        .bind(column!(commits, |commit| commit.worker.as_bytes().as_slice()))
        .bind(column!(commits, |commit| i32::try_from(commit.consumed.len()).unwrap_or(i32::MAX)))
        .fetch_all(connection)
        .await?;
    places(&rows, commits)
}

/// Locks the row, looks at it, and writes one commit or says why not: when, and whether it was not there before.
///
/// Runs inside a transaction.
pub(super) async fn write_one(
    connection: &mut PgConnection,
    commit: &Commit,
) -> Result<Result<(Timestamp, bool), Error>> {
    let head = &commit.head;
    let id = head.id.as_bytes().as_slice();
    let mut found =
        sqlx::query(include_str!("sql/standing.sql")).bind(id).fetch_optional(&mut *connection).await?;
    let mut made = None;
    if found.is_none() && commit.creates() {
        let row = sqlx::query(include_str!("sql/now.sql")).fetch_one(&mut *connection).await?;
        let now: i64 = row.try_get(0)?;
        made = sqlx::query(include_str!("sql/create.sql"))
            .bind(now)
            .bind(id)
            .bind(head.definition.cast_signed())
            .bind(i16::from(head.status.number()))
            .bind(&*head.step)
            .bind(&*head.saga)
            .bind(&*head.key)
            .fetch_optional(&mut *connection)
            .await?
            .map(|row| Ok::<_, sqlx::Error>((row.try_get::<i64, _>(0)?, now)))
            .transpose()?;
        if made.is_none() {
            // Somebody else was a little earlier.
            found = sqlx::query(include_str!("sql/standing.sql"))
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?;
        }
    }
    let (no, now) = match (&found, made) {
        (_, Some(made)) => made,
        (Some(row), None) => (row.try_get(0)?, row.try_get(6)?),
        (None, None) => (0, 0),
    };
    let now = Timestamp::from_micros(now);
    if made.is_none() {
        let standing = found.as_ref().map(standing).transpose()?;
        match admit(commit, standing.as_ref(), now) {
            Ok(Admitted::Already) => return Ok(Ok((now, false))),
            Ok(Admitted::Creates | Admitted::Changes) => {}
            Err(refused) => return Ok(Err(refused)),
        }
    }
    let seqs: Vec<i64> = commit.consumed.iter().map(|seq| big(*seq)).collect();
    let consumed = if seqs.is_empty() {
        0
    } else {
        let consume = sqlx::query(include_str!("sql/consume.sql")).bind(no).bind(seqs);
        consume.execute(&mut *connection).await?.rows_affected()
    };
    let holds = commit.holds && !commit.forgets;
    let changed = sqlx::query(include_str!("sql/change.sql"))
        .bind(no)
        .bind(head.definition.cast_signed())
        .bind(big(commit.lease.epoch()))
        .bind(holds.then(|| commit.worker.as_bytes().as_slice()))
        .bind(head.due.map(Timestamp::as_micros))
        .bind(big(commit.version))
        .bind(commit.token.cast_signed())
        .bind(now.as_micros())
        .bind(i16::from(head.status.number()))
        .bind(&*head.step)
        .bind(head.reason.as_deref())
        .bind(i32::try_from(consumed).unwrap_or(i32::MAX))
        .bind(commit.record.as_slice())
        .bind(commit.replaces)
        .fetch_one(&mut *connection)
        .await?;
    if commit.forgets && changed.try_get::<i32, _>(0)? <= 0 {
        sqlx::query(include_str!("sql/forget.sql")).bind(vec![no]).execute(connection).await?;
    } else {
        sqlx::query(include_str!("sql/record.sql"))
            .bind(no)
            .bind(big(commit.version))
            .bind(changed.try_get::<Option<&[u8]>, _>(1)?)
            .bind(commit.replaces)
            .execute(connection)
            .await?;
    }
    Ok(Ok((now, true)))
}

fn standing(row: &PgRow) -> Result<Standing> {
    let holder: Option<&[u8]> = row.try_get(4)?;
    let until: Option<i64> = row.try_get(5)?;
    let until = until.map_or(Timestamp::MIN, Timestamp::from_micros);
    Ok(Standing {
        version: unsigned(row.try_get(1)?),
        epoch: unsigned(row.try_get(2)?),
        token: row.try_get::<i64, _>(3)?.cast_unsigned(),
        holder: match holder {
            Some(holder) => Some((WorkerId::from_bytes(sixteen(holder)?), until)),
            None => None,
        },
    })
}

fn sixteen(bytes: &[u8]) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("an id has not sixteen bytes".into()))
}

/// Reads rows with their logs and signals, by their numbers.
pub(super) async fn read_numbers(pool: &PgPool, numbers: &[i64]) -> Result<HashMap<i64, Stored>> {
    let statement =
        concat!(include_str!("sql/columns.sql"), include_str!("sql/read.sql"), " s.no = ANY ($1::bigint[])");
    let rows = sqlx::query(statement).bind(numbers).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get("no")?, stored(row)?))).collect()
}

pub(super) async fn read_id(pool: &PgPool, id: SagaId) -> Result<Option<Stored>> {
    let statement = concat!(include_str!("sql/columns.sql"), include_str!("sql/read.sql"), " s.id = $1");
    let row = sqlx::query(statement).bind(id.as_bytes().as_slice()).fetch_optional(pool).await?;
    row.as_ref().map(stored).transpose()
}

/// Reads rows with their logs and signals, by their ids.
pub(super) async fn read_ids(pool: &PgPool, ids: &[SagaId]) -> Result<HashMap<SagaId, Stored>> {
    let statement =
        concat!(include_str!("sql/columns.sql"), include_str!("sql/read.sql"), " s.id = ANY ($1::bytea[])");
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let rows = sqlx::query(statement).bind(ids).fetch_all(pool).await?;
    rows.iter().map(|row| stored(row).map(|stored| (stored.head.id, stored))).collect()
}

fn stored(row: &PgRow) -> Result<Stored> {
    let Summary { head, version, epoch, holder, created_at, updated_at, .. } = summary(row)?;
    let seqs: Option<Vec<i64>> = row.try_get("seqs")?;
    let mut signals = Vec::new();
    if let Some(seqs) = seqs {
        let names: Vec<String> = row.try_get("names")?;
        let ids: Vec<String> = row.try_get("ids")?;
        let payloads: Vec<Vec<u8>> = row.try_get("payloads")?;
        let ats: Vec<i64> = row.try_get("ats")?;
        let columns = seqs.into_iter().zip(names).zip(ids).zip(payloads).zip(ats);
        signals.extend(columns.map(|((((seq, name), id), payload), at)| StoredSignal {
            seq: unsigned(seq),
            name: name.into(),
            id: id.into(),
            payload,
            at: Timestamp::from_micros(at),
        }));
    }
    let log: Option<Vec<u8>> = row.try_get("log")?;
    let now = Timestamp::from_micros(row.try_get("now")?);
    let log = log.unwrap_or_default();
    Ok(Stored { head, version, epoch, holder, log, signals, created_at, updated_at, now })
}

fn summary(row: &PgRow) -> Result<Summary> {
    let number = u8::try_from(row.try_get::<i16, _>("status")?).ok().and_then(Status::from_number);
    let head = Head {
        id: SagaId::from_bytes(sixteen(row.try_get("id")?)?),
        saga: row.try_get::<&str, _>("saga")?.into(),
        definition: row.try_get::<i32, _>("definition")?.cast_unsigned(),
        key: row.try_get::<&str, _>("key")?.into(),
        status: number.ok_or_else(|| sqlx::Error::Decode("a status has an unknown number".into()))?,
        step: row.try_get::<&str, _>("step")?.into(),
        due: row.try_get::<Option<i64>, _>("due")?.map(Timestamp::from_micros),
        reason: row.try_get::<Option<&str>, _>("reason")?.map(Into::into),
    };
    let holder: Option<&[u8]> = row.try_get("holder")?;
    let holder = holder.map(sixteen).transpose()?.map(WorkerId::from_bytes);
    let at = |column| row.try_get(column).map(Timestamp::from_micros);
    let (version, epoch) = (unsigned(row.try_get("version")?), unsigned(row.try_get("epoch")?));
    let (created_at, updated_at, since) = (at("created_at")?, at("updated_at")?, at("since")?);
    Ok(Summary::new(head, version, epoch, holder, created_at, updated_at, since))
}

pub(super) async fn query(pool: &PgPool, query: &Query) -> Result<Vec<Summary>> {
    let statuses = (!query.statuses.is_empty())
        .then(|| query.statuses.iter().map(|status| i16::from(status.number())).collect::<Vec<_>>());
    let after = query.after.as_ref().map_or(&[][..], |after| after.as_bytes().as_slice());
    let rows = sqlx::query(concat!(include_str!("sql/columns.sql"), include_str!("sql/query.sql")))
        .bind(after)
        .bind(query.saga.as_deref())
        .bind(query.key.as_deref())
        .bind(statuses)
        .bind(query.step.as_deref())
        .bind(query.idle.map(micros))
        .bind(signed(query.limit))
        .bind(query.holder.as_ref().map(|holder| holder.as_bytes().as_slice()))
        .bind(query.age.map(micros))
        .bind(query.standing.map(micros))
        // Planned for what is asked: a plan for all questions would use no index but that of the ids.
        .persistent(false)
        .fetch_all(pool)
        .await?;
    rows.iter().map(summary).collect()
}

pub(super) async fn census(pool: &PgPool) -> Result<Census> {
    let mut census = Census::new();
    let counts = "SELECT saga, status, count(*) FROM pumasi_saga GROUP BY saga, status ORDER BY saga COLLATE \"C\", status";
    for row in sqlx::query(counts).fetch_all(pool).await? {
        let status = u8::try_from(row.try_get::<i16, _>(1)?).ok().and_then(Status::from_number);
        if let Some(status) = status {
            census.sagas.push((row.try_get::<&str, _>(0)?.into(), status, unsigned(row.try_get(2)?)));
        }
    }
    let row =
        sqlx::query(include_str!("sql/census.sql")).bind(Timestamp::MIN.as_micros()).fetch_one(pool).await?;
    census.held = unsigned(row.try_get(0)?);
    census.overdue =
        std::time::Duration::from_micros(unsigned(row.try_get::<Option<i64>, _>(1)?.unwrap_or(0)));
    census.claimable = unsigned(row.try_get(2)?);
    census.workers = unsigned(row.try_get(3)?);
    Ok(census)
}
