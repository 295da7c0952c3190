//! Where a page ended, in a form that can be handed to strangers and taken back.

use std::cmp::Ordering;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::query::{Query, Rank};
use crate::schema::{FieldKind, Schema, check_id, is_keyword};
use crate::{Error, ErrorKind, Result};

/// Bytes of the signature: half of SHA-256's, as RFC 2104 allows.
const SIGNATURE: usize = 16;

/// The fewest bytes of a secret.
const SHORTEST_SECRET: usize = 16;

/// The longest cursor that is read, in characters: three keywords of the longest, the longest id, and JSON around them.
const LONGEST: usize = 32_768;

/// What a document is sorted by.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Key {
    /// Nothing: it comes last.
    #[serde(rename = "m")]
    Missing,
    #[serde(rename = "b")]
    Bool(bool),
    /// A whole number, or a moment in microseconds.
    #[serde(rename = "i")]
    Int(i64),
    /// A decimal number by its bits, which JSON keeps exactly.
    #[serde(rename = "f")]
    Float(u64),
    #[serde(rename = "t")]
    Text(String),
}

impl Key {
    pub(crate) const fn float(value: f64) -> Self {
        // -0.0 and 0.0 are one number
        Self::Float(if value == 0.0 { 0 } else { value.to_bits() })
    }

    /// Tells whether a field of this kind may hold it: an index of another schema has other kinds under the same names.
    fn is_of(&self, kind: FieldKind) -> bool {
        match self {
            Self::Missing => true,
            Self::Bool(_) => kind == FieldKind::Bool,
            Self::Int(_) => matches!(kind, FieldKind::Int | FieldKind::Time),
            Self::Float(bits) => kind == FieldKind::Float && f64::from_bits(*bits).is_finite(),
            Self::Text(text) => kind == FieldKind::Keyword && is_keyword(text),
        }
    }

    /// Orders two keys of one field; missing ones come last in either direction.
    pub(crate) fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Missing, Self::Missing) => return Ordering::Equal,
            (Self::Missing, _) => return Ordering::Greater,
            (_, Self::Missing) => return Ordering::Less,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => f64::from_bits(*a).total_cmp(&f64::from_bits(*b)),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            // of different types, which one index does not hold
            _ => Ordering::Equal,
        };
        if descending { order.reverse() } else { order }
    }
}

/// Where a page ended: the last hit's sort keys, its id, and which walk it belongs to.
///
/// It holds for any engine, after a restart and after the index was built anew: it names a place in the order, not in an
/// index. Give it to people only [sealed](CursorKey::seal). `Debug` does not show what it holds.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// What is found, in which index and in which order, hashed.
    #[serde(rename = "w")]
    walk: String,
    #[serde(rename = "k")]
    pub(crate) keys: Vec<Key>,
    #[serde(rename = "d")]
    pub(crate) id: String,
    /// The engine, where the keys are scores, which others do not share.
    #[serde(rename = "e")]
    pub(crate) engine: String,
    /// The moments from which ages are counted.
    #[serde(rename = "n", default, skip_serializing_if = "Vec::is_empty")]
    now: Vec<Timestamp>,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("walk", &self.walk).finish_non_exhaustive()
    }
}

impl Cursor {
    /// Makes the cursor behind a hit.
    pub(crate) fn new(schema: &Schema, query: &Query, keys: Vec<Key>, id: &str, engine: &str) -> Self {
        let now = match &query.rank {
            Rank::Fused(fusion) => fusion.decay.iter().map(|part| part.now).collect(),
            _ => Vec::new(),
        };
        Self { walk: query.walk(schema.name()), keys, id: id.to_owned(), engine: engine.to_owned(), now }
    }

    /// Tells whether this is a place in the order of `query`, on an index of `schema`.
    pub(crate) fn belongs_to(&self, query: &Query, schema: &Schema) -> bool {
        let fits = match &query.rank {
            Rank::Fields(sorts) => {
                let mut pairs = self.keys.iter().zip(sorts);
                self.keys.len() == sorts.len()
                    && pairs.all(|(key, sort)| schema.kind(&sort.path()).is_some_and(|kind| key.is_of(kind)))
            }
            // a score
            _ => matches!(self.keys.as_slice(), [key @ Key::Float(_)] if key.is_of(FieldKind::Float)),
        };
        fits && check_id(&self.id).is_ok() && self.walk == query.walk(schema.name())
    }

