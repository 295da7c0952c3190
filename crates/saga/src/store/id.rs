//! Identities of sagas and of workers.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Error, ErrorKind};

/// The namespace of saga ids; `saga.pumasi.dev` in the DNS namespace (RFC 9562).
const NAMESPACE: Uuid = Uuid::from_u128(0xb6a6_0bdc_42b0_5942_aa74_f883_3c8a_4c94);

/// The identity of a saga: derived from its name and its key, so that whoever knows these two knows the id.
///
/// ```
/// use pumasi_saga::store::SagaId;
///
/// let id = SagaId::of("registration", r#"{"participant":7,"competition":"seoul"}"#);
/// assert_eq!(id.to_string().parse::<SagaId>()?, id);
/// # Ok::<(), pumasi_saga::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SagaId(Uuid);

impl SagaId {
    /// Returns the id of the saga called `saga` with this key, as it is written in JSON.
    pub fn of(saga: &str, key: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::new_v5(&NAMESPACE, saga.as_bytes()), key.as_bytes()))
    }

    /// Makes an id from its sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the sixteen bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Returns the id of the trace that a saga's spans and calls belong to, however long it rests and wherever it goes on: the
    /// saga's id as 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.0.simple().to_string()
    }

    /// Names a span of the saga's trace: 16 hexadecimal digits, the same in every process.
    pub(crate) fn span_id(self, name: &str) -> String {
        let mut digits = self.derive(name.as_bytes()).simple().to_string();
        digits.truncate(16);
        digits
    }

    /// Returns the key of an operation, the same for all attempts of one run and round.
    pub(crate) fn operation_key(self, run: u32, round: u32, what: &str, name: &str) -> String {
        self.derive(format!("{run}/{round}/{what}{name}").as_bytes()).to_string()
    }

    /// Derives a name-based UUID within this saga.
    pub(crate) fn derive(self, name: &[u8]) -> Uuid {
        Uuid::new_v5(&self.0, name)
    }
}

/// The identity of one engine of one process: random, and new with each start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Uuid);

impl WorkerId {
    /// Makes a new one.
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// Makes an id from its sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the sixteen bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

macro_rules! text {
    ($($id:ident: $what:literal),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self.0)
            }
        }

        impl FromStr for $id {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::parse_str(text).map(Self).map_err(|source| {
                    Error::new(ErrorKind::InvalidInput, concat!($what, " is not a UUID")).with_source(source)
                })
            }
        }
    )+};
}

text!(SagaId: "a saga's id", WorkerId: "a worker's id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_what_it_says() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"saga.pumasi.dev"));
    }

    #[test]
    fn names_and_keys_do_not_run_into_each_other() {
        assert_ne!(SagaId::of("ab", "c"), SagaId::of("a", "bc"));
    }
}
