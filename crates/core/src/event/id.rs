//! Identities of events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, ErrorKind};

/// The namespace under which [`EventId::named`] derives scopes; `event.pumasi.dev` in the DNS namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x00c9_a954_3a11_549b_bdda_e7b9_dcfd_3d2d);

/// The identity of an event: a UUID (RFC 9562), by which publishers repeat themselves safely and consumers drop doubles.
///
/// Three ways lead to one:
///
/// - [`random`](Self::random): a version 7 UUID, for events that start a story; ordered by time, so that an index over
///   them grows at its end;
/// - [`named`](Self::named): for events that come from elsewhere with a name of their own (a webhook's delivery id);
/// - [`derived`](Self::derived): for events that follow from another one. Whoever processes the cause a second time
///   publishes under the same id, and the bus drops the double.
///
/// The latter two are version 5 UUIDs (SHA-1 over a namespace and a name, RFC 9562 section 5.5), so that a service in
/// any language derives the same ones.
///
/// ```
/// use pumasi_core::event::EventId;
///
/// let post = EventId::named("slack", "Ev08MFMKH6");
/// let tasks = EventId::derived(post, "tasks-extracted");
/// assert_eq!(tasks, EventId::derived(post, "tasks-extracted"));
/// assert_ne!(tasks, EventId::derived(post, "extraction-failed"));
/// assert_eq!(tasks.to_string().parse::<EventId>()?, tasks);
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(Uuid);

impl EventId {
    /// Makes a new id from the time and 74 bits of the operating system's randomness (UUID version 7).
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// Makes the id of something that already has a `name`, unique within `scope` (the system it comes from).
    pub fn named(scope: &str, name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::new_v5(&NAMESPACE, scope.as_bytes()), name.as_bytes()))
    }

    /// Makes the id of the event called `name` that follows from `cause`: the same arguments give the same id.
    ///
    /// It is the version 5 UUID with the cause as its namespace. Give every consequence of one cause its own name; what
    /// tells two of them apart (a part number, a version) belongs into the name.
    pub fn derived(cause: Self, name: &str) -> Self {
        Self(Uuid::new_v5(&cause.0, name.as_bytes()))
    }

    /// Makes an id from its sixteen bytes, in the order in which they are written.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the sixteen bytes, in the order in which they are written.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", self.0)
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text).map(Self).map_err(|source| {
            Error::new(ErrorKind::InvalidInput, "an event id is not a UUID").with_source(source)
        })
    }
}

impl TryFrom<String> for EventId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_what_any_other_version_5_implementation_derives() {
        // RFC 9562, appendix A.4: "www.example.com" in the DNS namespace.
        let dns = EventId(Uuid::NAMESPACE_DNS);
        assert_eq!(
            EventId::derived(dns, "www.example.com").to_string(),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
    }

    #[test]
    fn the_namespace_is_what_it_says() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"event.pumasi.dev"));
    }

    #[test]
    fn scopes_and_names_do_not_run_into_each_other() {
        assert_ne!(EventId::named("ab", "c"), EventId::named("a", "bc"));
        assert_ne!(
            EventId::derived(EventId::named("a", "b"), "c"),
            EventId::derived(EventId::named("a", "c"), "b")
        );
    }

    #[test]
    fn random_ids_differ_and_grow_with_time() {
        let ids: Vec<_> = (0..1000).map(|_| EventId::random()).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
    }

    #[test]
    fn refuses_text_that_is_no_uuid() {
        let error = serde_json::from_str::<EventId>("\"42\"").unwrap_err();
        assert!(error.to_string().contains("not a UUID"), "{error}");
    }
}
