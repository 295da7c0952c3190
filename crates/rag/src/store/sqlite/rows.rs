//! The statements, one function each.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use pumasi_core::model::Embedding;
use pumasi_core::text::Span;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};

use tokio::sync::mpsc;

use super::packed::pack;
use super::segment::Segment;
use super::shelf::VectorAt;
use super::texts;
use crate::store::{Entry, SectionEntry, Space, Statistics};

/// How many rows one statement writes.
const ROWS: usize = 128;

/// Numbers that are free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub(super) document: i64,
    pub(super) chunk: i64,
    pub(super) segment: i64,
}

/// A tenant's row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TenantRow {
    pub(super) tenant: i64,
    pub(super) version: u64,
    pub(super) mean_length: f32,
    pub(super) taken_at: u64,
}

pub(super) async fn space(pool: &SqlitePool) -> sqlx::Result<Option<String>> {
    let row = sqlx::query("SELECT space FROM pumasi_rag").fetch_optional(pool).await?;
    row.map(|row| row.try_get(0)).transpose()
}

pub(super) async fn begin(connection: &mut SqliteConnection, space: &str) -> sqlx::Result<()> {
    let statement = "INSERT INTO pumasi_rag SELECT ?, 1, 1, 1 WHERE NOT EXISTS (SELECT 1 FROM pumasi_rag)";
    sqlx::query(statement).bind(space).execute(connection).await.map(drop)
}

pub(super) async fn free(connection: &mut SqliteConnection) -> sqlx::Result<Free> {
    let row = sqlx::query("SELECT next_document, next_chunk, next_segment FROM pumasi_rag")
        .fetch_one(connection)
        .await?;
    Ok(Free { document: row.try_get(0)?, chunk: row.try_get(1)?, segment: row.try_get(2)? })
}

pub(super) async fn set_free(connection: &mut SqliteConnection, free: Free) -> sqlx::Result<()> {
    let statement = "UPDATE pumasi_rag SET next_document = ?, next_chunk = ?, next_segment = ?";
    let query = sqlx::query(statement).bind(free.document).bind(free.chunk).bind(free.segment);
    query.execute(connection).await.map(drop)
}

pub(super) async fn tenant(connection: &mut SqliteConnection, name: &str) -> sqlx::Result<TenantRow> {
    let statement = "SELECT tenant, version, mean_length, taken_at FROM pumasi_rag_tenant WHERE name = ?";
    let Some(row) = sqlx::query(statement).bind(name).fetch_optional(connection).await? else {
        return Ok(TenantRow::default());
    };
    let (version, taken_at): (i64, i64) = (row.try_get(1)?, row.try_get(3)?);
    Ok(TenantRow {
        tenant: row.try_get(0)?,
        version: version.unsigned_abs(),
        mean_length: row.try_get(2)?,
        taken_at: taken_at.unsigned_abs(),
    })
}

