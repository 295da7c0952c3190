//! Envelopes as Kafka's records, and back.

use std::sync::Arc;

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use crate::error::JsonFault;
use crate::event::outline::outline;
use crate::event::{Envelope, EventId};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The header with the event's id, by which doubles are found without reading the rest.
const ID: &str = "id";

/// What is sent for an event.
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) headers: OwnedHeaders,
}

/// Writes an event: the key decides the partition, the value is the whole envelope as JSON, and what routers, tracers and
/// auditors want to see without reading it stands in headers as well.
pub(super) fn write(prefix: &str, event: &Envelope) -> Result<Outgoing> {
    let value = serde_json::to_vec(event).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, format!("event {} cannot be written as JSON", event.id))
    })?;
    let mut headers = OwnedHeaders::new_with_capacity(8);
    let mut set = |name: &str, text: &str| {
        let before = std::mem::take(&mut headers);
        headers = before.insert(Header { key: name, value: Some(text) });
    };
    set(ID, &event.id.to_string());
    set("state", event.state.as_str());
    set("version", &event.version.to_string());
    if let Some(actor) = &event.actor {
        set("actor-id", &actor.id);
        if let Some(role) = &actor.role {
            set("actor-role", role);
        }
    }
    if let Some(trace) = &event.trace {
        set("traceparent", trace.traceparent());
        if let Some(state) = trace.tracestate() {
            set("tracestate", state);
        }
    }
    Ok(Outgoing { topic: format!("{prefix}{}", event.topic), key: event.key.clone(), value, headers })
}

/// Reads the id from the headers; `None` on a record that another kind of program wrote.
pub(super) fn id(message: &BorrowedMessage<'_>) -> Option<EventId> {
    let headers = message.headers()?;
    let value = headers.iter().find(|header| header.key == ID)?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// An event of a record, or what can be said of a record that this program cannot read.
pub(super) enum Read {
    Event(Arc<Envelope>),
    Unreadable(Box<Unreadable>),
}

/// A record that this program cannot read: it goes to the dead letters, whole, so that another program can.
pub(super) struct Unreadable {
    /// What stands for it: where it lies, and whatever of it can be read.
    pub(super) event: Arc<Envelope>,
    pub(super) value: Vec<u8>,
    pub(super) fault: String,
}

/// Reads a record of `topic` (as envelopes name it).
pub(super) fn read(topic: &str, message: &BorrowedMessage<'_>) -> Read {
    let value = message.payload().unwrap_or_default();
    let fault = match serde_json::from_slice::<Envelope>(value) {
        // The lane is the topic that was subscribed to, whatever the envelope says.
        Ok(event) if event.topic == topic => return Read::Event(Arc::new(event)),
        Ok(_) => "the envelope names another topic".to_owned(),
        Err(error) => JsonFault::from(&error).to_string(),
    };
    let place = format!("{topic}/{}/{}", message.partition(), message.offset());
    let key = String::from_utf8_lossy(message.key().unwrap_or_default()).replace('\0', "\u{fffd}");
    let id = id(message).unwrap_or_else(|| EventId::named("kafka", &place));
    let written_at = message.timestamp().to_millis().unwrap_or_default();
    let event =
        outline(value, Some(id), topic, &key, Timestamp::from_micros(written_at.saturating_mul(1000)));
    Read::Unreadable(Box::new(Unreadable { event: Arc::new(event), value: value.to_vec(), fault }))
}
