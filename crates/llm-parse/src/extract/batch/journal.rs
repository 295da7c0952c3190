//! The append-only file that a batch resumes from.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pumasi_core::Retry;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Finished, ItemOutcome};
use crate::extract::{Attempt, ExtractError, ExtractErrorKind, Extraction, Failure, Result};

/// A file of finished items: one JSON document a line, only ever appended to, and synced before an item counts as done.
///
/// A line that a crash cut off is removed when the file is opened again; the last line about an item counts. Extracted
/// values stand in the file as they are: it deserves the protection that they do. While a journal is open, its file is
/// locked, and opening it again fails, in this process or another one of the machine.
///
/// ```
/// use pumasi_llm_parse::extract::Journal;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.jsonl");
/// let journal = Journal::<Vec<String>>::open(&path)?;
/// assert_eq!(journal.len(), 0);
/// assert!(Journal::<Vec<String>>::open(&path).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Journal<T> {
    path: PathBuf,
    file: Arc<Mutex<File>>,
    /// Where the last line about each item stands: key, offset, length.
    lines: HashMap<String, Line>,
    end: u64,
    damaged: usize,
    encode: fn(&Extraction<T>) -> serde_json::Result<serde_json::Value>,
    decode: fn(serde_json::Value) -> serde_json::Result<Extraction<T>>,
}

#[derive(Clone, Debug)]
struct Line {
    key: String,
    offset: u64,
    length: usize,
}

#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    key: String,
    #[serde(default)]
    elapsed_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ok: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
}

/// How every line begins.
const BEGINNING: &[u8] = b"{\"id\":\"";

#[derive(Serialize, Deserialize)]
struct ErrorRecord {
    kind: ExtractErrorKind,
    /// Milliseconds to wait before trying again; `None` for never.
    retry_ms: Option<u64>,
    message: String,
    failures: Vec<Failure>,
    attempts: Vec<Attempt>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal at `path`, making the file if there is none.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be opened, read, locked (it is in use) or repaired; `InvalidConfig` if it has text that
    /// is no journal's: such a file is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|error| failed(&path, "open", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ExtractError::new(
                    ExtractErrorKind::Storage,
                    format!("the journal {} is in use by another batch", path.display()),
                )
                .with_retry(Retry::Now));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&path, "lock", error)),
        }
        let mut journal = Self {
            path,
            file: Arc::new(Mutex::new(file)),
            lines: HashMap::new(),
            end: 0,
            damaged: 0,
            encode: |extraction| serde_json::to_value(extraction),
            decode: |value| serde_json::from_value(value),
        };
        let is_journal = journal.load().map_err(|error| failed(&journal.path, "read", error))?;
        if !is_journal {
            return Err(ExtractError::new(
                ExtractErrorKind::InvalidConfig,
                format!("the file {} is no journal", journal.path.display()),
            ));
        }
        Ok(journal)
    }
}

impl<T> Journal<T> {
    /// Counts the items that the journal has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Tells whether the journal has no item.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Counts the whole lines that could not be read when the file was opened.
    pub fn damaged_lines(&self) -> usize {
        self.damaged
    }