    /// Returns the order with ages counted from where the walk began.
    pub(crate) fn carried(&self, rank: &Rank) -> Rank {
        let mut rank = rank.clone();
        if let Rank::Fused(fusion) = &mut rank {
            for (part, now) in fusion.decay.iter_mut().zip(&self.now) {
                part.now = *now;
            }
        }
        rank
    }
}

/// The secret that cursors are signed with. All processes and engines of a service need the same one.
///
/// ```
/// use pumasi_search::{Cursor, CursorKey};
///
/// let key = CursorKey::new("at least sixteen bytes of secret")?;
/// assert!(key.open("forged").is_err());
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CursorKey").finish_non_exhaustive()
    }
}

impl CursorKey {
    /// Takes a secret of at least 16 bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a shorter one.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self> {
        let secret = secret.as_ref();
        let mac = Hmac::new_from_slice(secret).ok().filter(|_| secret.len() >= SHORTEST_SECRET);
        mac.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the secret of cursors is shorter than 16 bytes")
        })
    }

    /// Turns a cursor into text for an address or an answer: signed, not encrypted; what it was sorted by can be read.
    pub fn seal(&self, cursor: &Cursor) -> String {
        let mut bytes = serde_json::to_vec(cursor).unwrap_or_default();
        let signature = self.0.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(signature.iter().take(SIGNATURE));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a cursor back.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for text that was not [sealed](Self::seal) with this key.
    pub fn open(&self, text: &str) -> Result<Cursor> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "this is no cursor of ours");
        let bytes = Some(text)
            .filter(|text| text.len() <= LONGEST)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let bytes = bytes.ok_or_else(invalid)?;
        let split = bytes.len().checked_sub(SIGNATURE).ok_or_else(invalid)?;
        let (cursor, signature) = bytes.split_at_checked(split).ok_or_else(invalid)?;
        self.0.clone().chain_update(cursor).verify_truncated_left(signature).map_err(|_| invalid())?;
        serde_json::from_slice(cursor).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pumasi_core::filter::Field;

    use super::*;
    use crate::Sort;

    const LIKES: Field<i64> = Field::new("likes");

    fn cursor() -> Cursor {
        let query = Query::new("러닝").with_rank(Rank::sorted([Sort::descending(&LIKES)]));
        Cursor::new(&Schema::new("posts"), &query, vec![Key::Int(3)], "post-42", "")
    }

    fn key() -> CursorKey {
        CursorKey::new("sixteen bytes or more").expect("a key")
    }

    #[test]
    fn a_cursor_comes_back_and_belongs_to_its_walk_only() {
        let sealed = key().seal(&cursor());
        let opened = key().open(&sealed).expect("a cursor");
        assert_eq!(opened, cursor());
        let query = Query::new("러닝").with_rank(Rank::sorted([Sort::descending(&LIKES)]));
        let schema = Schema::new("posts").with_field(&LIKES);
        assert!(
            opened.belongs_to(&query, &schema) && opened.belongs_to(&query.clone().with_limit(50), &schema)
        );
        assert!(!opened.belongs_to(&Query::new("러닝"), &schema));
        let other = Schema::new("posts").with_kind("likes", FieldKind::Keyword);
        assert!(!opened.belongs_to(&query, &other), "another index has names there");
        let other = Schema::new("crews").with_field(&LIKES);
        assert!(!opened.belongs_to(&query, &other), "it is a place in another index");
        assert!(!format!("{opened:?}").contains("post-42"));
    }

    #[test]
    fn what_was_signed_with_another_secret_is_refused() {
        let other = CursorKey::new("another secret of bytes").expect("a key");
        assert!(other.open(&key().seal(&cursor())).is_err());
        assert!(CursorKey::new("short").is_err());
    }

    #[test]
    fn missing_keys_come_last_in_either_direction() {
        for descending in [false, true] {
            assert_eq!(Key::Missing.compare(&Key::Int(3), descending), Ordering::Greater);
            assert_eq!(Key::Int(3).compare(&Key::Missing, descending), Ordering::Less);
        }
        assert_eq!(Key::float(-0.0).compare(&Key::float(0.0), false), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_taken(at in 0_usize..80, to in "[A-Za-z0-9_-]") {
            let sealed = key().seal(&cursor());
            let mut changed = sealed.clone();
            let at = at % sealed.len();
            changed.replace_range(at..=at, &to);
            // the last character has spare bits, which must be zero
            prop_assert!(changed == sealed || key().open(&changed).is_err());
        }
    }
}
