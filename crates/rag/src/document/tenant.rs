//! Whose knowledge it is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// Whose knowledge it is. A store's handle is of one tenant, so that none of its calls can reach another's documents.
///
/// 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes without control characters.
///
/// ```
/// use pumasi_rag::Tenant;
///
/// assert_eq!(Tenant::new("running-club-7")?.as_str(), "running-club-7");
/// assert!(Tenant::new("").is_err());
/// # Ok::<(), pumasi_rag::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Makes a tenant of this name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that is empty, too long, or has control characters in it.
    pub fn new(name: impl AsRef<str>) -> crate::Result<Self> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > Self::MAX_BYTES || name.chars().any(char::is_control) {
            let max = Self::MAX_BYTES;
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a tenant's name must have 1 to {max} bytes and no control characters"),
            ));
        }
        Ok(Self(name.into()))
    }

    /// Makes the tenant of a service that has only one.
    pub fn single() -> Self {
        Self("single".into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tenant {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0.as_ref().to_owned()
    }
}