    /// Reads the lines, and cuts off what a crash left of the last one. `false`, and nothing is changed, if the file has
    /// text and none of it is a journal's.
    fn load(&mut self) -> std::io::Result<bool> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&*file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) => {
                    self.lines.insert(head.id, Line { key: head.key, offset: self.end, length });
                }
                Err(_) => self.damaged += 1,
            }
            self.end += u64::try_from(length).unwrap_or(u64::MAX);
        }
        drop(reader);
        // a crash may have cut off the very first line
        let begun = |tail: &[u8]| BEGINNING.starts_with(tail) || tail.starts_with(BEGINNING);
        if self.lines.is_empty() && (self.damaged > 0 || !begun(&line)) {
            return Ok(false);
        }
        if file.metadata()?.len() > self.end {
            file.set_len(self.end)?;
        }
        file.sync_all()?;
        drop(file);
        // the file's name has to survive as well; not every system can sync a folder
        if let Some(folder) = self.path.parent()
            && let Ok(folder) = File::open(folder)
        {
            let _ = folder.sync_all();
        }
        Ok(true)
    }

    /// Returns what the journal has about the item `id` with this key; `None` also if it can no longer be read.
    pub(super) fn get(&self, id: &str, key: &str) -> Option<(Result<Extraction<T>>, Duration)> {
        let line = self.lines.get(id).filter(|line| line.key == key)?;
        let mut bytes = vec![0; line.length];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(line.offset)).ok()?;
            file.read_exact(&mut bytes).ok()?;
        }
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let result = match (record.ok, record.error) {
            (Some(value), None) => Ok((self.decode)(value).ok()?),
            (None, Some(error)) => Err(error.into()),
            _ => return None,
        };
        Some((result, Duration::from_nanos(record.elapsed_ns)))
    }

    /// Appends the finished items that belong here, and returns when they are on disk.
    pub(super) async fn append(&mut self, finished: &[Finished<T>]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut lines = Vec::new();
        for Finished { outcome, key } in finished {
            let Some(key) = key else { continue };
            let start = bytes.len();
            let record = self.record(outcome, key).map_err(|error| failed(&self.path, "encode", error))?;
            serde_json::to_writer(&mut bytes, &record)
                .map_err(|error| failed(&self.path, "encode", error))?;
            bytes.push(b'\n');
            let offset = self.end + u64::try_from(start).unwrap_or(u64::MAX);
            lines.push((outcome.id.clone(), Line { key: key.clone(), offset, length: bytes.len() - start }));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let file = Arc::clone(&self.file);
        let before = self.end;
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let written = file.write_all(&bytes).and_then(|()| file.sync_data());
            if written.is_err() {
                // half a line would swallow the next one
                let _ = file.set_len(before);
            }
            written
        })
        .await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&self.path, "append to", error)),
            Err(error) => return Err(failed(&self.path, "append to", error)),
        }
        self.end += length;
        self.lines.extend(lines);
        Ok(())
    }

    /// Makes every later append fail.
    #[cfg(test)]
    pub(super) fn lock_out(&mut self) {
        self.file = Arc::new(Mutex::new(File::open(&self.path).unwrap()));
    }

    fn record(&self, outcome: &ItemOutcome<T>, key: &str) -> serde_json::Result<Record> {
        let (ok, error) = match &outcome.result {
            Ok(extraction) => (Some((self.encode)(extraction)?), None),
            Err(error) => (None, Some(ErrorRecord::from(error))),
        };
        let elapsed_ns = u64::try_from(outcome.elapsed.as_nanos()).unwrap_or(u64::MAX);
        Ok(Record { id: outcome.id.clone(), key: key.to_owned(), elapsed_ns, ok, error })
    }
}

/// The part of a record that is read when a journal is opened.
#[derive(Deserialize)]
struct Head {
    id: String,
    key: String,
}

impl<T> fmt::Debug for Journal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("items", &self.lines.len())
            .field("damaged", &self.damaged)
            .finish_non_exhaustive()
    }
}

impl From<&ExtractError> for ErrorRecord {
    fn from(error: &ExtractError) -> Self {
        Self {
            kind: error.kind(),
            retry_ms: error.retry_after().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            message: error.message().to_owned(),
            failures: error.failures().to_vec(),
            attempts: error.attempts().to_vec(),
        }
    }
}

impl From<ErrorRecord> for ExtractError {
    fn from(record: ErrorRecord) -> Self {
        let retry = match record.retry_ms {
            None => Retry::Never,
            Some(0) => Retry::Now,
            Some(millis) => Retry::After(Duration::from_millis(millis)),
        };
        Self::new(record.kind, record.message)
            .with_retry(retry)
            .with_failures(record.failures)
            .with_attempts(record.attempts)
    }
}

/// Names a source under an extractor's version: SHA-256 over both, each with its length before it.
pub(super) fn key(version: &str, source: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [version.as_bytes(), source] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    crate::extract::hex(&hash.finalize())
}

fn failed(path: &Path, what: &str, error: impl std::error::Error + Send + Sync + 'static) -> ExtractError {
    ExtractError::new(ExtractErrorKind::Storage, format!("could not {what} the journal {}", path.display()))
        .with_source(error)
}
