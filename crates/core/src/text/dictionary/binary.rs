//! The files as bytes.

use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// Reads a file of the dictionary.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<u8>> {
    std::fs::read(folder.join(name)).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let kind = if missing { ErrorKind::NotFound } else { ErrorKind::Storage };
        Error::new(kind, format!("reading {name} of the Korean dictionary failed")).with_source(error)
    })
}

/// The error of a file that is not what it should be.
pub(super) fn malformed(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Storage, format!("{name} is no file of a compiled dictionary: {what}"))
}

/// Reads the little-endian word at a place.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// Reads the little-endian half word at a place.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*word))
}

/// Reads a name that is filled up with zeros.
pub(super) fn name(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
