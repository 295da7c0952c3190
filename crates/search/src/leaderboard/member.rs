//! Who can be ranked.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use uuid::Uuid;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
use crate::{Error, ErrorKind, Result};

/// The longest id of a member as bytes.
pub(crate) const MAX_MEMBER: usize = 512;

/// An id by which members are ranked: a runner's, a crew's.
///
/// Its bytes stand in stores and decide among ties, so they must be in the order of the ids themselves.
pub trait MemberId: Clone + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// Writes the id as bytes, in the order of the ids; at most 512.
    fn write(&self, into: &mut Vec<u8>);

    /// Reads what [`write`](Self::write) wrote; `None` if it is not that.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Returns the id as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

/// Reads a member that a store has.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(crate) fn member<M: MemberId>(bytes: &[u8]) -> Result<M> {
    M::read(bytes).ok_or_else(|| {
        Error::new(ErrorKind::Storage, "a member of a stored board has another kind of id, or is damaged")
    })
}

impl MemberId for u64 {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl MemberId for String {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

impl MemberId for Arc<str> {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

impl MemberId for Uuid {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}