/// Writes how a tenant stands, and returns its number.
pub(super) async fn set_tenant(
    connection: &mut SqliteConnection,
    name: &str,
    version: u64,
    statistics: &Statistics,
) -> sqlx::Result<i64> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let statement = "INSERT INTO pumasi_rag_tenant (name, version, mean_length, taken_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (name) DO UPDATE SET version = ?2, mean_length = ?3, taken_at = ?4 RETURNING tenant";
    sqlx::query(statement)
        .bind(name)
        .bind(signed(version))
        .bind(statistics.mean_length)
        .bind(signed(statistics.taken_at))
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// Hands the rows of a tenant's segments on, while the file is being read.
pub(super) async fn segments(
    connection: &mut SqliteConnection,
    tenant: i64,
    to: mpsc::Sender<SqliteRow>,
) -> sqlx::Result<()> {
    let statement = "SELECT segment, data FROM pumasi_rag_segment WHERE tenant = ? ORDER BY segment";
    let mut rows = sqlx::query(statement).bind(tenant).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        // whoever reads them has found one that is damaged
        if to.send(row).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads a segment's row: its number and its bytes.
pub(super) fn segment(row: &SqliteRow) -> sqlx::Result<(i64, &[u8])> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

pub(super) async fn gone(connection: &mut SqliteConnection, tenant: i64) -> sqlx::Result<Vec<i64>> {
    let statement = "SELECT document FROM pumasi_rag_gone WHERE tenant = ?";
    let rows = sqlx::query(statement).bind(tenant).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

pub(super) async fn put_segment(
    connection: &mut SqliteConnection,
    tenant: i64,
    segment: i64,
    data: Vec<u8>,
) -> sqlx::Result<()> {
    let statement = "INSERT INTO pumasi_rag_segment (segment, tenant, data) VALUES (?, ?, ?)";
    sqlx::query(statement).bind(segment).bind(tenant).bind(data).execute(connection).await.map(drop)
}

pub(super) async fn drop_segments(connection: &mut SqliteConnection, segments: &[i64]) -> sqlx::Result<()> {
    for statement in [
        "DELETE FROM pumasi_rag_lists WHERE segment IN (SELECT value FROM json_each(?))",
        "DELETE FROM pumasi_rag_segment WHERE segment IN (SELECT value FROM json_each(?))",
    ] {
        sqlx::query(statement).bind(list(segments)).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    tenant: i64,
    documents: &[i64],
) -> sqlx::Result<()> {
    let statement =
        "DELETE FROM pumasi_rag_gone WHERE tenant = ? AND document IN (SELECT value FROM json_each(?))";
    sqlx::query(statement).bind(tenant).bind(list(documents)).execute(connection).await.map(drop)
}

/// Takes documents away: their sections, the vectors of their chunks, and, by a mark, what segments have of them.
pub(super) async fn take_away(
    connection: &mut SqliteConnection,
    tenant: i64,
    documents: &[i64],
    chunks: &[i64],
) -> sqlx::Result<()> {
    let documents = list(documents);
    let statement = "INSERT INTO pumasi_rag_gone SELECT ?, value FROM json_each(?)";
    sqlx::query(statement).bind(tenant).bind(&documents).execute(&mut *connection).await?;
    let statement = "DELETE FROM pumasi_rag_section WHERE document IN (SELECT value FROM json_each(?))";
    sqlx::query(statement).bind(&documents).execute(&mut *connection).await?;
    let statement = "DELETE FROM pumasi_rag_vector WHERE chunk IN (SELECT value FROM json_each(?))";
    sqlx::query(statement).bind(list(chunks)).execute(connection).await.map(drop)
}

/// Writes sections and vectors of documents, which the segment was made of, with numbers from `free` on, and returns the numbers that
/// are free then.
pub(super) async fn put_documents(
    connection: &mut SqliteConnection,
    entries: &[Entry],
    segment: &Segment,
    mut free: Free,
) -> sqlx::Result<Free> {
    let numbered: Vec<(i64, usize, &SectionEntry)> = (free.document..)
        .zip(entries)
        .flat_map(|(number, entry)| {
            entry.sections.iter().enumerate().map(move |(at, section)| (number, at, section))
        })
        .collect();
    for rows in numbered.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO pumasi_rag_section ");
        query.push_values(rows, |mut row, (document, at, section)| {
            row.push_bind(*document)
                .push_bind(i64::try_from(*at).unwrap_or(i64::MAX))
                .push_bind(i64::try_from(section.span.start).unwrap_or(i64::MAX))
                .push_bind(serde_json::Value::from(section.headings.clone()).to_string());
            match texts::pack(&section.text) {
                Some(packed) => row.push_bind(packed),
                None => row.push_bind(section.text.as_str()),
            };
        });
        query.build().execute(&mut *connection).await?;
    }
    let chunks = entries.iter().flat_map(|entry| &entry.chunks).enumerate();
    let vectors: Vec<(i64, Vec<u8>)> = (free.chunk..)
        .zip(chunks)
        .filter_map(|(number, (at, chunk))| Some((number, pack(&chunk.embedding, segment.coded(at)?))))
        .collect();
    free.chunk += i64::try_from(vectors.len()).unwrap_or(i64::MAX);
    free.document += i64::try_from(entries.len()).unwrap_or(i64::MAX);
    for rows in vectors.chunks(ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO pumasi_rag_vector ");
        query.push_values(rows, |mut row, (number, vector)| {
            row.push_bind(*number).push_bind(vector.as_slice());
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(free)
}

/// Returns vectors by the numbers of their chunks; those that are gone are missing.
pub(super) async fn vectors<'a>(
    pool: &SqlitePool,
    wanted: impl Iterator<Item = &'a VectorAt>,
) -> sqlx::Result<HashMap<i64, Embedding>> {
    let statement =
        "SELECT chunk, vector FROM pumasi_rag_vector WHERE chunk IN (SELECT value FROM json_each(?))";
    let wanted: HashMap<i64, &VectorAt> = wanted.map(|vector| (vector.number, vector)).collect();
    let numbers: Vec<i64> = wanted.keys().copied().collect();
    let rows = sqlx::query(statement).bind(list(&numbers)).fetch_all(pool).await?;
    let mut vectors = HashMap::with_capacity(rows.len());
    for row in &rows {
        let number = row.try_get(0)?;
        let read = wanted.get(&number).and_then(|vector| vector.read(row.try_get(1).ok()?));
        vectors.insert(number, read.ok_or_else(|| damaged("a vector does not fit its codes"))?);
    }
    Ok(vectors)
}

fn damaged(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

/// Returns sections by their documents' numbers and their places; those that are gone are missing.
pub(super) async fn sections(
    pool: &SqlitePool,
    documents: &[i64],
) -> sqlx::Result<HashMap<(i64, u32), SectionEntry>> {
    let statement = "SELECT document, section, start, headings, text FROM pumasi_rag_section \
                     WHERE document IN (SELECT value FROM json_each(?))";
    section_entries(&sqlx::query(statement).bind(list(documents)).fetch_all(pool).await?)
}

/// Returns some of the sections of documents.
pub(super) async fn some_sections(
    pool: &SqlitePool,
    wanted: &[(i64, u32)],
) -> sqlx::Result<HashMap<(i64, u32), SectionEntry>> {
    let statement = "SELECT document, section, start, headings, text FROM json_each(?) AS wanted \
                     CROSS JOIN pumasi_rag_section \
                     WHERE document = json_extract(wanted.value, '$[0]') \
                     AND section = json_extract(wanted.value, '$[1]')";
    let wanted: Vec<serde_json::Value> =
        wanted.iter().map(|(document, at)| serde_json::json!([document, at])).collect();
    let wanted = serde_json::Value::from(wanted).to_string();
    section_entries(&sqlx::query(statement).bind(wanted).fetch_all(pool).await?)
}

fn section_entries(rows: &[SqliteRow]) -> sqlx::Result<HashMap<(i64, u32), SectionEntry>> {
    let mut sections = HashMap::with_capacity(rows.len());
    for row in rows {
        let at: i64 = row.try_get(1)?;
        let start: i64 = row.try_get(2)?;
        let headings: &str = row.try_get(3)?;
        // a text that is packed is a BLOB
        let text = match row.try_get::<String, _>(4) {
            Ok(text) => text,
            Err(_) => texts::unpack(row.try_get(4)?).ok_or_else(|| damaged("a section's text is damaged"))?,
        };
        let headings = serde_json::from_str(headings).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let start = usize::try_from(start).unwrap_or_default();
        let span = Span::new(start, start + text.len());
        let key = (row.try_get(0)?, u32::try_from(at).unwrap_or(u32::MAX));
        sections.insert(key, SectionEntry::new(headings, span, text));
    }
    Ok(sections)
}

fn list(numbers: &[i64]) -> String {
    serde_json::Value::from(numbers.to_vec()).to_string()
}

/// Reads a space as it was written.
pub(super) fn read_space(text: &str) -> Option<Space> {
    serde_json::from_str(text).ok()
}
