//! How changes are written: together, and in parts where that does not go well.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use pumasi_core::database::begin_postgres;
use pumasi_core::time::{Timestamp, after};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row as _};

use super::table::{Content, Row, is_refused};
use super::{PostgresEngine, at};
use crate::engine::{Applied, Change};
use crate::{Error, ErrorKind, Result};

/// Tells whether it may be one change of many that could not be written: the server refused a value, for good, or it took too long.
fn is_of_a_change(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Storage => !error.retry().is_retryable(),
        kind => kind == ErrorKind::Timeout,
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::Timeout, "writing to the index in PostgreSQL took too long")
}

/// Into how many parts a batch is taken that could not be written, and among how many others a part shares the time that is left.
const PARTS: usize = 8;
const MOST_SHARING: usize = 3;

/// What is known of a document before a change: its version, its terms, and whether it is there or was refused.
struct Known {
    version: u64,
    terms: i64,
    is_there: bool,
    is_refused: bool,
}

/// Whether a change says nothing new to who knows a version. What was refused is refused again.
const fn has(version: u64, is_refused: bool, of: u64) -> bool {
    version > of || (version == of && !is_refused)
}

impl PostgresEngine {
    /// Writes changes, in parts where they cannot be written together.
    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        let ends = after(Instant::now(), self.patience);
        let limit = if changes.len() > 1 { self.patience / 2 } else { self.patience };
        match self.in_time(changes, limit).await {
            Err(error) if changes.len() > 1 && is_of_a_change(&error) => {
                self.apart(changes, error, ends).await
            }
            written => written,
        }
    }

    /// Writes a batch, for as long as it may take.
    async fn in_time(&self, changes: &[Change], limit: Duration) -> Result<Vec<Result<Applied>>> {
        tokio::time::timeout(limit, self.write_at_once(changes, limit))
            .await
            .unwrap_or_else(|_| Err(too_long()))
    }

    /// Writes a batch that could not be written as a whole in parts, and those that cannot in parts again when the others are
    /// written, so that the bad changes of it fail alone. A part may take more of the time than it has of the changes, so that some are
    /// written of many that take long each. Those that take long alone share the time that is left in the end.
    async fn apart(&self, changes: &[Change], refusal: Error, ends: Instant) -> Result<Vec<Result<Applied>>> {
        let mut results: Vec<Result<Applied>> = changes.iter().map(|_| Err(too_long())).collect();
        let parts = |range: Range<usize>| {
            let length = range.len().div_ceil(PARTS).max(1);
            range.clone().step_by(length).map(move |start| start..range.end.min(start + length))
        };
        let (mut open, mut slow) = (parts(0..changes.len()).collect::<VecDeque<_>>(), VecDeque::new());
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            let (range, limit, again) = if let Some(range) = open.pop_front() {
                let sharing =
                    u32::try_from(open.len().min(MOST_SHARING)).unwrap_or(u32::MAX).saturating_add(1);
                (range, left / sharing, true)
            } else if let Some(range) = slow.pop_front() {
                let sharing = u32::try_from(slow.len()).unwrap_or(u32::MAX).saturating_add(1);
                (range, left / sharing, false)
            } else {
                break;
            };
            let part = changes.get(range.clone()).unwrap_or_default();
            if left.is_zero() || part.is_empty() {
                break;
            }
            let written = match self.in_time(part, limit).await {
                Ok(written) => written,
                Err(error) if !is_of_a_change(&error) => return Err(error),
                Err(error) if part.len() == 1 && again && error.kind() == ErrorKind::Timeout => {
                    slow.push_back(range);
                    continue;
                }
                Err(error) if part.len() == 1 => vec![Err(error)],
                Err(_) => {
                    open.extend(parts(range));
                    continue;
                }
            };
            for (result, own) in results.iter_mut().skip(range.start).zip(written) {
                *result = own;
            }
        }
        // what is refused of everything is not about a change
        if results.iter().all(Result::is_err) { Err(refusal) } else { Ok(results) }
    }

    /// Looks up what is known of documents, and keeps others from changing them meanwhile.
    async fn known(
        &self,
        connection: &mut PgConnection,
        table: &str,
        ids: &[&str],
    ) -> Result<HashMap<String, Known>> {
        let writing = at("writing to the index in PostgreSQL");
        let sql = format!(
            "SELECT id, version, length, source IS NOT NULL FROM {table} WHERE id = ANY($1) ORDER BY id FOR UPDATE"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(connection).await.map_err(&writing)?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in rows {
            let version: i64 = row.try_get(1).map_err(&writing)?;
            let length: i32 = row.try_get(2).map_err(&writing)?;
            let is_there = row.try_get(3).map_err(&writing)?;
            let is_refused = is_refused(is_there, length);
            let (version, terms) = (u64::try_from(version).unwrap_or_default(), length.max(0).into());
            let id = row.try_get(0).map_err(&writing)?;
            known.insert(id, Known { version, terms, is_there, is_refused });
        }
        Ok(known)
    }

    /// Takes documents apart into terms, aside: for long ones that takes long, and nobody else should wait for it.
    async fn contents(&self, changes: Vec<Option<Change>>) -> Result<Vec<Option<Result<Content>>>> {
        let (table, schema) = (self.table.clone(), self.schema.clone());
        let content = move |change: Change| table.content(&schema, &change);
        tokio::task::spawn_blocking(move || changes.into_iter().map(|change| change.map(&content)).collect())
            .await
            .map_err(|_| Error::new(ErrorKind::Other, "taking documents apart broke off"))
    }

    /// Writes a batch in one transaction.
    async fn write_at_once(&self, changes: &[Change], limit: Duration) -> Result<Vec<Result<Applied>>> {
        let writing = at("writing to the index in PostgreSQL");
        let checked: Vec<Result<()>> = changes.iter().map(|change| change.check(&self.schema)).collect();
        // what a schema refuses may hold what the database does
        let good = changes.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let mut ids: Vec<&str> = good.map(|(change, _)| change.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(&writing)?;
        let index = self.index_within(&mut transaction, Some(limit)).await?;
        // what is counted below is counted by one at a time: rows that are not there yet cannot be locked
        let lock = "SELECT FROM pumasi_search_index WHERE name = $1 AND generation = $2 FOR UPDATE";
        let locking = sqlx::query(lock).bind(self.schema.name()).bind(index.generation);
        locking.execute(&mut *transaction).await.map_err(&writing)?;
        let table = self.table.name(index.generation);
        let known = self.known(&mut transaction, &table, &ids).await?;
        let is_new = |change: &Change| {
            known.get(change.id()).is_none_or(|known| !has(known.version, known.is_refused, change.version()))
        };
        let new = changes.iter().zip(&checked).map(|(change, checked)| checked.is_ok() && is_new(change));
        let new = new.zip(changes).map(|(is_new, change)| is_new.then(|| change.clone())).collect();
        let contents = self.contents(new).await?;
        let mut newest: BTreeMap<&str, Row<'_>> = BTreeMap::new();
        let mut applied = index.applied;
        let mut results = Vec::with_capacity(changes.len());
        for ((change, checked), content) in changes.iter().zip(checked).zip(contents) {
            if let Err(error) = checked {
                results.push(Err(error));
                continue;
            }
            let before = newest.get(change.id());
            let has = |row: &Row<'_>| has(row.change.version(), row.content.is_refused(), change.version());
            let Some(content) = content.filter(|_| !before.is_some_and(has)) else {
                results.push(Ok(Applied::Stale));
                continue;
            };
            applied = applied.max(change.reached().map(Timestamp::as_micros));
            let (content, result) = match content {
                Ok(content) => (content, Ok(Applied::Done)),
                Err(error) => (self.table.nothing(true), Err(error)),
            };
            results.push(result);
            newest.insert(change.id(), Row { change, content });
        }
        let (mut documents, mut terms, mut refused) = (0_i64, 0_i64, 0_i64);
        for (id, Row { content, .. }) in &newest {
            let known = known.get(*id);
            documents += i64::from(content.is_there()) - i64::from(known.is_some_and(|known| known.is_there));
            terms += content.terms() - known.map_or(0, |known| known.terms);
            refused +=
                i64::from(content.is_refused()) - i64::from(known.is_some_and(|known| known.is_refused));
        }
        // in the order of their ids, so that two writers do not wait for each other
        let rows: Vec<&Row<'_>> = newest.values().collect();
        for rows in rows.chunks(self.table.rows_at_once()) {
            let mut builder = QueryBuilder::<Postgres>::new(self.table.insert(index.generation));
            builder.push("VALUES ");
            for (place, row) in rows.iter().enumerate() {
                builder.push(if place > 0 { ", " } else { "" });
                self.table.push(&mut builder, row);
            }
            builder.push(self.table.replace(index.generation));
            builder.build().execute(&mut *transaction).await.map_err(&writing)?;
        }
        sqlx::query(
            "UPDATE pumasi_search_index SET applied = greatest(applied, $3), documents = documents + $4, \
             terms = terms + $5, refused = refused + $6 WHERE name = $1 AND generation = $2",
        )
        .bind(self.schema.name())
        .bind(index.generation)
        .bind(applied)
        .bind(documents)
        .bind(terms)
        .bind(refused)
        .execute(&mut *transaction)
        .await
        .map_err(&writing)?;
        transaction.commit().await.map_err(&writing)?;
        Ok(results)
    }
}
