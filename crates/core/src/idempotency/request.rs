//! Which request this is.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Result};

/// The key that a client chose for a request; `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The name of the header, in lower case.
    pub const HEADER: &'static str = "idempotency-key";
    /// The longest key, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Makes a key of any text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is empty or longer than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(key: &str) -> Result<Self> {
        if key.is_empty() || key.len() > Self::MAX_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("an idempotency key has 1 to {} bytes, not {}", Self::MAX_BYTES, key.len()),
            ));
        }
        Ok(Self(key.into()))
    }

    /// Reads the header's value: a string in quotation marks
    /// ([RFC 9651, 3.3.3](https://www.rfc-editor.org/rfc/rfc9651#section-3.3.3)), as the draft says, or bare visible ASCII, as
    /// many clients send it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is neither, is empty or too long.
    pub fn from_header(value: &str) -> Result<Self> {
        let malformed =
            || Error::new(ErrorKind::InvalidInput, "the header Idempotency-Key is not understood");
        let value = value.trim_matches([' ', '\t']);
        let Some(quoted) = value.strip_prefix('"') else {
            let bare = value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
            return if bare { Self::new(value) } else { Err(malformed()) };
        };
        let mut key = String::with_capacity(quoted.len());
        let mut characters = quoted.chars();
        loop {
            match characters.next().ok_or_else(malformed)? {
                '"' => break,
                '\\' => match characters.next() {
                    Some(escaped @ ('"' | '\\')) => key.push(escaped),
                    _ => return Err(malformed()),
                },
                character @ ' '..='~' => key.push(character),
                _ => return Err(malformed()),
            }
        }
        if characters.next().is_some() {
            return Err(malformed());
        }
        Self::new(&key)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} bytes)", self.0.len())
    }
}

/// A hash (SHA-256) of what makes a request the same as another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Makes the fingerprint of these parts in this order: method, path, body, whatever else counts.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(hash(parts))
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:02x?}…)", self.0.first_chunk::<4>().copied().unwrap_or_default())
    }
}

/// Whose request under which key: a hash (SHA-256), so that stores hold neither.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    /// Writes the first eight bytes in hexadecimal: enough to find it in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self}…)")
    }
}

/// Each part with its length before it, so that no two lists of parts run together.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A request with its key.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    id: RequestId,
    fingerprint: Fingerprint,
}

impl IdempotentRequest {
    /// Makes the request of `principal` (a user's, an account's or a client's id: keys of different ones do not meet).
    pub fn new(principal: &str, key: &IdempotencyKey, fingerprint: Fingerprint) -> Self {
        Self { id: RequestId(hash(&[principal.as_bytes(), key.0.as_bytes()])), fingerprint }
    }

    /// Returns whose request under which key it is.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Returns what is in it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}
