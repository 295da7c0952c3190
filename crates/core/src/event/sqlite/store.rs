//! The statements, one function each; all of them run inside the writer's transaction.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, SqliteConnection};

use super::error::Failure;
use crate::event::outline::outline;
use crate::event::{
    DeadLetter, Envelope, EventId, Lag, Page, Published, Reason, Settlement, Start, Subscription,
};
use crate::time::Timestamp;

type Result<T> = std::result::Result<T, Failure>;

/// What makes each layout out of the one before it.
const LAYOUTS: [&str; 2] = [include_str!("sql/schema_1.sql"), include_str!("sql/schema_2.sql")];
/// How many events of one lane a fetch hands out at most.
const RUN: usize = 32;
/// How many events are stored by one statement at most: a power of two.
const INSERT: usize = 128;
/// How many events are taken into a group's tables in one statement.
const CHUNK: i64 = 512;
/// How many such chunks one fetch goes through before it leaves the rest to the next.
const CHUNKS: usize = 8;

/// Events as [`publish`] takes them.
pub(super) struct Rows(Vec<NewRow>);

struct NewRow {
    id: EventId,
    topic: String,
    key: String,
    body: String,
}

/// Which delivery is meant: subscription, key, position, fence.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) sub: i64,
    pub(super) key: String,
    pub(super) seq: i64,
    pub(super) fence: i64,
    pub(super) attempt: u32,
}

/// A delivery as it lies in the store.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) claim: Claim,
    pub(super) body: String,
    /// It is the first of its lane, and so its attempt was counted.
    pub(super) head: bool,
}

pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<()> {
    let known: Option<SqliteRow> =
        sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'pumasi_event_schema'")
            .fetch_optional(&mut *connection)
            .await?;
    let version: i64 = match known {
        Some(_) => {
            let read = sqlx::query("SELECT version FROM pumasi_event_schema");
            read.fetch_one(&mut *connection).await?.try_get(0)?
        }
        None => 0,
    };
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for step in LAYOUTS.get(done..).ok_or(Failure::TooNew(version))? {
        sqlx::query(*step).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes events as the rows that [`publish`] takes.
pub(super) fn rows(events: &[Envelope]) -> Result<Rows> {
    let row = |event: &Envelope| {
        let body = serde_json::to_string(event).map_err(|error| Failure::Unreadable((&error).into()))?;
        Ok(NewRow { id: event.id, topic: event.topic.clone(), key: event.key.clone(), body })
    };
    events.iter().map(row).collect::<Result<_>>().map(Rows)
}

fn hex(id: EventId) -> String {
    format!("{:032x}", u128::from_be_bytes(*id.as_bytes()))
}

/// Stores events that the file does not have, for several callers as if one came after the other.
pub(super) async fn publish(
    connection: &mut SqliteConnection,
    calls: &[&Rows],
    now: Timestamp,
    max_pages: Option<u64>,
) -> Result<Vec<Published>> {
    check_room(connection, max_pages).await?;
    let before: i64 =
        sqlx::query(include_str!("sql/last_event.sql")).fetch_one(&mut *connection).await?.try_get(0)?;
    let all: Vec<&NewRow> = calls.iter().flat_map(|rows| &rows.0).collect();
    let (mut rest, mut stored) = (all.as_slice(), 0);
    while !rest.is_empty() {
        // Few different lengths, so that each statement is prepared once.
        let length = rest.len().min(INSERT);
        let (some, others) = rest.split_at(1 << length.ilog2());
        stored += insert(connection, some, now).await?;
        rest = others;
    }
    if stored == all.len() {
        return Ok(calls.iter().map(|rows| Published::new(rows.0.len(), 0)).collect());
    }
    let mut new = HashSet::with_capacity(stored);
    for row in sqlx::query("SELECT id FROM pumasi_event_log WHERE seq > ?1")
        .bind(before)
        .fetch_all(connection)
        .await?
    {
        new.insert(row.try_get::<Vec<u8>, _>(0)?);
    }
    let published = calls.iter().map(|rows| {
        let accepted = rows.0.iter().filter(|row| new.remove(row.id.as_bytes().as_slice())).count();
        Published::new(accepted, rows.0.len() - accepted)
    });
    Ok(published.collect())
}

/// Stores what is new of these events, in their order; returns how many that were.
async fn insert(connection: &mut SqliteConnection, rows: &[&NewRow], now: Timestamp) -> Result<usize> {
    // Bound values and not one JSON text: SQLite would read each field out of that several times.
    let mut statement = QueryBuilder::new(
        "INSERT INTO pumasi_event_log (published_at, id, topic, key, body) SELECT * FROM (",
    );
    statement.push_values(rows, |mut row, event| {
        row.push_bind(now.as_micros())
            .push_bind(event.id.as_bytes().to_vec())
            .push_bind(event.topic.clone())
            .push_bind(event.key.clone())
            .push_bind(event.body.clone());
    });
    statement.push(
        ") WHERE NOT EXISTS (SELECT 1 FROM pumasi_event_known WHERE id = column2) ON CONFLICT (id) DO NOTHING",
    );
    let done = statement.build().execute(connection).await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

async fn check_room(connection: &mut SqliteConnection, max_pages: Option<u64>) -> Result<()> {
    let Some(max) = max_pages else { return Ok(()) };
    let row = sqlx::query(include_str!("sql/used_pages.sql")).fetch_one(connection).await?;
    // An eighth stays free, so that what is stored can still be handed out, which takes rows of its own.
    if u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0) >= max - max / 8 {
        return Err(Failure::Full);
    }
    Ok(())
}

/// Adds what is missing, and returns the number of each topic's subscription.
pub(super) async fn subscribe(
    connection: &mut SqliteConnection,
    subscription: &Subscription,
) -> Result<BTreeMap<String, i64>> {
    let from = match subscription.start() {
        Start::Earliest => Some(i64::MIN),
        Start::Latest => None,
        Start::At(at) => Some(at.as_micros()),
    };
    let mut subs = BTreeMap::new();
    for topic in subscription.topics() {
        sqlx::query(include_str!("sql/subscribe.sql"))
            .bind(subscription.group())
            .bind(topic)
            .bind(from)
            .execute(&mut *connection)
            .await?;
        let row = sqlx::query("SELECT sub FROM pumasi_event_subscription WHERE grp = ?1 AND topic = ?2")
            .bind(subscription.group())
            .bind(topic)
            .fetch_one(&mut *connection)
            .await?;
        subs.insert(topic.clone(), row.try_get(0)?);
    }
    Ok(subs)
}

/// Leases up to `max` events of the subscriptions.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    subs: &[i64],
    max: usize,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Taken>> {
    let mut taken = Vec::new();
    let mut fence = None;
    for sub in subs {
        let room = max.saturating_sub(taken.len());
        if room == 0 {
            break;
        }
        let keys = choose(connection, *sub, room, now).await?;
        if keys.is_empty() {
            continue;
        }
        let fence = match fence {
            Some(fence) => fence,
            None => *fence.insert(next_fence(connection).await?),
        };
        let run = (room / keys.len()).clamp(1, RUN);
        taken.extend(lease(connection, *sub, &keys, run, fence, now, until).await?);
    }
    Ok(taken)
}

/// Lists lanes that may be handed out, taking in further events until there are enough.
async fn choose(
    connection: &mut SqliteConnection,
    sub: i64,
    room: usize,
    now: Timestamp,
) -> Result<Vec<String>> {
    let limit = i64::try_from(room).unwrap_or(i64::MAX);
    let mut keys = Vec::new();
    for _ in 0..CHUNKS {
        keys = sqlx::query(include_str!("sql/choose.sql"))
            .bind(sub)
            .bind(now.as_micros())
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?
            .iter()
            .map(|row| row.try_get::<String, _>(0))
            .collect::<std::result::Result<_, _>>()?;
        if keys.len() >= room {
            break;
        }
        let next = sqlx::query(include_str!("sql/next_events.sql"))
            .bind(sub)
            .bind(CHUNK)
            .fetch_one(&mut *connection)
            .await?;
        let Some(last) = next.try_get::<Option<i64>, _>(0)? else { break };
        sqlx::query(include_str!("sql/take_in.sql"))
            .bind(sub)
            .bind(last)
            .bind(now.as_micros())
            .execute(&mut *connection)
            .await?;
    }
    Ok(keys)
}

async fn next_fence(connection: &mut SqliteConnection) -> Result<i64> {
    let row =
        sqlx::query("UPDATE pumasi_event_fence SET n = n + 1 RETURNING n").fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

async fn lease(
    connection: &mut SqliteConnection,
    sub: i64,
    keys: &[String],
    run: usize,
    fence: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Taken>> {
    let rows = sqlx::query(include_str!("sql/read_lanes.sql"))
        .bind(sub)
        .bind(json!(keys).to_string())
        .bind(i64::try_from(run).unwrap_or(1))
        .fetch_all(&mut *connection)
        .await?;
    let mut taken: Vec<Taken> = Vec::with_capacity(rows.len());
    let mut out = Vec::with_capacity(rows.len());
    let mut lanes: Vec<(String, usize)> = Vec::with_capacity(keys.len());
    for row in rows {
        let (key, seq, attempts): (String, i64, u32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let first = lanes.last().is_none_or(|(last, _)| *last != key);
        match lanes.last_mut() {
            Some((_, held)) if !first => *held += 1,
            _ => lanes.push((key.clone(), 1)),
        }
        let attempt = attempts.saturating_add(1);
        out.push(json!([key, seq, if first { attempt } else { attempts }]));
        taken.push(Taken {
            claim: Claim { sub, key, seq, fence, attempt },
            body: row.try_get(3)?,
            head: first,
        });
    }
    sqlx::query(include_str!("sql/hand_out.sql"))
        .bind(sub)
        .bind(fence)
        .bind(Value::Array(out).to_string())
        .bind(json!(lanes).to_string())
        .bind(until.as_micros())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(taken)
}

/// Takes back what a fetch leased and nobody received.
pub(super) async fn untake(connection: &mut SqliteConnection, heads: &[Claim], now: Timestamp) -> Result<()> {
    let mut by_sub: BTreeMap<(i64, i64), Vec<Value>> = BTreeMap::new();
    for head in heads {
        let row = json!([head.key, head.seq, head.attempt.saturating_sub(1)]);
        by_sub.entry((head.sub, head.fence)).or_default().push(row);
    }
    for ((sub, fence), rows) in by_sub {
        sqlx::query(include_str!("sql/untake.sql"))
            .bind(sub)
            .bind(fence)
            .bind(Value::Array(rows).to_string())
            .bind(now.as_micros())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn claims_json(claims: &[Claim]) -> String {
    let rows = claims.iter().map(|claim| json!([claim.sub, claim.key, claim.seq, claim.fence]));
    Value::Array(rows.collect()).to_string()
}

/// Tells which of the claims stand, by their places.
async fn standing(connection: &mut SqliteConnection, claims: &str) -> Result<Vec<usize>> {
    let rows = sqlx::query(include_str!("sql/claims.sql")).bind(claims).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX))).collect()
}

/// Extends the leases that stand, and returns the places of these.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    claims: &[Claim],
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<usize>> {
    let claims = claims_json(claims);
    let standing = standing(connection, &claims).await?;
    sqlx::query(include_str!("sql/renew.sql"))
        .bind(claims)
        .bind(until.as_micros())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(standing)
}

/// Settles a delivery; tells whether the claim stood.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    claim: &Claim,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<bool> {
    if standing(connection, &claims_json(std::slice::from_ref(claim))).await?.is_empty() {
        return Ok(false);
    }
    match settlement {
        Settlement::Ack => remove(connection, claim, now).await?,
        Settlement::DeadLetter { reason } => {
            sqlx::query(include_str!("sql/bury.sql"))
                .bind(claim.sub)
                .bind(claim.seq)
                .bind(claim.attempt)
                .bind(&reason.kind)
                .bind(&reason.message)
                .bind(now.as_micros())
                .execute(&mut *connection)
                .await?;
            remove(connection, claim, now).await?;
        }
        Settlement::Retry { after, .. } => {
            give_back(connection, claim, claim.attempt, now.saturating_add(*after), now).await?;
        }
        Settlement::Release => {
            give_back(connection, claim, claim.attempt.saturating_sub(1), now, now).await?;
        }
    }
    Ok(true)
}

async fn remove(connection: &mut SqliteConnection, claim: &Claim, now: Timestamp) -> Result<()> {
    let row = sqlx::query(include_str!("sql/remove.sql"))
        .bind(claim.sub)
        .bind(&claim.key)
        .bind(claim.seq)
        .bind(now.as_micros())
        .fetch_one(&mut *connection)
        .await?;
    if row.try_get::<i64, _>(0)? > 0 {
        sqlx::query(include_str!("sql/begin_next.sql"))
            .bind(claim.sub)
            .bind(&claim.key)
            .bind(claim.fence)
            .bind(claim.seq)
            .execute(connection)
            .await?;
    } else {
        sqlx::query(include_str!("sql/close_lane.sql"))
            .bind(claim.sub)
            .bind(&claim.key)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn give_back(
    connection: &mut SqliteConnection,
    claim: &Claim,
    attempts: u32,
    available: Timestamp,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(include_str!("sql/give_back.sql"))
        .bind(claim.sub)
        .bind(&claim.key)
        .bind(claim.seq)
        .bind(attempts)
        .bind(available.as_micros())
        .bind(now.as_micros())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn replay(
    connection: &mut SqliteConnection,
    group: &str,
    ids: &[EventId],
    now: Timestamp,
) -> Result<usize> {
    let ids: Vec<String> = ids.iter().map(|id| hex(*id)).collect();
    let rows = sqlx::query(include_str!("sql/replay.sql"))
        .bind(group)
        .bind(json!(ids).to_string())
        .bind(now.as_micros())
        .fetch_all(connection)
        .await?;
    Ok(rows.len())
}

/// Deletes all that is kept for a group; returns how many topics it had.
pub(super) async fn forget_group(connection: &mut SqliteConnection, group: &str) -> Result<usize> {
    let rows = sqlx::query(include_str!("sql/forget_group.sql")).bind(group).fetch_all(connection).await?;
    Ok(rows.len())
}

/// Corrects the moments that lie beyond a clock that went back.
pub(super) async fn rebase(connection: &mut SqliteConnection, now: Timestamp) -> Result<()> {
    sqlx::query(include_str!("sql/rebase.sql")).bind(now.as_micros()).execute(connection).await?;
    Ok(())
}

/// Tells whether lanes of these subscriptions wait since a moment after `latest`, as another process left them whose clock was
/// ahead.
pub(super) async fn is_ahead(
    connection: &mut SqliteConnection,
    subs: &[i64],
    latest: Timestamp,
) -> Result<bool> {
    for sub in subs {
        let ahead = sqlx::query_scalar(include_str!("sql/ahead.sql"));
        if ahead.bind(*sub).bind(latest.as_micros()).fetch_one(&mut *connection).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes up to `limit` events from before `before` that no group needs, and all but the last `window` of their ids.
pub(super) async fn clean_up(
    connection: &mut SqliteConnection,
    before: Timestamp,
    limit: usize,
    window: u64,
) -> Result<usize> {
    let done = sqlx::query(include_str!("sql/clean_up.sql"))
        .bind(before.as_micros())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("sql/forget.sql"))
        .bind(i64::try_from(window).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// When the next event of the subscriptions may be there: `None` if nothing waits.
pub(super) async fn peek(connection: &mut SqliteConnection, subs: &[i64]) -> Result<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    for sub in subs {
        let row =
            sqlx::query(include_str!("sql/peek.sql")).bind(*sub).fetch_optional(&mut *connection).await?;
        // Its group may have been forgotten.
        let Some(row) = row else { continue };
        let (available, fresh): (Option<i64>, bool) = (row.try_get(0)?, row.try_get(1)?);
        let at = if fresh { Some(Timestamp::MIN) } else { available.map(Timestamp::from_micros) };
        next = match (next, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(next)
}

pub(super) async fn lag(connection: &mut SqliteConnection, subs: &[i64]) -> Result<Lag> {
    let mut lag = Lag::default();
    for sub in subs {
        let row =
            sqlx::query(include_str!("sql/lag.sql")).bind(*sub).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { continue };
        lag.unsettled += u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
        lag.dead_letters += u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
    }
    Ok(lag)
}

pub(super) async fn dead_letters(
    connection: &mut SqliteConnection,
    group: &str,
    page: Page,
) -> Result<Vec<DeadLetter>> {
    let rows = sqlx::query(include_str!("sql/dead_letters.sql"))
        .bind(group)
        .bind(i64::try_from(page.after).unwrap_or(i64::MAX))
        .bind(i64::try_from(page.limit.get()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let read = |row: SqliteRow| {
        let position = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
        let body: &str = row.try_get(1)?;
        let event = if let Ok(event) = serde_json::from_str(body) {
            event
        } else {
            let id: Vec<u8> = row.try_get(6)?;
            let id = id.try_into().ok().map(EventId::from_bytes);
            let at = Timestamp::from_micros(row.try_get(9)?);
            outline(body.as_bytes(), id, row.try_get(7)?, row.try_get(8)?, at)
        };
        let reason = Reason::new(row.try_get::<String, _>(3)?, row.try_get::<String, _>(4)?);
        let at = Timestamp::from_micros(row.try_get(5)?);
        Ok(DeadLetter::new(position, event, reason, row.try_get(2)?, at))
    };
    rows.into_iter().map(read).collect()
}
