//! What every event carries.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EventId, TraceContext, trace};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The longest topic or group name, in bytes: what Kafka allows.
pub(crate) const MAX_NAME: usize = 249;
/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

/// What happened to the entity that an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It came to be.
    Created,
    /// It changed; the payload is its new state.
    Updated,
    /// It is gone.
    Deleted,
}

impl State {
    /// Names the state in `snake_case`, as it is serialised.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// Who caused an event, for audit columns and permissions on the consuming side.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// The user's (or the service's) id; not a name or an address.
    pub id: String,
    /// The role in which they acted, if roles matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Actor {
    /// Makes an actor without a role.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), role: None }
    }

    /// Sets the role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }
}

/// One event: what happened to which entity, when, through whom, and within which trace.
///
/// `topic` says what kind of entity, `key` which one: the bus keeps the order of events with the same topic and key.
/// `version` is the entity's own count of changes, by which a consumer recognises what is older than what it has.
///
/// The payload may hold what people wrote, so `Debug` leaves it and the headers' values out.
///
/// ```
/// use pumasi_core::event::{Actor, Envelope, State};
///
/// let event = Envelope::new("posts", "post-7", State::Updated, 3)
///     .with_payload(&serde_json::json!({"body": "매일 아침 20분 걷기"}))?
///     .with_actor(Actor::new("user-42").with_role("member"));
/// assert_eq!(serde_json::from_str::<Envelope>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Envelope {
    /// The identity, by which doubles are dropped.
    pub id: EventId,
    /// The kind of entity: 1 to 249 ASCII letters, digits, `.`, `_` or `-`.
    pub topic: String,
    /// The entity within the topic, at most 1,024 bytes without NUL; events with the same topic and key keep their order.
    pub key: String,
    /// What happened to it.
    pub state: State,
    /// The entity's version after the change; 0 where there is none.
    #[serde(default)]
    pub version: u64,
    /// Who caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// When it happened, by the publisher's clock.
    pub occurred_at: Timestamp,
    /// The trace it belongs to; one that does not follow the recommendation is read as none.
    #[serde(default, deserialize_with = "trace::if_valid", skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// Further facts about the event, for routing and filters, apart from the entity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The entity's state, or whatever consumers of the topic agreed on; at most [`MAX_DEPTH`](Self::MAX_DEPTH) deep.
    #[serde(default)]
    pub payload: Value,
}

impl Envelope {
    /// How many arrays and objects a payload may hold within one another: a JSON reader takes 127, of which one is the
    /// envelope's own.
    pub const MAX_DEPTH: usize = 126;

    /// Makes an event with a [random](EventId::random) id that occurs now, without actor, trace, headers or payload.
    pub fn new(topic: impl Into<String>, key: impl Into<String>, state: State, version: u64) -> Self {
        Self {
            id: EventId::random(),
            topic: topic.into(),
            key: key.into(),
            state,
            version,
            actor: None,
            occurred_at: SystemTime::now().into(),
            trace: None,
            headers: BTreeMap::new(),
            payload: Value::Null,
        }
    }

    /// Makes this event a consequence of `cause`: its id is [derived](EventId::derived) from the cause and `name`, and
    /// the actor and the trace are taken over.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self, name: &str) -> Self {
        self.id = EventId::derived(cause.id, name);
        self.actor.clone_from(&cause.actor);
        self.trace.clone_from(&cause.trace);
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Sets who caused it.
    #[must_use]
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Sets when it happened; the default is when the envelope was made, by the machine's clock.
    #[must_use]
    pub fn with_occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = at;
        self
    }

    /// Sets the trace it belongs to.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Sets one header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the payload.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the value cannot be written as JSON.
    pub fn with_payload<T: Serialize + ?Sized>(mut self, payload: &T) -> Result<Self> {
        self.payload = serde_json::to_value(payload).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("the payload of event {} is not JSON", self.id))
        })?;
        Ok(self)
    }

    /// Reads the payload.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a `T`; the message names the event and the type wanted, never what the payload says.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.payload).map_err(|_| {
            // serde's own message quotes the offending value, which may be what a person wrote.
            Error::new(
                ErrorKind::InvalidInput,
                format!("the payload of event {} on {} is not a {}", self.id, self.topic, short_name::<T>()),
            )
        })
    }

    /// Checks topic, key and the depth of the payload against the rules that every bus can keep.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names the rule.
    pub fn check(&self) -> Result<()> {
        check_name("topic", &self.topic)?;
        if self.key.len() > MAX_KEY {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the key of event {} is longer than {MAX_KEY} bytes", self.id),
            ));
        }
        if self.key.contains('\0') {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the key of event {} has a NUL character, which databases cannot store", self.id),
            ));
        }
        if !fits(&self.payload, Self::MAX_DEPTH) {
            let most = Self::MAX_DEPTH;
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the payload of event {} holds more than {most} arrays and objects in one another",
                    self.id
                ),
            ));
        }
        Ok(())
    }
}

