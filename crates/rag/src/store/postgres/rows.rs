//! The statements, one function each.

use std::collections::HashMap;

use pumasi_core::text::Span;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row};

use super::copy::{Copy, Row as _, read_vector};
use super::extension::Extension;
use super::{condition, postings};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint};
use crate::store::{ChunkEntry, Entry, SectionEntry, Statistics};
use crate::{Error, ErrorKind};
use pumasi_core::filter::Filter;

/// How many rows of postings one statement writes.
const ROWS: usize = 20_000;

/// How a tenant stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct TenantRow {
    pub(super) tenant: i32,
    pub(super) version: i64,
    pub(super) statistics: Statistics,
    pub(super) next_document: i64,
    pub(super) next_chunk: i64,
}

/// Chunks with numbers from the first up to the one before `past`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) past: i64,
}

/// Parts ranges into what a statement is given.
pub(super) fn split(ranges: &[Range]) -> (Vec<i64>, Vec<i64>) {
    ranges.iter().map(|range| (range.first, range.past)).unzip()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn place(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

/// Reads a column of the table as `usize`.
fn size(row: &PgRow, column: usize) -> sqlx::Result<usize> {
    usize::try_from(row.try_get::<i64, _>(column)?).map_err(decode)
}

fn fingerprint(bytes: &[u8]) -> sqlx::Result<Fingerprint> {
    bytes.try_into().map(Fingerprint::from_bytes).map_err(decode)
}

/// Reads an id.
pub(super) fn chunk_id(row: &PgRow, column: usize) -> sqlx::Result<ChunkId> {
    fingerprint(row.try_get(column)?).map(ChunkId)
}

fn tenant(row: &PgRow) -> sqlx::Result<TenantRow> {
    let unsigned = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(TenantRow {
        tenant: row.try_get(0)?,
        version: row.try_get(1)?,
        statistics: Statistics::new(unsigned(2)?, unsigned(3)?, row.try_get(4)?, unsigned(5)?),
        next_document: row.try_get(6)?,
        next_chunk: row.try_get(7)?,
    })
}

/// Makes a tenant's row, if there is none.
pub(super) async fn make_tenant(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let statement = "INSERT INTO pumasi_rag_tenant (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
    sqlx::query(statement).bind(name).execute(connection).await.map(drop)
}

/// Keeps others from writing the tenant until the transaction ends.
pub(super) async fn lock_tenant(
    connection: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Option<TenantRow>> {
    let row = sqlx::query(include_str!("sql/lock_tenant.sql")).bind(name).fetch_optional(connection).await?;
    row.as_ref().map(tenant).transpose()
}

pub(super) async fn read_tenant(
    connection: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Option<TenantRow>> {
    let row = sqlx::query(include_str!("sql/read_tenant.sql")).bind(name).fetch_optional(connection).await?;
    row.as_ref().map(tenant).transpose()
}

pub(super) async fn set_tenant(connection: &mut PgConnection, row: &TenantRow) -> sqlx::Result<()> {
    sqlx::query(include_str!("sql/set_tenant.sql"))
        .bind(row.tenant)
        .bind(row.version)
        .bind(signed(row.statistics.chunks))
        .bind(signed(row.statistics.terms))
        .bind(row.statistics.mean_length)
        .bind(signed(row.statistics.taken_at))
        .bind(row.next_document)
        .bind(row.next_chunk)
        .execute(connection)
        .await
        .map(drop)
}

/// A document that is there.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) document: i64,
    pub(super) range: Range,
}

/// Finds documents by id.
pub(super) async fn by_ids(
    connection: &mut PgConnection,
    tenant: i32,
    ids: &[&str],
) -> sqlx::Result<Vec<Known>> {
    let statement = "SELECT document, first_chunk, past_chunk FROM pumasi_rag_document \
                     WHERE tenant = $1 AND id = ANY($2)";
    let rows = sqlx::query(statement).bind(tenant).bind(ids).fetch_all(connection).await?;
    rows.iter().map(known).collect()
}

/// Finds the documents that match.
pub(super) async fn matching(
    connection: &mut PgConnection,
    tenant: i32,
    filter: &Filter,
) -> crate::Result<Vec<Known>> {
    let mut builder: QueryBuilder<Postgres> = QueryBuilder::new(
        "SELECT d.document, d.first_chunk, d.past_chunk FROM pumasi_rag_document d WHERE d.tenant = ",
    );
    builder.push_bind(tenant).push(" AND ");
    condition::push(&mut builder, filter)?;
    builder.push(" ORDER BY d.first_chunk");
    let rows = builder.build().persistent(false).fetch_all(connection).await?;
    Ok(rows.iter().map(known).collect::<sqlx::Result<_>>()?)
}

fn known(row: &PgRow) -> sqlx::Result<Known> {
    let range = Range { first: row.try_get(1)?, past: row.try_get(2)? };
    Ok(Known { document: row.try_get(0)?, range })
}

/// Counts the documents that match, and their chunks.
pub(super) async fn count(pool: &PgPool, name: &str, filter: &Filter) -> crate::Result<(i64, i64)> {
    let mut builder: QueryBuilder<Postgres> = QueryBuilder::new(
        "SELECT count(*), coalesce(sum(d.past_chunk - d.first_chunk), 0)::BIGINT FROM pumasi_rag_tenant t \
         JOIN pumasi_rag_document d ON d.tenant = t.tenant WHERE t.name = ",
    );
    builder.push_bind(name).push(" AND ");
    condition::push(&mut builder, filter)?;
    let row = builder.build().persistent(false).fetch_one(pool).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Takes documents away with all that is of them, and their chunks out of the statistics.
pub(super) async fn take_away(
    connection: &mut PgConnection,
    tenant: i32,
    documents: &[Known],
    statistics: &mut Statistics,
) -> sqlx::Result<()> {
    let ranges: Vec<Range> = documents.iter().map(|known| known.range).collect();
    let (first, past) = split(&ranges);
    let rows = sqlx::query(include_str!("sql/chunks_of.sql"))
        .bind(tenant)
        .bind(&first)
        .bind(&past)
        .fetch_all(&mut *connection)
        .await?;
    let mut places: HashMap<(i32, i64), Vec<u8>> = HashMap::new();
    for row in &rows {
        let (batch, place) = postings::place(row.try_get(0)?);
        let mut length = 0_u32;
        for (term, count) in postings::read_terms(row.try_get(1)?) {
            length = length.saturating_add(count);
            places.entry((postings::signed(term), batch)).or_default().push(place);
        }
        statistics.remove(length);
    }
    drop(rows);
    shorten(connection, tenant, &places).await?;
    sqlx::query(include_str!("sql/drop_chunks.sql"))
        .bind(tenant)
        .bind(&first)
        .bind(&past)
        .execute(&mut *connection)
        .await?;
    let numbers: Vec<i64> = documents.iter().map(|known| known.document).collect();
    for table in ["pumasi_rag_section", "pumasi_rag_document"] {
        let statement = format!("DELETE FROM {table} WHERE tenant = $1 AND document = ANY($2)");
        let statement = sqlx::query(sqlx::AssertSqlSafe(statement));
        statement.bind(tenant).bind(&numbers).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes chunks out of the postings.
async fn shorten(
    connection: &mut PgConnection,
    tenant: i32,
    places: &HashMap<(i32, i64), Vec<u8>>,
) -> sqlx::Result<()> {
    let (terms, batches): (Vec<i32>, Vec<i64>) = places.keys().copied().unzip();
    let rows = sqlx::query(include_str!("sql/postings_of.sql"))
        .bind(tenant)
        .bind(terms)
        .bind(batches)
        .fetch_all(&mut *connection)
        .await?;
    let (mut shorter, mut empty) = ((Vec::new(), Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for row in &rows {
        let (term, batch): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let data = postings::without(row.try_get(2)?, places.get(&(term, batch)).map_or(&[], Vec::as_slice));
        if data.is_empty() {
            empty.0.push(term);
            empty.1.push(batch);
        } else {
            shorter.0.push(term);
            shorter.1.push(batch);
            shorter.2.push(data);
        }
    }
    if !shorter.0.is_empty() {
        let statement = sqlx::query(include_str!("sql/shorten_postings.sql")).bind(tenant);
        statement.bind(shorter.0).bind(shorter.1).bind(shorter.2).execute(&mut *connection).await?;
    }
    if !empty.0.is_empty() {
        let statement = sqlx::query(include_str!("sql/drop_postings.sql")).bind(tenant);
        statement.bind(empty.0).bind(empty.1).execute(connection).await?;
    }
    Ok(())
}

/// Writes documents with numbers from the tenant's row on, which is changed to what is free then.
pub(super) async fn put(
    connection: &mut PgConnection,
    row: &mut TenantRow,
    entries: &[Entry],
) -> crate::Result<()> {
    documents(connection, *row, entries).await?;
    sections(connection, *row, entries).await?;
    chunks(connection, *row, entries).await?;
    let mut blocks: HashMap<(i32, i64), Vec<u8>> = HashMap::new();
    for chunk in entries.iter().flat_map(|entry| &entry.chunks) {
        let length = chunk.length();
        let (batch, place) = postings::place(row.next_chunk);
        for (term, count) in &chunk.terms {
            let block = blocks.entry((postings::signed(*term), batch)).or_default();
            postings::push(block, place, *count, length);
        }
        row.statistics.add(length);
        row.next_chunk += 1;
    }
    row.next_document += place(entries.len());
    // in the order of the table's key
    let mut blocks: Vec<_> = blocks.into_iter().collect();
    blocks.sort_unstable_by_key(|(key, _)| *key);
    while !blocks.is_empty() {
        let rest = blocks.split_off(blocks.len().min(ROWS));
        let (keys, data): (Vec<_>, Vec<_>) = std::mem::replace(&mut blocks, rest).into_iter().unzip();
        let (terms, batches): (Vec<i32>, Vec<i64>) = keys.into_iter().unzip();
        let statement = sqlx::query(include_str!("sql/add_postings.sql")).bind(row.tenant);
        statement.bind(terms).bind(batches).bind(data).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn documents(connection: &mut PgConnection, row: TenantRow, entries: &[Entry]) -> crate::Result<()> {
    let statement = "COPY pumasi_rag_document \
        (tenant, document, id, first_chunk, past_chunk, fingerprint, record, fields) FROM STDIN (FORMAT binary)";
    let mut copy = Copy::into(connection, statement).await?;
    let mut first = row.next_chunk;
    for (number, entry) in (row.next_document..).zip(entries) {
        let record = serde_json::to_string(&entry.record).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a document's record could not be written").with_source(error)
        })?;
        let past = first + place(entry.chunks.len());
        let to = copy.row(8).await?;
        to.int(row.tenant);
        to.bigint(number);
        to.bytes(entry.record.id.as_bytes());
        to.bigint(first);
        to.bigint(past);
        to.bytes(entry.record.fingerprint.as_bytes());
        to.bytes(record.as_bytes());
        to.jsonb(&super::fields::write(&entry.record.metadata));
        first = past;
    }
    Ok(copy.finish().await?)
}

async fn sections(connection: &mut PgConnection, row: TenantRow, entries: &[Entry]) -> sqlx::Result<()> {
    let statement = "COPY pumasi_rag_section (tenant, document, section, start, headings, text) \
                     FROM STDIN (FORMAT binary)";
    let mut copy = Copy::into(connection, statement).await?;
    for (number, entry) in (row.next_document..).zip(entries) {
        for (at, section) in (0..).zip(&entry.sections) {
            let to = copy.row(6).await?;
            to.int(row.tenant);
            to.bigint(number);
            to.int(at);
            to.bigint(place(section.span.start));
            to.bytes(serde_json::Value::from(section.headings.clone()).to_string().as_bytes());
            to.bytes(section.text.as_bytes());
        }
    }
    copy.finish().await
}

async fn chunks(connection: &mut PgConnection, row: TenantRow, entries: &[Entry]) -> sqlx::Result<()> {
    let statement = "COPY pumasi_rag_chunk \
        (tenant, chunk, document, section, span_start, span_end, id, terms, embedding) FROM STDIN (FORMAT binary)";
    let mut copy = Copy::into(connection, statement).await?;
    let mut chunk = row.next_chunk;
    for (number, entry) in (row.next_document..).zip(entries) {
        for put in &entry.chunks {
            let to = copy.row(9).await?;
            to.int(row.tenant);
            to.bigint(chunk);
            to.bigint(number);
            to.int(i32::try_from(put.section).unwrap_or(i32::MAX));
            to.bigint(place(put.span.start));
            to.bigint(place(put.span.end));
            to.bytes(put.id.0.as_bytes());
            to.bytes(&postings::pack_terms(&put.terms));
            to.vector(&put.embedding);
            chunk += 1;
        }
    }
    copy.finish().await
}

/// Returns the rows of postings of some terms.
pub(super) async fn postings_of(
    connection: &mut PgConnection,
    tenant: i32,
    terms: &[i32],
) -> sqlx::Result<Vec<PgRow>> {
    let statement = "SELECT term, batch, data FROM pumasi_rag_posting WHERE tenant = $1 AND term = ANY($2)";
    sqlx::query(statement).bind(tenant).bind(terms).fetch_all(connection).await
}

/// Reads a row of postings: its term, its batch, and its chunks.
pub(super) fn posting(row: &PgRow) -> sqlx::Result<(i32, i64, &[u8])> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// Returns the ids of chunks by their numbers.
pub(super) async fn ids_of(
    connection: &mut PgConnection,
    tenant: i32,
    chunks: &[i64],
) -> sqlx::Result<HashMap<i64, ChunkId>> {
    let statement = "SELECT chunk, id FROM pumasi_rag_chunk WHERE tenant = $1 AND chunk = ANY($2)";
    let rows = sqlx::query(statement).bind(tenant).bind(chunks).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, chunk_id(row, 1)?))).collect()
}

/// A chunk as [`passages`] reads it.
pub(super) struct PassageRow {
    pub(super) id: ChunkId,
    pub(super) document: i64,
    pub(super) span: Span,
    pub(super) embedding: Vec<f32>,
    pub(super) record: DocumentRecord,
    pub(super) section: SectionEntry,
}

pub(super) async fn passages(
    pool: &PgPool,
    extension: &Extension,
    name: &str,
    ids: &[ChunkId],
) -> sqlx::Result<Vec<PassageRow>> {
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.0.as_bytes().as_slice()).collect();
    let rows = sqlx::query(extension.statement(include_str!("sql/passages.sql")))
        .bind(name)
        .bind(ids)
        .fetch_all(pool)
        .await?;
    let read = |row: &PgRow| {
        Ok(PassageRow {
            id: chunk_id(row, 0)?,
            document: row.try_get(1)?,
            span: Span::new(size(row, 2)?, size(row, 3)?),
            embedding: read_vector(row.try_get(4)?),
            record: record(row, 5)?,
            section: section(row, 6)?,
        })
    };
    rows.iter().map(read).collect()
}

fn record(row: &PgRow, column: usize) -> sqlx::Result<DocumentRecord> {
    DocumentRecord::read(row.try_get::<&str, _>(column)?.as_bytes()).map_err(decode)
}

/// Reads a section's start, headings and text, from a column on.
fn section(row: &PgRow, column: usize) -> sqlx::Result<SectionEntry> {
    let start = size(row, column)?;
    let headings = serde_json::from_str(row.try_get(column + 1)?).map_err(decode)?;
    let text = String::from_utf8(row.try_get(column + 2)?).map_err(decode)?;
    Ok(SectionEntry::new(headings, Span::new(start, start + text.len()), text))
}

/// Reads documents whole.
pub(super) async fn entries(
    connection: &mut PgConnection,
    extension: &Extension,
    tenant: i32,
    ids: &[&str],
) -> sqlx::Result<Vec<Entry>> {
    let statement = "SELECT document, record, first_chunk, past_chunk FROM pumasi_rag_document \
                     WHERE tenant = $1 AND id = ANY($2)";
    let rows = sqlx::query(statement).bind(tenant).bind(ids).fetch_all(&mut *connection).await?;
    let mut read: HashMap<i64, Entry> = HashMap::with_capacity(rows.len());
    let mut ranges = Vec::with_capacity(rows.len());
    for row in &rows {
        read.insert(row.try_get(0)?, Entry::new(record(row, 1)?, Vec::new(), Vec::new()));
        ranges.push(Range { first: row.try_get(2)?, past: row.try_get(3)? });
    }
    let statement = "SELECT document, start, headings, text FROM pumasi_rag_section \
                     WHERE tenant = $1 AND document = ANY($2) ORDER BY document, section";
    let numbers: Vec<i64> = read.keys().copied().collect();
    let sections = sqlx::query(statement).bind(tenant).bind(numbers).fetch_all(&mut *connection).await?;
    for row in &sections {
        if let Some(entry) = read.get_mut(&row.try_get(0)?) {
            entry.sections.push(section(row, 1)?);
        }
    }
    let (first, past) = split(&ranges);
    let statement = sqlx::query(extension.statement(include_str!("sql/entry_chunks.sql")))
        .bind(tenant)
        .bind(first)
        .bind(past);
    for row in &statement.fetch_all(connection).await? {
        let Some(entry) = read.get_mut(&row.try_get(0)?) else { continue };
        let section = usize::try_from(row.try_get::<i32, _>(2)?).map_err(decode)?;
        let span = Span::new(size(row, 3)?, size(row, 4)?);
        let terms = postings::read_terms(row.try_get(6)?).collect();
        let embedding = read_vector(row.try_get(5)?);
        entry.chunks.push(ChunkEntry::new(chunk_id(row, 1)?, section, span, embedding, terms));
    }
    Ok(read.into_values().collect())
}

pub(super) async fn fingerprints(
    pool: &PgPool,
    name: &str,
    ids: &[&str],
) -> sqlx::Result<HashMap<String, Fingerprint>> {
    let statement = "SELECT d.id, d.fingerprint FROM pumasi_rag_tenant t \
                     JOIN pumasi_rag_document d ON d.tenant = t.tenant AND d.id = ANY($2) WHERE t.name = $1";
    let rows = sqlx::query(statement).bind(name).bind(ids).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, fingerprint(row.try_get(1)?)?))).collect()
}

pub(super) async fn scan(
    pool: &PgPool,
    name: &str,
    after: &str,
    limit: usize,
) -> sqlx::Result<Vec<DocumentRecord>> {
    let statement = "SELECT d.record FROM pumasi_rag_tenant t JOIN pumasi_rag_document d ON d.tenant = t.tenant \
                     WHERE t.name = $1 AND d.id > $2 ORDER BY d.id LIMIT $3";
    let rows = sqlx::query(statement).bind(name).bind(after).bind(place(limit)).fetch_all(pool).await?;
    rows.iter().map(|row| record(row, 0)).collect()
}

pub(super) async fn version(pool: &PgPool, name: &str) -> sqlx::Result<u64> {
    let statement = "SELECT version FROM pumasi_rag_tenant WHERE name = $1";
    let version: Option<i64> = sqlx::query_scalar(statement).bind(name).fetch_optional(pool).await?;
    Ok(version.unwrap_or_default().unsigned_abs())
}
