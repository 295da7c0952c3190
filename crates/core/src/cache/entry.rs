//! How a typed value is written into a cache: a line of header, then JSON.
//!
//! `pumasi1 <version> <stored> <fresh until> <v|n>` and a newline, moments in microseconds since 1970; readable with
//! `redis-cli get`. Another format or version is not guessed at.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::JsonFault;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

const FORMAT: &str = "pumasi1";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<V> {
    pub(super) stored: Timestamp,
    pub(super) fresh_until: Timestamp,
    /// `None` is the knowledge that there is nothing.
    pub(super) value: Option<V>,
}

/// What was found under a key.
#[derive(Debug, PartialEq)]
pub(super) enum Decoded<V> {
    Entry(Entry<V>),
    /// Written by another version of the program.
    OtherVersion,
}

pub(super) fn encode<V: Serialize>(
    version: u32,
    stored: Timestamp,
    fresh_until: Timestamp,
    value: Option<&V>,
) -> Result<Arc<[u8]>> {
    let kind = if value.is_some() { 'v' } else { 'n' };
    let (stored, fresh_until) = (stored.as_micros(), fresh_until.as_micros());
    let mut bytes = format!("{FORMAT} {version} {stored} {fresh_until} {kind}\n").into_bytes();
    if let Some(value) = value {
        serde_json::to_writer(&mut bytes, value).map_err(|source| {
            Error::new(ErrorKind::InvalidInput, "a value could not be written as JSON").with_source(source)
        })?;
    }
    Ok(bytes.into())
}

pub(super) fn decode<V: DeserializeOwned>(version: u32, bytes: &[u8]) -> Result<Decoded<V>> {
    let end = bytes.iter().take(128).position(|byte| *byte == b'\n').ok_or_else(broken)?;
    let (header, body) = bytes.split_at(end);
    let mut fields = std::str::from_utf8(header).map_err(|_| broken())?.split(' ');
    let mut next = || fields.next().ok_or_else(broken);
    if next()? != FORMAT || number(next()?)? != i64::from(version) {
        return Ok(Decoded::OtherVersion);
    }
    let (stored, fresh_until) = (number(next()?)?, number(next()?)?);
    let value = match next()? {
        "v" => Some(
            serde_json::from_slice(body).map_err(|source| broken().with_source(JsonFault::from(&source)))?,
        ),
        "n" => None,
        _ => return Err(broken()),
    };
    let (stored, fresh_until) = (Timestamp::from_micros(stored), Timestamp::from_micros(fresh_until));
    Ok(Decoded::Entry(Entry { stored, fresh_until, value }))
}

fn number(field: &str) -> Result<i64> {
    field.parse().map_err(|_| broken())
}

fn broken() -> Error {
    Error::new(ErrorKind::Protocol, "a cached value cannot be read")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_version_is_not_guessed_at() {
        let at = Timestamp::from_micros(5);
        let bytes = encode(1, at, at, Some(&7)).unwrap();
        assert_eq!(decode::<i32>(2, &bytes).unwrap(), Decoded::OtherVersion);
        assert_eq!(decode::<i32>(1, b"pumasi0 1 5 5 v\n7").unwrap(), Decoded::OtherVersion);
    }

    #[test]
    fn foreign_bytes_are_an_error() {
        for bytes in [
            &b""[..],
            b"7",
            b"\n",
            b"pumasi1 1 5 5 x\n",
            b"pumasi1 1 5 5 v\nseven",
            b"pumasi1 1 5\n",
            &[255; 300],
        ] {
            assert!(
                !matches!(decode::<i32>(1, bytes), Ok(Decoded::Entry(_))),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(text in any::<String>(), stored in 0_i64..1 << 50, fresh in 0_i64..1 << 50, version in any::<u32>()) {
            let (stored, fresh_until) = (Timestamp::from_micros(stored), Timestamp::from_micros(fresh));
            for value in [Some(text), None] {
                let bytes = encode(version, stored, fresh_until, value.as_ref()).unwrap();
                let read = decode::<String>(version, &bytes).unwrap();
                prop_assert_eq!(read, Decoded::Entry(Entry { stored, fresh_until, value }));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = decode::<String>(1, &bytes);
        }
    }
}