/// Tells whether no more than `levels` arrays and objects are within one another; looks no deeper.
fn fits(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Array(_) | Value::Object(_), None) => false,
        (Value::Array(items), Some(levels)) => items.iter().all(|item| fits(item, levels)),
        (Value::Object(items), Some(levels)) => items.values().all(|item| fits(item, levels)),
        _ => true,
    }
}

/// Checks that a topic's or group's name is one that every backend takes.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if fits {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("a {what} is not 1 to {MAX_NAME} ASCII letters, digits, '.', '_' or '-'"),
    ))
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(name)
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("state", &self.state)
            .field("version", &self.version)
            .field("actor", &self.actor)
            .field("occurred_at", &self.occurred_at)
            .field("trace", &self.trace)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_payload_nor_header_values() {
        let event = Envelope::new("posts", "1", State::Created, 1)
            .with_header("note", "비밀")
            .with_payload(&"어제 퇴사했어요")
            .unwrap();
        let shown = format!("{event:?}");
        assert!(!shown.contains("퇴사") && !shown.contains("비밀"), "{shown}");
    }

    #[test]
    fn a_payload_of_the_wrong_form_is_named_without_its_text() {
        let event = Envelope::new("posts", "1", State::Created, 1).with_payload(&"어제 퇴사했어요").unwrap();
        let error = event.payload::<Vec<u32>>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Vec") && !error.to_string().contains("퇴사"), "{error}");
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn topics_that_some_bus_cannot_carry_are_refused() {
        for topic in ["", "글", "a b", "a/b", &"x".repeat(250)] {
            assert!(Envelope::new(topic, "k", State::Created, 0).check().is_err(), "{topic}");
        }
        assert!(Envelope::new("posts.v1_ko-KR", "글 7", State::Created, 0).check().is_ok());
        assert!(Envelope::new("posts", "k".repeat(1025), State::Created, 0).check().is_err());
    }

    #[test]
    fn fields_that_a_publisher_in_another_language_leaves_out_have_defaults() {
        let event: Envelope = serde_json::from_str(
            r#"{"id":"2ed6657d-e927-568b-95e1-2665a8aea6a2","topic":"posts","key":"1","state":"deleted",
                "occurred_at":"2026-11-20T09:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((event.version, event.state), (0, State::Deleted));
        assert!(event.actor.is_none() && event.payload.is_null());
    }

    #[test]
    fn a_trace_that_is_none_does_not_make_an_event_unreadable() {
        let event = Envelope::new("posts", "1", State::Created, 1);
        let mut wire = serde_json::to_value(&event).unwrap();
        for trace in [
            serde_json::json!({"traceparent": "garbage"}),
            serde_json::json!({"tracestate": "vendor=1"}),
            serde_json::json!({"traceparent": 7}),
            serde_json::json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            serde_json::json!(null),
        ] {
            wire["trace"] = trace;
            assert_eq!(serde_json::from_str::<Envelope>(&wire.to_string()).unwrap(), event, "{wire}");
        }
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        wire["trace"] = serde_json::json!({"traceparent": parent, "tracestate": 7});
        let read: Envelope = serde_json::from_str(&wire.to_string()).unwrap();
        assert_eq!(read.trace.unwrap().traceparent(), parent, "the trace is kept without its state");
    }

    #[test]
    fn a_payload_that_no_reader_takes_is_refused() {
        let nested = |levels| (0..levels).fold(Value::Null, |inner, _| serde_json::json!({"안": [0, inner]}));
        let event = Envelope::new("posts", "1", State::Created, 1);
        let deepest = event.clone().with_payload(&nested(Envelope::MAX_DEPTH / 2)).unwrap();
        deepest.check().unwrap();
        let written = serde_json::to_string(&deepest).unwrap();
        assert_eq!(serde_json::from_str::<Envelope>(&written).unwrap(), deepest);
        let deeper = event.with_payload(&[nested(Envelope::MAX_DEPTH / 2)]).unwrap();
        let error = deeper.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("126"), "{error}");
        assert!(serde_json::from_str::<Envelope>(&serde_json::to_string(&deeper).unwrap()).is_err());
    }
}
