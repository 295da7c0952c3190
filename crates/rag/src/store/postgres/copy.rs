//! Rows as `COPY` reads them in binary.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format".

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

/// So many bytes are sent at once.
const PIECE: usize = 1 << 20;

/// A `COPY` that is under way.
pub(super) struct Copy<'c> {
    sink: PgCopyIn<&'c mut PgConnection>,
    buffer: Vec<u8>,
}

impl<'c> Copy<'c> {
    pub(super) async fn into(connection: &'c mut PgConnection, statement: &str) -> sqlx::Result<Self> {
        let sink = connection.copy_in_raw(statement).await?;
        let mut buffer = Vec::with_capacity(PIECE + (PIECE >> 2));
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.extend_from_slice(&[0; 8]);
        Ok(Self { sink, buffer })
    }

    /// Begins a row; what was written before is sent where it is enough.
    pub(super) async fn row(&mut self, columns: i16) -> sqlx::Result<&mut Vec<u8>> {
        if self.buffer.len() >= PIECE {
            self.sink.send(self.buffer.as_slice()).await?;
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(&columns.to_be_bytes());
        Ok(&mut self.buffer)
    }

    pub(super) async fn finish(mut self) -> sqlx::Result<()> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.sink.send(self.buffer.as_slice()).await?;
        self.sink.finish().await.map(drop)
    }
}

/// Appends a column's value, with its length.
pub(super) trait Row {
    fn bytes(&mut self, bytes: &[u8]);
    fn int(&mut self, value: i32);
    fn bigint(&mut self, value: i64);
    fn jsonb(&mut self, json: &str);
    fn vector(&mut self, vector: &[f32]);
}

impl Row for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        length(self, bytes.len());
        self.extend_from_slice(bytes);
    }

    fn int(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    fn bigint(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    fn jsonb(&mut self, json: &str) {
        length(self, json.len() + 1);
        self.push(1);
        self.extend_from_slice(json.as_bytes());
    }

    fn vector(&mut self, vector: &[f32]) {
        length(self, 4 + 4 * vector.len());
        self.extend_from_slice(&u16::try_from(vector.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.extend_from_slice(&[0; 2]);
        for number in vector {
            self.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn length(row: &mut Vec<u8>, bytes: usize) {
    row.extend_from_slice(&i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes());
}

/// Reads a vector as `vector_send` writes it.
pub(super) fn read_vector(bytes: &[u8]) -> Vec<f32> {
    bytes.get(4..).unwrap_or_default().as_chunks::<4>().0.iter().map(|x| f32::from_be_bytes(*x)).collect()
}
