//! How a store in Qdrant is reached and searched.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use pumasi_core::filter::FieldPath;

/// How the vectors that a search looks at first are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantization {
    /// Not at all.
    #[default]
    None,
    /// A byte for each number, a quarter of the room, in memory (scalar quantization). A search takes three times as many as are
    /// wanted by them, and scores those by the whole vectors.
    Int8,
}

/// How [`QdrantStore`](super::QdrantStore) reaches its server, and searches.
///
/// ```
/// use std::time::Duration;
/// use pumasi_rag::store::{QdrantOptions, Quantization};
///
/// let options = QdrantOptions::new()
///     .with_api_key("secret")
///     .with_collection("club")
///     .with_quantization(Quantization::Int8)
///     .with_timeout(Duration::from_secs(10));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct QdrantOptions {
    pub(super) api_key: Option<String>,
    pub(super) collection: String,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) lease: Duration,
    pub(super) quantization: Quantization,
    pub(super) exact_below: u64,
    pub(super) breadth: NonZeroU32,
    pub(super) ranges: Vec<FieldPath>,
}

impl Default for QdrantOptions {
    fn default() -> Self {
        Self {
            api_key: None,
            collection: "pumasi_rag".to_owned(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            lease: Duration::from_mins(1),
            quantization: Quantization::None,
            exact_below: 10_000,
            breadth: NonZeroU32::MIN.saturating_add(199),
            ranges: Vec::new(),
        }
    }
}

impl QdrantOptions {
    /// Makes the options that hold unless others are set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key that the server asks for; none unless set. It goes to the server as it is: use `https` where others listen.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets the collection; `pumasi_rag` unless set. One holds the knowledge of all tenants, in vectors of one space.
    #[must_use]
    pub fn with_collection(mut self, name: impl Into<String>) -> Self {
        self.collection = name.into();
        self
    }

    /// Sets how long a call to the server may take; 30 seconds unless set. One that breaks is tried once more.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a connection may take; 5 seconds unless set.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a writer of another process may show no sign of life before its change is taken for broken off, undone, and
    /// writing goes on; 60 seconds unless set. More than twice the [timeout](Self::with_timeout) of a call is reasonable.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how vectors are packed in a collection that is made now; one that is there stays as it is.
    #[must_use]
    pub fn with_quantization(mut self, quantization: Quantization) -> Self {
        self.quantization = quantization;
        self
    }

    /// Sets up to how many chunks of a tenant a search looks at all vectors instead of asking the graph; 10,000 unless set.
    #[must_use]
    pub fn with_exact_below(mut self, chunks: u64) -> Self {
        self.exact_below = chunks;
        self
    }

    /// Sets how many candidates the graph keeps in view while it is searched (`hnsw_ef`); 200 unless set, and never less than what
    /// is wanted. More find more of the nearest, and take longer.
    #[must_use]
    pub fn with_breadth(mut self, candidates: NonZeroU32) -> Self {
        self.breadth = candidates;
        self
    }

    /// Makes an index for ranges of a field of the metadata, of numbers or moments. Without one a range is right, too, and looks at each
    /// document; a server in strict mode refuses it.
    #[must_use]
    pub fn with_range_index(mut self, field: impl Into<FieldPath>) -> Self {
        self.ranges.push(field.into());
        self
    }
}

impl fmt::Debug for QdrantOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantOptions")
            .field("has_api_key", &self.api_key.is_some())
            .field("collection", &self.collection)
            .field("timeout", &self.timeout)
            .field("quantization", &self.quantization)
            .finish_non_exhaustive()
    }
}
